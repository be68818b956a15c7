package systemd

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

var (
	rounds = flag.Int("rounds", 8, "how often the storm ends the daemon or has it replaced")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the storm")
)

// TestNothingIsLostInAStorm ends the daemon in every way but stop, in random order and one way
// soon after the other, while processes run, log and come back.
func TestNothingIsLostInAStorm(t *testing.T) {
	t.Logf("-seed %d -rounds %d", *seed, *rounds)
	random := rand.New(rand.NewPCG(*seed, 0))
	serve(t)
	const returning = 4 // with 8 that live and 8 that log
	pids := map[string]int{}
	for i := range 8 {
		name := fmt.Sprintf("lives-%d", i)
		pids[name] = start(t, name)
		name = fmt.Sprintf("logs-%d", i)
		pm(t, "start", "-name", name, "-log", "-command", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.5; done")
		pids[name] = host.Root.Running(t, name)
		if i < returning {
			pm(t, "start", "-name", fmt.Sprintf("returns-%d", i), "-restart", "always", "-restart_max_delay", "5s", "-command", "sleep 3")
		}
	}
	ways := []struct {
		name string
		do   func() error
	}{
		{"SIGKILL of the keeper", func() error { return killIf(mainPID()) }},
		{"SIGKILL of the worker", func() error { return killIf(find("-worker")) }},
		{"SIGKILL of the holder", func() error { return killIf(find("-hold")) }},
		{"SIGKILL of both", func() error { killIf(mainPID()); return killIf(find("-worker")) }},
		{"restart", func() error { _, err := host.Root.Try("systemctl", "restart", unit); return err }},
		{"reload", func() error { host.Root.Try("systemctl", "reload", unit); return nil }}, // there may be no daemon to reload
		{"daemon-reexec", func() error { _, err := host.Root.Try("systemctl", "daemon-reexec"); return err }},
	}
	for range *rounds {
		way := ways[random.IntN(len(ways))]
		if err := way.do(); err != nil {
			t.Errorf("%s: %v", way.name, err)
		}
		t.Log(way.name)
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
	ofSystem.answers(t, 0)
	for name, pid := range pids {
		if s := host.Root.Status(t, name); s.PID != pid || s.Run != 1 {
			t.Errorf("%s was %d and is %+v", name, pid, s)
		}
	}
	for i := range 8 {
		for n, line := range strings.Fields(pm(t, "logs", fmt.Sprintf("logs-%d", i), "-run", "1")) {
			if line != strconv.Itoa(n+1) {
				t.Errorf("logs-%d: line %d is %q", i, n+1, line)
				break
			}
		}
	}
	if failed := host.Root.Do(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend"); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
	for i := range returning {
		name := fmt.Sprintf("returns-%d", i)
		was := host.Root.Status(t, name).Run
		host.Eventually(t, name+" comes back", func() bool { return host.Root.Status(t, name).Run > was })
	}
	host.Eventually(t, "no group of a run that has ended is left", func() bool {
		list, err := filepath.Glob(scope(t) + "/processmanager-*/p/*/cgroup.procs")
		return err == nil && len(list) >= len(pids) && len(list) <= len(pids)+returning
	})
}

func mainPID() int {
	pid, _ := strconv.Atoi(host.Property("MainPID", unit))
	return pid
}

// killIf kills a process, if there is one.
func killIf(pid int) error {
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != syscall.ESRCH {
		return err
	}
	return nil
}
