package verbs

import (
	"cmp"
	"fmt"
	"io"
	"strconv"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// list is the result of list.
type list []process.Outcome

// write gives a line for each process.
func (l list) write(w io.Writer, st style) error {
	switch {
	case st.json:
		return writeArray(w, l)
	case len(l) == 0:
		_, err := fmt.Fprintln(w, "no processes")
		return err
	}
	var g grid
	g.add("NAME", "STATUS", "RUN", "PID", "PIDS", "CPU%", "CPU TIME", "MEMORY", "UPTIME", "RESULT", "NEXT", "COMMAND")
	waits := false
	var notes []string
	told, failed := apart(l)
	for _, o := range told {
		s := o.Status
		shown, next := s.Run, "-"
		if s.Number == 0 && s.LastRun != nil {
			shown = *s.LastRun
		}
		switch { // also while a run goes on
		case s.SchedulePaused:
			waits, next = true, "paused"
		case !s.NextTime.IsZero():
			waits, next = true, Time(s.NextTime)
		}
		result := orDash(cmp.Or(unwell(s), outcome(shown)))
		if s.Result == process.Failed { // at a glance apart from one that is idle
			result = "failed: " + result
		}
		if len(s.WaitsFor) > 0 {
			result = firstLine("for "+names(s.WaitsFor), 30)
		}
		g.add(s.Name, state(s), runNumbers(s, shown), number(s.PID),
			optional(s.Pids, strconv.Itoa), optional(s.CPUPercent, percent), optional(shown.CPU, cpuTime), optional(s.Memory, Size),
			uptime(shown), result, next, firstLine(s.Command, 40))
		if advice := forkedAway(shown); advice != "" {
			notes = append(notes, s.Name+": "+advice)
		}
	}
	if !waits {
		g.drop("NEXT")
	}
	if err := g.told(w, st.width, listYields, nil); err != nil {
		return err
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(w, screen.Line(note)); err != nil {
			return err
		}
	}
	return grid{}.told(w, 0, nil, failed)
}

func (l list) split() (result, []error) {
	told, failed := apart(l)
	return orNothing(list(told), len(told), failed)
}

// listYields is what makes room in a narrow window. A command tells little more than
// the name does; what stays is which process, in what state, and why.
var listYields = []yield{
	{"COMMAND", 12}, {"RESULT", 13}, {"STATUS", 23}, {"CPU TIME", 0}, {"RUN", 0}, {"PIDS", 0}, {"PID", 0}, {"NAME", 24}, {"COMMAND", 0}, {"STATUS", 9},
	{"NEXT", 0}, {"CPU%", 0}, {"UPTIME", 0}, {"MEMORY", 0}, {"NAME", 16}, {"RESULT", 0}, {"NAME", 6},
}
