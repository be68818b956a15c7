package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// tellFailed is the action that tells somebody of the run that e has ended, if that has failed
// for good: no attempt follows by itself, and nobody has asked for another start meanwhile. Other
// times of a schedule are another matter. then is what was to follow the end.
func (p *Process) tellFailed(e *Event, then Then) []Action {
	switch e.Cause {
	case process.CauseStop, process.CauseShutdown, process.CauseReplaced:
		return nil
	}
	switch {
	case e.Success, then == ThenStart, then == ThenRemove:
		return nil
	case !p.Busy() && p.Rest == process.Backoff:
		return nil
	case p.Closing && p.Up && then == ThenRest && Restarts(p.Policy, e.Cause, false): // the next daemon has it go on
		return nil
	}
	return []Action{{Do: TellFailed, Run: e.Run}}
}
