package lifecycle

import (
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// notStored is why nothing came of a time: for people.
const notStored = "it could not be put on disk that a run was to begin"

// before is what a process is without the run that it begins in next: what is on disk, or
// was to come there without it.
func (p *Process) before(next *Process) *Process {
	was := Process{Up: p.Up, Stopped: p.Stopped, Rest: p.Rest, Attempts: p.Attempts, Reason: p.Reason}
	if p.Rest != process.Backoff { // the run before may have ended just now
		was.Rest = next.Rest
	}
	return &was
}

// unstored takes a run back whose number is not on disk, and the start that led to it: the
// next worker would know of neither. A stop that came meanwhile holds.
func (p *Process) unstored(e *Event) []Action {
	i := p.find(e.Run)
	switch {
	case i < 0 || p.Before == nil:
		return nil
	case e.Run != p.Last: // another one has begun beside it meanwhile
		never := p.Runs[i]
		p.Runs = slices.Delete(p.Runs, i, i+1)
		return append(p.notBegun(never), p.unstoredOne(e.Run)...)
	}
	next, was, never := p.Then, *p.Before, p.Runs[i]
	p.Runs, p.Last, p.Before = slices.Delete(p.Runs, i, i+1), p.Last-1, nil
	actions := p.notBegun(never)
	if p.Busy() { // others go on beside it
		p.Up, p.Stopped = p.Up && was.Up, p.Stopped || was.Stopped
		return append(actions, p.unstoredOne(e.Run)...)
	}
	p.Asked = never.Asked                                                               // should it be tried again
	if p.Up && was.Rest == process.Waiting && never.Phase == Starting && !p.Scheduled { // who waits goes on waiting
		return actions
	}
	actions = append(actions, fail(UntilTriggered, process.CodeStore), fail(UntilReady, process.CodeStore), fail(UntilEnded, process.CodeStore))
	if never.Phase == Starting || next != ThenRest { // else who waits for a start waits for the schedule to be armed
		actions = append(actions, fail(UntilStarted, process.CodeStore))
	}
	actions = append(append(actions, p.dropQueue(notStored)...), answer(UntilStopped))
	p.Then = ThenRest
	p.Up, p.Stopped = p.Up && was.Up, p.Stopped || was.Stopped
	p.Attempts, p.Reason = was.Attempts, was.Reason
	switch {
	case !p.Up:
		if !was.Rest.AtRest() {
			p.Rest = process.Stopped
		}
		p.Attempts.Next, p.Attempts.Delay = 0, 0
		if actions = append(actions, Action{Do: Disarm}); next == ThenRemove {
			return p.forget(actions...)
		}
		return actions
	case was.Rest == process.Backoff:
		p.Rest = process.Backoff
		if p.Attempts.Next <= e.Now { // not at once: nothing has changed
			p.Attempts.Delay = max(p.Attempts.Delay, process.MinRestartDelay)
			p.Attempts.Next = e.Now + p.Attempts.Delay
		}
		actions = append(actions, Action{Do: AwaitRetry})
	case p.Scheduled:
		p.Rest = process.Scheduled
	case was.Rest == process.Waiting:
		p.Rest = process.Stopped
	}
	if p.Scheduled {
		actions = append(append(actions, Action{Do: Arm}), p.armed()...)
	}
	return actions
}

// notBegun says what becomes of the time of a run that never was: one that was missed is still
// to be caught up.
func (p *Process) notBegun(never Execution) []Action {
	if never.Of.Outcome != process.CaughtUp || !p.onSchedule() || p.SchedulePaused {
		return never.Of.became(process.Skipped, notStored)
	}
	p.Backlog = slices.Insert(slices.Clone(p.Backlog), 0, never.Of)
	return never.Of.account(0)
}

// unstoredOne tells those who wait for one run alone that it never was.
func (p *Process) unstoredOne(run uint64) (actions []Action) {
	for _, g := range []Goal{UntilTriggered, UntilReady, UntilEnded} {
		actions = append(actions, Action{Do: Answer, Goal: g, Run: run, Code: process.CodeStore})
	}
	return actions
}
