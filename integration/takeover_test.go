package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// running is false for a zombie too.
func running(pid int) bool {
	stat := procStat(pid)
	return len(stat) > 0 && stat[0] != "Z"
}

// Without their definitions trees would be nobody's, and would be ended.
func TestLostStoreCostsNoTrees(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "echo old; exec sleep 1000", Logging: process.Logging{Log: true}})
	d.said("x", "old")
	pid := d.status("x").PID
	d.crash()
	store := d.state + "/processes.db"
	whole, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	for _, lose := range []func(string) error{os.Remove, func(path string) error { return os.Truncate(path, 0) }} {
		if err := lose(store); err != nil {
			t.Fatal(err)
		}
		said := d.refuse()
		if _, why, found := strings.Cut(said, "processmanager: the store "+store); !found || !strings.Contains(why, "1 of its processes run") || strings.Count(why, "\n") != 1 {
			t.Errorf("it says %q", said)
		}
		if !running(pid) {
			t.Fatal("the tree was ended")
		}
		if err := os.WriteFile(store, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.launch()
	if s := d.status("x"); s.PID != pid || s.State != process.Running {
		t.Errorf("%+v", s)
	}
	d.crash()
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	d.launch("-reset-store")
	if all := d.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	eventually(t, "the tree is ended", func() bool { return !running(pid) })
	d.start(process.Spec{Name: "x", Command: "echo new", Logging: process.Logging{Log: true}})
	d.rest("x")
	if got := d.logs("x", 10); got != "new\n" {
		t.Errorf("the log of another process of this name: %q", got)
	}
}

func TestScheduleKeepsItsTimeAcrossWorkersAndDaemons(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "true", Schedule: process.Schedule{Cron: "@every 1h"}})
	d.start(process.Spec{Name: "busy", Command: "exec sleep 1000", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.await("busy", "running", func(s process.Status) bool { return s.State == process.Running })
	next := d.status("idle").NextTime
	time.Sleep(1100 * time.Millisecond)
	d.killWorker()
	if s := d.status("idle"); !s.NextTime.Equal(next) {
		t.Errorf("next at %v, was %v", s.NextTime, next)
	}
	if s := d.status("busy"); !s.MissedTime.IsZero() || s.Number != 1 {
		t.Errorf("what was skipped is called missed: %+v", s)
	}
	d.end(unix.SIGTERM)
	d.edit("busy", func(r map[string]any) {
		if r["next"] == nil {
			t.Error("the time of a schedule is lost when the daemon ends during a run")
		}
	})
	d.launch()
	if s := d.status("idle"); !s.NextTime.Equal(next) {
		t.Errorf("next at %v, was %v", s.NextTime, next)
	}
}

// A leader that has left its group, and that the keeper cannot wait for.
func TestLeaderOutsideItsGroupIsEndedByTheNextDaemonToo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	pid := d.status("x").PID
	d.crash()
	elsewhere := newGroup(t)
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	defer removeGroup(elsewhere)
	if err := os.WriteFile(elsewhere+"/cgroup.procs", fmt.Append(nil, pid), 0); err != nil {
		t.Fatal(err)
	}
	d.launch()
	d.stop("x")
	if running(pid) {
		t.Error("the leader lives")
	}
}

// A worker without a free descriptor cannot see that a group is empty. When it has
// some again it must look again.
func TestEmptyGroupIsSeenWhenThereAreDescriptorsAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Ending: process.Ending{StopTimeout: new(time.Second)}})
	pid, worker := d.status("x").PID, d.worker()
	var before unix.Rlimit
	if err := unix.Prlimit(worker, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 5, Max: 20000}, &before); err != nil {
		t.Fatal(err)
	}
	unix.Kill(pid, unix.SIGKILL)
	time.Sleep(3 * time.Second) // longer than it is tried at once
	if err := unix.Prlimit(worker, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("x"); s.Cause != process.CauseSignal {
		t.Errorf("%+v", s)
	}
	if d.worker() != worker {
		t.Error("it took another worker")
	}
}

// SIGKILL as the stop signal has no grace period, in the next worker neither.
func TestStopBySIGKILLDoesNotWaitInTheNextWorker(t *testing.T) {
	t.Parallel()
	d := startCrashing(t)
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Ending: process.Ending{StopSignal: process.KILL, StopTimeout: new(10 * time.Minute)}})
	d.arm(lives.PointAsked)
	_, err := d.client().Stop(d.context(), "x")
	d.lost(err)
	if s := d.rest("x"); s.Cause != process.CauseStop {
		t.Errorf("%+v", s)
	}
}

// A shutdown that nobody finished has ended a run, and not the schedule.
func TestScheduleOutlivesAShutdownThatWasCutShort(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Schedule: process.Schedule{Cron: "@every 1s"}, Ending: process.Ending{StopTimeout: new(time.Second)},
		Command: `trap 'touch asked' TERM; echo up; while [ ! -e through ]; do sleep 0.05; done`})
	d.said("x", "up")
	d.cmd.Process.Signal(unix.SIGTERM)
	eventually(t, "its tree is asked", func() bool { return !gone(d.dir + "/asked") })
	d.crash()
	touchFile(t, d.dir+"/through")
	d.launch()
	if s := d.await("x", "in its second run", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number >= 2 }); s.LastRun.Cause != process.CauseExit {
		t.Errorf("%+v", s.LastRun)
	}
}

// The job id of a start or restart is that of its run, whoever carries it out.
func TestJobIDOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	for _, p := range []supervisor.Point{lives.PointAsked, supervisor.PointStored, supervisor.PointNumbered, lives.PointSpawned} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			d.start(process.Spec{Name: "x", Command: "exec sleep 1000", JobID: "first"})
			d.arm(p)
			_, err := d.client().Restart(d.context(), "x", "second")
			d.lost(err)
			s := d.await("x", "running again", func(s process.Status) bool { return s.State == process.Running && s.Number >= 2 })
			if s.Run.JobID != "second" || s.LastRun.JobID != "first" {
				t.Errorf("%+v\nlast: %+v", s, s.LastRun)
			}
		})
	}
}

// Who restarts a scheduled process whose next run cannot be started is told.
func TestRestartThatFailsIsToldOfAScheduledProcessToo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Wrap: []string{"/bin/sh", "-c", `mkdir "$TMPDIR/dir" && cd "$TMPDIR/dir" && exec "$0" "$@"`}})
	dir := d.dir + "/dir"
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.await("x", "running", func(s process.Status) bool { return s.State == process.Running })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if s, err := d.client().Restart(d.context(), "x", ""); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("%+v, %v", s, err)
	}
}

// The end of a run is when its leader ended, not when a worker could look.
func TestEndOfARunIsNotWhenItWasNoticed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "until [ -e enough ]; do sleep 0.02; done; exit 3"})
	pid, worker := d.status("x").PID, d.stopWorker()
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tree has ended", func() bool { return !running(pid) })
	ended := time.Now()
	time.Sleep(2 * time.Second)
	unix.Kill(worker, unix.SIGCONT)
	s := d.rest("x")
	if late := s.End.Sub(ended); late > time.Second {
		t.Errorf("its end is told %v late", late)
	}
	if span := s.End.Sub(s.Start).Seconds(); s.Uptime < span-0.5 || s.Uptime > span+0.5 {
		t.Errorf("uptime %v, from start to end %v", s.Uptime, span)
	}
}

func init() { roles["seize"] = seize }

// seize traces a process so that it stops in its exit, where SIGKILL does not end it,
// for as long as this one lives.
func seize(args []string) {
	pid, _ := strconv.Atoi(args[0])
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, unix.PTRACE_O_TRACEEXIT, 0, 0); errno != 0 {
		fmt.Println(errno)
		return
	}
	fmt.Println("seized")
	time.Sleep(time.Hour)
}

// A tree that SIGKILL does not end must not keep the daemon from ending.
func TestShutdownEndsThoughATreeIsStuck(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Ending: process.Ending{StopTimeout: new(100 * time.Millisecond)}})
	pid := d.status("x").PID
	tracer := exec.Command(programs.self, "role", "seize", strconv.Itoa(pid))
	out, err := tracer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	free := func() {
		tracer.Process.Kill()
		tracer.Wait()
	}
	defer free()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "seized\n" {
		cannot(t, "cannot trace: %s", line)
	}
	if code := d.end(unix.SIGTERM); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := d.log.since(0); !strings.Contains(said, "process 'x' is stuck") {
		t.Errorf("it says %q", said)
	}
	free()
	eventually(t, "the tree has ended", func() bool { return !running(pid) })
	d.launch()
	d.rest("x")
}

// What could not be stored leaves nothing behind when it can be.
func TestDeleteThatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Private: true})
	d.setup.Args = []string{"-runtime", d.dir + "/run"}
	d.launch()
	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@every 1h"}})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	d.turnReadOnly()
	d.killWorker()
	if err := d.client().Delete(d.context(), "timed"); !isCode(err, process.CodeStore) {
		t.Errorf("delete: %v", err)
	}
	if s := d.status("timed"); s.State != process.Scheduled || s.NextTime.IsZero() {
		t.Errorf("its schedule is off: %+v", s)
	}
	unix.Kill(d.status("x").PID, unix.SIGKILL)
	d.rest("x")
	d.turnWritable()
	if err := d.client().Delete(d.context(), "x"); err != nil {
		t.Fatal(err)
	}
	// A new process of this name counts its runs from 1 again.
	if s := d.start(process.Spec{Name: "x", Command: "exec sleep 1000"}); s.Number != 1 || s.State != process.Running {
		t.Errorf("%+v", s)
	}
}
