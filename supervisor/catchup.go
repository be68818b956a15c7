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
