package supervisor

import (
	"context"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Who follows figures is told of what has changed, and of nothing else.
func TestFiguresTellOfChangesAlone(t *testing.T) {
	w := newWorld(t)
	w.calm = true
	ctx := t.Context()
	for _, name := range []string{"b", "a"} {
		sp := spec(name)
		sp.Command = strings.Repeat("é", process.MaxFiguresCommand)
		if _, err := w.s.StartSpec(ctx, sp, process.How{}); err != nil {
			t.Fatal(err)
		}
	}
	known := map[string]process.Figures{}
	changed := func(want string) []process.Figures {
		t.Helper()
		rows := w.s.newFigures(known)
		var names []string
		for _, r := range rows {
			name := r.Name
			if r.Gone {
				name += " gone"
			}
			names = append(names, name)
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("told of %q, want %q", got, want)
		}
		return rows
	}
	first := changed("a, b")
	if f := first[0]; f.State != process.Running || f.PID == 0 || f.Run != 1 || f.Uptime <= 0 || f.Command != strings.Repeat("é", process.MaxFiguresCommand/2) {
		t.Errorf("%+v", f)
	}
	changed("")
	if _, err := w.s.Do(ctx, process.Selection{"b"}, process.Stop{}); err != nil {
		t.Fatal(err)
	}
	if f := changed("b")[0]; f.State != process.Stopped || f.PID != 0 || f.CPUPercent != nil {
		t.Errorf("%+v", f)
	}
	if _, err := w.s.Do(ctx, process.Selection{"b"}, process.Delete{}); err != nil {
		t.Fatal(err)
	}
	changed("b gone")
	changed("")
	if err := w.s.Figures(ctx, false, func(rows []process.Figures) error { return context.Canceled }); err != context.Canceled {
		t.Errorf("an error of who is told gives %v", err)
	}
	w.s.Close()
}
