package run

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
)

// timer tells its run's owner, once, when a time has come. One that was set again tells
// of the newest time alone: gen tells them apart.
type timer struct {
	run  *Run
	kind kind
	gen  uint64
	what lifecycle.RunEventKind // that follows
	halt func()                 // nil: it is not set
}

func (r *Run) newTimer(k kind) timer { return timer{run: r, kind: k} }

// after sets the timer to so long from now.
func (t *timer) after(d time.Duration, what lifecycle.RunEventKind) {
	t.set(t.run.host.Clock.Now()+d, what)
}

func (t *timer) set(at time.Duration, what lifecycle.RunEventKind) {
	t.stop()
	t.what = what
	e, owner := Event{Run: t.run.ID.Run, kind: t.kind, gen: t.gen}, t.run.owner
	t.halt = t.run.host.Clock.At(at, func() { owner.Tell(e) })
}

func (t *timer) stop() {
	t.gen++
	if t.halt != nil {
		t.halt()
		t.halt = nil
	}
}

// awaits reports whether the timer is set, for this to follow.
func (t *timer) awaits(what lifecycle.RunEventKind) bool { return t.halt != nil && t.what == what }

// rings reports whether an event is of the time that was set last.
func (t *timer) rings(gen uint64) bool {
	if gen != t.gen || t.halt == nil {
		return false
	}
	t.halt = nil
	return true
}
