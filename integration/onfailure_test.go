package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// failing is a process that tells of each failure in a file: a line with the number of the run.
func (d *daemon) failing(name, command string) process.Spec {
	return process.Spec{Name: name, Command: command, Dir: d.dir, Telling: process.Telling{OnFailure: "echo $PROCESSMANAGER_RUN >>" + name + ".told"}}
}

// tellings are the runs of which was told, in order.
func (d *daemon) tellings(name string) []string {
	data, _ := os.ReadFile(d.dir + "/" + name + ".told")
	return strings.Fields(string(data))
}

// ofKind are the events of a kind, of one process.
func (d *daemon) ofKind(name string, kind process.EventKind) (list []process.Event) {
	d.t.Helper()
	for _, e := range d.events(process.EventQuery{Name: process.Selection{name}}) {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

func (d *daemon) noOnFailureGroups() {
	d.t.Helper()
	eventually(d.t, "no group of on_failure is left", func() bool {
		left, _ := filepath.Glob(d.runs() + "/*.on_failure")
		return len(left) == 0
	})
}

// Whoever is told of a failure gets the facts, as the process's user would, in a group of its
// own; it takes no run number, and what becomes of it is an event.
func TestFailureIsToldWithItsFacts(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{false, true} {
		t.Run(fmt.Sprint("log ", log), func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.start(process.Spec{Name: "job", Command: `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done; printf 'caf\303\251 \377 %s' "$HIDDEN"; exit 3`, Dir: d.dir, JobID: "e41", Logging: process.Logging{Log: log},
				Environment: process.Environment{Env: "HIDDEN=x"},
				Telling:     process.Telling{OnFailure: "env -0 >facts.new; cat /proc/self/cgroup >group; mv facts.new facts"}})
			eventually(t, "somebody is told", func() bool { return !gone(d.dir + "/facts") })
			data, _ := os.ReadFile(d.dir + "/facts")
			facts := map[string]string{}
			for _, e := range strings.Split(string(data), "\x00") {
				name, value, _ := strings.Cut(e, "=")
				facts[name] = value
			}
			for name, want := range map[string]string{"NAME": "job", "RUN": "1", "JOBID": "e41", "CAUSE": "exit", "EXIT_CODE": "3", "ERROR": "exit code 3: caf\u00e9 \ufffd x",
				"LAST_OUTPUT": "line 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\nline 11\nline 12\ncaf\u00e9 \ufffd x"} {
				if got := facts["PROCESSMANAGER_"+name]; got != want {
					t.Errorf("%s is %q, not %q", name, got, want)
				}
			}
			if _, has := facts["PROCESSMANAGER_SIGNAL"]; has || facts["HIDDEN"] != "x" {
				t.Errorf("%v", facts)
			}
			if _, err := time.Parse(time.RFC3339, facts["PROCESSMANAGER_END_TIME"]); err != nil {
				t.Error(err)
			}
			if group, _ := os.ReadFile(d.dir + "/group"); !strings.Contains(string(group), "/p/job.1.on_failure\n") {
				t.Errorf("it is in the group %s", group)
			}
			eventually(t, "the event of it", func() bool { return len(d.ofKind("job", process.EventNotified)) == 1 })
			if e := d.ofKind("job", process.EventNotified)[0]; e.Run != 1 || e.JobID != "e41" || e.Error != "" {
				t.Errorf("%+v", e)
			}
			if s := d.status("job"); s.Number != 1 || s.OnFailure == "" {
				t.Errorf("%+v", s)
			}
			d.noOnFailureGroups()
		})
	}
}

// Nobody is told while an attempt follows, of what succeeded, or of what was asked to end.
func TestFailureIsToldOnceItIsForGood(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	tries := d.failing("tries", "exit 1")
	tries.Restarting = process.Restarting{Restart: process.RestartOnFailure, RestartDelay: time.Second, RestartMaxDelay: time.Second, RestartLimit: 2}
	d.start(tries)
	for name, command := range map[string]string{"well": "true", "stopped": "exec sleep 1000"} {
		d.start(d.failing(name, command))
	}
	unborn := d.failing("unborn", "true")
	unborn.Dir = d.dir + "/gone"
	if err := os.Mkdir(unborn.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.start(unborn)
	os.Remove(unborn.Dir)
	d.rest("unborn")
	d.set("unborn", "on_failure", "exit 7")
	if _, err := d.client().Start(d.context(), process.Spec{Name: "unborn"}); err == nil {
		t.Error("it was started")
	}
	d.stop("stopped")
	eventually(t, "the last failure is told", func() bool { return len(d.tellings("tries")) > 0 })
	if got := d.tellings("tries"); !slices.Equal(got, []string{"3"}) {
		t.Errorf("told of runs %v", got)
	}
	for _, name := range []string{"well", "stopped"} {
		if got := d.tellings(name); len(got) > 0 {
			t.Errorf("%s: told of runs %v", name, got)
		}
	}
	// It runs where the process does, so it could not be run itself.
	eventually(t, "that nobody could be told", func() bool { return len(d.ofKind("unborn", process.EventNotifyFailed)) == 1 })
}

// A command that fails, or leaves a tree behind, is the end of it: nobody is told of that.
func TestFailureOfTellingIsAnEvent(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := d.failing("job", "exit 1")
	spec.OnFailure = "echo $PROCESSMANAGER_RUN >>job.told; (setsid sleep 1000 & echo $! >child); echo no such host; exit 9"
	d.start(spec)
	eventually(t, "the event", func() bool { return len(d.ofKind("job", process.EventNotifyFailed)) == 1 })
	if e := d.ofKind("job", process.EventNotifyFailed)[0]; e.Error != "exit code 9: no such host" || !e.HasFailed() {
		t.Errorf("%+v", e)
	}
	child := d.pidFrom("child")
	eventually(t, "what it left is ended", func() bool { return !running(child) })
	d.noOnFailureGroups()
	if got := d.tellings("job"); len(got) != 1 || d.status("job").Number != 1 {
		t.Errorf("told of runs %v", got)
	}
}

// One runs at a time, in the order of the failures; the others wait.
func TestFailuresAreToldOneAtATime(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const most = 8
	for i := range most {
		spec := d.failing(fmt.Sprint("x", i), "exit 1")
		spec.OnFailure = "mkdir busy || echo two >>wrong; sleep 0.05; rmdir busy; echo $PROCESSMANAGER_NAME >>all"
		d.start(spec)
	}
	eventually(t, "all are told", func() bool {
		data, _ := os.ReadFile(d.dir + "/all")
		return strings.Count(string(data), "\n") == most
	})
	if !gone(d.dir + "/wrong") {
		t.Error("two ran at once")
	}
}

// Whichever moment a worker dies at, somebody is told: of each failure at least once, and the
// event comes once.
func TestFailureIsToldWhoeverDies(t *testing.T) {
	t.Parallel()
	for _, p := range []supervisor.Point{lives.PointExited, lives.PointDrained, supervisor.PointStored, lives.PointRemoved, supervisor.PointTelling, supervisor.PointTold} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			d.start(d.failing("job", "until [ -e go ]; do sleep 0.02; done; exit 1"))
			worker := d.worker()
			d.arm(p)
			d.hangUp()
			d.touch("go")
			eventually(t, "the worker dies", func() bool { return !running(worker) })
			eventually(t, "the event of it", func() bool { return len(d.ofKind("job", process.EventNotified)) == 1 })
			want := 1
			if p == supervisor.PointTold {
				want = 2
			}
			if got := d.tellings("job"); len(got) != want || slices.ContainsFunc(got, func(run string) bool { return run != "1" }) {
				t.Errorf("told of runs %v", got)
			}
			d.killWorker()
			d.noOnFailureGroups()
			if got := d.ofKind("job", process.EventNotified); len(got) != 1 {
				t.Errorf("%+v", got)
			}
			if s := d.status("job"); s.Number != 1 || s.State != process.Failed {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A command that is under way when the daemon dies, or ends, is ended, and run again by the next
// one.
func TestTellingGoesOnWithTheNextDaemon(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"killed", "stopped"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			spec := d.failing("job", "exit 1")
			spec.OnFailure = "echo $$ >pid; until [ -e go ]; do sleep 0.02; done; echo $PROCESSMANAGER_RUN >>job.told"
			d.start(spec)
			pid := d.pidFrom("pid")
			if end == "killed" {
				worker := d.worker()
				unix.Kill(d.keeper(), unix.SIGKILL)
				unix.Kill(worker, unix.SIGKILL)
				d.wait()
				d.hangUp()
			} else {
				d.end(unix.SIGTERM)
			}
			if end == "stopped" && running(pid) {
				t.Error("it outlives the daemon")
			}
			d.touch("go")
			d.launch()
			eventually(t, "the one before is ended", func() bool { return !running(pid) })
			eventually(t, "the event of it", func() bool { return len(d.ofKind("job", process.EventNotified)) == 1 })
			if got := d.tellings("job"); len(got) == 0 || got[0] != "1" {
				t.Errorf("told of runs %v", got)
			}
		})
	}
}

// A process that is deleted takes its command along.
func TestDeleteEndsTelling(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := d.failing("job", "exit 1")
	spec.OnFailure = "echo $$ >pid; sleep 1000"
	d.start(spec)
	pid := d.pidFrom("pid")
	d.mustClient("delete", "job")
	if left, _ := filepath.Glob(d.runs() + "/job.*"); running(pid) || len(left) > 0 {
		t.Errorf("it runs on: %v, groups %v", running(pid), left)
	}
	d.start(d.failing("job", "exit 1")) // the next one is told of
	eventually(t, "another of that name", func() bool { return len(d.tellings("job")) == 1 })
}
