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
	return rowsOf(s, of, runtime.GOMAXPROCS(0), (*managed).tree,
		func(name string, err error) process.Tree { return process.Tree{Name: name, Err: err} })
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
