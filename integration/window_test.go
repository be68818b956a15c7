package integration

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// ofAllKinds starts processes whose list is wider than any window of these tests.
func (d *daemon) ofAllKinds() (names []string) {
	d.t.Helper()
	long := strings.Repeat("echo ünd so weiter; ", 10)
	d.start(process.Spec{Name: "runs-for-a-while", Command: "exec sleep 1000 # " + long})
	d.start(process.Spec{Name: "waits", Command: long, Cron: "@yearly"})
	d.finished("has-ended", "exit 3 # "+long)
	return []string{"has-ended", "runs-for-a-while", "waits"}
}

// lists waits until the list is what fits into this width, a line for each process.
func (p *terminal) lists(width int, names []string) {
	p.t.Helper()
	p.types("!!process.list", enter)
	p.sees("NAME ")
	p.listed(width, names, p.sees(prompt))
}

// listed looks at what is shown behind the first title of a list.
func (p *terminal) listed(width int, names []string, shown string) {
	p.t.Helper()
	lines := strings.Split(strings.TrimRight("NAME "+shown, "\r\n"), "\n")
	if len(lines) != 1+len(names) || !strings.Contains(lines[0], "STATUS") {
		p.t.Fatalf("%d processes in %d lines: %q", len(names), len(lines), lines)
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r")); n > width || width > 160 && i == 1 && n < 100 {
			p.t.Errorf("%d characters for %d columns: %q", n, width, line)
		}
		if i > 0 && !strings.HasPrefix(line, names[i-1]+" ") {
			p.t.Errorf("line %d is not that of %s: %q", i, names[i-1], line)
		}
	}
}

// inColumns is a terminal of this width in which the client has been run.
func (d *daemon) inColumns(width int, args ...string) *terminal {
	d.t.Helper()
	command := fmt.Sprintf(`stty cols %d; exec "$0" "$@"`, width)
	p := openTerminal(d.t, d.dir, append([]string{"/bin/sh", "-c", command, programs.client, "-socket", d.socket, "-secret", theSecret}, args...)...)
	p.ends()
	return p
}

func TestWhatIsLongerThanTheWindowIsFolded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, args := range [][]string{{"help"}, {"help", "start"}, {"help", "run"}, {"doctor"}} {
		for line := range strings.Lines(d.inColumns(60, args...).sees(endOfScreen)) {
			line = strings.TrimRight(line, "\r\n")
			if long := strings.ContainsAny(line, "/=.") && !strings.Contains(strings.TrimSpace(line), " "); utf8.RuneCountInString(line) > 60 && !long {
				t.Errorf("%q: %q", args, line)
			}
		}
	}
}

func TestListFitsTheWindow(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	names := d.ofAllKinds()
	p := d.shell(t)
	p.lists(100, names)
	for _, width := range []uint16{60, 80, 200} {
		p.resize(width, 24)
		p.lists(int(width), names)
	}
	p.types(ctrlD)
	p.ends()

	p = d.inColumns(60, "list")
	p.sees("NAME ")
	p.listed(60, names, p.sees(endOfScreen))

	for what, text := range map[string]string{
		"no terminal":        d.mustClient("list"),
		"a script in a pipe": d.executeWith("!!process.list", "run", "-").stdout,
	} {
		if lines := strings.Split(text, "\n"); !strings.HasSuffix(lines[1], "…") || !strings.Contains(text, "CPU TIME") || utf8.RuneCountInString(lines[1]) < 120 {
			t.Errorf("%s, and the list is cut:\n%s", what, text)
		}
	}
}
