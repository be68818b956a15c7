package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// probed is a process whose readiness a command tells.
func probed(name, command, probe string) process.Spec {
	return process.Spec{Name: name, Command: command, Probing: process.Probing{Ready: "exec:" + probe}}
}

// pidFrom waits until a command has written its pid.
func (d *daemon) pidFrom(name string) (pid int) {
	d.t.Helper()
	eventually(d.t, name+" holds a pid", func() bool {
		data, _ := os.ReadFile(d.dir + "/" + name)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return pid > 0 && strings.HasSuffix(string(data), "\n")
	})
	return pid
}

func (d *daemon) noProbeGroups() {
	d.t.Helper()
	eventually(d.t, "no group of a probe is left", func() bool {
		left, _ := filepath.Glob(d.runs() + "/*.probe")
		return len(left) == 0
	})
}

func TestCommandTellsWhetherARunIsReady(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Dir: d.dir, Probing: process.Probing{Ready: "exec:test -e go && env > environment && cat /proc/self/cgroup > group"}})
	if s := d.status("web"); s.State != process.Starting {
		t.Errorf("%v", s.State)
	}
	d.touch("go")
	d.isIn("web", process.Running)
	environment, _ := os.ReadFile(d.dir + "/environment")
	if text := string(environment); !strings.Contains(text, "PROCESSMANAGER_NAME=web\n") || !strings.Contains(text, "PROCESSMANAGER_RUN=1\n") {
		t.Errorf("its environment is not that of the run:\n%s", text)
	}
	if group, _ := os.ReadFile(d.dir + "/group"); !strings.Contains(string(group), "/p/web.1.probe\n") {
		t.Errorf("it is in the group %s", group)
	}
	d.noProbeGroups()
	if s := d.status("web"); s.Number != 1 {
		t.Errorf("the probe took a number: run %d", s.Number)
	}
	d.stop("web")
}

func TestProbeIsEndedAtItsTime(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Probing: process.Probing{
		Health: fmt.Sprintf("exec:echo waiting for the database; (setsid sleep 1000 & echo $! > %s/child); sleep 1000", d.dir), HealthPeriod: 100 * time.Millisecond, HealthTimeout: 300 * time.Millisecond, HealthFailures: 2,
	}})
	child := d.pidFrom("child")
	s := d.rest("web")
	if s.Cause != process.CauseUnhealthy || !strings.Contains(s.Error, "waiting for the database") {
		t.Errorf("%v, %q", s.Cause, s.Error)
	}
	eventually(t, "what the probe started is ended", func() bool { return !running(child) })
	d.noProbeGroups()
}

// A probe neither keeps its run alive nor outlives it.
func TestProbeEndsWithTheRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(probed("web", fmt.Sprintf("while ! test -e %s/go; do sleep 0.01; done; exit 3", d.dir), fmt.Sprintf("echo $$ > %s/probe; exec sleep 1000", d.dir)))
	probe := d.pidFrom("probe")
	d.touch("go")
	if s := d.rest("web"); s.ExitCode == nil || *s.ExitCode != 3 || s.LeftBehind != nil {
		t.Errorf("%+v", s.Run)
	}
	eventually(t, "the probe is ended", func() bool { return !running(probe) })
	d.noProbeGroups()
	d.nobodyLeft("web", 1)
}

// The daemon's own end waits for the ends of probes: else their groups would be left.
func TestProbesEndWithTheDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for i := range 20 {
		d.start(probed(fmt.Sprint("web", i), "exec sleep 1000", fmt.Sprintf("echo $$ > %s/probe%d; sleep 1000", d.dir, i)))
	}
	d.pidFrom("probe7")
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left, _ := filepath.Glob(d.cgroup + "/*/"); len(left) > 0 {
		t.Errorf("groups are left: %q", left)
	}
}

// A probe whose worker is dead is nobody's: the next worker ends it, without a word, and asks
// again; the run goes on.
func TestProbeOfADeadWorkerIsEnded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(probed("web", "exec sleep 1000", fmt.Sprintf("test -e %s/go && exit; echo $$ > %[1]s/probe; exec sleep 1000", d.dir)))
	probe, before, from := d.pidFrom("probe"), d.status("web"), d.log.len()
	d.touch("go")
	worker := d.worker()
	d.hangUp()
	unix.Kill(worker, unix.SIGKILL)
	eventually(t, "the probe is ended", func() bool { return !running(probe) })
	if s := d.isIn("web", process.Running); s.PID != before.PID || s.Number != 1 {
		t.Errorf("pid %d, run %d", s.PID, s.Number)
	}
	d.noProbeGroups()
	if text := d.log.since(from); strings.Contains(text, "belong") {
		t.Errorf("the log:\n%s", text)
	}
	d.stop("web")
}
