package integration

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Keys of a terminal.
const (
	enter = "\r"
	ctrlC = "\x03"
	ctrlD = "\x04"
	bs    = "\x08"
	tab   = "\t"
	del   = "\x7f"
	up    = "\x1b[A"
	left  = "\x1b[D"
)

// Sequences for a terminal that brackets what is pasted.
const (
	pasteOn, pasteOff   = "\x1b[?2004h", "\x1b[?2004l"
	pasteFrom, pasteEnd = "\x1b[200~", "\x1b[201~"
)

// terminal is a pseudo-terminal with a program in it, and a person before it who
// waits for what they see.
type terminal struct {
	t       testing.TB
	master  *os.File
	tty     *os.File      // the program's side
	before  *unix.Termios // the modes before the program was started
	cmd     *exec.Cmd
	ended   chan struct{}
	screen  *logBuffer // all that was ever shown, with its escape sequences
	seen    int        // how much of it the person has gone past
	reading chan struct{}
}

// openTerminal starts a program in a terminal of 100 columns.
func openTerminal(t testing.TB, dir string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		cannot(t, "no terminals here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{
		t: t, master: master,
		ended: make(chan struct{}), reading: make(chan struct{}),
		screen: &logBuffer{grown: make(chan struct{})},
	}
	t.Cleanup(func() { master.Close() })
	p.control(master, func(fd int) error {
		number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
		}
		if err == nil {
			p.tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
		}
		return err
	})
	t.Cleanup(func() { p.tty.Close() })
	p.resize(100, 40)
	p.before = p.modes()

	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm", raceOptions}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.tty, p.tty, p.tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	go func() {
		io.Copy(p.screen, master) // until it is closed
		close(p.reading)
	}()
	t.Cleanup(p.close)
	return p
}

func (p *terminal) close() {
	if p.t.Failed() {
		p.t.Logf("screen of %.60q:\n%q", p.cmd.Args, p.screen.since(0))
	}
	p.cmd.Process.Kill()
	<-p.ended
	p.master.Close()
	<-p.reading
}

// control does something with a descriptor that its file keeps.
func (p *terminal) control(f *os.File, do func(fd int) error) {
	p.t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var failed error
	if err := errors.Join(raw.Control(func(fd uintptr) { failed = do(int(fd)) }), failed); err != nil {
		p.t.Fatal(err)
	}
}

// modes are what stty shows.
func (p *terminal) modes() (modes *unix.Termios) {
	p.t.Helper()
	p.control(p.tty, func(fd int) (err error) {
		modes, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return modes
}

// hidden waits until the terminal shows nothing of what is typed.
func (p *terminal) hidden() {
	p.t.Helper()
	eventually(p.t, "the terminal does not echo", func() bool { return p.modes().Lflag&unix.ECHO == 0 })
}

// resize changes the window; the kernel tells the program.
func (p *terminal) resize(width, height uint16) {
	p.t.Helper()
	p.control(p.tty, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
	})
}

// types is also what a paste does.
func (p *terminal) types(keys ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, strings.Join(keys, "")); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until text is shown, behind what was seen before, and is what was
// shown in front of it.
func (p *terminal) sees(text string) string {
	p.t.Helper()
	// What a program wrote last may be on its way when it has ended.
	if !p.screen.await(p.seen, text, nil) {
		p.t.Fatalf("%q is not shown in %v, but %q", text, patience, p.screen.since(p.seen))
	}
	before, _, _ := strings.Cut(p.screen.since(p.seen), text)
	p.seen += len(before) + len(text)
	return before
}

// ends waits for the end of the program, and of what it has shown, and is its exit
// code, -1 for a signal.
func (p *terminal) ends() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("the program has not ended in %v; the screen shows %q", patience, p.screen.since(p.seen))
	}
	if _, err := io.WriteString(p.tty, endOfScreen); err != nil {
		p.t.Fatal(err)
	}
	p.screen.await(0, endOfScreen, nil)
	return p.cmd.ProcessState.ExitCode()
}

const endOfScreen = "[the end]"

// restored fails the test unless the terminal is as it was before the program,
// which has ended, and whatever comes next begins a line.
func (p *terminal) restored() {
	p.t.Helper()
	if now := p.modes(); *now != *p.before {
		p.t.Errorf("modes of the terminal: %+v, before %+v", now, p.before)
	}
	screen, _, _ := strings.Cut(p.screen.since(0), endOfScreen)
	if !strings.HasSuffix(strings.TrimSuffix(screen, pasteOff), "\n") {
		p.t.Errorf("the cursor is left in a line: %q", p.screen.since(p.seen))
	}
	if strings.Contains(screen, pasteOn) && !strings.Contains(screen, pasteOff) {
		p.t.Error("bracketed paste is left on")
	}
}

const prompt = "pm> "

// edit is what a person can do in an editing session, however they got there. The
// session is at its prompt, and no process is there.
func (p *terminal) edit(d *daemon) {
	p.t.Helper()
	const empty = "no processes"
	ask := func(keys ...string) {
		p.t.Helper()
		p.types(keys...)
		p.types(enter)
	}
	// Keys that correct what was typed, and the history.
	ask("!!process.lx", del, "ix", bs, "st")
	p.sees(empty)
	ask(up)
	p.sees(empty)
	ask("!!process.lst", left, left, "i")
	p.sees(empty)

	// Ctrl-C drops what is pending, at once.
	ask("!!process.start name:'dropped")
	p.sees("... ")
	p.types(ctrlC)
	p.sees("^C")
	p.sees(prompt)
	ask("!!process.list")
	p.sees(empty)

	// Completion of verbs, parameters and names, quoted or not.
	ask("!!process.star", tab, "na", tab, "somebody com", tab, "'exec sleep 1000'")
	p.sees("process 'somebody' started")
	d.await("somebody", "running", func(s process.Status) bool { return s.State == process.Running })
	ask("!!process.sto", tab, "name:s", tab)
	p.sees("nobody is left")
	ask("!!process.delete name:'s", tab)
	p.sees("deleted")
	p.types("!!process.st", tab, tab)
	p.sees("!!process.start   !!process.status  !!process.stop")
	p.types(ctrlC)
	p.sees("^C")

	// Help, colours, and a mistake.
	ask("!!help")
	p.sees("!!process.restart  ")
	p.sees("!!quit, !!exit")
	ask("!!help process.start")
	p.sees("!!process.start name:NAME")
	p.sees("stop_timeout  ")
	ask("!!process.lisst")
	p.sees("\x1b[31mError: ")
	p.sees("did you mean process.list?")
	ask("list")
	p.sees("did you mean !!process.list?")
	ask("lis", tab)
	p.sees(empty)
	ask("!!interactive")
	p.sees("colours off")
	ask("!!process.lisst")
	p.sees("\nError: ")
	ask("!!interactive")
	p.sees("colours on")
	p.sees(prompt)

	p.paste(d)
}

// paste pastes scripts of 200 lines and looks whether each of their actions was
// carried out, and none twice: a second start with a command is an error.
func (p *terminal) paste(d *daemon) {
	p.t.Helper()
	var lines, paragraphs strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "!!process.start name:line%03d cron:'@yearly' command:'echo \"%d\"'%s", i, i, enter)
	}
	for i := range 40 {
		fmt.Fprintf(&paragraphs, "!!process.start name:paragraph%03d\n    cron:'@yearly'\n\tcommand:'echo %d\n\n", i, i)
		paragraphs.WriteString("  echo again'\n")
	}
	p.types(lines.String())
	p.awaits(d, "line199")
	p.types(pasteFrom, strings.ReplaceAll(paragraphs.String(), "\n", enter), pasteEnd, enter)
	p.awaits(d, "paragraph039")
	p.types("!!process.status name:paragraph039", enter)
	if all := p.sees("echo again"); strings.Contains(all, "Error") {
		p.t.Errorf("an error while pasting: %q", all)
	}
	p.sees(prompt)
	all := d.list()
	if len(all) != 240 {
		p.t.Errorf("%d processes of 240", len(all))
	}
	for _, s := range all {
		want := "echo \"" + strings.TrimLeft(strings.TrimPrefix(s.Name, "line"), "0") + "\""
		if s.Name == "line000" {
			want = `echo "0"`
		}
		if number, ok := strings.CutPrefix(s.Name, "paragraph"); ok {
			var i int
			fmt.Sscan(strings.TrimLeft(number, "0"), &i)
			want = fmt.Sprintf("echo %d\n\n  echo again", i)
		}
		if s.Command != want {
			p.t.Errorf("%s: the command is %q, want %q", s.Name, s.Command, want)
		}
	}
}

func (p *terminal) awaits(d *daemon, name string) {
	p.t.Helper()
	eventually(p.t, name+" is there", func() bool {
		_, err := d.client().Status(d.context(), name)
		return err == nil
	})
}

// fits waits until help is folded for a window of this width.
func (p *terminal) fits(width int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("help fits %d columns", width), func() bool {
		p.types("!!help process.start", enter)
		p.sees("Define a process")
		widest := 0
		for line := range strings.Lines(p.sees(prompt)) {
			widest = max(widest, utf8.RuneCountInString(strings.TrimRight(line, "\r\n")))
		}
		return widest <= width && widest > width-20
	})
}

// shell is a pmclient shell at its prompt.
func (d *daemon) shell(t testing.TB) *terminal {
	t.Helper()
	p := openTerminal(t, d.dir, programs.client, "-socket", d.socket, "-secret", theSecret, "shell")
	p.sees("!!help")
	p.sees(prompt)
	return p
}

func TestShellIsAnEditingSession(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	p := d.shell(t)
	p.fits(100)
	p.resize(60, 24)
	p.fits(60)
	p.resize(100, 40)
	p.fits(100)
	p.edit(d)
	p.types(ctrlD)
	if code := p.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.restored()
}

// Ctrl-C ends the wait for an answer, not what was asked for, and the session goes on.
func TestShellGoesOnAfterAnAnswerWasGivenUp(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	long := 600 * time.Second
	d.start(process.Spec{Name: "slow", Ending: process.Ending{StopTimeout: &long}, Command: "trap '' TERM; echo up; until [ -e enough ]; do sleep 0.05; done"})
	d.said("slow", "up")
	p := d.shell(t)
	p.types("!!process.stop name:slow", enter)
	d.await("slow", "stopping", func(s process.Status) bool { return s.State == process.Stopping })
	p.types(ctrlC)
	p.sees(prompt)
	p.types("!!process.status name:slow", enter)
	p.sees("stopping")
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.rest("slow")
	p.types("exit", enter)
	p.sees("Goodbye")
	p.ends()
	p.restored()
}

func TestShellRestoresTheTerminalWhenItIsEnded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := d.shell(t)
		if *p.modes() == *p.before {
			t.Error("the terminal is not in raw mode, so that this test shows nothing")
		}
		p.types("!!process.list format:")
		p.sees("format:") // in the middle of a line
		p.cmd.Process.Signal(sig)
		p.ends()
		p.restored()
	}
}

// A daemon that went away and came back is no reason to start again.
func TestShellOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	p := d.shell(t)
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.types("!!process.list", enter)
	p.sees("Error: ")
	p.sees(prompt)
	d.launch()
	p.types("!!process.list", enter)
	p.sees("no processes")
	p.types("!!quit", enter)
	p.ends()
	p.restored()
}

func TestScriptsAreAllOrNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const good = "!!process.start name:a\n    command:'exec sleep 1000'\n\n"
	for _, c := range []struct{ what, script, error string }{
		{"does not parse", good + "process.list\n", "line 4, column 1"},
		{"an open quote", good + "// so\n!!process.start name:b command:'true\n", "line 5, column 32"},
		{"no such verb", good + "!!process.lisst\n", "line 4, column 1"},
		{"no such parameter", good + "!!process.list\n  colour:red", "line 5, column 3"},
		{"a wrong value", good + "!!process.start name:b command:true deadline:soon", "line 4, column 46"},
		{"a missing one", good + "!!process.stop", "line 4, column 1"},
	} {
		file := d.dir + "/script.hero"
		if err := os.WriteFile(file, []byte(c.script), 0o600); err != nil {
			t.Fatal(err)
		}
		byName := d.pmclient("run", file)
		byStdin := d.executeWith(c.script, "run", "-")
		for _, r := range []result{byName, byStdin} {
			if r.code == 0 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, c.error) || !strings.Contains(r.stderr, "nothing was carried out") {
				t.Errorf("%s: %+v, want %s", c.what, r, c.error)
			}
		}
		if !strings.Contains(byName.stderr, "script.hero") {
			t.Errorf("the file has no name: %s", byName.stderr)
		}
		if all := d.list(); len(all) != 0 {
			t.Fatalf("%s: something was carried out: %+v", c.what, all)
		}
	}
	// What only the daemon knows shows when it is carried out, and says its line.
	r := d.executeWith(good+"!!process.stop name:nobody\n!!process.delete name:a\n", "run", "-")
	if r.code != 1 || !strings.Contains(r.stdout, "process 'a' started") || !strings.Contains(r.stderr, "line 4: process.stop: ") || !strings.Contains(r.stderr, "1 of 3 actions") {
		t.Errorf("%+v", r)
	}
	r = d.executeWith("!!process.log name:a since:1m\n!!process.delete name:a\n", "run", "-")
	if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "line 1: process.log: only the last lines are kept") {
		t.Errorf("a log that is not kept: %+v", r)
	}
	if r := d.executeWith("!!process.delete name:a\n!!process.list", "shell"); r.code != 0 || r.stdout != "process 'a' deleted\nno processes\n" {
		t.Errorf("a script for the shell: %+v", r)
	}
}

// executeWith runs the client with something on its standard input.
func (d *daemon) executeWith(stdin string, args ...string) (r result) {
	d.t.Helper()
	return d.execute(append([]string{"/bin/sh", "-c", `printf %s "$1" | { shift; "$@"; }`, "sh", stdin,
		programs.client, "-socket", d.socket, "-secret", theSecret}, args...)...)
}
