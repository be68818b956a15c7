package verbs

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// overlapping says what becomes of a run that is to begin while another goes on.
func overlapping(o process.Overlapping) string {
	switch o.Way() {
	case process.OverlapQueue:
		return "one run waits for the end of the one that goes on"
	case process.OverlapReplace:
		return "a run that goes on is ended first"
	case process.OverlapAllow:
		return fmt.Sprintf("at most %d runs go on side by side", o.Most())
	}
	return "nothing begins while a run goes on"
}

// queued says what a run that is to begin waits for.
func queued(s *process.Status) string {
	switch {
	case s.Queued == nil:
		return ""
	case s.Queued.Time.IsZero():
		return fmt.Sprintf("a run begins when run %d has ended", s.Number)
	}
	return fmt.Sprintf("the run of %s begins when run %d has ended", ZonedTime(s.Queued.Time), s.Number)
}

// beside is a run that goes on beside the last.
func beside(r process.RunUnderWay) string {
	text := fmt.Sprintf("run %d: %s, pid %d, for %s", r.Number, r.State, r.PID, uptime(r.Run))
	if r.CPU != nil {
		text += ", cpu " + cpuTime(*r.CPU)
	}
	if r.Memory != nil {
		text += ", memory " + Size(*r.Memory)
	}
	return text
}

// runNumbers is the run of which a row tells, and how many go on beside it: "8 +2".
func runNumbers(s process.Status, shown process.Run) string {
	if n := len(s.Runs); n > 1 {
		return fmt.Sprintf("%d +%d", shown.Number, n-1)
	}
	return number(shown.Number)
}
