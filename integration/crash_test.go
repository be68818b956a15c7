package integration

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// crashing is a daemon whose worker kills itself at a point that is named to it.
type crashing struct {
	*daemon
	file string
}

func startCrashing(t *testing.T) crashing {
	t.Helper()
	d := newDaemon(t, setup{})
	file := d.dir + "/crash"
	d.setup.Env = []string{"PROCESSMANAGER_CRASH_FILE=" + file}
	d.launch()
	return crashing{d, file}
}

// arm lets the worker die when it comes to a point next.
func (d crashing) arm(p supervisor.Point) {
	d.t.Helper()
	if err := errors.Join(os.WriteFile(d.file+".new", []byte(p), 0o600), os.Rename(d.file+".new", d.file)); err != nil {
		d.t.Fatal(err)
	}
}

// disarm reports whether the point was reached.
func (d crashing) disarm() bool { return os.Remove(d.file) != nil }

// lost fails the test unless a request was answered or its connection lost.
func (d crashing) lost(err error) bool {
	d.t.Helper()
	if err != nil && !errors.Is(err, client.ErrConnectionLost) {
		d.t.Errorf("neither an answer nor a lost connection: %v", err)
	}
	return err != nil
}

// told are the lines that the trees of a process have written to a file of their own.
func (d crashing) told(name string) []string {
	data, _ := os.ReadFile(d.dir + "/" + name)
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// once fails the test unless so many runs have been started, each once. A number
// may be left out: that of a run that was about to be started.
func (d crashing) once(name string, runs int) {
	d.t.Helper()
	eventually(d.t, name+" tells that it runs", func() bool { return len(d.told(name)) >= runs && d.told(name)[0] != "" })
	told := d.told(name)
	if len(told) != runs || len(slices.Compact(slices.Sorted(slices.Values(told)))) != runs {
		d.t.Errorf("%s has told %q, want %d runs", name, told, runs)
	}
}

// stopTimed ends a schedule between two runs, and is how many there were.
func (d crashing) stopTimed(name string, p supervisor.Point) int {
	d.t.Helper()
	last := d.await(name, "between two runs", func(s process.Status) bool { return s.State == process.Scheduled }).LastRun.Number
	if d.stop(name).Number != last { // the next one came in between
		return len(d.told(name))
	}
	if slices.Index(supervisor.Points, p) < slices.Index(supervisor.Points, lives.PointSpawned) {
		last-- // a number that was given out and not used
	}
	return int(last)
}

// tells begins a command that says which run it is, in the file of its process.
const tells = `echo "start $PROCESSMANAGER_RUN" >>$PROCESSMANAGER_NAME; echo up; `

// deaf has a tree that takes every step of an end: part of it must be killed.
func deaf(name, then string) process.Spec {
	return process.Spec{Name: name, Logging: process.Logging{Log: true}, Ending: process.Ending{StopTimeout: new(50 * time.Millisecond)},
		Command: "(trap '' TERM; : >deaf.$PROCESSMANAGER_NAME; exec sleep 1000) & until [ -e deaf.$PROCESSMANAGER_NAME ]; do :; done; " + tells + then}
}

// settled is the status once nothing is under way; false if there is no such process.
func (d crashing) settled(name string) (s process.Status, found bool) {
	d.t.Helper()
	eventually(d.t, name+" settles", func() bool {
		var err error
		s, err = d.client().Status(d.context(), name)
		if err != nil && !errors.Is(err, process.ErrNotFound) {
			d.t.Fatal(err)
		}
		found = err == nil
		return !found || s.State != process.Starting && s.State != process.Stopping
	})
	return s, found
}

// What a worker was doing when it died is done by the next one, or was never begun.
var crashes = map[string]func(d crashing, name string, p supervisor.Point){
	"start": func(d crashing, name string, p supervisor.Point) {
		d.arm(p)
		_, err := d.client().Start(d.context(), deaf(name, "wait"))
		lost := d.lost(err)
		s, found := d.settled(name)
		if !found || s.State != process.Running {
			d.t.Errorf("lost %v: found %v, %+v", lost, found, s)
		}
		if p == lives.PointSpawned { // nobody could note when that was
			id, err := proc.Identify("/proc", s.PID)
			began := time.Now().Add(id.Boot() - proc.BootTime())
			if off := s.Start.Sub(began).Abs(); err != nil || off > 50*time.Millisecond {
				d.t.Errorf("start time is %v off, %v", off, err)
			}
		}
		d.once(name, 1)
	},
	"exit": func(d crashing, name string, p supervisor.Point) {
		d.start(deaf(name, "until [ -e enough.$PROCESSMANAGER_NAME ]; do sleep 0.01; done; echo last; exit 7"))
		d.said(name, "up")
		d.arm(p)
		if err := os.WriteFile(d.dir+"/enough."+name, nil, 0o600); err != nil {
			d.t.Fatal(err)
		}
		s := d.rest(name)
		if s.State != process.Failed || s.Cause != process.CauseExit || !same(s.ExitCode, new(7)) || s.Number != 1 || s.CPU == nil {
			d.t.Errorf("%+v", s)
		}
		if s.LeftBehind == nil || s.LeftBehind.Count != 1 {
			d.t.Errorf("left behind: %+v", s.LeftBehind)
		}
		if got := d.logs(name, 10); got != "up\nlast\n" {
			d.t.Errorf("its log is %q", got)
		}
		d.once(name, 1)
	},
	"complete": func(d crashing, name string, p supervisor.Point) { // what it leaves must not make it a failure
		d.start(deaf(name, "until [ -e enough.$PROCESSMANAGER_NAME ]; do sleep 0.01; done; exit 0"))
		d.said(name, "up")
		d.arm(p)
		if err := os.WriteFile(d.dir+"/enough."+name, nil, 0o600); err != nil {
			d.t.Fatal(err)
		}
		if s := d.rest(name); s.State != process.Completed || s.Cause != process.CauseExit || !same(s.ExitCode, new(0)) {
			d.t.Errorf("%+v", s)
		}
	},
	"stop": func(d crashing, name string, p supervisor.Point) {
		d.start(deaf(name, "trap 'exit 5' TERM; while :; do sleep 1000 & wait; done"))
		d.said(name, "up")
		d.arm(p)
		_, err := d.client().Stop(d.context(), name)
		d.lost(err)
		s, _ := d.settled(name)
		if s.State != process.Stopped || s.Cause != process.CauseStop || s.Number != 1 {
			d.t.Errorf("%+v", s)
		}
		d.nobodyLeft(name, 1)
		d.once(name, 1)
	},
	"restart": func(d crashing, name string, p supervisor.Point) {
		d.start(deaf(name, "wait"))
		d.said(name, "up")
		d.arm(p)
		_, err := d.client().Restart(d.context(), name, "")
		d.lost(err)
		s := d.await(name, "running again", func(s process.Status) bool { return s.State == process.Running && s.Number >= 2 })
		if s.LastRun == nil || s.LastRun.Number != 1 || s.LastRun.Cause != process.CauseStop {
			d.t.Errorf("%+v", s.LastRun)
		}
		d.nobodyLeft(name, 1)
		d.once(name, 2)
	},
	"come back": func(d crashing, name string, p supervisor.Point) {
		spec := deaf(name, `[ "$PROCESSMANAGER_RUN" -gt 1 ] && wait; until [ -e enough.$PROCESSMANAGER_NAME ]; do sleep 0.01; done; exit 7`)
		spec.Restart = process.RestartOnFailure
		d.start(spec)
		d.said(name, "up")
		d.arm(p)
		if err := os.WriteFile(d.dir+"/enough."+name, nil, 0o600); err != nil {
			d.t.Fatal(err)
		}
		s := d.await(name, "running again", func(s process.Status) bool { return s.State == process.Running && s.Number >= 2 })
		if s.Restarts != 1 || s.LastRun == nil || s.LastRun.Number != 1 || s.LastRun.Cause != process.CauseExit || !same(s.LastRun.ExitCode, new(7)) {
			d.t.Errorf("%d restarts, %+v", s.Restarts, s.LastRun)
		}
		d.nobodyLeft(name, 1)
		d.once(name, 2)
	},
	"delete": func(d crashing, name string, p supervisor.Point) {
		d.start(deaf(name, "wait"))
		d.said(name, "up")
		d.arm(p)
		d.lost(d.client().Delete(d.context(), name))
		eventually(d.t, "what was begun is finished", func() bool {
			_, found := d.settled(name)
			return !found
		})
		d.nobodyLeft(name, 1)
		if !gone(d.state + "/logs/" + name) {
			d.t.Error("its log is left")
		}
		d.once(name, 1)
	},
	"schedule": func(d crashing, name string, p supervisor.Point) {
		d.start(process.Spec{Name: name, Command: tells + "exit 3", Schedule: process.Schedule{Cron: "@every 1s"}, Logging: process.Logging{Log: true}})
		d.arm(p)
		s := d.await(name, "through two runs", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number >= 2 })
		if s.LastRun.Cause != process.CauseExit || !same(s.LastRun.ExitCode, new(3)) {
			d.t.Errorf("%+v", s.LastRun)
		}
		d.once(name, d.stopTimed(name, p))
	},
}

func TestDeathAtEachPointLosesNothing(t *testing.T) {
	t.Parallel()
	reached := struct {
		sync.Mutex
		by map[supervisor.Point]bool
	}{by: map[supervisor.Point]bool{}}
	t.Run("points", func(t *testing.T) {
		for what, crash := range crashes {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				d := startCrashing(t)
				for _, p := range supervisor.Points {
					crash(d, string(p), p)
					if d.disarm() {
						reached.Lock()
						reached.by[p] = true
						reached.Unlock()
					}
					if t.Failed() {
						t.Fatalf("at the point %q", p)
					}
					d.client().Delete(d.context(), string(p))
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
