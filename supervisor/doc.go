// Package supervisor is the brain of the daemon: it knows every process, feeds what happens
// to the lifecycle, and carries out what that says.
//
// # Model
//
// Each process has its loop, one goroutine at a time, which owns all that changes; while there
// is nothing to do there is none. Requests, what a run tells, times that have come and what comes back from a disk are put into the loop's
// inbox and done one after another; nobody waits to put something there. The loop asks
// [lifecycle.Process] what follows, and does it: begins a run, ends one, answers who waits.
// A run is a [run.Run], with a machine of its own. Others see a view, which is never changed
// once published, and read the figures of a live tree from its group themselves.
//
// The loop never touches a disk. What it has changed by the end of a turn goes to the store
// as one change, with the events that tell of it; an answer waits until that is on disk. A
// disk that does not answer for 5 s is said to those who wait, and what they asked for is
// done when it does. Signals wait for no disk.
//
// # What is kept where
//
// The store has definitions, targets, run numbers, results and events. What belongs to a
// run under way stands on its group, in attributes that live and die with it. A new worker
// goes on from both, and from what the keeper holds (see takeOver). A run that it was about
// to start, because of a restart too, is started then. Until it has taken over nothing is
// written: the program before it may have to go on.
//
// A definition that was stored and can no longer be carried out here (its zone has
// gone) or be read at all is shown as failed, with the reason. Nothing of it is
// started; its tree goes on until somebody ends it. What the store has of one that
// cannot be read stays as it is until the process is deleted.
//
// # Clocks
//
// What is promised in seconds counts CLOCK_BOOTTIME, in which suspend counts and which
// no one can set, before and after a takeover (package clock). Schedules follow the wall
// clock, and look at it when it was set, or each minute where nobody tells of that. The delay before a restart is
// taken up by that clock within a boot, and by the wall clock after another: it is never
// longer than it was to be.
//
// # Definitions in files
//
// What files define is judged as a whole, compared to what there is, and then carried out
// by the loops, a transaction each. The daemon's own folder is loaded once for a daemon, not
// by a worker that follows another: what was there before is made what the files say, then
// what is to be up comes up, then what is new is defined, and started.
//
// # Implementation
//
// supervisor.go opens and closes, manager.go has what verbs ask for, apply.go makes
// definitions of files hold, and folder.go loads those of the daemon's own folder.
//
// managed.go is the loop of a process. request.go is what is asked of it, definition.go how
// its definition changes, disk.go what it waits for on disk, unstored.go what becomes of a run
// whose number does not come there, view.go what others see, fault.go what becomes of a panic.
//
// standsfor.go has the daemon end with one process.
//
// What becomes of the times of a schedule: ledger.go, and of those that were missed: catchup.go.
// Which are to come: next.go. What is asked of the schedule alone: askschedule.go. Runs side by
// side: beside.go.
//
// wait.go has somebody wait for what a process does by itself, exec.go has one in the foreground
// of its caller, pause.go tells of pauses and met.go of limits that are met. memory.go knows whom the
// kernel ended for lack of memory. history.go reads runs and events that have been,
// onfailure.go has somebody told of a run that failed for good.
//
// What begins by itself: alarm.go by the schedule, attempt.go by the restart policy, boot.go
// with the daemon; gate.go says how much of that at once. needs.go has a process wait for what
// it needs, ordering.go knows who needs whom, and turn.go has several done in that order.
//
// takeover.go is what a new worker does with what the one before has left, stray.go with what
// is nobody's, handover.go what a worker leaves and when the next one may write. output.go and
// tail.go say where output is kept, knows.go whether a store knows the runs of a group, point.go
// where a worker may die.
package supervisor
