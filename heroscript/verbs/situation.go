package verbs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A look is what a process is explained by.
type look struct {
	process.Status
	ended  process.Run // the run that ended last; Number 0: none has
	events []process.Event
	now    time.Time
}

// situation is a row of the table: the first that fits says why a process is as it is.
type situation struct {
	what string
	is   func(l *look) bool
	says func(l *look) string
	next func(l *look) []process.Step
}

// situations is the table. None of its commands ends, deletes or changes what runs.
var situations = []situation{
	{"a definition that cannot be", inState(process.Failed, func(l *look) bool { return l.ErrorCode == process.CodeInvalid }),
		func(l *look) string { return "its definition cannot be carried out: " + l.Error },
		func(l *look) []process.Step { return steps("status", "its definition", "doctor", "what else is wrong") }},
	{"a start that could not be stored", inState(process.Failed, func(l *look) bool { return l.ErrorCode == process.CodeStore }),
		func(l *look) string { return "a run could not be noted on disk, so it was not begun: " + l.Error },
		func(l *look) []process.Step {
			return steps("doctor", "where the disk is full or cannot be written", "start", "try again when that is mended")
		}},
	{"a restart policy that gave up", inState(process.Failed, func(l *look) bool { return l.gaveUp() != nil }),
		func(l *look) string {
			return "no further attempt follows, " + strings.TrimSuffix(l.gaveUp().Error, ".") + ": " + ending(l.ended)
		},
		func(l *look) []process.Step {
			return append(l.afterFailure(), steps("start", "try again, and count restarts anew")...)
		}},
	{"a failure", inState(process.Failed, func(l *look) bool { return l.ended.Number != 0 }),
		func(l *look) string { return ending(l.ended) },
		func(l *look) []process.Step { return append(l.afterFailure(), steps("start", "try again")...) }},
	{"a failure without a run", inState(process.Failed, nil),
		func(l *look) string { return orDash(l.Error) },
		func(l *look) []process.Step {
			return steps("doctor", "what is wrong on this host", "events", "what has happened")
		}},

	{"done", inState(process.Completed, nil),
		func(l *look) string { return ending(l.ended) },
		func(l *look) []process.Step {
			return steps("runs", "all runs that have ended", "log", "its output", "start", "run it again")
		}},

	{"a schedule that is not armed", inState(process.Stopped, func(l *look) bool { return l.Cron != "" }),
		func(l *look) string { return "its schedule is not armed, so no run begins by itself" },
		func(l *look) []process.Step {
			return steps("start", "arm its schedule", "trigger", "run it now", "runs", "all runs that have ended")
		}},
	{"never run", inState(process.Stopped, func(l *look) bool { return l.ended.Number == 0 }),
		func(l *look) string { return "it was defined, and never started" },
		func(l *look) []process.Step { return steps("start", "start it", "status", "its definition") }},
	{"stopped", inState(process.Stopped, nil),
		func(l *look) string { return ending(l.ended) },
		func(l *look) []process.Step {
			return steps("start", "start it again", "runs", "all runs that have ended", "log", "its output")
		}},

	{"a schedule that is paused", inState(process.Scheduled, func(l *look) bool { return l.SchedulePaused }),
		func(l *look) string { return "its schedule is paused, so its times pass without a run" },
		func(l *look) []process.Step {
			return steps("schedule-resume", "have its schedule go on", "trigger", "run it now", "ledger", "what became of its times")
		}},
	{"the next start of the machine", inState(process.Scheduled, func(l *look) bool { return l.NextTime.IsZero() && strings.HasSuffix(l.Cron, "@reboot") }),
		func(l *look) string { return "it runs at the next start of the machine" + l.lastFailed() },
		func(l *look) []process.Step {
			return append(l.ifFailed(), steps("trigger", "run it now", "runs", "all runs that have ended")...)
		}},
	{"a schedule without a time", inState(process.Scheduled, func(l *look) bool { return l.NextTime.IsZero() }),
		func(l *look) string { return "no time of its schedule comes within 40 years: " + l.Cron },
		func(l *look) []process.Step { return steps("status", "its definition", "trigger", "run it now") }},
	{"a schedule", inState(process.Scheduled, nil),
		func(l *look) string { return "its next run is at " + l.at(l.NextTime) + l.lastFailed() },
		func(l *look) []process.Step {
			return append(l.ifFailed(), steps("next", "its next times", "ledger", "what became of the past ones", "trigger", "run it now")...)
		}},

	{"waiting in vain", inState(process.Waiting, func(l *look) bool { return len(l.inVain()) > 0 }),
		func(l *look) string { return "it waits in vain for " + process.JoinAwaited(l.inVain()) },
		func(l *look) []process.Step { return l.aboutNeeds(l.inVain()) }},
	{"waiting", inState(process.Waiting, nil),
		func(l *look) string { return "it waits for " + process.JoinAwaited(l.WaitsFor) },
		func(l *look) []process.Step { return l.aboutNeeds(l.WaitsFor) }},

	{"not ready yet", inState(process.Starting, func(l *look) bool { return l.PID != 0 }),
		func(l *look) string {
			text := "its main process runs, and is not ready yet"
			if l.ReadyError != "" {
				text += ": " + l.ReadyError
			}
			return text
		},
		func(l *look) []process.Step {
			return steps("log", "what it says", "tree", "what it does", "wait -for ready", "wait until it is")
		}},
	{"about to start", inState(process.Starting, nil),
		func(l *look) string { return "a run is about to begin" },
		func(l *look) []process.Step {
			return steps("status", "how far it is", "doctor", "what may hold it up on this host")
		}},

	{"not well", inState(process.Running, func(l *look) bool { return unwell(l.Status) != "" }),
		func(l *look) string { return "it runs, and its health probe fails: " + orDash(l.Health.Error) },
		func(l *look) []process.Step {
			return steps("log", "what it says", "tree", "what it does", "status", "its figures")
		}},
	{"running after a failure", inState(process.Running, func(l *look) bool { return l.Restarts > 0 && l.ended.HasFailed() }),
		func(l *look) string {
			return fmt.Sprintf("it runs, after %s; before that %s", restarts(l.Restarts), ending(l.ended))
		},
		func(l *look) []process.Step {
			return append(steps("runs -failed", "the runs that failed", "status", "its figures"), l.logOf(l.ended.Number)...)
		}},
	{"running", inState(process.Running, nil),
		func(l *look) string {
			if by := asker(l.Asked); by != "" {
				return fmt.Sprintf("run %d goes on, asked for by %s", l.Number, by)
			}
			return fmt.Sprintf("run %d goes on", l.Number)
		},
		func(l *look) []process.Step {
			return steps("status", "its figures", "tree", "its kernel processes", "log", "its output")
		}},

	{"paused", inState(process.Paused, nil),
		func(l *look) string {
			return "its processes stand still, as was asked for; the clock of its deadline does too"
		},
		func(l *look) []process.Step { return steps("resume", "have it go on", "tree", "its kernel processes") }},

	{"stuck", inState(process.Stopping, func(l *look) bool { return l.stuck() }),
		func(l *look) string {
			return "SIGKILL has not ended it: one of its processes waits in the kernel, for a disk or a network file system most often"
		},
		func(l *look) []process.Step {
			return steps("tree", "which process it is: uninterruptible", "wait -for stopped", "wait until it is gone")
		}},
	{"stopping", inState(process.Stopping, nil),
		func(l *look) string {
			text := "its processes are being ended"
			if e := l.last(process.EventStopping); e != nil && e.Cause != 0 {
				text += ": " + causeInWords(e.Cause)
			}
			return fmt.Sprintf("%s; SIG%s was sent, and what is left after %s is killed", text, l.EndSignal(), Seconds(l.Grace().Seconds()))
		},
		func(l *look) []process.Step {
			return steps("tree", "who is left", "wait -for stopped", "wait until nobody is")
		}},

	{"backoff", inState(process.Backoff, nil),
		func(l *look) string { return "it is tried again " + l.soon(l.NextAttempt) + ": " + ending(l.ended) },
		func(l *look) []process.Step { return append(l.afterFailure(), steps("start", "try again now")...) }},
}

// inState is whether a process is in a state and something else holds; nil: no more.
func inState(state process.State, and func(*look) bool) func(*look) bool {
	return func(l *look) bool { return l.State == state && (and == nil || and(l)) }
}

// steps are commands and what they are for, in turn. Each is about the process, but for doctor.
func steps(commandsAndFor ...string) (all []process.Step) {
	for i := 0; i+1 < len(commandsAndFor); i += 2 {
		all = append(all, process.Step{Command: commandsAndFor[i], For: commandsAndFor[i+1]})
	}
	return all
}

// explain is why a process is as it is. It depends on nothing else.
func explain(s process.Status, events []process.Event, now time.Time) process.Explanation {
	l := &look{Status: s, ended: s.Ended(), events: events, now: now}
	shown := s.Run
	if shown.Number == 0 {
		shown = l.ended
	}
	e := process.Explanation{Name: s.Name, State: s.State, Since: l.since(), Run: shown.Number, Cause: shown.Cause, ExitCode: shown.ExitCode, Signal: shown.Signal}
	for _, one := range situations {
		if one.is(l) {
			e.Says, e.Next = one.says(l), one.next(l)
			break
		}
	}
	e.Facts = l.facts()
	e.Next = l.commands(e.Next)
	return e
}

// maxSteps is how many commands are told: more are no help.
const maxSteps = 5

// commands are the steps as they are typed, each once.
func (l *look) commands(all []process.Step) (told []process.Step) {
	if l.OutputError != "" || l.LogDropped > 0 {
		all = append(all, steps("doctor", "why its output is not kept")...)
	}
	told = []process.Step{}
	for _, one := range all {
		switch verb, rest, _ := strings.Cut(one.Command, " "); verb {
		case "doctor", "list": // of all
			one.Command = "pmclient " + verb
		default:
			if !strings.HasPrefix(rest, "-") && rest != "" { // it names another one
				one.Command = "pmclient " + one.Command
			} else {
				one.Command = strings.TrimSuffix("pmclient "+verb+" "+l.Name+" "+rest, " ")
			}
		}
		if len(told) < maxSteps && !slices.ContainsFunc(told, func(other process.Step) bool { return other.Command == one.Command }) {
			told = append(told, one)
		}
	}
	return told
}

// last is the last event of a kind; nil: none is known.
func (l *look) last(kinds ...process.EventKind) *process.Event {
	for i := range slices.Backward(l.events) {
		if e := &l.events[i]; slices.Contains(kinds, e.Kind) {
			return e
		}
	}
	return nil
}

// lastOf is the same of the run that is under way.
func (l *look) lastOf(kind process.EventKind) *process.Event {
	if e := l.last(kind); e != nil && e.Run == l.Number {
		return e
	}
	return nil
}

// gaveUp is the event that tells that no attempt follows the last run; nil: none does.
func (l *look) gaveUp() *process.Event {
	e := l.last(process.EventGaveUp)
	if e == nil || e.Run != 0 && e.Run != l.ended.Number || e.Time.Before(l.ended.End.Add(-time.Minute)) {
		return nil
	}
	return e
}

// since is since when the process is in its state; zero: that is not known.
func (l *look) since() time.Time {
	at := func(e *process.Event, or time.Time) time.Time {
		if e != nil {
			return e.Time
		}
		return or
	}
	switch l.State {
	case process.Stopped, process.Completed, process.Failed:
		if l.ended.Number == 0 {
			return at(l.last(process.EventDefined), time.Time{})
		}
		return l.ended.End
	case process.Scheduled:
		return at(l.last(process.EventEnded, process.EventDefined, process.EventSchedulePaused, process.EventScheduleResumed), l.ended.End)
	case process.Waiting:
		return at(l.last(process.EventWaiting), time.Time{})
	case process.Backoff:
		return at(l.last(process.EventBackoff), l.ended.End)
	case process.Paused:
		return at(l.lastOf(process.EventPaused), time.Time{})
	case process.Stopping:
		return at(l.lastOf(process.EventStopping), time.Time{})
	case process.Running:
		began := l.Start
		if l.ReadyTime.After(began) {
			began = l.ReadyTime
		}
		if e := l.lastOf(process.EventResumed); e != nil && e.Time.After(began) {
			began = e.Time
		}
		return began
	}
	return at(l.lastOf(process.EventStarting), l.Start)
}

// killTime is how long after the grace period a tree may take to be gone.
const killTime = 6 * time.Second

// stuck reports whether a tree should be gone by now.
func (l *look) stuck() bool {
	e := l.lastOf(process.EventStopping)
	return e != nil && l.now.Sub(e.Time) > l.Grace()+killTime
}

// inVain are those that the process waits for and that will not come by themselves.
func (l *look) inVain() (list []process.Awaited) {
	for _, w := range l.WaitsFor {
		if w.State == 0 || w.State.AtRest() || w.State == process.Waiting && w.Error != "" {
			list = append(list, w)
		}
	}
	return list
}

// aboutNeeds are commands about others that are waited for.
func (l *look) aboutNeeds(list []process.Awaited) (all []process.Step) {
	for _, w := range list[:min(2, len(list))] {
		if w.State == 0 {
			all = append(all, steps("list", "what there is: "+w.Name+" is not defined")...)
			continue
		}
		all = append(all, steps("why "+w.Name, "why that is "+w.State.String())...)
		if w.State.AtRest() {
			all = append(all, steps("start "+w.Name, "start it")...)
		}
	}
	return append(all, steps("tree -needs", "all that it needs")...)
}

// afterFailure are commands that tell more about the run that ended last.
func (l *look) afterFailure() []process.Step {
	return append(l.logOf(l.ended.Number), steps("runs -failed", "the runs that failed")...)
}

// ifFailed are the same where it has failed.
func (l *look) ifFailed() []process.Step {
	if !l.ended.HasFailed() {
		return nil
	}
	return l.logOf(l.ended.Number)
}

// logOf is the command for all output of a run.
func (l *look) logOf(run uint64) []process.Step {
	if l.Log && run != 0 {
		return steps(fmt.Sprintf("log -run %d", run), "all output of that run")
	}
	return steps("log", "all output that is kept")
}

// lastFailed says that the last run has failed.
func (l *look) lastFailed() string {
	if !l.ended.HasFailed() {
		return ""
	}
	return "; the last time " + ending(l.ended)
}

// at is a time to come.
func (l *look) at(t time.Time) string { return ZonedTime(t) + " (" + away(t.Sub(l.now)) + ")" }

// soon is how far away a time is.
func (l *look) soon(t time.Time) string { return away(t.Sub(l.now)) }

// ending is how a run has ended, as the second half of a sentence.
func ending(r process.Run) string {
	who := fmt.Sprintf("run %d ", r.Number)
	switch {
	case r.Cause == process.CauseExit && r.ExitCode != nil && r.HasFailed():
		return who + fmt.Sprintf("failed: its main process exited with code %d", *r.ExitCode)
	case r.Cause == process.CauseExit && r.ExitCode != nil:
		return who + fmt.Sprintf("did what it was to do: its main process exited with code %d", *r.ExitCode)
	case r.Cause == process.CauseOOM:
		return who + "was " + r.OOM.Own()
	case r.Cause == process.CauseSignal && isSent(r.Signal):
		return who + fmt.Sprintf("failed: its main process was ended by SIG%s, which this daemon has not sent", r.Signal)
	case r.Cause == process.CauseSignal:
		return who + fmt.Sprintf("failed: its main process was ended by SIG%s", r.Signal)
	case r.Cause == process.CauseStart && r.Start.IsZero():
		return who + "failed: it could not be started"
	case r.Cause == process.CauseStart && strings.HasPrefix(r.Error, "not ready "):
		return who + "failed: it was not ready in time"
	}
	return who + "ended: " + causeInWords(r.Cause)
}

// causeInWords is why a run ended.
func causeInWords(c process.Cause) string {
	switch c {
	case process.CauseExit:
		return "its main process exited"
	case process.CauseSignal:
		return "its main process was ended by a signal"
	case process.CauseStop:
		return "that was asked for"
	case process.CauseShutdown:
		return "the daemon ended, or the machine"
	case process.CauseDeadline:
		return "its deadline passed"
	case process.CauseOOM:
		return "the kernel killed it for lack of memory"
	case process.CauseStart:
		return "it could not be started, or was not ready in time"
	case process.CauseLost:
		return "nobody saw how: no daemon was there"
	case process.CauseUnhealthy:
		return "it was not well: its health probe failed, or its watchdog was not fed"
	case process.CauseReplaced:
		return "the next run took its place"
	}
	return c.String()
}
