package verbs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

const waitVerb = "process.wait"

func waitForm(time.Time) *form {
	var of process.Selection
	w := process.WaitFor{Until: process.UntilEnd}
	return &form{
		params: []Param{
			selected(&of),
			{Name: "for", Value: "WHAT", Choices: process.Untils,
				Help: "end of the run under way (the default); ready; stopped: no attempt follows by itself; healthy",
				set: func(v string) error {
					if !slices.Contains(process.Untils, v) {
						return fmt.Errorf("%s cannot be waited for: %s", process.Printable(v), strings.Join(process.Untils, ", "))
					}
					w.Until = process.Until(v)
					return nil
				}},
			{Name: "timeout", Value: "TIME", Help: "wait no longer than this: 30, 90s, 10m (default, and 0: as long as it takes)", set: func(v string) (err error) {
				w.Timeout, err = process.ParseDuration(v)
				return err
			}},
			{Name: "run", Value: "NUMBER", Most: ownBound, Help: "of this very run; of several processes one for each: 3,0,7, where 0 is any", set: func(v string) error {
				for _, one := range strings.Split(v, ",") {
					n, err := strconv.ParseUint(strings.TrimSpace(one), 10, 64)
					if err != nil {
						return fmt.Errorf("%s is not the number of a run", process.Printable(one))
					}
					w.Runs = append(w.Runs, n)
				}
				return nil
			}},
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			return &awaiting{ctx: ctx, m: m, of: of, w: w}, nil
		},
	}
}

// WaitAction is the action that waits for w.
func WaitAction(of process.Selection, w process.WaitFor) heroscript.Action {
	a := NewAction(waitVerb, "name", of.String())
	add := func(key, value string) { a.Params = append(a.Params, heroscript.Param{Key: key, Value: value}) }
	if w.Until != process.UntilEnd {
		add("for", string(w.Until))
	}
	if w.Timeout > 0 {
		add("timeout", strconv.FormatFloat(w.Timeout.Seconds(), 'f', -1, 64))
	}
	if slices.ContainsFunc(w.Runs, func(n uint64) bool { return n > 0 }) {
		var numbers []string
		for _, n := range w.Runs {
			numbers = append(numbers, strconv.FormatUint(n, 10))
		}
		add("run", strings.Join(numbers, ","))
	}
	return a
}

// awaiting is the result of wait. It waits when it is written: who hangs up waits no longer.
type awaiting struct {
	ctx  context.Context
	m    Manager
	of   process.Selection
	w    process.WaitFor
	list []process.Waited // when it is done
}

// Waited are the rows of a wait that was told, or the one of an exec.
func (a Answer) Waited() []process.Waited {
	switch body := a.body.(type) {
	case *awaiting:
		return body.list
	case *executing:
		return body.ended
	}
	return nil
}

func (a *awaiting) write(w io.Writer, s style) error { return streamed(a.ctx, w, s, a.send(w, s)) }

func (a *awaiting) follows() bool { return false }

func (a *awaiting) send(w io.Writer, s style) (err error) {
	if a.list, err = a.m.Await(a.ctx, a.of, a.w); err != nil {
		return err
	}
	var failed []error
	for _, one := range a.list {
		if one.Err != nil {
			failed = append(failed, one.Err)
		}
	}
	_, plain := a.of.Name()
	switch {
	case plain && len(failed) > 0:
		return failed[0]
	case s.json && plain:
		return writeJSON(w, a.list[0])
	case s.json:
		return writeArray(w, a.list)
	case plain:
		_, err := io.WriteString(w, screen.Line(came(a.list[0], a.w.Until))+"\n")
		return err
	}
	var g grid
	g.add("NAME", "STATUS", "RUN", "RESULT", "LASTED", "ERROR")
	for _, one := range a.list {
		if one.Err != nil {
			g.add(one.Name, "-", "-", string(process.CodeOf(one.Err)), "-", errorText(one.Err))
			continue
		}
		g.add(one.Name, one.State.String(), number(one.Number), orDash(outcome(one.Run)), orDash(uptime(one.Run)), orDash(one.Error))
	}
	return g.told(w, s.width, []yield{{"ERROR", 20}, {"LASTED", 0}, {"NAME", 16}}, nil)
}

// came says what came of a process that was waited for.
func came(w process.Waited, until process.Until) string {
	if w.Cause == 0 {
		return fmt.Sprintf("process '%s' is %s: run %d, pid %d", w.Name, until, w.Number, w.PID)
	}
	text := fmt.Sprintf("process '%s': run %d ended: %s", w.Name, w.Number, howEnded(w.Run))
	if until == process.UntilStopped {
		text = fmt.Sprintf("process '%s' is %s: run %d ended: %s", w.Name, w.State, w.Number, howEnded(w.Run))
	}
	if advice := forkedAway(w.Run); advice != "" {
		text += "; " + advice
	}
	return text
}

// HowItEnded says how a run ended that was waited for.
func HowItEnded(w process.Waited) string { return came(w, process.UntilEnd) }

// howEnded is how a run ended, and why.
func howEnded(r process.Run) string {
	how := outcome(r)
	switch {
	case r.Error == "":
	case r.Cause == process.CauseExit: // it begins with the exit code
		how = screen.Line(r.Error)
	default:
		how += ": " + screen.Line(r.Error)
	}
	return how
}
