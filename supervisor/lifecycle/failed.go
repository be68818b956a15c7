package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// tellFailed is the action that tells somebody of the run that e has ended, if that has failed
// for good: no attempt follows by itself, and nobody has asked for another start meanwhile. Other
// times of a schedule are another matter. p is the process before the end, next behind it.
func (p Process) tellFailed(e Event, next Process) []Action {
	switch e.Cause {
	case process.CauseStop, process.CauseShutdown, process.CauseReplaced:
		return nil
	}
	switch {
	case e.Success, p.Then == ThenStart, p.Then == ThenRemove:
		return nil
	case !next.Busy() && next.Rest == process.Backoff:
		return nil
	case p.Closing && p.Up && p.Then == ThenRest && Restarts(p.Policy, e.Cause, false): // the next daemon has it go on
		return nil
	}
	return []Action{{Do: TellFailed, Run: e.Run}}
}
