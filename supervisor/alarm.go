package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

var noTime time.Time

// arm computes the next time of the schedule; one that is still to come stays.
func (p *managed) arm() {
	if p.times == nil {
		return
	}
	now := time.Now()
	if !p.next.After(now) {
		p.next = noTime
	}
	if p.next = p.times.Due(p.next, now); !p.next.IsZero() {
		p.alarmIn(schedule.Nap(p.next, now))
	}
}

func (p *managed) alarmIn(d time.Duration) {
	p.disarm()
	p.alarm = p.s.clock.At(p.s.clock.Now()+d, func() { p.inbox.put(p.ring) })
}

func (p *managed) disarm() {
	if p.alarm != nil {
		p.alarm()
		p.alarm = nil
	}
}

// ring is the alarm of the schedule: the time has come, or it is time to look at the clock
// again.
func (p *managed) ring() {
	if p.alarm == nil { // it was taken back meanwhile
		return
	}
	p.disarm() // it may be an earlier one, that could not be taken back
	if !p.next.IsZero() && !time.Now().Before(p.next) {
		p.handle(lifecycle.Event{Kind: lifecycle.Due, Asked: process.Asked{By: process.BySchedule, Time: p.next.UTC()}})
	} else {
		p.arm()
	}
}

// resumeSchedule goes on from the wall clock, and from the time that was next.
func (p *managed) resumeSchedule(now time.Time) {
	next, missed := p.times.Resume(p.kept.Next, now, len(p.runs) > 0)
	p.next = next
	switch {
	case next.IsZero():
	case !next.After(now): // it runs late
		p.kept.Missed = noTime
		p.alarmIn(0)
	default:
		if !missed.IsZero() {
			p.kept.Missed = missed
		}
		p.alarmIn(schedule.Nap(p.next, now))
	}
}
