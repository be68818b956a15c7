package verbs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// whyNow is when processes are explained.
var whyNow = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return whyNow.Add(-d) }

// ranFor is a run that ended a minute ago.
func ranFor(number uint64, cause process.Cause) process.Run {
	return process.Run{Number: number, Start: ago(time.Hour), End: ago(time.Minute), Uptime: 3540, Cause: cause}
}

func exited(number uint64, code int, err string) process.Run {
	r := ranFor(number, process.CauseExit)
	r.ExitCode, r.Error = &code, err
	return r
}

// atRest is a process whose last run ended so.
func atRest(state process.State, r process.Run) process.Status {
	s := process.NewStatus(process.Spec{Name: "web", Command: "server"}, state)
	s.Run, s.LastRun = r, &r
	return s
}

// underWay is a process that runs since an hour.
func underWay(state process.State) process.Status {
	s := process.NewStatus(process.Spec{Name: "web", Command: "server"}, state)
	s.PID, s.Run = 77, process.Run{Number: 5, Start: ago(time.Hour), Uptime: 3600}
	return s
}

// without is a process that has no run just now.
func between(state process.State, last process.Run) process.Status {
	s := process.NewStatus(process.Spec{Name: "web", Command: "server"}, state)
	if last.Number != 0 {
		s.LastRun = &last
	}
	return s
}

func with(s process.Status, change func(*process.Status)) process.Status {
	change(&s)
	return s
}

func event5(kind process.EventKind, since time.Duration, more ...func(*process.Event)) process.Event {
	e := process.Event{Name: "web", Kind: kind, Run: 5, Time: ago(since)}
	for _, change := range more {
		change(&e)
	}
	return e
}

// explained are processes in every situation, and what must be said of them.
var everySituation = []struct {
	what   string
	status process.Status
	events []process.Event
	says   []string // each stands in the text
	first  string   // the first command
}{
	{"never run", between(process.Stopped, process.Run{}), []process.Event{event5(process.EventDefined, time.Hour)},
		[]string{"is stopped since 2026-11-28 11:00 UTC: it was defined, and never started"}, "pmclient start web"},
	{"stopped", atRest(process.Stopped, ranFor(4, process.CauseStop)), nil,
		[]string{"is stopped since 2026-11-28 11:59 UTC: run 4 ended: that was asked for"}, "pmclient start web"},
	{"the daemon ended", atRest(process.Stopped, ranFor(4, process.CauseShutdown)), nil, []string{"the daemon ended, or the machine"}, "pmclient start web"},
	{"replaced", atRest(process.Stopped, ranFor(4, process.CauseReplaced)), nil, []string{"the next run took its place"}, "pmclient start web"},
	{"completed", atRest(process.Completed, exited(4, 0, "")), nil, []string{"run 4 did what it was to do: its main process exited with code 0"}, "pmclient runs web"},
	{"completed with a code of its own", with(atRest(process.Completed, exited(4, 3, "")), func(s *process.Status) { s.SuccessCodes = "0,3" }), nil, []string{"exit code:  3, which counts as success here"}, "pmclient runs web"},

	{"failed", with(atRest(process.Failed, exited(4, 3, "exit code 3: no such table")), func(s *process.Status) { s.NeededBy = []string{"shop"} }), nil,
		[]string{"is failed since 2026-11-28 11:59 UTC: run 4 failed: its main process exited with code 3", "exit code:  3: the program's own", "error:      exit code 3: no such table", "restarts:   none: it has no restart policy", "needed by:  shop"}, "pmclient log web"},
	{"not found", with(atRest(process.Failed, exited(4, 127, "exit code 127 (command not found)")), func(s *process.Status) { s.Log = true }), nil, []string{"127: the shell has not found the command"}, "pmclient log web -run 4"},
	{"not executable", atRest(process.Failed, exited(4, 126, "")), nil, []string{"126: the shell has found the command and cannot execute it"}, "pmclient log web"},
	{"a child of the shell was killed", atRest(process.Failed, exited(4, 137, "exit code 137")), nil, []string{"137: a shell says so of a program that SIGKILL has ended"}, "pmclient log web"},
	{"sysexits", atRest(process.Failed, exited(4, 78, "exit code 78")), nil, []string{"EX_CONFIG"}, "pmclient log web"},
	{"forked away", with(atRest(process.Completed, exited(4, 0, "")), func(s *process.Status) { s.LeftBehind = &process.LeftBehind{Count: 1, Names: []string{"serverd"}} }), nil, []string{"its main process exited and left another one, which was ended: serverd"}, "pmclient runs web"},
	{"a signal", atRest(process.Failed, process.Run{Number: 4, End: ago(time.Minute), Cause: process.CauseSignal, Signal: 11, Error: "ended by SIGSEGV"}), nil,
		[]string{"its main process was ended by SIGSEGV\n  signal:    SIGSEGV: memory that is not its own"}, "pmclient log web"},
	{"oom", with(atRest(process.Failed, ranFor(4, process.CauseOOM)), func(s *process.Status) {
		s.LastRun.OOM = &process.OOM{Kills: 1, Victims: []process.Victim{{PID: 9, Name: "server"}}, Limit: process.OOMRun, MaxBytes: 64 << 20}
		s.Run.OOM, s.MemoryMax, s.MemoryMaxEvents = s.LastRun.OOM, 64<<20, new(uint64(7))
	}), nil, []string{"run 4 was killed for lack of memory: its own memory_max of 64M", "one of its processes was killed for lack of memory (server (pid 9); its own memory_max of 64M)", "its memory came to memory_max (64.0 MiB) 7 times"}, "pmclient log web"},
	{"oom of all", with(atRest(process.Failed, ranFor(4, process.CauseOOM)), func(s *process.Status) {
		s.LastRun.OOM = &process.OOM{Kills: 3, Limit: process.OOMMachine, Tree: true}
		s.Run.OOM, s.Run.Error = s.LastRun.OOM, "killed for lack of memory with all its processes: the machine had no more"
	}), nil, []string{"run 4 was killed for lack of memory with all its processes: the machine had no more\n  limit:     3 of its processes were killed for lack of memory (the machine had no more)\n"}, "pmclient log web"},
	{"oom, and nothing is known", atRest(process.Failed, ranFor(4, process.CauseOOM)), nil, []string{"run 4 was killed for lack of memory"}, "pmclient log web"},
	{"waits for its disks", underWay(process.Running), []process.Event{event5(process.EventLimited, time.Hour, func(e *process.Event) { e.Limit, e.Waited = process.LimitIO, 3 })}, []string{"it had to wait 3s for its disks (io_max)"}, "pmclient status web"},
	{"a deadline", atRest(process.Failed, failedBy(ranFor(4, process.CauseDeadline), "the deadline of 1h passed")), nil, []string{"run 4 ended: its deadline passed"}, "pmclient log web"},
	{"unhealthy", atRest(process.Failed, failedBy(ranFor(4, process.CauseUnhealthy), "connection refused")), nil, []string{"it was not well", "connection refused"}, "pmclient log web"},
	{"lost", atRest(process.Failed, failedBy(ranFor(4, process.CauseLost), "it ended while no daemon was there to see it")), nil, []string{"nobody saw how: no daemon was there"}, "pmclient log web"},
	{"a start that failed", atRest(process.Failed, failedBy(process.Run{Number: 4, End: ago(time.Minute), Cause: process.CauseStart}, "chdir /nope: no such file or directory")), nil, []string{"run 4 failed: it could not be started\n", "chdir /nope: no such file or directory"}, "pmclient log web"},
	{"not ready in time", atRest(process.Failed, failedBy(ranFor(4, process.CauseStart), "not ready within 1m0s: connection refused")), nil, []string{"run 4 failed: it was not ready in time\n", "not ready within 1m0s: connection refused"}, "pmclient log web"},
	{"gave up", with(atRest(process.Failed, exited(5, 1, "exit code 1")), func(s *process.Status) { s.Restart, s.RestartLimit, s.Restarts = process.RestartAlways, 3, 3 }),
		[]process.Event{event5(process.EventGaveUp, time.Minute, func(e *process.Event) { e.Error = "restarted 3 times in a row" })},
		[]string{"no further attempt follows, restarted 3 times in a row: run 5 failed", "restarts:   3 so far; always, after 1s to 1m00s, at most 3 in a row"}, "pmclient log web"},
	{"gave up long ago", atRest(process.Failed, exited(6, 1, "exit code 1")), []process.Event{event5(process.EventGaveUp, 3*time.Hour)}, []string{"run 6 failed"}, "pmclient log web"},
	{"a definition that cannot be", with(between(process.Failed, process.Run{}), func(s *process.Status) { s.ErrorCode, s.Run.Error = process.CodeInvalid, "cron: no such zone" }), nil,
		[]string{"its definition cannot be carried out: cron: no such zone"}, "pmclient status web"},
	{"a full disk", with(between(process.Failed, process.Run{}), func(s *process.Status) { s.ErrorCode, s.Run.Error = process.CodeStore, "no space left on device" }), nil,
		[]string{"a run could not be noted on disk, so it was not begun: no space left on device"}, "pmclient doctor"},
	{"a fault of ours", with(between(process.Failed, process.Run{}), func(s *process.Status) { s.Run.Error = "it is not managed any more" }), nil, []string{"is failed: it is not managed any more"}, "pmclient doctor"},
	{"nobody was told", atRest(process.Failed, exited(5, 1, "exit code 1")), []process.Event{event5(process.EventNotifyFailed, time.Minute, func(e *process.Event) { e.Error = "exit code 7" })}, []string{"nobody was told of it: exit code 7"}, "pmclient log web"},

	{"scheduled", with(between(process.Scheduled, exited(4, 0, "")), func(s *process.Status) { s.Cron, s.NextTime = "0 2 * * *", whyNow.Add(14*time.Hour) }), nil,
		[]string{"is scheduled since 2026-11-28 11:59 UTC: its next run is at 2026-11-29 02:00 UTC (in 14h)"}, "pmclient next web"},
	{"scheduled, and the last run failed", with(between(process.Scheduled, exited(4, 1, "exit code 1")), func(s *process.Status) {
		s.Cron, s.NextTime, s.Result, s.ToCatchUp, s.MissedTime, s.SkipTime = "0 2 * * *", whyNow.Add(14*time.Hour), process.Failed, 2, ago(10*time.Hour), whyNow.Add(2*time.Hour)
	}), nil, []string{"the last time run 4 failed: its main process exited with code 1", "2 of the times that were missed", "2026-11-28 02:00 UTC: no daemon ran", "2026-11-28 14:00 UTC, on request"}, "pmclient log web"},
	{"paused schedule", with(between(process.Scheduled, process.Run{}), func(s *process.Status) {
		s.Cron, s.SchedulePaused, s.NextTime = "0 2 * * *", true, whyNow.Add(14*time.Hour)
	}), []process.Event{event5(process.EventDefined, time.Hour), event5(process.EventSchedulePaused, time.Minute)}, []string{"is scheduled since 2026-11-28 11:59 UTC: its schedule is paused, so its times pass without a run"}, "pmclient schedule-resume web"},
	{"at the start of the machine", with(between(process.Scheduled, process.Run{}), func(s *process.Status) { s.Cron = "@reboot" }), nil, []string{"it runs at the next start of the machine"}, "pmclient trigger web"},
	{"no time", with(between(process.Scheduled, process.Run{}), func(s *process.Status) { s.Cron = "0 0 30 2 *" }), nil, []string{"no time of its schedule comes within 40 years: 0 0 30 2 *"}, "pmclient status web"},
	{"not armed", with(between(process.Stopped, process.Run{}), func(s *process.Status) { s.Cron = "0 2 * * *" }), nil, []string{"its schedule is not armed"}, "pmclient start web"},

	{"waiting", with(between(process.Waiting, process.Run{}), func(s *process.Status) {
		s.WaitsFor = []process.Awaited{{Name: "db", State: process.Starting}, {Name: "migrate", Completed: true, State: process.Running}}
	}), []process.Event{event5(process.EventWaiting, 30*time.Second)}, []string{"is waiting since 2026-11-28 11:59:30 UTC: it waits for db (starting), migrate (running)"}, "pmclient why db"},
	{"waiting in vain", with(between(process.Waiting, process.Run{}), func(s *process.Status) {
		s.WaitsFor = []process.Awaited{{Name: "cache", State: process.Running}, {Name: "db", State: process.Failed, Error: "exit code 1"}, {Name: "gone"}}
	}), nil, []string{"it waits in vain for db (failed: exit code 1), gone (not defined)", "pmclient start db  ", "gone is not defined"}, "pmclient why db"},
	{"about to start", with(between(process.Starting, process.Run{}), func(*process.Status) {}), nil, []string{"a run is about to begin"}, "pmclient status web"},
	{"not ready yet", with(underWay(process.Starting), func(s *process.Status) {
		s.Spec.Ready, s.Condition.Ready, s.ReadyError = "tcp:80", new(false), "connection refused"
	}), []process.Event{event5(process.EventStarting, time.Hour)}, []string{"is starting since 2026-11-28 11:00 UTC: its main process runs, and is not ready yet: connection refused", "tcp:80, within 1m00s; not yet"}, "pmclient log web"},
	{"running", with(underWay(process.Running), func(s *process.Status) { s.Spec.Deadline = 2 * time.Hour }), nil, []string{"is running since 2026-11-28 11:00 UTC: run 5 goes on\n", "1h00m of 2h00m are left"}, "pmclient status web"},
	{"asked for", with(underWay(process.Running), func(s *process.Status) { s.Asked = process.Asked{By: process.ByNeed, Name: "shop"} }), nil, []string{"run 5 goes on, asked for by need of shop\n"}, "pmclient status web"},
	{"killed by somebody", atRest(process.Failed, process.Run{Number: 4, End: ago(time.Minute), Cause: process.CauseSignal, Signal: 9, Error: "ended by SIGKILL"}), nil,
		[]string{"its main process was ended by SIGKILL, which this daemon has not sent\n  signal:    SIGKILL: nothing can be done about it\n  restarts:"}, "pmclient log web"},
	{"running again", with(underWay(process.Running), func(s *process.Status) {
		s.Restarts, s.Restart, s.LastRun = 2, process.RestartOnFailure, new(exited(4, 1, "exit code 1"))
	}), nil, []string{"it runs, after 2 restarts; before that run 4 failed: its main process exited with code 1", "1: a failure in general"}, "pmclient runs web -failed"},
	{"resumed", underWay(process.Running), []process.Event{event5(process.EventPaused, time.Minute), event5(process.EventResumed, 10*time.Second)}, []string{"is running since 2026-11-28 11:59:50 UTC"}, "pmclient status web"},
	{"meets its limits", with(underWay(process.Running), func(s *process.Status) {
		s.PidsMax, s.PidsRefused, s.CPUMax = 10, new(uint64(3)), 50_000
		s.CPUPeriods, s.CPUThrottledPeriods, s.CPUThrottled = new(uint64(50)), new(uint64(10)), new(int64(1_500_000))
		s.MemoryHigh, s.MemoryHighEvents, s.OOM = 1<<20, new(uint64(1)), &process.OOM{Kills: 2, Limit: process.OOMMachine}
	}), nil, []string{"it could not make a process or thread 3 times (pids_max 10)", "it had to wait 1.50s for CPU time, in 10 of 50 periods (cpu_max 50%)", "above memory_high (1.0 MiB) once", "2 of its processes were killed for lack of memory (the machine had no more)"}, "pmclient status web"},
	{"not well", with(underWay(process.Running), func(s *process.Status) {
		s.Spec.Health, s.HealthAction = "http://localhost", process.HealthNone
		s.Condition.Health = &process.Health{State: process.HealthUnhealthy, Failures: 9, Error: "status 500"}
	}), nil, []string{"it runs, and its health probe fails: status 500", "unhealthy, failed 9 times: status 500"}, "pmclient log web"},
	{"several runs", with(underWay(process.Running), func(s *process.Status) {
		s.Runs = []process.RunUnderWay{{State: process.Running, PID: 70, Run: process.Run{Number: 4, Start: ago(time.Hour), Uptime: 9}}, {Run: s.Run}}
		s.Queued, s.WaitsForRestart = &process.QueuedRun{}, []string{"env"}
	}), nil, []string{"run 4: running, pid 70, for 9s", "a run begins when run 5 has ended", "env: from the next run on"}, "pmclient status web"},
	{"disk trouble", with(underWay(process.Running), func(s *process.Status) {
		s.OutputError, s.LogDropped = "since 2026-11-28T11:00:00Z no space left on device", 2048
	}), nil, []string{"no space left on device", "2.0 KiB could not be written, and are lost", "pmclient doctor"}, "pmclient status web"},
	{"a schedule that could not be stored", with(between(process.Scheduled, process.Run{}), func(s *process.Status) {
		s.Cron, s.NextTime, s.ErrorCode, s.Run.Error = "0 2 * * *", whyNow.Add(14*time.Hour), process.CodeStore, "no space left on device"
	}), nil, []string{"its next run is at", "error:  no space left on device"}, "pmclient next web"},
	{"it says what it does", with(underWay(process.Running), func(s *process.Status) { s.Notified, s.StatusText = process.NotifiedReloading, "3 of 5" }), nil, []string{"reloading, 3 of 5"}, "pmclient status web"},
	{"paused", with(underWay(process.Paused), func(s *process.Status) { s.Spec.Deadline = 2 * time.Hour }), []process.Event{event5(process.EventPaused, time.Minute)}, []string{"is paused since 2026-11-28 11:59 UTC: its processes stand still, as was asked for"}, "pmclient resume web"},
	{"stopping", underWay(process.Stopping), []process.Event{event5(process.EventStopping, 2*time.Second, func(e *process.Event) { e.Cause = process.CauseDeadline })},
		[]string{"is stopping since 2026-11-28 11:59:58 UTC: its processes are being ended: its deadline passed; SIGTERM was sent, and what is left after 10s is killed"}, "pmclient tree web"},
	{"stuck", underWay(process.Stopping), []process.Event{event5(process.EventStopping, time.Minute)}, []string{"SIGKILL has not ended it"}, "pmclient tree web"},
	{"backoff", with(between(process.Backoff, exited(5, 1, "exit code 1")), func(s *process.Status) {
		s.Restart, s.Restarts, s.NextAttempt = process.RestartAlways, 2, whyNow.Add(4*time.Second)
	}), []process.Event{event5(process.EventBackoff, time.Minute)},
		[]string{"is in backoff since 2026-11-28 11:59 UTC: it is tried again in 4s: run 5 failed", "restarts:   2 so far; the next attempt is at 2026-11-28 12:00:04 UTC (in 4s); always"}, "pmclient log web"},
}

func failedBy(r process.Run, err string) process.Run {
	r.Error = err
	return r
}

// harmless are the verbs that end, delete and change nothing that runs.
var harmless = []string{"log", "runs", "events", "status", "tree", "why", "start", "resume", "trigger", "schedule-resume", "next", "ledger", "doctor", "wait", "list"}

func TestWhyInEverySituation(t *testing.T) {
	reached := map[string]bool{}
	for _, c := range everySituation {
		e := explain(c.status, c.events, whyNow)
		l := &look{Status: c.status, ended: c.status.Ended(), events: c.events, now: whyNow}
		if i := slices.IndexFunc(situations, func(s situation) bool { return s.is(l) }); i < 0 {
			t.Errorf("%s: there is no such situation", c.what)
			continue
		} else {
			reached[situations[i].what] = true
		}
		text := explained(e, 0)
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", c.what, want, text)
			}
		}
		if len(e.Next) == 0 || e.Next[0].Command != c.first {
			t.Errorf("%s: the first command is not %s:\n%s", c.what, c.first, text)
		}
		for _, step := range e.Next {
			words := strings.Fields(step.Command)
			if words[0] != "pmclient" || !slices.Contains(harmless, words[1]) || step.For == "" {
				t.Errorf("%s suggests %+v", c.what, step)
			}
			if slices.Contains([]process.State{process.Running, process.Starting, process.Paused, process.Stopping}, c.status.State) && (words[1] == "start" || words[1] == "trigger") {
				t.Errorf("%s suggests %+v while it runs", c.what, step)
			}
		}
		if e.Name != "web" || e.State != c.status.State || strings.Contains(text, "%!") || strings.Contains(text, "'-'") {
			t.Errorf("%s: %+v", c.what, e)
		}
		if n := strings.Count(text, "\n"); n+outputLines+1 > 24 {
			t.Errorf("%s: %d lines and the output are no screenful:\n%s", c.what, n, text)
		}
		for _, width := range []int{40, 80} {
			for line := range strings.Lines(explained(e, width)) {
				if n := screen.Cells(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: %d cells in a window of %d: %s", c.what, n, width, line)
				}
			}
		}
	}
	for _, s := range situations {
		if !reached[s.what] {
			t.Errorf("no process here is in the situation %q", s.what)
		}
	}
}

// Whatever is known of a process, something is said, and it is said as JSON too.
func TestWhyHasAnAnswerForEveryStateAndCause(t *testing.T) {
	for state := process.Scheduled; state <= process.Failed; state++ {
		for cause := process.Cause(0); cause <= process.CauseReplaced; cause++ {
			for _, s := range []process.Status{between(state, process.Run{}), underWay(state), atRest(state, ranFor(4, cause)), between(state, ranFor(4, cause))} {
				e := explain(s, nil, whyNow)
				if e.Says == "" || len(e.Next) == 0 || strings.Contains(e.Says, "cause(") || e.Facts == nil {
					t.Errorf("%v %v: %+v", state, cause, e)
				}
				text, err := json.Marshal(process.Explained{Explanation: e})
				var again process.Explained
				if err := cmp.Or(err, json.Unmarshal(text, &again)); err != nil || !reflect.DeepEqual(again.Explanation, e) {
					t.Errorf("%v, got %+v, want %+v", err, again, e)
				}
			}
		}
	}
}

// writer is a Manager whose processes have written something.
type writer struct {
	recorder
	wrote map[uint64]string // by the run that was asked for
	err   error
}

func (w *writer) Log(_ context.Context, name string, q process.LogQuery, to io.Writer) (int64, error) {
	to.Write([]byte(w.wrote[q.Run]))
	return 0, w.err
}

func TestWhyShowsTheLastOutput(t *testing.T) {
	logged := with(underWay(process.Running), func(s *process.Status) { s.Log, s.LastRun = true, new(exited(4, 1, "exit code 1")) })
	memory := with(logged, func(s *process.Status) { s.Log = false })
	for what, c := range map[string]struct {
		status process.Status
		wrote  map[uint64]string
		err    error
		want   string
	}{
		"this run":           {logged, map[uint64]string{5: "a\nb\n", 4: "c\n"}, nil, "last output, of run 5:\n  | a\n  | b\n"},
		"the one before":     {logged, map[uint64]string{4: "c\n"}, nil, "last output, of run 4:\n  | c\n"},
		"in memory":          {memory, map[uint64]string{0: "a\x1b[31m\xff\n"}, nil, "last output, of run 5:\n  | a\\x1b[31m�\n"},
		"nothing in memory":  {memory, nil, nil, "run 5 goes on\nnext:\n"},
		"the last ones":      {logged, map[uint64]string{5: strings.Repeat("x\n", 100) + "last"}, nil, strings.Repeat("  | x\n", outputLines-1) + "  | last\nnext"},
		"a very long line":   {logged, map[uint64]string{5: strings.Repeat("é", 1<<20)}, nil, "of run 5:\n  | …é"},
		"that is not there":  {logged, nil, errors.New("read log: no\x1b such file"), "last output: it cannot be read: read log: no  such file\n"},
		"that is in part so": {logged, map[uint64]string{5: "a\n"}, errors.New("bad disk"), "  | a\nlast output: it cannot be read: bad disk\n"},
	} {
		m := &writer{recorder{all: []process.Status{c.status}}, c.wrote, c.err}
		text, err := asText(t, m, "!!process.why name:web", 0)
		if err != nil || !strings.Contains(text, c.want) || len(text) > 5000 {
			t.Errorf("%s: %v, %q is not in %.2000q", what, err, c.want, text)
		}
	}
}

func TestWhyOfSeveral(t *testing.T) {
	m := &recorder{all: []process.Status{underWay(process.Running)}}
	for script, want := range map[string]string{
		"!!process.why name:web format:json": `{"name":"web","status":"running",`,
		"!!process.why name:w* format:json":  `[{"name":"web","status":"running",`,
		"!!process.why name:w*":              "process 'web' is running ",
	} {
		if text, err := asText(t, m, script, 0); err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("%s: %v, %s", script, err, text)
		}
	}
	m.err = process.Errorf(process.CodeNotFound, "no process 'gone'")
	if text, err := asText(t, m, "!!process.why name:gone", 0); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%v, %s", err, text)
	}
	if text, err := asText(t, m, "!!process.why name:gone,web format:json", 0); err != nil || !strings.Contains(text, `{"name":"gone","error":"no process 'gone'","code":"not_found"}`) {
		t.Errorf("%v, %s", err, text)
	}
}

func ExampleManager_why() {
	s := with(atRest(process.Failed, exited(4, 127, "exit code 127 (command not found): sh: 1: server: not found")), func(s *process.Status) { s.Log = true })
	e := explain(s, nil, whyNow)
	e.Output, e.OutputRun = []string{"sh: 1: server: not found"}, 4
	fmt.Print(explained(e, 0))
	// Output:
	// process 'web' is failed since 2026-11-28 11:59 UTC: run 4 failed: its main process exited with code 127
	//   exit code:  127: the shell has not found the command: look at its spelling, at PATH and at the directory
	//   error:      exit code 127 (command not found): sh: 1: server: not found
	//   restarts:   none: it has no restart policy
	// last output, of run 4:
	//   | sh: 1: server: not found
	// next:
	//   pmclient log web -run 4    all output of that run
	//   pmclient runs web -failed  the runs that failed
	//   pmclient start web         try again
}
