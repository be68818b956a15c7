package supervisor

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// managed is one process under management. Its loop, one goroutine at a time, owns every field
// but the inbox and the view; others put things into the inbox and read views.
type managed struct {
	s        *Supervisor
	name     string
	kept     kept  // what is to be on disk
	stored   bool  // the store has it
	unread   bool  // what the store has of it cannot be read, and stays there as it is
	owed     bool  // a run is to be started for which nobody waits: the former worker was about to
	settling bool  // that a run of the former worker never was is not on disk yet
	booted   bool  // @reboot: the machine was started, and its run is to begin
	invalid  error // why the definition cannot be carried out; nil: it can
	machine  lifecycle.Process
	runs     map[uint64]*run.Run     // under way
	others   map[uint64]store.Beside // what is kept of those of them that are not the last
	output   output
	jobID    string // of the run that is owed

	times  *schedule.Schedule // nil: none
	next   time.Time          // of the schedule; zero: none
	looked clocks             // when it was armed last
	alarm  func()             // takes back the call at that time; nil: there is none

	attempt  time.Time     // when the next attempt comes, by the wall clock; zero: none does
	retry    func()        // takes back the call at that time; nil: there is none
	limits   func()        // takes back the call to tell of limits that are met; nil: there is none
	limitsAt time.Duration // when that comes

	slot func() // gives back what it takes up of the gate; nil: nothing

	needs lifecycle.Needs

	past    uint64 // a run that was over before this keeper began; 0: none is known
	ran     bool   // a later one has ended
	endTold bool   // that the daemon is to end with this process was told

	waiting  []request
	waits    []*wait
	watchers int   // of its run in the foreground
	startErr error // why the last start failed
	unstored error // why the last start that was asked for never was: it could not be stored; nil: it could
	disk     disk
	totals   process.Totals                // that the store has
	faults   []time.Duration               // when there were faults of ours lately, by the clock
	broken   *border.Panic                 // the last of too many: nobody knows its state any more
	refuse   atomic.Pointer[process.Error] // what each request is told since then

	inbox *inbox
	ended chan struct{} // nobody takes from the inbox any more
	view  atomic.Pointer[view]
	tally atomic.Pointer[tally]
}

// kept is a [store.Process] whose definition is shared with all views: it is large, and never
// changed but replaced.
type kept struct {
	*store.Definition
	store.Target
	Last *process.Run
}

func (s *Supervisor) newManaged(stored store.Process, times *schedule.Schedule, out output) *managed {
	kept := kept{new(stored.Definition), stored.Target, stored.Last}
	p := &managed{
		s: s, name: kept.Spec.Name, kept: kept, totals: stored.Totals, times: times, output: out,
		runs: map[uint64]*run.Run{}, others: map[uint64]store.Beside{}, inbox: new(inbox), ended: make(chan struct{}),
	}
	p.needs = lifecycle.Needs{Of: func() []process.Need { return p.kept.Spec.AllNeeds() }, Look: s.seen}
	p.machine = lifecycle.Process{Up: kept.Up, Stopped: kept.WasStopped(), Scheduled: times != nil, Rest: p.rest(), Last: kept.Target.Run,
		Policy: kept.Spec.Restarting, Reason: kept.Reason, Overlap: kept.Spec.Overlapping, SchedulePaused: kept.SchedulePaused, Skip: kept.Skip}
	p.resumeAttempts()
	p.publish()
	return p
}

// rest is where the process is without a run.
func (p *managed) rest() process.State {
	switch {
	case p.kept.Up && p.kept.Waiting && p.invalid == nil:
		return process.Waiting
	case p.kept.Up && !p.kept.Restarts.Next.IsZero() && p.invalid == nil:
		return process.Backoff
	case p.kept.Spec.Cron != "" && p.kept.Up && p.invalid == nil:
		return process.Scheduled
	case p.kept.State == 0 || p.kept.Spec.Cron != "" && p.kept.Up:
		return process.Stopped
	}
	return p.kept.State
}

// serve has the loop go on until the process is forgotten or the daemon ends.
func (p *managed) serve() {
	p.s.loops.Add(1)
	p.inbox.serve(func() { go p.loop() })
}

// loop does what is put into the inbox, as long as there is something. Then it gives back its
// goroutine, whose stack would be the largest part of an idle process; the inbox starts the
// next one. There is one at a time.
func (p *managed) loop() {
	for !p.finished() {
		do := p.inbox.take()
		if do == nil {
			return
		}
		p.guarded(do)
		if p.broken != nil {
			p.leaveAlone()
			break
		}
	}
	p.end()
	if p.broken == nil {
		close(p.ended)
	}
	p.s.loops.Done()
}

// finished reports whether there is nothing left to wait for.
func (p *managed) finished() bool {
	switch {
	case p.machine.Removed:
		return true
	case !p.machine.Closing:
		return false
	case p.machine.Settled() && p.disk.under == 0:
		return true
	case p.disk.hung != nil && p.onDisk(): // nothing more can be done
		return true
	}
	for _, r := range p.runs {
		if !r.Stuck() {
			return false
		}
		p.s.log.Print(r.StuckError())
	}
	return len(p.runs) > 0
}

// end is the last that the loop does.
func (p *managed) end() {
	defer border.Catch(p.sayFault)
	p.disarm()
	p.dropAttempt()
	p.dropLimits()
	p.leaveGate()
	p.disk.stop()
	if p.disk.hung == nil { // the keeper ends too
		for _, r := range p.disk.unkept {
			r.Release()
		}
	}
	p.inbox.close() // requests in it find that nobody takes them
	p.answerAll(p.s.gone(p.name))
	p.dropWaits(p.s.gone(p.name))
}

// handle feeds the lifecycle and carries out what it says.
func (p *managed) handle(e lifecycle.Event) {
	e.Now, e.Random = p.s.clock.Now(), rand.Float64()
	former := p.startErr
	if e.Kind == lifecycle.RunEnded {
		e.Lasted = p.over(e.Run)
	}
	e.Held = len(p.needs.Missing()) > 0
	p.dropStart(e.Kind)
	if (e.Kind == lifecycle.Close || e.Kind == lifecycle.Shutdown) && (p.disk.retry != nil || len(p.disk.ledger) > 0) { // the last chance
		p.disk.dirty = true
	}
	var actions []lifecycle.Action
	inLine, last := p.machine.Queue, p.machine.Last
	if p.machine, actions = p.machine.Step(e); inLine != nil && p.machine.Queue == nil && p.machine.Last == last {
		p.jobID = "" // that was its
	}
	if p.startErr != former {
		p.startErr = p.tried(p.startErr)
	}
	for _, r := range p.runs { // before anything is done about its end
		r.Follow(p.machine.Then, p.nextJobID(), p.machine.Asked)
	}
	for _, a := range actions {
		p.carryOut(a)
	}
	p.endsDaemon(e)
}

func (p *managed) carryOut(a lifecycle.Action) {
	switch a.Do {
	case lifecycle.Answer:
		p.settle(a.Goal, a.Run, a.Code)
	case lifecycle.Refuse:
		last := len(p.waiting) - 1
		r := p.waiting[last]
		p.waiting = p.waiting[:last]
		err := p.failure(a.Code)
		if a.Reason != "" {
			err = process.Errorf(a.Code, "process '%s' was not run: %s (overlap is %s)", p.name, a.Reason, p.kept.Spec.Overlapping.Way())
		}
		p.answer(r, err)
	case lifecycle.Account:
		p.account(a)
	case lifecycle.Save:
		p.disk.dirty = true
	case lifecycle.Arm:
		p.arm()
	case lifecycle.Disarm:
		p.disarm()
		if !p.machine.Closing { // the next daemon tells by it what was missed
			p.next = time.Time{}
		}
	case lifecycle.AwaitRetry:
		p.awaitAttempt()
		p.tell(process.Event{Kind: process.EventBackoff, NextAttempt: p.attempt, Restarts: p.machine.Attempts.Count})
		p.disk.dirty = true
	case lifecycle.DropRetry:
		p.dropAttempt()
		if !p.machine.Closing { // the next daemon goes on with it
			p.attempt = noTime
		}
	case lifecycle.GiveUp:
		p.tell(process.Event{Kind: process.EventGaveUp, Restarts: p.machine.Attempts.Count, Error: p.machine.Reason})
		p.disk.dirty = true
	case lifecycle.TellFailed:
		p.failed(a.Run)
	case lifecycle.Hold:
		p.tell(process.Event{Kind: process.EventWaiting, Error: p.waitsText()})
		p.inbox.put(p.checkNeeds) // that it will not come may be known since before it waited
	case lifecycle.Spawn:
		p.spawn(a.Run)
	case lifecycle.EndRun:
		r := p.runs[a.Run]
		r.Follow(p.machine.Then, p.nextJobID(), p.machine.Asked)
		p.told(r.End(a.Cause))
	case lifecycle.PauseRun:
		p.told(p.runs[a.Run].Pause())
	case lifecycle.ResumeRun:
		p.told(p.runs[a.Run].GoOn())
	case lifecycle.Remove:
		p.remove()
	}
}

// told takes what a run has to tell.
func (p *managed) told(events []lifecycle.Event) {
	for _, e := range events {
		switch e.Kind {
		case lifecycle.RunStarted:
			p.tellStarted(p.runs[e.Run])
		case lifecycle.RunReady:
			p.leaveGate()
			p.tellReady(p.runs[e.Run])
		case lifecycle.RunUnhealthy:
			p.tell(process.Event{Kind: process.EventUnhealthy, Run: e.Run, JobID: p.runs[e.Run].JobID, Error: p.runs[e.Run].Health().Error})
		case lifecycle.RunHealthy:
			p.tell(process.Event{Kind: process.EventHealthy, Run: e.Run, JobID: p.runs[e.Run].JobID})
		case lifecycle.RunLimited:
			p.tellLimits(p.runs[e.Run])
		case lifecycle.RunPaused, lifecycle.RunNotPaused, lifecycle.RunResumed:
			p.tellPaused(p.runs[e.Run])
		case lifecycle.RunEnding:
			if e.Cause != 0 && e.Cause != process.CauseExit && e.Cause != process.CauseLost && (e.Cause != process.CauseStart || p.runs[e.Run].Born()) {
				p.tell(process.Event{Kind: process.EventStopping, Run: e.Run, JobID: p.runs[e.Run].JobID, Cause: e.Cause})
			}
		}
		p.handle(e)
	}
}

// tellStarted tells once that a run has started.
func (p *managed) tellStarted(r *run.Run) {
	if p.isNews(r, p.kept.Started, func(b *store.Beside) *bool { return &b.Started }) {
		p.kept.Started = max(p.kept.Started, r.ID.Run)
		p.enterStart(r)
		p.tell(process.Event{Kind: process.EventStarted, Run: r.ID.Run, PID: r.PID(), JobID: r.JobID})
	}
}

// tellReady tells once that a run is ready, if that was waited for.
func (p *managed) tellReady(r *run.Run) {
	if !r.ReadyTime().IsZero() && p.isNews(r, p.kept.Readied, func(b *store.Beside) *bool { return &b.Readied }) {
		p.kept.Readied = max(p.kept.Readied, r.ID.Run)
		p.tell(process.Event{Kind: process.EventReady, Run: r.ID.Run, PID: r.PID(), JobID: r.JobID})
	}
}

// Tell has the loop give an event to its run.
func (p *managed) Tell(e run.Event) {
	p.inbox.put(func() { p.runEvent(e) })
}

func (p *managed) runEvent(e run.Event) {
	if r := p.runs[e.Run]; r != nil {
		p.told(r.Handle(e))
	}
}

// Aside does work of a run beside the loop.
func (p *managed) Aside(work func() run.Event) {
	p.aside(func() func() {
		e := work()
		return func() { p.runEvent(e) }
	})
}

// spawn begins a run when its number is on disk.
func (p *managed) spawn(number uint64) {
	was := before{p.kept.Target, p.owed, p.jobID}
	t := &p.kept.Target
	p.noteBeside()
	t.Run, t.JobID, t.Asked = number, p.jobIDOf(number), p.machine.AskedFor(number)
	t.Origin, t.Missed, t.Changed = p.s.origin, time.Time{}, nil
	t.Scheduled = p.disk.entryOf(number)
	p.owed, p.jobID, p.unstored = false, "", nil
	p.needs.Begun()
	if err := p.reopenOutput(); err != nil {
		p.s.log.Printf("process '%s': %v", p.name, err)
	}
	r := p.s.host.New(run.Plan{ID: keeper.RunID{Name: p.name, Run: number}, JobID: t.JobID, Asked: t.Asked, Spec: p.kept.NextSpec(), Output: p.output.of(len(p.runs) > 0)}, p)
	p.runs[number] = r
	p.disk.dirty, p.disk.number = true, true
	p.tell(process.Event{Kind: process.EventStarting, Run: number, JobID: t.JobID, Restarts: p.machine.Attempts.Count, Asked: t.Asked})
	p.afterSave(func(err error) {
		switch {
		case p.runs[number] != r:
		case err != nil:
			p.takeBack(r, was, err)
		case p.invalid != nil:
			p.startErr = p.invalid
			p.told(r.Cancel(p.startErr))
		default:
			p.s.at(PointNumbered)
			r.Begin()
		}
	})
}

// over records a run of which nobody is left, and returns how long it lasted. What it had
// is removed when that is on disk.
func (p *managed) over(number uint64) (lasted time.Duration) {
	p.leaveGate()
	r := p.runs[number]
	result := r.Result()
	p.keepLast(result)
	if err := r.Failed(); err != nil {
		p.startErr = err
		if _, ours := errors.AsType[*process.Error](err); !ours {
			p.startErr = process.Errorf(process.CodeStart, "process '%s' could not be started: %v", p.name, err)
		}
	} else if !r.Ready() {
		p.startErr = process.Errorf(process.CodeStart, "process '%s' is not ready: run %d ended: %s", p.name, number, cmp.Or(result.Error, result.Cause.String()))
	}
	p.disk.unkept = append(p.disk.unkept, r)
	p.disk.dirty = true
	p.kept.PausedRuns = slices.DeleteFunc(slices.Clone(p.kept.PausedRuns), func(n uint64) bool { return n == number })
	delete(p.runs, number)
	p.noteEnd(result)
	p.tellLastKills(r, result.OOM)
	p.tell(process.Event{Kind: process.EventEnded, Run: number, JobID: result.JobID, Cause: result.Cause,
		ExitCode: result.ExitCode, Signal: result.Signal, Error: result.Error})
	return time.Duration(result.Uptime * float64(time.Second))
}

// nextJobID is the id of the next run: of a request that waits for it. In a schedule each
// run has that of the definition.
func (p *managed) nextJobID() string { return p.jobIDOf(p.machine.Last + 1) }

// jobIDOf is nextJobID for a run that is about to begin.
func (p *managed) jobIDOf(number uint64) string {
	for _, r := range slices.Backward(p.waiting) {
		_, one := r.op.(process.Trigger) // waits for no other
		if r.starts() && r.jobID != "" && (!one || r.run == number) {
			return r.jobID
		}
	}
	if p.jobID == "" && p.kept.Spec.Cron != "" {
		return p.kept.Spec.JobID
	}
	return p.jobID
}

// remove has the process forgotten. That it is to be goes to disk before anything is
// destroyed; the next daemon finishes what was begun.
func (p *managed) remove() {
	p.kept.Removed = true
	p.disk.dirty, p.disk.closed = true, false
	p.afterSave(func(err error) {
		if err != nil { // it would be back with the next daemon
			p.kept.Removed = false
			p.disk.dirty = true // a write behind that one may have been done
			p.handle(lifecycle.Event{Kind: lifecycle.NotForgotten})
			return
		}
		p.disk.closed = true
		out, left := p.output, p.disk.unkept // their results could not be put on disk, and are not wanted any more
		p.disk.unkept = nil
		p.aside(func() func() {
			p.s.failures.drop(p)
			p.s.at(PointCondemned)
			for _, r := range left { // who gets the name next must not meet their groups
				r.Release()
			}
			p.s.erase(p.name, out)
			return func() {
				p.s.forget(p) // first: who is answered may give the name to another
				p.handle(lifecycle.Event{Kind: lifecycle.Forgotten})
			}
		})
	})
}

// ask puts a request to the loop and waits for its answer. When ctx ends first, what was
// asked goes on.
func (p *managed) ask(ctx context.Context, r request) (process.Status, error) {
	r.answer, r.caller = make(chan answer, 1), process.CallerOf(ctx)
	a, err := p.exchange(ctx, r, func() { p.receive(r) })
	return a.status(), err
}

// exchange has the loop take up a request, and waits for its answer.
func (p *managed) exchange(ctx context.Context, r request, take func()) (answer, error) {
	if !p.inbox.put(take) {
		return answer{}, p.gone()
	}
	select {
	case a := <-r.answer:
		return a, a.err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-p.ended:
	}
	select { // it may have been answered at the end
	case a := <-r.answer:
		return a, a.err
	default:
		return answer{}, p.gone()
	}
}

// gone is what requests are told when nobody takes them any more.
func (p *managed) gone() error {
	if err := p.refuse.Load(); err != nil {
		return err
	}
	return p.s.gone(p.name)
}
