package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Occasion is why a run begins, or is to: a time of the schedule, or somebody's wish.
type Occasion struct {
	Time    time.Time    // of the schedule; zero: it is asked for
	Outcome process.Fate // what becomes of that time
	Reason  string       // for people: why nothing began at once
	Asked   process.Asked

	// Of several times in a row: the last, and how many. No run comes of them.
	Until time.Time
	Count int
}

// account says what has become of a time, and which run has come of it; 0: none. Of what is
// asked for there is nothing to say.
func (o Occasion) account(run uint64) []Action {
	if o.Time.IsZero() {
		return nil
	}
	return []Action{{Do: Account, Of: o, Run: run}}
}

// became is account where nothing begins.
func (o Occasion) became(outcome process.Fate, reason string) []Action {
	o.Outcome, o.Reason = outcome, reason
	return o.account(0)
}

// due is a time of the schedule that has come.
func (p *Process) due(e *Event) []Action {
	if !p.onSchedule() {
		return nil
	}
	o := Occasion{Time: e.Time, Outcome: process.Ran, Asked: e.Asked}
	actions := []Action{{Do: Arm}}
	switch {
	case p.SchedulePaused:
		return append(actions, o.became(process.WhilePaused, "")...)
	case p.skips(e.Time):
		return append(append(actions, o.became(process.SkippedOnRequest, "")...), Action{Do: Save})
	case p.Busy():
		return append(actions, p.overlap(o)...)
	case p.Rest == process.Waiting:
		return append(actions, o.became(process.Skipped, "an earlier run waited for what it needs")...)
	}
	actions = append(p.leaveBackoff(), actions...)
	p.asked()
	return p.take(o).spawn(actions...)
}

// missed are times of the schedule at which nobody could begin anything.
func (p *Process) missed(e *Event) []Action {
	if !p.onSchedule() {
		return nil
	}
	o := Occasion{Time: e.Time, Until: e.Until, Count: e.Count}
	if last := e.Until; last.IsZero() {
		p.skips(e.Time)
	} else {
		p.skips(last)
	}
	if p.SchedulePaused {
		return o.became(process.WhilePaused, "")
	}
	return o.became(process.Missed, e.Reason)
}

// onSchedule reports whether a time of the schedule is one of this process now. Those that
// come while the daemon ends are left to the next one.
func (p *Process) onSchedule() bool {
	return p.Up && p.Scheduled && !p.Closing && !p.Removing && !p.Removed && p.Then != ThenRemove
}

// trigger begins a run now, as far as overlap lets it. A schedule is neither armed by that nor
// stopped.
func (p *Process) trigger(by process.Asked) []Action {
	switch {
	case p.Then == ThenRemove, p.Removing:
		return []Action{{Do: Refuse, Code: process.CodeNotFound}}
	case p.Closing:
		return []Action{{Do: Refuse, Code: process.CodeShuttingDown}}
	case p.Busy():
		return p.overlap(Occasion{Asked: by})
	}
	actions := p.leaveBackoff()
	p.asked()
	if p.Asked = by; p.Up && p.Scheduled {
		actions = append(actions, Action{Do: Arm})
	}
	return p.spawn(actions...)
}

// overlap is for a run that is to begin while others go on.
func (p *Process) overlap(o Occasion) []Action {
	goes := p.underWay() + " went on"
	if o.Time.IsZero() {
		goes = p.underWay() + " goes on"
		if len(p.Runs) > 1 {
			goes = p.underWay() + " go on"
		}
	}
	switch way := p.Overlap.Way(); {
	case way == process.OverlapReplace && p.isStuck():
		return p.leaveOut(o, p.underWay()+" cannot be ended")
	case way == process.OverlapReplace:
		return p.putInLine(o, process.Replaced, p.underWay()+" made way", p.giveWay())
	case p.Queue == nil && (way == process.OverlapQueue || way == process.OverlapAllow && p.Then == ThenStart):
		return p.putInLine(o, process.Queued, goes, nil)
	case p.Queue != nil:
		return p.leaveOut(o, goes+", and one is queued already")
	case way == process.OverlapAllow && p.Held:
		return p.leaveOut(o, "what it needs was not there")
	case way == process.OverlapAllow && p.Then == ThenRest && len(p.Runs) < p.Overlap.Most():
		return p.take(o).spawn()
	}
	return p.leaveOut(o, goes)
}

// take has the run that begins next come of an occasion.
func (p *Process) take(o Occasion) *Process {
	p.Queue, p.Asked = &o, o.Asked
	return p
}

// leaveOut has nothing come of an occasion.
func (p *Process) leaveOut(o Occasion, reason string) []Action {
	if o.Time.IsZero() {
		return []Action{{Do: Refuse, Code: process.CodeOverlap, Reason: reason}}
	}
	return o.became(process.Skipped, reason)
}

// putInLine has a run begin when nothing goes on any more. Another one that was to begin then
// is left out, but for one that is asked for: the run that comes is that as well.
func (p *Process) putInLine(o Occasion, outcome process.Fate, reason string, actions []Action) []Action {
	if o.Time.IsZero() && p.Queue != nil {
		return actions
	}
	actions = append(actions, p.dropQueue("a later time took its place")...)
	if o.Outcome == process.Ran {
		o.Outcome = outcome
	}
	o.Reason = reason
	p.Queue = &o
	actions = append(append(actions, o.account(0)...), Action{Do: Save})
	if o.Time.IsZero() && outcome == process.Queued {
		actions = append(actions, Action{Do: Answer, Goal: UntilTriggered, Run: p.Last + 1})
	}
	return actions
}

// giveWay ends what runs so that another run can take its place.
func (p *Process) giveWay() (actions []Action) {
	for i := range p.Runs {
		if r := &p.Runs[i]; r.Phase != Stopping {
			r.Phase = Stopping
			actions = append(actions, Action{Do: EndRun, Run: r.Number, Cause: process.CauseReplaced})
		}
	}
	return actions
}

// dropQueue has nothing come of what is in line.
func (p *Process) dropQueue(reason string) []Action {
	if p.Queue == nil {
		return nil
	}
	o := *p.Queue
	p.Queue = nil
	return o.became(process.Skipped, reason)
}

// dequeue is for a start that was in line behind what is gone, as nobody has seen: it begins
// or, if something else is to become of it, does not.
func (p *Process) dequeue(e *Event) []Action {
	switch {
	case p.Queue == nil, p.Busy(), p.Rest == process.Waiting, p.Closing, p.Removing, p.Removed:
		return nil
	case e.Outcome == process.CaughtUp && p.onSchedule():
		late := Event{Times: []time.Time{p.Queue.Time}, Reason: e.Reason}
		p.Queue = nil
		return p.catchUp(&late)
	case e.Outcome != 0:
		o := *p.Queue
		p.Queue = nil
		return append(o.became(e.Outcome, e.Reason), Action{Do: Save})
	}
	p.Asked = p.Queue.Asked
	return p.spawn(append(p.leaveBackoff(), Action{Do: Arm})...)
}

// underWay names what runs: "run 7", "runs 7, 8 and 9".
func (p *Process) underWay() string {
	const most = 5
	var numbers []string
	for _, r := range p.Runs {
		numbers = append(numbers, fmt.Sprint(r.Number))
	}
	switch n := len(numbers); {
	case n == 1:
		return "run " + numbers[0]
	case n > most:
		return fmt.Sprintf("%d runs, the last of them %s,", n, numbers[n-1])
	default:
		return "runs " + strings.Join(numbers[:n-1], ", ") + " and " + numbers[n-1]
	}
}

// Insert puts a run among those under way, by number.
func (p *Process) Insert(r Execution) {
	i, _ := slices.BinarySearchFunc(p.Runs, r.Number, func(r Execution, number uint64) int {
		return int(r.Number) - int(number)
	})
	p.Runs = slices.Insert(p.Runs, i, r)
}
