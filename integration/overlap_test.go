package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// timed is a process that runs each second.
func timed(way process.Overlap, command string) process.Spec {
	return process.Spec{Name: "job", Command: command, Schedule: process.Schedule{Cron: "@every 1s", Overlapping: process.Overlapping{Overlap: way}}}
}

// ledger is what became of the times of job. Each second must be in exactly one entry.
func (d *daemon) ledger() (entries []process.LedgerEntry) {
	d.t.Helper()
	records, err := d.client().Ledger(d.context(), process.Selection{"job"}, time.Time{})
	if err != nil {
		d.t.Fatal(err)
	}
	var last time.Time
	for _, r := range records {
		e := r.LedgerEntry
		if from := last.Add(time.Second); !last.IsZero() && !e.Time.Equal(from) {
			d.t.Errorf("behind %v comes %v: %s", last, e.Time, fates(entries))
		}
		if last = e.Last(); e.Times() != 1+int(last.Sub(e.Time)/time.Second) {
			d.t.Errorf("%d times from %v to %v", e.Times(), e.Time, last)
		}
		entries = append(entries, e)
	}
	return entries
}

// fates are entries on a line.
func fates(entries []process.LedgerEntry) string {
	var all []string
	for _, e := range entries {
		text := e.Outcome.String()
		if e.Run != 0 {
			text += fmt.Sprint(" ", e.Run)
		}
		if e.Count > 1 {
			text += fmt.Sprint(" x", e.Count)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// awaitLedger is the ledger once it has such an entry.
func (d *daemon) awaitLedger(what string, ok func(process.LedgerEntry) bool) (entries []process.LedgerEntry) {
	d.t.Helper()
	eventually(d.t, "the ledger has "+what, func() bool {
		entries = d.ledger()
		return slices.ContainsFunc(entries, ok)
	})
	return entries
}

// alive are the numbers of the runs of job that somebody is left of.
func (d *daemon) alive() (numbers []uint64) {
	groups, err := os.ReadDir(d.runs())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, g := range groups {
		if id, ok := lives.ParseName(g.Name()); ok && id.Name == "job" && len(d.survivors("job", id.Run)) > 0 {
			numbers = append(numbers, id.Run)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func became(outcome process.Fate, run uint64) func(process.LedgerEntry) bool {
	return func(e process.LedgerEntry) bool { return e.Outcome == outcome && (run == 0 || e.Run == run) }
}

func TestATimeIsSkippedWhileARunGoesOn(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(timed("", "exec sleep 1000"))
	entries := d.awaitLedger("a skipped time", became(process.Skipped, 0))
	if e := entries[0]; e.Outcome != process.Ran || e.Run != 1 || e.LateSeconds > 1 {
		t.Errorf("the first: %+v", e)
	}
	if e := entries[1]; e.Reason != "run 1 went on" {
		t.Errorf("the second: %+v", e)
	}
	r := d.pmclient("trigger", "job")
	if r.code != 1 || !strings.Contains(r.stderr, "run 1 goes on") {
		t.Errorf("a trigger meanwhile: %d, %s", r.code, r.stderr)
	}
	d.killWorker()
	d.crash()
	d.launch()
	d.awaitLedger("one that was skipped by the next daemon", func(e process.LedgerEntry) bool {
		return e.Outcome == process.Skipped && e.Time.After(entries[len(entries)-1].Time.Add(time.Second))
	})
	if s := d.status("job"); s.Number != 1 || !slices.Equal(d.alive(), []uint64{1}) {
		t.Errorf("run %d, and %v live", s.Number, d.alive())
	}
}

// What is in line begins when the run has ended, whoever died meanwhile, and only then.
func TestAQueuedTimeBeginsBehindTheRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(timed(process.OverlapQueue, "exec sleep 1000"))
	entries := d.awaitLedger("one behind a queued one", became(process.Skipped, 0))
	i := slices.IndexFunc(entries, became(process.Queued, 0))
	if i != 1 || entries[i].Run != 0 || entries[i].Reason != "run 1 went on" || !strings.Contains(entries[2].Reason, "queued already") {
		t.Fatalf("%+v", entries)
	}
	if s := d.status("job"); s.Queued == nil || !s.Queued.Time.Equal(entries[i].Time) {
		t.Errorf("status: %+v", s.Queued)
	}
	for _, die := range []func(){func() {}, d.killWorker, func() { d.crash(); d.launch() }} {
		last := d.status("job").Number
		d.awaitLedger("a queued time", func(e process.LedgerEntry) bool { return e.Outcome == process.Queued && e.Run == 0 })
		die()
		if alive := d.alive(); !slices.Equal(alive, []uint64{last}) {
			t.Errorf("%v live, not run %d alone", alive, last)
		}
		if err := unix.Kill(d.status("job").PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.await("job", "past what was in line", func(s process.Status) bool { return s.Number == last+1 && s.State == process.Running })
		entries := d.awaitLedger("the run of what was in line", became(process.Queued, last+1))
		if e := entries[slices.IndexFunc(entries, became(process.Queued, last+1))]; e.LateSeconds <= 0 {
			t.Errorf("it is not late: %+v", e)
		}
	}
}

// A trigger is queued, answered at once, and has its job id; who waits is told of its run.
func TestATriggerIsQueued(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := timed(process.OverlapQueue, "exec sleep 1000")
	spec.Cron = ""
	d.start(spec)
	if out := d.mustClient("trigger", "job", "-jobid", "t1"); !strings.Contains(out, "queued: a run begins when run 1 has ended") {
		t.Error(out)
	}
	if r := d.pmclient("trigger", "job"); r.code != 1 || !strings.Contains(r.stderr, "one is queued already") {
		t.Errorf("another one: %+v", r)
	}
	d.killWorker()
	unix.Kill(d.status("job").PID, unix.SIGKILL)
	s := d.await("job", "running again", func(s process.Status) bool { return s.Number == 2 && s.State == process.Running })
	if s.Run.JobID != "t1" || s.Asked.By != process.ByTrigger {
		t.Errorf("job %q, asked for by %+v", s.Run.JobID, s.Asked)
	}
	waited := make(chan result, 1)
	go func() { waited <- d.pmclient("trigger", "job", "-wait") }()
	d.await("job", "asked to run", func(s process.Status) bool { return s.Queued != nil })
	d.set("job", "command", "exit 7")
	unix.Kill(s.PID, unix.SIGKILL)
	if r := <-waited; r.code != 7 || !strings.Contains(r.stdout, "run 3") {
		t.Errorf("who waits is told: %+v", r)
	}
}

// The tree that goes on is ended before the next one begins.
func TestATimeReplacesTheRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := timed(process.OverlapReplace, `trap 'sleep 0.3; exit' TERM; sleep 1000 & wait`)
	d.start(spec)
	entries := d.awaitLedger("the run that took the place of the first", became(process.Replaced, 2))
	if !strings.Contains(entries[1].Reason, "run 1 made way") {
		t.Errorf("%+v", entries)
	}
	d.killWorker()
	d.awaitLedger("a later one", func(e process.LedgerEntry) bool { return e.Run > 3 })
	d.crash()
	d.launch()
	last := d.status("job").Number
	d.awaitLedger("one of the next daemon", func(e process.LedgerEntry) bool { return e.Outcome == process.Replaced && e.Run > last+1 })
	d.mustClient("stop", "job")
	runs := d.history("job")
	var end time.Time
	for _, r := range runs[:len(runs)-1] {
		if r.Cause != process.CauseReplaced && r.Cause != process.CauseLost {
			t.Errorf("run %d ended by %v", r.Number, r.Cause)
		}
		if end.Sub(r.Start) > 5*time.Millisecond { // each was read from another clock
			t.Errorf("run %d began at %v, and the one before it ended at %v", r.Number, r.Start, end)
		}
		end = r.End
	}
	if s := d.status("job"); s.State != process.Stopped || len(d.alive()) > 0 {
		t.Errorf("it is %v, and %v live", s.State, d.alive())
	}
}

// Runs go on side by side, each in a group of its own, up to the most there may be; workers
// and daemons that come take them all over, and what ends them ends them all.
func TestRunsGoOnSideBySide(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := timed(process.OverlapAllow, "exec sleep 1000")
	spec.OverlapMax = 3
	d.start(spec)
	three := []uint64{1, 2, 3}
	entries := d.awaitLedger("a time for which there was no room", became(process.Skipped, 0))
	if got := fates(entries[:4]); got != "ran 1, ran 2, ran 3, skipped" || entries[3].Reason != "runs 1, 2 and 3 went on" {
		t.Errorf("%s: %+v", got, entries)
	}
	check := func(when string) {
		t.Helper()
		if alive := d.alive(); !slices.Equal(alive, three) {
			t.Errorf("%s: %v live", when, alive)
		}
		s := d.status("job")
		var shown []uint64
		for _, r := range s.Runs {
			shown = append(shown, r.Number)
			if r.PID == 0 || r.State != process.Running || r.Start.IsZero() {
				t.Errorf("%s: %+v", when, r)
			}
		}
		if !slices.Equal(shown, three) || s.Number != 3 || s.PID != s.Runs[2].PID {
			t.Errorf("%s: shown are %v; run %d, pid %d", when, shown, s.Number, s.PID)
		}
	}
	check("at first")
	if out := d.mustClient("list"); !strings.Contains(out, "3 +2") {
		t.Error(out)
	}
	d.killWorker()
	check("behind a worker that died")
	d.crash()
	d.launch()
	check("behind a daemon that died")
	if out := d.mustClient("signal", "job", "-signal", "CONT"); !strings.Contains(out, "3 processes") {
		t.Error(out)
	}
	// One of them ends: its place is taken, and its result is kept.
	d.set("job", "overlap_max", "4")
	d.awaitLedger("a fourth", became(process.Ran, 4))
	d.set("job", "overlap_max", "3")
	unix.Kill(d.status("job").Runs[0].PID, unix.SIGKILL)
	eventually(t, "run 1 is in the history", func() bool {
		runs := d.history("job")
		return len(runs) == 1 && runs[0].Number == 1
	})
	three = []uint64{2, 3, 4}
	d.killWorker()
	if alive := d.alive(); !slices.Equal(alive, three) {
		t.Errorf("%v live", alive)
	}
	if s := d.status("job"); s.Number != 4 || len(s.Runs) != 3 || s.LastRun.Number != 1 {
		t.Errorf("%+v", s)
	}
	d.mustClient("stop", "job")
	if alive := d.alive(); len(alive) > 0 {
		t.Errorf("stopped, and %v live", alive)
	}
	causes := map[process.Cause]int{}
	for _, r := range d.history("job") {
		causes[r.Cause]++
	}
	if want := map[process.Cause]int{process.CauseLost: 1, process.CauseStop: 3}; !maps.Equal(causes, want) {
		t.Errorf("%v", causes)
	}
}

// A trigger runs what waits for its time, starts what has no schedule, and leaves a stopped
// schedule stopped.
func TestTrigger(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := process.Spec{Name: "job", Command: "exit 3", Schedule: process.Schedule{Cron: "@yearly"}}
	d.start(spec)
	if out := d.mustClient("start", "job") + d.mustClient("restart", "job"); strings.Count(out, "trigger job runs it now") != 2 {
		t.Error(out)
	}
	if r := d.pmclient("trigger", "job", "-wait"); r.code != 3 {
		t.Errorf("%+v", r)
	}
	s := d.await("job", "scheduled again", func(s process.Status) bool { return s.State == process.Scheduled })
	if s.LastRun == nil || s.LastRun.Asked.By != process.ByTrigger || s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	if text := d.mustClient("status", "job"); s.Result != process.Failed || !strings.Contains(text, "exit code 3") {
		t.Errorf("%v: %s", s.Result, text)
	}
	if text := d.mustClient("list"); !strings.Contains(text, "failed: exit, code 3") {
		t.Error(text)
	}
	if entries := d.ledger(); len(entries) > 0 {
		t.Errorf("a trigger is in the ledger: %+v", entries)
	}
	d.mustClient("stop", "job")
	d.pmclient("trigger", "job", "-wait", "end")
	if s := d.rest("job"); s.State != process.Failed || !s.NextTime.IsZero() || s.Number != 2 {
		t.Errorf("a stopped schedule: %+v", s)
	}
	d.killWorker()
	if s := d.status("job"); s.State != process.Failed || !s.NextTime.IsZero() {
		t.Errorf("a stopped schedule, in the next worker: %+v", s)
	}
	if _, err := d.client().Define(d.context(), process.Spec{Name: "plain", Command: "exec sleep 1000"}); err != nil {
		t.Fatal(err)
	}
	if s, err := d.client().Trigger(d.context(), "plain", "t1"); err != nil || s.State != process.Running || s.Run.JobID != "t1" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := d.client().Trigger(d.context(), "plain", ""); !errors.Is(err, process.ErrOverlap) || !strings.Contains(err.Error(), "run 1 goes on") {
		t.Errorf("one that runs: %v", err)
	}
}
