package lifecycle

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func (a Action) String() string {
	text := [...]string{Answer: "", Refuse: "refuse", Save: "save", Arm: "arm", Disarm: "disarm", Spawn: "spawn", EndRun: "end", Remove: "remove",
		AwaitRetry: "await", DropRetry: "drop", GiveUp: "give up", Hold: "hold", PauseRun: "pause", ResumeRun: "resume", Account: "account", TellFailed: "tell"}[a.Do]
	switch {
	case a.Do == Answer:
		text = [...]string{UntilStarted: "started", UntilStopped: "stopped", UntilRemoved: "removed", UntilReady: "ready", UntilEnded: "ended", UntilPaused: "paused", UntilResumed: "resumed", UntilTriggered: "triggered"}[a.Goal]
		if a.Run != 0 {
			text += fmt.Sprint(" ", a.Run)
		}
	case a.Do == Spawn, a.Do == PauseRun, a.Do == ResumeRun:
		text += fmt.Sprint(" ", a.Run)
	case a.Do == Account:
		text = fmt.Sprintf("%s %s", a.Of.Time.Format("15:04"), a.Of.Outcome)
		if a.Run != 0 {
			text += fmt.Sprint(" ", a.Run)
		}
	case a.Do == EndRun:
		text += fmt.Sprint(" ", a.Run, " ", a.Cause)
	}
	if a.Code != "" {
		text += "!" + string(a.Code)
	}
	return text
}

func show(actions []Action) string {
	var all []string
	for _, a := range actions {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

// apart are the actions without the answers to those who wait for one run, and these. Those
// to a trigger are in a table of their own.
func apart(actions []Action) (others, ofRuns []Action) {
	for _, a := range actions {
		switch {
		case a.Do == Answer && a.Goal == UntilTriggered:
		case a.Do == Answer && (a.Goal == UntilReady || a.Goal == UntilEnded):
			ofRuns = append(ofRuns, a)
		default:
			others = append(others, a)
		}
	}
	return others, ofRuns
}

// The events of the tables below; those of a run are about run 7.
var (
	start, stop, restart  = Event{Kind: Start}, Event{Kind: Stop}, Event{Kind: Restart}
	remove, shutdown, due = Event{Kind: Delete}, Event{Kind: Shutdown}, Event{Kind: Due, Time: noon}
	begun, stuck          = Event{Kind: RunStarted, Run: 7}, Event{Kind: RunStuck, Run: 7}
	ready                 = Event{Kind: RunReady, Run: 7}
	ending                = Event{Kind: RunEnding, Run: 7}
	unstored              = Event{Kind: RunUnstored, Run: 7, Now: time.Minute}
	good                  = Event{Kind: RunEnded, Run: 7, Cause: process.CauseExit, Success: true}
	bad                   = Event{Kind: RunEnded, Run: 7, Cause: process.CauseExit}
	stopped               = Event{Kind: RunEnded, Run: 7, Cause: process.CauseStop}
	shut                  = Event{Kind: RunEnded, Run: 7, Cause: process.CauseShutdown}
	late                  = Event{Kind: RunEnded, Run: 7, Cause: process.CauseDeadline}
	failed                = Event{Kind: RunEnded, Run: 7, Cause: process.CauseStart}
	noon                  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	trigger               = Event{Kind: Trigger}
	pause, resume         = Event{Kind: Pause}, Event{Kind: Resume}
	still, goesOn         = Event{Kind: RunPaused, Run: 7}, Event{Kind: RunResumed, Run: 7}
	notStill, notGoingOn  = Event{Kind: RunNotPaused, Run: 7}, Event{Kind: RunNotResumed, Run: 7}
	everything            = []Event{trigger, {Kind: Missed, Time: noon}, {Kind: Dequeue}, {Kind: Dequeue, Outcome: process.Missed}, {Kind: CatchUp, Times: []time.Time{noon, noon.Add(time.Hour)}}, {Kind: WorkOff}, {Kind: ForgetBacklog},
		{Kind: PauseSchedule}, {Kind: ResumeSchedule}, {Kind: SkipNext, Time: noon}, pause, resume, still, goesOn, notStill, notGoingOn, start, stop, restart, remove, shutdown, due, begun, ready, stuck, good, bad, stopped, shut, late, failed, unstored, due2, autostart, owed,
		{Kind: Repolicied}, {Kind: Repolicied, Policy: always}, {Kind: Rescheduled}, {Kind: Unscheduled}}
	due2                 = Event{Kind: Retry, Now: time.Minute}
	autostart            = Event{Kind: Autostart, Now: time.Minute}
	owed                 = Event{Kind: Owed}
	resting              = Process{Rest: process.Completed, Stopped: true, Last: 6}
	never                = Process{Rest: process.Stopped}
	onFailure            = process.Restarting{Restart: process.RestartOnFailure}
	always               = process.Restarting{Restart: process.RestartAlways}
	limited              = process.Restarting{Restart: process.RestartOnFailure, RestartLimit: 1}
	service              = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true}}, Policy: onFailure}
	startingService      = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7}}, Policy: onFailure}
	server               = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true}}, Policy: always}
	waits                = Process{Rest: process.Backoff, Under: process.Failed, Up: true, Last: 7, Policy: onFailure, Attempts: Attempts{Next: time.Minute, Delay: time.Second}}
	scheduledService     = Process{Rest: process.Scheduled, Scheduled: true, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true}}, Policy: onFailure}
	offSchedule          = Process{Rest: process.Stopped, Scheduled: true, Last: 6}
	onSchedule           = Process{Rest: process.Scheduled, Scheduled: true, Up: true, Last: 6}
	starting             = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7}}}
	running              = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true}}}
	scheduledRun         = Process{Rest: process.Scheduled, Scheduled: true, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true}}}
	pausedRun            = Process{Rest: process.Stopped, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true, Paused: true, Still: true}}}
	pausedScheduled      = Process{Rest: process.Scheduled, Scheduled: true, Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running, Started: true, Ready: true, Paused: true, Still: true}}}
	scheduledRunStarting = Process{Rest: process.Scheduled, Scheduled: true, Up: true, Last: 7, Runs: []Execution{{Number: 7}}}
)

// held is an event that comes while something that the process needs is not there.
func held(e Event) Event {
	e.Held = true
	return e
}

func TestProcess(t *testing.T) {
	const told = "stopped!stuck, started!stuck, removed!stuck"
	for _, test := range []struct {
		name   string
		from   Process
		events []Event
		state  process.State
		do     string
	}{
		{"pause", running, []Event{pause}, process.Running, "pause 7"},
		{"pause, and it stands still", running, []Event{pause, still}, process.Paused, "pause 7, paused"},
		{"pause of what is paused is done", pausedRun, []Event{pause}, process.Paused, "paused"},
		{"two who pause", running, []Event{pause, pause, still}, process.Paused, "pause 7, paused"},
		{"pause of what does not stand still", running, []Event{pause, notStill}, process.Running, "pause 7, paused!freeze"},
		{"pause at rest", resting, []Event{pause}, process.Completed, "refuse!not_running"},
		{"pause before the leader is there", starting, []Event{pause}, process.Starting, "refuse!not_running"},
		{"resume", pausedRun, []Event{resume, goesOn}, process.Running, "resume 7, resumed"},
		{"resume of what runs is done", running, []Event{resume}, process.Running, "resumed"},
		{"resume at rest", resting, []Event{resume}, process.Completed, "refuse!not_running"},
		{"resume of what cannot go on", pausedRun, []Event{resume, notGoingOn}, process.Paused, "resume 7, resumed!freeze"},
		{"resume before it stands still", running, []Event{pause, resume, goesOn}, process.Running, "pause 7, resume 7, resumed, paused!superseded"},
		{"stop of what is paused", pausedRun, []Event{stop, stopped}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped"},
		{"stop before it stands still", running, []Event{pause, stop}, process.Stopping, "pause 7, end 7 stop, disarm, started!superseded, save, paused!superseded"},
		{"it ends before it stands still", running, []Event{pause, ending, good}, process.Completed, "pause 7, paused!superseded, stopped"},
		{"restart of what is paused", pausedRun, []Event{restart, stopped}, process.Starting, "end 7 stop, save, stopped, arm, spawn 8"},
		{"a time that comes while it is paused is skipped", pausedScheduled, []Event{due}, process.Paused, "arm, 12:00 skipped"},
		{"start of what is paused leaves it alone", pausedRun, []Event{start}, process.Paused, "started"},
		{"shutdown of what is paused", pausedRun, []Event{shutdown}, process.Stopping, "end 7 shutdown, disarm, started!shutting_down"},
		{"start at rest", resting, []Event{start}, process.Starting, "spawn 7"},
		{"start with a schedule waits for its time", offSchedule, []Event{start}, process.Scheduled, "arm, save, started"},
		{"stop at rest changes nothing", resting, []Event{stop}, process.Completed, "stopped"},
		{"stop at rest holds", Process{Rest: process.Completed, Up: true}, []Event{stop}, process.Completed, "save, stopped"},
		{"restart at rest starts", resting, []Event{restart}, process.Starting, "spawn 7"},
		{"delete at rest", resting, []Event{remove}, process.Completed, "disarm, remove"},
		{"a time that comes at rest starts nothing", offSchedule, []Event{due}, process.Stopped, ""},
		{"an attempt before its time starts nothing", waits, []Event{{Kind: Retry, Now: time.Minute - 1}}, process.Backoff, ""},

		{"start of a scheduled one is done", onSchedule, []Event{start}, process.Scheduled, "started"},
		{"restart of a scheduled one is done", onSchedule, []Event{restart}, process.Scheduled, "started"},
		{"stop of a scheduled one", onSchedule, []Event{stop}, process.Stopped, "disarm, save, stopped"},
		{"a time starts a run", onSchedule, []Event{due}, process.Starting, "arm, 12:00 ran 7, spawn 7"},
		{"delete of a scheduled one", onSchedule, []Event{remove}, process.Scheduled, "disarm, remove"},

		{"start of a running one is done", running, []Event{start}, process.Running, "started"},
		{"a time that comes during a run is skipped", scheduledRun, []Event{due}, process.Running, "arm, 12:00 skipped"},
		{"success", running, []Event{good}, process.Completed, "stopped"},
		{"failure", running, []Event{bad}, process.Failed, "stopped, tell"},
		{"deadline", running, []Event{late}, process.Failed, "stopped, tell"},
		{"stop", running, []Event{stop, stopped}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped"},
		{"stop of what is being ended by its deadline", running, []Event{stop, late}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, stopped, tell"},
		{"restart ends, then starts", running, []Event{restart, stopped, {Kind: RunStarted, Run: 8}, {Kind: RunReady, Run: 8}}, process.Running,
			"end 7 stop, save, stopped, arm, spawn 8, started"},
		{"delete ends, then removes", running, []Event{remove, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, stopped, remove"},
		{"shutdown leaves the target", running, []Event{shutdown, shut}, process.Stopped,
			"end 7 shutdown, disarm, started!shutting_down, stopped"},

		{"scheduled again after a run", scheduledRun, []Event{bad}, process.Scheduled, "stopped, arm, started, tell"},
		{"stop of a scheduled run", scheduledRun, []Event{stop, stopped}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped"},
		{"restart of a scheduled run starts at once", scheduledRun, []Event{restart, stopped}, process.Starting,
			"end 7 stop, save, stopped, arm, spawn 8"},
		{"shutdown of a scheduled run", scheduledRun, []Event{shutdown, shut}, process.Stopped,
			"end 7 shutdown, disarm, started!shutting_down, stopped"},

		{"started", starting, []Event{begun}, process.Starting, "started"},
		{"and ready", starting, []Event{begun, ready}, process.Running, "started"},
		{"start of what is not ready yet is done", starting, []Event{begun, start}, process.Starting, "started, started"},
		{"not ready in time", starting, []Event{begun, ending, failed}, process.Failed, "started, stopped, tell"},
		{"a stop of what is not ready yet acts at once", starting, []Event{begun, stop, stopped}, process.Stopped,
			"started, end 7 stop, disarm, started!superseded, save, stopped"},
		{"start of a starting one is answered when it has started", starting, []Event{start, begun, ready}, process.Running, "started"},
		{"or has not", starting, []Event{start, failed}, process.Failed, "started!start_failed, stopped, tell"},
		{"a scheduled run that starts too", scheduledRunStarting, []Event{start, begun, ready}, process.Running, "started"},
		{"start fails", starting, []Event{failed}, process.Failed, "started!start_failed, stopped, tell"},
		{"a scheduled start fails", scheduledRunStarting, []Event{failed}, process.Scheduled, "started!start_failed, stopped, arm, started, tell"},
		{"stop while starting", starting, []Event{stop, stopped}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped"},

		{"start is queued behind a stop", running, []Event{stop, start, stopped}, process.Starting,
			"end 7 stop, disarm, started!superseded, save, save, stopped, arm, spawn 8"},
		{"stop drops a queued start", running, []Event{stop, start, stop, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, save, end 7 stop, disarm, started!superseded, save, stopped"},
		{"delete drops a queued start", running, []Event{restart, remove, stopped}, process.Stopped,
			"end 7 stop, save, end 7 stop, disarm, started!superseded, save, stopped, remove"},
		{"stop joins a delete", running, []Event{remove, stop, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, end 7 stop, stopped, remove"},
		{"stop of what ends by itself tells the run", running, []Event{ending, stop, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, stopped"},
		{"what is being deleted does not start", running, []Event{remove, start}, process.Stopping,
			"end 7 stop, disarm, started!superseded, save, refuse!not_found"},
		{"a stopping schedule that is started waits for its time", scheduledRun, []Event{stop, start, stopped}, process.Scheduled,
			"end 7 stop, disarm, started!superseded, save, save, stopped, arm, started"},
		{"shutdown drops a queued start", running, []Event{restart, shutdown, stopped}, process.Stopped,
			"end 7 stop, save, disarm, started!shutting_down, stopped"},
		{"nothing starts during a shutdown", resting, []Event{shutdown, start}, process.Completed,
			"disarm, started!shutting_down, refuse!shutting_down"},

		{"stuck tells those who wait", running, []Event{stop, stuck}, process.Stopping,
			"end 7 stop, disarm, started!superseded, save, " + told},
		{"stuck starts nothing", running, []Event{restart, stuck, start}, process.Stopping,
			"end 7 stop, save, " + told + ", refuse!stuck"},
		{"stuck, then gone", running, []Event{restart, stuck, stopped}, process.Stopped,
			"end 7 stop, save, " + told + ", stopped"},
		{"stuck at its deadline, then gone: scheduled again", scheduledRun, []Event{stuck, late}, process.Scheduled,
			told + ", stopped, arm, started, tell"},
		{"shutdown leaves a stuck one alone", running, []Event{stop, stuck, shutdown}, process.Stopping,
			"end 7 stop, disarm, started!superseded, save, " + told + ", disarm, started!shutting_down"},
		{"stop of a stuck one tries again", running, []Event{stop, stuck, stop}, process.Stopping,
			"end 7 stop, disarm, started!superseded, save, " + told + ", end 7 stop, disarm, started!superseded, save"},
		{"delete of a stuck one removes it when it is gone", running, []Event{stop, stuck, remove, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, " + told + ", end 7 stop, disarm, started!superseded, save, stopped, remove"},
		{"a delete that is done", resting, []Event{remove, {Kind: Forgotten}}, process.Completed, "disarm, remove, removed"},
		{"what is being forgotten does not start", onSchedule, []Event{remove, start, due, stop, remove, {Kind: Forgotten}}, process.Scheduled,
			"disarm, remove, refuse!not_found, save, stopped, removed"},
		{"a delete that fails", onSchedule, []Event{remove, {Kind: NotForgotten}}, process.Scheduled, "disarm, remove, removed!store, arm"},
		{"a schedule that is given arms what is up", Process{Rest: process.Completed, Up: true}, []Event{{Kind: Rescheduled}}, process.Scheduled, "arm"},
		{"but not what was stopped", resting, []Event{{Kind: Rescheduled}}, process.Completed, ""},
		{"a schedule that is given during a run", running, []Event{{Kind: Rescheduled}, good}, process.Scheduled, "arm, stopped, arm, started"},
		{"a schedule that is taken", onSchedule, []Event{{Kind: Unscheduled}}, process.Stopped, "disarm"},
		{"a schedule that is taken before a start has armed it", scheduledRun, []Event{stop, start, {Kind: Unscheduled}, stopped}, process.Stopped,
			"end 7 stop, disarm, started!superseded, save, save, disarm, started!superseded, stopped"},
		{"a schedule that is taken during a run", scheduledRun, []Event{{Kind: Unscheduled}, good}, process.Completed, "disarm, stopped"},
		{"a failure is followed by another run", service, []Event{bad, due2, {Kind: RunStarted, Run: 8}, {Kind: RunReady, Run: 8}}, process.Running,
			"stopped, await, drop, arm, spawn 8, started"},
		{"a success is not", service, []Event{good, due2}, process.Completed, "stopped"},
		{"unless it always is", server, []Event{good}, process.Backoff, "stopped, await"},
		{"a deadline is a failure", service, []Event{late}, process.Backoff, "stopped, await"},
		{"a start that fails is one, and is told", startingService, []Event{failed}, process.Backoff, "started!start_failed, stopped, await"},
		{"a stop is not followed", server, []Event{stop, stopped, due2}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped"},
		{"nor is a failure that comes before its stop is done", service, []Event{stop, bad}, process.Stopped, "end 7 stop, disarm, started!superseded, save, stopped, tell"},
		{"a shutdown is not followed", server, []Event{shutdown, shut, due2}, process.Stopped, "end 7 shutdown, disarm, started!shutting_down, stopped"},
		{"what fails during a shutdown rests", service, []Event{shutdown, bad}, process.Failed, "end 7 shutdown, disarm, started!shutting_down, stopped"},
		{"stop in backoff", waits, []Event{stop, due2, autostart}, process.Stopped, "drop, disarm, save, stopped"},
		{"start in backoff", waits, []Event{start, due2}, process.Starting, "drop, arm, spawn 8"},
		{"restart in backoff", waits, []Event{restart}, process.Starting, "drop, arm, spawn 8"},
		{"delete in backoff", waits, []Event{remove, due2, {Kind: Forgotten}}, process.Backoff, "drop, disarm, remove, removed"},
		{"a delete in backoff that fails", waits, []Event{remove, {Kind: NotForgotten}, due2}, process.Starting,
			"drop, disarm, remove, removed!store, await, drop, arm, spawn 8"},
		{"shutdown in backoff leaves it", waits, []Event{shutdown, due2, start}, process.Backoff, "disarm, drop, started!shutting_down, refuse!shutting_down"},
		{"no restarts any more, in backoff", waits, []Event{{Kind: Repolicied}, due2}, process.Failed, "drop, save"},
		{"none after a success any more", server, []Event{good, {Kind: Repolicied, Policy: onFailure}}, process.Completed, "stopped, await, drop, save"},
		{"other delays, in backoff", waits, []Event{{Kind: Repolicied, Policy: process.Restarting{Restart: process.RestartAlways, RestartDelay: time.Hour}}}, process.Backoff, "drop, save, await"},
		{"the same delays, in backoff", waits, []Event{{Kind: Repolicied, Policy: always}}, process.Backoff, ""},
		{"a limit, in backoff", Process{Rest: process.Backoff, Under: process.Failed, Up: true, Policy: onFailure, Attempts: Attempts{Row: 1}}, []Event{{Kind: Repolicied, Policy: limited}}, process.Failed,
			"drop, save, give up"},
		{"a limit that is reached", Process{Up: true, Last: 7, Runs: []Execution{{Number: 7, Phase: Running}}, Policy: limited, Attempts: Attempts{Row: 1, Count: 1}}, []Event{bad, due2}, process.Failed,
			"stopped, give up, tell"},
		{"a failure is told though what waits in line follows", Process{Up: true, Scheduled: true, Last: 7, Queue: &Occasion{}, Runs: []Execution{{Number: 7, Phase: Running, Ready: true}}}, []Event{bad}, process.Starting,
			"stopped, arm, spawn 8, tell"},
		{"but not where a start was asked for", running, []Event{restart, bad}, process.Starting, "end 7 stop, save, stopped, arm, spawn 8"},
		{"a scheduled one is tried again", scheduledService, []Event{bad, due2}, process.Starting, "stopped, await, arm, started, drop, arm, spawn 8"},
		{"until its next time", scheduledService, []Event{bad, due, due2}, process.Starting, "stopped, await, arm, started, drop, arm, 12:00 ran 8, spawn 8"},
		{"and rests between its times", scheduledService, []Event{good}, process.Scheduled, "stopped, arm, started"},
		{"a schedule that is taken in backoff", scheduledService, []Event{bad, {Kind: Unscheduled}, due2}, process.Starting, "stopped, await, arm, started, disarm, drop, arm, spawn 8"},
		{"a schedule that is given in backoff", waits, []Event{{Kind: Rescheduled}}, process.Backoff, "arm"},
		{"stop of a scheduled one in backoff", scheduledService, []Event{bad, stop, due}, process.Stopped, "stopped, await, arm, started, drop, disarm, save, stopped"},
		{"the daemon starts one", never, []Event{autostart}, process.Starting, "spawn 1"},
		{"the daemon arms a schedule", offSchedule, []Event{autostart}, process.Scheduled, "arm, save, started"},
		{"the daemon starts one that waits", waits, []Event{autostart}, process.Starting, "drop, arm, spawn 8"},
		{"the daemon starts nothing twice", running, []Event{autostart, owed}, process.Running, ""},
		{"nor what is deleted meanwhile", resting, []Event{remove, autostart, owed}, process.Completed, "disarm, remove"},
		{"stop of what was never started holds", never, []Event{stop, stop}, process.Stopped, "save, stopped, stopped"},
		{"a run that a former worker owed", resting, []Event{owed}, process.Starting, "arm, spawn 7"},
		{"a start is held back", resting, []Event{held(start)}, process.Waiting, "hold, save"},
		{"and goes on with what it needs", resting, []Event{held(start), held(Event{Kind: NeedsChanged}), {Kind: NeedsChanged}}, process.Starting, "hold, save, spawn 7"},
		{"who waits in vain is told", resting, []Event{held(start), held(Event{Kind: NeedsChanged, Lost: true})}, process.Waiting, "hold, save, started!needs"},
		{"another attempt is held back", waits, []Event{held(due2)}, process.Waiting, "drop, arm, hold, save"},
		{"a scheduled time is held back, and the next one skipped", onSchedule, []Event{held(due), held(due)}, process.Waiting, "arm, 12:00 queued, hold, save, arm, 12:00 skipped"},
		{"a restart is held back", running, []Event{restart, held(stopped)}, process.Waiting, "end 7 stop, save, stopped, arm, hold, save"},
		{"stop while it waits", resting, []Event{held(start), held(stop), {Kind: NeedsChanged}}, process.Stopped, "hold, save, started!superseded, disarm, save, stopped"},
		{"delete while it waits", resting, []Event{held(start), held(remove)}, process.Waiting, "hold, save, started!superseded, disarm, remove"},
		{"start of a scheduled one that waits leaves it", onSchedule, []Event{held(due), held(start), {Kind: NeedsChanged}}, process.Starting, "arm, 12:00 queued, hold, save, started, 12:00 queued 7, spawn 7"},
		{"start while it waits", resting, []Event{held(start), held(start)}, process.Waiting, "hold, save, hold, save"},
		{"shutdown while it waits leaves it", resting, []Event{held(start), held(shutdown), {Kind: NeedsChanged}}, process.Waiting, "hold, save, disarm, started!shutting_down"},
		{"a start whose number is not on disk never was", resting, []Event{start, unstored}, process.Completed,
			"spawn 7, started!store, stopped, disarm"},
		{"its number is given again", resting, []Event{start, unstored, start}, process.Starting,
			"spawn 7, started!store, stopped, disarm, spawn 7"},
		{"of a restart the end is left", Process{Rest: process.Stopped, Up: true, Last: 6, Runs: []Execution{{Number: 6, Phase: Running}}},
			[]Event{restart, {Kind: RunEnded, Run: 6, Cause: process.CauseStop}, unstored}, process.Stopped,
			"end 6 stop, save, stopped, arm, spawn 7, started!store, stopped"},
		{"a time that started nothing waits for the next", onSchedule, []Event{due, unstored}, process.Scheduled,
			"arm, 12:00 ran 7, spawn 7, 12:00 skipped, started!store, stopped, arm, started"},
		{"a stop meanwhile holds", resting, []Event{start, stop, unstored}, process.Completed,
			"spawn 7, end 7 stop, disarm, started!superseded, save, started!store, stopped, disarm"},
		{"of a schedule too", onSchedule, []Event{due, stop, unstored}, process.Stopped,
			"arm, 12:00 ran 7, spawn 7, end 7 stop, disarm, started!superseded, save, 12:00 skipped, started!store, stopped, disarm"},
		{"but not one that was started again", onSchedule, []Event{due, stop, start, unstored}, process.Scheduled,
			"arm, 12:00 ran 7, spawn 7, end 7 stop, disarm, started!superseded, save, save, 12:00 skipped, stopped, arm, started"},
		{"a restart meanwhile is not tried", resting, []Event{start, restart, unstored}, process.Completed,
			"spawn 7, end 7 stop, save, started!store, stopped, disarm"},
		{"a delete meanwhile is done", resting, []Event{start, remove, unstored, {Kind: Forgotten}}, process.Completed,
			"spawn 7, end 7 stop, disarm, started!superseded, save, started!store, stopped, disarm, remove, removed"},
		{"and one that fails leaves it stopped", onSchedule, []Event{due, remove, unstored, {Kind: NotForgotten}, due}, process.Stopped,
			"arm, 12:00 ran 7, spawn 7, end 7 stop, disarm, started!superseded, save, 12:00 skipped, started!store, stopped, disarm, remove, removed!store"},
		{"an attempt comes again", waits, []Event{due2, {Kind: RunUnstored, Run: 8, Now: time.Minute}}, process.Backoff,
			"drop, arm, spawn 8, started!store, stopped, await"},
		{"what was held back goes on waiting", resting, []Event{held(start), {Kind: NeedsChanged}, unstored, {Kind: NeedsChanged}}, process.Starting,
			"hold, save, spawn 7, spawn 7"},
		{"and a stop meanwhile ends that", resting, []Event{held(start), {Kind: NeedsChanged}, stop, unstored}, process.Stopped,
			"hold, save, spawn 7, end 7 stop, disarm, started!superseded, save, started!store, stopped, disarm"},
		{"a stop meanwhile ends the attempts", waits, []Event{due2, stop, {Kind: RunUnstored, Run: 8, Now: time.Minute}}, process.Stopped,
			"drop, arm, spawn 8, end 8 stop, disarm, started!superseded, save, started!store, stopped, disarm"},
		{"the end of another run is nothing", running, []Event{{Kind: RunEnded, Run: 6}}, process.Running, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.from
			var all []Action
			for _, e := range test.events {
				var actions []Action
				p, actions = p.Step(e)
				all = append(all, actions...)
			}
			all, _ = apart(all)
			if do := show(all); p.State() != test.state || do != test.do {
				t.Errorf("is %v after: %s\nwant %v after: %s", p.State(), do, test.state, test.do)
			}
		})
	}
}

// The target is what it was before a start that never was; a queued start makes it up only
// when its run begins.
func TestAStartThatNeverWasLeavesTheTarget(t *testing.T) {
	up := running
	up.Last, up.Runs = 6, []Execution{{Number: 6, Phase: Running}}
	over := Event{Kind: RunEnded, Run: 6, Cause: process.CauseStop}
	for _, test := range []struct {
		from   Process
		events []Event
		up     bool
	}{
		{resting, []Event{start}, true},
		{resting, []Event{start, unstored}, false},
		{up, []Event{restart, over, unstored}, true},
		{up, []Event{stop, start}, false},
		{up, []Event{stop, start, over}, true},
		{up, []Event{stop, start, over, unstored}, false},
		{up, []Event{restart, over, stop, unstored}, false},
		{onSchedule, []Event{due, unstored}, true},
		{onSchedule, []Event{due, stop, unstored}, false},
		{onSchedule, []Event{due, stop, start, unstored}, true},
		{resting, []Event{owed, unstored}, false},
		{resting, []Event{owed, unstored, owed}, true},
	} {
		p := test.from
		for _, e := range test.events {
			p, _ = p.Step(e)
		}
		if p.Up != test.up || p.Stopped == test.up {
			t.Errorf("%+v after %+v: up is %v, stopped %v", test.from, test.events, p.Up, p.Stopped)
		}
	}
}

// An attempt that never was does not count, and comes again after its delay, not at once.
// One that is still to come stays where it is.
func TestAnAttemptThatNeverWasComesAgain(t *testing.T) {
	const delay = 4 * time.Second
	was := Attempts{Count: 3, Row: 2, Next: time.Minute, Delay: delay}
	from := Process{Rest: process.Backoff, Under: process.Failed, Up: true, Last: 6, Policy: always, Attempts: was}
	for _, test := range []struct {
		kind EventKind
		now  time.Duration
		next time.Duration
	}{
		{Retry, time.Minute, time.Minute + time.Second + delay},
		{Start, time.Minute - 10*time.Second, time.Minute},
	} {
		p, _ := from.Step(Event{Kind: test.kind, Now: test.now})
		p, _ = p.Step(Event{Kind: RunUnstored, Run: 7, Now: test.now + time.Second})
		want := was
		want.Next = test.next
		if fmt.Sprint(p.Attempts) != fmt.Sprint(want) || p.Rest != process.Backoff || p.Last != 6 {
			t.Errorf("%+v\nwant %+v", p, want)
		}
	}
}

// Who waits until a run is ready, or over, is answered for that run, and told when there
// will be none.
func TestWhoWaitsForOneRun(t *testing.T) {
	unready := starting
	unready.Runs = []Execution{{Number: 7, Phase: Running, Started: true}}
	const never = "ready!superseded, ended 8!superseded"
	for _, test := range []struct {
		name   string
		from   Process
		events []Event
		awaits uint64 // the first event
		do     string
	}{
		{"the next run, at rest", resting, []Event{start, begun, ready, good}, 7, "ready 7, ended 7"},
		{"the run under way", unready, []Event{start, ready, bad}, 7, "ready 7, ended 7"},
		{"what is ready already", running, []Event{start}, 7, "ready 7"},
		{"a run that ends before it is ready", unready, []Event{start, bad}, 7, "ready 7!start_failed, ended 7"},
		{"a run that has no leader", starting, []Event{start, failed}, 7, "ready 7!start_failed, ended 7"},
		{"a restart waits for the next run", running, []Event{restart, stopped, {Kind: RunStarted, Run: 8}, {Kind: RunReady, Run: 8}}, 8, "ended 7, ready 8"},
		{"a start behind a stop too", running, []Event{stop, start, stopped}, 0, never + ", ended 7"},
		{"a stop drops who waits for the next run, and the end is that of this one", running, []Event{restart, stop, stopped}, 8, never + ", ended 7"},
		{"a delete too", running, []Event{remove, stopped}, 0, never + ", ended 7"},
		{"a shutdown too", unready, []Event{shutdown, shut}, 0, "ready!shutting_down, ended 8!shutting_down, ready 7!start_failed, ended 7"},
		{"what is stuck", running, []Event{restart, stuck}, 8, "ready!stuck, ended!stuck"},
		{"nobody waits for the time of a schedule", offSchedule, []Event{start}, 7, "ready!superseded, ended 7!superseded"},
		{"not even behind an end", scheduledRun, []Event{stop, start, stopped}, 0, never + ", ended 7, " + never},
		{"a schedule that is taken before a start has armed it", scheduledRun, []Event{stop, start, {Kind: Unscheduled}}, 0, never + ", " + never},
		{"a run that never was", resting, []Event{start, unstored}, 7, "ready!store, ended!store"},
		{"ready is told once", unready, []Event{ready, ready}, 0, "ready 7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.from
			var all []Action
			if run := p.Awaits(test.events[0].Kind); test.awaits != 0 && run != test.awaits {
				t.Errorf("awaits run %d, want %d", run, test.awaits)
			}
			for _, e := range test.events {
				var actions []Action
				p, actions = p.Step(e)
				all = append(all, actions...)
			}
			if _, all = apart(all); show(all) != test.do {
				t.Errorf("answers: %s\nwant: %s", show(all), test.do)
			}
		})
	}
}

// Whatever the state, an event leads to one in which the promises hold.
func TestEveryProcessStateTakesEveryEvent(t *testing.T) {
	var states []Process
	for bits := range 1 << 3 {
		for _, rest := range []process.State{process.Scheduled, process.Backoff, process.Stopped, process.Completed, process.Failed} {
			for then := ThenRest; then <= ThenRemove; then++ {
				for _, policy := range []process.Restarting{{}, onFailure, always, limited} {
					for _, runs := range [][]Execution{nil, {{Number: 7}}, {{Number: 7, Phase: Running, Started: true}}, {{Number: 7, Phase: Running, Started: true, Ready: true}}, {{Number: 7, Phase: Stopping, Started: true}},
						{{Number: 7, Phase: Running, Started: true, Ready: true, Paused: true}}, {{Number: 7, Phase: Running, Started: true, Paused: true, Still: true}}, {{Number: 7, Phase: Stopping, Stuck: true}}} {
						p := Process{Up: bits&1 > 0, Scheduled: bits&2 > 0, Closing: bits&4 > 0, Rest: rest, Then: then, Runs: runs, Last: 7, Policy: policy}
						if rest == process.Scheduled && !(p.Scheduled && p.Up) || then != ThenRest && runs == nil || rest == process.Backoff && (!p.Up || runs != nil) {
							continue // cannot be
						}
						states = append(states, p)
					}
				}
			}
		}
	}
	for _, p := range states {
		for _, e := range everything {
			before := fmt.Sprintf("%+v", p)
			next, actions := p.Step(e)
			where := fmt.Sprintf("%s, %+v: %+v after %s", before, e, next, show(actions))
			if fmt.Sprintf("%+v", p) != before {
				t.Fatalf("the state that was given is changed: %s", where)
			}
			if len(next.Runs) > 1 {
				t.Errorf("two runs: %s", where)
			}
			for _, a := range actions {
				if a.Do == Spawn && e.Kind == RunEnded && p.Then != ThenStart {
					t.Errorf("starts again at once: %s", where)
				}
				if a.Do == AwaitRetry && (next.Rest != process.Backoff || next.Closing || !next.Up) {
					t.Errorf("waits to start although it is not to be up: %s", where)
				}
				if a.Do == Spawn && (p.Then == ThenRemove || p.Closing && e.Kind < RunStarted) {
					t.Errorf("starts although it ends: %s", where)
				}
				if a.Do == EndRun && next.find(a.Run) < 0 {
					t.Errorf("ends a run that is not there: %s", where)
				}
			}
			if next.Rest == process.Backoff && (next.Busy() || !next.Up) {
				t.Errorf("in backoff, and it runs or is not to be up: %s", where)
			}
			if e.Kind == Stop && p.Then != ThenRemove && (next.Up || next.Rest == process.Backoff || !next.Stopped) {
				t.Errorf("a stop does not hold: %s", where)
			}
			if (e.Kind == Pause || e.Kind == Resume) && !next.Busy() && !answered(e, actions) {
				t.Errorf("a request is forgotten: %s", where)
			}
			if p.pausing() && !next.pausing() && !answered(pause, actions) {
				t.Errorf("who waits for a pause is forgotten: %s", where)
			}
			if e.Kind <= Delete && !next.Busy() && !answered(e, actions) {
				t.Errorf("a request is forgotten: %s", where)
			}
		}
	}
}

// answered reports whether the request that came is answered by the actions.
func answered(e Event, actions []Action) bool {
	goals := map[EventKind]Goal{Start: UntilStarted, Restart: UntilStarted, Stop: UntilStopped, Delete: UntilRemoved, Pause: UntilPaused, Resume: UntilResumed}
	for _, a := range actions {
		if a.Do == Refuse || a.Do == Answer && a.Goal == goals[e.Kind] || a.Do == Remove && e.Kind == Delete {
			return true
		}
	}
	return false
}
