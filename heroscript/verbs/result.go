package verbs

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// outcomes are the result of a verb that acts on, or shows, what is selected.
type outcomes struct {
	list  []process.Outcome
	plain bool                         // one plain name was given: in JSON one object
	say   func(process.Outcome) string // one of them for people
}

// several is the result for what is selected. The failure of one plain name is that of
// the action.
func several(of process.Selection, list []process.Outcome, say func(process.Outcome) string) (result, error) {
	if _, plain := of.Name(); !plain {
		return outcomes{list, false, say}, nil
	}
	if len(list) != 1 {
		return nil, process.Errorf(process.CodeInternal, "%d answers for one process", len(list))
	}
	return outcomes{list, true, say}, list[0].Err
}

func (o outcomes) split() (result, []error) {
	told, failed := apart(o.list)
	return outcomes{told, o.plain, o.say}, failed
}

// apart are the outcomes of what could be done, and why the others could not.
func apart(list []process.Outcome) (done []process.Outcome, failed []error) {
	for _, o := range list {
		if o.Err != nil {
			failed = append(failed, o.Err)
		} else {
			done = append(done, o)
		}
	}
	return done, failed
}

// orNothing is a table of n rows without what failed: where nothing is left it says nothing.
func orNothing(table result, n int, failed []error) (result, []error) {
	if n == 0 && len(failed) > 0 {
		return outcomes{}, failed
	}
	return table, failed
}

// setApart sets apart the rows that failed.
func setApart[T any](rows iter.Seq[T], failure func(T) error) (told []T, failed []error) {
	for row := range rows {
		if err := failure(row); err != nil {
			failed = append(failed, err)
		} else {
			told = append(told, row)
		}
	}
	return told, failed
}

// one is the result for one process.
func one(s process.Status, say func(process.Outcome) string) result {
	return outcomes{[]process.Outcome{{Name: s.Name, Status: s}}, true, say}
}

func (o outcomes) write(w io.Writer, s style) error {
	switch {
	case s.json && o.plain:
		return writeJSON(w, o.list[0])
	case s.json:
		return writeArray(w, o.list)
	}
	for i, one := range o.list {
		text := ""
		if one.Err != nil {
			text = "Error: " + screen.Line(errorText(one.Err))
		} else {
			text = strings.TrimSuffix(o.say(one), "\n")
		}
		if i > 0 && strings.Contains(text, "\n") {
			text = "\n" + text
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// said is what a run says of itself: "reloading, 3 of 5 files".
func said(c process.Condition) string {
	text := screen.Line(c.StatusText)
	switch {
	case c.Notified == "":
		return text
	case text == "":
		return string(c.Notified)
	}
	return string(c.Notified) + ", " + text
}

// status shows all that is known of a process, a line each.
func status(o process.Outcome) string {
	s := o.Status
	var g grid
	row := g.rows()
	row("name", s.Name)
	row("status", state(s))
	row("waits for", process.JoinAwaited(s.WaitsFor))
	row("defined by", definer(s.Source))
	row("command", firstLine(s.Command, 200))
	row("directory", s.Dir)
	environmentRows(row, s.Spec)
	limitRows(row, s.Spec)
	if s.Deadline > 0 {
		row("deadline", Seconds(s.Deadline.Seconds())+" from the start of a run")
	}
	row("restart", restartPolicy(s.Restarting))
	if s.Restarts > 0 && s.State != process.Backoff {
		row("restarts", number(s.Restarts))
	}
	if s.Autostart {
		row("autostart", "with the daemon, unless it was stopped by request")
	}
	row("needs", strings.Join(strings.Split(s.Needs, ","), ", "))
	row("after", strings.Join(strings.Split(s.After, ","), ", "))
	row("needed by", strings.Join(s.NeededBy, ", "))
	row("cron", s.Cron)
	row("time zone", s.TZ)
	if s.Jitter > 0 {
		row("jitter", "up to "+Seconds(s.Jitter.Seconds())+" after each time")
	}
	if s.Overlap != "" {
		row("overlap", overlapping(s.Overlapping))
	}
	row("catchup", catchup(s.Schedule))
	switch {
	case s.SchedulePaused:
		row("next run", "none: its schedule is paused, schedule_resume has it go on")
	case !s.NextTime.IsZero():
		row("next run", ZonedTime(s.NextTime))
	}
	if !s.SkipTime.IsZero() {
		row("skips", ZonedTime(s.SkipTime)+", on request")
	}
	if s.ToCatchUp > 0 {
		row("to catch up", fmt.Sprintf("%d of the times that were missed", s.ToCatchUp))
	}
	if !s.MissedTime.IsZero() {
		row("missed", ZonedTime(s.MissedTime)+", no daemon ran")
	}
	row("ready", readyRow(&s))
	row("health", healthRow(&s))
	row("stop", fmt.Sprintf("SIG%s, SIGKILL after %s", s.EndSignal(), Seconds(s.Grace().Seconds())))
	row("log", keptLog(s.Logging))
	if s.History != 0 {
		row("history", fmt.Sprintf("at most %d runs", s.History))
	}
	row("on failure", firstLine(s.OnFailure, 200))
	if s.LogDropped > 0 {
		row("log dropped", Size(s.LogDropped)+" could not be written")
	}
	row("output", s.OutputError)
	row("it says", said(s.Condition))
	if s.PID != 0 {
		row("pid", number(s.PID))
	}
	row("queued", queued(&s))
	for _, r := range s.Runs[:max(len(s.Runs)-1, 0)] {
		row("beside", beside(r))
	}
	if s.Number != 0 {
		runRows(row, s.Run, s.CPUPercent, s.CPUPercentSinceStart)
	} else {
		row("error", screen.Line(s.Error)) // a definition that cannot be carried out
	}
	if s.Result != 0 {
		row("result", s.Result.String())
	}
	if s.LastRun != nil && s.LastRun.Number != s.Number {
		row("last run", fmt.Sprintf("%d: %s, %s, cpu %s", s.LastRun.Number, orDash(outcome(*s.LastRun)),
			span(*s.LastRun), orDash(optional(s.LastRun.CPU, cpuTime))))
		if s.Number == 0 { // nothing else tells why
			row("error", screen.Line(s.LastRun.Error))
			row("advice", forkedAway(*s.LastRun))
		}
	}
	if len(s.WaitsForRestart) > 0 {
		row("changed", strings.Join(s.WaitsForRestart, ", ")+": from the next run on")
	}
	var b strings.Builder
	g.write(&b)
	return b.String()
}

// environmentRows show what a run gets beside its command and its directory.
func environmentRows(row func(name, value string), s process.Spec) {
	for i := range process.Fields {
		f := &process.Fields[i]
		if f.Group == process.GroupRun && f.Name != "command" && f.Name != "dir" {
			row(strings.ReplaceAll(f.Name, "_", " "), f.Shown(s))
		}
	}
}

// limitRows show what the tree may use.
func limitRows(row func(name, value string), s process.Spec) {
	for i := range process.Fields {
		f := &process.Fields[i]
		if f.Group != process.GroupLimit {
			continue
		}
		text := f.Shown(s)
		if n, err := strconv.ParseUint(text, 10, 63); f.Value == "SIZE" && err == nil {
			text = Size(n)
		}
		row(strings.ReplaceAll(f.Name, "_", " "), strings.ReplaceAll(text, "\n", "; "))
	}
}

// keptLog is where the output is kept, with the limits that were asked for.
func keptLog(s process.Logging) string {
	if !s.Log {
		return "last lines in memory"
	}
	var limits []string
	if s.LogMaxSize != 0 {
		limits = append(limits, Size(uint64(s.LogMaxSize))+" each")
	}
	if s.LogMaxAge != 0 {
		limits = append(limits, Seconds(s.LogMaxAge.Seconds())+" each")
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
	if s.LogBlock {
		text += "; a full disk blocks the writers"
	}
	return text
}

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

// definer is who defined a process, for people.
func definer(source string) string {
	switch source {
	case process.SourceCommand:
		return "a command"
	case StandardInput:
		return "standard input of apply"
	}
	return source
}

// names are those of what a process waits for.
func names(list []process.Awaited) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.Name)
	}
	return strings.Join(texts, ", ")
}
