package run

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Unseen is the error of a run that is lost. Its end is when that was noticed, and how
// long it lasted is not known.
const Unseen = "it ended while no daemon was there to see it"

// summary is the run as it ended, and when.
func (r *Run) summary(end time.Duration) process.Run {
	if r.meter != nil {
		r.noteKills(r.memoryEvents()) // the last of them
	}
	res := r.Describe()
	switch {
	case r.note.Over != 0: // a former worker saw it
		end = r.note.Over
	case r.exit != nil && r.left == nil && !r.note.Sent: // it ended with its leader, before we looked
		end = max(min(end, r.exit.Time), r.boot)
	}
	res.End, res.Error = time.Now().Add(end-r.host.Clock.Now()).UTC(), r.error
	cause := r.machine.Cause
	switch {
	case cause == process.CauseLost:
		res.Error = cmp.Or(res.Error, Unseen)
	case !r.start.IsZero():
		res.Uptime = (end - r.boot).Seconds()
	}
	if r.machine.Born && r.machine.Asked != lifecycle.NotAsked && r.note.Boot != 0 {
		res.Stopping = max(end-r.note.Boot, 0).Seconds()
	}
	if r.meter != nil {
		err := RetryPassing(func() (err error) {
			res.Usage, err = r.meter.Total()
			return err
		})
		if err != nil {
			r.host.Log.Printf("%v: %v", r.ID, err)
		}
	}
	exit := cmp.Or(r.exit, r.note.Exit)
	if exit != nil {
		if exit.Signal != 0 {
			res.Signal = process.Signal(exit.Signal)
		} else {
			res.ExitCode = &exit.Code
		}
		if cause == process.CauseExit && exit.Signal != 0 {
			cause = process.CauseSignal
			if r.starved {
				cause = process.CauseOOM
			}
		}
	}
	res.Cause = cause
	if res.Error == "" {
		res.Error = explain(res, &process.Spec{Command: r.Spec.Command, Ending: r.ending, Restarting: r.codes}, r.Output)
	}
	return res
}

// endsInCR is said of a command that a shell may have read otherwise than it was meant. A
// value arrives exactly as it was written, so that the command is not changed.
const endsInCR = " (the command has lines that end in CR LF, and the shell takes the CR for a part of the line: save the script with LF alone)"

// explain says in one line why a run failed, and how many of its tree were ended for lack
// of memory; nothing if it did not.
func explain(r process.Run, spec *process.Spec, o Output) string {
	var others string
	if r.OOM != nil {
		others = "; " + r.OOM.Others()
	}
	switch {
	case r.Cause == process.CauseDeadline:
		return fmt.Sprintf("the deadline of %v passed", spec.Deadline)
	case r.Cause == process.CauseOOM:
		return r.OOM.Own()
	case r.Cause == process.CauseSignal:
		return fmt.Sprintf("ended by SIG%s", r.Signal) + others
	case r.Cause != process.CauseExit || r.ExitCode == nil || spec.Succeeds(*r.ExitCode):
		return ""
	}
	text := fmt.Sprintf("exit code %d", *r.ExitCode)
	switch *r.ExitCode {
	case 126:
		text += " (found, but cannot be executed)"
	case 127:
		text += " (command not found)"
	}
	text += others
	if last := o.LastLine(r.Number); last != "" {
		text += ": " + last
	}
	if strings.Contains(spec.Command, "\r\n") {
		text += endsInCR
	}
	return text
}
