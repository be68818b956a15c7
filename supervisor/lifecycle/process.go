package lifecycle

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Process is the state of a managed process.
type Process struct {
	Up        bool          // the target
	Stopped   bool          // that it is not up was asked for, and holds
	Scheduled bool          // its definition has a schedule
	Closing   bool          // the daemon ends
	Removing  bool          // it is being forgotten
	Removed   bool          // it is no more
	Held      bool          // something that it needs is not there
	Rest      process.State // where it is without a run: Scheduled, Waiting, Backoff, Stopped, Completed or Failed
	Under     process.State // where the last run has left it, in Backoff: Completed or Failed
	Then      Then          // what follows when nothing of it runs any more
	Runs      []Execution   // under way, oldest first: none or one
	Last      uint64        // the highest number that a run was given
	Before    *Process      // what it was before the last run began, as far as unstored needs that; nil: none has

	Policy   process.Restarting
	Attempts Attempts
	Reason   string // why its policy has given up; empty: it has not
}

// Execution is what a process knows of a run of it.
type Execution struct {
	Number  uint64
	Phase   Phase // Starting, Running or Stopping
	Started bool  // its leader was spawned
	Ready   bool  // it is, or was
	Stuck   bool  // and it cannot be ended
}

// Goal is what a request waits for.
type Goal uint8

// What requests wait for. The last two are about one run, see [Process.Awaits].
const (
	UntilStarted Goal = iota + 1
	UntilStopped
	UntilRemoved
	UntilReady
	UntilEnded
)

// Event is what can happen to a process.
type Event struct {
	Kind    EventKind
	Run     uint64        // of what happens to a run
	Cause   process.Cause // of RunEnded
	Success bool          // of RunEnded: the leader exited with a code that counts as success
	Held    bool          // something that it needs is not there just now
	Lost    bool          // of NeedsChanged: something of it will not come by itself

	Now    time.Duration      // by a clock that never goes back
	Lasted time.Duration      // of RunEnded: how long the run did; 0 if that is not known
	Random float64            // of RunEnded and Repolicied: from 0 up to 1
	Policy process.Restarting // of Repolicied
}

// EventKind is the kind of an [Event].
type EventKind uint8

// What can happen to a process.
const (
	Start        EventKind = iota // a request
	Stop                          // a request
	Restart                       // a request
	Delete                        // a request
	Close                         // the daemon ends: nothing is started any more, and Shutdown follows
	Shutdown                      // the daemon ends, and all that runs
	Rescheduled                   // the definition has another schedule than before
	Unscheduled                   // the definition has no schedule any more
	Due                           // a scheduled time has come
	Repolicied                    // the definition has another restart policy
	Retry                         // the time of the next attempt has come
	Autostart                     // the daemon has started, and the process is to be up
	NeedsChanged                  // what it needs may have come, or be lost
	Owed                          // a former worker was about to start a run that never was
	RunStarted                    // the leader of a run has been spawned
	RunReady                      // a run is ready
	RunUnhealthy                  // a run is not well: of interest to those who watch alone
	RunHealthy                    // it is again
	RunEnding                     // a run is ending, whatever the reason
	RunStuck                      // a run cannot be ended
	RunEnded                      // of a run nobody is left
	RunUnstored                   // the number of a run could not be put on disk: it never was
	Forgotten                     // what Remove asked for is done
	NotForgotten                  // or could not be done
)

// Action is an effect, to be carried out in order.
type Action struct {
	Do    Effect
	Run   uint64        // of Spawn and EndRun; of Answer: to those alone who wait for this run; 0: to all
	Cause process.Cause // of EndRun
	Goal  Goal          // of Answer
	Code  process.Code  // of Answer and Refuse: the error; empty: done
}

// Effect is the kind of an [Action].
type Effect uint8

// What a process asks for.
const (
	Answer     Effect = iota // the requests that wait for Goal are answered with Code
	Refuse                   // the request that came is answered with Code
	Save                     // the target is stored
	Arm                      // wait for the next scheduled time
	Disarm                   // wait for none
	AwaitRetry               // wait for the next attempt
	DropRetry                // there is none to wait for
	GiveUp                   // that the policy gives up is told
	Hold                     // that it waits for what it needs is told
	Spawn                    // begin a run
	EndRun                   // a run is to end
	Remove                   // forget the process
)

// State is where the process is, as users see it.
func (p Process) State() process.State {
	if len(p.Runs) == 0 {
		return p.Rest
	}
	switch r := p.Runs[len(p.Runs)-1]; {
	case r.Phase == Stopping:
		return process.Stopping
	case r.Phase == Running && r.Ready:
		return process.Running
	}
	return process.Starting
}

// Awaits is the run that a request to start or restart is about, when it comes: the one
// under way, or the next.
func (p Process) Awaits(request EventKind) uint64 {
	if n := len(p.Runs); n > 0 && p.Runs[n-1].Phase != Stopping && request != Restart {
		return p.Runs[n-1].Number
	}
	return p.Last + 1
}

// Busy reports whether anything of it runs.
func (p Process) Busy() bool { return len(p.Runs) > 0 }

// Settled reports whether nothing is under way, so that the daemon may end.
func (p Process) Settled() bool { return !p.Busy() && !p.Removing }

// Step is what e does to a process.
func (p Process) Step(e Event) (Process, []Action) {
	next, actions := p.step(e)
	if next.Last > p.Last {
		next.Before = p.before(next)
	}
	return next, actions
}

func (p Process) step(e Event) (Process, []Action) {
	p.Runs, p.Held = slices.Clone(p.Runs), e.Held
	switch e.Kind {
	case Start:
		return p.start()
	case Restart:
		if p.Busy() && !p.ending() {
			p.Then = ThenStart
			return p, append(p.end(process.CauseStop), Action{Do: Save})
		}
		return p.start()
	case Stop:
		return p.stop()
	case Delete:
		return p.remove()
	case Close:
		return p.close()
	case Shutdown:
		return p.shutdown()
	case Rescheduled:
		return p.rescheduled()
	case Unscheduled:
		return p.unscheduled()
	case Due:
		if (p.Rest == process.Scheduled || p.Rest == process.Backoff && p.Scheduled) && !p.Busy() && !p.Closing && !p.Removing {
			drop := p.leaveBackoff()
			p.asked()
			return p.spawn(append(drop, Action{Do: Arm})...)
		}
		return p, []Action{{Do: Arm}} // skipped
	case Repolicied:
		return p.repolicied(e)
	case Retry:
		if e.Now < p.Attempts.Next { // one that was in line when a start took its place: another delay runs now
			return p, nil
		}
		return p.retry(e.Now)
	case Autostart:
		return p.autostart(e.Now)
	case Owed:
		return p.goOn()
	case NeedsChanged:
		return p.needsChanged(e.Lost)
	case RunStarted:
		if i := p.find(e.Run); i >= 0 && p.Runs[i].Phase == Starting {
			p.Runs[i].Phase, p.Runs[i].Started = Running, true
			return p, []Action{answer(UntilStarted)}
		}
	case RunReady:
		if i := p.find(e.Run); i >= 0 && !p.Runs[i].Ready {
			p.Runs[i].Ready = true
			return p, []Action{{Do: Answer, Goal: UntilReady, Run: e.Run}}
		}
	case RunEnding:
		if i := p.find(e.Run); i >= 0 {
			p.Runs[i].Phase = Stopping
		}
	case RunStuck:
		return p.stuck(e.Run)
	case RunEnded:
		return p.ended(e)
	case RunUnstored:
		return p.unstored(e)
	case Forgotten:
		p.Removing, p.Removed = false, true
		return p, []Action{answer(UntilRemoved)}
	case NotForgotten:
		return p.notForgotten()
	}
	return p, nil
}

// rescheduled arms a schedule where the process is to be up.
func (p Process) rescheduled() (Process, []Action) {
	p.Scheduled = true
	if !p.Up || p.Removing || p.Closing || p.Then == ThenRemove {
		return p, nil
	}
	if !p.Busy() && p.Rest != process.Backoff && p.Rest != process.Waiting {
		p.Rest = process.Scheduled
	}
	return p, []Action{{Do: Arm}}
}

func (p Process) unscheduled() (Process, []Action) {
	p.Scheduled = false
	if p.Rest == process.Scheduled {
		p.Rest = process.Stopped
	}
	actions := []Action{{Do: Disarm}}
	if p.ending() && p.Then == ThenRest { // a start that came meanwhile was to arm it
		actions = append(actions, p.notStarted(process.CodeSuperseded)...)
	}
	return p, actions
}

// notStarted tells those who wait for a start that there will be none. Who waits for the
// end of a run that is under way waits on.
func (p Process) notStarted(code process.Code) []Action {
	return []Action{fail(UntilStarted, code), fail(UntilReady, code), {Do: Answer, Goal: UntilEnded, Run: p.Last + 1, Code: code}}
}

func (p Process) start() (Process, []Action) {
	switch {
	case p.Then == ThenRemove, p.Removing:
		return p, []Action{{Do: Refuse, Code: process.CodeNotFound}}
	case p.Closing:
		return p, []Action{{Do: Refuse, Code: process.CodeShuttingDown}}
	case p.isStuck():
		return p, []Action{{Do: Refuse, Code: process.CodeStuck}}
	case p.ending():
		p.Then = ThenStart
		if p.Scheduled {
			p.Then, p.Up, p.Stopped = ThenRest, true, false
		}
		return p, []Action{{Do: Save}}
	case slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Phase == Starting }):
		return p, nil // answered with the one who has started it
	case p.Busy():
		actions := []Action{answer(UntilStarted)}
		for _, r := range p.Runs {
			if r.Ready && r.Phase == Running {
				actions = append(actions, Action{Do: Answer, Goal: UntilReady, Run: r.Number})
			}
		}
		return p, actions
	case p.Rest == process.Scheduled, p.Rest == process.Waiting && p.Scheduled:
		return p, p.armed()
	}
	p.Up, p.Stopped = true, false
	if p.Rest == process.Backoff { // it does not wait any longer
		drop := p.leaveBackoff()
		p.asked()
		return p.spawn(append(drop, Action{Do: Arm})...)
	}
	p.asked()
	if p.Scheduled {
		p.Rest = process.Scheduled
		return p, append([]Action{{Do: Arm}, {Do: Save}}, p.armed()...)
	}
	return p.spawn()
}

// armed answers those who wait for a start of what waits for its time. Nobody is to wait
// for that.
func (p Process) armed() []Action {
	return append([]Action{answer(UntilStarted)}, p.notStarted(process.CodeSuperseded)[1:]...)
}

// spawn begins the next run, or waits for what that needs. Its number, and the target with
// it, are stored on the way.
func (p Process) spawn(first ...Action) (Process, []Action) {
	p.Up, p.Stopped, p.Then = true, false, ThenRest
	if p.Held {
		p.Rest = process.Waiting
		return p, append(first, Action{Do: Hold}, Action{Do: Save})
	}
	p.Last++
	p.Runs = append(p.Runs, Execution{Number: p.Last})
	return p, append(first, Action{Do: Spawn, Run: p.Last})
}

// leave gives up what the process waits for without a run.
func (p *Process) leave() []Action {
	actions := p.unawaited()
	p.leaveBackoff()
	return actions
}

// unawaited are the actions of a process that does not wait any more.
func (p Process) unawaited() []Action {
	switch p.Rest {
	case process.Backoff:
		return []Action{{Do: DropRetry}}
	case process.Waiting:
		return p.notStarted(process.CodeSuperseded)
	}
	return nil
}

// needsChanged begins the run that waited for what it needs, if that is there. Who waits for
// what will not come by itself is told.
func (p Process) needsChanged(lost bool) (Process, []Action) {
	switch {
	case p.Rest != process.Waiting, p.Busy(), p.Closing, p.Removing:
		return p, nil
	case p.Held && lost:
		return p, p.notStarted(process.CodeNeeds)
	case p.Held:
		return p, nil
	}
	return p.spawn()
}

func (p Process) stop() (Process, []Action) {
	switch {
	case p.Then == ThenRemove:
		return p, p.end(process.CauseStop) // what is stuck is killed again
	case !p.Busy() && (p.Removing || p.Rest != process.Scheduled && p.Rest != process.Waiting && p.Rest != process.Backoff):
		if !p.Up && p.Stopped {
			return p, []Action{answer(UntilStopped)}
		}
		p.Up, p.Stopped = false, true // a stop holds
		return p, []Action{{Do: Save}, answer(UntilStopped)}
	}
	p.Up, p.Stopped = false, true
	if !p.Busy() {
		drop := p.leave()
		p.Rest = process.Stopped
		return p, append(drop, Action{Do: Disarm}, Action{Do: Save}, answer(UntilStopped))
	}
	p.Then = ThenStop
	return p, p.endForGood()
}

func (p Process) remove() (Process, []Action) {
	switch {
	case p.Removing:
		return p, nil
	case !p.Busy():
		return p.forget(append(p.unawaited(), Action{Do: Disarm})...)
	}
	p.Then, p.Up = ThenRemove, false
	return p, p.endForGood()
}

// endForGood ends what runs, and nothing starts behind it.
func (p *Process) endForGood() []Action {
	actions := append(p.end(process.CauseStop), Action{Do: Disarm})
	return append(append(actions, p.notStarted(process.CodeSuperseded)...), Action{Do: Save})
}

func (p Process) forget(first ...Action) (Process, []Action) {
	p.Removing = true
	return p, append(first, Action{Do: Remove})
}

// notForgotten goes on as if nobody had asked for a delete.
func (p Process) notForgotten() (Process, []Action) {
	p.Removing = false
	actions := []Action{fail(UntilRemoved, process.CodeStore)}
	switch {
	case p.Rest == process.Scheduled, p.Rest == process.Backoff && p.Scheduled:
		actions = append(actions, Action{Do: Arm})
	}
	if p.Rest == process.Backoff {
		actions = append(actions, Action{Do: AwaitRetry})
	}
	return p, actions
}

// close lets nothing start any more, and leaves the target alone.
func (p Process) close() (Process, []Action) {
	p.Closing = true
	if p.Then == ThenStart {
		p.Then = ThenRest
	}
	actions := []Action{{Do: Disarm}}
	if p.Rest == process.Backoff { // the next daemon goes on with it
		actions = append(actions, Action{Do: DropRetry})
	}
	return p, append(actions, p.notStarted(process.CodeShuttingDown)...)
}

// shutdown ends what runs.
func (p Process) shutdown() (Process, []Action) {
	p, closed := p.close()
	var actions []Action
	for i := range p.Runs {
		if r := &p.Runs[i]; r.Phase != Stopping {
			r.Phase = Stopping
			actions = append(actions, Action{Do: EndRun, Run: r.Number, Cause: process.CauseShutdown})
		}
	}
	return p, append(actions, closed...)
}

// end has each run end. One that is being ended has its cause, or takes this one if it has
// none (its leader has left its group); one that is stuck is killed again.
func (p *Process) end(cause process.Cause) (actions []Action) {
	for i := range p.Runs {
		r := &p.Runs[i]
		r.Phase, r.Stuck = Stopping, false
		actions = append(actions, Action{Do: EndRun, Run: r.Number, Cause: cause})
	}
	return actions
}

// stuck tells everybody who waits that a run cannot be ended. What was to follow is
// dropped, for they are told that it failed.
func (p Process) stuck(run uint64) (Process, []Action) {
	i := p.find(run)
	if i < 0 || p.Runs[i].Stuck {
		return p, nil
	}
	p.Runs[i].Phase, p.Runs[i].Stuck = Stopping, true
	if p.Then == ThenStart || p.Then == ThenRemove {
		p.Then = ThenStop
	}
	return p, []Action{
		fail(UntilStopped, process.CodeStuck), fail(UntilStarted, process.CodeStuck), fail(UntilRemoved, process.CodeStuck),
		fail(UntilReady, process.CodeStuck), fail(UntilEnded, process.CodeStuck),
	}
}

// ended is the end of a run. When it was the last one, what was queued follows.
func (p Process) ended(e Event) (Process, []Action) {
	i := p.find(e.Run)
	if i < 0 {
		return p, nil
	}
	over := p.Runs[i]
	p.Runs = slices.Delete(p.Runs, i, i+1)
	var actions []Action
	if e.Cause == process.CauseStart && !over.Started {
		// Before anything else: who waits for a scheduled process would be told that all is well.
		actions = append(actions, fail(UntilStarted, process.CodeStart))
	}
	if !over.Ready {
		actions = append(actions, Action{Do: Answer, Goal: UntilReady, Run: e.Run, Code: process.CodeStart})
	}
	actions = append(actions, Action{Do: Answer, Goal: UntilEnded, Run: e.Run})
	if p.Busy() {
		return p, actions
	}
	actions = append(actions, answer(UntilStopped))
	next := p.Then
	p.Rest, p.Then = p.rest(e), ThenRest
	switch {
	case next == ThenRemove:
		return p.forget(actions...)
	case next == ThenStart:
		p.asked()
		return p.spawn(append(actions, Action{Do: Arm})...)
	case next == ThenRest && p.Up && !p.Closing && Restarts(p.Policy, e.Cause, e.Success):
		return p.backOff(e, actions)
	case p.Rest == process.Scheduled:
		actions = append(append(actions, Action{Do: Arm}), p.armed()...)
	}
	return p, actions
}

// rest is where a process is when its last run has ended so.
func (p Process) rest(e Event) process.State {
	switch {
	case p.Then == ThenStop, p.Then == ThenRemove:
		return process.Stopped
	case p.Closing && e.Cause == process.CauseShutdown:
		return process.Stopped
	case p.Scheduled && p.Up: // also after the shutdown of a daemon that was killed meanwhile
		return process.Scheduled
	case e.Cause == process.CauseStop, e.Cause == process.CauseShutdown:
		return process.Stopped
	case e.Success:
		return process.Completed
	}
	return process.Failed
}

// ending reports whether everything that runs is being ended.
func (p Process) ending() bool {
	return p.Busy() && !slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Phase != Stopping })
}

func (p Process) isStuck() bool {
	return slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Stuck })
}

func (p Process) find(run uint64) int {
	return slices.IndexFunc(p.Runs, func(r Execution) bool { return r.Number == run })
}

func answer(g Goal) Action                  { return Action{Do: Answer, Goal: g} }
func fail(g Goal, code process.Code) Action { return Action{Do: Answer, Goal: g, Code: code} }
