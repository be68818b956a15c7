package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
)

// daemon is the one under test, with places of its own.
type daemon struct {
	bin    string
	dir    string // of all below; TMPDIR of every tree, by which they are found
	state  string
	socket string
	cgroup string
	secret string
	files  int // limit of open files; 0: ours
	log    log

	mu    sync.Mutex
	cmd   *exec.Cmd     // the keeper
	ended chan struct{} // it has, and was waited for
}

func newDaemon(bin, dir, cgroup string, files int) *daemon {
	return &daemon{bin: bin, dir: dir, state: dir + "/state", socket: dir + "/pm.sock", cgroup: cgroup, secret: "storm", files: files}
}

// launch starts the keeper and returns when it listens.
func (d *daemon) launch() error {
	cmd := exec.Command(d.bin, "-state", d.state, "-socket", d.socket, "-cgroup", d.cgroup)
	if d.files > 0 {
		cmd = exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, d.files)}, cmd.Args...)...)
	}
	cmd.Dir, cmd.Stderr = d.dir, &d.log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.dir, client.SecretEnv + "=" + d.secret, "PROCESSMANAGER_CRASH_FILE=" + d.trap()}
	cmd.WaitDelay = time.Second // a worker that outlives it has the pipe of its stderr
	ended := make(chan struct{})
	from := len(d.log.text())
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		cmd.Wait() // the code is in ProcessState
		close(ended)
	}()
	d.mu.Lock()
	d.cmd, d.ended = cmd, ended
	d.mu.Unlock()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if strings.Contains(d.log.text()[from:], "listening on ") {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the daemon has not started: %v", cmd.ProcessState)
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("the daemon does not listen after %v", patience)
		}
	}
}

// trap is the file that names the point at which a worker is to kill itself.
func (d *daemon) trap() string { return d.dir + "/trap" }

// arm has the next worker that comes to a point kill itself there.
func (d *daemon) arm(p supervisor.Point) error {
	return errors.Join(os.WriteFile(d.trap()+".new", []byte(p), 0o600), os.Rename(d.trap()+".new", d.trap()))
}

// disarm reports whether a worker has come to the point, and died.
func (d *daemon) disarm() bool { return os.Remove(d.trap()) != nil }

func (d *daemon) keeper() (pid int, ended <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cmd.Process.Pid, d.ended
}

// worker is the pid of the worker, 0 between two.
func (d *daemon) worker() int {
	keeper, _ := d.keeper()
	dirs, _ := filepath.Glob(d.cgroup + "/processmanager-*/daemon/cgroup.procs")
	for _, file := range dirs {
		data, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(data)) {
			pid, _ := strconv.Atoi(word)
			stat := procStat(pid)
			if len(stat) > 1 && stat[0] != "Z" && stat[1] == strconv.Itoa(keeper) && strings.HasPrefix(cmdline(pid), "processmanager -worker") {
				return pid
			}
		}
	}
	return 0
}

// dial connects; the daemon may be dying.
func (d *daemon) dial(ctx context.Context) (*client.Client, error) {
	return client.Dial(ctx, client.Config{Socket: d.socket, Secret: []byte(d.secret)})
}

// sweep ends and removes all that is left, when the storm is over.
func (d *daemon) sweep() {
	d.mu.Lock()
	if d.cmd != nil {
		d.cmd.Process.Kill()
		<-d.ended
	}
	d.mu.Unlock()
	os.WriteFile(d.cgroup+"/cgroup.kill", []byte("1"), 0)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		dirs := d.groups()
		slices.Reverse(dirs)
		for _, dir := range dirs {
			unix.Rmdir(dir)
		}
		if unix.Rmdir(d.cgroup); len(dirs) == 0 {
			return
		}
	}
}

// groups are the directories below the delegated root, from the top down.
func (d *daemon) groups() (dirs []string) {
	filepath.WalkDir(d.cgroup, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != d.cgroup {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

// left is what an orderly end has left behind; nil is nothing.
func (d *daemon) left() error {
	var errs []error
	pids, err := d.processes()
	if len(pids) > 0 || err != nil {
		errs = append(errs, fmt.Errorf("processes %v %v", pids, err))
	}
	if groups := d.groups(); len(groups) > 0 {
		errs = append(errs, fmt.Errorf("groups %q", groups))
	}
	if _, err := os.Stat(d.cgroup); err == nil {
		errs = append(errs, fmt.Errorf("the delegated root %s, which the daemon had made", d.cgroup))
	}
	if fifos, _ := os.ReadDir(d.fifos()); len(fifos) > 0 {
		errs = append(errs, fmt.Errorf("FIFOs %v", fifos))
	}
	if _, err := os.Lstat(d.socket); err == nil {
		errs = append(errs, errors.New("the socket"))
	}
	for dir, may := range map[string][]string{d.state: {"instance.json", "lock", "logs", "processes.db", "run"}, d.state + "/run": {"fifo", "runtime.lock"}} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !slices.Contains(may, e.Name()) {
				errs = append(errs, fmt.Errorf("the file %s/%s", dir, e.Name()))
			}
		}
	}
	return errors.Join(errs...)
}

// processes are all that come from the daemon, it included, whatever group they are in.
func (d *daemon) processes() (pids []int, err error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if pid, _ := strconv.Atoi(filepath.Base(name)); hasEnviron(pid, "TMPDIR="+d.dir) {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// zombies are the children that the keeper has not waited for.
func (d *daemon) zombies() (pids []int) {
	keeper, _ := d.keeper()
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if stat := procStat(pid); len(stat) > 1 && stat[0] == "Z" && stat[1] == strconv.Itoa(keeper) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (d *daemon) fifos() string { return d.state + "/run/fifo" }

// logged is all that is kept of a process's output: files whose names are in order.
func (d *daemon) logged(name string) (all []byte, err error) {
	files, err := filepath.Glob(d.state + "/logs/" + name + "/*.log")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, err
}

// end is SIGTERM, and the end in order that must follow.
func (d *daemon) end(meanwhile func()) error {
	pid, ended := d.keeper()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	meanwhile()
	select {
	case <-ended:
	case <-time.After(2 * patience):
		return fmt.Errorf("the daemon has not ended in %v", 2*patience)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the daemon ended with %v after SIGTERM", d.cmd.ProcessState)
	}
	if err := d.left(); err != nil {
		return fmt.Errorf("the daemon has ended and left: %w", err)
	}
	return nil
}

// procStat are the fields of /proc/PID/stat behind the name: the state is the first.
func procStat(pid int) []string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(data), ") ")
	return strings.Fields(after)
}

func cmdline(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(data), "\x00", " ")
}

// hasEnviron reports whether a process was executed with all of the variables.
// Zombies have none.
func hasEnviron(pid int, variables ...string) bool {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	data = append([]byte{0}, data...)
	return len(data) > 1 && !slices.ContainsFunc(variables, func(v string) bool {
		return !bytes.Contains(data, []byte("\x00"+v+"\x00"))
	})
}

// log is what the daemon has written to stderr.
type log struct {
	mu   sync.Mutex
	data []byte
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, p...)
	return len(p), nil
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.data)
}
