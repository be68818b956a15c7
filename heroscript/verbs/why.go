package verbs

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

func whyForm(now time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{selected(&of)},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Show(ctx, of, process.Full)
			if err != nil {
				return nil, err
			}
			var parts []process.Explained
			for _, o := range list {
				one := process.Explained{Explanation: process.Explanation{Name: o.Name}, Err: o.Err}
				if o.Err == nil {
					one.Explanation = explain(o.Status, lastEvents(ctx, m, o.Name), now)
					addOutput(ctx, m, &one.Explanation, &o.Status)
				}
				parts = append(parts, one)
			}
			all, err := eachOf(of, parts, func(e process.Explained) error { return e.Err }, func(e process.Explained, width int) string { return explained(e.Explanation, width) })
			all.apart = "\n"
			return all, err
		},
	}
}

// WhyAction is the action that asks why processes are as they are.
func WhyAction(of process.Selection) heroscript.Action {
	return NewAction("process.why", "name", of.String())
}

// eventsToExplain is how many of the last events of a process are looked at.
const eventsToExplain = 30

// lastEvents are the last of a process; fewer where they cannot be read.
func lastEvents(ctx context.Context, m Manager, name string) (list []process.Event) {
	m.Events(ctx, process.EventQuery{Name: process.Selection{name}, Last: eventsToExplain}, func(e process.Event) error {
		list = append(list, e)
		return nil
	})
	return list
}

// How much of a run's output is told.
const (
	outputLines = 8
	outputBytes = 16 << 10 // of all of them
	outputWidth = 1 << 10  // bytes of one
)

// addOutput adds the last lines of the run, or of the one before it.
func addOutput(ctx context.Context, m Manager, e *process.Explanation, s *process.Status) {
	for _, run := range []uint64{s.Number, s.Ended().Number} {
		if run == 0 {
			continue
		}
		q := process.LogQuery{Lines: outputLines, Run: run}
		if !s.Log {
			q.Run = 0
		}
		w := lastBytes{most: outputBytes}
		if _, err := m.Log(ctx, s.Name, q, &w); err != nil {
			e.OutputError = cmp.Or(e.OutputError, err.Error())
		}
		if e.Output = w.lines(outputLines); len(e.Output) > 0 {
			e.OutputRun = run
			return
		}
		if !s.Log { // what is kept in memory is of one run
			return
		}
	}
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	most int
	kept []byte
	cut  bool // something stood before
}

func (l *lastBytes) Write(p []byte) (int, error) {
	n := len(p)
	if l.kept = append(l.kept, p[max(0, n-l.most):]...); n > l.most || len(l.kept) > l.most {
		l.kept, l.cut = append(l.kept[:0], l.kept[max(0, len(l.kept)-l.most):]...), true
	}
	return n, nil
}

// lines are the last ones, each cut to outputWidth.
func (l *lastBytes) lines(most int) (lines []string) {
	kept := bytes.TrimRight(l.kept, "\n")
	if len(kept) == 0 {
		return nil
	}
	all := bytes.Split(kept, []byte("\n"))
	if l.cut {
		all[0] = append([]byte("…"), all[0][min(len(all[0]), screen.Unbegun(all[0])):]...)
	}
	for _, line := range all[max(0, len(all)-most):] {
		lines = append(lines, cut(strings.ToValidUTF8(string(line), "�"), outputWidth))
	}
	return lines
}

// explained is why a process is as it is, for people: a screenful.
func explained(e process.Explanation, width int) string {
	head := "process '" + screen.Line(e.Name) + "' is "
	if e.State == process.Backoff {
		head += "in "
	}
	head += e.State.String()
	if !e.Since.IsZero() {
		head += " since " + ZonedTime(e.Since)
	}
	var b strings.Builder
	b.WriteString(screen.Fold(head+": "+firstLine(e.Says, 400), width) + "\n")
	var facts grid
	for _, f := range e.Facts {
		facts.add("  "+f.Topic+":", firstLine(f.Text, 400))
	}
	if len(facts) > 0 {
		var text strings.Builder
		facts.write(&text)
		b.WriteString(screen.Fold(text.String(), width))
	}
	for i, line := range e.Output {
		if i == 0 {
			b.WriteString("last output, of run " + number(e.OutputRun) + ":\n")
		}
		line = "  | " + screen.Line(line)
		if width > 0 {
			line = screen.Cut(line, width)
		}
		b.WriteString(line + "\n")
	}
	if e.OutputError != "" {
		b.WriteString(screen.Fold("last output: it cannot be read: "+firstLine(e.OutputError, 400), width) + "\n")
	}
	var next grid
	for _, step := range e.Next {
		next.add("  "+step.Command, step.For)
	}
	if len(next) > 0 {
		var text strings.Builder
		next.write(&text)
		b.WriteString("next:\n" + screen.Fold(text.String(), width))
	}
	return b.String()
}
