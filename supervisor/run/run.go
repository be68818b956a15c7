package run

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Times of the end of a run.
const (
	freezeLimit = 100 * time.Millisecond // for a tree to be frozen before it is signalled
	killLimit   = 5 * time.Second        // for a tree to be gone after SIGKILL
	leaderGrace = time.Second            // for the leader's exit to be seen when its group is empty
)

// Plan is what a run is to be.
type Plan struct {
	ID     keeper.RunID
	JobID  string
	Asked  process.Asked
	Spec   process.Spec // as it was when the run began
	Output Output
}

// Run is one execution. Its methods are called by the goroutine of its process.
type Run struct {
	Plan
	host  *Host
	owner Owner
	group Group

	machine lifecycle.Run
	ending  process.Ending     // how it is ended; the definition may change
	codes   process.Restarting // and which exit codes count as success
	phase   timer              // of the end
	limit   timer              // of the deadline
	again   timer              // to look at the group, of which it was not known whether anybody is left
	pause   time.Duration      // before that
	retry   timer              // to read the output that could not be
	backoff time.Duration      // before that
	outlive timer              // to see whether the leader outlives kills for lack of memory
	probing probing
	says    sayings
	still   pausing
	met     meeting // of its limits

	limiting limiting

	made     bool     // the group is there
	unwatch  func()   // nil: not watched
	forget   func()   // ends the watch of the memory; nil: there is none
	pump     Pump     // nil: the FIFO is gone
	held     *os.File // reads the output of an adopted run that is not read yet; nil: the keeper held none
	meter    *Meter
	orphan   *orphan // a leader that is not the keeper's child
	leader   proc.ID
	start    time.Time     // by the wall clock, which can be stepped; zero: it has not started
	boot     time.Duration // the same by the clock
	moveErr  error         // why its output is not read; nil: it is
	birth    *birth        // nil: it has not begun, or is over
	drained  *atomic.Bool  // nil: that has not begun; true: a fault of ours has ended it
	gone     *Event        // the leader's end, as it was told
	exit     *proc.Exit    // of the leader; nil: it runs, or nobody could see it
	note     endAttr       // what is to stand on the group
	noted    endAttr       // what stands there
	left     *process.LeftBehind
	unkilled bool    // SIGKILL could not be sent to the tree yet
	stirred  bool    // its memory.events has changed before it was born
	killed   oomAttr // for lack of memory in its tree
	untold   bool    // what a former worker has noted of these may not have been told
	proving  uint64  // how many of these the leader has to outlive
	outlived uint64  // and has outlived
	starved  bool    // it died of one
	refused  error   // why the leader, which has left its group, cannot be ended
	failed   error   // why it could not be started
	error    string
	result   *process.Run // nil: it is not over
}

// Event is something that happened to a run.
type Event struct {
	Run  uint64
	kind kind
	done func(*Run) // by what was done aside: takes over what came of it
	exit *proc.Exit
	gen  uint64 // of a timer
	what lifecycle.RunEventKind

	err  error   // of a probe, or of limits
	said *saying // by the run, of itself
}

type kind uint8

const (
	eventExit       kind = iota // the leader has ended
	eventChanged                // the group's events may read differently
	eventTimer                  // of the end
	eventDeadline               //
	eventAgain                  // it is time to look at the group
	eventRetry                  // it is time to read the output
	eventMemory                 // the group's memory.events may read differently
	eventOutlive                // it is time to see whether the leader has outlived a kill
	eventPids                   // the group's pids.events may read differently
	eventSlow                   // it is time to look at limits of which there is no notice
	eventProbe                  // it is time for a probe, or what had to pass has passed
	eventReadyLate              // it had its time to be ready
	eventProbed                 // a probe was answered
	eventSaid                   // the run says how it is
	eventUnnamed                // its notify socket may have lost its name
	eventUnfed                  // it has not fed its watchdog
	eventGlance                 // it is time to see whether the tree stands still
	eventLimited                // limits were written to the group, or could not be
	eventLimitsLate             // somebody has waited long enough for that
	eventDone                   // of work aside
)

// Exited is the event of a leader's end; exit is nil if nobody could see how.
func Exited(run uint64, exit *proc.Exit) Event { return Event{Run: run, kind: eventExit, exit: exit} }

// New is a run that has not begun.
func (h *Host) New(plan Plan, owner Owner) *Run {
	r := &Run{Plan: plan, host: h, owner: owner, group: h.Group(Name(plan.ID)), ending: plan.Spec.Ending, codes: plan.Spec.Restarting}
	r.phase, r.limit = r.newTimer(eventTimer), r.newTimer(eventDeadline)
	r.says.watchdog, r.still.look = r.newTimer(eventUnfed), r.newTimer(eventGlance)
	r.limiting = limiting{is: plan.Spec.Limits, want: plan.Spec.Limits, late: r.newTimer(eventLimitsLate)}
	r.met = meeting{limits: plan.Spec.Limits, slow: r.newTimer(eventSlow)}
	r.again, r.retry, r.outlive = r.newTimer(eventAgain), r.newTimer(eventRetry), r.newTimer(eventOutlive)
	r.probing = probing{spec: plan.Spec.Probing, next: r.newTimer(eventProbe), late: r.newTimer(eventReadyLate)}
	r.machine.Awaited = plan.Spec.Ready != ""
	return r
}

// Begin has the leader spawned. The run's number must be on disk.
func (r *Run) Begin() {
	if r.machine.Phase >= lifecycle.Draining { // it never will be
		return
	}
	if r.machine.Phase != lifecycle.Starting { // it was asked to end meanwhile
		r.owner.Tell(r.notSpawned(nil))
		return
	}
	b := &birth{Plan: r.Plan, host: r.host, group: r.group, changed: r.tells(eventChanged), memory: r.tells(eventMemory)}
	r.birth = b
	r.owner.Aside(func() Event {
		b.spawned()
		what := lifecycle.Spawned
		if b.err != nil {
			what = lifecycle.SpawnFailed
		}
		return Event{Run: b.ID.Run, kind: eventDone, what: what, done: b.take}
	})
}

// tells is a call that tells the owner of an event.
func (r *Run) tells(k kind) func() {
	e, owner := Event{Run: r.ID.Run, kind: k}, r.owner
	return func() { owner.Tell(e) }
}

// Cancel ends a run that has not begun and will not, because of err.
func (r *Run) Cancel(err error) []lifecycle.Event {
	return r.Handle(r.notSpawned(err))
}

// notSpawned is the event of a run that has no leader and will have none.
func (r *Run) notSpawned(err error) Event {
	return Event{Run: r.ID.Run, kind: eventDone, what: lifecycle.SpawnFailed, done: func(r *Run) {
		r.failed, r.error = err, "it was ended before it was started"
		if err != nil {
			r.error = err.Error()
		}
	}}
}

// Handle takes an event and returns what the process must be told, in order.
func (r *Run) Handle(e Event) []lifecycle.Event {
	switch e.kind {
	case eventDone:
		if awaited := r.machine.Phase == lifecycle.Draining; awaited != (e.what == lifecycle.Drained) || !awaited && (r.machine.Born || r.machine.Phase == lifecycle.Over) {
			return nil // after a fault that is settled otherwise
		}
		e.done(r)
		told := r.step(lifecycle.RunEvent{Kind: e.what})
		if e.what == lifecycle.Spawned {
			r.born()
		}
		return told
	case eventExit:
		return r.exited(e)
	case eventChanged:
		return r.look()
	case eventTimer:
		if !r.phase.rings(e.gen) {
			return nil
		}
		what, empty := r.phase.what, r.machine.Empty
		if told := r.look(); r.machine.Empty != empty { // the notice of it found no descriptor
			return told
		}
		return r.step(lifecycle.RunEvent{Kind: what})
	case eventAgain:
		if r.again.rings(e.gen) {
			if r.unkilled {
				r.sendKill()
			}
			return r.look()
		}
	case eventMemory:
		return r.memoryChanged()
	case eventPids:
		return r.pidsChanged()
	case eventSlow:
		if r.met.slow.rings(e.gen) {
			return r.lookAtTimes()
		}
	case eventOutlive:
		if r.outlive.rings(e.gen) {
			r.outlives()
		}
	case eventSaid:
		return r.said(e.said)
	case eventUnnamed:
		r.unnamed()
	case eventUnfed:
		if r.says.watchdog.rings(e.gen) {
			return r.unfed()
		}
	case eventGlance:
		if r.still.look.rings(e.gen) {
			return r.glance()
		}
	case eventLimited:
		r.followed(e.err)
	case eventLimitsLate:
		if r.limiting.late.rings(e.gen) {
			r.limitsLate()
		}
	case eventRetry:
		if r.retry.rings(e.gen) {
			r.readOutput(nil)
		}
	case eventProbe:
		if r.probing.next.rings(e.gen) {
			return r.probeDue()
		}
	case eventReadyLate:
		if r.probing.late.rings(e.gen) {
			return r.readyLate()
		}
	case eventProbed:
		return r.probed(e)
	case eventDeadline:
		if r.limit.rings(e.gen) && r.machine.Phase == lifecycle.Running {
			return r.step(lifecycle.RunEvent{Kind: lifecycle.End, Cause: process.CauseDeadline})
		}
	}
	return nil
}

// born goes on with what waited for the leader's birth, when the process has been told of it.
func (r *Run) born() {
	r.birth = nil
	r.setDeadline()
	if r.follow(); !r.limiting.under { // they may have been changed meanwhile
		r.tellLimited(nil)
	}
	r.watchLimits(r.met.limits)
	if r.gone != nil {
		r.owner.Tell(*r.gone)
	}
	if r.stirred {
		r.tells(eventMemory)()
	}
	r.tells(eventChanged)()
}

// exited takes note of the leader's end.
func (r *Run) exited(e Event) []lifecycle.Event {
	r.gone = &e
	if r.machine.LeaderGone || !r.machine.Born { // it may be faster than the answer to its spawn
		return nil
	}
	r.exit = e.exit
	if e.exit != nil && e.exit.Signal == unix.SIGKILL {
		r.noteKills(r.memoryEvents())
		r.starved = isOOM(e.exit, r.killed, r.outlived)
	}
	if e.exit != nil { // SIGKILL ends what stands still
		r.endPause(e.exit.Time)
	}
	r.host.at(PointExited)
	told := r.look() // the notice of the empty group can be 10 ms late
	what := lifecycle.Exited
	switch {
	case e.exit == nil:
		what = lifecycle.Lost
	case r.succeeded(e.exit):
		what = lifecycle.Succeeded
	}
	return append(told, r.step(lifecycle.RunEvent{Kind: what})...)
}

// succeeded reports whether a leader's end is that of a success.
func (r *Run) succeeded(exit *proc.Exit) bool { return exit.Signal == 0 && r.codes.Succeeds(exit.Code) }

// Pauses between two looks at a group of which it is not known whether anybody is left.
const (
	firstPause = 10 * time.Millisecond
	mostPause  = time.Second
)

// look sees whether the group is empty. Where that is not known, or nobody will tell of
// it, it is looked at again.
func (r *Run) look() []lifecycle.Event {
	if !r.machine.Born || r.machine.Empty || r.machine.Phase >= lifecycle.Draining {
		return nil
	}
	empty, err := IsEmpty(r.group)
	switch {
	case err == nil && empty:
		r.again.stop()
		return r.step(lifecycle.RunEvent{Kind: lifecycle.Emptied})
	case err == nil && r.unwatch != nil && !r.unkilled:
		r.pause = 0
		r.again.stop()
		return nil
	}
	if err != nil && r.pause < mostPause && 2*r.pause >= mostPause { // once
		r.host.Log.Printf("%v: it is not known whether anybody is left: %v", r.ID, err)
	}
	r.pause = min(max(2*r.pause, firstPause), mostPause)
	r.again.after(r.pause, 0)
	return nil
}

// End has the run end for a reason; what is stuck is killed again.
func (r *Run) End(cause process.Cause) []lifecycle.Event {
	return r.step(lifecycle.RunEvent{Kind: lifecycle.End, Cause: cause})
}

// Follow notes what is to follow the run's end, with the job id of the next run and who asks
// for it. It stands on the group before anything is done about the end.
func (r *Run) Follow(then lifecycle.Then, jobID string, asked process.Asked) {
	if then != lifecycle.ThenStart {
		asked = process.Asked{}
	}
	r.note.Then, r.note.JobID, r.note.Asked = then, jobID, asked
	if r.machine.Asked != lifecycle.NotAsked {
		r.noteEnd()
	}
}

// Change takes up a definition that has changed, as far as a tree that runs can follow.
func (r *Run) Change(spec process.Spec) {
	r.codes = spec.Restarting
	ending := spec.Ending
	r.changeProbing(spec.Probing)
	r.limiting.want = spec.Limits
	r.follow()
	r.watchLimits(spec.Limits)
	if r.machine.Phase > lifecycle.Running { // what has ended it stands
		ending.Deadline = r.ending.Deadline
	}
	r.ending = ending
	r.setDeadline()
	if r.phase.awaits(lifecycle.GraceOver) { // it is being ended
		r.phase.after(r.grace(), lifecycle.GraceOver)
	}
}

// setDeadline counts from the start, by a clock that goes on while the machine sleeps, and
// not while the tree is made to stand still.
func (r *Run) setDeadline() {
	r.limit.stop()
	d, since := r.ending.Deadline, r.still.Since
	if d == 0 || r.machine.Phase != lifecycle.Running {
		return
	}
	if at := r.boot + d + r.still.Total; since == 0 || at <= since { // it may be another one, that has passed
		r.limit.set(at, 0)
	}
}

// step feeds the machine and carries out what it says.
func (r *Run) step(e lifecycle.RunEvent) (told []lifecycle.Event) {
	var actions []lifecycle.RunAction
	r.machine, actions = r.machine.Step(e)
	if r.machine.Asked != lifecycle.NotAsked && r.machine.Phase != lifecycle.Over {
		r.noteEnd()
	}
	if r.machine.Phase > lifecycle.Running {
		r.stopProbes()
		r.endPause(r.host.Clock.Now())
	}
	tell := func(k lifecycle.EventKind) {
		told = append(told, lifecycle.Event{Kind: k, Run: r.ID.Run, Cause: r.machine.Cause, Success: r.machine.Success})
	}
	for _, a := range actions {
		switch a {
		case lifecycle.StartGrace:
			r.phase.after(r.grace(), lifecycle.GraceOver)
		case lifecycle.SignalTree:
			r.signal()
		case lifecycle.KillTree:
			r.phase.after(killLimit, lifecycle.KillOver)
			r.kill()
		case lifecycle.KillLeader:
			r.phase.after(killLimit, lifecycle.KillOver)
			r.killLeader()
		case lifecycle.AwaitLeader:
			r.phase.after(leaderGrace, lifecycle.LeaderLate)
		case lifecycle.TellStarted:
			tell(lifecycle.RunStarted)
		case lifecycle.AwaitReady:
			r.awaitReady()
		case lifecycle.TellReady:
			tell(lifecycle.RunReady)
			r.lookAfter()
			r.watch()
		case lifecycle.TellEnding:
			tell(lifecycle.RunEnding)
		case lifecycle.TellStuck:
			tell(lifecycle.RunStuck)
		case lifecycle.FreezeTree:
			r.freeze()
		case lifecycle.ThawTree:
			r.thawLate()
		case lifecycle.TellPaused:
			tell(lifecycle.RunPaused)
		case lifecycle.TellNotPaused:
			tell(lifecycle.RunNotPaused)
		case lifecycle.TellResumed:
			tell(lifecycle.RunResumed)
		case lifecycle.Drain:
			r.drain()
		case lifecycle.Finish:
			r.noteOver()
			for _, unwatch := range []func(){r.unwatch, r.forget, r.met.forget} {
				if unwatch != nil {
					unwatch()
				}
			}
			r.unwatch, r.forget, r.met.forget = nil, nil, nil
			r.tellLimited(nil) // nothing is left to be limited
			tell(lifecycle.RunEnded)
			told[len(told)-1].Cause = r.Result().Cause // a signal, say, if it ended by itself
		}
	}
	return told
}
