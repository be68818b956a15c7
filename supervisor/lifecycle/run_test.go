package lifecycle

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func (a RunAction) String() string {
	return [...]string{StartGrace: "grace", SignalTree: "signal", KillTree: "kill", KillLeader: "kill leader", AwaitLeader: "await leader",
		TellStarted: "started", AwaitReady: "await ready", TellReady: "ready", TellEnding: "ending", TellStuck: "stuck", Drain: "drain", Finish: "finish",
		FreezeTree: "freeze", ThawTree: "thaw", TellPaused: "paused", TellNotPaused: "not paused", TellResumed: "resumed"}[a]
}

func showRun(actions []RunAction) string {
	var all []string
	for _, a := range actions {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

var (
	end  = RunEvent{Kind: End, Cause: process.CauseStop}
	dead = RunEvent{Kind: End, Cause: process.CauseDeadline}
)

func on(kinds ...RunEventKind) (events []RunEvent) {
	for _, k := range kinds {
		events = append(events, RunEvent{Kind: k})
	}
	return events
}

func TestRun(t *testing.T) {
	then := func(first []RunEvent, more ...any) []RunEvent {
		for _, m := range more {
			switch m := m.(type) {
			case RunEvent:
				first = append(first, m)
			case RunEventKind:
				first = append(first, RunEvent{Kind: m})
			}
		}
		return first
	}
	for _, test := range []struct {
		name   string
		events []RunEvent
		phase  Phase
		cause  process.Cause
		do     string
	}{
		{"spawned", on(Spawned), Running, 0, "started, ready"},
		{"not spawned", on(SpawnFailed), Draining, process.CauseStart, "ending, drain"},
		{"nobody in a group before its leader is nothing", on(Emptied), Starting, 0, ""},
		{"leader exits, nobody left", on(Spawned, Emptied, Succeeded), Draining, process.CauseExit, "started, ready, await leader, ending, drain"},
		{"the exit is known first", on(Spawned, Exited, Emptied), Draining, process.CauseExit, "started, ready, ending, grace, signal, drain"},
		{"leader leaves others behind", on(Spawned, Succeeded), Stopping, process.CauseExit, "started, ready, ending, grace, signal"},
		{"others ignore the signal", on(Spawned, Exited, GraceOver, Emptied), Draining, process.CauseExit, "started, ready, ending, grace, signal, kill, drain"},
		{"leader left its group", on(Spawned, Emptied, LeaderLate, Exited), Draining, process.CauseExit, "started, ready, await leader, ending, kill leader, drain"},
		{"and cannot be killed", on(Spawned, Emptied, LeaderLate, KillOver), Stopping, 0, "started, ready, await leader, ending, kill leader, stuck"},
		{"and is killed again", then(on(Spawned, Emptied, LeaderLate, KillOver), end, Exited), Draining, process.CauseStop,
			"started, ready, await leader, ending, kill leader, stuck, kill leader, drain"},
		{"leader ended unseen", on(Spawned, Emptied, Lost), Draining, process.CauseLost, "started, ready, await leader, ending, drain"},
		{"stop", then(on(Spawned), end, Exited, Emptied), Draining, process.CauseStop, "started, ready, ending, grace, signal, drain"},
		{"stop, the group is empty first", then(on(Spawned), end, Emptied, Exited), Draining, process.CauseStop, "started, ready, ending, grace, signal, await leader, drain"},
		{"stop, kill", then(on(Spawned), end, GraceOver, Exited, Emptied), Draining, process.CauseStop, "started, ready, ending, grace, signal, kill, drain"},
		{"stuck", then(on(Spawned), end, GraceOver, KillOver), Stopping, process.CauseStop, "started, ready, ending, grace, signal, kill, stuck"},
		{"stuck, killed again", then(on(Spawned), end, GraceOver, KillOver, end, KillOver), Stopping, process.CauseStop,
			"started, ready, ending, grace, signal, kill, stuck, kill, stuck"},
		{"the first cause counts", then(on(Spawned), dead, end, Exited, Emptied), Draining, process.CauseDeadline, "started, ready, ending, grace, signal, drain"},
		{"stop before the leader is there", then(nil, end, Spawned, Exited, Emptied), Draining, process.CauseStop, "ending, grace, signal, drain"},
		{"stop, and there will be no leader", then(nil, end, SpawnFailed), Draining, process.CauseStop, "ending, grace, drain"},
		{"stop, the leader is late", then(nil, end, GraceOver, Spawned, Exited, Emptied), Draining, process.CauseStop, "ending, grace, kill, kill, drain"},
		{"stop, the leader never comes", then(nil, end, GraceOver, KillOver), Stopping, process.CauseStop, "ending, grace, kill, stuck"},
		{"stop between the last exit and its notice", then(on(Spawned, Emptied), end, Succeeded), Draining, process.CauseStop, "started, ready, await leader, ending, drain"},
		{"what is over stays over", on(SpawnFailed, Spawned, Exited, Emptied, GraceOver, KillOver), Draining, process.CauseStart, "ending, drain"},
		{"without a probe it is ready when it is spawned", on(Spawned, Readied), Running, 0, "started, ready"},
		{"unhealthy", on(Spawned, Unhealthy, Exited, Emptied), Draining, process.CauseUnhealthy, "started, ready, ending, grace, signal, drain"},
		{"pause", on(Spawned, Halt, Frozen), Running, 0, "started, ready, freeze, paused"},
		{"pause twice", on(Spawned, Halt, Halt, Frozen, Halt, Frozen), Running, 0, "started, ready, freeze, paused"},
		{"pause, resume, pause", on(Spawned, Halt, Frozen, Thawed, Thawed, Halt), Running, 0, "started, ready, freeze, paused, resumed, freeze"},
		{"resume before it stands still", on(Spawned, Halt, Thawed, Frozen), Running, 0, "started, ready, freeze, resumed"},
		{"it does not stand still", on(Spawned, Halt, FreezeLate, Frozen), Running, 0, "started, ready, freeze, thaw, not paused"},
		{"there is nothing to pause yet", on(Halt, Spawned), Running, 0, "started, ready"},
		{"what ends is not paused", then(on(Spawned), end, Halt, Frozen), Stopping, process.CauseStop, "started, ready, ending, grace, signal"},
		{"what is paused ends", then(on(Spawned, Halt, Frozen), dead, Thawed, Exited, Emptied), Draining, process.CauseDeadline,
			"started, ready, freeze, paused, ending, grace, signal, drain"},
		{"the leader of what is paused is killed", on(Spawned, Halt, Frozen, Exited, FreezeLate), Stopping, process.CauseExit,
			"started, ready, freeze, paused, ending, grace, signal"},
		{"its time to be ready is of no interest any more", on(Spawned, ReadyLate), Running, 0, "started, ready"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Run
			var all []RunAction
			for _, e := range test.events {
				var actions []RunAction
				r, actions = r.Step(e)
				all = append(all, actions...)
			}
			if do := showRun(all); r.Phase != test.phase || r.Cause != test.cause || do != test.do {
				t.Errorf("phase %d, cause %v after: %s\nwant %d, %v after: %s", r.Phase, r.Cause, do, test.phase, test.cause, test.do)
			}
		})
	}
}

func TestRunThatIsAwaited(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []RunEvent
		state  process.State
		cause  process.Cause
		do     string
	}{
		{"is starting until it is ready", on(Spawned), process.Starting, 0, "started, await ready"},
		{"is ready", on(Spawned, Readied), process.Running, 0, "started, await ready, ready"},
		{"is ready once", on(Spawned, Readied, Readied, ReadyLate), process.Running, 0, "started, await ready, ready"},
		{"is not ready in time", on(Spawned, ReadyLate), process.Stopping, process.CauseStart, "started, await ready, ending, grace, signal"},
		{"is ready too late", on(Spawned, ReadyLate, Readied), process.Stopping, process.CauseStart, "started, await ready, ending, grace, signal"},
		{"is paused before it is ready", on(Spawned, Halt, Frozen), process.Paused, 0, "started, await ready, freeze, paused"},
		{"goes on, and is not ready yet", on(Spawned, Halt, Frozen, Thawed), process.Starting, 0, "started, await ready, freeze, paused, resumed"},
		{"was ready when it was paused", on(Spawned, Halt, Frozen, Readied, Thawed), process.Running, 0, "started, await ready, freeze, paused, ready, resumed"},
		{"is not paused while it does not stand still", on(Spawned, Readied, Halt), process.Running, 0, "started, await ready, ready, freeze"},
		{"ends before", on(Spawned, Exited, Emptied), process.Stopping, process.CauseExit, "started, await ready, ending, grace, signal, drain"},
		{"is stopped at once", append(on(Spawned), end), process.Stopping, process.CauseStop, "started, await ready, ending, grace, signal"},
		{"is not unhealthy before", on(Spawned, Unhealthy), process.Starting, 0, "started, await ready"},
		{"is unhealthy", on(Spawned, Readied, Unhealthy), process.Stopping, process.CauseUnhealthy, "started, await ready, ready, ending, grace, signal"},
		{"is not ready before it is spawned", on(Readied, ReadyLate, Spawned), process.Starting, 0, "started, await ready"},
		{"leaves nobody, and its exit is awaited", on(Spawned, Emptied, ReadyLate, Exited), process.Starting, process.CauseStart, "started, await ready, await leader, ending, drain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Run{Awaited: true}
			var all []RunAction
			for _, e := range test.events {
				var actions []RunAction
				r, actions = r.Step(e)
				all = append(all, actions...)
			}
			if do := showRun(all); r.State() != test.state || r.Cause != test.cause || do != test.do {
				t.Errorf("%v, cause %v after: %s\nwant %v, %v after: %s", r.State(), r.Cause, do, test.state, test.cause, test.do)
			}
		})
	}
}

// Every state that events can lead to takes every event, never goes back, and finishes
// once.
func TestEveryRunStateTakesEveryEvent(t *testing.T) {
	var events []RunEvent
	for k := Spawned; k <= Thawed; k++ {
		events = append(events, RunEvent{Kind: k, Cause: process.CauseStop})
	}
	seen := map[Run]bool{{}: true, {Awaited: true}: true}
	queue := []Run{{}, {Awaited: true}}
	for len(queue) > 0 {
		r := queue[0]
		queue = queue[1:]
		for _, e := range events {
			next, actions := r.Step(e)
			where := fmt.Sprintf("%+v, event %d: %+v after %s", r, e.Kind, next, showRun(actions))
			if next.Phase < r.Phase || r.Cause != 0 && next.Cause != r.Cause {
				t.Errorf("goes back: %s", where)
			}
			if finished := strings.Contains(showRun(actions), "finish"); finished != (next.Phase == Over && r.Phase != Over) {
				t.Errorf("finishes at the wrong time: %s", where)
			}
			if strings.Contains(showRun(actions), "ready") && !strings.Contains(showRun(actions), "await ready") != (next.Ready && !r.Ready) {
				t.Errorf("tells that it is ready at the wrong time: %s", where)
			}
			if next.Still && !next.Paused || next.Paused && (next.Phase != Running || next.Asked != NotAsked) {
				t.Errorf("paused, and it is not to be or cannot: %s", where)
			}
			if next.Phase >= Draining && next.Cause == 0 {
				t.Errorf("no cause: %s", where)
			}
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d states were seen", len(seen))
	}
}
