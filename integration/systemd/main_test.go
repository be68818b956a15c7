package systemd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	unit = "processmanager.service"

	// patience is how long a test waits for what must come. A guest is slow.
	patience = 90 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv("GUEST") == "" || !is("/run/systemd/system") {
		// Elsewhere there is nothing to test, and a host to leave alone.
		return
	}
	os.Exit(m.Run())
}

func is(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// try runs a command and returns what it has written.
func try(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do is try for a command that must work.
func do(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("in vain waited until %s\n%s", what, journal())
		}
	}
}

// journal is what the unit has said lately.
func journal() string {
	out, _ := try("journalctl", "--no-pager", "-n", "40", "-o", "short-monotonic")
	return out
}

// property is one of a unit's.
func property(name, of string) string {
	out, _ := try("systemctl", "show", "--value", "-p", name, of)
	return out
}

// serve starts the unit, and ends it after the test with all there is. The test must have
// left it in order.
func serve(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll("/etc/processmanager", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/etc/processmanager/secret", []byte("a secret of this guest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, "systemctl", "start", unit)
	t.Cleanup(func() {
		if strings.Contains(journal(), "processes of others") {
			t.Error("the daemon has found others in its scope")
		}
		if t.Failed() {
			t.Log(journal())
		}
		do(t, "systemctl", "stop", unit)
		nothingIsLeft(t)
		os.RemoveAll("/var/lib/processmanager")
	})
}

// nothingIsLeft holds after each stop: no unit that failed, no scope, no group.
func nothingIsLeft(t testing.TB) {
	t.Helper()
	if failed := do(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "processmanager*"); failed != "" {
		t.Errorf("failed units: %s", failed)
		try("systemctl", "reset-failed", "processmanager*")
	}
	eventually(t, "no scope is left", func() bool {
		return do(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "processmanager-*.scope") == ""
	})
	eventually(t, "no group is left", func() bool { return len(groups()) == 0 })
	eventually(t, "no process is left", func() bool {
		_, err := try("pgrep", "-x", "processmanager")
		return err != nil
	})
}

// groups are those of instances.
func groups() (found []string) {
	for _, pattern := range []string{"*/processmanager-*", "*/*/processmanager-*", "*/*/*/processmanager-*"} {
		list, _ := filepath.Glob("/sys/fs/cgroup/" + pattern)
		found = append(found, list...)
	}
	return found
}

// scope is the group of the scope that there is.
func scope(t testing.TB) string {
	t.Helper()
	list, err := filepath.Glob("/sys/fs/cgroup/system.slice/processmanager-*.scope")
	if err != nil || len(list) != 1 {
		t.Fatalf("scopes: %v, %v\n%s", list, err, journal())
	}
	return list[0]
}

// pm is pmclient of root, without a flag.
func pm(t testing.TB, args ...string) string {
	t.Helper()
	return do(t, "pmclient", args...)
}

// start starts a process that lives until it is stopped, and returns its pid.
func start(t testing.TB, name string, more ...string) int {
	t.Helper()
	pm(t, append([]string{"start", "-name", name, "-command", "exec sleep 100000"}, more...)...)
	return running(t, name)
}

type status struct {
	Status string `json:"status"`
	PID    int    `json:"pid"`
	Run    int    `json:"run"`
	Last   *struct {
		Cause string `json:"cause"`
		Code  *int   `json:"exit_code"`
	} `json:"last_run"`
}

func statusOf(t testing.TB, name string) (s status) {
	t.Helper()
	out, err := exec.Command("pmclient", "status", name, "-format", "json").Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 3) {
		t.Fatalf("status of %s: %v\n%s", name, err, journal())
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("status of %s: %v: %s", name, err, out)
	}
	return s
}

func running(t testing.TB, name string) int {
	t.Helper()
	s := statusOf(t, name)
	if s.Status != "running" || s.PID == 0 {
		t.Fatalf("%s: %+v", name, s)
	}
	return s.PID
}

// keeper is the unit's main process, worker its child that is not the holder.
func keeper(t testing.TB) int {
	t.Helper()
	pid, err := strconv.Atoi(property("MainPID", unit))
	if err != nil || pid == 0 {
		t.Fatalf("no main process: %v\n%s", err, journal())
	}
	return pid
}

func worker(t testing.TB) (pid int) {
	t.Helper()
	eventually(t, "there is a worker", func() bool {
		pid = find("-worker")
		return pid != 0
	})
	return pid
}

// find is the daemon's process with an argument.
func find(arg string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		words := bytes.Split(line, []byte{0})
		if len(words) > 1 && string(words[0]) == "processmanager" && string(words[1]) == arg {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

func kill(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("kill -%d %d: %v", int(s), pid, err)
	}
}

func alive(pid int) bool { return is(fmt.Sprintf("/proc/%d", pid)) }

// group is the cgroup of a process.
func group(t *testing.T, pid int) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return "/sys/fs/cgroup" + strings.TrimSpace(path)
		}
	}
	t.Fatalf("%d is in no group of cgroup v2: %s", pid, data)
	return ""
}

// answers waits until another keeper than the one with that pid serves.
func answers(t *testing.T, former int) {
	t.Helper()
	eventually(t, "the next daemon answers", func() bool {
		if property("MainPID", unit) == strconv.Itoa(former) || property("ActiveState", unit) != "active" {
			return false
		}
		_, err := try("pmclient", "list")
		return err == nil
	})
}
