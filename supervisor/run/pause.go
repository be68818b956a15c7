package run

import (
	"errors"
	"io/fs"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
)

// A tree is paused by freezing its group. That this is asked for stands on the group before it
// is done: so a worker that takes over knows a pause of ours from a freeze that the tree has
// made itself, and from that of an end.

// FreezeTime is how long a tree may take to stand still.
const FreezeTime = 5 * time.Second

// Times between two looks at whether it does.
const (
	firstGlance = 500 * time.Microsecond
	mostGlance  = 50 * time.Millisecond // each is twice as long as the one before
)

// pauseAttr is what stands on the group of a run that is paused, or was. Times are those of
// the clock.
type pauseAttr struct {
	Paused bool          // it is to stand still
	Since  time.Duration `json:",omitzero"` // when it was frozen; 0: it is not, by us
	Total  time.Duration `json:",omitzero"` // how long it stood still before that
}

// pausing is how a run stands still.
type pausing struct {
	pauseAttr
	look  timer         // whether it does
	pause time.Duration // before that
	limit time.Duration // by the clock: until it must
	err   error         // why it cannot, or cannot go on

	frozen bool // it was when its end began
}

// Pause has the tree stand still. RunPaused is told when it does, or RunNotPaused when it has
// gone on.
func (r *Run) Pause() []lifecycle.Event { return r.step(lifecycle.RunEvent{Kind: lifecycle.Halt}) }

// GoOn has a paused tree go on, but for nested groups that it has frozen itself. RunResumed is
// told, or RunNotResumed.
func (r *Run) GoOn() []lifecycle.Event {
	switch {
	case r.machine.Phase != lifecycle.Running:
		return nil
	case !r.machine.Paused:
		return r.tell(lifecycle.RunResumed)
	}
	r.still.Paused = false
	if r.still.err = r.thaw(); r.still.err != nil {
		r.still.Paused = true
		r.putPause()
		return r.tell(lifecycle.RunNotResumed)
	}
	told := r.step(lifecycle.RunEvent{Kind: lifecycle.Thawed})
	r.clocksGoOn()
	return told
}

// freeze begins to have the tree stand still. Its clocks do so at once.
func (r *Run) freeze() {
	s := &r.still
	if s.Since == 0 {
		s.Since = r.host.Clock.Now()
	}
	s.Paused = true
	r.stopProbes()
	r.says.watchdog.stop()
	r.setDeadline()
	if s.err = r.putPause(); s.err == nil {
		r.host.at(PointPausing)
		s.err = RetryPassing(r.group.Freeze)
	}
	s.limit, s.pause = r.host.Clock.Now()+FreezeTime, firstGlance
	if s.err != nil {
		s.limit = 0
	}
	s.look.after(s.pause, 0)
}

// glance sees whether the tree stands still, or goes on with what a worker had to leave undone.
func (r *Run) glance() []lifecycle.Event {
	s := &r.still
	switch {
	case r.machine.Phase != lifecycle.Running:
		return nil
	case !r.machine.Paused:
		r.thawLate()
		return nil
	case r.machine.Still:
		return nil
	}
	if s.limit != 0 {
		events, err := r.group.Events()
		if err == nil && events.Frozen {
			r.host.at(PointPaused)
			return r.step(lifecycle.RunEvent{Kind: lifecycle.Frozen})
		}
		if s.err = err; r.host.Clock.Now() < s.limit {
			s.pause = min(2*s.pause, mostGlance)
			s.look.after(s.pause, 0)
			return nil
		}
	}
	return r.step(lifecycle.RunEvent{Kind: lifecycle.FreezeLate})
}

// thaw has the tree go on.
func (r *Run) thaw() error {
	if err := r.putPause(); err != nil {
		return err
	}
	r.host.at(PointResuming)
	if err := RetryPassing(r.group.Unfreeze); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.count(r.host.Clock.Now())
	r.putPause()
	return nil
}

// thawLate has a tree go on that nobody waits for. It is tried until it does.
func (r *Run) thawLate() {
	if r.still.Since == 0 {
		return
	}
	r.still.Paused = false
	if err := r.thaw(); err != nil {
		r.host.Log.Printf("%v: it is to go on, and that is tried again: %v", r.ID, err)
		r.still.look.after(mostPause, 0)
		return
	}
	r.clocksGoOn()
}

// clocksGoOn has those go on that stood still with the tree.
func (r *Run) clocksGoOn() {
	r.setDeadline()
	r.resumeProbes()
}

// count takes note that the tree stood still up to a time.
func (r *Run) count(until time.Duration) {
	if s := &r.still; s.Since != 0 {
		s.Total += max(until-s.Since, 0)
		s.Since = 0
	}
}

// endPause takes note that a tree began to end that was frozen: at a time, or before.
func (r *Run) endPause(at time.Duration) {
	if r.note.Boot != 0 {
		at = min(at, r.note.Boot)
	}
	r.still.frozen = r.still.frozen || r.still.Since != 0
	r.count(at)
}

// putPause puts on the group how the run stands still.
func (r *Run) putPause() error {
	err := RetryPassing(func() error { return setAttr(r.group, attrPause, r.still.pauseAttr) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.host.Log.Printf("%v: record that it is paused, or goes on: %v", r.ID, err)
	}
	return err
}

// takeUpPause takes up how a former worker had the run stand still. What it has left undone is
// gone on with by [Run.Resume].
func (r *Run) takeUpPause(says attrs) {
	if _, err := readAttr(says, attrPause, &r.still.pauseAttr); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	if r.still.Since == 0 {
		return
	}
	if r.machine.Phase > lifecycle.Running {
		r.endPause(r.host.Clock.Now())
		return
	}
	if r.machine.Paused = r.still.Paused; r.machine.Paused {
		events, err := r.group.Events()
		r.machine.Still = err == nil && events.Frozen
	}
}

// resumePause goes on with it.
func (r *Run) resumePause() {
	switch {
	case r.machine.Phase != lifecycle.Running:
	case r.machine.Still:
	case r.machine.Paused:
		r.freeze()
	default:
		r.thawLate()
	}
}

// Pauses reports whether the tree is to stand still, and Still whether it does.
func (r *Run) Pauses() bool { return r.machine.Paused }
func (r *Run) Still() bool  { return r.machine.Still }

// PauseError is why it could not be paused, or resumed.
func (r *Run) PauseError() error { return r.still.err }

// StoodStill is how long it stood still before it was frozen last, and when that was; 0: it
// goes on.
func (r *Run) StoodStill() (total, since time.Duration) { return r.still.Total, r.still.Since }
