package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Sequences of a view that fills the screen.
const (
	enterScreen, leaveScreen = "\x1b[?1049h", "\x1b[?1049l"
	clearScreen              = "\x1b[2J"
	ctrlL                    = "\x0c"
)

// startTop is a daemon with processes, and pmclient top before a person.
func startTop(t testing.TB) (*daemon, *terminal) {
	t.Helper()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "talker", Command: ": '日本語 \x1b[31m'; echo 'héllo \x1b[2J\x07 日本語'; trap 'echo hangup' HUP; echo up; while :; do sleep 0.05; done"})
	d.said("talker", "up")
	d.start(process.Spec{Name: "done", Command: "exit 3"})
	d.rest("done")
	p := d.top(t)
	p.showsText("3 processes: 2 running, 1 failed")
	return d, p
}

func (d *daemon) top(t testing.TB) *terminal {
	t.Helper()
	return openTerminal(t, d.dir, programs.client, "-socket", d.socket, "-secret", theSecret, "top")
}

// quits ends top by q: the terminal is as it was.
func (p *terminal) quits() {
	p.t.Helper()
	p.types("q")
	if code := p.ends(); code != 0 {
		p.t.Errorf("exit code %d", code)
	}
	p.leftScreen()
}

// leftScreen fails the test unless the view was left, and the terminal is as it was.
func (p *terminal) leftScreen() {
	p.t.Helper()
	if now := p.modes(); *now != *p.before {
		p.t.Errorf("modes of the terminal: %+v, before %+v", now, p.before)
	}
	if e := p.emulated(); e.other || !e.cursor {
		p.t.Errorf("the other screen is left on: %v, or the cursor hidden: %v", e.other, !e.cursor)
	}
}

func TestTopShowsAndActs(t *testing.T) {
	t.Parallel()
	d, p := startTop(t)
	lines := p.showsText("COMMAND")
	if !strings.HasPrefix(lines[0], "processmanager on ") || !strings.HasPrefix(lines[1], "CPU ") || !strings.Contains(lines[2], "CPU%▼") {
		t.Errorf("the heading is\n%s", strings.Join(lines[:3], "\n"))
	}
	p.types("n") // by name
	lines = p.showsText("NAME▲")
	for i, name := range []string{"done", "idle", "talker"} {
		if !strings.HasPrefix(lines[3+i], name) {
			t.Errorf("row %d is %q, want %s", i, lines[3+i], name)
		}
	}
	if !strings.Contains(lines[5], `日本語 \x1b[31m`) {
		t.Errorf("the command is shown as %q", lines[5])
	}
	p.types("/", "TALK")
	p.showsText("filter TALK: 1")
	p.types(enter)
	p.shows("the talker alone", func(lines []string) bool { return strings.HasPrefix(lines[3], "talker") && lines[4] == "" })

	p.types("t")
	p.showsText("tree of talker")
	p.showsText("sleep 0.05")
	p.types("l")
	p.showsText("log of talker")
	p.showsText(`héllo \x1b[2J\x07 日本語`)
	p.types("K", "hup", enter)
	p.showsText("send SIGHUP to the main process of talker? y, a: all its processes, n")
	p.types("y")
	p.showsText("hangup") // the log follows
	p.types("q")
	p.showsText("COMMAND")

	p.types("x")
	p.showsText("stop talker and all its processes? y/n")
	p.types("n")
	p.showsText("nothing was done")
	if s := d.status("talker"); s.State != process.Running {
		t.Errorf("n has stopped it: %v", s.State)
	}
	p.types("xy")
	d.await("talker", "stopped", func(s process.Status) bool { return s.State == process.Stopped })
	p.showsText("1 running, 1 stopped, 1 failed")
	p.types("sy")
	d.await("talker", "running again", func(s process.Status) bool { return s.State == process.Running && s.Number == 2 })
	p.types("ry")
	d.await("talker", "restarted", func(s process.Status) bool { return s.State == process.Running && s.Number == 3 })
	p.types("\x1b") // no filter
	p.shows("all", func(lines []string) bool { return strings.HasPrefix(lines[5], "talker") })
	p.types("K", "nonsense", enter)
	p.showsText("nonsense")
	p.types("?")
	p.showsText("Ctrl-Z")
	p.types("q")

	d.mustClient("delete", "done")
	p.showsText("2 processes: 2 running")
	p.quits()
}

// No frame clears the screen behind the first one, whatever is shown, and a second in which
// nothing happens costs next to nothing.
func TestTopDoesNotFlicker(t *testing.T) {
	t.Parallel()
	d, p := startTop(t)
	for _, key := range []string{"n", "l", "q", "?", "q", "/", "i", enter, up, "\x1b"} {
		p.types(key)
		time.Sleep(notTheSame)
	}
	p.resize(60, 20)
	p.shows("a smaller screen", func(lines []string) bool { return strings.HasPrefix(lines[19], "? keys") })
	p.resize(100, 40)
	p.shows("a larger screen", func(lines []string) bool { return strings.HasPrefix(lines[39], "? keys") })
	if e := p.emulated(); e.clears != 0 {
		t.Errorf("the screen was cleared %d times", e.clears)
	}
	d.mustClient("stop", "talker")
	p.showsText("1 stopped")
	time.Sleep(1500 * time.Millisecond)
	const seconds, most = 3, 100 // bytes: the clock, and an uptime now and then
	before := p.screen.len()
	time.Sleep(seconds * time.Second)
	sent := p.screen.since(before)
	if len(sent) == 0 || len(sent) > (seconds+1)*most {
		t.Errorf("%d bytes in %d idle seconds: %q", len(sent), seconds, sent)
	}
	p.quits()
}

func TestTopFitsEveryWindow(t *testing.T) {
	t.Parallel()
	_, p := startTop(t)
	for _, size := range [][2]int{{40, 10}, {80, 24}, {300, 100}, {320, 120}, {39, 9}, {1, 1}, {100, 40}} {
		width, height := size[0], size[1]
		p.resize(uint16(width), uint16(height))
		mark := p.screen.len()
		p.types(ctrlL)
		p.screen.await(mark, clearScreen, p.ended)
		_, drawn, _ := strings.Cut(p.screen.since(mark), clearScreen)
		eventually(t, fmt.Sprintf("%d by %d is drawn", width, height), func() bool {
			_, drawn, _ = strings.Cut(p.screen.since(mark), clearScreen)
			return strings.Contains(drawn, fmt.Sprintf("\x1b[%d;1H", min(height, 100)))
		})
		time.Sleep(notTheSame)
		e := newEmulator(t, min(width, 300), min(height, 100)) // which finds what is written outside
		e.other = true
		_, drawn, _ = strings.Cut(p.screen.since(mark), clearScreen)
		e.show(drawn)
		text := strings.Join(e.lines(), "\n")
		switch {
		case width < 10:
		case width < 40:
			if !strings.Contains(text, "39 by 9 is too small") {
				t.Errorf("%d by %d shows\n%s", width, height, text)
			}
		case !strings.Contains(text, "NAME") || !strings.Contains(text, "talker") || !strings.Contains(text, "? keys") || strings.Contains(text, "COMMAND") != (width > 80):
			t.Errorf("%d by %d shows\n%s", width, height, text)
		}
	}
	p.quits()
}

func TestTopRestoresTheTerminalWhateverEndsIt(t *testing.T) {
	t.Parallel()
	_, p := startTop(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if *p.modes() == *p.before {
			t.Error("the terminal is not in raw mode, so that this test shows nothing")
		}
		p.types("/", "x")
		p.showsText("filter x")
		p.cmd.Process.Signal(sig)
		if code := p.ends(); code != 1 {
			t.Errorf("%v: exit code %d", sig, code)
		}
		p.leftScreen()
		if _, rest, _ := strings.Cut(p.screen.since(0), leaveScreen); !strings.Contains(rest, "pmclient: ") {
			t.Errorf("%v: nothing is said: %q", sig, rest)
		}
		if sig == syscall.SIGHUP {
			return
		}
		p = openTerminal(t, p.cmd.Dir, p.cmd.Args...)
		p.showsText("3 processes")
	}
}

// A daemon that comes back is gone on with; for one that does not, top ends with a line.
func TestTopOutlivesTheDaemonForAWhile(t *testing.T) {
	t.Parallel()
	d, p := startTop(t)
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.showsText("no daemon there")
	if slowdown() == 1 { // or it may come too late
		d.launch()
		p.shows("the figures again", func(lines []string) bool {
			return strings.HasPrefix(lines[1], "CPU ") && strings.Contains(lines[0], "3 processes")
		})
		if code := d.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if code := p.ends(); code != 69 {
		t.Errorf("exit code %d", code)
	}
	p.leftScreen()
	if _, rest, _ := strings.Cut(p.screen.since(0), leaveScreen); strings.Count(rest, "\n") != 1 || !strings.Contains(rest, "pmclient: no daemon there") {
		t.Errorf("it says %q", rest)
	}
}

func TestTopStandsStillInTheBackground(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "bash")
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000"})
	p := openTerminal(t, d.dir, "/bin/bash", "--norc", "--noprofile", "-i")
	p.types(fmt.Sprintf("PS1='shell> '; '%s' -socket '%s' -secret %s top", programs.client, d.socket, theSecret), enter)
	p.showsText("1 process: 1 running")
	raw := *p.modes()
	p.types("\x1a")
	p.sees(leaveScreen)
	p.sees("Stopped")
	p.sees("shell> ")
	p.types("echo it is $((1+1))", enter)
	p.sees("it is 2")
	p.types("fg", enter)
	p.sees(enterScreen)
	p.showsText("1 process: 1 running")
	if *p.modes() != raw {
		t.Error("the terminal is in another mode than before")
	}
	p.types("q")
	p.sees(leaveScreen)
	p.sees("shell> ")
	p.types("echo code $?", enter)
	p.sees("code 0")
	p.types("exit", enter)
	p.ends()
}

func TestTopNeedsATerminal(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, r := range []result{d.pmclient("top"), d.executeWith("q", "top")} {
		if r.code != 2 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "top needs a terminal: list and figures are for scripts") {
			t.Errorf("%+v", r)
		}
	}
	if r := d.executeWith("!!top", "run", "-"); r.code == 0 || !strings.Contains(r.stderr, "top is for a person at a terminal") {
		t.Errorf("in a script: %+v", r)
	}
	p := openTerminal(t, d.dir, "/usr/bin/env", "TERM=dumb", programs.client, "-socket", d.socket, "-secret", theSecret, "top")
	p.sees("TERM=dumb")
	if code := p.ends(); code != 2 {
		t.Errorf("exit code %d", code)
	}
	p.restored()
}

func TestTopWithoutColours(t *testing.T) {
	t.Parallel()
	d, p := startTop(t)
	if !strings.Contains(p.screen.since(0), "\x1b[32m") {
		t.Error("nothing is green, so that this test shows nothing")
	}
	p.quits()
	p = openTerminal(t, d.dir, "/usr/bin/env", "NO_COLOR=1", programs.client, "-socket", d.socket, "-secret", theSecret, "top")
	p.showsText("3 processes")
	p.quits()
	for _, part := range strings.Split(p.screen.since(0), "\x1b[")[1:] {
		if code, _, _ := strings.Cut(part, "m"); len(code) == 2 && (code[0] == '3' || code[0] == '4') && code != "39" && code != "49" {
			t.Errorf("the colour %q is sent", code)
		}
	}
}

// In a shell's session and in that of a telnet client top gives the editor back as it was.
func TestTopInASession(t *testing.T) {
	t.Parallel()
	inSession := func(t *testing.T, p *terminal, resizes bool) {
		t.Helper()
		for _, open := range []string{"top", "!!top"} {
			p.types(open, enter)
			p.sees(enterScreen)
			p.showsText("1 process: 1 running")
			p.types("xn")
			p.showsText("nothing was done")
			p.types("\x1a", "c") // a key takes away what was said
			for _, height := range []uint16{20, 40} {
				if resizes {
					p.resize(100, height)
					p.shows(fmt.Sprintf("a screen of %d lines", height), func(lines []string) bool { return strings.HasPrefix(lines[height-1], "? keys") })
				}
			}
			p.types("q")
			p.sees(leaveScreen)
			p.sees(prompt)
		}
		p.types("!!process.lst", left, left, "i", enter)
		p.sees("sleep 1000")
		p.types(up, enter)
		p.sees("sleep 1000")
		p.sees(prompt)
		p.types("top", enter)
		p.sees(enterScreen)
		p.showsText("1 process: 1 running")
		p.types(ctrlC)
		p.sees(leaveScreen)
		p.sees(prompt)
		p.types(ctrlD)
		p.ends()
		p.restored()
	}
	spec := process.Spec{Name: "idle", Command: "exec sleep 1000"}
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		d := startDaemon(t, setup{})
		d.start(spec)
		inSession(t, d.shell(t), true)
	})
	for _, c := range telnetClients {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			d, port := startTelnet(t)
			d.start(spec)
			p := c.dialIn(t, d.dir, port)
			p.logIn()
			inSession(t, p, c.resizes)
		})
	}
}

// A script's connection is told where top is not.
func TestTopIsNotForAScript(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	conn := d.session(t)
	if got := conn.ask("!!top"); !strings.Contains(got, "Error: line 1, column 1: top is for a person at a terminal") || strings.Contains(got, "\x1b") {
		t.Errorf("got %q", got)
	}
}
