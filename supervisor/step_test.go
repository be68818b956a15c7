package supervisor

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var effectNames = map[effect]string{
	doRefuse: "refuse", doSave: "save", doSchedule: "schedule", doUnschedule: "unschedule", doSpawn: "spawn", doAsk: "ask",
	doKill: "kill", doKillLeader: "kill leader", doAwaitLeader: "await leader", doRemove: "remove",
}

func (a action) String() string {
	switch a.do {
	case doSettle:
		text := [...]string{"", "started", "stopped", "removed"}[a.goal]
		if a.code != "" {
			text += "!" + string(a.code)
		}
		return text
	case doRefuse:
		return "refuse!" + string(a.code)
	case doFinish:
		return "finish " + a.cause.String()
	}
	return effectNames[a.do]
}

func show(actions []action) string {
	var all []string
	for _, a := range actions {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

// play feeds events to a state and gives every action.
func play(s state, events ...event) (state, string) {
	var all []action
	for _, e := range events {
		var actions []action
		s, actions = step(s, e)
		all = append(all, actions...)
	}
	return s, show(all)
}

var (
	resting   = state{at: process.Completed}
	cronRest  = state{at: process.Stopped, cron: true}
	scheduled = state{at: process.Scheduled, cron: true, up: true}
	running   = state{at: process.Running, up: true}
	cronRun   = state{at: process.Running, cron: true, up: true}
)

func TestLifecycle(t *testing.T) {
	for _, test := range []struct {
		name   string
		from   state
		events []event
		at     process.State
		do     string
	}{
		// At rest.
		{"start starts", resting, []event{evStart}, process.Starting, "spawn"},
		{"start of a schedule waits", cronRest, []event{evStart}, process.Scheduled, "schedule, save, started"},
		{"stop at rest changes nothing", resting, []event{evStop}, process.Completed, "stopped"},
		{"restart at rest starts", resting, []event{evRestart}, process.Starting, "spawn"},
		{"delete at rest removes", resting, []event{evDelete}, process.Completed, "unschedule, remove"},
		{"schedule at rest starts nothing", cronRest, []event{evCron}, process.Stopped, "schedule"},
		{"deadline at rest is nothing", resting, []event{evDeadline}, process.Completed, ""},

		// Scheduled.
		{"start of a scheduled one is done", scheduled, []event{evStart}, process.Scheduled, "started"},
		{"restart of a scheduled one is done", scheduled, []event{evRestart}, process.Scheduled, "started"},
		{"stop of a scheduled one", scheduled, []event{evStop}, process.Stopped, "unschedule, save, stopped"},
		{"schedule runs", scheduled, []event{evCron}, process.Starting, "schedule, spawn"},
		{"delete of a scheduled one", scheduled, []event{evDelete}, process.Scheduled, "unschedule, remove"},

		// Running.
		{"start of a running one is done", running, []event{evStart}, process.Running, "started"},
		{"schedule while running skips", cronRun, []event{evCron}, process.Running, "schedule"},
		{"leader exits 0, nobody left", running, []event{evEmpty, evCompleted}, process.Completed, "await leader, finish exit, stopped"},
		{"leader exits 1, nobody left", running, []event{evEmpty, evExited}, process.Failed, "await leader, finish exit, stopped"},
		{"leader leaves others behind", running, []event{evCompleted, evEmpty}, process.Completed, "ask, finish exit, stopped"},
		{"others ignore the signal", running, []event{evExited, evGraceOver, evEmpty}, process.Failed, "ask, kill, finish exit, stopped"},
		{"leader left its group", running, []event{evEmpty, evLeaderLate, evExited}, process.Failed, "await leader, kill leader, finish exit, stopped"},
		{"leader ended unseen", running, []event{evEmpty, evLost}, process.Failed, "await leader, finish lost, stopped"},
		{"deadline ends the tree", running, []event{evDeadline, evCompleted, evEmpty}, process.Failed, "ask, finish deadline, stopped"},
		{"deadline then stop", running, []event{evDeadline, evStop, evExited, evEmpty}, process.Stopped,
			"ask, unschedule, started!superseded, save, finish deadline, stopped"},
		{"stop ends the tree", running, []event{evStop, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, finish stop, stopped"},
		{"stop with SIGKILL", running, []event{evStop, evGraceOver, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, kill, finish stop, stopped"},
		{"restart ends, then starts", running, []event{evRestart, evExited, evEmpty, evSpawned}, process.Running,
			"save, ask, finish stop, stopped, schedule, spawn, started"},
		{"delete ends, then removes", running, []event{evDelete, evExited, evEmpty}, process.Stopped,
			"unschedule, started!superseded, save, ask, finish stop, stopped, remove"},
		{"shutdown leaves the target", running, []event{evShutdown, evExited, evEmpty}, process.Stopped,
			"unschedule, started!shutting_down, ask, finish shutdown, stopped"},

		// A scheduled run.
		{"scheduled again after a run", cronRun, []event{evEmpty, evExited}, process.Scheduled, "await leader, finish exit, stopped, schedule, started"},
		{"stop of a scheduled run", cronRun, []event{evStop, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, finish stop, stopped"},
		{"restart of a scheduled run starts at once", cronRun, []event{evRestart, evExited, evEmpty}, process.Starting,
			"save, ask, finish stop, stopped, schedule, spawn"},

		// Starting.
		{"spawned", state{at: process.Starting, up: true}, []event{evSpawned}, process.Running, "started"},
		{"spawn fails", state{at: process.Starting, up: true}, []event{evSpawnFailed}, process.Failed, "finish start, started!start_failed, stopped"},
		{"scheduled spawn fails", state{at: process.Starting, cron: true, up: true}, []event{evSpawnFailed}, process.Scheduled,
			"finish start, started!start_failed, stopped, schedule, started"},

		// Stopping.
		{"start is queued", running, []event{evStop, evStart, evExited, evEmpty}, process.Starting,
			"unschedule, save, ask, save, finish stop, stopped, schedule, spawn"},
		{"stop drops a queued start", running, []event{evStop, evStart, evStop, evExited, evEmpty}, process.Stopped,
			"unschedule, save, ask, save, unschedule, started!superseded, save, finish stop, stopped"},
		{"delete drops a queued start", running, []event{evRestart, evDelete, evExited, evEmpty}, process.Stopped,
			"save, ask, unschedule, started!superseded, save, finish stop, stopped, remove"},
		{"stop joins a delete", running, []event{evDelete, evStop, evExited, evEmpty}, process.Stopped,
			"unschedule, started!superseded, save, ask, finish stop, stopped, remove"},
		{"what is being deleted does not start", running, []event{evDelete, evStart}, process.Stopping,
			"unschedule, started!superseded, save, ask, refuse!not_found"},
		{"start of a stopping schedule is scheduled", cronRun, []event{evStop, evStart, evExited, evEmpty}, process.Scheduled,
			"unschedule, save, ask, save, finish stop, stopped, schedule, started"},
		{"shutdown drops a queued start", running, []event{evRestart, evShutdown, evExited, evEmpty}, process.Stopped,
			"save, ask, unschedule, started!shutting_down, finish stop, stopped"},

		// Stuck.
		{"stuck tells those who wait", running, []event{evStop, evGraceOver, evGiveUp}, process.Stopping,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck"},
		{"stuck starts nothing", running, []event{evRestart, evGraceOver, evGiveUp, evStart}, process.Stopping,
			"save, ask, kill, stopped!stuck, started!stuck, removed!stuck, refuse!stuck"},
		{"stuck, then gone", running, []event{evRestart, evGraceOver, evGiveUp, evExited, evEmpty}, process.Stopped,
			"save, ask, kill, stopped!stuck, started!stuck, removed!stuck, finish stop, stopped"},
		{"stop of a stuck one kills again", running, []event{evStop, evGraceOver, evGiveUp, evStop}, process.Stopping,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck, unschedule, started!superseded, save, kill"},
		{"delete of a stuck one removes when it is gone", running, []event{evStop, evGraceOver, evGiveUp, evDelete, evExited, evEmpty}, process.Stopped,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck, unschedule, started!superseded, save, kill, finish stop, stopped, remove"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, do := play(test.from, test.events...)
			if got.at != test.at || do != test.do {
				t.Errorf("is %v after: %s\nwant %v after: %s", got.at, do, test.at, test.do)
			}
		})
	}
}

// TestLifecycleHoldsItsRules walks every state that can be reached by any order of
// events and looks at rules that hold in all of them.
func TestLifecycleHoldsItsRules(t *testing.T) {
	type node struct {
		s    state
		path []event
	}
	seen := map[state]bool{}
	var queue []node
	for _, s := range []state{resting, cronRest, scheduled} {
		seen[s] = true
		queue = append(queue, node{s, nil})
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for e := evStart; e <= evGiveUp; e++ {
			if !possible(n.s, e) {
				continue
			}
			path := append(slices.Clone(n.path), e)
			before := n.s
			after, actions := step(n.s, e)
			if again, sameActions := step(n.s, e); again != after || !reflect.DeepEqual(actions, sameActions) || before != n.s {
				t.Fatalf("%v: step is not a function", path)
			}
			for _, broken := range rules(n.s, e, after, actions) {
				t.Errorf("%s, after events %v: %+v -> %+v: %s", broken, path, n.s, after, show(actions))
			}
			removed := slices.ContainsFunc(actions, func(a action) bool { return a.do == doRemove })
			if !seen[after] && !removed {
				seen[after] = true
				queue = append(queue, node{after, path})
			}
		}
	}
	t.Logf("%d states", len(seen))
}

// possible tells which events the loop can send: those of a spawn come while
// starting and nothing else does, the leader ends once.
func possible(s state, e event) bool {
	switch e {
	case evSpawned, evSpawnFailed:
		return s.at == process.Starting
	case evCompleted, evExited, evLost:
		return (s.at == process.Running || s.at == process.Stopping) && !s.leaderGone
	case evEmpty:
		return s.at == process.Running || s.at == process.Stopping
	}
	return s.at != process.Starting
}

func rules(from state, e event, to state, actions []action) (broken []string) {
	count := func(do effect) (n int) {
		for _, a := range actions {
			if a.do == do {
				n++
			}
		}
		return n
	}
	index := func(do effect) int { return slices.IndexFunc(actions, func(a action) bool { return a.do == do }) }
	rule := func(name string, holds bool) {
		if !holds {
			broken = append(broken, name)
		}
	}
	rule("a run finishes only when its group is empty and its leader gone, or was never there",
		count(doFinish) == 0 || e == evSpawnFailed || (from.empty || e == evEmpty) && (from.leaderGone || e == evCompleted || e == evExited || e == evLost))
	rule("nothing is spawned while there is a run", count(doSpawn) == 0 || !from.busy() || count(doFinish) == 1)
	rule("what finishes is at rest, scheduled or starts again", count(doFinish) == 0 || !to.busy() || to.at == process.Starting)
	rule("a tree is asked to end once", count(doAsk) == 0 || from.ending == notEnding)
	rule("why it ends is known before it is asked", count(doAsk) == 0 || to.cause != 0)
	rule("a run's cause does not change", from.cause == 0 || !to.busy() || to.at == process.Starting || to.cause == from.cause)
	rule("a spawn is the last action", count(doSpawn) == 0 || index(doSpawn) == len(actions)-1)
	rule("who is busy but starting has a run that is under way", to.at != process.Running || to.ending == notEnding && to.cause == 0)
	rule("a request is answered or waits for something that is under way", answered(e, to, actions))
	return broken
}

// answered reports whether whoever sent the request e is answered, or waits for
// something that is under way.
func answered(e event, to state, actions []action) bool {
	var g goal
	switch e {
	case evStart, evRestart:
		g = goalStarted
	case evStop:
		g = goalStopped
	case evDelete:
		g = goalRemoved
	default:
		return true
	}
	for _, a := range actions {
		if a.do == doSettle && a.goal == g || a.do == doRefuse || a.do == doRemove || a.do == doSpawn {
			return true
		}
	}
	return to.busy()
}
