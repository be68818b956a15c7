package integration

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// rewrite changes what the store of a daemon that has ended has of its processes.
func (d *daemon) rewrite(t testing.TB, change func(*store.Target)) {
	t.Helper()
	s, contents, err := store.Open(d.storePath(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Begin()
	for _, p := range contents.Processes {
		change(&p.Target)
		done := make(chan error, 1)
		s.Write(store.Change{Name: p.Spec.Name, Target: &p.Target, Done: func(err error) { done <- err }})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// accounted is what became of the times of a process.
func (d *daemon) accounted(name string) []process.LedgerRecord {
	d.t.Helper()
	entries, err := d.client().Ledger(d.context(), process.Selection{name}, time.Time{})
	if err != nil {
		d.t.Fatal(err)
	}
	return entries
}

// each fails the test unless each time of a process that comes in a step is in one entry.
func each(t *testing.T, entries []process.LedgerRecord, first time.Time, step time.Duration) {
	t.Helper()
	for next := first; len(entries) > 0; entries = entries[1:] {
		if e := entries[0]; !e.Time.Equal(next) || e.Last().Sub(e.Time) != time.Duration(e.Times()-1)*step {
			t.Errorf("the time %v is not in the ledger: %+v", next, e)
			return
		}
		next = entries[0].Last().Add(step)
	}
}

// What was missed while no daemon ran is caught up, each time once and in order, whatever dies
// meanwhile.
func TestEachTimeIsCaughtUpOnceWhateverIsKilled(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const step = 15 * time.Second
	d.start(process.Spec{Name: "a", Command: "sleep 0.2", Schedule: process.Schedule{Cron: "@every " + step.String(), Catchup: process.CatchupAll}})
	d.end(syscall.SIGTERM)
	first := time.Now().Add(-12*step - step/2).UTC().Truncate(time.Second)
	d.rewrite(t, func(p *store.Target) { p.Next = first })
	d.launch()
	ran := func(at int) func() bool {
		return func() bool { return len(d.accounted("a")) > at && d.accounted("a")[at].Run > 0 }
	}
	for i, kill := range []func(){d.killWorker, d.killWorker, func() {
		d.end(unix.SIGKILL)
		d.launch()
	}, d.killWorker} {
		eventually(t, "it catches up", ran(2*i))
		kill()
	}
	s := d.await("a", "all is caught up", func(s process.Status) bool { return s.ToCatchUp == 0 && s.State == process.Scheduled })
	entries := d.accounted("a")
	each(t, entries, first, step)
	var last uint64
	for i, e := range entries {
		switch {
		case i >= 13: // it came while the others ran
		case e.Outcome != process.CaughtUp || e.Run <= last || e.Reason != "no daemon ran":
			t.Errorf("entry %d: %+v", i, e)
		default:
			last = e.Run
		}
	}
	count := 0
	runs, err := d.client().Runs(d.context(), process.RunQuery{Name: process.Selection{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	for r := range runs {
		count++
		if !slices.ContainsFunc(entries, func(e process.LedgerRecord) bool { return e.Run == r.Number }) {
			t.Errorf("run %d came of no time: %+v", r.Number, r)
		}
	}
	if count < 13 || s.MissedTime != (time.Time{}) {
		t.Errorf("%d runs, and missed was %v", count, s.MissedTime)
	}
}

// A pause and a time that is to be skipped hold whatever dies, and clients show them.
func TestAPauseAndASkipHold(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "a", Command: "true", Schedule: process.Schedule{Cron: "0 0 1 1 *", TZ: "UTC"}})
	next := d.status("a").NextTime
	for range 2 {
		if out := d.mustClient("skip-next", "a"); !strings.Contains(out, "is skipped, next run at") {
			t.Errorf("skip-next says %q", out)
		}
	}
	if out := d.mustClient("schedule-pause", "a"); !strings.Contains(out, "its schedule is paused") {
		t.Errorf("schedule-pause says %q", out)
	}
	for _, kill := range []func(){d.killWorker, func() { d.end(unix.SIGKILL); d.launch() }, func() { d.end(syscall.SIGTERM); d.launch() }} {
		kill()
		if s := d.status("a"); !s.SchedulePaused || !s.SkipTime.Equal(next) || s.State != process.Scheduled || !s.NextTime.After(next) {
			t.Errorf("the next daemon has %+v", s.Condition)
		}
	}
	if out := d.mustClient("list"); !strings.Contains(out, " paused ") {
		t.Errorf("list says %q", out)
	}
	if out := d.mustClient("status", "a"); !strings.Contains(out, "schedule is paused") || !strings.Contains(out, "on request") {
		t.Errorf("status says %q", out)
	}
	d.end(syscall.SIGTERM)
	passed := next.AddDate(-1, 0, 0)
	d.rewrite(t, func(p *store.Target) { p.Next = passed })
	d.launch()
	eventually(t, "a time that passed is paused", func() bool { return len(d.accounted("a")) == 1 })
	if e := d.accounted("a")[0]; e.Outcome != process.WhilePaused || !e.Time.Equal(passed) {
		t.Errorf("the ledger has %+v", e)
	}
	d.mustClient("schedule-resume", "a")
	if s := d.status("a"); s.SchedulePaused || s.NextTime.Before(time.Now()) {
		t.Errorf("after it was resumed: %+v", s.Condition)
	}
	if r := d.pmclient("schedule-pause", "nobody"); r.code != 1 || !strings.Contains(r.stderr, "nobody") {
		t.Errorf("of nobody: %+v", r)
	}
}

// @reboot runs once for a start of the machine: by the first daemon, and for no worker or daemon
// behind it.
func TestRebootIsOncePerStartOfTheMachine(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "a", Command: "true", Schedule: process.Schedule{Cron: "@reboot"}})
	d.end(syscall.SIGTERM)
	d.rewrite(t, func(p *store.Target) {
		if p.Booted == "" {
			t.Error("it is not known that it was armed in this boot")
		}
		p.Booted = "another"
	})
	d.launch()
	d.await("a", "it has run", func(s process.Status) bool { return s.State == process.Scheduled && s.LastRun != nil })
	for _, kill := range []func(){d.killWorker, func() { d.end(unix.SIGKILL); d.launch() }, func() { d.end(syscall.SIGTERM); d.launch() }} {
		kill()
		d.status("a")
	}
	d.start(process.Spec{Name: "b", Command: "true"}) // what begins by itself has begun by then
	d.rest("b")
	entries := d.accounted("a")
	if s := d.status("a"); len(entries) != 1 || entries[0].Outcome != process.Ran || entries[0].Run != 1 || s.LastRun.Number != 1 || s.State != process.Scheduled {
		t.Errorf("it has run %+v; the ledger has %+v", s.LastRun, entries)
	}
}
