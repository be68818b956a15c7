package supervisor

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/definitions"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// Apply makes definitions hold. See [verbs.Definer].
//
// All of them are judged before anything is changed. Then each process is changed by its
// own loop, in one transaction of its own; those that come together share a sync. A worker
// that dies meanwhile leaves some as they were: what it was about to define has not been,
// and the same apply does the rest.
func (s *Supervisor) Apply(ctx context.Context, a process.Application) ([]process.Applied, error) {
	if a.Path == "" {
		own, there, err := s.ownDefinitions()
		switch {
		case err != nil:
			return nil, err
		case !there:
			return nil, process.Errorf(process.CodeInvalid, "there is no folder %s: make it, or name a file or a folder (pmclient apply -f)", s.definitions)
		}
		a.Path, a.Files = s.definitions, own
	}
	return s.apply(ctx, a, func() {})
}

// apply is Apply of files that were read. between is called when what was there before is
// as it is to be, and before anything new is.
func (s *Supervisor) apply(ctx context.Context, a process.Application, between func()) ([]process.Applied, error) {
	select {
	case s.applying <- struct{}{}: // one at a time: what each finds is what the last has left
		defer func() { <-s.applying }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p, err := s.plan(a)
	if err != nil {
		return nil, err
	}
	if a.DryRun {
		return p.rows(), nil
	}
	return s.carryOut(ctx, p, between)
}

// plan is an apply that was judged.
type plan struct {
	steps []definitions.Step
	times map[string]*schedule.Schedule // of the definitions
}

// plan judges definitions and says what has to be done for them to hold. The error says
// where they cannot be.
func (s *Supervisor) plan(a process.Application) (p plan, err error) {
	wanted, err := definitions.Parse(a.Files)
	if err != nil {
		return p, err
	}
	p.times = map[string]*schedule.Schedule{}
	specs := make([]process.Spec, len(wanted))
	for i, d := range wanted {
		specs[i] = d.Spec
		if p.times[d.Spec.Name], err = s.judge(&d.Spec); err != nil {
			return p, d.Errorf(process.CodeInvalid, "%v", err)
		}
	}
	if of, err := s.ordering.checkAll(specs); err != nil {
		d := wanted[slices.IndexFunc(wanted, func(d definitions.Definition) bool { return d.Spec.Name == of })]
		return p, d.Errorf(process.CodeInvalid, "%v", err)
	}
	known := s.known()
	p.steps = definitions.Plan(wanted, known, definitions.Options{Path: a.Path, Prune: a.Prune, Restart: a.Restart})
	return p, definitions.CheckNeeds(p.steps, known)
}

// known are all processes as they are.
func (s *Supervisor) known() map[string]definitions.Known {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]definitions.Known, len(s.names))
	for name, p := range s.names {
		v := p.view.Load()
		is := definitions.Known{Spec: v.defined.Spec, Source: v.defined.Source, Dir: v.defined.Dir}
		if v.run.Number != 0 {
			is.Follows = new(v.defined.LastSpec(v.changed))
		}
		all[name] = is
	}
	return all
}

// rows are what is told of the steps before they are done.
func (p plan) rows() []process.Applied {
	rows := make([]process.Applied, len(p.steps))
	for i, step := range p.steps {
		rows[i] = process.Applied{Name: step.Name, Action: step.Action, Fields: step.Fields, WaitsForRestart: step.Waits, Source: step.Path}
		if step.IsTaken || step.Action == process.ApplyDeleted {
			rows[i].TakenFrom = cmp.Or(step.Former, process.SourceCommand)
		}
	}
	return rows
}

// carryOut does what a plan says: first about what is there, then what is new, at last what
// is to go; each side by side, and what is started or ended in the order of the definitions.
func (s *Supervisor) carryOut(ctx context.Context, p plan, between func()) ([]process.Applied, error) {
	rows := p.rows()
	var specs []process.Spec
	var changes, adds, deletes []int
	for i, step := range p.steps {
		if step.Action != process.ApplyDeleted {
			specs = append(specs, step.Spec)
		}
		switch step.Action {
		case process.ApplyUnchanged:
		case process.ApplyDeleted:
			deletes = append(deletes, i)
		case process.ApplyNew:
			adds = append(adds, i)
		default:
			changes = append(changes, i)
		}
	}
	if err := s.ordering.putAll(specs); err != nil { // somebody was faster
		return nil, err
	}
	// All new ones are there before any is started: they may need one another.
	begun := make([]*managed, len(rows))
	for _, i := range adds {
		begun[i], _, rows[i].Err = s.register(p.steps[i].Spec, p.times[rows[i].Name], p.steps[i].Path)
	}
	for _, i := range changes {
		begun[i], rows[i].Err = s.lookup(rows[i].Name)
	}
	change := func(i int) {
		row, step := &rows[i], p.steps[i]
		if row.Err != nil {
			return
		}
		op := toApply{source: step.Path, start: step.Action == process.ApplyNew, restart: step.Action == process.ApplyRestarted}
		status, err := begun[i].ask(ctx, request{spec: &step.Spec, op: op})
		row.Err, row.State, row.PID, row.Run = err, status.State, status.PID, status.Number
	}
	s.applyEach(rows, changes, false, change)
	between()
	s.applyEach(rows, adds, false, func(i int) {
		leave := s.gate.wait()
		defer leave()
		change(i)
	})
	s.applyEach(rows, deletes, true, func(i int) {
		gone, err := s.lookup(rows[i].Name)
		if err == nil {
			_, err = gone.ask(ctx, request{op: process.Delete{}})
		}
		if !errors.Is(err, process.ErrNotFound) { // somebody else has deleted it
			rows[i].Err = err
		}
	})
	return rows, nil
}

// applyEach does something about some of the rows, each in its turn.
func (s *Supervisor) applyEach(rows []process.Applied, which []int, reversed bool, do func(i int)) {
	names := make([]string, len(which))
	for at, i := range which {
		names[at] = rows[i].Name
	}
	by := s.ordering.graph()
	if reversed {
		by = by.Reversed()
	}
	var workers sync.WaitGroup
	var fault *border.Panic
	var mu sync.Mutex
	for _, t := range inTurn(names, by) {
		workers.Go(func() {
			defer border.Catch(func(p *border.Panic) {
				mu.Lock()
				defer mu.Unlock()
				fault = p
			})
			t.take(func() { do(which[t.at]) })
		})
	}
	workers.Wait()
	if fault != nil {
		panic(fault) // it is this request's
	}
}

// Export gives definitions as heroscript. See [verbs.Definer].
func (s *Supervisor) Export(ctx context.Context, of process.Selection) ([]process.Exported, error) {
	list, err := s.each(of, 1, nil, func(*managed, *process.Outcome) {})
	all := make([]process.Exported, len(list))
	for i, o := range list {
		all[i] = process.Exported{Name: o.Name, Err: o.Err}
		if o.Err != nil {
			continue
		}
		p, err := s.lookup(o.Name)
		switch {
		case err != nil:
			all[i].Err = err
		case p.unread:
			all[i].Err = p.view.Load().invalid
		default:
			all[i].Text = definitions.Text(p.view.Load().defined.Spec)
		}
	}
	return all, err
}

// Define defines a process and starts nothing. See [verbs.Definer].
func (s *Supervisor) Define(ctx context.Context, spec process.Spec) (process.Status, error) {
	times, err := s.judge(&spec)
	if err != nil {
		return process.Status{}, err
	}
	p, _, err := s.register(spec, times, "")
	if err != nil {
		return process.Status{}, err
	}
	return p.ask(ctx, request{op: defineOnly{}, spec: &spec})
}
