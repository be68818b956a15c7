package systemd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

const unit = "processmanager.service"

func TestMain(m *testing.M) {
	if os.Getenv("GUEST") == "" || !host.Exists("/run/systemd/system") {
		// Elsewhere there is nothing to test, and a host to leave alone.
		return
	}
	os.Exit(m.Run())
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
	host.Root.Do(t, "systemctl", "start", unit)
	t.Cleanup(func() {
		if strings.Contains(host.Journal(), "processes of others") {
			t.Error("the daemon has found others in its scope")
		}
		if t.Failed() {
			t.Log(host.Journal())
		}
		host.Root.Do(t, "systemctl", "stop", unit)
		nothingIsLeft(t)
		os.RemoveAll("/var/lib/processmanager")
	})
}

// nothingIsLeft holds after each stop: no unit that failed, no scope, no group.
func nothingIsLeft(t testing.TB) {
	t.Helper()
	if failed := host.Root.Do(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "processmanager*"); failed != "" {
		t.Errorf("failed units: %s", failed)
		host.Root.Try("systemctl", "reset-failed", "processmanager*")
	}
	host.Eventually(t, "no scope is left", func() bool {
		return host.Root.Do(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "processmanager-*.scope") == ""
	})
	host.Eventually(t, "no group is left", func() bool { return len(groups()) == 0 })
	host.Eventually(t, "no process is left", func() bool {
		_, err := host.Root.Try("pgrep", "-x", "processmanager")
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
		t.Fatalf("scopes: %v, %v\n%s", list, err, host.Journal())
	}
	return list[0]
}

// pm is pmclient of root, without a flag.
func pm(t testing.TB, args ...string) string {
	t.Helper()
	return host.Root.Do(t, "pmclient", args...)
}

// start starts a process that lives until it is stopped, and returns its pid.
func start(t testing.TB, name string, more ...string) int {
	t.Helper()
	pm(t, append([]string{"start", "-name", name, "-command", "exec sleep 100000"}, more...)...)
	return host.Root.Running(t, name)
}

// worker is the child of the keeper that is not the holder.
func worker(t testing.TB) (pid int) {
	t.Helper()
	host.Eventually(t, "there is a worker", func() bool {
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
