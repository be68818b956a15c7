package lifecycle

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// wasStopped is why nothing came of a time: for people.
const wasStopped = "the process was stopped"

func (p *Process) stop() []Action {
	switch {
	case p.Then == ThenRemove:
		return p.end(process.CauseStop) // what is stuck is killed again
	case !p.Busy() && (p.Removing || p.Rest != process.Scheduled && p.Rest != process.Waiting && p.Rest != process.Backoff):
		if !p.Up && p.Stopped {
			return []Action{answer(UntilStopped)}
		}
		p.Up, p.Stopped = false, true // a stop holds
		// A run that was stuck may have left times behind.
		return append(p.leaveSchedule(), Action{Do: Save}, answer(UntilStopped))
	}
	p.Up, p.Stopped = false, true
	if !p.Busy() {
		drop := append(p.leave(), p.leaveSchedule()...)
		p.Rest = process.Stopped
		return append(drop, Action{Do: Disarm}, Action{Do: Save}, answer(UntilStopped))
	}
	p.Then = ThenStop
	return p.endForGood()
}

func (p *Process) remove() []Action {
	switch {
	case p.Removing:
		return nil
	case !p.Busy():
		return p.forget(append(p.unawaited(), Action{Do: Disarm})...)
	}
	p.Then, p.Up = ThenRemove, false
	return p.endForGood()
}

// endForGood ends what runs, and nothing starts behind it.
func (p *Process) endForGood() []Action {
	actions := append(append(p.end(process.CauseStop), p.leaveSchedule()...), Action{Do: Disarm})
	return append(append(actions, p.notStarted(process.CodeSuperseded)...), Action{Do: Save})
}

// leaveSchedule has nothing come of times whose run has not begun.
func (p *Process) leaveSchedule() []Action {
	p.Skip = time.Time{}
	return append(p.dropBacklog(process.Missed, wasStopped), p.dropQueue(wasStopped)...)
}

// leave gives up what the process waits for without a run.
func (p *Process) leave() []Action {
	actions := p.unawaited()
	p.leaveBackoff()
	return actions
}

// unawaited are the actions of a process that does not wait any more.
func (p *Process) unawaited() []Action {
	switch p.Rest {
	case process.Backoff:
		return []Action{{Do: DropRetry}}
	case process.Waiting:
		return p.notStarted(process.CodeSuperseded)
	}
	return nil
}

func (p *Process) forget(first ...Action) []Action {
	p.Removing = true
	return append(first, Action{Do: Remove})
}

// notForgotten goes on as if nobody had asked for a delete.
func (p *Process) notForgotten() []Action {
	p.Removing = false
	actions := []Action{fail(UntilRemoved, process.CodeStore)}
	switch {
	case p.Rest == process.Scheduled, p.Rest == process.Backoff && p.Scheduled:
		actions = append(actions, Action{Do: Arm})
	}
	if p.Rest == process.Backoff {
		actions = append(actions, Action{Do: AwaitRetry})
	}
	return actions
}

// close lets nothing start any more, and leaves the target alone.
func (p *Process) close() []Action {
	p.Closing = true
	if p.Then == ThenStart {
		p.Then = ThenRest
	}
	actions := []Action{{Do: Disarm}}
	if p.Rest == process.Backoff { // the next daemon goes on with it
		actions = append(actions, Action{Do: DropRetry})
	}
	return append(actions, p.notStarted(process.CodeShuttingDown)...)
}

// shutdown ends what runs.
func (p *Process) shutdown() []Action {
	closed := p.close()
	var actions []Action
	for i := range p.Runs {
		if r := &p.Runs[i]; r.Phase != Stopping {
			r.Phase = Stopping
			actions = append(actions, Action{Do: EndRun, Run: r.Number, Cause: process.CauseShutdown})
		}
	}
	return append(actions, closed...)
}

// end has each run end. One that is being ended has its cause, or takes this one if it has
// none (its leader has left its group); one that is stuck is killed again.
func (p *Process) end(cause process.Cause) (actions []Action) {
	for i := range p.Runs {
		r := &p.Runs[i]
		r.Phase, r.Stuck = Stopping, false
		actions = append(actions, Action{Do: EndRun, Run: r.Number, Cause: cause})
	}
	return actions
}

// stuck tells everybody who waits that a run cannot be ended. What was to follow is
// dropped, for they are told that it failed.
func (p *Process) stuck(run uint64) []Action {
	i := p.find(run)
	if i < 0 || p.Runs[i].Stuck {
		return nil
	}
	p.Runs[i].Phase, p.Runs[i].Stuck = Stopping, true
	if p.Then == ThenStart || p.Then == ThenRemove {
		p.Then = ThenStop
	}
	var actions []Action
	if p.Overlap.Way() == process.OverlapReplace {
		actions = p.dropQueue(p.underWay() + " cannot be ended")
	}
	return append(actions,
		fail(UntilStopped, process.CodeStuck), fail(UntilStarted, process.CodeStuck), fail(UntilRemoved, process.CodeStuck),
		fail(UntilReady, process.CodeStuck), fail(UntilEnded, process.CodeStuck), fail(UntilTriggered, process.CodeStuck),
	)
}

// ended is the end of a run. When it was the last one, what was queued follows.
func (p *Process) ended(e *Event) []Action {
	i := p.find(e.Run)
	over := p.Runs[i]
	p.Runs = slices.Delete(p.Runs, i, i+1)
	var actions []Action
	if e.Cause == process.CauseStart && !over.Started {
		// Before anything else: who waits for a scheduled process would be told that all is well.
		actions = append(actions, fail(UntilStarted, process.CodeStart), Action{Do: Answer, Goal: UntilTriggered, Run: e.Run, Code: process.CodeStart})
	} else if !over.Started {
		actions = append(actions, Action{Do: Answer, Goal: UntilTriggered, Run: e.Run, Code: process.CodeSuperseded})
	}
	if !over.Ready {
		actions = append(actions, Action{Do: Answer, Goal: UntilReady, Run: e.Run, Code: process.CodeStart})
	}
	actions = append(actions, Action{Do: Answer, Goal: UntilEnded, Run: e.Run})
	if p.Busy() {
		return append(actions, p.workOff()...)
	}
	actions = append(actions, answer(UntilStopped))
	next := p.Then
	p.Rest, p.Then = p.rest(e), ThenRest
	switch {
	case next == ThenRemove:
		return p.forget(actions...)
	case next == ThenStart:
		p.Up, p.Stopped = true, false
		p.asked()
		return p.spawn(append(actions, Action{Do: Arm})...)
	case p.Queue != nil && !p.Closing:
		p.asked()
		p.Asked = p.Queue.Asked
		if p.Scheduled && !p.Up { // it is not to be armed
			return p.spawn(actions...)
		}
		return p.spawn(append(actions, Action{Do: Arm})...)
	case next == ThenRest && len(p.Backlog) > 0 && p.onSchedule():
		return append(actions, p.workOff()...)
	case next == ThenRest && p.Up && !p.Closing && Restarts(p.Policy, e.Cause, e.Success):
		return p.backOff(e, actions)
	case p.Rest == process.Scheduled:
		actions = append(append(actions, Action{Do: Arm}), p.armed()...)
	}
	return actions
}

// rest is where a process is when its last run has ended so.
func (p *Process) rest(e *Event) process.State {
	switch {
	case p.Then == ThenStop, p.Then == ThenRemove:
		return process.Stopped
	case p.Closing && e.Cause == process.CauseShutdown:
		return process.Stopped
	case p.Scheduled && p.Up: // also after the shutdown of a daemon that was killed meanwhile
		return process.Scheduled
	case e.Cause == process.CauseStop, e.Cause == process.CauseShutdown, e.Cause == process.CauseReplaced:
		return process.Stopped
	case e.Success:
		return process.Completed
	}
	return process.Failed
}
