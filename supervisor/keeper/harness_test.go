package keeper

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// keeperProcess is a keeper that a test has started.
type keeperProcess struct {
	t      testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has been waited for
	state  *os.ProcessState

	mu  sync.Mutex
	out bytes.Buffer
}

func startKeeper(t testing.TB, b behaviour, change ...func(*exec.Cmd)) *keeperProcess {
	t.Helper()
	k := &keeperProcess{t: t, dir: t.TempDir(), ended: make(chan struct{})}
	k.socket = filepath.Join(k.dir, "s")
	l, err := net.Listen("unix", k.socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	file, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	defer file.Close()

	b.Dir = k.dir
	config, _ := json.Marshal(b)
	k.cmd = exec.Command("/proc/self/exe")
	k.cmd.Env = append(os.Environ(), keeperEnv+"="+string(config))
	k.cmd.Dir = k.dir
	k.cmd.ExtraFiles = []*os.File{file}
	k.cmd.Stdout, k.cmd.Stderr = k, k
	for _, f := range change {
		f(k.cmd)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		k.state, _ = k.cmd.Process.Wait()
		close(k.ended)
	}()
	t.Cleanup(func() {
		k.cmd.Process.Kill()
		<-k.ended
		k.cmd.Wait() // the goroutine that copies the output
		if t.Failed() {
			t.Logf("the keeper said:\n%s%v", k.output(), k.state)
		}
	})
	return k
}

func (k *keeperProcess) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.out.Write(p)
}

func (k *keeperProcess) output() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.out.String()
}

func (k *keeperProcess) signal(s unix.Signal) {
	k.t.Helper()
	if err := k.cmd.Process.Signal(s); err != nil {
		k.t.Fatal(err)
	}
}

// waitEnd waits for the keeper's own end.
func (k *keeperProcess) waitEnd() {
	k.t.Helper()
	select {
	case <-k.ended:
	case <-time.After(patience):
		k.t.Fatal("the keeper does not end")
	}
}

// waitOutput waits until the keeper or a worker has said text n times.
func (k *keeperProcess) waitOutput(text string, n int) {
	k.t.Helper()
	eventually(k.t, fmt.Sprintf("%q %d times", text, n), func() bool {
		return strings.Count(k.output(), text) >= n
	})
}

// client is a connection to one worker.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *json.Decoder
}

// connect reaches the worker that is there, or the next one.
func (k *keeperProcess) connect() *client {
	k.t.Helper()
	c, err := net.Dial("unix", k.socket)
	if err != nil {
		k.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	k.t.Cleanup(func() { c.Close() })
	return &client{k.t, c, json.NewDecoder(bufio.NewReader(c))}
}

// hello connects to a worker other than the one with the given pid.
func (k *keeperProcess) hello(notPID int) (*client, reply) {
	k.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		c := k.connect()
		if a, err := c.try(request{Op: "hello"}); err == nil && a.PID != notPID {
			return c, a
		}
		c.conn.Close()
		time.Sleep(time.Millisecond)
	}
	k.t.Fatal("no new worker")
	return nil, reply{}
}

// killWorker kills one and returns the next.
func (k *keeperProcess) killWorker(pid int) (*client, reply) {
	k.t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		k.t.Fatal(err)
	}
	return k.hello(pid)
}

func (c *client) try(r request) (a reply, err error) {
	if err := json.NewEncoder(c.conn).Encode(r); err != nil {
		return a, err
	}
	return a, c.in.Decode(&a)
}

func (c *client) do(r request) reply {
	c.t.Helper()
	a, err := c.try(r)
	if err != nil {
		c.t.Fatalf("%s: %v", r.Op, err)
	}
	return a
}

// must fails the test where the answer is an error.
func (c *client) must(r request) reply {
	c.t.Helper()
	a := c.do(r)
	if a.Err != "" {
		c.t.Fatalf("%s %v: %s", r.Op, r.Run, a.Err)
	}
	return a
}

func sh(run uint64, script string) request {
	return request{Op: "spawn", Run: RunID{"test", run}, Argv: []string{"/bin/sh", "-c", script}}
}

// eventually waits for what gives no event that a test could wait for.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// childrenOf counts the children of a process, zombies included.
func childrenOf(t *testing.T, pid int) (living, zombies int) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		switch {
		case fields[1] != strconv.Itoa(pid):
		case fields[0] == "Z":
			zombies++
		default:
			living++
		}
	}
	return living, zombies
}

// testGroup makes a cgroup for one test, which ends what is in it. Where that is
// not possible the test is skipped, unless CI says that it must be.
func testGroup(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("PM_CGROUP")
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if dir == "" && strings.HasPrefix(after, "cgroup2 ") {
			dir = strings.Fields(before)[4]
		}
	}
	name := fmt.Sprintf("pm-test-keeper-%d", os.Getpid())
	if dir != "" {
		dir = filepath.Join(dir, name)
		err = os.Mkdir(dir, 0o755)
	}
	if dir == "" || err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no cgroup for the test: ", err)
		}
		t.Skip("no cgroup for the test: ", err)
	}
	t.Cleanup(func() {
		os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0)
		deadline := time.Now().Add(patience)
		for err := unix.Rmdir(dir); err != nil; err = unix.Rmdir(dir) {
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return dir
}

func workerPID(dir string) int { return pidIn(dir + "/worker") }

// pidIn is 0 while there is no file, or it is being written.
func pidIn(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(data))
	return pid
}

func alive(id proc.ID) bool {
	alive, err := id.Alive("/proc")
	return alive || err != nil
}
