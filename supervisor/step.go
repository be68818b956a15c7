package supervisor

import (
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// state is what the lifecycle of one process depends on, and nothing else.
type state struct {
	at   process.State
	cron bool // the spec has a schedule
	up   bool // the target: false once stop was asked for
	over bool // the daemon ends

	// Work of the loop's that can wait for a disk is under way: one of
	spawning bool // a run is being stored and spawned
	draining bool // of a run that is over the output is moved
	removing bool // the process is being forgotten

	// Of the current run, while at is Starting, Running or Stopping.
	quiet      process.State // what it was, and is shown as, while it ends without being asked to
	then       then          // what follows when it has ended
	cause      process.Cause // why it ends; 0: by itself, see the leader's exit
	leaderGone bool
	completed  bool // the leader exited 0, by itself
	empty      bool // the group
	ending     ending

	rested process.State // while removing: where it goes back to if it cannot be
}

// then is what follows the end of a run.
type then uint8

const (
	thenRest   then = iota // by its result; with a schedule: scheduled again
	thenStop               // stopped
	thenStart              // the next run: a restart, or a start that came meanwhile
	thenRemove             // forgotten
)

// ending is how far the end of a tree has come.
type ending uint8

const (
	notEnding ending = iota
	asked            // the stop signal is sent, the grace period runs
	killed           // SIGKILL is sent
	stuck            // SIGKILL did not end it in time
)

// event is what can happen to a process.
type event uint8

const (
	evStart       event = iota // by name; the first start of a new process too
	evStop                     //
	evRestart                  //
	evDelete                   //
	evShutdown                 // the daemon ends
	evCron                     // the scheduled time has come
	evDeadline                 // the run's deadline has passed
	evSpawned                  // the leader runs
	evSpawnFailed              // it could not be started
	evCompleted                // the leader exited 0
	evExited                   // the leader exited otherwise
	evLost                     // the leader has ended, how is not known
	evEmpty                    // the group is empty
	evLeaderLate               // the group is empty, the leader is not seen to exit: it left
	evGraceOver                // the tree has not ended on the stop signal
	evGiveUp                   // nor on SIGKILL
	evDrained                  // the run's result is known
	evRemoved                  // the process is forgotten
	evNotRemoved               // it could not be
)

// goal is what a request waits for.
type goal uint8

const (
	goalStarted goal = iota + 1
	goalStopped
	goalRemoved
)

// action is an effect, to be carried out in order.
type action struct {
	do    effect
	goal  goal          // of settle
	code  process.Code  // of settle: the error; "" for done
	cause process.Cause // of drain: why the run ended
}

type effect uint8

const (
	doSettle      effect = iota // the requests that wait for goal are answered
	doRefuse                    // the request that came is answered with code
	doSave                      // the target goes to disk
	doSchedule                  // compute the next time
	doUnschedule                //
	doSpawn                     // the next run: evSpawned or evSpawnFailed follows
	doCancel                    // do not spawn it, if that can be helped; one of the two follows
	doAsk                       // send the stop signal, start the grace period
	doKill                      // SIGKILL to the whole tree
	doKillLeader                // SIGKILL to the leader, outside its group
	doAwaitLeader               // evLeaderLate follows unless the leader's exit is seen
	doDrain                     // nobody is left: find out the result; evDrained follows
	doFinish                    // record the result, remove the group
	doRemove                    // forget the process: evRemoved or evNotRemoved follows
	doForgotten                 // it is no more
)

// step is the lifecycle: what an event does in each state. It is pure; the
// table in the package comment is its description.
func step(s state, e event) (state, []action) {
	switch e {
	case evStart:
		return s.start()
	case evRestart:
		if s.at == process.Starting || s.at == process.Running {
			s.then, s.up = thenStart, true
			return s.end(process.CauseStop, action{do: doSave})
		}
		return s.start()
	case evStop:
		return s.stop()
	case evDelete:
		return s.remove()
	case evShutdown:
		return s.shutdown()
	case evCron:
		if s.at == process.Scheduled {
			return s.spawn(action{do: doSchedule})
		}
		return s, []action{{do: doSchedule}} // skipped
	case evDeadline:
		if s.at == process.Running {
			return s.end(process.CauseDeadline)
		}
	case evSpawned:
		s.spawning = false
		if s.at == process.Stopping { // as was asked meanwhile
			return s.end(s.cause)
		}
		s.at = process.Running
		return s, []action{settle(goalStarted)}
	case evSpawnFailed:
		s.spawning, s.leaderGone, s.empty = false, true, true
		if s.cause == 0 {
			s.cause = process.CauseStart
		}
		return s.drain()
	case evDrained:
		return s.finish()
	case evRemoved:
		return s, []action{{do: doForgotten}}
	case evNotRemoved:
		s = state{at: s.rested, cron: s.cron, up: s.up, over: s.over}
		actions := []action{fail(goalRemoved, process.CodeStore)}
		if s.at == process.Scheduled {
			actions = append(actions, action{do: doSchedule})
		}
		return s, actions
	case evCompleted, evExited, evLost:
		return s.leader(e)
	case evEmpty:
		return s.emptied()
	case evLeaderLate:
		if s.busy() && s.empty && !s.leaderGone {
			s.ending, s.quiet = killed, 0
			return s.joined(), []action{{do: doKillLeader}}
		}
	case evGraceOver:
		if s.ending == asked {
			s.ending = killed
			return s, []action{{do: doKill}}
		}
	case evGiveUp:
		return s.giveUp()
	}
	return s, nil
}

// onDisk reports whether nothing is under way but what can wait for a disk.
func (s state) onDisk() bool { return s.spawning || s.draining || s.removing }

// shown is the state that people see. What ends by itself and leaves nobody behind is
// never stopping.
func (s state) shown() process.State {
	if s.quiet != 0 {
		return s.quiet
	}
	return s.at
}

// quietly is for a run that ends without being asked to.
func (s state) quietly() state {
	if s.at != process.Stopping {
		s.quiet, s.at = s.at, process.Stopping
	}
	return s
}

// busy reports whether something is under way.
func (s state) busy() bool {
	return s.at == process.Starting || s.at == process.Running || s.at == process.Stopping
}

func (s state) start() (state, []action) {
	switch s.at {
	case process.Scheduled, process.Running:
		return s, []action{settle(goalStarted)}
	case process.Starting:
		return s, nil
	case process.Stopping:
		switch {
		case s.then == thenRemove:
			return s, []action{{do: doRefuse, code: process.CodeNotFound}}
		case s.ending == stuck:
			return s, []action{{do: doRefuse, code: process.CodeStuck}}
		}
		s.then, s.up = thenStart, true
		if s.cron {
			s.then = thenRest
		}
		return s, []action{{do: doSave}}
	}
	s.up = true
	if s.cron {
		s.at = process.Scheduled
		return s, []action{{do: doSchedule}, {do: doSave}, settle(goalStarted)}
	}
	return s.spawn()
}

// spawn begins the next run; its number, and the target with it, are stored
// on the way.
func (s state) spawn(first ...action) (state, []action) {
	s = state{at: process.Starting, cron: s.cron, up: s.up, over: s.over, spawning: true}
	return s, append(first, action{do: doSpawn})
}

func (s state) stop() (state, []action) {
	wasUp := s.up
	s.up = false
	switch s.at {
	case process.Stopping:
		if s.removing {
			return s, []action{settle(goalStopped)}
		}
		if s.then == thenRemove {
			return s, nil
		}
		s.then, s.quiet = thenStop, 0
		return s.joined().killAgain(action{do: doUnschedule}, fail(goalStarted, process.CodeSuperseded), action{do: doSave})
	case process.Starting, process.Running:
		s.then = thenStop
		first := []action{{do: doUnschedule}, {do: doSave}}
		if s.spawning {
			first = append(first, fail(goalStarted, process.CodeSuperseded))
		}
		return s.end(process.CauseStop, first...)
	case process.Scheduled:
		s.at = process.Stopped
		return s, []action{{do: doUnschedule}, {do: doSave}, settle(goalStopped)}
	}
	if wasUp { // a schedule that cannot be read now must not come back with the next daemon
		return s, []action{{do: doSave}, settle(goalStopped)}
	}
	return s, []action{settle(goalStopped)}
}

// joined is for a leader that is being ended because it has left its group, and that
// somebody wants ended now.
func (s state) joined() state {
	if s.cause == 0 && s.ending != notEnding && s.then != thenRest {
		s.cause = process.CauseStop
	}
	return s
}

// killAgain is a further try at a tree that is stuck.
func (s state) killAgain(first ...action) (state, []action) {
	if s.ending == stuck {
		s.ending = killed
		if s.empty {
			return s, append(first, action{do: doKillLeader})
		}
		first = append(first, action{do: doKill})
	}
	return s, first
}

func (s state) remove() (state, []action) {
	if !s.busy() {
		return s.forget(action{do: doUnschedule})
	}
	if s.removing {
		return s, nil
	}
	s.then, s.up, s.quiet = thenRemove, false, 0
	first := []action{{do: doUnschedule}, fail(goalStarted, process.CodeSuperseded), {do: doSave}}
	if s.at == process.Stopping {
		return s.joined().killAgain(first...)
	}
	return s.end(process.CauseStop, first...)
}

// forget removes a process that has no run.
func (s state) forget(first ...action) (state, []action) {
	s.rested, s.at, s.then, s.removing = s.at, process.Stopping, thenRemove, true
	return s, append(first, action{do: doRemove})
}

// shutdown ends the tree and leaves the target alone.
func (s state) shutdown() (state, []action) {
	s.over = true
	first := []action{{do: doUnschedule}, fail(goalStarted, process.CodeShuttingDown)}
	if s.then == thenStart {
		s.then = thenRest
	}
	if s.at == process.Starting || s.at == process.Running {
		return s.end(process.CauseShutdown, first...)
	}
	return s, first
}

// end asks the tree to end, for a reason. One that is being spawned is not, or it is
// asked when it is there.
func (s state) end(cause process.Cause, first ...action) (state, []action) {
	s.at, s.cause = process.Stopping, cause
	if s.spawning {
		return s, append(first, action{do: doCancel})
	}
	s.ending = asked
	return s, append(first, action{do: doAsk})
}

// leader is the leader's exit. What it left behind is ended too.
func (s state) leader(e event) (state, []action) {
	if s.leaderGone || s.onDisk() {
		return s, nil
	}
	s.leaderGone = true
	if s.cause == 0 {
		s.cause, s.completed = process.CauseExit, e == evCompleted
		if e == evLost {
			s.cause = process.CauseLost
		}
	}
	switch {
	case s.empty:
		return s.drain()
	case s.at == process.Stopping && s.ending != notEnding:
		return s, nil
	}
	return s.end(s.cause)
}

func (s state) emptied() (state, []action) {
	if !s.busy() || s.empty || s.onDisk() {
		return s, nil
	}
	s.empty = true
	if s.leaderGone {
		return s.drain()
	}
	return s.quietly(), []action{{do: doAwaitLeader}}
}

// drain is the end of a tree: nobody is left.
func (s state) drain() (state, []action) {
	s = s.quietly()
	s.draining = true
	return s, []action{{do: doDrain, cause: s.cause}}
}

func (s state) giveUp() (state, []action) {
	if s.ending != killed {
		return s, nil
	}
	s.ending = stuck
	if s.then != thenRest {
		s.then = thenStop // those who asked for more are told that it failed
	}
	return s, []action{
		fail(goalStopped, process.CodeStuck), fail(goalStarted, process.CodeStuck), fail(goalRemoved, process.CodeStuck),
	}
}

// finish is the end of a run.
func (s state) finish() (state, []action) {
	next := s.then
	actions := []action{{do: doFinish}, settle(goalStopped)}
	if s.cause == process.CauseStart {
		// Before it is at rest: who waits for a scheduled process would be told that all is well.
		actions = slices.Insert(actions, 1, fail(goalStarted, process.CodeStart))
	}
	s = state{at: s.rest(), cron: s.cron, up: s.up, over: s.over}
	switch {
	case next == thenRemove:
		return s.forget(actions...)
	case next == thenStart:
		after, more := s.spawn(action{do: doSchedule})
		return after, append(actions, more...)
	case s.at == process.Scheduled:
		actions = append(actions, action{do: doSchedule}, settle(goalStarted))
	}
	return s, actions
}

// rest is where a process is when its run has ended.
func (s state) rest() process.State {
	switch {
	case s.then == thenStop, s.then == thenRemove:
		return process.Stopped
	case s.over && s.cause == process.CauseShutdown:
		return process.Stopped
	case s.cron && s.up: // after the shutdown of a daemon that was killed meanwhile too
		return process.Scheduled
	case s.cause == process.CauseStop, s.cause == process.CauseShutdown:
		return process.Stopped
	case s.completed:
		return process.Completed
	}
	return process.Failed
}

func settle(g goal) action                  { return action{do: doSettle, goal: g} }
func fail(g goal, code process.Code) action { return action{do: doSettle, goal: g, code: code} }
