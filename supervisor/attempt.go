package supervisor

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// awaitAttempt has the next attempt of the restart policy made at its time.
func (p *managed) awaitAttempt() {
	p.dropAttempt()
	at := p.machine.Attempts.Next
	p.attempt = time.Now().Add(at - p.s.clock.Now()).UTC().Truncate(time.Millisecond)
	p.retry = p.s.clock.At(at, func() { p.inbox.put(p.attemptDue) })
}

func (p *managed) dropAttempt() {
	if p.retry != nil {
		p.retry()
		p.retry = nil
	}
}

// attemptDue is the alarm of the next attempt.
func (p *managed) attemptDue() {
	if p.retry == nil || p.s.clock.Now() < p.machine.Attempts.Next { // it was taken back meanwhile
		return
	}
	p.retry = nil
	p.s.gate.enter(func(leave func()) {
		if !p.inbox.put(func() { p.begin(lifecycle.Event{Kind: lifecycle.Retry}, leave) }) {
			leave()
		}
	})
}

// begin starts a run that nobody asks for just now. leave gives back what it takes up of
// the gate, when its leader is there.
func (p *managed) begin(e lifecycle.Event, leave func()) {
	p.leaveGate()
	p.slot = leave
	if e.Kind == lifecycle.Autostart {
		p.startNeeds()
	}
	if p.handle(e); !p.machine.Busy() {
		p.leaveGate()
	}
}

func (p *managed) leaveGate() {
	if p.slot != nil {
		p.slot()
		p.slot = nil
	}
}

// attempts is what is kept of the restarts.
func (p *managed) attempts() store.Restarts {
	if p.invalid != nil { // they go on when the definition can be carried out again
		return p.kept.Restarts
	}
	a, now, wall := p.machine.Attempts, p.s.clock.Now(), time.Now()
	kept := store.Restarts{Count: a.Count, Row: a.Row}
	for _, t := range a.Times {
		kept.Times = append(kept.Times, wall.Add(t-now).UTC().Truncate(time.Millisecond))
	}
	if p.machine.Rest == process.Backoff && !p.machine.Busy() {
		kept.Next, kept.Boot, kept.Delay = p.attempt, a.Next, a.Delay
	}
	return kept
}

// resumeAttempts goes on from what is kept of the restarts. Within a boot the clock tells
// how much of a delay is left. Otherwise the wall clock does, which may have been stepped:
// nothing waits longer than its delay.
func (p *managed) resumeAttempts() {
	kept, now, wall := p.kept.Restarts, p.s.clock.Now(), time.Now()
	a := lifecycle.Attempts{Count: kept.Count, Row: kept.Row}
	for _, t := range kept.Times {
		a.Times = append(a.Times, now-max(wall.Sub(t), 0))
	}
	p.attempt = noTime
	if p.machine.Under = p.kept.State; p.machine.Rest == process.Backoff {
		left := kept.Next.Sub(wall)
		if p.kept.Origin.Boot == p.s.origin.Boot {
			left = kept.Boot - now
		}
		left = min(max(left, 0), kept.Delay)
		a.Next, a.Delay = now+left, kept.Delay
		p.attempt = wall.Add(left).UTC().Truncate(time.Millisecond)
		if off := p.attempt.Sub(kept.Next); off.Abs() < time.Second { // nobody has stepped it
			p.attempt = kept.Next
		}
	}
	p.machine.Attempts = a
}

// goOnWaiting waits for the attempt that is to come.
func (p *managed) goOnWaiting() {
	if p.machine.Rest != process.Backoff || p.machine.Busy() || p.machine.Closing {
		return
	}
	at := p.attempt
	p.awaitAttempt()
	p.attempt = at
}

// tried is the error of a start that failed, with what follows by itself.
func (p *managed) tried(err error) error {
	if p.machine.Rest != process.Backoff || p.machine.Busy() {
		return err
	}
	after := p.machine.Attempts.Delay.Round(time.Second)
	return process.Errorf(process.CodeOf(err), "%v; it is tried again in %v", err, after)
}
