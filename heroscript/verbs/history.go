package verbs

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func runsForm(now time.Time) *form {
	var q process.RunQuery
	return &form{
		params: []Param{
			narrowed(&q.Name, "of these, one process after another"),
			toggle("all", "instead of a name: of all processes together, in the order in which they ended", &q.All),
			{Name: "since", Value: "TIME", Help: "that ended then or later: " + momentForms, set: func(v string) (err error) {
				q.Since, err = parseTime(v, now)
				return err
			}},
			{Name: "until", Value: "TIME", Help: "that ended before", set: func(v string) (err error) {
				q.Until, err = parseTime(v, now)
				return err
			}},
			{Name: "cause", Value: "CAUSE", Choices: process.Causes(), Help: "that ended for this reason: " + strings.Join(process.Causes(), ", "), set: func(v string) (err error) {
				q.Cause, err = process.ParseCause(v)
				return err
			}},
			toggle("failed", "that failed", &q.Failed),
			{Name: "job", Value: "ID", Most: ownBound, Help: "that a request with this jobid asked for", set: func(v string) error {
				q.JobID = v
				return process.ValidateJobID(v)
			}},
			{Name: "limit", Value: "NUMBER", Help: "this many of the last of each, or of all together, at most (default: all that are kept)", set: func(v string) (err error) {
				q.Limit, err = positive(v, "a number of runs")
				return err
			}},
			toggle("verbose", "all that is known of each run, what it used and waited for", &q.Verbose),
		},
		check: func() error { return q.Validate() },
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Runs(ctx, q)
			if err != nil {
				return nil, err
			}
			none := "no run has ended yet"
			if q.Narrows() {
				none = "no such run is kept"
			}
			if _, plain := q.Name.Name(); !plain {
				return runs{list, none, q.Verbose}, nil
			}
			all := slices.Collect(list)
			if len(all) > 0 {
				err = all[0].Err
			}
			return runs{slices.Values(all), none, q.Verbose}, err
		},
	}
}

// RunsAction is the action that asks for q.
func RunsAction(q process.RunQuery) heroscript.Action {
	a := NewAction("process.runs")
	add := func(key, value string) {
		if value != "" {
			a.Params = append(a.Params, heroscript.Param{Key: key, Value: value})
		}
	}
	add("name", q.Name.String())
	addTrue(&a, "all", q.All)
	add("since", moment(q.Since))
	add("until", moment(q.Until))
	if q.Cause != 0 {
		add("cause", q.Cause.String())
	}
	addTrue(&a, "failed", q.Failed)
	add("job", q.JobID)
	if q.Limit > 0 {
		add("limit", strconv.Itoa(q.Limit))
	}
	addTrue(&a, "verbose", q.Verbose)
	return a
}

// moment is a time as parseTime reads it back exactly; empty: none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func addTrue(a *heroscript.Action, key string, is bool) {
	if is {
		a.Params = append(a.Params, heroscript.Param{Key: key, Value: "true"})
	}
}

// runs is the result of runs.
type runs struct {
	list iter.Seq[process.RunRecord] // may be read from the store while it is written
	none string                      // what is said where there is none
	all  bool                        // that is known of each
}

func (r runs) write(w io.Writer, s style) error {
	if s.json {
		return writeSequence(w, r.list)
	}
	told, failed := r.apart()
	if len(told) == 0 && len(failed) == 0 {
		_, err := fmt.Fprintln(w, r.none)
		return err
	}
	if r.all {
		return writeBlocks(w, told, failed)
	}
	var g grid
	g.add("NAME", "RUN", "STARTED", "ENDED", "LASTED", "RESULT", "CPU TIME", "PEAK", "ASKED BY", "JOB", "ERROR")
	for _, one := range told {
		g.add(one.Name, number(one.Number), began(one.Run), ended(one.Run), lasted(one.Run), orDash(outcome(one.Run)),
			optional(one.CPU, cpuTime), optional(one.MemoryPeak, Size), orDash(asker(one.Asked)), orDash(one.JobID), orDash(firstLine(one.Error, 60)))
	}
	return g.told(w, s.width, runsYield, failed)
}

// writeBlocks writes all that is known of runs, a line each, and a blank line between two.
func writeBlocks(w io.Writer, told []process.RunRecord, failed []error) error {
	var b strings.Builder
	for i, one := range told {
		if i > 0 {
			b.WriteString("\n")
		}
		var g grid
		row := g.rows()
		row("name", one.Name)
		runRows(row, one.Run, nil, nil)
		g.write(&b)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return grid{}.told(w, 0, nil, failed)
}

// began is when a run began.
func began(r process.Run) string {
	if r.Start.IsZero() {
		return "-"
	}
	return Time(r.Start)
}

// ended is when a run ended, without the day if that is the one on which it began.
func ended(r process.Run) string {
	text := Time(r.End)
	if !r.Start.IsZero() && strings.HasPrefix(text, Time(r.Start)[:len(time.DateOnly)]) {
		text = text[len(time.DateOnly)+1:]
	}
	return text
}

// lasted is how long a run lasted and, where it is worth a word, how much of that it was
// paused and took to go.
func lasted(r process.Run) string {
	var parts []string
	if r.Paused > 0 {
		parts = append(parts, Seconds(r.Paused)+" paused")
	}
	if r.Stopping >= 0.1 {
		parts = append(parts, Seconds(r.Stopping)+" to end")
	}
	if len(parts) == 0 {
		return uptime(r)
	}
	return uptime(r) + " (" + strings.Join(parts, ", ") + ")"
}

func (r runs) apart() ([]process.RunRecord, []error) {
	return setApart(r.list, func(one process.RunRecord) error { return one.Err })
}

func (r runs) split() (result, []error) {
	told, failed := r.apart()
	return orNothing(runs{slices.Values(told), r.none, r.all}, len(told), failed)
}

// runsYield is what makes room in a narrow window.
var runsYield = []yield{
	{"ERROR", 20}, {"PEAK", 0}, {"CPU TIME", 0}, {"ASKED BY", 0}, {"JOB", 0}, {"NAME", 24}, {"ERROR", 0}, {"STARTED", 0}, {"LASTED", 0}, {"NAME", 12}, {"ENDED", 0}, {"NAME", 6},
}

func eventsForm(now time.Time) *form {
	var q process.EventQuery
	f := &form{
		params: []Param{
			narrowed(&q.Name, "only of these"),
			{Name: "since", Value: "NUMBER|TIME", Help: "those behind the event of this number, or from the first on that is not older: 12h or 7d (ago), 21:04, yesterday, 2026-01-31T15:04:05 (default: all that are kept)", set: func(v string) (err error) {
				if q.Since, err = strconv.ParseUint(v, 10, 64); err == nil {
					return nil
				}
				if q.Time, err = parseTime(v, now); err != nil {
					return fmt.Errorf("%s is neither the number of an event, 0 or more, nor a time: %s", process.Printable(v), momentForms)
				}
				return nil
			}},
			toggle("failed", "only what tells of a failure: of a run, of its health, of a kill for lack of memory, of a restart policy that gave up", &q.Failed),
			{Name: "limit", Value: "NUMBER", Help: "this many of the last at most; those that come are shown all the same", set: func(v string) (err error) {
				q.Last, err = positive(v, "a number of events")
				return err
			}},
			toggle("follow", "go on with what comes, until the session or the connection ends", &q.Follow),
		},
	}
	f.do = func(ctx context.Context, m Manager) (result, error) { return events{ctx, m, q}, nil }
	return f
}

// EventsAction is the action that asks for q.
func EventsAction(q process.EventQuery) heroscript.Action {
	since := moment(q.Time)
	if q.Time.IsZero() {
		since = strconv.FormatUint(q.Since, 10)
	}
	a := NewAction("process.events", "since", since)
	if len(q.Name) > 0 {
		a.Params = append(a.Params, heroscript.Param{Key: "name", Value: q.Name.String()})
	}
	addTrue(&a, "failed", q.Failed)
	if q.Last > 0 {
		a.Params = append(a.Params, heroscript.Param{Key: "limit", Value: strconv.Itoa(q.Last)})
	}
	addTrue(&a, "follow", q.Follow)
	return a
}

// events is the result of events: a stream.
type events struct {
	ctx context.Context
	m   Manager
	q   process.EventQuery
}

func (e events) write(w io.Writer, s style) error {
	return streamed(e.ctx, w, s, e.send(w, s))
}

// send writes the events and returns what came of it.
func (e events) send(w io.Writer, s style) error {
	return e.m.Events(e.ctx, e.q, func(one process.Event) error {
		if s.json {
			return writeJSON(w, one)
		}
		_, err := io.WriteString(w, screen.Line(event(one))+"\n")
		return err
	})
}

func (e events) follows() bool { return e.q.Follow }

// event is one event on a line.
func event(e process.Event) string {
	if e.Kind == process.EventGone {
		return fmt.Sprintf("-  %d events are gone: they are not kept any more", e.Gone)
	}
	words := []string{fmt.Sprintf("%d  %s  %s %s", e.Seq, Time(e.Time), e.Name, strings.ReplaceAll(string(e.Kind), "_", " "))}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if e.Run != 0 {
		add("run %d", e.Run)
	}
	if e.PID != 0 {
		add("pid %d", e.PID)
	}
	if result := outcome(process.Run{Cause: e.Cause, ExitCode: e.ExitCode, Signal: e.Signal}); result != "" {
		add("(%s)", result)
	}
	switch {
	case e.Kind == process.EventStarting && e.Restarts > 0: // the same as who asked
		add("restart %d", e.Restarts)
	case e.Asked.By != "":
		add("asked by %s", asker(e.Asked))
	case e.Restarts > 0:
		add("after %s", restarts(e.Restarts))
	}
	if !e.NextAttempt.IsZero() {
		add("next attempt at %s", Time(e.NextAttempt))
	}
	if !e.SkipTime.IsZero() {
		add("%s", ZonedTime(e.SkipTime))
	}
	if len(e.Fields) > 0 {
		add("%s", strings.Join(e.Fields, ", "))
	}
	if e.Limit != "" {
		add("%s", met(e))
	}
	if e.JobID != "" {
		add("job %s", e.JobID)
	}
	line := strings.Join(words, " ")
	if e.OOM != nil {
		line += ": " + e.OOM.Others()
	}
	if e.Error != "" {
		line += ": " + firstLine(e.Error, 200)
	}
	return line
}

// met says how a limit was met: "pids_max 3 times", "cpu_max 12 times, waited 1.2s".
func met(e process.Event) string {
	text := string(e.Limit) + " once"
	if e.Times != 1 {
		text = fmt.Sprintf("%s %d times", e.Limit, e.Times)
	}
	if e.Waited > 0 {
		text += ", waited " + Seconds(e.Waited)
	}
	return text
}

func positive(v, what string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is not %s: 1 or more", process.Printable(v), what)
	}
	return n, nil
}
