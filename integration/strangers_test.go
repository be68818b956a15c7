package integration

import (
	"bufio"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// strangersMemory is how much the worker may grow by whatever strangers do.
const strangersMemory = 16 << 20

// crowd is many connections that say a text each, and then nothing.
func crowd(t *testing.T, count int, dial func() (net.Conn, error), text string) {
	t.Helper()
	for range count {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Second)) // many are closed by now
		io.WriteString(conn, text)
	}
}

func (d *daemon) dialTCP(port string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.Dial("tcp", "127.0.0.1:"+port) }
}

// served fails the test unless the owner is served as always.
func (d *daemon) served() {
	d.t.Helper()
	if r := d.pmclient("start", "-name", "served", "-command", "exec sleep 1000"); r.code != 0 {
		d.t.Fatalf("start: %+v", r)
	}
	if r := d.pmclient("delete", "served"); r.code != 0 {
		d.t.Fatalf("delete: %+v", r)
	}
}

// authenticates fails the test unless a program that knows the secret comes in.
func (d *daemon) authenticates(dial func() (net.Conn, error)) {
	d.t.Helper()
	conn, err := dial()
	if err != nil {
		d.t.Fatal(err)
	}
	c := telnet.NewClient(conn)
	defer c.Close()
	if err := c.Authenticate(d.context(), []byte(theSecret)); err != nil {
		d.t.Fatal(err)
	}
	if _, payload, err := c.Do(d.context(), "!!process.list format:json"); err != nil || string(payload) != "[]\n" {
		d.t.Fatalf("%q, %v", payload, err)
	}
}

// fewLines fails the test if the log has grown by more than strangers may fill.
func (d *daemon) fewLines(from int) {
	d.t.Helper()
	if text := d.log.since(from); strings.Count(text, "\n") > 30 {
		d.t.Errorf("%d log lines:\n%s", strings.Count(text, "\n"), text)
	}
}

func TestStrangersCostLittle(t *testing.T) {
	t.Parallel()
	d, port := startTelnet(t)
	d.served()
	d.authenticates(d.dialTCP(port))
	before, said := anonymous(t, d.worker()), d.log.len()
	for _, text := range []string{
		"",                                // silent
		strings.Repeat("x", 64<<10),       // half a line
		strings.Repeat("\xff\xfd\x2a", 2), // that negotiate
	} {
		crowd(t, 1500, d.dialTCP(port), text)
	}
	if grown := anonymous(t, d.worker()) - before; grown > strangersMemory && !raceEnabled {
		t.Errorf("the worker has grown by %d MiB", grown>>20)
	} else {
		t.Logf("the worker has grown by %d KiB", grown>>10)
	}
	d.authenticates(d.dialTCP(port))
	d.served()
	d.fewLines(said)
}

func TestStrangersLeaveDescriptorsToTheOwner(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `ulimit -n 256 && exec "$0" "$@"`}})
	d.spawn("-listen", "127.0.0.1:0")
	port := d.awaitPort()
	said := d.log.len()
	crowd(t, 1000, d.dialTCP(port), "")
	d.served()
	d.authenticates(d.dialTCP(port))

	// Those that know the secret get a part of the descriptors as well.
	inside := 0
	for range 200 {
		conn, err := d.dialTCP(port)()
		if err != nil {
			t.Fatal(err)
		}
		c := telnet.NewClient(conn)
		defer c.Close()
		if c.Authenticate(d.context(), []byte(theSecret)) == nil {
			inside++
		}
	}
	if inside == 0 || inside > 256/4 {
		t.Errorf("%d of 200 came in", inside)
	}
	d.served()
	d.fewLines(said)
}

func TestStrangersGuessSlowly(t *testing.T) {
	t.Parallel()
	d, port := startTelnet(t)
	said := d.log.len()
	const window = 8 * time.Second
	until := time.Now().Add(window)
	var answered atomic.Int64
	var guessers sync.WaitGroup
	for range 20 {
		guessers.Go(func() {
			for time.Now().Before(until) {
				conn, err := d.dialTCP(port)()
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(until)
				io.WriteString(conn, "a\nb\nc\n")
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadString('\n')
					if strings.HasPrefix(line, bannerWrong) {
						answered.Add(1)
					}
					if err != nil {
						break
					}
				}
				conn.Close()
			}
		})
	}
	guessers.Wait()
	// Four at once, and then after 1, 2 and 4 s.
	if n := answered.Load(); n > 8 {
		t.Errorf("%d guesses were answered in %v", n, window)
	}
	d.served()
	d.fewLines(said)
}

// Where the mode of the socket lets others connect, these are strangers.
func TestOtherUsersOnTheSocketAreStrangers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	d := startDaemon(t, setup{})
	for path, mode := range map[string]os.FileMode{d.dir: 0o711, d.socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	d.served()
	before, said := anonymous(t, d.worker()), d.log.len()
	asNobody := func() (conn net.Conn, err error) {
		runtime.LockOSThread() // the user is the thread's
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			return nil, errno
		}
		conn, err = net.Dial("unix", d.socket)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0)); errno != 0 {
			panic(errno)
		}
		runtime.UnlockOSThread()
		return conn, err
	}
	crowd(t, 1500, asNobody, "half a line")
	if grown := anonymous(t, d.worker()) - before; grown > strangersMemory && !raceEnabled {
		t.Errorf("the worker has grown by %d MiB", grown>>20)
	}
	d.served()
	d.fewLines(said)
	if text := d.log.since(said); !strings.Contains(text, "user 65534: ") {
		t.Errorf("it says %q", text)
	}
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
}
