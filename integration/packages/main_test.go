package packages

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	unit    = "processmanager.service"
	secret  = "/etc/processmanager/secret"
	program = "/usr/bin/processmanager"

	// patience is how long a test waits for what must come. A guest is slow.
	patience = 90 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv("GUEST") == "" {
		// Elsewhere there is nothing to test, and a host to leave alone.
		return
	}
	// What dpkg writes need not survive a crash of the guest.
	if err := os.WriteFile("/etc/dpkg/dpkg.cfg.d/unsafe-io", []byte("force-unsafe-io\n"), 0o644); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func is(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// try runs a command and returns what it has written.
func try(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do is try for a command that must work.
func do(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(name, args...)
	if err != nil {
		log, _ := try("journalctl", "--no-pager", "-n", "40", "-o", "short-monotonic")
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, log)
	}
	return out
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// property is one of a unit's.
func property(name, of string) string {
	out, _ := try("systemctl", "show", "--value", "-p", name, of)
	return out
}

// status is what root's client without a flag says of a process.
type status struct {
	Status string `json:"status"`
	PID    int    `json:"pid"`
	Last   *struct {
		Code *int `json:"exit_code"`
	} `json:"last_run"`
}

func statusOf(t *testing.T, name string) (s status) {
	t.Helper()
	out, err := exec.Command("pmclient", "status", name, "-format", "json").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 3) {
		t.Fatalf("status of %s: %v", name, err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("status of %s: %v: %s", name, err, out)
	}
	return s
}

// start starts a process and returns its pid.
func start(t *testing.T, name, command string) int {
	t.Helper()
	do(t, "pmclient", "start", "-name", name, "-command", command)
	s := statusOf(t, name)
	if s.Status != "running" || s.PID == 0 {
		t.Fatalf("%s: %+v", name, s)
	}
	return s.PID
}

func alive(pid int) bool { return is(fmt.Sprintf("/proc/%d", pid)) }

// daemon is the pid of the unit's main process, which serves.
func daemon(t *testing.T) int {
	t.Helper()
	do(t, "systemctl", "is-active", unit)
	pid, err := strconv.Atoi(property("MainPID", unit))
	if err != nil || pid == 0 {
		t.Fatalf("no main process: %v", err)
	}
	do(t, "pmclient", "list")
	return pid
}
