package integration

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// answered fails the test unless a request was carried out, or its answer is that of a
// fault; both only in time.
func (d crashing) answered(what string, err error) {
	d.t.Helper()
	if err != nil && !errors.Is(err, process.ErrInternal) && !errors.Is(err, process.ErrNotFound) {
		d.t.Errorf("%s: %v", what, err)
	}
}

// isUp waits until a tree has told that it runs, if there is one.
func (d crashing) isUp(name string) {
	d.t.Helper()
	eventually(d.t, name+" is up", func() bool {
		s, err := d.client().Status(d.context(), name)
		return err != nil || s.State != process.Running || d.told(name)[0] != ""
	})
}

// What a fault meets in one process: it is started and ended in each way.
var faulty = map[string]func(d crashing, name string){
	"stop": func(d crashing, name string) {
		_, err := d.client().Start(d.context(), deaf(name, "exec sleep 1000"))
		d.answered("start", err)
		d.isUp(name)
		_, err = d.client().Stop(d.context(), name)
		d.answered("stop", err)
	},
	"exit": func(d crashing, name string) {
		_, err := d.client().Start(d.context(), deaf(name, "exit 3"))
		d.answered("start", err)
	},
	"restart": func(d crashing, name string) {
		_, err := d.client().Start(d.context(), process.Spec{Name: name, Command: "exec sleep 1000"})
		d.answered("start", err)
		_, err = d.client().Restart(d.context(), name, "")
		d.answered("restart", err)
	},
	"come back": func(d crashing, name string) {
		spec := deaf(name, `[ "$PROCESSMANAGER_RUN" -gt 1 ] && exec sleep 1000; exit 3`)
		spec.Restart = process.RestartOnFailure
		if _, err := d.client().Start(d.context(), spec); err != nil { // then nothing follows
			d.answered("start", err)
			return
		}
		d.await(name, "up again", func(s process.Status) bool { return s.State == process.Running && s.Number > 1 })
	},
	"delete": func(d crashing, name string) {
		_, err := d.client().Start(d.context(), process.Spec{Name: name, Command: "exec sleep 1000", Logging: process.Logging{Log: true}})
		d.answered("start", err)
		d.answered("delete", d.client().Delete(d.context(), name))
	},
	"schedule": func(d crashing, name string) {
		_, err := d.client().Start(d.context(), process.Spec{Name: name, Command: tells, Schedule: process.Schedule{Cron: "@every 1s"}})
		d.answered("start", err)
		eventually(d.t, "two times come", func() bool { return len(d.told(name)) > 1 || gone(d.file) })
	},
}

// manageable stops, starts and deletes a process, unless it is being deleted already.
func (d crashing) manageable(name string) {
	d.t.Helper()
	failed := func(err error) bool { return err != nil && !errors.Is(err, process.ErrNotFound) }
	if s, err := d.client().Stop(d.context(), name); failed(err) || err == nil && !s.State.AtRest() {
		d.t.Errorf("then it is not stopped: %v, %v", s.State, err)
	}
	before, _ := d.client().Status(d.context(), name)
	if s, err := d.client().Start(d.context(), process.Spec{Name: name}); failed(err) || err == nil && s.State != process.Scheduled && s.Number <= before.Number {
		d.t.Errorf("then it is not started: run %d, %v", s.Number, err)
	}
	if err := d.client().Delete(d.context(), name); failed(err) {
		d.t.Errorf("then it is not deleted: %v", err)
	}
}

// A panic in the loop of one process, wherever it is, leaves the worker, all other
// processes, and this one too: it can be stopped, started and deleted.
func TestAFaultInOneProcessLeavesAllOfThemManageable(t *testing.T) {
	t.Parallel()
	reached := struct {
		sync.Mutex
		by map[supervisor.Point]bool
	}{by: map[supervisor.Point]bool{}}
	t.Run("points", func(t *testing.T) {
		for what, provoke := range faulty {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				d := startCrashing(t)
				worker := d.worker()
				d.start(process.Spec{Name: "bystander", Command: "exec sleep 1000"})
				for _, p := range supervisor.Points {
					name := string(p)
					d.arm("panic " + p)
					provoke(d, name)
					if s, found := d.settled(name); found && s.State == process.Running && what == "exit" {
						d.await(name, "ends", func(s process.Status) bool { return s.State != process.Running })
					}
					if d.disarm() {
						reached.Lock()
						reached.by[p] = true
						reached.Unlock()
						eventually(t, "the log tells of the fault", func() bool {
							return strings.Contains(d.log.since(0), "process '"+name+"': a fault of ours: panic: at "+name+", at ")
						})
					}
					if _, found := d.settled(name); found {
						d.manageable(name)
					}
					if t.Failed() {
						t.Fatalf("at the point %q", p)
					}
				}
				if now := d.worker(); now != worker {
					t.Errorf("the worker was %d and is %d", worker, now)
				}
				if s := d.status("bystander"); s.Number != 1 || s.State != process.Running {
					t.Errorf("another process is %v, in run %d", s.State, s.Number)
				}
			})
		}
	})
	for _, p := range supervisor.Points {
		if !reached.by[p] {
			t.Errorf("nobody has come to the point %q", p)
		}
	}
}

// A fault that is met again and again leaves one process that says so. It is taken up by
// the next worker, and ended by the shutdown.
func TestAProcessThatCannotBeManagedSaysSo(t *testing.T) {
	t.Parallel()
	d := startCrashing(t)
	worker := d.worker()
	d.arm("panic always " + lives.PointDrained)
	d.start(process.Spec{Name: "once", Command: "exit 3"})
	d.start(process.Spec{Name: "left", Command: "exec sleep 1000"})
	const says = "process 'once' is not managed any more"
	s := d.await("once", "says that it is not managed", func(s process.Status) bool { return strings.Contains(s.Error, says) })
	if !strings.Contains(s.Error, "pmclient upgrade") {
		t.Errorf("it does not say what mends it: %s", s.Error)
	}
	for what, ask := range map[string]func() error{
		"start":  func() error { _, err := d.client().Start(d.context(), process.Spec{Name: "once"}); return err },
		"stop":   func() error { _, err := d.client().Stop(d.context(), "once"); return err },
		"delete": func() error { return d.client().Delete(d.context(), "once") },
	} {
		began := time.Now()
		if err := ask(); !errors.Is(err, process.ErrInternal) || !strings.Contains(err.Error(), says) || time.Since(began) > patience/2 {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
	}
	if now := d.worker(); now != worker {
		t.Errorf("the worker was %d and is %d", worker, now)
	}
	os.Remove(d.file)
	d.mustClient("upgrade")
	s = d.await("once", "is taken up", func(s process.Status) bool { return s.State == process.Failed })
	if s.ExitCode == nil || *s.ExitCode != 3 || strings.Contains(s.Error, says) {
		t.Errorf("the next worker says %v, %s", s.ExitCode, s.Error)
	}
	if err := d.client().Delete(d.context(), "once"); err != nil {
		t.Error(err)
	}
	d.arm("panic always " + lives.PointKilled)
	d.start(deaf("deaf", "exec sleep 1000"))
	d.isUp("deaf")
	if _, err := d.client().Stop(d.context(), "deaf"); !errors.Is(err, process.ErrInternal) {
		t.Errorf("stop: %v", err)
	}
}
