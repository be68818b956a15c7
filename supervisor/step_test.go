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
	doCancel: "cancel", doFinish: "finish", doForgotten: "forgotten",
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
	case doDrain:
		return "drain " + a.cause.String()
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

// play feeds events to a state, and that a run is drained when it is, and gives every
// action.
func play(s state, events ...event) (state, string) {
	var all []action
	for _, e := range events {
		var actions []action
		s, actions = step(s, e)
		all = append(all, actions...)
		if s.draining {
			s, actions = step(s, evDrained)
			all = append(all, actions...)
		}
	}
	return s, show(all)
}

var (
	resting   = state{at: process.Completed}
	cronRest  = state{at: process.Stopped, cron: true}
	scheduled = state{at: process.Scheduled, cron: true, up: true}
	running   = state{at: process.Running, up: true}
	cronRun   = state{at: process.Running, cron: true, up: true}
	starting  = state{at: process.Starting, up: true, spawning: true}
	cronStart = state{at: process.Starting, cron: true, up: true, spawning: true}
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
		{"delete at rest removes", resting, []event{evDelete}, process.Stopping, "unschedule, remove"},
		{"delete that is done", resting, []event{evDelete, evRemoved}, process.Stopping, "unschedule, remove, forgotten"},
		{"delete that cannot be", resting, []event{evDelete, evNotRemoved}, process.Completed, "unschedule, remove, removed!store"},
		{"start while it is being forgotten", resting, []event{evDelete, evStart}, process.Stopping, "unschedule, remove, refuse!not_found"},
		{"stop while it is being forgotten", resting, []event{evDelete, evStop}, process.Stopping, "unschedule, remove, stopped"},
		{"delete twice", resting, []event{evDelete, evDelete}, process.Stopping, "unschedule, remove"},
		{"schedule at rest starts nothing", cronRest, []event{evCron}, process.Stopped, "schedule"},
		{"deadline at rest is nothing", resting, []event{evDeadline}, process.Completed, ""},

		// Scheduled.
		{"start of a scheduled one is done", scheduled, []event{evStart}, process.Scheduled, "started"},
		{"restart of a scheduled one is done", scheduled, []event{evRestart}, process.Scheduled, "started"},
		{"stop of a scheduled one", scheduled, []event{evStop}, process.Stopped, "unschedule, save, stopped"},
		{"schedule runs", scheduled, []event{evCron}, process.Starting, "schedule, spawn"},
		{"delete of a scheduled one", scheduled, []event{evDelete}, process.Stopping, "unschedule, remove"},
		{"delete of a scheduled one that cannot be", scheduled, []event{evDelete, evNotRemoved}, process.Scheduled, "unschedule, remove, removed!store, schedule"},

		// Running.
		{"start of a running one is done", running, []event{evStart}, process.Running, "started"},
		{"schedule while running skips", cronRun, []event{evCron}, process.Running, "schedule"},
		{"leader exits 0, nobody left", running, []event{evEmpty, evCompleted}, process.Completed, "await leader, drain exit, finish, stopped"},
		{"leader exits 1, nobody left", running, []event{evEmpty, evExited}, process.Failed, "await leader, drain exit, finish, stopped"},
		{"leader leaves others behind", running, []event{evCompleted, evEmpty}, process.Completed, "ask, drain exit, finish, stopped"},
		{"others ignore the signal", running, []event{evExited, evGraceOver, evEmpty}, process.Failed, "ask, kill, drain exit, finish, stopped"},
		{"leader left its group", running, []event{evEmpty, evLeaderLate, evExited}, process.Failed, "await leader, kill leader, drain exit, finish, stopped"},
		{"leader left its group and cannot be ended", running, []event{evStop, evEmpty, evLeaderLate, evGiveUp}, process.Stopping,
			"unschedule, save, ask, await leader, kill leader, stopped!stuck, started!stuck, removed!stuck"},
		{"stop of a leader that left its group", running, []event{evEmpty, evStop, evLeaderLate, evExited}, process.Stopped,
			"await leader, unschedule, started!superseded, save, kill leader, drain stop, finish, stopped"},
		{"stop of a leader that is being ended", running, []event{evEmpty, evLeaderLate, evStop, evExited}, process.Stopped,
			"await leader, kill leader, unschedule, started!superseded, save, drain stop, finish, stopped"},
		{"such a leader is tried again", running, []event{evStop, evEmpty, evLeaderLate, evGiveUp, evStop, evExited}, process.Stopped,
			"unschedule, save, ask, await leader, kill leader, stopped!stuck, started!stuck, removed!stuck, unschedule, started!superseded, save, kill leader, drain stop, finish, stopped"},
		{"leader ended unseen", running, []event{evEmpty, evLost}, process.Failed, "await leader, drain lost, finish, stopped"},
		{"deadline ends the tree", running, []event{evDeadline, evCompleted, evEmpty}, process.Failed, "ask, drain deadline, finish, stopped"},
		{"deadline then stop", running, []event{evDeadline, evStop, evExited, evEmpty}, process.Stopped,
			"ask, unschedule, started!superseded, save, drain deadline, finish, stopped"},
		{"stop ends the tree", running, []event{evStop, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, drain stop, finish, stopped"},
		{"stop with SIGKILL", running, []event{evStop, evGraceOver, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, kill, drain stop, finish, stopped"},
		{"restart ends, then starts", running, []event{evRestart, evExited, evEmpty, evSpawned}, process.Running,
			"save, ask, drain stop, finish, stopped, schedule, spawn, started"},
		{"delete ends, then removes", running, []event{evDelete, evExited, evEmpty}, process.Stopping,
			"unschedule, started!superseded, save, ask, drain stop, finish, stopped, remove"},
		{"shutdown leaves the target", running, []event{evShutdown, evExited, evEmpty}, process.Stopped,
			"unschedule, started!shutting_down, ask, drain shutdown, finish, stopped"},

		// A scheduled run.
		{"scheduled again after a run", cronRun, []event{evEmpty, evExited}, process.Scheduled, "await leader, drain exit, finish, stopped, schedule, started"},
		{"stop of a scheduled run", cronRun, []event{evStop, evExited, evEmpty}, process.Stopped, "unschedule, save, ask, drain stop, finish, stopped"},
		{"restart of a scheduled run starts at once", cronRun, []event{evRestart, evExited, evEmpty}, process.Starting,
			"save, ask, drain stop, finish, stopped, schedule, spawn"},

		// Starting.
		{"spawned", starting, []event{evSpawned}, process.Running, "started"},
		{"spawn fails", starting, []event{evSpawnFailed}, process.Failed, "drain start, finish, started!start_failed, stopped"},
		{"scheduled spawn fails", cronStart, []event{evSpawnFailed}, process.Scheduled,
			"drain start, finish, started!start_failed, stopped, schedule, started"},

		{"start while starting waits", starting, []event{evStart, evSpawned}, process.Running, "started"},
		{"stop while starting", starting, []event{evStop, evSpawnFailed}, process.Stopped,
			"unschedule, save, started!superseded, cancel, drain stop, finish, stopped"},
		{"stop while starting, too late", starting, []event{evStop, evSpawned, evExited, evEmpty}, process.Stopped,
			"unschedule, save, started!superseded, cancel, ask, drain stop, finish, stopped"},
		{"restart while starting", starting, []event{evRestart, evSpawnFailed, evSpawned}, process.Running,
			"save, cancel, drain stop, finish, stopped, schedule, spawn, started"},
		{"delete while starting", starting, []event{evDelete, evSpawnFailed}, process.Stopping,
			"unschedule, started!superseded, save, cancel, drain stop, finish, stopped, remove"},
		{"shutdown while starting", starting, []event{evShutdown, evSpawnFailed}, process.Stopped,
			"unschedule, started!shutting_down, cancel, drain shutdown, finish, stopped"},

		// Stopping.
		{"start is queued", running, []event{evStop, evStart, evExited, evEmpty}, process.Starting,
			"unschedule, save, ask, save, drain stop, finish, stopped, schedule, spawn"},
		{"stop drops a queued start", running, []event{evStop, evStart, evStop, evExited, evEmpty}, process.Stopped,
			"unschedule, save, ask, save, unschedule, started!superseded, save, drain stop, finish, stopped"},
		{"delete drops a queued start", running, []event{evRestart, evDelete, evExited, evEmpty}, process.Stopping,
			"save, ask, unschedule, started!superseded, save, drain stop, finish, stopped, remove"},
		{"stop joins a delete", running, []event{evDelete, evStop, evExited, evEmpty}, process.Stopping,
			"unschedule, started!superseded, save, ask, drain stop, finish, stopped, remove"},
		{"what is being deleted does not start", running, []event{evDelete, evStart}, process.Stopping,
			"unschedule, started!superseded, save, ask, refuse!not_found"},
		{"start of a stopping schedule is scheduled", cronRun, []event{evStop, evStart, evExited, evEmpty}, process.Scheduled,
			"unschedule, save, ask, save, drain stop, finish, stopped, schedule, started"},
		{"shutdown drops a queued start", running, []event{evRestart, evShutdown, evExited, evEmpty}, process.Stopped,
			"save, ask, unschedule, started!shutting_down, drain stop, finish, stopped"},

		// Stuck.
		{"stuck tells those who wait", running, []event{evStop, evGraceOver, evGiveUp}, process.Stopping,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck"},
		{"stuck starts nothing", running, []event{evRestart, evGraceOver, evGiveUp, evStart}, process.Stopping,
			"save, ask, kill, stopped!stuck, started!stuck, removed!stuck, refuse!stuck"},
		{"stuck, then gone", running, []event{evRestart, evGraceOver, evGiveUp, evExited, evEmpty}, process.Stopped,
			"save, ask, kill, stopped!stuck, started!stuck, removed!stuck, drain stop, finish, stopped"},
		{"stop of a stuck one kills again", running, []event{evStop, evGraceOver, evGiveUp, evStop}, process.Stopping,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck, unschedule, started!superseded, save, kill"},
		{"delete of a stuck one removes when it is gone", running, []event{evStop, evGraceOver, evGiveUp, evDelete, evExited, evEmpty}, process.Stopping,
			"unschedule, save, ask, kill, stopped!stuck, started!stuck, removed!stuck, unschedule, started!superseded, save, kill, drain stop, finish, stopped, remove"},
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
		for e := evStart; e <= evNotRemoved; e++ {
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

// possible tells which events the loop can send: what was begun beside it ends once, and
// so does the leader, of a run that is there.
func possible(s state, e event) bool {
	switch e {
	case evSpawned, evSpawnFailed:
		return s.spawning
	case evDrained:
		return s.draining
	case evRemoved, evNotRemoved:
		return s.removing
	case evCompleted, evExited, evLost:
		return s.busy()
	case evEmpty:
		return s.busy()
	}
	return true
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
		count(doDrain) == 0 || e == evSpawnFailed || (from.empty || e == evEmpty) && (from.leaderGone || e == evCompleted || e == evExited || e == evLost))
	rule("what can wait for a disk is one thing at a time", !(to.spawning && to.draining || to.spawning && to.removing || to.draining && to.removing))
	rule("a run that nobody ends and that leaves nobody is not shown as stopping",
		from.shown() == process.Stopping || to.shown() != process.Stopping || to.ending != notEnding || to.then != thenRest || to.over)
	rule("nothing is spawned while there is a run", count(doSpawn) == 0 || !from.busy() || count(doFinish) == 1)
	rule("what finishes is at rest, scheduled, starts again or is forgotten", count(doFinish) == 0 || !to.busy() || to.spawning || to.removing)
	rule("a tree is asked to end once", count(doAsk) == 0 || from.ending == notEnding)
	rule("why it ends is known before it is asked", count(doAsk) == 0 || to.cause != 0)
	rule("a run's cause does not change", from.cause == 0 || !to.busy() || to.spawning || to.removing || to.cause == from.cause)
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
