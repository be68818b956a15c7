package lifecycle

import (
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// TestARunKnowsWhoAskedForIt has each run name who asked for it, whatever it waited for in
// between.
func TestARunKnowsWhoAskedForIt(t *testing.T) {
	by := func(name string) process.Asked { return process.Asked{By: process.ByNeed, Name: name} }
	ask := func(kind EventKind, name string) Event { return Event{Kind: kind, Asked: by(name)} }
	ended := func(run uint64) Event {
		return Event{Kind: RunEnded, Run: run, Cause: process.CauseExit, Now: time.Hour}
	}
	stopping := func(run uint64) Event { return Event{Kind: RunEnding, Run: run} }
	held := func(e Event) Event { e.Held = true; return e }
	up := Process{Rest: process.Stopped, Up: true}
	always := Process{Rest: process.Stopped, Policy: process.Restarting{Restart: process.RestartAlways}}
	night := Process{Rest: process.Scheduled, Scheduled: true, Up: true}
	for _, c := range []struct {
		name   string
		from   Process
		events []Event
		run    uint64
		want   process.Asked
	}{
		{"a start", up, []Event{ask(Start, "a")}, 1, by("a")},
		{"one who joins a start", up, []Event{ask(Start, "a"), ask(Start, "b")}, 1, by("a")},
		{"a restart", up, []Event{ask(Start, "a"), ask(Restart, "b"), ended(1)}, 2, by("b")},
		{"a start behind a stop", up, []Event{ask(Start, "a"), {Kind: Stop}, ask(Start, "b"), ended(1)}, 2, by("b")},
		{"one that takes the place of another", up, []Event{ask(Start, "a"), stopping(1), ask(Start, "b"), ask(Restart, "c"), ended(1)}, 2, by("c")},
		{"what waits", up, []Event{held(ask(Start, "a")), {Kind: NeedsChanged}}, 1, by("a")},
		{"who asks while it waits", up, []Event{held(ask(Start, "a")), held(ask(Start, "b")), {Kind: NeedsChanged}}, 1, by("b")},
		{"its time", night, []Event{ask(Due, "time")}, 1, by("time")},
		{"a time that waits, and a start that changes nothing", night, []Event{held(ask(Due, "time")), held(ask(Start, "a")), {Kind: NeedsChanged}}, 1, by("time")},
		{"boot", up, []Event{ask(Autostart, "boot")}, 1, by("boot")},
		{"a restart by itself", always, []Event{ask(Start, "a"), ended(1), {Kind: Retry, Now: 2 * time.Hour}}, 2, process.Asked{By: process.ByRestart, Count: 1}},
		{"another one", always, []Event{ask(Start, "a"), ended(1), {Kind: Retry, Now: 2 * time.Hour}, ended(2), {Kind: Retry, Now: 3 * time.Hour}}, 3,
			process.Asked{By: process.ByRestart, Count: 2}},
		{"who does not wait for a restart", always, []Event{ask(Start, "a"), ended(1), ask(Start, "b")}, 2, by("b")},
		{"what is owed", up, []Event{ask(Start, "a"), {Kind: RunUnstored, Run: 1}, {Kind: Owed}}, 1, by("a")},
		{"what waited, was not stored, and waits again", up, []Event{held(ask(Start, "a")), {Kind: NeedsChanged}, {Kind: RunUnstored, Run: 1}, {Kind: NeedsChanged}}, 1, by("a")},
	} {
		p := c.from
		for _, e := range c.events {
			p, _ = p.Step(e)
		}
		if p.find(c.run) < 0 {
			t.Errorf("%s: there is no run %d: %+v", c.name, c.run, p)
		} else if got := p.AskedFor(c.run); got != c.want {
			t.Errorf("%s: run %d was asked for by %+v, want %+v", c.name, c.run, got, c.want)
		}
	}
}
