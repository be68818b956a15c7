package verbs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// reporter has a report too.
type reporter struct {
	recorder
	report process.Report
}

func (r *reporter) Doctor(context.Context) (process.Report, error) { return r.report, nil }

// layouts are all answers in text, with what others have given in every place that can
// hold it.
func layouts(given, other string) (m Manager, scripts []string) {
	odd, twin := running(), failed()
	odd.Name, odd.Command, odd.Dir, odd.Error, odd.Cron = given, other, given, other, given
	odd.LeftBehind = &process.LeftBehind{Count: 2, Names: []string{given, other}}
	twin.Name, twin.Command, twin.Error = other, given, given
	found := []process.Finding{
		{Subject: given, Level: process.LevelOK, Found: other},
		{Subject: other, Level: process.LevelProblem, Found: given, Mend: other},
	}
	ran := []process.Event{{Kind: process.EventGaveUp, Name: given, Error: other}}
	tree := process.Tree{Name: given, State: process.Running, Runs: []process.RunTree{{Run: 1, Processes: []process.KernelProcess{{PID: 1, Command: given}, {PID: 2, Under: 1, Level: 1, Command: other}}}}}
	r := &reporter{recorder{status: odd, all: []process.Status{odd, twin, running()}, events: ran, trees: []process.Tree{tree}, output: []byte(given + "\n" + other)}, process.Report{Findings: found}}
	return r, []string{
		"!!process.list", "!!process.status name:x", "!!process.why name:x", "!!process.tree name:x", "!!doctor", "!!help", "!!help process.start", "!!help " + given, "!!" + given + " " + other,
		"!!process.start name:x", "!!process.stop name:x", "!!process.delete name:x", "!!process.log name:x grep:'" + given, "!!process.start name:'" + given + "'",
	}
}

// checkLayouts writes all layouts in a window. They must come, hold nothing that a
// terminal would act on, and a list must fit.
func checkLayouts(t *testing.T, given, other string, width int) {
	t.Helper()
	m, scripts := layouts(given, other)
	for _, script := range scripts {
		a := RunText(context.Background(), m, script)
		a.Width = width
		var b strings.Builder
		if err := a.Write(&b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("%q in %d columns holds %q: %q", script, width, r, b.String())
			}
		}
		if columns := screen.Columns(width); columns > 0 && script == "!!process.list" {
			for line := range strings.Lines(b.String()) {
				if n := screen.Cells(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("%d cells in %d columns: %q", n, width, line)
				}
			}
		}
		if a.Err != nil && strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%q: the error has several lines: %q", script, b.String())
		}
	}
	for _, yields := range [][]yield{listYields, {{given, 0}, {other, width}}} {
		var g grid
		g.add(given, "COMMAND", other)
		g.add(other, given, "-")
		g.fit(width, yields) // whoever calls it, with whatever number
	}
}

func TestEveryLayoutInAnyWindow(t *testing.T) {
	texts := []string{"", "web", strings.Repeat("long-", 60), strings.Repeat("漢字", 40), "e\u0301\u0301\u0301", "\xff\xfe\xc3", "a\x1b[2J\tb\r\n\u202e\u2028\u0085\x7f", strings.Repeat("\u200d🙂", 30)}
	for i, given := range texts {
		for width := -1; width <= 50; width++ {
			checkLayouts(t, given, texts[(i+1+width+1)%len(texts)], width)
		}
		for _, width := range []int{80, 130, 250, 500, 65535, -1 << 62, 1<<63 - 1} {
			checkLayouts(t, given, texts[(i+3)%len(texts)], width)
		}
	}
}

func FuzzLayouts(f *testing.F) {
	for i, width := range []int{0, 1, 9, 20, 80, 500, 65535} {
		f.Add(fmt.Sprintf("na\x1bme%d", i), "日本\xff", width)
	}
	f.Fuzz(func(t *testing.T, given, other string, width int) {
		if len(given)+len(other) < 1<<10 { // the search for a similar word takes its time
			checkLayouts(t, given, other, width)
		}
	})
}
