package lifecycle

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func (p *Process) start(by process.Asked) []Action {
	switch {
	case p.Then == ThenRemove, p.Removing:
		return []Action{{Do: Refuse, Code: process.CodeNotFound}}
	case p.Closing:
		return []Action{{Do: Refuse, Code: process.CodeShuttingDown}}
	case p.isStuck():
		return []Action{{Do: Refuse, Code: process.CodeStuck}}
	case p.ending():
		p.Then, p.Asked = ThenStart, by
		if p.Scheduled {
			p.Then, p.Up, p.Stopped = ThenRest, true, false
		}
		return []Action{{Do: Save}}
	case slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Phase == Starting }):
		return nil // answered with the one who has started it
	case p.Busy():
		actions := []Action{answer(UntilStarted)}
		for _, r := range p.Runs {
			if r.Ready && r.Phase == Running {
				actions = append(actions, Action{Do: Answer, Goal: UntilReady, Run: r.Number})
			}
		}
		return actions
	case p.Rest == process.Scheduled:
		return p.armed()
	case p.Rest == process.Waiting && p.Scheduled && p.Up:
		return []Action{answer(UntilStarted)}
	}
	p.Up, p.Stopped, p.Asked = true, false, by
	if p.Rest == process.Backoff { // it does not wait any longer
		drop := p.leaveBackoff()
		p.asked()
		return p.spawn(append(drop, Action{Do: Arm})...)
	}
	p.asked()
	if p.Scheduled {
		p.Rest = process.Scheduled
		return append([]Action{{Do: Arm}, {Do: Save}}, p.armed()...)
	}
	return p.spawn()
}

// armed answers those who wait for a start of what waits for its time. Nobody is to wait
// for that.
func (p *Process) armed() []Action {
	return append([]Action{answer(UntilStarted)}, p.notStarted(process.CodeSuperseded)[1:]...)
}

// notStarted tells those who wait for a start that there will be none. Who waits for the
// end of a run that is under way waits on.
func (p *Process) notStarted(code process.Code) []Action {
	return []Action{fail(UntilStarted, code), fail(UntilTriggered, code), fail(UntilReady, code), {Do: Answer, Goal: UntilEnded, Run: p.Last + 1, Code: code}}
}

// spawn begins the next run, or waits for what that needs. Its number, and the target with
// it, are stored on the way.
func (p *Process) spawn(first ...Action) []Action {
	if p.Then = ThenRest; !p.Scheduled { // else who has armed the schedule has said it
		p.Up, p.Stopped = true, false
	}
	if p.Held {
		p.Rest = process.Waiting
		if p.Queue != nil && p.Queue.Reason == "" {
			o := *p.Queue
			if o.Reason = "it waited for what it needs"; o.Outcome == process.Ran {
				o.Outcome = process.Queued
			}
			p.Queue, first = &o, append(first, o.account(0)...)
		}
		return append(first, Action{Do: Hold}, Action{Do: Save})
	}
	p.Last++
	begins := Execution{Number: p.Last, Asked: p.Asked}
	p.Asked = process.Asked{}
	if p.Queue != nil {
		begins.Of, p.Queue = *p.Queue, nil
	}
	p.Runs = append(p.Runs, begins)
	return append(append(first, begins.Of.account(p.Last)...), Action{Do: Spawn, Run: p.Last})
}

// needsChanged begins the run that waited for what it needs, if that is there. Who waits for
// what will not come by itself is told.
func (p *Process) needsChanged(lost bool) []Action {
	switch {
	case p.Rest != process.Waiting, p.Busy(), p.Closing, p.Removing:
		return nil
	case p.Held && lost:
		return p.notStarted(process.CodeNeeds)
	case p.Held:
		return nil
	}
	return p.spawn()
}

// rescheduled arms a schedule where the process is to be up.
func (p *Process) rescheduled() []Action {
	p.Scheduled, p.Skip = true, time.Time{}
	actions := p.dropBacklog(process.Missed, otherSchedule)
	if !p.Up || p.Removing || p.Closing || p.Then == ThenRemove {
		return actions
	}
	if !p.Busy() && p.Rest != process.Backoff && p.Rest != process.Waiting {
		p.Rest = process.Scheduled
	}
	return append(actions, Action{Do: Arm})
}

func (p *Process) unscheduled() []Action {
	p.Scheduled, p.Skip = false, time.Time{}
	if p.Rest == process.Scheduled {
		p.Rest = process.Stopped
	}
	actions := append(p.dropBacklog(process.Missed, otherSchedule), Action{Do: Disarm})
	if p.ending() && p.Then == ThenRest && p.Queue == nil { // a start that came meanwhile was to arm it
		actions = append(actions, p.notStarted(process.CodeSuperseded)...)
	}
	return actions
}
