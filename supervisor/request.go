package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// request is something that somebody has asked of a process, and waits for.
type request struct {
	op     process.Operation
	spec   *process.Spec // of a start with a definition; nil: none
	goal   lifecycle.Goal
	run    uint64 // that it waits for; of UntilReady and UntilEnded
	jobID  string
	caller process.Caller
	found  uint64       // the run that was under way when it came; 0: none
	ended  *process.Run // of a wait: the run that was waited for; nil: none
	answer chan answer  // holds one
}

// starts reports whether it is to start something.
func (r *request) starts() bool {
	return r.goal == lifecycle.UntilStarted || r.goal == lifecycle.UntilReady || r.goal == lifecycle.UntilEnded || r.goal == lifecycle.UntilTriggered
}

// goalOf is what a request to start waits for.
func goalOf(w process.Wait) lifecycle.Goal {
	switch w {
	case process.WaitReady:
		return lifecycle.UntilReady
	case process.WaitEnd:
		return lifecycle.UntilEnded
	}
	return lifecycle.UntilStarted
}

// answer is what a request gives: how things stood when it was done.
type answer struct {
	view      *view
	ended     *process.Run // the run that was waited for; nil: none
	signalled int
	err       error
}

func (a answer) status() process.Status {
	if a.view == nil {
		return process.Status{}
	}
	detail := process.Full // of what is over
	if a.view.meter != nil {
		detail = process.Brief // all figures of a tree that lives cost more than its start
	}
	status, _ := a.view.status(detail) // of a run that has ended by now there are no figures
	status.Signalled = a.signalled
	return status
}

// receive begins what a request asks for.
func (p *managed) receive(r request) {
	if n := len(p.machine.Runs); n > 0 {
		r.found = p.machine.Runs[n-1].Number
	}
	switch op := r.op.(type) {
	case newDefinition:
		p.define(r, op)
	case defineOnly:
		p.defineOnly(r)
	case toApply:
		p.apply(r, op)
	case process.StartAgain:
		r.goal, r.jobID = goalOf(op.Wait), op.JobID
		p.wait(r, lifecycle.Start)
	case process.Restart:
		r.goal, r.jobID = goalOf(op.Wait), op.JobID
		p.wait(r, lifecycle.Restart)
	case process.Trigger:
		if r.goal, r.jobID = goalOf(op.Wait), op.JobID; r.goal == lifecycle.UntilStarted {
			r.goal = lifecycle.UntilTriggered
		}
		p.wait(r, lifecycle.Trigger)
	case process.Stop:
		r.goal = lifecycle.UntilStopped
		p.wait(r, lifecycle.Stop)
	case process.Delete:
		if err := p.s.ordering.leave(p.name); err != nil {
			p.answer(r, err)
			return
		}
		r.goal = lifecycle.UntilRemoved
		p.wait(r, lifecycle.Delete)
	case process.Pause:
		r.goal = lifecycle.UntilPaused
		p.wait(r, lifecycle.Pause)
	case process.Resume:
		r.goal = lifecycle.UntilResumed
		p.wait(r, lifecycle.Resume)
	case process.SendSignal:
		p.signal(r, op)
	case process.SchedulePause:
		p.askSchedule(r, lifecycle.PauseSchedule)
	case process.ScheduleResume:
		p.askSchedule(r, lifecycle.ResumeSchedule)
	case process.SkipNext:
		p.askSchedule(r, lifecycle.SkipNext)
	case process.Set:
		p.set(r, op)
	case *execution:
		p.execute(r, op)
	case leaving:
		p.leave(r, op)
	default:
		p.answer(r, process.Errorf(process.CodeInternal, "no way to carry out a %T", op))
	}
}

// wait has a request answered by what comes of an event.
func (p *managed) wait(r request, kind lifecycle.EventKind) {
	if r.starts() {
		err := p.mayStart()
		if err == nil && kind != lifecycle.Trigger && r.goal != lifecycle.UntilStarted && p.times != nil {
			err = process.Errorf(process.CodeInvalid, "process '%s' starts at the times of its schedule, so there is no run to wait for: leave wait away", p.name)
		}
		if err != nil {
			p.answer(r, err)
			return
		}
		r.run = p.machine.Awaits(kind)
		p.startNeeds()
	}
	by := process.ByRequest
	switch r.op.(type) {
	case toApply:
		by = process.ByApply
	case process.Trigger:
		by = process.ByTrigger
	}
	p.waiting = append(p.waiting, r)
	former := p.machine.Queue
	p.handle(lifecycle.Event{Kind: kind, Asked: r.caller.Asks(by)})
	if q := p.machine.Queue; kind == lifecycle.Trigger && q != nil && q != former { // it may be answered by now
		p.jobID = r.jobID
	}
}

// mayStart is why nothing of it can be started; nil: it can.
func (p *managed) mayStart() error {
	if p.machine.Closing {
		return errShuttingDown
	}
	return p.mend()
}

// signal sends a signal to what runs.
func (p *managed) signal(r request, op process.SendSignal) {
	if r.found == 0 {
		p.answer(r, process.Errorf(process.CodeNotRunning, "process '%s' does not run, so there is nobody to send a signal to", p.name))
		return
	}
	sent, failed := 0, error(nil)
	for _, running := range p.runs {
		n, err := running.Send(op.Signal, op.Tree)
		if sent += n; err != nil {
			failed = process.Errorf(process.CodeNotRunning, "process '%s': the signal could not be sent: %v", p.name, err)
		}
	}
	if sent > 0 { // to one of several
		failed = nil
	}
	r.answer <- answer{view: p.look(true), signalled: sent, err: failed}
}

// settle answers those who wait for a goal; where it is that of one run, those alone.
func (p *managed) settle(g lifecycle.Goal, run uint64, code process.Code) {
	switch {
	case g == lifecycle.UntilStarted && code != "":
		p.jobID = ""
	case g == lifecycle.UntilRemoved && code != "":
		p.s.ordering.stay(p.name)
	}
	err := p.failure(code)
	if code == process.CodeSuperseded && g == lifecycle.UntilReady && p.machine.Busy() {
		err = process.Errorf(code, "process '%s' was not ready: a later request took its place", p.name)
	}
	switch g {
	case lifecycle.UntilPaused, lifecycle.UntilResumed:
		err = p.pauseFailure(g, code)
	}
	var kept []request
	for _, r := range p.waiting {
		if r.goal == g && (run == 0 || run == r.run) {
			p.answer(r, err)
		} else {
			kept = append(kept, r)
		}
	}
	p.waiting = kept
}

// answer answers a request with how things stand. What is done must be on disk first: the
// next daemon would not know of it.
func (p *managed) answer(r request, err error) {
	v := p.look(true) // it is told when it is on disk
	v.already = r.found != 0 && r.found == v.run.Number && r.starts() && r.goal != lifecycle.UntilTriggered
	a := answer{view: v, ended: r.ended, err: err}
	switch {
	case err != nil && err != p.startErr: // nothing was done
	case p.disk.closed: // what it was is no more
	case p.disk.hung != nil:
		a.failIfDone(p.disk.hung)
	case p.disk.dirty || len(p.disk.writes) > 0:
		p.hurry()
		p.disk.held = append(p.disk.held, held{r, a, p.pendingWrite()})
		return
	default:
		a.failIfDone(p.disk.unsaved)
	}
	p.publish() // first: who is answered must see the new state
	r.answer <- a
}

// failIfDone says that what was done is not on disk.
func (a *answer) failIfDone(err error) {
	if a.err == nil {
		a.err = err
	}
}

// answerAll answers everybody who waits.
func (p *managed) answerAll(err error) {
	p.answerHeld(err)
	for _, r := range p.waiting {
		select {
		case r.answer <- answer{view: p.view.Load(), err: err}:
		default: // it was answered before a fault
		}
	}
	p.waiting = nil
}

// failure is the error of a code, in the words of this process.
func (p *managed) failure(code process.Code) error {
	switch code {
	case "":
		return nil
	case process.CodeStart:
		return p.startErr
	case process.CodeStore:
		return p.disk.unsaved
	case process.CodeSuperseded:
		return process.Errorf(code, "process '%s' was not started: a later request took its place", p.name)
	case process.CodeStuck:
		for _, r := range p.runs {
			if r.Stuck() {
				return r.StuckError()
			}
		}
	case process.CodeNotRunning:
		instead := ""
		if p.machine.State() == process.Scheduled {
			instead = "; its schedule is paused by schedule_pause, and resumed by schedule_resume"
		}
		return process.Errorf(code, "process '%s' is %v: it has nothing running that could be paused or resumed%s", p.name, p.machine.State(), instead)
	case process.CodeNeeds:
		return p.waitsInVain()
	case process.CodeNotFound:
		return process.Errorf(code, "process '%s' is being deleted", p.name)
	case process.CodeShuttingDown:
		return errShuttingDown
	}
	return process.Errorf(code, "process '%s': %s", p.name, code)
}
