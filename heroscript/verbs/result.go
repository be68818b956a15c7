package verbs

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// started is the result of start and restart.
type started process.Status

func (s started) json() any { return process.Status(s) }

func (s started) text(w io.Writer) (err error) {
	switch {
	case s.State == process.Scheduled && s.NextTime.IsZero():
		_, err = fmt.Fprintf(w, "process '%s' is scheduled, and no time of its schedule comes within 8 years\n", s.Name)
	case s.State == process.Scheduled:
		_, err = fmt.Fprintf(w, "process '%s' is scheduled, next run at %s\n", s.Name, Time(s.NextTime))
	case s.AlreadyRunning:
		_, err = fmt.Fprintf(w, "process '%s' is running already: run %d, pid %d\n", s.Name, s.Number, s.PID)
	default:
		_, err = fmt.Fprintf(w, "process '%s' started: run %d, pid %d\n", s.Name, s.Number, s.PID)
	}
	return err
}

// stopped is the result of stop.
type stopped process.Status

func (s stopped) json() any { return process.Status(s) }

func (s stopped) text(w io.Writer) error {
	if !s.State.AtRest() { // a start came behind the stop
		_, err := fmt.Fprintf(w, "process '%s' was stopped, and is being started again\n", s.Name)
		return err
	}
	_, err := fmt.Fprintf(w, "process '%s' is %s, nobody is left\n", s.Name, s.State)
	return err
}

// deleted is the result of delete: the name.
type deleted string

func (d deleted) json() any {
	return struct {
		Name    string `json:"name"`
		Deleted bool   `json:"deleted"`
	}{string(d), true}
}

func (d deleted) text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "process '%s' deleted\n", string(d))
	return err
}

// upgraded is the result of upgrade.
type upgraded process.Upgrade

func (u upgraded) json() any { return process.Upgrade(u) }

func (u upgraded) text(w io.Writer) (err error) {
	if u.Done {
		_, err = fmt.Fprintln(w, "the program on disk has taken over")
	} else {
		_, err = fmt.Fprintf(w, "handing over to the program on disk; connect again, and ask !!upgrade result:%d\n", u.Number)
	}
	return err
}

// status1 is the result of status.
type status1 process.Status

func (s status1) json() any { return process.Status(s) }

func (s status1) text(w io.Writer) error {
	var g grid
	row := func(name, value string) {
		if value != "" {
			g.add(name+":", firstLine(value, 400))
		}
	}
	row("name", s.Name)
	row("status", s.State.String())
	row("command", firstLine(s.Command, 200))
	row("directory", s.Dir)
	if s.DeadlineSeconds > 0 {
		row("deadline", Seconds(s.DeadlineSeconds)+" from the start of a run")
	}
	row("cron", s.Cron)
	if !s.NextTime.IsZero() {
		row("next run", Time(s.NextTime))
	}
	if !s.MissedTime.IsZero() {
		row("missed", Time(s.MissedTime)+", no daemon ran")
	}
	row("stop", fmt.Sprintf("SIG%s, SIGKILL after %s", s.StopSignal, Seconds(s.StopTimeoutSeconds)))
	row("log", keptLog(process.Status(s)))
	if s.LogDropped > 0 {
		row("log dropped", Size(s.LogDropped)+" could not be written")
	}
	row("output", s.OutputError)
	if s.PID != 0 {
		row("pid", number(s.PID))
	}
	if s.Number != 0 {
		runRows(row, s.Run, s.CPUPercent)
	} else {
		row("error", screen.Line(s.Error)) // a definition that cannot be carried out
	}
	if s.LastRun != nil && s.LastRun.Number != s.Number {
		row("last run", fmt.Sprintf("%d: %s, %s, cpu %s", s.LastRun.Number, orDash(outcome(*s.LastRun)),
			span(*s.LastRun), orDash(optional(s.LastRun.CPU, cpuTime))))
	}
	return g.write(w)
}

// keptLog is where the output is kept, with the limits that were asked for.
func keptLog(s process.Status) string {
	if !s.Log {
		return "last lines in memory"
	}
	var limits []string
	if s.LogMaxSize != 0 {
		limits = append(limits, Size(uint64(s.LogMaxSize))+" each")
	}
	if s.LogMaxAge != 0 {
		limits = append(limits, Seconds(s.LogMaxAge)+" each")
	}
	if s.LogMaxFiles != 0 {
		limits = append(limits, fmt.Sprintf("%d files", s.LogMaxFiles))
	}
	if s.LogMaxTotal != 0 {
		limits = append(limits, Size(uint64(s.LogMaxTotal))+" together")
	}
	text := "in a file"
	if len(limits) > 0 {
		text += ", at most " + strings.Join(limits, ", ")
	}
	if s.LogFull == "block" {
		text += "; a full disk blocks the writers"
	}
	return text
}

func runRows(row func(name, value string), r process.Run, cpuPercent *float64) {
	row("run", number(r.Number))
	row("job", r.JobID)
	row("result", outcome(r))
	row("error", screen.Line(r.Error))
	if !r.Start.IsZero() {
		row("time", span(r))
		row("uptime", uptime(r))
	}
	if r.CPU != nil {
		text := fmt.Sprintf("%s (user %s, system %s)", cpuTime(*r.CPU), optional(r.CPUUser, cpuTime), optional(r.CPUSystem, cpuTime))
		if cpuPercent != nil {
			text += ", now " + percent(*cpuPercent) + " %"
		}
		row("cpu", text+from(r.CPUSource))
	}
	if r.Memory != nil {
		row("memory", Size(*r.Memory)+from(r.MemorySource))
	}
	if r.MemoryPeak != nil {
		row("memory peak", Size(*r.MemoryPeak)+from(r.MemoryPeakSource))
	}
	if r.IORead != nil && r.IOWrite != nil {
		row("io", fmt.Sprintf("read %s, written %s", Size(*r.IORead), Size(*r.IOWrite))+from(r.IOSource))
	}
	if r.Pids != nil {
		row("pids", strconv.Itoa(*r.Pids)+from(r.PidsSource))
	}
	if l := r.LeftBehind; l != nil {
		row("left behind", fmt.Sprintf("%d ended after the leader: %s", l.Count, joined(l.Names)))
	}
}

func from(s process.Source) string { return " [" + s.String() + "]" }

// outcome is how a run ended, in a few words; nothing while it lasts.
func outcome(r process.Run) string {
	if r.Cause == 0 {
		return ""
	}
	text := r.Cause.String()
	if r.ExitCode != nil {
		text += fmt.Sprintf(", code %d", *r.ExitCode)
	}
	if r.Signal != 0 {
		text += fmt.Sprintf(", SIG%s", r.Signal)
	}
	return text
}
