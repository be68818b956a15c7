package run

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Born reports whether its leader was spawned.
func (r *Run) Born() bool { return r.machine.Born }

// Ready reports whether it is ready, or was.
func (r *Run) Ready() bool { return r.machine.Ready }

// Known reports whether the next worker will know of it: its leader was spawned, or the one
// before has noted how it ended.
func (r *Run) Known() bool { return r.machine.Born || r.note.Over != 0 }

// State is how the run is shown.
func (r *Run) State() process.State { return r.machine.State() }

// Stuck reports whether SIGKILL did not end it.
func (r *Run) Stuck() bool { return r.machine.Asked == lifecycle.Stuck }

// Waits reports whether nothing of it is under way but what can wait for a disk.
func (r *Run) Waits() bool {
	return r.machine.Phase == lifecycle.Draining || !r.machine.Born && r.machine.Phase != lifecycle.Over
}

// Phase is how its process is to see it.
func (r *Run) Phase() lifecycle.Phase { return min(r.machine.Phase, lifecycle.Stopping) }

// PID is the leader's; 0 when it has ended.
func (r *Run) PID() int {
	if r.machine.LeaderGone {
		return 0
	}
	return r.leader.PID
}

// Boot is when it started, by proc.BootTime.
func (r *Run) Boot() time.Duration { return r.boot }

// Meter reads what the tree uses; nil before the leader is born.
func (r *Run) Meter() *Meter { return r.meter }

// OutputError is why its output is not read; empty: it is.
func (r *Run) OutputError() string {
	if r.moveErr == nil {
		return ""
	}
	return fmt.Sprintf("it is not read, and is tried again: %v", r.moveErr)
}

// Describe is what is known of the run while it lasts.
func (r *Run) Describe() process.Run {
	return process.Run{Number: r.ID.Run, JobID: r.JobID, Asked: r.Asked, Start: r.start.UTC(), LeftBehind: r.left, Paused: r.still.Total.Seconds(), OOM: killedOf(r.killed)}
}

// Result is how it went, when it is over; before that it is empty.
func (r *Run) Result() process.Run {
	if r.result == nil {
		return process.Run{}
	}
	return *r.result
}

// Failed is why it could not be started.
func (r *Run) Failed() error { return r.failed }
