package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long something may take that has to happen, on a busy host too.
// It is not a promise of the daemon's: those have bounds of their own.
var patience = time.Minute * time.Duration(min(slowdown(), 2))

// late is how much later than it is due something may happen, on a busy host too.
var late = 5 * time.Second * time.Duration(min(slowdown(), 4))

// cannot skips a test that needs more than this host gives, and fails it where the run
// says that it must be possible: as root in CI. Guests lack programs that hosts have.
func cannot(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" && os.Getuid() == 0 && os.Getenv("GUEST") == "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// eventually asks until ok; what it waits for is in the failure.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// cgroupParent is where the groups of the tests are made: PM_CGROUP, or the mount
// of cgroup v2.
var cgroupParent = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("PM_CGROUP"); dir != "" {
		return dir, nil
	}
	return cgroupMount()
})

// cgroupMount is where cgroup v2 is mounted.
var cgroupMount = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", errors.New("cgroup v2 is not mounted")
})

// hasController reports whether groups of the tests have a controller.
func hasController(t testing.TB, name string) bool {
	parent, err := cgroupParent()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(parent + "/cgroup.subtree_control")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(data)), name)
}

// pidsIn are the pids of a group and of the groups within it. None if it is gone.
func pidsIn(group string) (pids []int) {
	filepath.WalkDir(group, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil
		}
		data, _ := os.ReadFile(path + "/cgroup.procs")
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// frozen reports whether the whole of a group stands still.
func frozen(group string) bool {
	data, _ := os.ReadFile(group + "/cgroup.events")
	return strings.Contains(string(data), "frozen 1")
}

// withEnviron are the pids that have all of the given variables in the environment
// with which they were executed. Zombies have none.
func withEnviron(t testing.TB, variables ...string) (pids []int) {
	t.Helper()
	for _, pid := range allPids(t) {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		data = append([]byte{0}, data...)
		if len(data) > 1 && !slices.ContainsFunc(variables, func(v string) bool {
			return !bytes.Contains(data, []byte("\x00"+v+"\x00"))
		}) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func allPids(t testing.TB) (pids []int) {
	t.Helper()
	dir, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// procStat are the fields of /proc/PID/stat behind the name: state is the first.
// None if the process is gone.
func procStat(pid int) []string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(data), ") ")
	return strings.Fields(after)
}

// cmdline are the arguments that /proc shows.
func cmdline(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
}

// describe is what a failure says of pids.
func describe(pids []int) string {
	var b strings.Builder
	for _, pid := range pids {
		stat := procStat(pid)
		if len(stat) > 4 {
			fmt.Fprintf(&b, "\n  %d state %s ppid %s sid %s: %.100s", pid, stat[0], stat[1], stat[3], cmdline(pid))
		}
	}
	return b.String()
}

func alive(pid int) bool { return unix.Kill(pid, 0) == nil }

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// roleCommand is the shell command that runs this binary in one of its roles.
func roleCommand(role string, args ...string) string {
	words := []string{"exec", quoted(programs.self), "role", role}
	for _, arg := range args {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

var groups atomic.Int64

// newGroup is the path of a group that nobody has yet.
func newGroup(t testing.TB) string {
	t.Helper()
	parent, err := cgroupParent()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s/pm-test-%d-%d", parent, os.Getpid(), groups.Add(1))
}

// fillUp writes a file until its file system is full. Truncating it makes room.
func fillUp(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	return f
}
