package verbs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func runsForm(time.Time) *form {
	var of process.Selection
	most := 0
	return &form{
		params: []Param{
			selected(&of),
			{Name: "limit", Value: "NUMBER", Help: "this many of the last runs of each at most (default: all that are kept)", set: func(v string) (err error) {
				most, err = positive(v, "a number of runs")
				return err
			}},
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Runs(ctx, of, most)
			if _, plain := of.Name(); plain && err == nil && len(list) > 0 {
				err = list[0].Err
			}
			return runs(list), err
		},
	}
}

// RunsAction is the action that asks for the runs of what is selected.
func RunsAction(of process.Selection, most int) heroscript.Action {
	a := NewAction("process.runs", "name", of.String())
	if most > 0 {
		a.Params = append(a.Params, heroscript.Param{Key: "limit", Value: strconv.Itoa(most)})
	}
	return a
}

// runs is the result of runs.
type runs []process.RunRecord

func (r runs) write(w io.Writer, s style) error {
	if s.json {
		return writeArray(w, r)
	}
	told, failed := r.apart()
	if len(told) == 0 && len(failed) == 0 {
		_, err := fmt.Fprintln(w, "no run has ended yet")
		return err
	}
	var g grid
	g.add("NAME", "RUN", "STARTED", "UPTIME", "RESULT", "CPU TIME", "PEAK", "JOB", "ERROR")
	for _, one := range told {
		started := "-"
		if !one.Start.IsZero() {
			started = Time(one.Start)
		}
		g.add(one.Name, number(one.Number), started, uptime(one.Run), orDash(outcome(one.Run)),
			optional(one.CPU, cpuTime), optional(one.MemoryPeak, Size), orDash(one.JobID), orDash(firstLine(one.Error, 60)))
	}
	return g.told(w, s.width, runsYield, failed)
}

func (r runs) apart() (told runs, failed []error) {
	for _, one := range r {
		if one.Err != nil {
			failed = append(failed, one.Err)
		} else {
			told = append(told, one)
		}
	}
	return told, failed
}

func (r runs) split() (result, []error) {
	told, failed := r.apart()
	return orNothing(told, len(told), failed)
}

// runsYield is what makes room in a narrow window.
var runsYield = []yield{
	{"ERROR", 20}, {"PEAK", 0}, {"JOB", 0}, {"CPU TIME", 0}, {"NAME", 24}, {"ERROR", 0}, {"UPTIME", 0}, {"NAME", 12}, {"STARTED", 0}, {"NAME", 6},
}

func eventsForm(time.Time) *form {
	var q process.EventQuery
	f := &form{
		params: []Param{
			narrowed(&q.Name, "only of these"),
			{Name: "since", Value: "NUMBER", Help: "those behind the event of this number (default: all that are kept)", set: func(v string) (err error) {
				if q.Since, err = strconv.ParseUint(v, 10, 64); err != nil {
					return fmt.Errorf("%s is not the number of an event: 0 or more", process.Printable(v))
				}
				return nil
			}},
			toggle("follow", "go on with what comes, until the session or the connection ends", &q.Follow),
		},
	}
	f.do = func(ctx context.Context, m Manager) (result, error) { return events{ctx, m, q}, nil }
	return f
}

// EventsAction is the action that asks for q.
func EventsAction(q process.EventQuery) heroscript.Action {
	a := NewAction("process.events", "since", strconv.FormatUint(q.Since, 10))
	if len(q.Name) > 0 {
		a.Params = append(a.Params, heroscript.Param{Key: "name", Value: q.Name.String()})
	}
	if q.Follow {
		a.Params = append(a.Params, heroscript.Param{Key: "follow", Value: "true"})
	}
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
	words := []string{fmt.Sprintf("%d  %s  %s %s", e.Seq, Time(e.Time), e.Name, e.Kind)}
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
	if len(e.Fields) > 0 {
		add("%s", strings.Join(e.Fields, ", "))
	}
	if e.JobID != "" {
		add("job %s", e.JobID)
	}
	line := strings.Join(words, " ")
	if e.Error != "" {
		line += ": " + firstLine(e.Error, 200)
	}
	return line
}

func positive(v, what string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is not %s: 1 or more", process.Printable(v), what)
	}
	return n, nil
}
