package process

// Exit codes of who stands for a run, beside those of the run.
const (
	ExitTimeOver = 124
	ExitOurFault = 125
	ExitSignal   = 128 // and the signal
)

// Code is the exit code of who stands for a run: who has waited for it, say. It is that of the
// leader, 128 and the signal that ended it, or 124 where the deadline did. It is false where
// there is none: the run lasts, nobody saw its end, or its leader exited well and it failed all
// the same. No code is invented; who must exit with one takes [ExitOurFault].
func (r *Run) Code() (code int, known bool) {
	switch {
	case r.Cause == CauseDeadline:
		return ExitTimeOver, true
	case r.Signal != 0:
		return ExitSignal + int(r.Signal), true
	case r.ExitCode == nil:
		return 0, false
	case *r.ExitCode == 0 && (r.Cause == CauseStart || r.Cause == CauseUnhealthy || r.Cause == CauseOOM):
		return 0, false
	}
	return *r.ExitCode, true
}

// Exit is Code, or [ExitOurFault] where there is none.
func (r *Run) Exit() int {
	if code, known := r.Code(); known {
		return code
	}
	return ExitOurFault
}
