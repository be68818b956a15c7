package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A command in the foreground is as one of the shell: its output, its exit code. With -rm
// nothing of it is left.
func TestExecIsTheCommandItself(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	os.WriteFile(d.dir+"/plain", []byte("no program"), 0o600)
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string // stands in it
	}{
		{[]string{"--", "echo", "hello", "wor ld"}, 0, "hello wor ld\n", ""},
		{[]string{"--", "sh", "-c", "printf 'no end'; exit 3"}, 3, "no end", ""},
		{[]string{"--", "sh", "-c", "echo one; echo two >&2"}, 0, "one\ntwo\n", ""},
		{[]string{"--", "sh", "-c", `printf '\000\377\r\n **ENDRESULT**\n'`}, 0, "\x00\xff\r\n **ENDRESULT**\n", ""},
		{[]string{"--", "sh", "-c", "kill -9 $$"}, 137, "", ""},
		{[]string{"-deadline", "100ms", "--", "sleep", "600"}, 124, "", "deadline"},
		{[]string{"-command", "printf abc", "-env", "X=1"}, 0, "abc", ""},
		{[]string{"-env", "X=1", "--", "sh", "-c", "echo $X $PROCESSMANAGER_RUN"}, 0, "1 1\n", ""},
		{[]string{"-dir", d.dir + "/none", "--", "true"}, 125, "", "could not be started"},
		{[]string{"-cron", "@hourly", "--", "true"}, 125, "", "cron: a command in the foreground runs once"},
		{[]string{"-restart", "always", "--", "true"}, 125, "", "restart: "},
		{[]string{"true"}, 125, "", "command"},
		{[]string{"--"}, 125, "", "a command is missing"},
		{[]string{"-bogus", "--", "true"}, 125, "", "bogus"},
		{[]string{"--", "nothing-of-that-name"}, 127, "*", ""},
		{[]string{"--", d.dir + "/plain"}, 126, "*", ""},
	} {
		r := d.pmclient(append([]string{"exec", "-rm"}, c.args...)...)
		if r.code != c.code || r.stdout != c.stdout && c.stdout != "*" || !strings.Contains(r.stderr, c.stderr) || (c.stderr == "") != (r.stderr == "") {
			t.Errorf("%q: code %d, %q, %q", c.args, r.code, r.stdout, r.stderr)
		}
		if all := d.list(); len(all) != 0 {
			t.Fatalf("%q: left is %+v", c.args, all)
		}
	}
	if left, _ := filepath.Glob(d.state + "/logs/*"); len(left) > 0 {
		t.Errorf("logs are left: %q", left)
	}
	if r := d.execute(programs.client, "-socket", d.dir+"/none", "-secret", theSecret, "exec", "--", "true"); r.code != 125 || !strings.Contains(r.stderr, "no daemon there") {
		t.Errorf("without a daemon: code %d, %q", r.code, r.stderr)
	}
}

// Without -rm the process stays, with its name, its log and its history, and the same command
// can be run again.
func TestExecKeepsWhatItRan(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for range 2 {
		if r := d.pmclient("exec", "job", "--", "echo", "hello"); r.code != 0 || r.stdout != "hello\n" {
			t.Fatalf("%+v", r)
		}
	}
	if s := d.status("job"); s.State != process.Completed || s.Number != 2 || d.logs("job", 0) != "hello\nhello\n" {
		t.Errorf("%+v", s)
	}
	for _, c := range [][]string{{"job", "--", "echo", "other"}, {"-rm", "job", "--", "echo", "hello"}} {
		if r := d.pmclient(append([]string{"exec"}, c...)...); r.code != 125 || !strings.Contains(r.stderr, "give another name") {
			t.Errorf("%q: %+v", c, r)
		}
	}
	d.start(process.Spec{Name: "web", Command: "exec sleep 600"})
	if r := d.pmclient("exec", "web", "-command", "exec sleep 600"); r.code != 125 || d.status("web").State != process.Running {
		t.Errorf("%+v", r)
	}
	// What ran in the foreground once is a process like others: nobody needs to watch it.
	d.mustClient("start", "job")
	d.killWorker()
	if r, err := d.client().Wait(d.context(), "job", 3); err != nil || *r.ExitCode != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// foreground is a client that runs a command.
type foreground struct {
	*exec.Cmd
	d    *daemon
	name string
	out  *os.File
	err  bytes.Buffer
}

// exec begins a command in the foreground, and waits for its first line.
func (d *daemon) exec(args ...string) *foreground {
	d.t.Helper()
	f := &foreground{d: d, name: "job"}
	f.Cmd = exec.Command(programs.client, append([]string{"-socket", d.socket, "-secret", theSecret, "exec", "-name", f.name}, args...)...)
	f.Dir, f.Env, f.Stderr = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, raceOptions}, &f.err
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	f.Stdout, f.out = w, r
	err = f.Start()
	w.Close()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { f.Process.Kill(); r.Close() })
	return f
}

// line reads one.
func (f *foreground) line(want string) {
	f.d.t.Helper()
	got := make([]byte, len(want)+1)
	f.out.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(f.out, got); err != nil || string(got) != want+"\n" {
		f.d.t.Fatalf("read %q (%v), want %q", got, err, want)
	}
}

// ended is its exit code, and what else it has written.
func (f *foreground) ended() (code int, rest string) {
	f.d.t.Helper()
	f.out.SetReadDeadline(time.Now().Add(2 * patience))
	data, err := io.ReadAll(f.out)
	if err != nil {
		f.d.t.Fatal(err)
	}
	f.Wait()
	return f.ProcessState.ExitCode(), string(data)
}

// gone waits until nothing of a process that was removed is left.
func (d *daemon) gone(name string, run uint64) {
	d.t.Helper()
	eventually(d.t, name+" is gone", func() bool {
		_, err := d.client().Status(d.context(), name)
		return errors.Is(err, process.ErrNotFound)
	})
	d.nobodyLeft(name, run)
	if _, err := os.Stat(d.state + "/logs/" + name); err == nil {
		d.t.Errorf("the log of %s is left", name)
	}
}

// The first signal stops the tree as it wants to be stopped, and its last words still come;
// the second one kills it.
func TestSignalsEndWhatIsInTheForeground(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const polite = "trap 'sleep 0.1; echo bye; exit 9' TERM; sleep 600 & echo up; while :; do wait; done"
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		f := d.exec("-rm", "--", "sh", "-c", polite)
		f.line("up")
		f.Process.Signal(sig)
		if code, rest := f.ended(); code != 9 || rest != "bye\n" || f.err.Len() > 0 {
			t.Errorf("%v: code %d, %q, %q", sig, code, rest, f.err.String())
		}
		d.gone("job", 1)
	}
	f := d.exec("-rm", "--", "sh", "-c", "exec 2>/dev/null; trap 'echo no' TERM INT; echo up; while :; do sleep 0.01; done")
	f.line("up")
	f.Process.Signal(unix.SIGINT)
	f.line("no")
	began := time.Now()
	f.Process.Signal(unix.SIGINT)
	if code, _ := f.ended(); code != 137 || time.Since(began) > process.DefaultStopTimeout/2 {
		t.Errorf("killed: code %d after %v, %q", code, time.Since(began), f.err.String())
	}
	d.gone("job", 1)
}

// In a terminal Ctrl-C is for the tree, once and again, and closing the window is as well.
func TestKeysEndWhatIsInTheForeground(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	open := func(command string) *terminal {
		p := openTerminal(t, d.dir, programs.client, "-socket", d.socket, "-secret", theSecret, "exec", "-rm", "job", "-command", command)
		p.sees("up\r\n")
		return p
	}
	p := open("trap 'sleep 0.1; echo bye; exit 9' TERM; sleep 600 & echo up; while :; do wait; done")
	p.types(ctrlC)
	p.sees("bye")
	if code := p.ends(); code != 9 {
		t.Errorf("Ctrl-C: code %d", code)
	}
	d.gone("job", 1)
	p = open("exec 2>/dev/null; trap 'echo no' TERM INT; echo up; while :; do sleep 0.01; done")
	p.types(ctrlC)
	p.sees("no")
	p.types(ctrlC)
	if code := p.ends(); code != 137 {
		t.Errorf("Ctrl-C twice: code %d", code)
	}
	d.gone("job", 1)
	p = open("echo up; exec sleep 600")
	p.tty.Close()
	p.hangUp()
	d.gone("job", 1)
}

// Nobody is left to watch: the tree is ended, and with -rm nothing is left.
func TestTreeEndsWithItsWatcher(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, rm := range []bool{true, false} {
		for what, end := range map[string]func(f *foreground){
			"killed":      func(f *foreground) { f.Process.Kill() },
			"unread":      func(f *foreground) { f.out.Close() },
			"disappeared": func(f *foreground) { f.Process.Signal(unix.SIGQUIT) },
		} {
			args := []string{"--", "sh", "-c", "setsid sleep 600 & echo up; exec sleep 601"}
			if rm {
				args = append([]string{"-rm"}, args...)
			}
			f := d.exec(args...)
			f.line("up")
			end(f)
			f.Wait()
			if rm {
				d.gone("job", 1)
				continue
			}
			if s := d.rest("job"); s.Cause != process.CauseStop || s.Number != 1 {
				t.Errorf("%s: %+v", what, s)
			}
			d.nobodyLeft("job", 1)
			d.mustClient("delete", "job")
		}
	}
}

// numbers is a command that writes so many lines, and what they are. It ends when there is a
// file go: what it writes and nobody holds when it ends without a daemon is lost.
func numbers(n int) (command string, text string) {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&b, i)
	}
	return fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo $i; [ $((i%%100)) != 0 ] || sleep 0.01; done; until [ -e go ]; do sleep 0.02; done; exit 5", n), b.String()
}

// Whatever dies of the daemon, no output is lost or doubled, and the exit code comes where
// anybody knows it.
func TestExecOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*daemon){"upgrade": (*daemon).upgraded}
	for name, kill := range both {
		ways[name] = kill
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			command, want := numbers(20_000)
			f := d.exec("-rm", "-command", command)
			f.line("1")
			for range 2 {
				way(d)
			}
			os.WriteFile(d.dir+"/go", nil, 0o600)
			code, rest := f.ended()
			if got := "1\n" + rest; got != want {
				same := 0
				for same < min(len(got), len(want)) && got[same] == want[same] {
					same++
				}
				t.Errorf("%d bytes came, %d were written: from %d on %.20q where %.20q was written", len(got), len(want), same, got[same:], want[same:])
			}
			if wanted := map[bool]int{true: 125, false: 5}[name == "daemon"]; code != wanted { // the next keeper is not the parent
				t.Errorf("code %d, want %d: %q", code, wanted, f.err.String())
			}
			d.gone("job", 1)
		})
	}
}

// Daemon and watcher are gone: the next daemon ends what was in the foreground.
func TestNextDaemonEndsWhatNobodyWatches(t *testing.T) {
	t.Parallel()
	for name, kill := range both {
		for _, rm := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", name, rm), func(t *testing.T) {
				t.Parallel()
				d := startDaemon(t, setup{})
				args := []string{"--", "sh", "-c", "echo up; exec sleep 601"}
				if rm {
					args = append([]string{"-rm"}, args...)
				}
				f := d.exec(args...)
				f.line("up")
				worker := d.worker()
				unix.Kill(worker, unix.SIGSTOP) // it does not see the client go
				f.Process.Kill()
				f.Wait()
				kill(d)
				if rm {
					d.gone("job", 1)
				} else if s := d.rest("job"); s.Cause != process.CauseStop {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// summed counts and sums what is written to it.
type summed struct {
	hash.Hash
	n int64
}

func (s *summed) Write(p []byte) (int, error) { s.n += int64(len(p)); return s.Hash.Write(p) }

// Much output comes exactly, and to a reader that is slow too.
func TestExecGivesAllOutput(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const size = 100 << 20
	want := sha256.New()
	io.CopyN(want, constant('x'), size)
	got := &summed{Hash: sha256.New()}
	e := process.Exec{Spec: process.Spec{Command: fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; exit 4", size)}, Remove: true}
	r, err := d.dial(t).Exec(d.context(), e, got)
	if code, known := r.Code(); err != nil || code != 4 || !known || got.n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes, code %d, %v", got.n, code, err)
	}

	f := d.exec("-rm", "-log_max_size", "1M", "-log_max_files", "2", "--", "head", "-c", fmt.Sprint(size), "/dev/zero")
	log := d.state + "/logs/job"
	eventually(t, "a log that grows no more", func() bool { return sizeOf(log) > 16<<20 })
	time.Sleep(200 * time.Millisecond)
	if n := sizeOf(log); n > 32<<20 { // nobody reads: the writer waits
		t.Errorf("the log has %d bytes", n)
	}
	got = &summed{Hash: sha256.New()}
	n, err := io.Copy(got, f.out)
	f.Wait()
	if n != size || err != nil || f.ProcessState.ExitCode() != 0 {
		t.Errorf("%d bytes, %v, %v: %s", n, err, f.ProcessState, f.err.String())
	}
	d.gone("job", 1)
}

// sizeOf is how many bytes the files of a directory have.
func sizeOf(dir string) (n int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// constant is a reader of one byte for ever.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

// The library ends the tree with its context.
func TestExecOfTheLibraryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	ctx, cancel := context.WithCancel(d.context())
	defer cancel()
	_, err := d.dial(t).Exec(ctx, process.Exec{Spec: process.Spec{Name: "job", Command: "echo up; exec sleep 601"}, Remove: true},
		writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrConnectionLost) {
		t.Errorf("%v", err)
	}
	d.gone("job", 1)
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }
