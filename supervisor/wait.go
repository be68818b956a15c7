package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// wait is somebody who waits for what a process does by itself. It starts nothing and
// changes nothing.
type wait struct {
	request
	until process.Until
	run   uint64       // that it is about, or any later one; of UntilEnd: that very one
	only  bool         // of ready and healthy: no later one will do
	ended *process.Run // that run has ended; nil: it has not
}

// Await waits for each process that is selected. See [verbs.Viewer].
func (s *Supervisor) Await(ctx context.Context, of process.Selection, w process.WaitFor) ([]process.Waited, error) {
	if w.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.Timeout, process.ErrTimeOver)
		defer cancel()
	}
	found, err := s.allThere(of)
	if err != nil {
		return nil, err
	}
	if len(w.Runs) > 0 && len(w.Runs) != len(found) {
		return nil, process.Errorf(process.CodeInvalid, "run: %d given for %d processes: give a number for each, in their order", len(w.Runs), len(found))
	}
	list := make([]process.Waited, len(found))
	places := map[string]int{}
	var names process.Selection // a pattern may match more by now
	for i, o := range found {
		places[o.Name], names = i, append(names, o.Name)
	}
	_, err = s.each(names, 0, nil, func(p *managed, o *process.Outcome) {
		i := places[p.name]
		got := p.await(ctx, w.Until, w.Run(i))
		if errors.Is(got.Err, process.ErrTimeOver) {
			got.Err = process.Errorf(process.CodeTimeOver, "process '%s' %s after %s", p.name, notYet[w.Until], process.ShortDuration(w.Timeout))
		}
		list[i] = got
	})
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, process.ErrTimeOver) {
		err = cause
	}
	for i := range list {
		if list[i].Name == "" { // deleted just now
			list[i] = process.Waited{Name: names[i], Err: s.gone(names[i])}
		}
	}
	return list, err
}

// notYet is what is said of a process whose wait has run out of time.
var notYet = map[process.Until]string{
	process.UntilEnd:     "has not ended",
	process.UntilStopped: "is not at rest",
	process.UntilReady:   "is not ready",
	process.UntilHealthy: "is not healthy",
}

// allThere are the processes that are selected. That one of them is not there is an error:
// who waits for the others first would hear of it late.
func (s *Supervisor) allThere(of process.Selection) ([]process.Outcome, error) {
	list, err := s.each(of, 1, nil, func(*managed, *process.Outcome) {})
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, o := range list {
		switch {
		case errors.Is(o.Err, process.ErrNotFound):
			missing = append(missing, o.Err.Error())
		case o.Err != nil:
			return nil, o.Err
		}
	}
	if len(missing) > 0 {
		return nil, process.Errorf(process.CodeNotFound, "%s", strings.Join(missing, ", "))
	}
	return list, nil
}

// await waits until the process has come so far. When ctx ends nobody waits any more.
func (p *managed) await(ctx context.Context, until process.Until, run uint64) process.Waited {
	w := &wait{request: request{answer: make(chan answer, 1)}, until: until, run: run}
	a, err := p.exchange(ctx, w.request, func() { p.beginWait(w) })
	if errors.Is(err, errRemembered) {
		return p.remembered(run)
	}
	if err != nil {
		if ctx.Err() != nil {
			p.inbox.put(func() { p.waits = slices.DeleteFunc(p.waits, func(one *wait) bool { return one == w }) })
			err = context.Cause(ctx)
		}
		return process.Waited{Name: p.name, Err: err}
	}
	status := a.status()
	got := process.Waited{Name: p.name, State: status.State, PID: status.PID, Run: status.Run}
	if a.ended != nil {
		got.PID, got.Run = 0, a.ended.In(process.Full)
	}
	return got
}

// errRemembered is that the run which is waited for has ended before the last one.
var errRemembered = errors.New("the history has that run")

// remembered is a run that has ended, as the history has it.
func (p *managed) remembered(run uint64) process.Waited {
	got := process.Waited{Name: p.name, State: p.view.Load().state}
	runs, err := p.s.store.Runs(p.name, 0)
	i := slices.IndexFunc(runs, func(r process.Run) bool { return r.Number == run })
	switch {
	case err != nil:
		got.Err = process.Errorf(process.CodeStore, "the runs of '%s' cannot be read: %v", p.name, err)
	case i < 0:
		got.Err = process.Errorf(process.CodeNotFound, "process '%s': nothing is kept of its run %d", p.name, run)
	default:
		got.Run = runs[i].In(process.Full)
	}
	return got
}

// beginWait takes up a wait, or answers it at once.
func (p *managed) beginWait(w *wait) {
	last := p.kept.Last
	if w.only = w.run > 0; !w.only {
		w.run = p.awaited()
	}
	p.awaitAnother(w)
	switch {
	case last == nil || last.Number < w.run:
	case last.Number == w.run:
		w.ended = last
	case w.until == process.UntilStopped: // a later one will do
	case p.runs[w.run] == nil && w.only:
		if w.ended = p.unwritten(w.run); w.ended == nil {
			p.answer(w.request, errRemembered)
			return
		}
	}
	p.waits = append(p.waits, w) // endTurn looks whether that is all
}

// awaitAnother has who waits for a run that never was wait for what is started in its place: the
// next one.
func (p *managed) awaitAnother(w *wait) {
	if w.run == p.kept.Never && p.runs[w.run] == nil {
		w.run++
	}
}

// dropWaits tells those who wait that nothing comes any more.
func (p *managed) dropWaits(err error) {
	for _, w := range p.waits {
		select {
		case w.answer <- answer{view: p.view.Load(), err: err}:
		default: // it was answered before a fault
		}
	}
	p.waits = nil
}

// awaited is the run that is waited for where nobody says which: the one under way, the last
// of a process at rest, or the next.
func (p *managed) awaited() uint64 {
	if n := len(p.machine.Runs); n > 0 {
		return p.machine.Runs[n-1].Number
	}
	if last := p.kept.Last; last != nil && p.look(true).state.AtRest() {
		return last.Number
	}
	return p.machine.Last + 1
}

// noteEnd tells those who wait for a run that it has ended.
func (p *managed) noteEnd(r process.Run) {
	for _, w := range p.waits {
		if w.run == r.Number {
			w.ended = &r
		}
	}
}

// settleWaits answers those whose wait is over. Nobody else answers them, but dropWaits.
func (p *managed) settleWaits() {
	if len(p.waits) == 0 {
		return
	}
	rests := p.look(true).state.AtRest()
	p.waits = slices.DeleteFunc(p.waits, func(w *wait) bool {
		over, err := p.isOver(w, rests)
		if over {
			w.request.ended = w.ended
			p.answer(w.request, err)
		}
		return over
	})
}

// isOver reports whether what w waits for is there, or will not come.
func (p *managed) isOver(w *wait, rests bool) (over bool, err error) {
	last := p.kept.Last
	ran := rests && last != nil && last.Number >= w.run
	switch w.until {
	case process.UntilEnd:
		return w.ended != nil, nil
	case process.UntilStopped:
		if ran {
			w.ended = last
		}
		return ran, nil
	}
	for _, r := range p.runs {
		if w.only && r.ID.Run != w.run || !r.Ready() || r.Phase() != lifecycle.Running {
			continue
		}
		switch health := r.Health(); {
		case w.until == process.UntilReady:
			return true, nil
		case health == nil:
			return true, process.Errorf(process.CodeInvalid, "process '%s' has no health probe and no watchdog, so nobody can say that it is healthy: set %s health=…, or wait for ready", p.name, p.name)
		case health.State == process.HealthHealthy:
			return true, nil
		}
	}
	if w.only && w.ended != nil {
		return true, p.notReady(w.until, *w.ended)
	}
	if ran {
		return true, p.notReady(w.until, *last)
	}
	return false, nil
}

// notReady is the error of who waits for a run that has ended.
func (p *managed) notReady(until process.Until, last process.Run) error {
	why := last.Error
	if why == "" {
		why = last.Cause.String()
	}
	return process.Errorf(process.CodeStart, "process '%s' is not %s: run %d ended: %s", p.name, until, last.Number, why)
}
