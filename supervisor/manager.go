package supervisor

import (
	"context"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/order"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// StartSpec defines a process and starts it. See [verbs.Actor].
func (s *Supervisor) StartSpec(ctx context.Context, spec process.Spec, how process.How) (process.Status, error) {
	times, err := s.judge(&spec)
	if err == nil && times != nil && how.Wait != process.WaitStart {
		err = process.Errorf(process.CodeInvalid, "wait: a process with a schedule starts at its times, so there is no run to wait for: leave it away")
	}
	if err != nil {
		return process.Status{}, err
	}
	jobID := spec.JobID
	if times != nil {
		jobID = "" // it is that of each run
	} else {
		spec.JobID = "" // it is that of the next run alone
	}
	p, isNew, err := s.register(spec, times, "")
	if err != nil {
		return process.Status{}, err
	}
	op := process.Operation(newDefinition{how: how, jobID: jobID})
	if isNew { // its definition is this one already
		op = process.StartAgain{JobID: jobID, Wait: how.Wait}
	}
	return p.ask(ctx, request{op: op, spec: &spec})
}

// Do carries out an operation on each process that is selected, side by side; what is
// started or ended in the order of their definitions. See [verbs.Actor].
func (s *Supervisor) Do(ctx context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	if _, plain := of.Name(); !plain && waitsLong(op) {
		if _, err := s.allThere(of); err != nil {
			return nil, process.Errorf(process.CodeOf(err), "%v; nothing was done", err)
		}
	}
	var by order.Graph
	switch op.(type) {
	case process.StartAgain, process.Restart, process.Trigger:
		by = s.ordering.graph()
	case process.Stop, process.Delete:
		by = s.ordering.graph().Reversed()
	}
	return s.each(of, 0, by, func(p *managed, o *process.Outcome) {
		o.Status, o.Err = p.ask(ctx, request{op: op})
		_, deleted := op.(process.Delete)
		if source := o.Status.Source; deleted && o.Err == nil && filepath.IsAbs(source) {
			o.Source = source
		}
		if deleted || o.Err != nil {
			o.Status = process.Status{}
		}
	})
}

// waitsLong reports whether an operation is answered when a run has come far: who misspelt a
// name must not hear of it only then.
func waitsLong(op process.Operation) bool {
	switch op := op.(type) {
	case process.StartAgain:
		return op.Wait != process.WaitStart
	case process.Restart:
		return op.Wait != process.WaitStart
	}
	return false
}

// Show gives the processes that are selected, or all, by name. See [verbs.Viewer].
func (s *Supervisor) Show(ctx context.Context, of process.Selection, d process.Detail) ([]process.Outcome, error) {
	// To read a group's CPU time the kernel looks for it among all sisters that have
	// run since theirs was read. One look at the parent brings all up to date first.
	if _, one := of.Name(); !one {
		s.groups.Usage(0)
	}
	// Most of it is waiting for the kernel to add up, so all cores take part.
	return s.each(of, runtime.GOMAXPROCS(0), nil, func(p *managed, o *process.Outcome) { o.Status = s.statusOf(p, d) })
}

// Ledger gives what became of the times of the schedules of what is selected. See
// [verbs.Historian].
func (s *Supervisor) Ledger(ctx context.Context, of process.Selection, since time.Time) (all []process.LedgerRecord, err error) {
	list, err := s.each(of, 0, nil, func(p *managed, _ *process.Outcome) {
		if p.view.Load().paused {
			p.settleLedger(ctx)
		}
	})
	for _, o := range list {
		if o.Err != nil {
			all = append(all, process.LedgerRecord{Name: o.Name, Err: o.Err})
			continue
		}
		entries, err := s.store.Ledger(o.Name, since)
		if err != nil {
			err = process.Errorf(process.CodeStore, "the ledger of '%s' cannot be read: %v", o.Name, err)
			all = append(all, process.LedgerRecord{Name: o.Name, Err: err})
		}
		for _, e := range entries {
			all = append(all, process.LedgerRecord{Name: o.Name, LedgerEntry: e})
		}
	}
	return all, err
}

// each does something about every process that is selected, or all, with so many at once, 0
// for any number; the outcomes are in their order. Where by says so one is done behind others.
func (s *Supervisor) each(of process.Selection, atOnce int, by order.Graph, do func(*managed, *process.Outcome)) ([]process.Outcome, error) {
	s.mu.Lock()
	var all map[string]*managed
	if name, one := of.Name(); one { // its cost does not grow with how many there are
		all = map[string]*managed{name: s.names[name]}
	} else {
		all = maps.Clone(s.names)
	}
	s.mu.Unlock()
	known := slices.Sorted(maps.Keys(all))
	names := known
	if len(of) > 0 {
		var err error
		if names, err = of.Resolve(known); err != nil {
			return nil, err
		}
	}
	list := make([]process.Outcome, len(names))
	turns := inTurn(names, by)
	var next atomic.Int64
	var workers sync.WaitGroup
	var fault atomic.Pointer[border.Panic]
	if atOnce == 0 {
		atOnce = len(names)
	}
	for range min(atOnce, len(names)) {
		workers.Go(func() {
			defer border.Catch(func(p *border.Panic) { fault.Store(p) })
			for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
				o := &list[turns[i].at]
				o.Name = names[turns[i].at]
				turns[i].take(func() {
					if p := all[o.Name]; p != nil {
						do(p, o)
					} else {
						o.Err = s.gone(o.Name)
					}
				})
			}
		})
	}
	workers.Wait()
	if p := fault.Load(); p != nil {
		panic(p) // it is this request's
	}
	return list, nil
}
