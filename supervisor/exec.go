package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A process may be in the foreground of somebody who watches it. What it writes goes through
// its log, which is held: nothing is removed that the watcher does not have, and the tree
// waits where it is far ahead. So no output is lost with a worker: the watcher comes back to
// the next one, and says how far it has come. When the watcher goes the tree is ended. That it
// is in the foreground, and what becomes of it then, is stored with the definition.

// watcherTime is how long the next worker waits for a watcher to come back.
const watcherTime = 10 * time.Second

// execution is the operation of a watcher who comes.
type execution struct {
	process.Operation
	to    process.Foreground
	run   uint64 // that it watches; 0: one is to begin
	isNew bool   // the process was made for it
	jobID string
	here  bool // it was taken up
}

// leaving is the operation of a watcher who goes, or of one who has not come back.
type leaving struct {
	process.Operation
	who    *execution // nil: who has not come back
	forAll bool       // it will not come back: where nobody else watches, the tree is ended
}

// Execute runs a command in the foreground of its caller. See [verbs.Actor].
func (s *Supervisor) Execute(ctx context.Context, e process.Exec, to process.Watcher) (err error) {
	p, op, run, err := s.execute(ctx, e)
	if p == nil {
		return err
	}
	defer func() {
		// A daemon that ends hands the tree to the next one, where the watcher comes back.
		stays := err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Canceled)
		_, left := p.ask(context.WithoutCancel(ctx), request{op: leaving{who: op, forAll: !stays}})
		if left != nil && !errors.Is(left, process.ErrNotFound) && !errors.Is(left, process.ErrShuttingDown) {
			s.log.Printf("process '%s' was in the foreground, and could not be ended: %v", p.name, left)
		}
	}()
	if err != nil {
		return err
	}
	return p.watched(ctx, run, e.From, to)
}

// execute begins the run, or finds the one that the watcher comes back to. There is a process
// also where that failed, if the watcher was taken up.
func (s *Supervisor) execute(ctx context.Context, e process.Exec) (p *managed, op *execution, run uint64, err error) {
	op = &execution{to: process.ForegroundKeep, run: e.Run, jobID: e.Spec.JobID}
	if e.Remove {
		op.to = process.ForegroundRemove
	}
	r := request{op: op}
	if e.Run > 0 {
		if p, err = s.lookup(e.Spec.Name); err != nil {
			return nil, nil, 0, err
		}
		_, err = p.ask(ctx, r)
		return p, op, e.Run, err
	}
	spec, err := e.Once()
	if err == nil {
		err = s.canLimit(spec.Limits)
	}
	if err != nil {
		return nil, nil, 0, err
	}
	spec.JobID = ""
	if p, op.isNew, err = s.register(spec, nil, ""); err != nil {
		return nil, nil, 0, err
	}
	r.spec = &spec
	status, err := p.ask(ctx, r)
	if err == nil {
		op.run = status.Number
	}
	return p, op, status.Number, err
}

// execute takes up a watcher.
func (p *managed) execute(r request, op *execution) {
	err := p.final()
	busy := p.watchers > 0 || p.machine.Busy() || !p.look(true).state.AtRest()
	differ := []*process.Field(nil)
	if r.spec != nil {
		differ = process.Differences(p.kept.Spec, *r.spec)
	}
	switch {
	case err != nil:
	case op.run > 0 && p.kept.Foreground == "":
		err = process.Errorf(process.CodeInvalid, "run: process '%s' is in nobody's foreground", p.name)
	case op.run > 0 && op.run > p.machine.Last && !p.owed:
		err = process.Errorf(process.CodeNotFound, "process '%s' has had no run %d", p.name, op.run)
	case op.run > 0:
		op.here, p.watchers = true, p.watchers+1
		p.answer(r, nil)
		return
	case len(differ) > 0:
		err = process.Errorf(process.CodeExists, "there is a process '%s' with another definition (%s): give another name, or none", p.name, process.FieldNames(differ))
	case busy:
		err = process.Errorf(process.CodeExists, "process '%s' is %s already: give another name, or none", p.name, p.look(true).state)
	case op.to == process.ForegroundRemove && !op.isNew && p.kept.Foreground != op.to:
		err = process.Errorf(process.CodeExists, "there is a process '%s', which is not to be removed: give another name, or none", p.name)
	}
	if err != nil {
		p.answer(r, err)
		return
	}
	p.setForeground(op.to)
	op.here, p.watchers = true, p.watchers+1
	p.hold(0)
	r.goal, r.jobID = goalOf(process.WaitStart), op.jobID
	p.wait(r, lifecycle.Start)
}

// leave is the end of a watch.
func (p *managed) leave(r request, op leaving) {
	if op.who != nil && op.who.here {
		op.who.here = false
		p.watchers--
	} else if op.who != nil {
		p.answer(r, nil) // it was not taken up
		return
	}
	if p.watchers > 0 || !op.forAll {
		p.answer(r, nil)
		return
	}
	p.hold(-1)
	if p.kept.Foreground == process.ForegroundRemove {
		r.op = process.Delete{}
		p.receive(r)
		return
	}
	p.setForeground("")
	if p.watchedRuns(op.who) {
		r.op = process.Stop{}
		p.receive(r)
		return
	}
	p.answer(r, nil)
}

// watchedRuns reports whether the run goes on, or is to begin, that somebody has watched.
func (p *managed) watchedRuns(who *execution) bool {
	if who != nil && who.run > 0 {
		return p.runs[who.run] != nil
	}
	return !p.look(true).state.AtRest()
}

// setForeground notes what becomes of the process when nobody watches it any more.
func (p *managed) setForeground(to process.Foreground) {
	if p.kept.Foreground != to {
		p.kept.Definition = new(*p.kept.Definition)
		p.kept.Foreground = to
		p.disk.definition, p.disk.dirty = true, true
	}
}

// hold has the log of a process in the foreground held from an offset on; below 0, by nobody.
func (p *managed) hold(off int64) {
	if log := p.output.log; log != nil && p.kept.Foreground != "" {
		log.Hold(off)
	}
}

// awaitWatcher has a process ended whose watcher does not come back to this worker.
func (p *managed) awaitWatcher() {
	if p.kept.Foreground == "" {
		return
	}
	p.s.clock.At(p.s.clock.Now()+watcherTime, func() {
		p.inbox.put(func() {
			if p.watchers == 0 && !p.machine.Closing {
				p.leave(request{answer: make(chan answer, 1)}, leaving{forAll: true})
			}
		})
	})
}

// watched writes the output of a run as it comes, and then how it ended.
func (p *managed) watched(ctx context.Context, run uint64, from int64, to process.Watcher) error {
	log := p.view.Load().output.log
	if log == nil {
		return process.Errorf(process.CodeInternal, "process '%s' has no log", p.name)
	}
	if err := to.Begun(run); err != nil {
		return err
	}
	during, over := context.WithCancel(ctx)
	defer over()
	ended := make(chan process.Waited, 1)
	go func() {
		ended <- p.await(during, process.UntilEnd, run)
		over()
	}()
	q := logs.Query{Run: run, From: from, Follow: true, Progress: func(next int64) {
		log.Hold(next)
		to.Offset(next)
	}}
	next, err := log.Read(during, q, to)
	if during.Err() == nil || ctx.Err() != nil {
		over()
		<-ended
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return err
	}
	w := <-ended
	if w.Err != nil {
		return w.Err
	}
	q.From, q.Follow = next, false // all of it is in the log
	if _, err := log.Read(ctx, q, to); err != nil {
		return err
	}
	return to.Ended(w)
}
