package process

// Exit codes of who stands for a run, beside those of the run.
const (
	ExitTimeOver = 124
	ExitOurFault = 125
	ExitSignal   = 128 // and the signal
)

// Code is the exit code of who stands for a run that has ended: who has waited for it, say.
func (r *Run) Code() int {
	switch {
	case r.Cause == CauseDeadline:
		return ExitTimeOver
	case r.Signal != 0:
		return ExitSignal + int(r.Signal)
	case r.ExitCode == nil:
		return ExitOurFault
	case *r.ExitCode == 0 && (r.Cause == CauseStart || r.Cause == CauseUnhealthy || r.Cause == CauseOOM):
		return ExitOurFault // it was no success
	}
	return *r.ExitCode
}
