package integration

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// ofAllKinds starts processes whose list is wider than any window of these tests.
func (d *daemon) ofAllKinds() (names []string) {
	d.t.Helper()
	long := strings.Repeat("echo ünd so weiter; ", 10)
	d.start(process.Spec{Name: "runs-for-a-while", Command: "exec sleep 1000 # " + long})
	d.start(process.Spec{Name: "waits", Command: long, Schedule: process.Schedule{Cron: "@yearly"}})
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

// Whatever size a window says it has, its person is answered, and nobody else notices.
func TestWindowsOfAnySizeAreAnswered(t *testing.T) {
	t.Parallel()
	d, port := startTelnet(t)
	worker := d.worker()
	d.ofAllKinds()
	for _, columns := range []int{0, 1, 2, 3, 5, 9, 13, 19, 255, 500, 65535} {
		for _, rows := range []int{0, 1, 24, 65535} {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			window := string([]byte{byte(columns >> 8), byte(columns), byte(rows >> 8), byte(rows)})
			window = "\xff\xfb\x1f\xff\xfa\x1f" + strings.ReplaceAll(window, "\xff", "\xff\xff") + "\xff\xf0" // WILL NAWS, SB
			io.WriteString(conn, "\xff\xfd\x01"+theSecret+"\r\x00"+window+"\xff\xfd\x03")
			io.WriteString(conn, "!!process.list\r!!process.status name:waits\r!!help\r!!doctor\r!!process.sto\t\t\r!!process.stop name:nobody-has-this-name\r!!quit\r")
			all, err := io.ReadAll(conn)
			conn.Close()
			for _, text := range []string{"STATUS", "runs", "@yearly", "!!interactive", "memory", "nobody", "Goodbye"} {
				if !strings.Contains(string(all), text) {
					t.Errorf("in %d columns and %d rows there is no %q, %v: %q", columns, rows, text, err, all)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	for _, columns := range []int{1, 5, 9, 19, 500} {
		for _, command := range []string{"list", "doctor", "help"} {
			p := openTerminal(t, d.dir, "/bin/sh", "-c", fmt.Sprintf(`stty cols %d rows 1; exec "$0" "$@"`, columns), programs.client, "-socket", d.socket, "-secret", theSecret, command)
			if code := p.ends(); code != 0 {
				t.Errorf("pmclient %s in %d columns ends with %d: %s", command, columns, code, p.sees(endOfScreen))
			}
		}
	}
	if now := d.worker(); now != worker {
		t.Errorf("the worker was %d and is %d", worker, now)
	}
}
