package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestDeadlineCountsFromTheStartOfEachRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const deadline = 600 * time.Millisecond
	d.mustClient("start", "x", "-command", "exec sleep 1000", "-deadline", "0.6")
	for run := uint64(1); run <= 2; run++ {
		s := d.rest("x")
		if s.Number != run || s.State != process.Failed || s.Cause != process.CauseDeadline || s.Signal != process.TERM {
			t.Errorf("%+v", s)
		}
		if s.Uptime < deadline.Seconds() || s.Uptime > (deadline+paced(5*time.Second)).Seconds() {
			t.Errorf("it ran for %v s", s.Uptime)
		}
		if !strings.Contains(s.Error, "600ms") && !strings.Contains(s.Error, "0.6") {
			t.Errorf("the error does not name the deadline: %q", s.Error)
		}
		d.nobodyLeft("x", run)
		if run == 1 {
			if _, err := d.client().Start(d.context(), process.Spec{Name: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A deadline counts the kernel's CLOCK_BOOTTIME, which goes on in suspend, in the worker
// that started the run and in the one that took it over.
func TestDeadlineCountsSuspendBeforeAndAfterATakeover(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	before := proc.BootTime()
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Ending: process.Ending{Deadline: time.Hour}})
	after := proc.BootTime()
	for _, who := range []string{"the first worker", "the next worker"} {
		eventually(t, "nothing else is due before: "+who, func() bool { // bounds that were taken back fire for nobody
			left, now := d.bootTimer(), proc.BootTime()
			due := now + left
			return due >= before+time.Hour && due <= after+time.Hour+time.Minute
		})
		d.killWorker()
		d.status("x")
	}
}

// bootTimer is when the worker's timer by CLOCK_BOOTTIME fires.
func (d *daemon) bootTimer() time.Duration {
	d.t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", d.worker()))
	for _, name := range files {
		info, _ := os.ReadFile(name)
		_, value, ok := strings.Cut(string(info), "it_value: ")
		var sec, nsec int64
		if ok && strings.Contains(string(info), "clockid: 7\n") {
			if _, err := fmt.Sscanf(value, "(%d, %d)", &sec, &nsec); err != nil {
				d.t.Fatalf("%v: %s", err, info)
			}
			return time.Duration(sec)*time.Second + time.Duration(nsec)
		}
	}
	d.t.Fatal("the worker has no timer by CLOCK_BOOTTIME")
	return 0
}

func TestRunThatEndsBeforeItsDeadlineIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "true", Ending: process.Ending{Deadline: paced(300 * time.Millisecond)}})
	d.rest("x")
	// The next run has a deadline of its own, and that of the first does not hit it.
	began := time.Now()
	d.start(process.Spec{Name: "y", Command: "exec sleep 1000", Ending: process.Ending{Deadline: paced(400 * time.Millisecond)}})
	s := d.rest("x")
	d.rest("y")
	if s.Cause != process.CauseExit || s.State != process.Completed {
		t.Errorf("%+v", s)
	}
	if time.Since(began) < paced(400*time.Millisecond) {
		t.Error("the deadline of y came early")
	}
	if s := d.status("x"); s.Cause != process.CauseExit {
		t.Errorf("%+v", s)
	}
}

func TestCronRunsOnScheduleAndNotAtRegistration(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	before, every := time.Now(), 3*time.Second // answers come between two runs, also on a busy machine
	s := d.start(process.Spec{Name: "tick", Command: "echo run $PROCESSMANAGER_RUN", Schedule: process.Schedule{Cron: "@every " + every.String()}, Logging: process.Logging{Log: true}})
	if s.State != process.Scheduled || s.Number != 0 || s.LastRun != nil || s.PID != 0 {
		t.Errorf("at registration: %+v", s)
	}
	if s.NextTime.Before(before) || s.NextTime.After(time.Now().Add(every)) {
		t.Errorf("registered at %v, the next time is %v", before, s.NextTime)
	}
	var starts []time.Time
	for run := uint64(1); run <= 3; run++ {
		due := s.NextTime
		s = d.await("tick", "scheduled again", func(s process.Status) bool {
			return s.State == process.Scheduled && s.LastRun != nil && s.LastRun.Number >= run
		})
		if s.LastRun.Number != run {
			t.Logf("looked too late: run %d, want %d", s.LastRun.Number, run)
			run = s.LastRun.Number
		} else if s.LastRun.Start.Before(due) {
			t.Errorf("run %d was due at %v and started at %v", run, due, s.LastRun.Start)
		}
		if s.Number != 0 || !s.LastRun.End.Before(s.NextTime) || s.LastRun.Cause != process.CauseExit {
			t.Errorf("after run %d: %+v", run, s)
		}
		starts = append(starts, s.LastRun.Start)
	}
	for i := range starts[1:] {
		if gap := starts[i+1].Sub(starts[i]); gap < 500*time.Millisecond {
			t.Errorf("runs started %v apart", gap)
		}
	}
	if s := d.stop("tick"); s.State != process.Stopped || !s.NextTime.IsZero() {
		t.Errorf("after stop: %+v", s)
	}
	if got := d.logs("tick", 0); !strings.HasPrefix(got, "run 1\nrun 2\n") {
		t.Errorf("it wrote %q", got)
	}
	stopped := d.status("tick").LastRun.Number
	if s := d.status("tick"); s.LastRun.Number != stopped {
		t.Errorf("it ran after stop")
	}
	s, err := d.client().Start(d.context(), process.Spec{Name: "tick"})
	if err != nil || s.State != process.Scheduled || s.NextTime.IsZero() || s.LastRun.Number != stopped {
		t.Errorf("start by name: %+v, %v", s, err)
	}
}

func TestScheduledRunsDoNotOverlap(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "slow", Logging: process.Logging{Log: true}, Schedule: process.Schedule{Cron: "@every 1s"}, Command: "mkdir busy || echo overlap; sleep 1.2; rmdir busy; echo done"})
	eventually(t, "two runs have ended", func() bool { return strings.Count(d.logs("slow", 0), "done") >= 2 })
	if got := d.logs("slow", 0); strings.Contains(got, "overlap") {
		t.Errorf("it wrote %q", got)
	}
}

func TestBadSchedulesAreRefusedWhenTheyAreGiven(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.session(t)
	for _, expr := range []string{
		"TZ=UTC", "CRON_TZ=UTC", "TZ=UTC ", "CRON_TZ=Nowhere/At/All 0 0 * * *", "TZ=",
		"@every -5s", "@every 0s", "@every 10ms", "@every", "@every soon", "@never",
		"0 0 31 2 *", "0 0 30 2 *", "0 0 * * 8", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *",
		"* * * *", "* * * * * * *", "60 * * * * *", "often", "*/0 * * * *", "5-1 * * * *", "\n", " ",
		strings.Repeat("*", 1000), "99999999999999999999 * * * *",
	} {
		got := w.ask("!!process.start format:json name:x command:true cron:'" + expr + "'")
		if !strings.Contains(got, `"code":"invalid"`) || !strings.Contains(got, "cron") {
			t.Errorf("%q: %s", expr, got)
		}
	}
	for _, expr := range []string{"0 0 * * *", "*/5 * * * *", "@daily", "@hourly", "@every 90m", "0 0 * * 7", "TZ=UTC 0 3 * * 1-5", "CRON_TZ=UTC @daily"} {
		if got := w.ask("!!process.start format:json name:x command:true cron:'" + expr + "'"); !strings.Contains(got, `"scheduled"`) {
			t.Errorf("%q: %s", expr, got)
		}
		w.ask("!!process.delete name:x")
	}
	if all := d.list(); len(all) != 0 {
		t.Errorf("registered: %+v", all)
	}
}
