package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// The unit works with the two programs and the secret alone, and root's client needs no flag.
func TestUnitServesAndItsTreesAreInAScopeOfTheirOwn(t *testing.T) {
	serve(t)
	if state := host.Property("ActiveState", unit) + " " + host.Property("SubState", unit); state != "active running" {
		t.Errorf("the unit is %s", state)
	}
	pid := start(t, "web")
	limit(t, pid)
	top := scope(t)
	if in := group(t, pid); !strings.HasPrefix(in, top+"/") {
		t.Errorf("the tree is in %s, not below %s", in, top)
	}
	if in := group(t, ofSystem.keeper(t)); in != "/sys/fs/cgroup/system.slice/"+unit {
		t.Errorf("the keeper is in %s", in)
	}
	for _, arg := range []string{"-worker", "-hold"} {
		if in := group(t, find(arg)); !strings.HasPrefix(in, top+"/") || filepath.Base(in) != "daemon" {
			t.Errorf("%s is in %s", arg, in)
		}
	}
	for _, controller := range []string{"cpu", "io", "memory", "pids"} {
		if there := host.Read(t, group(t, pid)+"/cgroup.controllers"); !slices.Contains(strings.Fields(there), controller) {
			t.Errorf("a run has the controllers %s, not %s", there, controller)
		}
	}
	if before := host.Property("Before", filepath.Base(top)); !slices.Contains(strings.Fields(before), unit) {
		t.Errorf("the machine's shutdown may end the scope with the unit: it is before %s", before)
	}
	if most := host.Property("TasksMax", filepath.Base(top)); most != "infinity" {
		t.Errorf("TasksMax of the scope: %s", most)
	}
	if host.Exists("/run/processmanager/pm.sock.secret") {
		t.Error("the daemon has made a secret, with a credential of systemd's at hand")
	}
	if environ := host.Read(t, "/proc/"+strconv.Itoa(pid)+"/environ"); strings.Contains(environ, "NOTIFY_SOCKET") || strings.Contains(environ, "secret") {
		t.Errorf("the run inherits %q", environ)
	}
	host.Eventually(t, "the status line counts processes", func() bool {
		return host.Property("StatusText", unit) == "1 process: 1 running"
	})
}

// limit sets a limit on a tree, which is on its group and must stay there.
func limit(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(group(t, pid)+"/memory.max", []byte("64M"), 0); err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsLostWhen is the promise under systemd.
func TestNothingIsLostWhen(t *testing.T) {
	serve(t)
	nothingIsLost(t, ofSystem)
}

// With no run alive the scope lives by its holder.
func TestScopeOutlivesItsRunsAndTheDaemon(t *testing.T) {
	serve(t)
	host.Root.Once(t, "true", 0)
	before, inode := ofSystem.keeper(t), inodeOf(t, scope(t))
	holder := find("-hold")
	kill(t, before, syscall.SIGKILL)
	ofSystem.answers(t, before)
	if now := inodeOf(t, scope(t)); now != inode {
		t.Errorf("it is another scope")
	}
	if now := find("-hold"); now != holder {
		t.Errorf("the holder was %d and is %d", holder, now)
	}
	kill(t, holder, syscall.SIGKILL)
	host.Eventually(t, "there is another holder", func() bool { now := find("-hold"); return now != 0 && now != holder })
	if now := inodeOf(t, scope(t)); now != inode {
		t.Errorf("it is another scope after the holder")
	}
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestStopEndsAllInOrder(t *testing.T) {
	serve(t)
	const said = "/run/said"
	os.Remove(said)
	polite := `trap 'echo $PROCESSMANAGER_NAME asked >>` + said + `; sleep 1; echo $PROCESSMANAGER_NAME ends >>` + said + `; exit 0' TERM
		touch /run/$PROCESSMANAGER_NAME.up; while :; do sleep 0.1; done`
	pids := []int{start(t, "plain")}
	for _, p := range [][]string{{"db"}, {"web", "-needs", "db"}, {"front", "-after", "web"}} {
		pm(t, append([]string{"start", "-command", polite, "-ready", "exec:test -e /run/" + p[0] + ".up"}, p...)...)
		host.Eventually(t, p[0]+" is up", func() bool { return host.Root.Status(t, p[0]).Status == "running" })
		pids = append(pids, host.Root.Running(t, p[0]))
	}
	host.Root.Do(t, "systemctl", "stop", unit)
	if slices.ContainsFunc(pids, host.Alive) {
		t.Errorf("processes live on after stop")
	}
	if got, want := strings.Fields(host.Read(t, said)), strings.Fields("front asked front ends web asked web ends db asked db ends"); !slices.Equal(got, want) {
		t.Errorf("they have ended in the order %s, not %s", got, want)
	}
	if result := host.Property("Result", unit); result != "success" {
		t.Errorf("the result of the unit is %s", result)
	}
	nothingIsLeft(t)
	host.Root.Do(t, "systemctl", "start", unit)
	if s := host.Root.Status(t, "web"); s.Status == "running" || s.Last == nil || s.Last.Cause != "shutdown" {
		t.Errorf("web is %+v", s)
	}
	start(t, "again")
}

// SIGKILL in the middle of a stop: the unit's own ExecStopPost ends the rest.
func TestStopWhoseDaemonIsKilledEndsAllTheSame(t *testing.T) {
	serve(t)
	pm(t, "start", "-name", "slow", "-stop_timeout", "60s", "-command", `trap 'touch /run/slow' TERM; while :; do sleep 0.1; done`)
	slow := host.Root.Running(t, "slow")
	os.Remove("/run/slow")
	pid := ofSystem.keeper(t)
	host.Root.Do(t, "systemctl", "stop", "--no-block", unit)
	host.Eventually(t, "the process is being stopped", func() bool { return host.Exists("/run/slow") })
	kill(t, pid, syscall.SIGKILL)
	host.Eventually(t, "the process has ended", func() bool { return !host.Alive(slow) })
	host.Eventually(t, "the unit has stopped", func() bool {
		s := host.Property("ActiveState", unit)
		return s == "inactive" || s == "failed"
	})
	host.Root.Try("systemctl", "reset-failed", unit)
	nothingIsLeft(t)
	host.Root.Do(t, "systemctl", "start", unit)
	start(t, "again")
}

// A keeper whose worker hangs does not tell systemd that all is well.
func TestWatchdogComesFromTheKeeperAfterItHasAskedTheWorker(t *testing.T) {
	host.Root.Do(t, "mkdir", "-p", "/run/systemd/system/processmanager.service.d")
	if err := os.WriteFile("/run/systemd/system/processmanager.service.d/watchdog.conf", []byte("[Service]\nWatchdogSec=6s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host.Root.Do(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		os.RemoveAll("/run/systemd/system/processmanager.service.d")
		host.Root.Do(t, "systemctl", "daemon-reload")
	})
	serve(t)
	web := start(t, "web")
	before := ofSystem.keeper(t)
	host.Eventually(t, "the watchdog is fed", func() bool {
		at := host.Property("WatchdogTimestampMonotonic", unit)
		return at != "0" && at != host.Property("ExecMainStartTimestampMonotonic", unit)
	})
	hung := worker(t)
	kill(t, hung, syscall.SIGSTOP)
	ofSystem.answers(t, before)
	if now := host.Root.Running(t, "web"); now != web {
		t.Errorf("web was %d and is %d", web, now)
	}
}

// systemd may hold the socket: the first client starts the daemon, and none is refused while
// there is none.
func TestSocketStartsTheDaemonAndClientsWaitInIt(t *testing.T) {
	const socket = "processmanager.socket"
	serve(t)
	host.Root.Do(t, "systemctl", "stop", unit)
	nothingIsLeft(t)
	host.Root.Do(t, "systemctl", "start", socket)
	t.Cleanup(func() { host.Root.Do(t, "systemctl", "stop", socket) })
	if state := host.Property("ActiveState", unit); state != "inactive" {
		t.Errorf("the unit is %s before the first client", state)
	}
	web := start(t, "web")
	for _, end := range []func(){
		func() { kill(t, ofSystem.keeper(t), syscall.SIGKILL) },
		func() { host.Root.Do(t, "systemctl", "restart", "--no-block", unit) },
	} {
		before := ofSystem.keeper(t)
		end()
		host.Eventually(t, "the keeper is gone", func() bool { return !host.Alive(before) })
		if now := host.Root.Running(t, "web"); now != web { // nobody has waited for the next daemon
			t.Errorf("web was %d and is %d", web, now)
		}
	}
	pm(t, "upgrade")
	host.Root.Do(t, "systemctl", "stop", socket, unit)
	nothingIsLeft(t)
	if host.Exists("/run/processmanager/pm.sock") {
		t.Error("the socket is still there")
	}
}
