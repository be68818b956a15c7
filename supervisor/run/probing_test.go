package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/probe"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// heard are what a process was told, with what is about readiness and health.
func (w *worker) heard() string {
	var all []string
	for _, e := range w.told {
		all = append(all, map[lifecycle.EventKind]string{lifecycle.RunStarted: "started", lifecycle.RunReady: "ready", lifecycle.RunUnhealthy: "unhealthy",
			lifecycle.RunHealthy: "healthy", lifecycle.RunEnding: "ending", lifecycle.RunStuck: "stuck", lifecycle.RunEnded: "ended"}[e.Kind])
	}
	return strings.Join(all, " ")
}

func (w *worker) hears(want string) {
	w.t.Helper()
	if got := w.heard(); got != want {
		w.t.Errorf("the process was told %q, want %q; log:\n%s", got, want, &w.log)
	}
}

var errRefused = errors.New("tcp a:1: connection refused")

// from has probes fail until a time, and succeed from then on.
func (m *machine) wellFrom(at time.Duration) {
	m.answer = func(context.Context, process.Probe) error {
		if m.Now() < at {
			return errRefused
		}
		return nil
	}
}

func TestRunIsReadyWhenItsProbeSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "tcp:a:1"}
		began := m.Now()
		m.wellFrom(began + 10*time.Second)
		w := m.newWorker(t).begin(process.Ending{})
		if w.hears("started"); w.run.State() != process.Starting || w.run.PID() == 0 || w.run.Ready() {
			t.Errorf("it is %v, pid %d", w.run.State(), w.run.PID())
		}
		w.pass(5 * time.Second)
		if got := w.run.ReadyError(); got != errRefused.Error() {
			t.Errorf("not ready because of %q", got)
		}
		w.pass(6 * time.Second)
		if w.hears("started ready"); w.run.State() != process.Running || w.run.ReadyTime().IsZero() || w.run.ReadyError() != "" {
			t.Errorf("it is %v, ready at %v", w.run.State(), w.run.ReadyTime())
		}
		if m.attrs[attrReady] == nil {
			t.Error("that it is ready does not stand on the group")
		}
		asked := len(m.probes)
		w.pass(time.Hour)
		if len(m.probes) != asked || asked < 10 || asked > 20 || m.probes[0] != began || m.probes[1] != began+firstTry {
			t.Errorf("probes at %v, and %d more when it was ready", m.probes, len(m.probes)-asked)
		}
		m.exit(proc.Exit{})
		synctest.Wait()
		w.is("started ending ended", process.CauseExit, "")
	})
}

// What is not ready in time is ended, and its end has the step and the probe's last words.
func TestRunThatIsNotReadyInTime(t *testing.T) {
	for ready, want := range map[string]string{
		"tcp:a:1":       "not ready within 1m0s: tcp a:1: connection refused",
		"notify":        "not ready within 1m0s: it has not sent READY=1",
		"log:^up$":      `not ready within 1m0s: log "^up$": no line matches`,
		"exec:sleep 1d": "not ready within 1m0s: no probe came back",
	} {
		bubble(t, func(t *testing.T, m *machine) {
			m.probing = process.Probing{Ready: ready}
			m.answer = func(ctx context.Context, p process.Probe) error {
				if p.Kind == process.ProbeExec {
					<-ctx.Done()
					time.Sleep(2 * time.Minute) // it cannot be ended
				}
				return errRefused
			}
			w := m.newWorker(t).begin(process.Ending{})
			w.pass(time.Minute - 1)
			w.hears("started")
			w.pass(1)
			w.pass(aWhile)
			w.hears("started ending ended")
			w.is("started ending ended", process.CauseStart, want)
			if w.run.Ready() || w.run.Failed() != nil {
				t.Errorf("%s: ready %v, failed %v", ready, w.run.Ready(), w.run.Failed())
			}
		})
	}
}

// A stop, the leader's end and a deadline act at once on what is not ready; what was under
// way about that ends with it, and what comes of it is nothing.
func TestWhatEndsBeforeItIsReady(t *testing.T) {
	for cause, end := range map[process.Cause]func(w *worker){
		process.CauseStop: func(w *worker) { w.end(process.CauseStop) },
		process.CauseExit: func(w *worker) { w.exit(proc.Exit{Code: 1}); synctest.Wait() },
	} {
		bubble(t, func(t *testing.T, m *machine) {
			m.probing = process.Probing{Ready: "http://a/"}
			ended := 0
			m.answer = func(ctx context.Context, _ process.Probe) error {
				<-ctx.Done()
				ended++
				return nil // too late
			}
			w := m.newWorker(t).begin(process.Ending{})
			w.pass(time.Second)
			end(w)
			if ended != 1 {
				t.Errorf("%v: %d probes have ended", cause, ended)
			}
			w.pass(time.Hour)
			w.hears("started ending ended")
			w.is("started ending ended", cause, "")
		})
	}
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "tcp:a:1"}
		m.wellFrom(m.Now() + time.Hour)
		w := m.newWorker(t).begin(process.Ending{Deadline: 5 * time.Second})
		w.pass(10 * time.Second)
		w.is("started ending ended", process.CauseDeadline, "deadline")
	})
}

func TestDelayLogAndNotify(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "delay:2s"}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(2*time.Second - 1)
		w.hears("started")
		w.pass(1)
		w.hears("started ready")
	})
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "log:^up [0-9]"}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(5 * time.Second)
		m.mu.Lock()
		w.lines = []string{"not up 1", "up 2"}
		m.mu.Unlock()
		w.pass(2 * time.Second)
		w.hears("started ready")
	})
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "notify"}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(5 * time.Second)
		w.Tell(w.saying(notify.Message{Ready: true}))
		w.Tell(w.saying(notify.Message{Ready: true})) // again, after a reload say
		synctest.Wait()
		w.hears("started ready")
	})
	bubble(t, func(t *testing.T, m *machine) { // nobody has asked it
		m.probing = process.Probing{Ready: "tcp:a:1"}
		m.wellFrom(m.Now() + time.Hour)
		w := m.newWorker(t).begin(process.Ending{})
		w.Tell(w.saying(notify.Message{Ready: true}))
		synctest.Wait()
		w.hears("started")
	})
}

// A new worker takes over what is not ready with the time that is left, and what is ready
// as that.
func TestReadinessOutlivesTheWorker(t *testing.T) {
	for ready, wellAt := range map[string]time.Duration{"tcp:a:1": 40 * time.Second, "delay:40s": time.Hour, "log:up": time.Hour} {
		for _, then := range []string{"ready", "late", "was ready"} {
			bubble(t, func(t *testing.T, m *machine) {
				m.probing = process.Probing{Ready: ready, ReadyTimeout: 50 * time.Second}
				wellAt := wellAt
				if then == "late" {
					m.probing.Ready, wellAt = strings.Replace(ready, "delay:40s", "delay:49999h", 1), time.Hour
				}
				m.wellFrom(m.Now() + wellAt)
				w := m.newWorker(t).begin(process.Ending{})
				w.hears("started")
				up := func(w *worker) {
					if then != "late" {
						m.mu.Lock()
						w.lines = []string{"up"}
						m.mu.Unlock()
					}
				}
				if then == "was ready" {
					w.pass(30 * time.Second)
					up(w)
					w.pass(15 * time.Second)
					w.hears("started ready")
				} else {
					w.pass(30 * time.Second)
				}
				w.kill9()
				time.Sleep(5 * time.Second)
				w = m.adopt(t, process.Ending{})
				up(w)
				switch then {
				case "was ready":
					if !w.run.Ready() || w.run.State() != process.Running || w.run.ReadyTime().IsZero() {
						t.Errorf("%s: it is %v, ready %v", ready, w.run.State(), w.run.Ready())
					}
					w.pass(time.Hour)
					w.hears("")
				case "ready":
					if w.run.Ready() || w.run.State() != process.Starting {
						t.Errorf("%s: it is %v, ready %v", ready, w.run.State(), w.run.Ready())
					}
					w.pass(6 * time.Second)
					w.hears("ready")
				case "late":
					w.pass(14 * time.Second)
					w.hears("")
					w.pass(time.Second)
					w.hears("ending ended")
					w.is("ending ended", process.CauseStart, "not ready within 50s")
				}
			})
		}
	}
}

// A worker that dies when it has noted that a run is ready leaves one that is.
func TestAWorkerDiesWhenARunIsReady(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "tcp:a:1", Health: "tcp:a:1"}
		w := m.newWorker(t).dieAt(PointReady).begin(process.Ending{})
		if !w.dead.Load() {
			t.Fatalf("it does not come by; points %v", w.points)
		}
		w = m.adopt(t, process.Ending{})
		if !w.run.Ready() || w.run.ReadyTime().IsZero() {
			t.Error("it is not ready")
		}
		w.pass(10 * time.Second)
		if len(m.probes) != 2 {
			t.Errorf("probes at %v", m.probes)
		}
	})
}

// Why it ends is known to the worker that sees its end.
func TestWhyItIsEndedOutlivesTheWorker(t *testing.T) {
	for _, p := range []process.Probing{{Ready: "tcp:a:1"}, {Health: "tcp:a:1"}} {
		bubble(t, func(t *testing.T, m *machine) {
			m.probing, m.deaf = p, true
			m.wellFrom(m.Now() + time.Hour)
			w := m.newWorker(t).begin(process.Ending{})
			for end := time.Now().Add(time.Hour); !strings.HasSuffix(w.heard(), "ending") && time.Now().Before(end); {
				w.pass(time.Second)
			}
			w.kill9()
			w = m.adopt(t, process.Ending{})
			w.pass(time.Minute)
			want := process.CauseUnhealthy
			if p.Ready != "" {
				want = process.CauseStart
			}
			w.is("ended", want, "tcp a:1: connection refused")
		})
	}
}

func TestHealth(t *testing.T) {
	at := func(h *process.Health) process.Health {
		if h == nil {
			return process.Health{}
		}
		return *h
	}
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Health: "tcp:a:1"}
		well := m.Now() + 65*time.Second
		m.answer = func(context.Context, process.Probe) error {
			if m.Now() >= well {
				return errRefused
			}
			return nil
		}
		w := m.newWorker(t).begin(process.Ending{})
		if w.hears("started ready"); at(w.run.Health()).State != process.HealthUnknown {
			t.Errorf("before anybody has looked: %+v", w.run.Health())
		}
		w.pass(60 * time.Second)
		if n := len(m.probes); n != 6 || m.probes[5]-m.probes[4] != 10*time.Second || at(w.run.Health()) != (process.Health{State: process.HealthHealthy}) {
			t.Errorf("probes at %v, %+v", m.probes, w.run.Health())
		}
		w.pass(20 * time.Second)
		if h := at(w.run.Health()); h.State != process.HealthHealthy || h.Failures == 0 || h.Error != errRefused.Error() {
			t.Errorf("before it has failed often enough: %+v", h)
		}
		w.hears("started ready")
		w.pass(30 * time.Second)
		w.hears("started ready unhealthy ending ended")
		w.is("started ending ended", process.CauseUnhealthy, errRefused.Error())
		if n := len(m.probes); n != 9 {
			t.Errorf("%d probes", n)
		}
	})
	bubble(t, func(t *testing.T, m *machine) { // that is only shown
		m.probing = process.Probing{Health: "tcp:a:1", HealthFailures: 1, HealthAction: process.HealthNone}
		m.wellFrom(m.Now() + time.Minute)
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(30 * time.Second)
		if h := at(w.run.Health()); h.State != process.HealthUnhealthy || h.Failures != 3 || w.run.State() != process.Running {
			t.Errorf("%+v, %v", h, w.run.State())
		}
		w.pass(time.Minute)
		if h := at(w.run.Health()); h != (process.Health{State: process.HealthHealthy}) {
			t.Errorf("%+v", h)
		}
		w.hears("started ready unhealthy healthy")
	})
	bubble(t, func(t *testing.T, m *machine) { // one good answer, and failures are counted anew
		m.probing = process.Probing{Health: "tcp:a:1"}
		n := 0
		m.answer = func(context.Context, process.Probe) error {
			if n++; n%3 == 0 {
				return nil
			}
			return errRefused
		}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Hour)
		w.hears("started ready")
	})
	bubble(t, func(t *testing.T, m *machine) { // one that hangs has failed, and they do not pile up
		m.probing = process.Probing{Health: "tcp:a:1", HealthPeriod: time.Second, HealthTimeout: 5 * time.Second}
		m.answer = func(ctx context.Context, _ process.Probe) error { <-ctx.Done(); return ctx.Err() }
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(14 * time.Second)
		w.hears("started ready")
		w.pass(10 * time.Second)
		w.hears("started ready unhealthy ending ended")
		if len(m.probes) != 3 {
			t.Errorf("probes at %v", m.probes)
		}
	})
	bubble(t, func(t *testing.T, m *machine) { // nobody looks before it is ready
		m.probing = process.Probing{Ready: "delay:30s", Health: "tcp:a:1"}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(30*time.Second - 1)
		if w.run.Health() != nil || len(m.probes) > 0 {
			t.Errorf("%+v, %v", w.run.Health(), m.probes)
		}
		w.pass(11 * time.Second)
		if len(m.probes) != 1 {
			t.Errorf("probes at %v", m.probes)
		}
	})
}

// Failures are counted on by the next worker, and that a run is unhealthy is told once.
func TestHealthOutlivesTheWorker(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Health: "tcp:a:1", HealthFailures: 5}
		m.wellFrom(m.Now() + time.Hour)
		w := m.newWorker(t).begin(process.Ending{})
		for i := range 4 {
			w.pass(10 * time.Second)
			if h := w.run.Health(); h == nil || h.Failures != i+1 || h.Error != errRefused.Error() {
				t.Errorf("after %d failures: %+v", i+1, h)
			}
			w.kill9()
			w = m.adopt(t, process.Ending{})
		}
		w.pass(10*time.Second + aWhile)
		w.hears("unhealthy ending ended")
		w.is("ending ended", process.CauseUnhealthy, errRefused.Error())
	})
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Health: "tcp:a:1", HealthFailures: 1, HealthAction: process.HealthNone}
		m.wellFrom(m.Now() + 25*time.Second)
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(10 * time.Second)
		w.hears("started ready unhealthy")
		w.kill9()
		w = m.adopt(t, process.Ending{})
		if h := w.run.Health(); h == nil || h.State != process.HealthUnhealthy || h.Failures != 1 {
			t.Errorf("%+v", h)
		}
		w.pass(20 * time.Second)
		w.hears("healthy")
	})
	bubble(t, func(t *testing.T, m *machine) { // what could not be asked has not failed
		m.probing = process.Probing{Health: "tcp:a:1", HealthFailures: 1}
		m.answer = func(context.Context, process.Probe) error { return &probe.NotAsked{Err: errRefused} }
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Hour)
		w.hears("started ready")
	})
}

// Health follows a change at once; when it is ready, from the next run on.
func TestProbesThatAreChanged(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "delay:1s"}
		w := m.newWorker(t).begin(process.Ending{})
		change := func(p process.Probing) {
			w.do(func() { w.run.Change(process.Spec{Probing: p}) })
		}
		change(process.Probing{Ready: "delay:1h", ReadyTimeout: 2 * time.Hour, Health: "tcp:a:1", HealthPeriod: time.Second})
		w.pass(time.Second)
		w.hears("started ready")
		w.pass(10 * time.Second)
		if n := len(m.probes); n != 10 {
			t.Errorf("%d probes", n)
		}
		change(process.Probing{Health: "tcp:a:1", HealthPeriod: time.Minute})
		w.pass(time.Minute)
		if n := len(m.probes); n != 11 {
			t.Errorf("%d probes", n)
		}
		m.wellFrom(m.Now() + time.Hour)
		change(process.Probing{Health: "tcp:a:1", HealthPeriod: time.Second, HealthFailures: 1, HealthAction: process.HealthNone})
		w.pass(5 * time.Second)
		w.hears("started ready unhealthy")
		change(process.Probing{})
		n := len(m.probes)
		w.pass(time.Hour)
		if len(m.probes) != n || w.run.Health() != nil {
			t.Errorf("it is asked on, %+v", w.run.Health())
		}
		w.hears("started ready unhealthy")
	})
}

// Nothing about readiness is left to do for a leader that was not born, and a leader that a
// former keeper has started goes on being ready.
func TestReadinessWithoutAKeeper(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing, m.spawnErr = process.Probing{Ready: "tcp:a:1"}, errors.New("trouble")
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Hour)
		w.is("ending ended", process.CauseStart, "trouble")
		if len(m.probes) > 0 {
			t.Errorf("probes at %v", m.probes)
		}
	})
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "tcp:a:1"}
		w := m.newWorker(t).begin(process.Ending{})
		w.hears("started ready")
		w.kill9()
		m.mu.Lock()
		m.orphans, m.held = true, &keeper.Held{Run: m.id}
		m.mu.Unlock()
		w = m.adopt(t, process.Ending{})
		if !w.run.Ready() {
			t.Error("it is not ready any more")
		}
		w.end(process.CauseStop)
		w.pass(aWhile)
		if !slices.Contains(strings.Fields(w.heard()), "ended") {
			t.Errorf("told %s", w.heard())
		}
	})
}
