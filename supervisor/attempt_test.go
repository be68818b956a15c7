package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Whatever the clocks do, a later worker waits for what is left of a delay, and never longer
// than the delay.
func TestADelayIsTakenUpWhateverTheClocksDo(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.s.origin = store.Origin{Boot: "this", Keeper: "1:1"}
	clock := w.s.clock.Now()
	const delay, left = time.Minute, 40 * time.Second
	for _, c := range []struct {
		what       string
		boot       string
		wall       time.Duration // from now, to the attempt
		by         time.Duration // the same by the clock of its boot
		want, more time.Duration
	}{
		{"nothing has happened", "this", left, left, left, 0},
		{"the wall clock was set ahead", "this", left - time.Hour, left, left, 0},
		{"the wall clock was set back", "this", left + time.Hour, left, left, 0},
		{"the time has passed", "this", -time.Second, -time.Second, 0, 0},
		{"another boot", "former", left, 1000 * time.Hour, left, 0},
		{"another boot, late", "former", -time.Hour, 1000 * time.Hour, 0, 0},
		{"another boot, and the wall clock was set back", "former", 1000 * time.Hour, left, delay, 0},
	} {
		kept := keptOf(spec("a"))
		kept.Spec.Restart = process.RestartAlways
		kept.Target = store.Target{Up: true, State: process.Failed, Run: 3, Origin: store.Origin{Boot: c.boot},
			Restarts: store.Restarts{Count: 7, Row: 4, Next: time.Now().Add(c.wall), Boot: clock + c.by, Delay: delay,
				Times: []time.Time{time.Now().Add(-time.Minute), time.Now().Add(time.Hour)}}}
		p := w.s.newManaged(kept, nil, output{})
		a := p.machine.Attempts
		if got := a.Next - clock; p.machine.Rest != process.Backoff || got < c.want-time.Second || got > c.want+time.Second {
			t.Errorf("%s: %v, the attempt comes in %v, want %v", c.what, p.machine.Rest, got, c.want)
		}
		if shown := time.Until(p.view.Load().attempt); shown < c.want-2*time.Second || shown > c.want+2*time.Second {
			t.Errorf("%s: it is shown to come in %v, want %v", c.what, shown, c.want)
		}
		if a.Count != 7 || a.Row != 4 || a.Delay != delay || p.machine.Under != process.Failed || len(a.Times) != 2 || a.Times[0] > clock-59*time.Second || a.Times[1] > w.s.clock.Now() {
			t.Errorf("%s: %+v", c.what, p.machine)
		}
		if again := p.attempts(); again.Count != 7 || again.Row != 4 || again.Delay != delay || again.Next.IsZero() || len(again.Times) != 2 {
			t.Errorf("%s: it is kept as %+v", c.what, again)
		}
	}
}

// A record of an earlier program says nothing of restarts and of stops.
func TestRecordsOfEarlierProgramsKnowNoRestarts(t *testing.T) {
	for _, c := range []struct {
		target store.Target
		want   bool
	}{
		{store.Target{Up: true, Run: 3}, false},
		{store.Target{Run: 3}, true}, // it was stopped
		{store.Target{}, false},      // it never was started
		{store.Target{Stopped: true}, true},
	} {
		if got := c.target.WasStopped(); got != c.want {
			t.Errorf("%+v: stopped %v", c.target, got)
		}
	}
	w := newWorld(t)
	defer w.s.closeParts()
	kept := keptOf(spec("a"))
	kept.Target = store.Target{Up: true, State: process.Failed, Run: 3}
	if p := w.s.newManaged(kept, nil, output{}); p.machine.Rest != process.Failed || p.machine.Attempts.Next != 0 || p.comesUp() {
		t.Errorf("%+v", p.machine)
	}
}

// What comes up with the daemon, and what does not.
func TestWhatComesUpWithTheDaemon(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.s.origin = store.Origin{Boot: "this", Keeper: "2:2"}
	former := store.Origin{Boot: "this", Keeper: "1:1"}
	auto := process.Restarting{Autostart: true}
	failing, always := process.Restarting{Restart: process.RestartOnFailure}, process.Restarting{Restart: process.RestartAlways}
	for _, c := range []struct {
		name   string
		policy process.Restarting
		target store.Target
		want   bool
	}{
		{"never started", auto, store.Target{}, true},
		{"never started, no autostart", failing, store.Target{}, false},
		{"stopped", auto, store.Target{Run: 1, Stopped: true}, false},
		{"completed", auto, store.Target{Up: true, Run: 1, State: process.Completed}, true},
		{"completed job", failing, store.Target{Up: true, Run: 1, State: process.Completed}, false},
		{"ended with the daemon", failing, store.Target{Up: true, Run: 1, State: process.Stopped}, true},
		{"given up", failing, store.Target{Up: true, Run: 1, State: process.Failed, Reason: "the limit"}, true},
		{"always", always, store.Target{Up: true, Run: 1, State: process.Completed}, true},
		{"stopped service", always, store.Target{Run: 1, State: process.Failed, Stopped: true}, false},
		{"without a policy", process.Restarting{}, store.Target{Up: true, Run: 1, State: process.Failed}, false},
		{"waits in this boot", failing, store.Target{Up: true, Run: 1, Origin: former, Restarts: store.Restarts{Next: time.Now(), Delay: 1}}, false},
		{"waited in another boot", failing, store.Target{Up: true, Run: 1, Origin: store.Origin{Boot: "other"}, Restarts: store.Restarts{Next: time.Now(), Delay: 1}}, true},
	} {
		kept := keptOf(spec("a"))
		kept.Spec.Restarting, kept.Target = c.policy, c.target
		if kept.Origin.Boot == "" {
			kept.Target.Origin = former
		}
		p := w.s.newManaged(kept, nil, output{})
		w.s.names = map[string]*managed{"a": p}
		for _, when := range []struct {
			what   string
			former store.Daemon
			alive  bool
			begins bool
		}{
			{"another daemon", store.Daemon{Origin: former, Done: true}, false, true},
			{"another boot", store.Daemon{Origin: store.Origin{Boot: "other", Keeper: "2:2"}, Done: true}, false, true},
			{"a store that knows of none", store.Daemon{}, false, true},
			{"another daemon, and trees live", store.Daemon{Origin: former, Done: true}, true, false},
			{"another worker", store.Daemon{Origin: w.s.origin, Done: true}, false, false},
			{"another worker goes on", store.Daemon{Origin: w.s.origin}, true, true},
		} {
			want := c.want && when.begins
			if got := slices.ContainsFunc(w.s.toBoot(when.former, when.alive), (*managed).comesUp); got != want {
				t.Errorf("%s, %s: comes up %v, want %v", c.name, when.what, got, want)
			}
		}
		p.kept.Target.Origin = w.s.origin // a worker of this daemon has started it
		if slices.ContainsFunc(w.s.toBoot(store.Daemon{Origin: w.s.origin}, true), (*managed).comesUp) {
			t.Errorf("%s: it is started twice", c.name)
		}
	}
}
