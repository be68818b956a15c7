package lifecycle

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Why nothing came of a time that was to be caught up: for people.
const (
	tooMany       = "more than 100 times were to be caught up"
	otherSchedule = "its schedule was changed"
)

// catchUp puts times that were missed into the backlog.
func (p *Process) catchUp(e *Event) []Action {
	if !p.onSchedule() {
		return nil
	}
	var actions []Action
	p.Backlog = slices.Clone(p.Backlog)
	for _, t := range e.Times {
		o := Occasion{Time: t, Outcome: process.CaughtUp, Reason: e.Reason, Asked: process.Asked{By: process.ByCatchUp, Time: t.UTC()}}
		switch {
		case p.SchedulePaused:
			actions = append(actions, o.became(process.WhilePaused, "")...)
		case p.skips(t):
			actions = append(actions, o.became(process.SkippedOnRequest, "")...)
		default:
			p.Backlog = append(p.Backlog, o)
			actions = append(actions, o.account(0)...)
		}
	}
	for len(p.Backlog) > process.MaxCatchup {
		actions = append(actions, p.Backlog[0].became(process.Missed, tooMany)...)
		p.Backlog = p.Backlog[1:]
	}
	return append(actions, Action{Do: Save})
}

// workOff begins the runs of the backlog that can begin: one, when nothing goes on, or several
// where they may go on side by side.
func (p *Process) workOff() []Action {
	var actions []Action
	for len(p.Backlog) > 0 && p.onSchedule() && p.Queue == nil && p.Then == ThenRest && p.hasRoom() {
		o := p.Backlog[0]
		p.Backlog = slices.Clone(p.Backlog[1:])
		actions = append(actions, p.leaveBackoff()...)
		p.asked()
		actions = append(actions, p.take(o).spawn()...)
	}
	return actions
}

// hasRoom reports whether a run that makes nobody way can begin.
func (p *Process) hasRoom() bool {
	switch {
	case p.Rest == process.Waiting && !p.Busy():
		return false
	case !p.Busy():
		return true
	}
	return p.Overlap.Way() == process.OverlapAllow && !p.Held && !p.isStuck() && len(p.Runs) < p.Overlap.Most()
}

// dropBacklog has nothing come of the times that were to be caught up.
func (p *Process) dropBacklog(outcome process.Fate, reason string) (actions []Action) {
	for _, o := range p.Backlog {
		actions = append(actions, o.became(outcome, reason)...)
	}
	p.Backlog = nil
	return actions
}

// forgetBacklog is for a definition that has another way to catch up.
func (p *Process) forgetBacklog(reason string) []Action {
	actions := p.dropBacklog(process.Missed, reason)
	return append(actions, Action{Do: Save})
}

// pauseSchedule has the times of the schedule pass without a run, those too that were to be caught up.
func (p *Process) pauseSchedule() []Action {
	p.SchedulePaused = true
	return append(p.dropBacklog(process.WhilePaused, ""), Action{Do: Save})
}

// resumeSchedule has the schedule go on with its next time.
func (p *Process) resumeSchedule() []Action {
	p.SchedulePaused = false
	return []Action{{Do: Save}}
}

// skipNext has a time of the schedule pass without a run. Who asks again before it has come
// gets the same.
func (p *Process) skipNext(next time.Time) []Action {
	p.Skip = next
	return []Action{{Do: Save}}
}

// skips reports whether a time is the one to be skipped. It is asked about times in their
// order, and forgets one that has passed.
func (p *Process) skips(t time.Time) bool {
	if p.Skip.IsZero() || p.Skip.After(t) {
		return false
	}
	is := p.Skip.Equal(t)
	p.Skip = time.Time{}
	return is
}
