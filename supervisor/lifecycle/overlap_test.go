package lifecycle

import (
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestOverlap(t *testing.T) {
	at := func(minute int) Event { return Event{Kind: Due, Time: noon.Add(time.Duration(minute) * time.Minute)} }
	with := func(way process.Overlap, p Process) Process {
		p.Overlap = process.Overlapping{Overlap: way, OverlapMax: 2}
		return p
	}
	replaced := Event{Kind: RunEnded, Run: 7, Cause: process.CauseReplaced}
	begun8 := Event{Kind: RunStarted, Run: 8}
	unstored8 := Event{Kind: RunUnstored, Run: 8}
	const q, r, a = process.OverlapQueue, process.OverlapReplace, process.OverlapAllow
	for _, test := range []struct {
		name   string
		from   Process
		events []Event
		runs   int
		do     string
	}{
		{"a trigger is refused while a run goes on", scheduledRun, []Event{trigger}, 1, "refuse!overlap"},
		{"and runs what waits for its time", onSchedule, []Event{trigger, begun}, 1, "arm, spawn 7, started, triggered 7"},
		{"a stopped schedule is not armed by it", offSchedule, []Event{trigger, begun, good}, 0, "spawn 7, started, triggered 7, ended 7, stopped"},
		{"what has no schedule is started", resting, []Event{trigger, begun}, 1, "spawn 7, started, triggered 7"},
		{"nothing begins while it is deleted", running, []Event{remove, trigger}, 1,
			"end 7 stop, disarm, started!superseded, triggered!superseded, ready!superseded, ended 8!superseded, save, refuse!not_found"},
		{"one time is queued", with(q, scheduledRun), []Event{at(0), at(1), good, begun8}, 1,
			"arm, 12:00 queued, save, arm, 12:01 skipped, ended 7, stopped, arm, 12:00 queued 8, spawn 8, started, triggered 8"},
		{"a trigger is queued and answered", with(q, scheduledRun), []Event{trigger, trigger, good}, 1, "save, triggered 8, refuse!overlap, ended 7, stopped, arm, spawn 8"},
		{"a stop drops what is queued", with(q, scheduledRun), []Event{at(0), stop, stopped}, 0,
			"arm, 12:00 queued, save, end 7 stop, 12:00 skipped, disarm, started!superseded, triggered!superseded, ready!superseded, ended 8!superseded, save, ended 7, stopped"},
		{"a restart is what was queued", with(q, scheduledRun), []Event{at(0), restart, stopped}, 1,
			"arm, 12:00 queued, save, end 7 stop, save, ended 7, stopped, arm, 12:00 queued 8, spawn 8"},
		{"a failure is followed by what was queued", with(q, scheduledService), []Event{at(0), bad}, 1, "arm, 12:00 queued, save, ended 7, stopped, arm, 12:00 queued 8, spawn 8, tell"},
		{"the daemon's end leaves it in line", with(q, scheduledRun), []Event{at(0), shutdown, shut}, 0,
			"arm, 12:00 queued, save, end 7 shutdown, disarm, started!shutting_down, triggered!shutting_down, ready!shutting_down, ended 8!shutting_down, ended 7, stopped"},
		{"a time takes the place of a run, and a later one that of the time", with(r, scheduledRun), []Event{at(0), at(1), replaced, begun8}, 1,
			"arm, end 7 replaced, 12:00 replaced, save, arm, 12:00 skipped, 12:01 replaced, save, ended 7, stopped, arm, 12:01 replaced 8, spawn 8, started, triggered 8"},
		{"a trigger does too", with(r, scheduledRun), []Event{trigger, replaced, begun8}, 1, "end 7 replaced, save, ended 7, stopped, arm, spawn 8, started, triggered 8"},
		{"what cannot be ended is not replaced", with(r, scheduledRun), []Event{at(0), stuck}, 1,
			"arm, end 7 replaced, 12:00 replaced, save, 12:00 skipped, stopped!stuck, started!stuck, removed!stuck, ready!stuck, ended!stuck, triggered!stuck"},
		{"runs go on side by side, up to the most", with(a, scheduledRun), []Event{at(0), begun8, at(1)}, 2,
			"arm, 12:00 ran 8, spawn 8, started, triggered 8, arm, 12:01 skipped"},
		{"one ends, and another one begins", with(a, scheduledRun), []Event{at(0), good, at(1)}, 2, "arm, 12:00 ran 8, spawn 8, ended 7, arm, 12:01 ran 9, spawn 9"},
		{"one that never was leaves the others alone", with(a, scheduledRun), []Event{at(0), unstored8}, 1,
			"arm, 12:00 ran 8, spawn 8, 12:00 skipped, triggered 8!store, ready 8!store, ended 8!store"},
		{"a stop ends them all", with(a, scheduledRun), []Event{at(0), stop, stopped}, 1,
			"arm, 12:00 ran 8, spawn 8, end 7 stop, end 8 stop, disarm, started!superseded, triggered!superseded, ready!superseded, ended 9!superseded, save, ended 7"},
		{"a missed time", onSchedule, []Event{{Kind: Missed, Time: noon}}, 0, "12:00 missed"},
		{"is no time of what was stopped", offSchedule, []Event{{Kind: Missed, Time: noon}, at(0)}, 0, ""},
	} {
		p := test.from
		var all []Action
		for _, e := range test.events {
			var actions []Action
			p, actions = p.Step(e)
			all = append(all, actions...)
		}
		var told []Action
		for _, action := range all {
			if action.Do != Answer || action.Goal != UntilReady || action.Code != process.CodeStart {
				told = append(told, action)
			}
		}
		if do := show(told); do != test.do || len(p.Runs) != test.runs {
			t.Errorf("%s: %d runs, after: %s\nwant %d, after: %s", test.name, len(p.Runs), do, test.runs, test.do)
		}
	}
}

// Who is refused reads which runs are in the way.
func TestWhatIsInTheWayIsSaid(t *testing.T) {
	side := scheduledRun
	side.Overlap = process.Overlapping{Overlap: process.OverlapAllow, OverlapMax: 2}
	two, _ := side.Step(trigger)
	for want, p := range map[string]Process{"run 7 goes on": scheduledRun, "runs 7 and 8 go on": two} {
		_, actions := p.Step(trigger)
		if len(actions) != 1 || actions[0].Reason != want {
			t.Errorf("got %+v, want %q", actions, want)
		}
	}
}
