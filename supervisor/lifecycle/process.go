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
	Runs      []Execution   // under way, oldest first: none or one, or several where Overlap allows that
	Last      uint64        // the highest number that a run was given
	Asked     process.Asked // who asked for the run that is to follow: of Waiting, ThenStart and what is owed
	Before    *Process      // what it was before the last run began, as far as unstored needs that; nil: none has

	Overlap        process.Overlapping
	Queue          *Occasion  // of a run that is to begin when nothing goes on any more or, in Waiting, when what it needs is there; nil: there is none
	SchedulePaused bool       // times of the schedule pass without a run
	Skip           time.Time  // a time of it that is to pass without a run; zero: none is
	Backlog        []Occasion // times of it that were missed and are to be caught up, in their order

	Policy   process.Restarting
	Attempts Attempts
	Reason   string // why its policy has given up; empty: it has not
}

// Execution is what a process knows of a run of it.
type Execution struct {
	Number  uint64
	Asked   process.Asked
	Phase   Phase // Starting, Running or Stopping
	Started bool  // its leader was spawned
	Ready   bool  // it is, or was
	Stuck   bool  // and it cannot be ended
	Paused  bool  // it is to stand still
	Still   bool  // and does
	Of      Occasion
}

// Goal is what a request waits for.
type Goal uint8

// What requests wait for. The last three are about one run, see [Process.Awaits].
const (
	UntilStarted Goal = iota + 1
	UntilStopped
	UntilRemoved
	UntilReady
	UntilEnded
	UntilPaused
	UntilResumed
	UntilTriggered // that run is in line, or its leader is there
)

// Event is what can happen to a process.
type Event struct {
	Kind    EventKind
	Run     uint64        // of what happens to a run
	Asked   process.Asked // who asks, of what may start a run
	Cause   process.Cause // of RunEnded
	Success bool          // of RunEnded: the leader exited with a code that counts as success
	Held    bool          // something that it needs is not there just now
	Lost    bool          // of NeedsChanged: something of it will not come by itself

	Now     time.Duration       // by a clock that never goes back
	Lasted  time.Duration       // of RunEnded: how long the run did; 0 if that is not known
	Random  float64             // of RunEnded and Repolicied: from 0 up to 1
	Policy  process.Restarting  // of Repolicied
	Overlap process.Overlapping // of Repolicied

	Time    time.Time    // of Due, Missed and SkipNext: of the schedule
	Times   []time.Time  // of CatchUp: those that are to be caught up
	Until   time.Time    // of Missed: the last, of several in a row
	Count   int          // of Missed: how many; 0: one
	Outcome process.Fate // of Dequeue: what becomes of it; 0: it begins
	Reason  string       // of Missed, CatchUp, ForgetBacklog and Dequeue: why nothing began
}

// EventKind is the kind of an [Event].
type EventKind uint8

// What can happen to a process.
const (
	Start          EventKind = iota // a request; what is asked for comes first, see IsAsked
	Stop                            // a request
	Restart                         // a request
	Delete                          // a request
	Trigger                         // a request
	Close                           // the daemon ends: nothing is started any more, and Shutdown follows
	Shutdown                        // the daemon ends, and all that runs
	Pause                           // a request: what runs is to stand still
	Resume                          // a request: and to go on
	Rescheduled                     // the definition has another schedule than before
	Unscheduled                     // the definition has no schedule any more
	Due                             // a scheduled time has come
	Missed                          // scheduled times have passed at which nobody could begin anything
	CatchUp                         // the same, and they are to run later
	WorkOff                         // one of those may begin
	ForgetBacklog                   // what is to be caught up is not any more
	PauseSchedule                   // times of the schedule are to pass without a run
	ResumeSchedule                  // they are not any more
	SkipNext                        // one of them is to
	Repolicied                      // the definition has another restart policy, or other ways to overlap
	Retry                           // the time of the next attempt has come
	Autostart                       // the daemon has started, and the process is to be up
	NeedsChanged                    // what it needs may have come, or be lost
	Dequeue                         // what a start was in line behind is gone, as a former worker has left it
	Owed                            // a former worker was about to start a run that never was
	RunStarted                      // the leader of a run has been spawned
	RunReady                        // a run is ready
	RunUnhealthy                    // a run is not well: of interest to those who watch alone
	RunHealthy                      // it is again
	RunLimited                      // a tree has met a limit, or was ended in part for lack of memory: the same
	RunPaused                       // a tree stands still
	RunNotPaused                    // or could not be made to, and goes on
	RunResumed                      // it goes on
	RunNotResumed                   // or could not be made to
	RunEnding                       // a run is ending, whatever the reason
	RunStuck                        // a run cannot be ended
	RunEnded                        // of a run nobody is left
	RunUnstored                     // the number of a run could not be put on disk: it never was
	Forgotten                       // what Remove asked for is done
	NotForgotten                    // or could not be done
)

// IsAsked reports whether somebody asks for it: for something of the process, or for the end
// of the daemon.
func (k EventKind) IsAsked() bool { return k <= Shutdown }

// Action is an effect, to be carried out in order.
type Action struct {
	Do     Effect
	Run    uint64        // of Spawn, EndRun, Account and TellFailed; of Answer: to those alone who wait for this run; 0: to all
	Cause  process.Cause // of EndRun
	Goal   Goal          // of Answer
	Code   process.Code  // of Answer and Refuse: the error; empty: done
	Reason string        // of Refuse: in words, where the code does not say it
	Of     Occasion      // of Account
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
	Account                  // what has become of a scheduled time goes into the ledger: it is stored with what else has changed
	Spawn                    // begin a run
	EndRun                   // a run is to end
	PauseRun                 // its tree is to stand still
	ResumeRun                // and to go on
	Remove                   // forget the process
	TellFailed               // that a run has failed for good is told
)

// State is where the process is, as users see it.
func (p Process) State() process.State {
	if len(p.Runs) == 0 {
		return p.Rest
	}
	switch r := p.Runs[len(p.Runs)-1]; {
	case r.Phase == Stopping:
		return process.Stopping
	case r.Phase == Running && r.Still:
		return process.Paused
	case r.Phase == Running && r.Ready:
		return process.Running
	}
	return process.Starting
}

// Awaits is the run that a request to start, restart or trigger is about, when it comes: the
// one under way, or the next.
func (p Process) Awaits(request EventKind) uint64 {
	if n := len(p.Runs); n > 0 && p.Runs[n-1].Phase != Stopping && request != Restart && request != Trigger {
		return p.Runs[n-1].Number
	}
	return p.Last + 1
}

// AskedFor is who asked for a run that is under way.
func (p Process) AskedFor(run uint64) (a process.Asked) {
	if i := p.find(run); i >= 0 {
		a = p.Runs[i].Asked
	}
	return a
}

// Busy reports whether anything of it runs.
func (p Process) Busy() bool { return len(p.Runs) > 0 }

// Settled reports whether nothing is under way, so that the daemon may end.
func (p Process) Settled() bool { return !p.Busy() && !p.Removing }

// Step is what e does to a process.
func (p Process) Step(e Event) (Process, []Action) {
	next := p
	actions := next.step(&e)
	if next.Last > p.Last {
		next.Before = p.before(&next)
	}
	return next, append(actions, p.notPaused(&next, e.Kind)...)
}

func (p *Process) step(e *Event) []Action {
	p.Runs, p.Held = slices.Clone(p.Runs), e.Held
	switch e.Kind {
	case Start:
		return p.start(e.Asked)
	case Restart:
		if p.Busy() && !p.ending() {
			p.Then, p.Asked = ThenStart, e.Asked
			return append(p.end(process.CauseStop), Action{Do: Save})
		}
		return p.start(e.Asked)
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
	case Trigger:
		return p.trigger(e.Asked)
	case Due:
		return p.due(e)
	case Missed:
		return p.missed(e)
	case CatchUp:
		return p.catchUp(e)
	case WorkOff:
		return p.workOff()
	case ForgetBacklog:
		return p.forgetBacklog(e.Reason)
	case PauseSchedule:
		return p.pauseSchedule()
	case ResumeSchedule:
		return p.resumeSchedule()
	case SkipNext:
		return p.skipNext(e.Time)
	case Dequeue:
		return p.dequeue(e)
	case Repolicied:
		return p.repolicied(e)
	case Retry:
		if e.Now < p.Attempts.Next { // one that was in line when a start took its place: another delay runs now
			return nil
		}
		return p.retry(e.Now)
	case Autostart:
		return p.autostart(e)
	case Owed:
		return p.goOn()
	case NeedsChanged:
		return p.needsChanged(e.Lost)
	case RunStarted:
		if i := p.find(e.Run); i >= 0 && p.Runs[i].Phase == Starting {
			p.Runs[i].Phase, p.Runs[i].Started = Running, true
			return []Action{answer(UntilStarted), {Do: Answer, Goal: UntilTriggered, Run: e.Run}}
		}
	case RunReady:
		if i := p.find(e.Run); i >= 0 && !p.Runs[i].Ready {
			p.Runs[i].Ready = true
			return []Action{{Do: Answer, Goal: UntilReady, Run: e.Run}}
		}
	case Pause:
		return p.pause()
	case Resume:
		return p.resume()
	case RunPaused:
		return p.runPaused(e.Run)
	case RunNotPaused:
		_ = p.runResumed(e.Run)
		return []Action{fail(UntilPaused, process.CodeFreeze)}
	case RunResumed:
		return p.runResumed(e.Run)
	case RunNotResumed:
		return []Action{fail(UntilResumed, process.CodeFreeze)}
	case RunEnding:
		if i := p.find(e.Run); i >= 0 {
			p.Runs[i].Phase = Stopping
		}
	case RunStuck:
		return p.stuck(e.Run)
	case RunEnded:
		if p.find(e.Run) < 0 {
			return nil
		}
		then := p.Then
		return append(p.ended(e), p.tellFailed(e, then)...)
	case RunUnstored:
		return p.unstored(e)
	case Forgotten:
		p.Removing, p.Removed = false, true
		return []Action{answer(UntilRemoved)}
	case NotForgotten:
		return p.notForgotten()
	}
	return nil
}

// ending reports whether everything that runs is being ended.
func (p *Process) ending() bool {
	return p.Busy() && !slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Phase != Stopping })
}

func (p *Process) isStuck() bool {
	return slices.ContainsFunc(p.Runs, func(r Execution) bool { return r.Stuck })
}

func (p *Process) find(run uint64) int {
	return slices.IndexFunc(p.Runs, func(r Execution) bool { return r.Number == run })
}

func answer(g Goal) Action                  { return Action{Do: Answer, Goal: g} }
func fail(g Goal, code process.Code) Action { return Action{Do: Answer, Goal: g, Code: code} }
