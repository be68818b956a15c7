package verbs

import (
	"fmt"
	"io"
	"strconv"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// list is the result of list.
type list []process.Status

func (l list) json() any {
	if l == nil {
		return []process.Status{}
	}
	return []process.Status(l)
}

// streamJSON is json, written a process at a time: the commands of all together may
// be much.
func (l list) streamJSON(w io.Writer) error {
	between := ""
	io.WriteString(w, "[")
	for _, s := range l {
		one, err := marshal(s)
		if err != nil {
			return err
		}
		io.WriteString(w, between)
		if _, err := w.Write(one); err != nil {
			return err
		}
		between = ","
	}
	_, err := io.WriteString(w, "]\n")
	return err
}

func (l list) text(w io.Writer) error { return l.fit(w, 0) }

// fit is text in a window of this many columns, 0 for any number: a line for each
// process.
func (l list) fit(w io.Writer, width int) error {
	if len(l) == 0 {
		_, err := fmt.Fprintln(w, "no processes")
		return err
	}
	var g grid
	g.add("NAME", "STATUS", "RUN", "PID", "PIDS", "CPU%", "CPU TIME", "MEMORY", "UPTIME", "RESULT", "NEXT", "COMMAND")
	waits := false
	for _, s := range l {
		shown, next := s.Run, "-"
		if s.Number == 0 && s.LastRun != nil {
			shown = *s.LastRun
		}
		if !s.NextTime.IsZero() { // also while a run goes on
			waits, next = true, Time(s.NextTime)
		}
		g.add(s.Name, s.State.String(), number(shown.Number), number(s.PID),
			optional(s.Pids, strconv.Itoa), optional(s.CPUPercent, percent), optional(shown.CPU, cpuTime), optional(s.Memory, Size),
			uptime(shown), orDash(outcome(shown)), next, firstLine(s.Command, 40))
	}
	if !waits {
		g.drop("NEXT")
	}
	if width > 0 {
		g.fit(width, listYields)
	}
	return g.write(w)
}

// listYields is what makes room in a narrow window. A command tells little more than
// the name does; what stays is which process, in what state, and why.
var listYields = []yield{
	{"COMMAND", 12}, {"CPU TIME", 0}, {"RUN", 0}, {"PIDS", 0}, {"PID", 0}, {"NAME", 24}, {"COMMAND", 0},
	{"NEXT", 0}, {"CPU%", 0}, {"UPTIME", 0}, {"MEMORY", 0}, {"NAME", 16}, {"RESULT", 0}, {"NAME", 6},
}
