package supervisor

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// figuresTime is how often who follows figures is told of them.
const figuresTime = time.Second

// Figures tells what all processes use, by name. With follow it goes on with what has changed
// until ctx ends. Each who follows is served by its own goroutine: nobody looks, nothing is
// read. See [verbs.Manager].
func (s *Supervisor) Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error {
	told := map[string]process.Figures{}
	if err := tell(s.newFigures(told)); err != nil || !follow {
		return err
	}
	tick := time.NewTicker(figuresTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := tell(s.newFigures(told)); err != nil {
			return err
		}
	}
}

// newFigures are those that differ from what was told, by name, and brings that up to date.
func (s *Supervisor) newFigures(told map[string]process.Figures) (rows []process.Figures) {
	seen := make(map[string]bool, len(told))
	for _, p := range s.all() {
		f := figuresOf(p)
		seen[f.Name] = true
		if before, known := told[f.Name]; !known || !sameFigures(before, f) {
			rows = append(rows, f)
			told[f.Name] = f
		}
	}
	for name := range told {
		if !seen[name] {
			delete(told, name)
			rows = append(rows, process.Figures{Name: name, Gone: true})
		}
	}
	slices.SortFunc(rows, func(a, b process.Figures) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

// sameFigures reports whether nothing has changed but the uptime, which everybody can count on.
func sameFigures(a, b process.Figures) bool {
	return a.State == b.State && a.PID == b.PID && a.Run == b.Run && a.Restarts == b.Restarts && a.Result == b.Result &&
		equal(a.CPUPercent, b.CPUPercent) && equal(a.Memory, b.Memory) && equal(a.Pids, b.Pids) && a.Command == b.Command
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// figuresOf are a process's figures of this moment.
func figuresOf(p *managed) process.Figures {
	for {
		v := p.view.Load()
		f, ok := v.figures(p.name)
		// A run that ended meanwhile has left its totals in a new view.
		if ok || p.view.Load() == v {
			return f
		}
	}
}

// figures is false when those of a run could not be read.
func (v *view) figures(name string) (f process.Figures, ok bool) {
	f = process.Figures{Name: name, State: v.state, PID: v.pid, Restarts: v.tries, Result: v.result(), Command: v.defined.Spec.Command}
	if len(f.Command) > process.MaxFiguresCommand {
		f.Command = f.Command[:process.MaxFiguresCommand]
		f.Command = f.Command[:len(f.Command)-screen.Unfinished([]byte(f.Command))]
	}
	if f.Run = v.run.Number; f.Run != 0 && !v.run.Start.IsZero() {
		f.Uptime = (proc.BootTime() - v.boot).Seconds()
	}
	if v.meter != nil && !addFigures(&f, v.meter) {
		return f, false
	}
	for _, b := range v.beside {
		if b.meter != nil && !addFigures(&f, b.meter) {
			return f, false
		}
	}
	if f.CPUPercent != nil {
		f.CPUPercent = new(math.Round(*f.CPUPercent*10) / 10) // what is shown: less is no change
	}
	return f, true
}

// addFigures adds what a run uses.
func addFigures(f *process.Figures, m *run.Meter) bool {
	now, err := m.Now(process.Brief)
	if err != nil {
		return false
	}
	f.CPUPercent = process.Sum(f.CPUPercent, now.CPUPercent)
	f.Memory = process.Sum(f.Memory, now.Memory)
	f.Pids = process.Sum(f.Pids, now.Pids)
	return true
}
