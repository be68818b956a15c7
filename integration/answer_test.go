package integration

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The answer to a start tells of the moment at which the run had started, though it may
// have ended since.
func TestAnswerToAStartTellsOfTheStart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	for i := range 100 {
		name := fmt.Sprint("short", i)
		for run, ask := range []func() (process.Status, error){
			func() (process.Status, error) {
				return pm.Start(d.context(), process.Spec{Name: name, Command: "true"})
			},
			func() (process.Status, error) {
				d.rest(name)
				return pm.Start(d.context(), process.Spec{Name: name})
			},
			func() (process.Status, error) { return pm.Restart(d.context(), name, "") },
		} {
			s, err := ask()
			if err != nil || s.State != process.Running || s.PID == 0 || s.Number != uint64(run+1) || s.Cause != 0 || s.AlreadyRunning {
				t.Fatalf("run %d: %+v, %v", run+1, s, err)
			}
		}
	}
	out := d.mustClient("start", "hello", "-command", "echo hello world")
	if !strings.HasPrefix(out, "process 'hello' started: run 1, pid ") || strings.Contains(out, "pid 0") {
		t.Error(out)
	}
}

// A job id is that of the run which its request starts, and of no other. In a schedule
// each run has that of the definition.
func TestJobIDIsOfTheRunThatItsRequestStarts(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	start := func(spec process.Spec, want uint64, jobID string) {
		t.Helper()
		s, err := pm.Start(d.context(), spec)
		if err != nil || s.Number != want || s.Run.JobID != jobID {
			t.Errorf("start %+v: run %d, job id %q, want run %d, %q; %v", spec, s.Number, s.Run.JobID, want, jobID, err)
		}
	}
	start(process.Spec{Name: "x", Command: "exec sleep 1000", JobID: "first"}, 1, "first")
	start(process.Spec{Name: "x", JobID: "late"}, 1, "first") // it runs already
	if s, err := pm.Restart(d.context(), "x", ""); err != nil || s.Run.JobID != "" || s.LastRun.JobID != "first" {
		t.Errorf("restart: %+v, %v", s, err)
	}
	d.stop("x")
	start(process.Spec{Name: "x"}, 3, "")
	d.stop("x")
	start(process.Spec{Name: "x", JobID: "fourth"}, 4, "fourth")

	start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@every 1s"}, JobID: "defined"}, 0, "defined")
	if s, err := pm.Start(d.context(), process.Spec{Name: "timed", JobID: "stray"}); err != nil || s.State != process.Scheduled && s.State != process.Running {
		t.Errorf("start of a schedule: %+v, %v", s, err)
	}
	for run := range uint64(2) {
		s := d.await("timed", "run", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number > run })
		if s.LastRun.JobID != "defined" {
			t.Errorf("run %d has the job id %q", s.LastRun.Number, s.LastRun.JobID)
		}
	}
}

// What ends by itself and leaves nobody behind is running, then at rest; nobody is being
// stopped.
func TestNaturalEndIsNotShownAsStopping(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	for i := range 100 {
		name := fmt.Sprint("x", i)
		if _, err := pm.Start(d.context(), process.Spec{Name: name, Logging: process.Logging{Log: true}, Command: "echo said; exit 3"}); err != nil {
			t.Fatal(err)
		}
		for {
			s := d.status(name)
			if s.State == process.Stopping {
				t.Fatalf("%+v", s)
			}
			if s.State.AtRest() {
				break
			}
		}
	}
}

// A delete that the store refuses leaves the process and its log as they were.
func TestDeleteThatFailsLeavesTheLog(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.finishedLogged("x")
	store := d.state + "/processes.db"
	data, err := os.ReadFile(store)
	if err == nil {
		err = os.WriteFile(store+".copy", data, 0o600)
	}
	from := d.log.len()
	if err := errors.Join(err, os.Rename(store+".copy", store)); err != nil {
		t.Fatal(err)
	}
	if !d.log.await(from, "another file was put in its place", d.ended) {
		t.Fatalf("it does not say so: %s", d.log.since(0))
	}
	if err := d.client().Delete(d.context(), "x"); !isCode(err, process.CodeStore) {
		t.Errorf("delete: %v", err)
	}
	if s := d.status("x"); s.State != process.Completed || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if got := d.logs("x", 0); got != "said\n" {
		t.Errorf("its log is %q", got)
	}
	d.removeAll(store)
	d.start(process.Spec{Name: "other", Command: "true"}) // has the store written anew
	d.killWorker()
	if got := d.logs("x", 0); got != "said\n" {
		t.Errorf("after the worker's death its log is %q", got)
	}
	if err := d.client().Delete(d.context(), "x"); err != nil {
		t.Error(err)
	}
	if !gone(d.state + "/logs/x") {
		t.Error("its log is left")
	}
}

// finishedLogged has a process run to its end that keeps a log.
func (d *daemon) finishedLogged(name string) {
	d.t.Helper()
	d.start(process.Spec{Name: name, Logging: process.Logging{Log: true}, Command: "echo said"})
	d.rest(name)
}
