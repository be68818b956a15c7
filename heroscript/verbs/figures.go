package verbs

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const figuresVerb = "process.figures"

func figuresForm(time.Time) *form {
	follow := false
	f := &form{params: []Param{
		toggle("follow", "go on with those that have changed, once a second, until the session or the connection ends", &follow),
	}}
	f.do = func(ctx context.Context, m Manager) (result, error) { return figures{ctx, m, follow}, nil }
	return f
}

// FiguresAction is the action that asks for the figures of all processes.
func FiguresAction(follow bool) heroscript.Action {
	a := NewAction(figuresVerb)
	addTrue(&a, "follow", follow)
	return a
}

// figures is the result of figures: a stream, in JSON an array a line.
type figures struct {
	ctx    context.Context
	m      Manager
	follow bool
}

func (f figures) write(w io.Writer, s style) error { return streamed(f.ctx, w, s, f.send(w, s)) }

func (f figures) send(w io.Writer, s style) error {
	first := true
	return f.m.Figures(f.ctx, f.follow, func(rows []process.Figures) error {
		whole := first
		first = false
		if s.json {
			return writeArray(w, rows)
		}
		if len(rows) == 0 && whole {
			_, err := io.WriteString(w, "no processes\n")
			return err
		}
		var g grid
		g.add("NAME", "STATUS", "PID", "CPU%", "MEMORY", "PIDS", "UPTIME", "RESTARTS", "COMMAND")
		for _, r := range rows {
			state := r.State.String()
			if r.Gone {
				state = "gone"
			}
			g.add(r.Name, state, number(r.PID), optional(r.CPUPercent, percent), optional(r.Memory, Size), optional(r.Pids, strconv.Itoa),
				uptimeOf(r), number(r.Restarts), orDash(firstLine(r.Command, 40)))
		}
		return g.told(w, s.width, figuresYield, nil)
	})
}

func (f figures) follows() bool { return f.follow }

// figuresYield is what makes room in a narrow window.
var figuresYield = []yield{{"COMMAND", 20}, {"COMMAND", 0}, {"RESTARTS", 0}, {"PIDS", 0}, {"NAME", 24}, {"UPTIME", 0}, {"PID", 0}, {"NAME", 6}}

func uptimeOf(r process.Figures) string {
	if r.Run == 0 {
		return "-"
	}
	return Seconds(r.Uptime)
}
