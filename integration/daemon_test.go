package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// theSecret is what daemons are started with unless a test says otherwise.
const theSecret = "mysecretkey"

// setup is how a daemon under test differs from the others.
type setup struct {
	Args     []string // behind the usual ones
	Env      []string // added to PATH, HOME and TMPDIR
	NoSecret bool     // no -secret
	Wrap     []string // a command that executes its arguments in the end
	Files    []*os.File
	Private  bool // in a mount namespace of its own
	Session  bool // in a session of its own, without the terminal of the tests
}

// daemon is one processmanager with its own places.
type daemon struct {
	t      testing.TB
	setup  setup
	dir    string // of everything below; the daemon's working directory and TMPDIR
	state  string
	socket string
	cgroup string // the delegated root
	log    *logBuffer

	cmd   *exec.Cmd // the keeper
	ended chan struct{}

	mu sync.Mutex
	pm *client.Client
}

// newDaemon makes the places of a daemon and starts none yet.
func newDaemon(t testing.TB, s setup) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm-")
	if err != nil {
		t.Fatal(err)
	}
	if *asOnLinux514 && s.Wrap == nil {
		s.Wrap = linux514.wrap(t)
	}
	d := &daemon{
		t: t, setup: s, dir: dir, state: dir + "/state", socket: dir + "/pm.sock",
		cgroup: newGroup(t),
		log:    &logBuffer{grown: make(chan struct{})},
	}
	t.Cleanup(d.cleanup)
	return d
}

// startDaemon is a daemon that answers.
func startDaemon(t testing.TB, s setup) *daemon {
	t.Helper()
	d := newDaemon(t, s)
	d.launch()
	return d
}

// launch starts the daemon, again after it has ended, and waits until it answers.
func (d *daemon) launch(args ...string) {
	d.t.Helper()
	from := d.log.len()
	d.spawn(args...)
	if !d.log.await(from, "listening on ", d.ended) {
		d.t.Fatalf("the daemon does not listen (%v):\n%s", d.cmd.ProcessState, d.log.since(from))
	}
	if d.setup.NoSecret {
		return
	}
	d.client()
}

// refuse starts a daemon that cannot start, and returns what it says.
func (d *daemon) refuse(args ...string) string {
	d.t.Helper()
	from := d.log.len()
	d.spawn(args...)
	if code := d.wait(); code != 1 {
		d.t.Fatalf("exit code %d, want 1", code)
	}
	return d.log.since(from)
}

// spawn starts the daemon and does not wait for anything.
func (d *daemon) spawn(args ...string) {
	d.t.Helper()
	line := append(slices.Clone(d.setup.Wrap), programs.daemon, "-state", d.state, "-socket", d.socket, "-cgroup", d.cgroup)
	if !d.setup.NoSecret {
		line = append(line, "-secret", theSecret)
	}
	line = append(append(line, d.setup.Args...), args...)
	d.cmd = exec.Command(line[0], line[1:]...)
	d.cmd.Dir = d.dir
	d.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir, raceOptions}, d.setup.Env...)
	d.cmd.Stderr = d.log
	d.cmd.ExtraFiles = d.setup.Files
	d.cmd.WaitDelay = patience
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: d.setup.Session}
	if d.setup.Private {
		d.cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	}
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		if d.setup.Private && errors.Is(err, fs.ErrPermission) {
			cannot(d.t, "no mount namespace can be made: %v", err)
		}
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		cmd.Wait() // the code is in ProcessState
		close(ended)
	}(d.cmd, d.ended)
}

// wait is the daemon's exit code, -1 for a signal.
func (d *daemon) wait() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatalf("the daemon has not ended in %v", patience)
	}
	return d.cmd.ProcessState.ExitCode()
}

// keeper is the pid of the daemon that was started.
func (d *daemon) keeper() int { return d.cmd.Process.Pid }

// worker is the pid of the keeper's worker; 0 between two.
func (d *daemon) worker() int {
	for _, pid := range allPids(d.t) {
		if stat := procStat(pid); len(stat) > 1 && stat[1] == strconv.Itoa(d.keeper()) && stat[0] != "Z" &&
			strings.HasPrefix(cmdline(pid), "processmanager -worker") {
			return pid
		}
	}
	return 0
}

// end sends a signal to the keeper and is its exit code.
func (d *daemon) end(sig syscall.Signal) int {
	d.t.Helper()
	d.hangUp()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
	return d.wait()
}

func (d *daemon) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pm != nil {
		d.pm.Close()
		d.pm = nil
	}
}

// cleanup ends the daemon and looks for what it has left.
func (d *daemon) cleanup() {
	defer os.RemoveAll(d.dir)
	defer d.checkLog()
	defer d.checkNothingLeft() // also when it does not end
	if d.t.Failed() {
		d.t.Logf("log of the daemon:\n%s\ngroups:%s", d.log.since(0), d.groupFiles())
	}
	if d.cmd == nil || d.hasEnded() {
		return
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		d.t.Errorf("exit code %d after SIGTERM", code)
	}
}

func (d *daemon) hasEnded() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// checkLog fails the test if a program has crashed, or says so of itself.
func (d *daemon) checkLog() {
	if text := d.log.since(0); trouble.MatchString(text) {
		d.t.Errorf("trouble in the daemon's log:\n%s", text)
	}
}

var trouble = regexp.MustCompile(`(?m)^panic:|^fatal error|DATA RACE|^goroutine \d+ `)

// checkNothingLeft fails the test, and ends what is left, if there is anything.
func (d *daemon) checkNothingLeft() {
	d.hangUp()
	left := withEnviron(d.t, "TMPDIR="+d.dir)
	if len(left) > 0 {
		d.t.Errorf("processes are left:%s", describe(left))
	}
	groups, _ := filepath.Glob(d.cgroup + "/*/")
	if len(groups) > 0 {
		d.t.Errorf("groups are left:%s", d.groupFiles())
	}
	fifos, _ := os.ReadDir(d.state + "/run/fifo")
	if len(fifos) > 0 {
		d.t.Errorf("FIFOs are left: %v", fifos)
	}
	if sockets, _ := os.ReadDir(d.state + "/run/n"); len(sockets) > 0 {
		d.t.Errorf("notify sockets are left: %v", sockets)
	}
	if d.cmd != nil && d.hasEnded() && d.cmd.ProcessState.ExitCode() == 0 && !gone(d.socket) {
		d.t.Errorf("the socket is left")
	}
	for _, pid := range left {
		unix.Kill(pid, unix.SIGKILL)
	}
	removeGroup(d.cgroup)
}

// removeGroup ends and removes what a failed test has left.
func removeGroup(group string) {
	os.WriteFile(group+"/cgroup.kill", []byte("1"), 0)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var dirs []string
		filepath.WalkDir(group, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			unix.Rmdir(dir)
		}
		if len(dirs) == 0 {
			return
		}
	}
}

// groupFiles is what the groups of the daemon say, for a failure.
func (d *daemon) groupFiles() string {
	var b strings.Builder
	filepath.WalkDir(d.cgroup, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil
		}
		fmt.Fprintf(&b, "\n%s", path)
		for _, file := range []string{"cgroup.events", "cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"} {
			data, err := os.ReadFile(path + "/" + file)
			fmt.Fprintf(&b, "\n  %s: %s", file, strings.Join(strings.Fields(string(data)), " "))
			if err != nil {
				fmt.Fprintf(&b, "%v", err)
			}
		}
		return nil
	})
	b.WriteString(describe(pidsIn(d.cgroup)))
	return b.String()
}

// runs is the directory of the groups of all runs.
func (d *daemon) runs() string {
	d.t.Helper()
	dirs, err := filepath.Glob(d.cgroup + "/processmanager-*/p")
	if err != nil || len(dirs) != 1 {
		d.t.Fatalf("groups of the daemon: %q, %v", dirs, err)
	}
	return dirs[0]
}

// group is the directory of one run's group.
func (d *daemon) group(name string, run uint64) string {
	d.t.Helper()
	return fmt.Sprintf("%s/%s.%d", d.runs(), name, run)
}

// survivors are the pids of a run's tree, however they got away from it.
func (d *daemon) survivors(name string, run uint64) []int {
	d.t.Helper()
	return withEnviron(d.t, "TMPDIR="+d.dir, "PROCESSMANAGER_NAME="+name, fmt.Sprintf("PROCESSMANAGER_RUN=%d", run))
}

// nobodyLeft fails the test if a run has left a process or its group.
func (d *daemon) nobodyLeft(name string, run uint64) {
	d.t.Helper()
	if left := d.survivors(name, run); len(left) > 0 {
		d.t.Errorf("run %d of %s has survivors:%s", run, name, describe(left))
	}
	if _, err := os.Stat(d.group(name, run)); err == nil {
		d.t.Errorf("the group of run %d of %s is left: pids %v", run, name, pidsIn(d.group(name, run)))
	}
	if _, err := os.Lstat(fmt.Sprintf("%s/run/fifo/%s.%d", d.state, name, run)); err == nil {
		d.t.Errorf("the FIFO of run %d of %s is left", run, name)
	}
}

// client is a connection that is closed with the daemon.
func (d *daemon) client() *client.Client {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pm == nil {
		pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(theSecret)})
		if err != nil {
			d.t.Fatal(err)
		}
		d.pm = pm
	}
	return d.pm
}

// dial is a connection of its own: requests of one connection wait for each other.
func (d *daemon) dial(t testing.TB) *client.Client {
	t.Helper()
	pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(theSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pm.Close() })
	return pm
}

// context bounds a request by more than a stop may take.
func (d *daemon) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	d.t.Cleanup(cancel)
	return ctx
}

// start starts a process that must start.
func (d *daemon) start(spec process.Spec) process.Status {
	d.t.Helper()
	s, err := d.client().Start(d.context(), spec)
	if err != nil {
		d.t.Fatalf("start %s: %v", spec.Name, err)
	}
	return s
}

func (d *daemon) stop(name string) process.Status {
	d.t.Helper()
	s, err := d.client().Stop(d.context(), name)
	if err != nil {
		d.t.Fatalf("stop %s: %v", name, err)
	}
	return s
}

func (d *daemon) status(name string) process.Status {
	d.t.Helper()
	s, err := d.client().Status(d.context(), name)
	if err != nil {
		d.t.Fatalf("status %s: %v", name, err)
	}
	return s
}

func (d *daemon) list() []process.Status {
	d.t.Helper()
	all, err := d.client().List(d.context())
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func (d *daemon) logs(name string, lines int) string {
	d.t.Helper()
	data, err := d.client().LogLines(d.context(), name, lines)
	if err != nil {
		d.t.Fatalf("log %s: %v", name, err)
	}
	return string(data)
}

// await is the status of a process once it is as expected.
func (d *daemon) await(name, what string, ok func(process.Status) bool) (s process.Status) {
	d.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if s = d.status(name); ok(s) {
			return s
		}
		if time.Now().After(end) {
			d.t.Fatalf("process %s is not %s in %v: %+v", name, what, patience, s)
		}
	}
}

// rest waits until a process is at rest.
func (d *daemon) rest(name string) process.Status {
	d.t.Helper()
	return d.await(name, "at rest", func(s process.Status) bool { return s.State.AtRest() })
}

// finished runs a command as a process of the name to its end.
func (d *daemon) finished(name, command string) process.Status {
	d.t.Helper()
	d.start(process.Spec{Name: name, Command: command})
	return d.rest(name)
}

// said waits until a process has written text.
func (d *daemon) said(name, text string) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%s writes %q", name, text), func() bool {
		return strings.Contains(d.logs(name, 0), text)
	})
}

// result is what a program did.
type result struct {
	stdout, stderr string
	code           int
}

// pmclient runs the client with the daemon's socket and secret.
func (d *daemon) pmclient(args ...string) result {
	d.t.Helper()
	return d.execute(append([]string{programs.client, "-socket", d.socket, "-secret", theSecret}, args...)...)
}

// mustClient is the output of a client that must succeed.
func (d *daemon) mustClient(args ...string) string {
	d.t.Helper()
	r := d.pmclient(args...)
	if r.code != 0 || r.stderr != "" {
		d.t.Fatalf("pmclient %.200q: exit code %d, %s", args, r.code, r.stderr)
	}
	return r.stdout
}

// execute runs a program to its end, with an environment that tells it nothing.
func (d *daemon) execute(args ...string) (r result) {
	d.t.Helper()
	cmd := exec.CommandContext(d.context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = d.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, raceOptions}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// logBuffer is what the daemon has written to stderr.
type logBuffer struct {
	mu    sync.Mutex
	text  []byte
	grown chan struct{} // closed at the next write
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	close(b.grown)
	b.grown = make(chan struct{})
	return len(p), nil
}

func (b *logBuffer) len() int { return len(b.since(0)) }

func (b *logBuffer) since(from int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text[from:])
}

// await waits until text stands behind from; false if the daemon ends before.
func (b *logBuffer) await(from int, text string, ended <-chan struct{}) bool {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		b.mu.Lock()
		found, grown := bytes.Contains(b.text[from:], []byte(text)), b.grown
		b.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-grown:
		case <-ended:
			return strings.Contains(b.since(from), text)
		case <-limit.C:
			return false
		}
	}
}
