package lifecycle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// world is a process with its runs in a kernel that is made up. Time passes from one
// thing that is due to the next.
type world struct {
	random   *rand.Rand
	now      time.Duration
	p        Process
	run      Run
	tree     *tree // of the run under way; nil: none
	timer    time.Duration
	timerFor RunEventKind // of the run; 0: none
	ready    time.Duration
	readyFor RunEventKind // that follows then: Readied or ReadyLate; 0: none
	still    time.Duration
	stillFor RunEventKind  // that follows then: Frozen or FreezeLate; 0: none
	retry    time.Duration // when the next attempt is to come; 0: none is
	held     bool          // something that the process needs is not there
	hour     int           // of the schedule, that came last
	waiting  []waiting
	last     uint64   // number that came to disk
	up       bool     // the target that did, of a process without a schedule
	happened []string // the last things, for a failure
	fault    string
}

// tree is what a run is made of, and how it will behave.
type tree struct {
	number    uint64
	spawnAt   time.Duration // its leader is born, or not
	unstored  bool          // its number cannot be put on disk: it never will be
	spawns    bool
	exitAt    time.Duration // the leader ends by itself, if nothing ends it before; 0: never
	emptyAt   time.Duration // so long after the leader the group is empty
	stays     bool          // the others live on when the leader has ended
	deaf      bool          // to the stop signal
	immortal  time.Duration // SIGKILL works only from then on
	away      bool          // the leader is outside its group
	immune    bool          // and may not be signalled
	leader    bool          // lives
	others    bool          // somebody is in the group
	exitTold  bool
	emptyTold bool
}

// waiting is a request and its bound.
type waiting struct {
	goal  Goal
	run   uint64 // of UntilReady and UntilEnded
	since time.Duration
}

const (
	grace       = 10 * time.Second
	killLimit   = 5 * time.Second
	leaderLimit = time.Second
	readyLimit  = 10 * time.Second
	freezeLimit = 5 * time.Second
)

func (w *world) fail(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

func (w *world) note(format string, args ...any) {
	w.happened = append(w.happened, fmt.Sprintf("%v "+format, append([]any{w.now}, args...)...))
	w.happened = w.happened[max(0, len(w.happened)-40):]
}

// feed gives an event to the process and carries out what it says.
func (w *world) feed(e Event) {
	e.Held = w.held
	var actions []Action
	e.Now, e.Random = w.now, w.random.Float64()
	w.p, actions = w.p.Step(e)
	w.note("event %+v: %s; state %v", e, show(actions), w.p.State())
	if w.p.Rest == process.Waiting && !w.p.Busy() { // that is on disk, too
		w.up = w.p.Up
	}
	if w.p.Rest == process.Scheduled && !w.p.Busy() && !(w.p.Up && w.p.Scheduled) {
		w.fail("it waits for a time, and is not to be up, or has no schedule: %+v", w.p)
	}
	if len(w.p.Runs) > 1 {
		w.fail("two runs")
	}
	if w.tree != nil && len(w.p.Runs) == 1 && w.p.Runs[0].Still && w.p.Runs[0].Phase == Running && !w.run.Still {
		w.fail("the run is called paused, and is not: %+v, %+v", w.p, w.run)
	}
	for _, a := range actions {
		switch a.Do {
		case Answer:
			w.answer(a)
		case Refuse:
			w.waiting = w.waiting[:len(w.waiting)-1]
		case Spawn:
			if w.held {
				w.fail("run %d begins without what it needs", a.Run)
			}
			w.spawn(a.Run)
		case EndRun:
			if w.tree == nil || w.tree.number != a.Run {
				w.fail("there is no run %d to end", a.Run)
				return
			}
			w.feedRun(RunEvent{Kind: End, Cause: a.Cause})
		case PauseRun:
			w.feedRun(RunEvent{Kind: Halt})
		case ResumeRun:
			if w.random.IntN(8) == 0 {
				w.feed(Event{Kind: RunNotResumed, Run: a.Run})
			} else {
				w.feedRun(RunEvent{Kind: Thawed})
			}
		case Remove:
			if w.tree != nil {
				w.fail("removed while it runs")
			}
			w.feed(Event{Kind: []EventKind{Forgotten, NotForgotten}[w.random.IntN(2)]})
		case AwaitRetry:
			w.retry = w.p.Attempts.Next
		case DropRetry:
			w.retry = 0
		}
	}
}

func (w *world) answer(a Action) {
	w.waiting = slices.DeleteFunc(w.waiting, func(r waiting) bool { return r.goal == a.Goal && (a.Run == 0 || a.Run == r.run) })
}

func (w *world) spawn(number uint64) {
	if w.tree != nil {
		w.fail("run %d begins while run %d goes on", number, w.tree.number)
		return
	}
	if number != w.last+1 {
		w.fail("run %d begins, and %d was the last", number, w.last)
	}
	chance := func(n int) bool { return w.random.IntN(n) == 0 }
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(w.random.Int64N(int64(b-a))) }
	w.run, w.readyFor = Run{Awaited: chance(2)}, 0
	w.tree = &tree{
		number: number, spawnAt: w.now + between(1, 20*time.Millisecond), spawns: !chance(8), unstored: chance(8),
		stays: chance(3), deaf: chance(4), away: chance(6), immune: chance(12), emptyAt: between(0, 10*time.Millisecond),
	}
	if !chance(3) {
		w.tree.exitAt = w.now + between(1, time.Minute)
	}
	if chance(8) {
		w.tree.immortal = w.now + between(0, time.Minute)
	}
	if chance(30) {
		w.tree.spawnAt += between(0, 30*time.Second) // the disk is slow
	}
}

func (w *world) feedRun(e RunEvent) {
	if w.tree == nil {
		return
	}
	var actions []RunAction
	w.run, actions = w.run.Step(e)
	w.note("run event %+v: %s", e, showRun(actions))
	number := w.tree.number
	for _, a := range actions {
		switch a {
		case StartGrace:
			w.timer, w.timerFor = w.now+grace, GraceOver
		case SignalTree:
			if !w.tree.deaf {
				w.tree.others = false
				w.tree.leader = w.tree.leader && w.tree.away
			}
		case KillTree:
			w.timer, w.timerFor = w.now+killLimit, KillOver
			w.kill()
		case KillLeader:
			w.timer, w.timerFor = w.now+killLimit, KillOver
			if !w.tree.immune {
				w.tree.leader = false
			}
		case AwaitLeader:
			w.timer, w.timerFor = w.now+leaderLimit, LeaderLate
		case TellStarted:
			w.feed(Event{Kind: RunStarted, Run: number})
		case AwaitReady:
			w.ready, w.readyFor = w.now+time.Duration(w.random.Int64N(int64(readyLimit))), Readied
			if w.random.IntN(4) == 0 {
				w.ready, w.readyFor = w.now+readyLimit, ReadyLate
			}
		case TellReady:
			w.feed(Event{Kind: RunReady, Run: number})
		case FreezeTree:
			w.still, w.stillFor = w.now+time.Duration(w.random.Int64N(int64(freezeLimit))), Frozen
			if w.random.IntN(4) == 0 {
				w.still, w.stillFor = w.now+freezeLimit, FreezeLate
			}
		case TellPaused:
			w.feed(Event{Kind: RunPaused, Run: number})
		case TellNotPaused:
			w.feed(Event{Kind: RunNotPaused, Run: number})
		case TellResumed:
			w.stillFor = 0
			w.feed(Event{Kind: RunResumed, Run: number})
		case TellEnding:
			w.feed(Event{Kind: RunEnding, Run: number})
		case TellStuck:
			w.feed(Event{Kind: RunStuck, Run: number})
		case Drain:
			if w.tree.leader || w.tree.others {
				w.fail("over while somebody lives")
			}
			w.timer, w.timerFor = w.now+time.Duration(w.random.Int64N(int64(time.Second))), Drained
		case Finish:
			ended := Event{Kind: RunEnded, Run: number, Cause: w.run.Cause, Success: w.run.Success}
			w.tree, w.timerFor, w.readyFor, w.stillFor = nil, 0, 0, 0
			w.feed(ended)
			return
		}
	}
}

func (w *world) kill() {
	if w.now >= w.tree.immortal {
		w.tree.others = false
		w.tree.leader = w.tree.leader && w.tree.away
	}
}

// pass lets the next thing happen.
func (w *world) pass() {
	t := w.tree
	if t == nil {
		if w.now += time.Second; w.retry != 0 && w.now >= w.retry {
			w.retry = 0
			w.feed(Event{Kind: Retry})
		}
		return
	}
	type thing struct {
		at time.Duration
		do func()
	}
	var things []thing
	add := func(at time.Duration, do func()) { things = append(things, thing{max(at, w.now), do}) }
	if !w.run.Born && w.run.Phase < Draining {
		add(t.spawnAt, func() {
			if t.unstored {
				w.tree, w.timerFor = nil, 0
				w.feed(Event{Kind: RunUnstored, Run: t.number})
				if w.p.Up != w.up && !w.p.Scheduled {
					w.fail("up is %v after a start that never was", w.p.Up)
				}
				return
			}
			w.last, w.up = t.number, w.p.Up
			if !t.spawns {
				w.feedRun(RunEvent{Kind: SpawnFailed})
				return
			}
			t.leader, t.others = true, !t.away
			w.feedRun(RunEvent{Kind: Spawned})
		})
	} else if w.run.Phase < Draining {
		if t.leader && t.exitAt > 0 {
			add(t.exitAt, func() { t.leader, t.others = false, t.others && t.stays })
		}
		if !t.leader && !t.exitTold {
			add(w.now, func() {
				t.exitTold = true
				w.feedRun(RunEvent{Kind: []RunEventKind{Succeeded, Exited, Lost}[w.random.IntN(3)]})
			})
		}
		if !t.others && !t.emptyTold {
			add(w.now+t.emptyAt, func() {
				t.emptyTold = true
				w.feedRun(RunEvent{Kind: Emptied})
			})
		}
	}
	if w.timerFor != 0 {
		add(w.timer, func() {
			e := w.timerFor
			w.timerFor = 0
			w.feedRun(RunEvent{Kind: e})
		})
	}
	if w.readyFor != 0 {
		add(w.ready, func() {
			e := w.readyFor
			w.readyFor = 0
			w.feedRun(RunEvent{Kind: e})
		})
	}
	if w.stillFor != 0 {
		add(w.still, func() {
			e := w.stillFor
			w.stillFor = 0
			w.feedRun(RunEvent{Kind: e})
		})
	}
	if w.run.Asked == Killed && t.immortal > w.now && (t.leader || t.others) {
		add(t.immortal, w.kill)
	}
	if len(things) == 0 {
		w.now += time.Second
		return
	}
	next := slices.MinFunc(things, func(a, b thing) int { return int(a.at - b.at) })
	w.now = next.at
	next.do()
}

func (w *world) ask(k EventKind) {
	goals := map[EventKind][]Goal{Start: {UntilStarted, UntilReady, UntilEnded}, Restart: {UntilStarted, UntilReady, UntilEnded}, Stop: {UntilStopped}, Delete: {UntilRemoved},
		Pause: {UntilPaused}, Resume: {UntilResumed}}[k]
	r := waiting{goal: goals[w.random.IntN(len(goals))], since: w.now}
	if r.goal == UntilReady || r.goal == UntilEnded {
		r.run = w.p.Awaits(k)
	}
	w.waiting = append(w.waiting, r)
	w.feed(Event{Kind: k})
	w.up = w.up && w.p.Up // a stop holds
}

// overdue is a request that has waited longer than it may: for the end of one run, with
// what it takes to see it, and for the start of the next.
func (w *world) overdue() *waiting {
	for i, r := range w.waiting {
		bound := grace + killLimit + leaderLimit + killLimit + time.Second
		switch {
		case w.p.Rest == process.Waiting && !w.p.Busy() && r.goal != UntilStopped && r.goal != UntilRemoved: // for what it needs
			w.waiting[i].since = w.now
			continue
		}
		switch r.goal {
		case UntilEnded: // a run may take its time
			continue
		case UntilPaused:
			bound = freezeLimit
		case UntilResumed:
			bound = 0
		case UntilStarted, UntilReady:
			bound += 31 * time.Second // the slowest spawn that this world has
		}
		if r.goal == UntilReady {
			bound += readyLimit
		}
		if w.now-r.since > bound {
			return &w.waiting[i]
		}
	}
	return nil
}

// times has something happen to the schedule.
func (w *world) times() {
	w.hour++
	t := noon.Add(time.Duration(w.hour) * time.Hour)
	switch w.random.IntN(8) {
	case 0:
		w.hour++
		w.feed(Event{Kind: CatchUp, Times: []time.Time{t, t.Add(time.Hour)}, Reason: "it slept"})
		w.feed(Event{Kind: WorkOff})
	case 1:
		w.feed(Event{Kind: Missed, Time: t, Reason: "it slept"})
	case 2:
		w.feed(Event{Kind: []EventKind{PauseSchedule, ResumeSchedule, ResumeSchedule}[w.random.IntN(3)]})
	case 3:
		w.feed(Event{Kind: SkipNext, Time: t.Add(time.Hour)})
	default:
		w.feed(Event{Kind: Due, Time: t})
	}
}

// Millions of steps of made-up lives: no two runs, no finish while somebody lives, each
// request answered within its bound, and every run that can end does.
func TestRandomLives(t *testing.T) {
	steps := 3_000_000
	if testing.Short() {
		steps = 100_000
	}
	for life, done := uint64(0), 0; done < steps; life++ {
		w := &world{random: rand.New(rand.NewPCG(1, life))}
		w.p = Process{Rest: process.Stopped, Policy: policy(w.random)}
		if w.random.IntN(2) == 0 {
			w.p.Scheduled = true
		}
		for range 50 + w.random.IntN(200) {
			done++
			if w.p.Removed {
				break
			}
			switch w.random.IntN(15) {
			case 13:
				w.ask(Pause)
			case 14:
				w.ask(Resume)
			case 12:
				w.feed(Event{Kind: Repolicied, Policy: policy(w.random)})
			case 0:
				w.ask(Start)
			case 1:
				w.ask(Stop)
			case 2:
				w.ask(Restart)
			case 3:
				if w.random.IntN(5) == 0 {
					w.ask(Delete)
				}
			case 4:
				if w.p.Scheduled {
					w.times()
				}
			case 5:
				if w.random.IntN(40) == 0 {
					w.feed(Event{Kind: Shutdown})
				}
			case 6:
				w.held = w.random.IntN(3) == 0
				e := Event{Kind: NeedsChanged, Lost: w.held && w.random.IntN(2) == 0}
				w.feed(e)
				if waits := w.p.Rest == process.Waiting && !w.p.Busy() && !w.p.Removing && !w.p.Closing; waits && (!w.held || e.Lost && slices.ContainsFunc(w.waiting, func(r waiting) bool { return r.goal == UntilStarted })) {
					w.fail("it waits, held: %v, lost: %v", w.held, e.Lost)
				}
			default:
				w.pass()
			}
			if r := w.overdue(); r != nil {
				w.fail("nobody has answered %+v", *r)
			}
			if w.fault != "" {
				break
			}
		}
		// Now everybody is left in peace, and asked to end: all must come to rest.
		if !w.p.Removed && w.fault == "" {
			w.ask(Stop)
			for range 100 {
				w.pass()
			}
			switch {
			case len(w.waiting) > 0:
				w.fail("nobody has answered %+v", w.waiting)
			case w.tree != nil && !(w.tree.immune && w.run.Asked == Stuck) && !(w.tree.immortal > 0):
				w.fail("run %d never ends: %+v, %+v", w.tree.number, w.run, *w.tree)
			case w.tree == nil && w.p.Busy(), w.tree != nil && !w.p.Busy():
				w.fail("the process does not know what runs")
			case len(w.p.Backlog) > 0 && !w.p.Closing:
				w.fail("it was stopped, and is to catch up")
			case w.retry != 0, w.p.Rest == process.Backoff:
				w.fail("it was stopped, and an attempt is to come")
			}
		}
		if w.fault != "" {
			t.Errorf("life %d: %s", life, w.fault)
			for _, line := range w.happened {
				t.Log(line)
			}
			return
		}
	}
}
