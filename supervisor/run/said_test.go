package run

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// saying is the event of what the run says of itself.
func (w *worker) saying(m notify.Message) Event {
	return Event{Run: w.id.Run, kind: eventSaid, said: &saying{m, make(chan struct{})}}
}

// say has the run say something, and waits until that was dealt with.
func (w *worker) say(m notify.Message) {
	w.t.Helper()
	e := w.saying(m)
	dealt := make(chan struct{})
	e.said.dealt = dealt
	w.Tell(e)
	synctest.Wait()
	select {
	case <-dealt:
	default:
		w.t.Errorf("%+v is not dealt with", m)
	}
}

func TestWhatARunSaysStandsOnItsGroup(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Ready: "notify"}
		w := m.newWorker(t).begin(process.Ending{})
		shows := func(state process.NotifiedState, status string) {
			t.Helper()
			if gotState, gotStatus := w.run.Notified(); gotState != state || gotStatus != status {
				t.Errorf("it says %q, %q, want %q, %q", gotState, gotStatus, state, status)
			}
		}
		w.say(notify.Message{Reloading: true, HasStatus: true, Status: "loading"}) // nothing can reload that was not ready
		shows("", "loading")
		w.say(notify.Message{Ready: true, HasStatus: true})
		shows("", "")
		w.say(notify.Message{Reloading: true})
		shows(process.NotifiedReloading, "")
		w.kill9()
		w = m.adopt(t, process.Ending{})
		if shows(process.NotifiedReloading, ""); w.run.State() != process.Running {
			t.Errorf("it is %v", w.run.State())
		}
		w.say(notify.Message{Ready: true, HasStatus: true, Status: "cannot read a file", Errno: int(unix.ENOENT)})
		shows("", "cannot read a file (no such file or directory)")
		w.say(notify.Message{Stopping: true})
		shows(process.NotifiedStopping, "cannot read a file (no such file or directory)")
		w.end(process.CauseStop)
		w.say(notify.Message{HasStatus: true, Status: "it is late"}) // its group is gone
	})
}

func TestWatchdogThatIsNotFed(t *testing.T) {
	watched := process.Probing{Ready: "notify", Watchdog: 30 * time.Second}
	begin := func(t *testing.T, m *machine, p process.Probing) *worker {
		m.probing = p
		return m.newWorker(t).begin(process.Ending{})
	}
	bubble(t, func(t *testing.T, m *machine) {
		w := begin(t, m, watched)
		w.pass(50 * time.Second) // it counts from when it is ready
		w.say(notify.Message{Ready: true})
		for range 10 {
			w.pass(29 * time.Second)
			w.say(notify.Message{Fed: true})
		}
		if h := w.run.Health(); h == nil || h.State != process.HealthHealthy {
			t.Errorf("%+v", h)
		}
		w.pass(30*time.Second - 1)
		w.hears("started ready")
		w.pass(2)
		w.is("started ending ended", process.CauseUnhealthy, "watchdog: not fed for 30s")
	})
	bubble(t, func(t *testing.T, m *machine) { // without ready, from the start
		w := begin(t, m, process.Probing{Watchdog: 30 * time.Second})
		w.pass(31 * time.Second)
		w.is("started ending ended", process.CauseUnhealthy, "watchdog: not fed for 30s")
	})
	bubble(t, func(t *testing.T, m *machine) { // it says how often it feeds
		w := begin(t, m, watched)
		w.say(notify.Message{Ready: true, Watchdog: time.Minute})
		w.pass(59 * time.Second)
		w.kill9()
		w = m.adopt(t, process.Ending{})
		w.pass(59 * time.Second)
		if w.run.State() != process.Running {
			t.Errorf("it is %v", w.run.State())
		}
		w.pass(2 * time.Second)
		w.is("ending ended", process.CauseUnhealthy, "watchdog: not fed for 1m0s")
	})
	bubble(t, func(t *testing.T, m *machine) {
		w := begin(t, m, watched)
		w.say(notify.Message{Ready: true})
		w.say(notify.Message{Trigger: true})
		w.is("started ending ended", process.CauseUnhealthy, "watchdog: it asked to be ended (WATCHDOG=trigger)")
	})
	bubble(t, func(t *testing.T, m *machine) { // nobody has asked it
		w := begin(t, m, process.Probing{})
		w.say(notify.Message{Ready: true, Fed: true, Watchdog: time.Second})
		w.pass(time.Hour)
		w.hears("started ready")
	})
}

// What is only to be shown is shown, and passes.
func TestWatchdogThatEndsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Watchdog: 30 * time.Second, HealthAction: process.HealthNone}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Hour)
		w.hears("started ready unhealthy")
		if h := w.run.Health(); h == nil || h.State != process.HealthUnhealthy || h.Error != "watchdog: not fed for 30s" {
			t.Errorf("%+v", h)
		}
		w.say(notify.Message{Fed: true})
		w.hears("started ready unhealthy healthy")
	})
}

// A machine that sleeps lets no run feed anything.
func TestWatchdogCountsAnewWhenTheMachineHasSlept(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.probing = process.Probing{Watchdog: 30 * time.Second}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(20 * time.Second)
		w.do(func() { w.run.says.due -= time.Hour }) // by the clock it was due long ago
		w.pass(11 * time.Second)
		w.hears("started ready")
		w.pass(30 * time.Second)
		w.is("started ending ended", process.CauseUnhealthy, "watchdog: not fed for 30s")
	})
}
