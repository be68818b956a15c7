package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// clientOn starts a client with these ends of it.
func (d *daemon) clientOn(stdin, stdout *os.File, args ...string) *exec.Cmd {
	d.t.Helper()
	cmd := exec.Command(programs.client, append([]string{"-socket", d.socket, "-secret", theSecret}, args...)...)
	cmd.Dir, cmd.Env = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, raceOptions}
	cmd.Stdin, cmd.Stdout = stdin, stdout
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// awaitEnd is the exit code of a client that must end.
func awaitEnd(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // the code is in ProcessState
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Errorf("%q goes on", cmd.Args[5:])
		cmd.Process.Kill()
		<-ended
	}
	return cmd.ProcessState.ExitCode()
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func socketPair(t *testing.T) (r, w *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// A quiet log writes nothing that could tell a follower that its reader has gone.
func TestFollowerOfAQuietLogEndsWithItsReader(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range []string{"quiet", "silent"} {
		d.start(process.Spec{Name: name, Logging: process.Logging{Log: true}, Command: "echo one; exec sleep 1000"})
		d.said(name, "one\n")
	}
	script := d.dir + "/script"
	if err := os.WriteFile(script, []byte("!!process.log name:quiet follow:true\n!!process.delete name:quiet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, ends := range map[string]func(*testing.T) (r, w *os.File){"a pipe": pipe, "a socket": socketPair} {
		for code, args := range map[int][][]string{
			0: {{"logs", "-f", "quiet"}, {"logs", "-f", "quiet", "silent"}, {"log", "-follow", "-format", "json", "quiet"}},
			1: {{"run", script}},
		} {
			for _, args := range args {
				r, w := ends(t)
				cmd := d.clientOn(nil, w, args...)
				w.Close()
				lines := bufio.NewReader(r)
				for range names(args) { // all there is: a later write would end it by SIGPIPE
					if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "one") {
						t.Errorf("%q: %q, %v", args, line, err)
					}
				}
				r.Close()
				if got := awaitEnd(t, cmd); got != code {
					t.Errorf("%q to %s: exit code %d", args, what, got)
				}
			}
		}
	}
	d.status("quiet") // what stands behind it in the script was not carried out
}

// names is how many processes are followed.
func names(args []string) int {
	if args[len(args)-1] == "silent" {
		return 2
	}
	return 1
}

// Neither does a follower whose terminal is gone, though it hears of no SIGHUP, nor a
// shell in which a log is followed.
func TestClientEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "quiet", Logging: process.Logging{Log: true}, Command: "echo one; exec sleep 1000"})
	d.said("quiet", "one\n")
	client := []string{programs.client, "-socket", d.socket, "-secret", theSecret}
	deaf := []string{"/bin/sh", "-c", `trap '' HUP; exec "$0" "$@"`}
	for what, act := range map[string]func(*terminal){
		"logs": func(p *terminal) { p.sees("one") },
		"shell": func(p *terminal) {
			p.sees(prompt)
		},
		"shell that follows": func(p *terminal) {
			p.sees(prompt)
			p.types("!!process.log name:quiet follow:true", enter)
			p.sees("one")
		},
	} {
		args := []string{"shell"}
		if what == "logs" {
			args = []string{"logs", "-f", "quiet"}
		}
		p := openTerminal(t, d.dir, append(append(deaf[:3:3], client...), args...)...)
		act(p)
		p.tty.Close()
		p.master.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Errorf("%s: it goes on", what)
		}
	}
}

// What waits for input, or for a reader that takes nothing, still hears of a signal.
func TestSignalEndsAClientThatHangs(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "talks", Logging: process.Logging{Log: true}, Command: "yes"})
	fifo := d.dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, args := range [][]string{{"run", "-"}, {"run", fifo}, {"shell"}, {"logs", "-f", "talks"}} {
			in, typed := pipe(t)
			if args[len(args)-1] == fifo {
				var err error
				if typed, err = os.OpenFile(fifo, os.O_RDWR, 0); err != nil {
					t.Fatal(err)
				}
				defer typed.Close()
			}
			out, w := pipe(t)
			cmd := d.clientOn(in, w, args...)
			w.Close()
			if args[0] == "logs" {
				io.ReadFull(out, make([]byte, 1)) // then nothing is taken
			} else {
				typed.WriteString("# a comment\n")
				eventually(t, "it has read that", func() bool { return unread(t, typed) == 0 })
			}
			cmd.Process.Signal(sig)
			if code := awaitEnd(t, cmd); code == 0 && args[0] != "logs" {
				t.Errorf("%q, %v: exit code %d", args, sig, code)
			}
		}
	}
}

// unread is how many bytes nobody has read from a pipe or a socket yet.
func unread(t *testing.T, conn syscall.Conn) (n int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
