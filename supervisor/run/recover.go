package run

import (
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Recover goes on after a fault in what was being done about the run: nobody knows how far
// that had come. What was done in part is done again; what goes on beside the loop, or has
// come back from there, is left alone.
func (r *Run) Recover() []lifecycle.Event {
	switch {
	case r.machine.Phase == lifecycle.Over: // its end was not recorded
		r.machine.Phase = lifecycle.Draining
		return r.step(lifecycle.RunEvent{Kind: lifecycle.Drained})
	case r.machine.Phase == lifecycle.Draining:
		if r.drained == nil || r.drained.Load() {
			r.drain()
		}
		return nil
	case !r.machine.Born && r.birth == nil:
		return r.Cancel(errors.New("the daemon has a fault, and did not start it"))
	case !r.machine.Born && !r.birth.faulty.Load():
		r.Resume()
		return nil
	case !r.machine.Born: // should there be a leader, nobody was told of it
		r.birth.take(r)
		r.failed = process.Errorf(process.CodeInternal, "process '%s' was not started: the daemon has a fault; its log says where", r.ID.Name)
		r.error, r.start = "the daemon has a fault, and did not start it", time.Time{}
		r.machine = lifecycle.Run{Phase: lifecycle.Stopping, Cause: process.CauseStart, Born: true, LeaderGone: true, Asked: lifecycle.Killed}
	}
	r.machine.Still = false // who waits for that is told once more
	r.Resume()
	r.setDeadline()
	if r.moveErr != nil {
		r.retry.after(firstBackoff, 0)
	}
	r.proving = r.outlived
	r.proveOutlived()
	r.watchLimits(r.met.limits)
	if r.gone != nil {
		r.owner.Tell(*r.gone)
	}
	return r.look()
}
