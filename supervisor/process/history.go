package process

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// How many ended runs a process keeps.
const (
	DefaultHistory = 100
	MaxHistory     = 1000
)

// OnFailureLimit is how long a command of on_failure may take.
const OnFailureLimit = time.Minute

// Retention is how much of a process's past is kept.
type Retention struct {
	History int // ended runs; 0: DefaultHistory
}

// Kept is how many ended runs are kept.
func (r Retention) Kept() int {
	if r.History == 0 {
		return DefaultHistory
	}
	return r.History
}

// Telling says who is told of what becomes of a process.
type Telling struct {
	OnFailure string // a command for the shell, when a run has failed and no attempt follows; empty: none
}

// Variables that tell a command of on_failure what it is about, beside those that tell every
// run which it is. One of which there is nothing to say is not there.
const (
	VariableCause      = "PROCESSMANAGER_CAUSE"       // why the run ended, as in JSON
	VariableExitCode   = "PROCESSMANAGER_EXIT_CODE"   // of the leader, when it exited
	VariableSignal     = "PROCESSMANAGER_SIGNAL"      // that ended the leader, without SIG
	VariableError      = "PROCESSMANAGER_ERROR"       // why it failed, in a line
	VariableStart      = "PROCESSMANAGER_START_TIME"  // RFC 3339, in UTC
	VariableEnd        = "PROCESSMANAGER_END_TIME"    // the same
	VariableLastOutput = "PROCESSMANAGER_LAST_OUTPUT" // the last 10 lines, 4 KiB at most
)

func validateOnFailure(command string) error {
	if err := ValidateCommand(command); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "command: "))
	}
	return nil
}

// RunQuery says which runs that have ended to give: those that match all of it.
type RunQuery struct {
	Name   Selection // of these, one process after another
	All    bool      // instead: of all processes together, in the order in which they ended
	Since  time.Time // that ended then or later; zero: at any time
	Until  time.Time // that ended before
	Cause  Cause     // that ended for this reason; 0: for any
	Failed bool      // that failed
	JobID  string    // with this one; empty: with any, or none
	Limit  int       // so many of the last of each process, or of all together, at most; 0: all that are kept

	Verbose bool // with all that was measured, each block device too
}

// Has reports whether a run matches.
func (q *RunQuery) Has(r *Run) bool {
	return (q.Since.IsZero() || !r.End.Before(q.Since)) && (q.Until.IsZero() || r.End.Before(q.Until)) &&
		(q.Cause == 0 || r.Cause == q.Cause) && (!q.Failed || r.HasFailed()) && (q.JobID == "" || r.JobID == q.JobID)
}

// Detail is how much is told of what a run has used.
func (q *RunQuery) Detail() Detail {
	if q.Verbose {
		return WithDevices
	}
	return Full
}

// Narrows reports whether it asks for a part of the runs alone, wherever they stand.
func (q *RunQuery) Narrows() bool {
	return !q.Since.IsZero() || !q.Until.IsZero() || q.Cause != 0 || q.Failed || q.JobID != ""
}

// Validate reports what cannot be.
func (q *RunQuery) Validate() error {
	switch {
	case q.All && len(q.Name) > 0:
		return Errorf(CodeInvalid, "all: the runs of all processes are asked for, and %s is named: leave one of them away", Printable(q.Name.String()))
	case !q.All && len(q.Name) == 0:
		return Errorf(CodeInvalid, "whose runs? give the name of a process, or all")
	case !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until):
		return Errorf(CodeInvalid, "until: it is not after since")
	}
	return nil
}

// HasFailed reports whether the run ended in a failure: by anything but an exit with a code
// that counted as success, a request, the end of the daemon, or the next run.
func (r *Run) HasFailed() bool { return HasFailed(r.Cause, r.Error) }

// HasFailed reports whether a run that ended so has failed. One that exited has an error where
// its code counted as a failure.
func HasFailed(cause Cause, err string) bool {
	switch cause {
	case 0, CauseStop, CauseShutdown, CauseReplaced:
		return false
	case CauseExit:
		return err != ""
	}
	return true
}

// ParseCause reads a cause.
func ParseCause(text string) (c Cause, err error) {
	if c.UnmarshalText([]byte(text)) != nil || c == 0 {
		return 0, fmt.Errorf("%s is no cause: %s", Printable(text), strings.Join(Causes(), ", "))
	}
	return c, nil
}

// Causes are all that there are.
func Causes() []string { return causeNames.of[1:] }
