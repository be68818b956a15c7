package run

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func (w *worker) pause() {
	w.do(func() { w.hear(w.run.Pause()) })
	w.pass(mostGlance)
}

func (w *worker) goOn() { w.do(func() { w.hear(w.run.GoOn()) }) }

// wasTold reports whether the process was told something.
func (w *worker) wasTold(k lifecycle.EventKind) bool {
	return slices.ContainsFunc(w.told, func(e lifecycle.Event) bool { return e.Kind == k })
}

func TestDeadlineStandsStillWithTheTree(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{Deadline: time.Minute})
		w.pass(20 * time.Second)
		for range 2 {
			w.pause()
			if !w.run.Still() || !m.frozen || w.run.State() != process.Paused || !w.wasTold(lifecycle.RunPaused) {
				t.Errorf("still %v, frozen %v, %v, told %v", w.run.Still(), m.frozen, w.run.State(), w.told)
			}
			w.pass(time.Hour)
			w.goOn()
			if w.run.Still() || m.frozen || w.run.State() != process.Running || !w.wasTold(lifecycle.RunResumed) {
				t.Errorf("still %v, frozen %v, %v, told %v", w.run.Still(), m.frozen, w.run.State(), w.told)
			}
			w.pass(15 * time.Second)
		}
		w.pass(10*time.Second - 1)
		w.is("started", 0, "")
		w.pass(1)
		w.is("started ending ended", process.CauseDeadline, "the deadline of 1m0s passed")
		if r := w.run.Result(); r.Paused != m.stood.Seconds() || r.Uptime != r.Paused+60 {
			t.Errorf("it was paused for %vs of %vs, and stood still for %v", r.Paused, r.Uptime, m.stood)
		}
	})
}

// A deadline that is set while the tree stands still counts what has passed before.
func TestDeadlineThatIsSetOfAPausedTree(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(20 * time.Second)
		w.pause()
		w.pass(time.Hour)
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{Deadline: 21 * time.Second}}) })
		w.pass(time.Hour)
		w.is("started", 0, "")
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{Deadline: 19 * time.Second}}) })
		w.is("started ending ended", process.CauseDeadline, "the deadline of 19s passed")
	})
}

// Whenever a worker dies, the tree stands still as was asked for, and for as long as it has.
func TestPauseOutlivesTheWorker(t *testing.T) {
	for _, c := range []struct {
		at     Point
		paused bool // that is what was asked for
	}{{PointPausing, true}, {PointPaused, true}, {PointResuming, false}, {"", true}} {
		t.Run(string(c.at), func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				ending := process.Ending{Deadline: time.Minute}
				w := m.newWorker(t).begin(ending)
				w.pass(10 * time.Second)
				w.mu.Lock()
				w.at = c.at
				w.mu.Unlock()
				w.pause()
				if !c.paused {
					w.pass(time.Minute)
					w.goOn()
				}
				if c.at == "" {
					w.kill9()
				} else if !w.dead.Load() {
					t.Fatal("it did not come by")
				}
				w.pass(time.Minute)
				w = m.adopt(t, ending)
				w.pass(mostGlance)
				if w.run.Still() != c.paused || m.frozen != c.paused {
					t.Errorf("still %v, frozen %v", w.run.Still(), m.frozen)
				}
				if c.paused {
					w.pass(time.Minute)
					w.goOn()
				}
				w.is("", 0, "")
				w.pass(51 * time.Second)
				w.is("ending ended", process.CauseDeadline, "")
				if r := w.run.Result(); r.Paused < 60 || r.Uptime-r.Paused > 61 {
					t.Errorf("it was paused for %vs of %vs", r.Paused, r.Uptime)
				}
			})
		})
	}
}

// A paused tree is sent its stop signal before it goes on, whoever sends it.
func TestAPausedTreeIsSignalledBeforeItGoesOn(t *testing.T) {
	for _, p := range []Point{"", PointNoted, PointFrozen, PointSignalled, PointThawed, PointAsked} {
		t.Run(string(p), func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				w := m.newWorker(t).begin(process.Ending{})
				m.fork(2)
				w.pause()
				w.pass(time.Hour)
				w.mu.Lock()
				w.at = p
				w.mu.Unlock()
				w.end(process.CauseStop)
				if p != "" {
					if !w.dead.Load() {
						t.Fatal("it did not come by")
					}
					w = m.adopt(t, process.Ending{})
				}
				w.pass(0)
				if r := w.run.Result(); r.Cause != process.CauseStop || m.early || len(m.killed) > 0 || r.Paused < 3600 || r.Paused > 3601 {
					t.Errorf("went on before %v, killed %v, result %+v", m.early, m.killed, r)
				}
			})
		})
	}
}

// What is to be ended by SIGKILL alone does nothing more once it was paused.
func TestAPausedTreeThatIsKilledDoesNotGoOn(t *testing.T) {
	for name, ending := range map[string]process.Ending{"signal": {StopSignal: process.KILL}, "no grace": {StopTimeout: new(time.Duration)}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				w := m.newWorker(t).begin(ending)
				w.pause()
				w.pass(time.Minute)
				w.end(process.CauseStop)
				w.pass(time.Second)
				if r := w.run.Result(); r.Cause != process.CauseStop || m.early || r.Paused < 60 {
					t.Errorf("went on %v, result %+v", m.early, r)
				}
			})
		})
	}
}

// SIGKILL from elsewhere ends a tree that stands still.
func TestThePausedLeaderIsKilled(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.fork(1)
		w.pause()
		w.pass(time.Minute)
		m.exit(proc.Exit{Signal: unix.SIGKILL})
		synctest.Wait()
		w.is("started ending ended", process.CauseSignal, "KILL")
		if r := w.run.Result(); r.LeftBehind == nil || r.Paused < 60 || r.Paused > 61 {
			t.Errorf("result %+v", r)
		}
	})
}

// A tree that does not stand still in time goes on, and who asked is told.
func TestWhatDoesNotStandStillGoesOn(t *testing.T) {
	for name, make := range map[string]func(m *machine){
		"in time":           func(m *machine) { m.warm = true },
		"it cannot be":      func(m *machine) { m.fail = always(unix.EIO, "freeze") },
		"it cannot be said": func(m *machine) { m.fail = always(unix.EIO, "set "+attrPause) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				w := m.newWorker(t).begin(process.Ending{Deadline: time.Minute})
				w.pass(time.Second)
				m.mu.Lock()
				make(m)
				m.mu.Unlock()
				w.do(func() { w.hear(w.run.Pause()) })
				w.pass(FreezeTime + 2*time.Second)
				if w.run.Pauses() || w.run.Still() || !w.wasTold(lifecycle.RunNotPaused) || w.wasTold(lifecycle.RunPaused) || name != "in time" == (w.run.PauseError() == nil) {
					t.Errorf("pauses %v, told %v, %v", w.run.Pauses(), w.told, w.run.PauseError())
				}
				m.relent()
				w.pass(mostPause)
				if m.frozen {
					t.Error("it stands still")
				}
				w.pass(time.Minute + FreezeTime)
				w.is("started ending ended", process.CauseDeadline, "")
			})
		})
	}
}

// What cannot be made to go on stays paused, and who asked is told.
func TestWhatCannotGoOnStaysPaused(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.pause()
		m.fail = always(unix.EIO, "unfreeze")
		w.goOn()
		if !w.run.Still() || !m.frozen || !w.wasTold(lifecycle.RunNotResumed) || !errors.Is(w.run.PauseError(), unix.EIO) {
			t.Errorf("still %v, frozen %v, told %v, %v", w.run.Still(), m.frozen, w.told, w.run.PauseError())
		}
		m.relent()
		w.goOn()
		if w.run.Still() || m.frozen || !w.wasTold(lifecycle.RunResumed) {
			t.Errorf("still %v, frozen %v, told %v", w.run.Still(), m.frozen, w.told)
		}
	})
}

// Nobody asks a paused run how it is, and its time to be ready stands still.
func TestProbesStandStillWithTheTree(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "tcp:a:1", ReadyTimeout: 20 * time.Second, Health: "tcp:a:1", HealthPeriod: time.Second, HealthFailures: 1}
		up := false
		m.answer = func(context.Context, process.Probe) error {
			if up && !m.frozen {
				return nil
			}
			return errRefused
		}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(13 * time.Second)
		asked := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.probes)
		}
		w.pause()
		n := asked()
		w.pass(time.Hour)
		if w.run.State() != process.Paused || asked() != n {
			t.Errorf("%v, %d probes while it stood still", w.run.State(), asked()-n)
		}
		w.goOn()
		w.pass(4 * time.Second)
		if w.run.State() != process.Starting || asked() == n {
			t.Errorf("%v, %d probes since it goes on", w.run.State(), asked()-n)
		}
		m.mu.Lock()
		up = true
		m.mu.Unlock()
		w.pass(time.Second)
		w.pause()
		n = asked()
		w.pass(time.Hour)
		w.goOn()
		w.pass(time.Minute)
		if w.run.State() != process.Running || asked() < n+50 {
			t.Errorf("%v, %d probes in a minute; log:\n%s", w.run.State(), asked()-n, &m.log)
		}
	})
	bubble(t, func(t *testing.T, m *machine) { // and comes in the end
		m.probing = process.Probing{Ready: "tcp:a:1", ReadyTimeout: 20 * time.Second}
		m.answer = func(context.Context, process.Probe) error { return errRefused }
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(15 * time.Second)
		w.pause()
		w.pass(time.Hour)
		w.goOn()
		w.pass(4 * time.Second)
		w.is("started", 0, "")
		w.pass(time.Second)
		w.is("started ending ended", process.CauseStart, "not ready within 20s")
	})
}

func TestWatchdogStandsStillWithTheTree(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Watchdog: 10 * time.Second}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(9 * time.Second)
		w.pause()
		w.Tell(w.saying(notify.Message{Fed: true})) // which it had sent before
		w.pass(time.Hour)
		w.is("started", 0, "")
		w.goOn()
		w.pass(9 * time.Second)
		w.is("started", 0, "")
		w.pass(2 * time.Second)
		w.is("started ending ended", process.CauseUnhealthy, "watchdog: not fed for 10s")
	})
}

// How long a tree took to go counts from its first signal, in the next worker too.
func TestHowLongATreeTookToGo(t *testing.T) {
	for _, dies := range []bool{false, true} {
		bubble(t, func(t *testing.T, m *machine) {
			m.deaf = true
			w := m.newWorker(t).begin(process.Ending{})
			w.pass(time.Minute)
			w.end(process.CauseStop)
			if dies {
				w.pass(3 * time.Second)
				w.kill9()
				w = m.adopt(t, process.Ending{})
			}
			w.pass(process.DefaultStopTimeout)
			if r := w.run.Result(); r.Cause != process.CauseStop || r.Stopping != process.DefaultStopTimeout.Seconds() {
				t.Errorf("the next worker %v: it took %vs: %+v", dies, r.Stopping, r)
			}
		})
	}
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Minute)
		m.exit(proc.Exit{})
		synctest.Wait()
		if r := w.run.Result(); r.Cause != process.CauseExit || r.Stopping != 0 {
			t.Errorf("what nobody has ended took %vs to go: %+v", r.Stopping, r)
		}
	})
}
