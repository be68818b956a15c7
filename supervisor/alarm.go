package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/clock"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

var noTime time.Time

// scheduleTime is the time of day as the schedule sees it: behind by its jitter. So its times
// come that much later, and are the same.
func (p *managed) scheduleTime() time.Time {
	return time.Now().Round(0).Add(-p.jitter())
}

func (p *managed) jitter() time.Duration {
	return schedule.Jitter(p.kept.Spec.Jitter, p.name, p.s.machine)
}

// arm computes the next time of the schedule; one that is still to come stays, and so does one
// that has come: the alarm is about to ring for it. The first of a schedule that begins now is
// later than now, whatever the jitter.
func (p *managed) arm() {
	if p.times == nil {
		return
	}
	if p.times.IsReboot() {
		p.noteBoot()
		return
	}
	p.looked = p.s.readClocks()
	switch now := p.scheduleTime(); {
	case p.next.IsZero():
		p.next = p.times.Next(time.Now().Round(0)) // by the wall clock
	case p.next.After(now):
		p.next = p.times.Due(p.next, now)
	}
	p.awaitNext()
}

// awaitNext sets the alarm for the next time, or to look at the clock again where nobody tells
// when it is set.
func (p *managed) awaitNext() {
	p.disarm()
	if p.next.IsZero() {
		return
	}
	at, ring := p.next.Add(p.jitter()), func() { p.inbox.put(p.ring) }
	if !p.s.wallTells { // it may be set back
		p.alarm = p.s.clock.At(p.s.clock.Now()+schedule.Nap(at, time.Now()), ring)
		return
	}
	p.alarm = p.s.wall.At(clock.Wall(at), ring)
}

func (p *managed) disarm() {
	if p.alarm != nil {
		p.alarm()
		p.alarm = nil
	}
}

// clockSet is called when somebody has set the machine's clock, and after suspend: each
// schedule looks at it again.
func (s *Supervisor) clockSet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.names {
		p.inbox.put(p.ring)
	}
}

// ring is the alarm of the schedule: the time has come, or the clock was set, or it is time to
// look at it again.
func (p *managed) ring() {
	if p.alarm == nil { // it was taken back meanwhile
		return
	}
	p.disarm() // it may be an earlier one, that could not be taken back
	if now := p.scheduleTime(); !p.next.IsZero() && !now.Before(p.next) {
		p.pass(now, p.s.whyLate(p.looked))
	}
	p.arm()
}

// resumeSchedule goes on from the wall clock, and from the time that was next: what has become
// of those that came meanwhile the loop says when it has gone on with what is in line.
func (p *managed) resumeSchedule(now time.Time) {
	if p.times.IsReboot() {
		p.resumeReboot()
		return
	}
	if p.next = p.kept.Next; p.s.ending { // the next daemon says what became of them
		return
	}
	p.inbox.put(func() { // all together: it is written with the time that is next then
		p.pass(now, p.s.whyAway())
		p.arm()
	})
}
