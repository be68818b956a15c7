package supervisor

import (
	"context"
	"os"
	"runtime"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// Tree gives the kernel processes of what is selected. See [verbs.Viewer].
func (s *Supervisor) Tree(ctx context.Context, of process.Selection) ([]process.Tree, error) {
	trees := map[string]*process.Tree{}
	list, err := s.each(of, runtime.GOMAXPROCS(0), nil, func(p *managed, o *process.Outcome) {
		t := p.tree()
		s.mu.Lock()
		defer s.mu.Unlock()
		trees[p.name] = &t
	})
	all := make([]process.Tree, 0, len(list))
	for _, o := range list {
		if t := trees[o.Name]; t != nil {
			all = append(all, *t)
		} else {
			all = append(all, process.Tree{Name: o.Name, Err: o.Err})
		}
	}
	return all, err
}

// tree is the kernel processes of the runs that are under way.
func (p *managed) tree() process.Tree {
	v := p.view.Load()
	t := process.Tree{Name: p.name, State: v.state, Runs: []process.RunTree{}}
	add := func(number uint64, state process.State, pid int, of *run.Meter) {
		if number == 0 || t.Err != nil {
			return
		}
		r := process.RunTree{Run: number, State: state, PID: pid, Processes: []process.KernelProcess{}}
		if of != nil {
			all, err := of.Tree(pid, os.Getppid())
			if err != nil {
				t.Err = process.Errorf(process.CodeInternal, "process '%s': its tree cannot be read: %v", p.name, err)
				return
			}
			r.Processes = append(r.Processes, all...)
		}
		t.Runs = append(t.Runs, r)
	}
	for _, b := range v.beside {
		add(b.run.Number, b.state, b.pid, b.meter)
	}
	add(v.run.Number, v.state, v.pid, v.meter)
	return t
}
