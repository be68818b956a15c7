package supervisor

import (
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// waitsFor takes up a wait for the end of a run.
func (p *managed) waitsFor(number uint64) *wait {
	w := &wait{request: request{answer: make(chan answer, 1)}, until: process.UntilEnd, run: number}
	p.inbox.put(func() { p.beginWait(w); p.settleWaits() })
	return w
}

// Who waits for a run whose number was given out, and that never was, waits for the one that is
// started in its place.
func TestWhoWaitsForARunThatNeverWasGetsTheNext(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	w.s.origin = store.Origin{Boot: "boot", Keeper: "1:1"}
	kept := keptOf(spec("a"))
	kept.Target = store.Target{Up: true, Run: 1, Origin: w.s.origin}
	p := w.take(t, kept)
	waits := p.waitsFor(1)
	p.turnsUntil(t, func() bool { return len(w.alive("a")) == 1 && len(p.disk.writes) == 0 })
	w.alive("a")[0].endWith(0)
	p.turnsUntil(t, func() bool { return !p.machine.Busy() })
	p.settleWaits()
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
	select {
	case a := <-waits.answer:
		if a.err != nil || a.ended == nil || a.ended.Number != 2 {
			t.Errorf("%v, %+v", a.err, a.ended)
		}
	default:
		t.Errorf("run 2 has ended, and who waits waits on for run %d", waits.run)
	}
}

// A run that has ended beside a later one is told also before it is on disk.
func TestARunThatIsNotOnDiskYetIsNotUnknown(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.over(t)
	p.kept.Last = &process.Run{Number: 2, Cause: process.CauseExit}
	waits := p.waitsFor(1)
	p.turnsUntil(t, func() bool { return len(waits.answer) > 0 })
	if a := <-waits.answer; a.err != nil || a.ended == nil || a.ended.Number != 1 {
		t.Errorf("%v, %+v", a.err, a.ended)
	}
}

// A wait that was answered when a fault came does not hold up the end of the loop.
func TestAWaitThatWasAnsweredIsDropped(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	answered, other := p.waitsFor(1), p.waitsFor(1)
	p.turnsUntil(t, func() bool { return len(p.waits) == 2 })
	answered.answer <- answer{}
	p.dropWaits(process.ErrNotFound)
	if len(other.answer) != 1 || len(p.waits) > 0 {
		t.Error("the other one is not told, or waits on")
	}
}
