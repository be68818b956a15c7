package verbs

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// waiting is the parameter for how far a start has to come before it is answered.
func waiting(to *process.Wait) Param {
	return Param{Name: "wait", Value: "ready|end", Alone: string(process.WaitEnd), Choices: []string{string(process.WaitReady), string(process.WaitEnd)},
		Help: "ready: answer when the run is ready, with an error if it ends before; end, or no value: when it has ended",
		set: func(v string) error {
			switch w := process.Wait(v); {
			case w == process.WaitReady, w == process.WaitEnd, w == process.WaitStart:
				*to = w
			case v == "true": // as a flag
				*to = process.WaitEnd
			case v == "false":
				*to = process.WaitStart
			default:
				return fmt.Errorf("%s is neither ready nor end", process.Printable(v))
			}
			return nil
		}}
}

// waited says what a start did that was waited for.
func waited(w process.Wait) func(process.Outcome) string {
	switch w {
	case process.WaitReady:
		return readied
	case process.WaitEnd:
		return ranOut
	}
	return started
}

func readied(o process.Outcome) string {
	s := o.Status
	if s.AlreadyRunning {
		return fmt.Sprintf("process '%s' is ready already: run %d, pid %d", s.Name, s.Number, s.PID)
	}
	return fmt.Sprintf("process '%s' is ready: run %d, pid %d", s.Name, s.Number, s.PID)
}

// ranOut says how the run went that was waited for.
func ranOut(o process.Outcome) string {
	return came(process.Waited{Name: o.Name, Run: o.Status.Ended()}, process.UntilEnd)
}
