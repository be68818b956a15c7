package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// Run is the state of one execution. The zero value is starting: its leader is
// being spawned.
type Run struct {
	Phase      Phase
	Cause      process.Cause // why it ends; 0: nothing has ended it yet
	Born       bool          // the leader was spawned
	Awaited    bool          // it is ready when that is seen, not when its leader is there; given with the zero value
	Ready      bool          // it is, or was
	Success    bool          // the leader exited by itself, with a code that counts as success
	LeaderGone bool          // its exit is known, or known to be unknowable
	Empty      bool          // nobody is in the group
	Paused     bool          // the tree is to stand still
	Still      bool          // and does
	Asked      Asked
}

// Phase is how far a run has come.
type Phase uint8

// The phases, in their order.
const (
	Starting Phase = iota // the leader is being spawned
	Running               // the leader has been spawned; it may not be ready yet
	Stopping              // the tree is being ended
	Draining              // nobody is left; its last output is being moved
	Over                  // its result is known
)

// Asked is what a tree was last sent so that it ends.
type Asked uint8

// The steps of an end, in their order.
const (
	NotAsked  Asked = iota
	Signalled       // the stop signal; the grace period runs
	Killed          // SIGKILL
	Stuck           // SIGKILL, and it did not end the tree in time
)

// RunEvent is what can happen to a run.
type RunEvent struct {
	Kind  RunEventKind
	Cause process.Cause // of End
}

// RunEventKind is the kind of a [RunEvent].
type RunEventKind uint8

// What can happen to a run.
const (
	Spawned     RunEventKind = iota // the leader runs
	SpawnFailed                     // there is no leader and will be none
	Readied                         // it is ready
	ReadyLate                       // it is not, and has had its time
	Unhealthy                       // it is not well, and is to end for that
	End                             // it is to end, for a cause
	Succeeded                       // the leader exited with a code that counts as success
	Exited                          // the leader ended otherwise
	Lost                            // the leader has ended, how is not known
	Emptied                         // nobody is in the group
	LeaderLate                      // the group is empty, the leader's exit is not seen: it left
	GraceOver                       // the tree has not ended on the stop signal
	KillOver                        // nor on SIGKILL
	Drained                         // its last output has been moved
	Halt                            // the tree is to stand still
	Frozen                          // it does
	FreezeLate                      // it does not, and has had its time
	Thawed                          // it goes on, by request
)

// RunAction is an effect on one run.
type RunAction uint8

// What a run asks for.
const (
	StartGrace    RunAction = iota // GraceOver follows after the grace period
	SignalTree                     // send the stop signal to the whole tree
	KillTree                       // SIGKILL to the whole tree; KillOver follows after a while
	KillLeader                     // SIGKILL to the leader, outside its group; KillOver follows after a while
	AwaitLeader                    // LeaderLate follows after a while
	TellStarted                    // the process is told RunStarted
	AwaitReady                     // Readied or ReadyLate follows
	TellReady                      // the process is told RunReady
	TellEnding                     // the process is told RunEnding
	TellStuck                      // the process is told RunStuck
	Drain                          // move the last output; Drained follows
	FreezeTree                     // have the tree stand still; Frozen or FreezeLate follows
	ThawTree                       // have it go on
	TellPaused                     // the process is told RunPaused
	TellNotPaused                  // the process is told RunNotPaused
	TellResumed                    // the process is told RunResumed
	Finish                         // record how it ended; the process is told RunEnded
)

// State is how the run is shown to users. What ends by itself and leaves nobody behind is
// never stopping; what is not ready is starting.
func (r Run) State() process.State {
	switch {
	case r.Still:
		return process.Paused
	case r.Phase == Starting, r.Asked == NotAsked && !(r.Born && r.Ready):
		return process.Starting
	case r.Asked == NotAsked:
		return process.Running
	}
	return process.Stopping
}

// Step is what e does to a run.
func (r Run) Step(e RunEvent) (Run, []RunAction) {
	next, actions := r.step(e)
	if next.Phase > Running { // what ends a tree has it go on as far as it must
		next.Paused, next.Still = false, false
	}
	return next, actions
}

func (r Run) step(e RunEvent) (Run, []RunAction) {
	switch {
	case r.Phase == Draining && e.Kind == Drained:
		r.Phase = Over
		return r, []RunAction{Finish}
	case r.Phase >= Draining:
		return r, nil
	}
	switch e.Kind {
	case Spawned:
		return r.spawned()
	case SpawnFailed:
		if r.Born {
			return r, nil
		}
		r.because(process.CauseStart)
		r.LeaderGone, r.Empty = true, true
		return r.over()
	case Readied:
		if r.Phase == Running && !r.Ready {
			r.Ready = true
			return r, []RunAction{TellReady}
		}
	case ReadyLate:
		if r.Phase == Running && !r.Ready {
			return r.end(process.CauseStart)
		}
	case Unhealthy:
		if r.Phase == Running && r.Ready {
			return r.end(process.CauseUnhealthy)
		}
	case End:
		return r.end(e.Cause)
	case Succeeded, Exited, Lost:
		return r.leaderGone(e.Kind)
	case Emptied:
		return r.emptied()
	case LeaderLate:
		if r.Empty && !r.LeaderGone {
			first := r.Asked == NotAsked
			r.Phase, r.Asked = Stopping, Killed
			if first {
				return r, []RunAction{TellEnding, KillLeader}
			}
			return r, []RunAction{KillLeader}
		}
	case GraceOver:
		if r.Asked == Signalled {
			r.Asked = Killed
			return r, []RunAction{KillTree}
		}
	case KillOver:
		if r.Asked == Killed {
			r.Asked = Stuck
			return r, []RunAction{TellStuck}
		}
	case Halt:
		if r.Phase == Running && !r.Paused {
			r.Paused = true
			return r, []RunAction{FreezeTree}
		}
	case Frozen:
		if r.Paused && !r.Still {
			r.Still = true
			return r, []RunAction{TellPaused}
		}
	case FreezeLate:
		if r.Paused && !r.Still {
			r.Paused = false
			return r, []RunAction{ThawTree, TellNotPaused}
		}
	case Thawed:
		if r.Paused {
			r.Paused, r.Still = false, false
			return r, []RunAction{TellResumed}
		}
	}
	return r, nil
}

// spawned is the leader's birth. A run that was asked to end meanwhile has its
// signal now: before there was nobody to send it to.
func (r Run) spawned() (Run, []RunAction) {
	if r.Born {
		return r, nil
	}
	r.Born = true
	switch r.Asked {
	case NotAsked:
		r.Phase = Running
		if r.Awaited {
			return r, []RunAction{TellStarted, AwaitReady}
		}
		r.Ready = true
		return r, []RunAction{TellStarted, TellReady}
	case Signalled:
		return r, []RunAction{SignalTree}
	}
	r.Asked = Killed
	return r, []RunAction{KillTree}
}

// end asks the tree to end. A tree that is stuck is killed again.
func (r Run) end(cause process.Cause) (Run, []RunAction) {
	switch {
	case r.Asked == Stuck:
		r.because(cause)
		r.Asked = Killed
		return r, []RunAction{r.killAgain()}
	case r.Asked != NotAsked: // a leader that left its group may have no cause yet
		r.because(cause)
		return r, nil
	}
	r.because(cause)
	if r.Empty { // only the leader is left, elsewhere
		r.Phase = Stopping
		return r, nil
	}
	return r.ask()
}

func (r Run) killAgain() RunAction {
	if r.Empty {
		return KillLeader
	}
	return KillTree
}

// ask begins the end of the tree.
func (r Run) ask() (Run, []RunAction) {
	actions := []RunAction{TellEnding, StartGrace, SignalTree}
	if !r.Born {
		actions = actions[:2]
	}
	r.Phase, r.Asked = Stopping, Signalled
	return r, actions
}

// leaderGone is the leader's end. What it left behind is ended too.
func (r Run) leaderGone(e RunEventKind) (Run, []RunAction) {
	if r.LeaderGone || !r.Born {
		return r, nil
	}
	r.LeaderGone = true
	if r.Cause == 0 {
		r.Success = e == Succeeded
		if e == Lost {
			r.because(process.CauseLost)
		}
		r.because(process.CauseExit)
	}
	switch {
	case r.Empty:
		return r.over()
	case r.Asked != NotAsked:
		return r, nil
	}
	return r.ask()
}

// emptied is the end of everybody in the group. The leader's exit is told by
// somebody else, and may be late; or the leader has left its group.
func (r Run) emptied() (Run, []RunAction) {
	if r.Empty || !r.Born { // before its leader is born it is empty as well
		return r, nil
	}
	r.Empty = true
	if r.LeaderGone {
		return r.over()
	}
	return r, []RunAction{AwaitLeader}
}

// over is when nobody is left.
func (r Run) over() (Run, []RunAction) {
	r.Phase = Draining
	if r.Asked != NotAsked { // that it is ending was told then
		return r, []RunAction{Drain}
	}
	return r, []RunAction{TellEnding, Drain}
}

// because sets the cause, unless there is one: the first counts.
func (r *Run) because(cause process.Cause) {
	if r.Cause == 0 {
		r.Cause = cause
	}
}
