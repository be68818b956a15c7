package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// Times of a schedule that passed while nobody could begin anything are missed, whatever the
// cause: whoever looks at the clock and finds them behind it says at once what becomes of all of
// them. Those that are to run late are kept until their runs begin.

// clocks are what they showed when a schedule looked at them.
type clocks struct {
	wall time.Time     // with the one that stands still while the machine sleeps
	boot time.Duration // by clock
}

func (s *Supervisor) readClocks() clocks { return clocks{time.Now(), s.clock.Now()} }

// whyLate is why a schedule looks at the clock too late, that has looked last at before.
func (s *Supervisor) whyLate(before clocks) string {
	now := s.readClocks()
	return schedule.Reason(now.wall.Round(0).Sub(before.wall.Round(0)), now.boot-before.boot, now.wall.Sub(before.wall))
}

// whyAway is why no daemon has looked at the schedules before this one.
func (s *Supervisor) whyAway() string {
	if former := s.former.Boot; former != "" && former != s.origin.Boot {
		return schedule.MachineOff
	}
	return schedule.NoDaemon
}

// catchup is which of the times that were missed are to run.
func (p *managed) catchup() schedule.Catchup {
	spec := &p.kept.Spec.Schedule
	return schedule.Catchup{
		Latest: spec.Catchup == process.CatchupLatest && !p.machine.SchedulePaused,
		All:    spec.Catchup == process.CatchupAll && !p.machine.SchedulePaused,
		Window: spec.CatchupWindow,
	}
}

// runsLate reports whether a time that was in line, and is missed, is to run all the same. What
// came behind it is still to be looked at.
func (p *managed) runsLate(t time.Time) bool {
	c, now := p.catchup(), p.scheduleTime()
	if t.IsZero() || p.times == nil || p.times.IsReboot() || c.Window > 0 && now.Sub(t) > c.Window {
		return false
	}
	return c.All || c.Latest && p.next.After(now)
}

// backlog is what is kept of the times that are to be caught up.
func (p *managed) backlog() (list []process.LedgerEntry) {
	for _, o := range p.machine.Backlog {
		list = append(list, process.LedgerEntry{Time: o.Time.UTC(), Outcome: o.Outcome, Reason: o.Reason})
	}
	return list
}

// resumeBacklog takes up the times that a former worker was to catch up with.
func (p *managed) resumeBacklog() {
	if p.times == nil {
		return
	}
	for _, e := range p.kept.Backlog {
		p.machine.Backlog = append(p.machine.Backlog, *occasion(&e, process.Asked{By: process.ByCatchUp, Time: e.Time}))
	}
}

// workOff begins what can begin of what is to be caught up. Many may want that at once.
func (p *managed) workOff() {
	if len(p.machine.Backlog) == 0 {
		return
	}
	p.s.gate.enter(func(leave func()) {
		if !p.inbox.put(func() { p.begin(lifecycle.Event{Kind: lifecycle.WorkOff}, leave) }) {
			leave()
		}
	})
}

// onSchedule carries out what is asked of the schedule alone.
func (p *managed) onSchedule(r request, kind lifecycle.EventKind) {
	err := p.final()
	e := lifecycle.Event{Kind: kind}
	told := process.Event{Kind: process.EventSchedulePaused}
	switch {
	case err != nil:
	case p.times == nil:
		err = process.Errorf(process.CodeInvalid, "process '%s' has no schedule: give it one with process.set (pmclient set %[1]s -cron SCHEDULE)", p.name)
	case kind == lifecycle.ResumeSchedule:
		told.Kind = process.EventScheduleResumed
	case kind == lifecycle.SkipNext:
		told.Kind = process.EventSkipNext
		if e.Time = p.machine.Skip; e.Time.Before(p.next) { // it has passed, or there is none
			e.Time = p.next
		}
		switch told.SkipTime = e.Time.UTC(); {
		case p.times.IsReboot():
			err = process.Errorf(process.CodeInvalid, "process '%s' runs at the start of the machine, and has no next time: pause its schedule instead (pmclient schedule_pause %[1]s)", p.name)
		case e.Time.IsZero():
			err = process.Errorf(process.CodeInvalid, "process '%s' waits for no time of its schedule: start it first (pmclient start %[1]s)", p.name)
		}
	}
	if err == nil {
		was := p.machine
		if p.handle(e); was.SchedulePaused != p.machine.SchedulePaused || !was.Skip.Equal(p.machine.Skip) {
			p.tell(told)
		}
	}
	p.answer(r, err)
}

// comes is the time of the schedule that comes next: one that has not passed, as it may have
// before this daemon began.
func (p *managed) comes() time.Time {
	if now := p.scheduleTime(); p.times != nil && !p.next.IsZero() && now.Sub(p.next) > schedule.OnTime {
		return p.times.Follow(p.next, now)
	}
	return p.next
}

// nextRun is the time of the schedule at which a run begins: one behind the time that is
// skipped.
func (p *managed) nextRun() time.Time {
	next := p.comes()
	if p.times != nil && !next.IsZero() && next.Equal(p.machine.Skip) {
		return p.times.Follow(next, next)
	}
	return next
}
