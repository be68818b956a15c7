package integration

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// service is a definition whose failed runs are followed by others.
func service(name, command string) process.Spec {
	return process.Spec{Name: name, Command: command, Restarting: process.Restarting{Restart: process.RestartOnFailure}}
}

func inBackoff(s process.Status) bool { return s.State == process.Backoff }

func isRunning(s process.Status) bool { return s.State == process.Running }

// history is the runs of a process that have ended.
func (d *daemon) history(name string) []process.RunRecord {
	d.t.Helper()
	runs, err := d.runsOf(process.RunQuery{Name: process.Selection{name}})
	if err != nil {
		d.t.Fatal(err)
	}
	return runs
}

// kinds are the events of a process.
func (d *daemon) kinds(name string) (list []process.EventKind) {
	d.t.Helper()
	for _, e := range d.events(process.EventQuery{Name: process.Selection{name}}) {
		list = append(list, e.Kind)
	}
	return list
}

// reboot ends the daemon and all that runs at once, as the end of the machine does, and
// starts it in another boot. The daemon must have the setup [rebootable].
func (d *daemon) reboot(number int) {
	d.t.Helper()
	d.crash()
	removeGroup(d.cgroup)
	if err := errors.Join(os.RemoveAll(d.state+"/run"),
		os.WriteFile(d.dir+"/boot_id", fmt.Appendf(nil, "01234567-89ab-cdef-0123-%012d\n", number), 0o600)); err != nil {
		d.t.Fatal(err)
	}
	d.launch()
}

var rebootable = setup{Private: true, Wrap: []string{"/bin/sh", "-c",
	`if [ -e "$TMPDIR/boot_id" ]; then mount --bind "$TMPDIR/boot_id" /proc/sys/kernel/random/boot_id || exit; fi; exec "$0" "$@"`}}

// A crash comes back by itself, after its delay, which doubles. What is told of it has no
// gap.
func TestACrashComesBack(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(service("web", `[ "$PROCESSMANAGER_RUN" -ge 3 ] && exec sleep 600; echo no port; exit 7`))
	s := d.await("web", "in backoff", inBackoff) // the second one, if the first was over when it was looked at
	if s.NextAttempt.IsZero() || s.LastRun == nil || s.LastRun.ExitCode == nil || *s.LastRun.ExitCode != 7 || s.Restarts != int(s.LastRun.Number)-1 || s.Number != 0 {
		t.Errorf("got %+v", s)
	}
	s = d.await("web", "running", func(s process.Status) bool { return s.State == process.Running && s.Number == 3 })
	if s.Restarts != 2 || !s.NextAttempt.IsZero() {
		t.Errorf("got %d restarts, next %v", s.Restarts, s.NextAttempt)
	}
	d.stop("web")
	runs := d.history("web")
	if len(runs) != 3 {
		t.Fatalf("got %d runs", len(runs))
	}
	for i, least := range []time.Duration{time.Second, 2 * time.Second} {
		if gap := runs[i+1].Start.Sub(runs[i].End); gap < least-20*time.Millisecond || gap > 2*least+patience/2 {
			t.Errorf("run %d came %v after the one before, not %v", i+2, gap, least)
		}
	}
	events := d.events(process.EventQuery{})
	withoutGap(t, events)
	var told []string
	for _, e := range events {
		text := fmt.Sprint(e.Kind, " ", e.Run, " ", e.Restarts)
		if e.Kind == process.EventBackoff && e.NextAttempt.Before(e.Time) {
			t.Errorf("the next attempt was before it is told: %+v", e)
		}
		told = append(told, text)
	}
	want := "defined 0 0, starting 1 0, started 1 0, ended 1 0, backoff 0 0, starting 2 1, started 2 0, ended 2 0, backoff 0 1, starting 3 2, started 3 0, stopping 3 0, ended 3 0"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
}

// A process in backoff is about to run: status ends with 0, and says when.
func TestBackoffIsShown(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := service("web", "exit 7")
	spec.RestartDelay = 10 * time.Minute // however slow the machine is
	d.start(spec)
	d.await("web", "in backoff", inBackoff)
	for _, command := range [][]string{{"status", "web"}, {"list"}} {
		if text := d.mustClient(command...); !strings.Contains(text, "backoff, next attempt in 10m") && !strings.Contains(text, "backoff, next attempt in 9m") {
			t.Errorf("%s says\n%s", command, text)
		}
	}
}

// What ends a run other than a request is followed by another one; a success is not, unless
// it always is.
func TestWhichEndsAreFollowed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const first = `[ "$PROCESSMANAGER_RUN" -gt 1 ] && exec sleep 600; `
	specs := map[string]process.Spec{
		"code":     service("code", first+"exit 3"),
		"signal":   service("signal", first+"kill -KILL $$"),
		"deadline": service("deadline", "exec sleep 600"),
		"always":   {Name: "always", Command: first + "exit 0", Restarting: process.Restarting{Restart: process.RestartAlways}},
	}
	late := specs["deadline"]
	late.Deadline = 100 * time.Millisecond
	specs["deadline"] = late
	for _, spec := range specs {
		d.start(spec)
	}
	for name, cause := range map[string]process.Cause{"code": process.CauseExit, "signal": process.CauseSignal, "deadline": process.CauseDeadline, "always": process.CauseExit} {
		// "deadline" goes on to a third one, if nobody looks in time.
		s := d.await(name, "in its second run", func(s process.Status) bool { return s.Number > 1 })
		if s.LastRun == nil || s.LastRun.Cause != cause {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, spec := range map[string]process.Spec{
		"success": service("success", "exit 0"),
		"none":    {Name: "none", Command: "exit 3"},
	} {
		spec.Name = name
		d.start(spec)
		if s := d.rest(name); s.Number != 1 || s.Restarts != 0 || !s.NextAttempt.IsZero() {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A stop holds in any state, whatever comes after it.
func TestStopInBackoffHolds(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, rebootable)
	spec := service("web", "exit 1")
	spec.Autostart = true
	d.start(spec)
	d.await("web", "in backoff", inBackoff)
	if s := d.stop("web"); s.State != process.Stopped || !s.NextAttempt.IsZero() {
		t.Errorf("got %+v", s)
	}
	numbers := len(d.history("web"))
	stays := func(when string) {
		t.Helper()
		time.Sleep(1200 * time.Millisecond) // more than the delay
		if s := d.status("web"); s.State != process.Stopped || len(d.history("web")) != numbers {
			t.Errorf("%s it is %v, with %d runs", when, s.State, len(d.history("web")))
		}
	}
	stays("after its delay")
	d.killWorker()
	stays("with another worker")
	d.end(unix.SIGTERM)
	d.launch()
	stays("with another daemon")
	d.reboot(1)
	stays("in another boot")
	if r := d.pmclient("status", "web"); r.code != 3 {
		t.Errorf("status: exit code %d, want that of what is at rest", r.code)
	}
}

// Requests and changes act at once in back-off.
func TestRequestsInBackoffActAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	names := []string{"start", "restart", "shorter", "never", "limit", "delete"}
	for _, name := range names {
		spec := service(name, `[ "$PROCESSMANAGER_RUN" -gt 1 ] && exec sleep 600; exit 1`)
		spec.RestartDelay = time.Hour
		d.start(spec)
	}
	for _, name := range names {
		if s := d.await(name, "in backoff", inBackoff); time.Until(s.NextAttempt) < 30*time.Minute {
			t.Errorf("%s: the next attempt comes %v", name, s.NextAttempt)
		}
	}
	if out := d.mustClient("start", "start"); !strings.Contains(out, "started: run 2") {
		t.Errorf("start says %s", out)
	}
	if out := d.mustClient("restart", "restart"); !strings.Contains(out, "started: run 2") {
		t.Errorf("restart says %s", out)
	}
	if s := d.status("start"); s.Restarts != 0 || s.State != process.Running {
		t.Errorf("a start by request counts as a restart: %+v", s)
	}
	d.set("shorter", "restart_delay", "1", "restart_max_delay", "2")
	d.await("shorter", "back", func(s process.Status) bool { return s.Number == 2 && s.Restarts == 1 })
	if s := d.set("never", "restart", "no"); s.State != process.Failed || !s.NextAttempt.IsZero() {
		t.Errorf("without restarts it is %v, next %v", s.State, s.NextAttempt)
	}
	if s := d.set("limit", "restart_limit", "1"); s.State != process.Backoff {
		t.Errorf("with a limit that is not reached it is %v", s.State)
	}
	if err := d.client().Delete(d.context(), "delete"); err != nil {
		t.Error(err)
	}
	if _, err := d.client().Status(d.context(), "delete"); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("deleted in back-off: %v", err)
	}
}

// A limit ends it, with the reason; a start counts anew.
func TestTheLimitOfRestarts(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	row := service("row", "echo no port; exit 4")
	row.RestartLimit = 1
	window := service("window", "exit 4")
	window.RestartLimit, window.RestartWindow = 2, time.Minute
	d.start(row)
	d.start(window)
	for name, want := range map[string]struct {
		runs   uint64
		reason string
	}{"row": {2, "restarted once in a row, the limit: exit code 4: no port"}, "window": {3, "restarted 2 times in 1m, the limit: exit code 4"}} {
		s := d.rest(name)
		if s.State != process.Failed || s.Error != want.reason || s.Number != want.runs || s.Restarts != int(want.runs)-1 {
			t.Errorf("%s: %v after run %d, %d restarts: %q", name, s.State, s.Number, s.Restarts, s.Error)
		}
		if text := d.mustClient("list"); !strings.Contains(text, "failed") {
			t.Errorf("list says\n%s", text)
		}
		events := d.events(process.EventQuery{Name: process.Selection{name}})
		if last := events[len(events)-1]; last.Kind != process.EventGaveUp || !strings.Contains(want.reason, last.Error) {
			t.Errorf("%s: the last event is %+v", name, last)
		}
	}
	d.killWorker()
	if s := d.status("row"); s.State != process.Failed || !strings.Contains(s.Error, "the limit") {
		t.Errorf("the next worker says %v: %s", s.State, s.Error)
	}
	d.start(process.Spec{Name: "row"})
	s := d.await("row", "tried again", func(s process.Status) bool { return s.Number == 0 && s.State == process.Backoff || s.Number == 4 })
	if s.Restarts > 1 {
		t.Errorf("%d restarts after a start", s.Restarts)
	}
	if s := d.rest("row"); s.Number != 4 {
		t.Errorf("given up after run %d, want 4", s.Number)
	}
}

// Count and delay go on whoever dies, and at an upgrade; the attempt comes at its time.
func TestBackoffSurvives(t *testing.T) {
	t.Parallel()
	ways := map[string]func(d *daemon){
		"upgrade": (*daemon).upgraded,
		"keeper": func(d *daemon) { // the worker ends by itself
			if err := d.cmd.Process.Kill(); err != nil {
				d.t.Fatal(err)
			}
			d.wait()
			d.hangUp()
			d.launch()
		},
		"shutdown": func(d *daemon) {
			d.end(unix.SIGTERM)
			d.launch()
		},
	}
	for name, replace := range both {
		ways[name] = replace
	}
	for name, replace := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.start(service("web", `[ "$PROCESSMANAGER_RUN" -ge 4 ] && exec sleep 600; exit 7`))
			before := d.await("web", "in its third backoff", func(s process.Status) bool { return s.State == process.Backoff && s.Restarts == 2 })
			if left := time.Until(before.NextAttempt); left < 2*time.Second {
				t.Fatalf("the third delay is 4s, and %v are left", left)
			}
			replace(d)
			late := time.Now().After(before.NextAttempt) // then it is due when somebody is there
			s := d.status("web")
			if s.State == process.Backoff && (!s.NextAttempt.Equal(before.NextAttempt) && !late || s.NextAttempt.Before(before.NextAttempt) || s.Restarts != 2) {
				t.Errorf("before: %v, %d restarts; after: %v, %d restarts", before.NextAttempt, before.Restarts, s.NextAttempt, s.Restarts)
			}
			s = d.await("web", "back", isRunning)
			if s.Number != 4 || s.Restarts != 3 || s.Start.Before(before.NextAttempt.Add(-20*time.Millisecond)) {
				t.Errorf("run %d came at %v, with %d restarts; the attempt was to come at %v", s.Number, s.Start, s.Restarts, before.NextAttempt)
			}
		})
	}
}

// A run that ends while nobody is there is followed too, whether somebody knows how it ended
// or not.
func TestRunsThatEndUnseenAreFollowed(t *testing.T) {
	t.Parallel()
	for name, replace := range both {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.start(service("web", "exec sleep 600"))
			d.start(process.Spec{Name: "other", Command: "exec sleep 600"}) // a tree that lives
			pid := d.status("web").PID
			if name == "worker" {
				d.stopWorker() // it sees nothing any more
				unix.Kill(pid, unix.SIGKILL)
				replace(d)
			} else {
				d.crash()
				unix.Kill(pid, unix.SIGKILL)
				eventually(t, "it is dead", func() bool { return !running(pid) })
				d.launch()
			}
			s := d.await("web", "back", func(s process.Status) bool { return s.Number == 2 && s.State == process.Running })
			want := process.CauseSignal
			if name == "daemon" {
				want = process.CauseLost
			}
			if s.Restarts != 1 || s.LastRun.Cause != want {
				t.Errorf("%d restarts, the first run ended by %v", s.Restarts, s.LastRun.Cause)
			}
			if s := d.status("other"); s.Number != 1 || s.State != process.Running {
				t.Errorf("the other one: %+v", s)
			}
		})
	}
}

// What is to be up comes up with the daemon and with the machine, once; a stop holds, and
// nothing runs again when a worker takes over.
func TestAutostart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, rebootable)
	auto := process.Restarting{Autostart: true}
	for _, spec := range []process.Spec{
		{Name: "once", Command: "exit 0", Restarting: auto},
		{Name: "server", Command: "exec sleep 600", Restarting: auto},
		{Name: "stopped", Command: "exec sleep 600", Restarting: auto},
		{Name: "timed", Command: "exit 0", Restarting: auto, Schedule: process.Schedule{Cron: "@every 1h"}},
		{Name: "job", Command: "exit 0", Restarting: process.Restarting{Restart: process.RestartOnFailure}},
		{Name: "kept", Command: "exec sleep 600", Restarting: process.Restarting{Restart: process.RestartOnFailure}},
		{Name: "always", Command: "exec sleep 600", Restarting: process.Restarting{Restart: process.RestartAlways}},
		{Name: "plain", Command: "exec sleep 600"},
	} {
		d.start(spec)
	}
	d.stop("stopped")
	newest := func(name string) uint64 { return newestOf(d.status(name)) }
	check := func(when string, want map[string]uint64) {
		t.Helper()
		for name, number := range want {
			if name == "plain" || name == "stopped" || name == "job" || name == "timed" {
				continue
			}
			d.await(name, "up "+when, func(s process.Status) bool {
				return newestOf(s) == number && (s.State == process.Running || s.State.AtRest())
			})
		}
		for name, number := range want { // by now also what was not to run
			if got := newest(name); got != number {
				t.Errorf("%s: the newest run of %s is %d, want %d", when, name, got, number)
			}
		}
	}
	first := map[string]uint64{"once": 1, "server": 1, "stopped": 1, "timed": 0, "job": 1, "kept": 1, "always": 1, "plain": 1}
	d.rest("once")
	d.rest("job")
	check("before", first)
	d.killWorker()
	check("with another worker", first)
	d.crash()
	d.launch()
	check("with another daemon that finds living trees", first)
	d.end(unix.SIGTERM)
	d.launch()
	check("with another daemon", map[string]uint64{"once": 2, "server": 2, "stopped": 1, "timed": 0, "job": 1, "kept": 2, "always": 2, "plain": 1})
	d.killWorker()
	check("with its next worker", map[string]uint64{"once": 2, "server": 2, "stopped": 1, "timed": 0, "job": 1, "kept": 2, "always": 2, "plain": 1})
	d.reboot(1)
	check("after a boot", map[string]uint64{"once": 3, "server": 3, "stopped": 1, "timed": 0, "job": 1, "kept": 3, "always": 3, "plain": 1})
	if s := d.status("plain"); s.State != process.Stopped && s.State != process.Failed {
		t.Errorf("a process without a policy is %v", s.State)
	}
	if s := d.status("timed"); s.State != process.Scheduled {
		t.Errorf("the schedule is %v", s.State)
	}
	if s := d.status("kept"); s.LastRun.Cause != process.CauseLost {
		t.Errorf("what ran at the end of the machine ended by %v", s.LastRun.Cause)
	}
}

// newestOf is the highest run number that a status tells of.
func newestOf(s process.Status) uint64 {
	if s.LastRun != nil {
		return max(s.Number, s.LastRun.Number)
	}
	return s.Number
}

// A worker that dies while it brings up what is to be up leaves the rest to the next one,
// and that starts nothing twice.
func TestAutostartIsFinishedByTheNextWorker(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const count = 40
	name := func(i int) string { return fmt.Sprintf("job%02d", i) }
	for i := range count {
		d.start(process.Spec{Name: name(i), Command: `echo "$PROCESSMANAGER_RUN" >>` + name(i), Restarting: process.Restarting{Autostart: true}})
	}
	for i := range count {
		d.rest(name(i))
	}
	d.end(unix.SIGTERM)
	d.launch()
	for range 3 {
		time.Sleep(50 * time.Millisecond)
		d.killWorker()
	}
	eventually(t, "all have run", func() bool {
		for i := range count {
			if s := d.status(name(i)); newestOf(s) < 2 || s.State != process.Completed {
				return false
			}
		}
		return true
	})
	for i := range count {
		data, _ := os.ReadFile(d.dir + "/" + name(i))
		if lines := strings.Fields(string(data)); len(lines) != 2 {
			t.Errorf("%s has run as %q, want it once with each daemon", name(i), lines)
		}
	}
}

// Codes that count as success end a service well, also when they are set while it runs.
func TestSuccessCodes(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := service("java", "trap 'exit 143' USR1; echo up; while :; do sleep 0.02; done")
	spec.SuccessCodes = "0,143"
	d.start(spec)
	spec.Name, spec.SuccessCodes = "later", ""
	d.start(spec)
	d.set("later", "success_codes", "0, 143")
	for _, name := range []string{"java", "later"} {
		d.said(name, "up")
		d.mustClient("signal", name, "-signal", "USR1")
		if s := d.rest(name); s.State != process.Completed || !same(s.ExitCode, new(143)) || s.Error != "" || s.Restarts != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	spec = service("zero", "exit 0")
	spec.SuccessCodes = "3"
	d.start(spec)
	d.await("zero", "in backoff", inBackoff) // 0 is not among them
}

// A command that cannot be executed is tried as the policy says, and said to be one.
func TestCommandsThatCannotBeExecutedAreTried(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if err := os.WriteFile(d.dir+"/plain", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{"missing": "exec /no/such/program", "denied": "exec " + d.dir + "/plain"} {
		spec := service(name, command)
		spec.RestartDelay = time.Hour // it is looked at twice
		d.start(spec)
	}
	for name, want := range map[string]string{"missing": "command not found", "denied": "cannot be executed"} {
		s := d.await(name, "in backoff", inBackoff)
		if !strings.Contains(s.LastRun.Error, want) {
			t.Errorf("%s: it says %q", name, s.LastRun.Error)
		}
		if text := d.mustClient("status", name); !strings.Contains(text, want) || !strings.Contains(text, "next attempt") {
			t.Errorf("%s: status says\n%s", name, text)
		}
	}
	gone := service("gone", "true")
	gone.Dir = d.dir + "/gone"
	_, err := d.client().Start(d.context(), gone)
	if !errors.Is(err, process.ErrStart) || !strings.Contains(err.Error(), gone.Dir) || !strings.Contains(err.Error(), "tried again in 1s") {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(gone.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("gone"); s.State != process.Completed || s.Restarts == 0 {
		t.Errorf("when the directory is there: %+v", s)
	}
}

// A daemon that forks away has its tree ended, and that is said where it is seen.
func TestADaemonThatForksAwayIsToldOf(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "httpd", Command: "setsid sleep 600 & setsid sleep 600 & exit 0"})
	if s := d.rest("httpd"); s.State != process.Completed || s.LeftBehind == nil {
		t.Fatalf("%+v", s)
	}
	d.nobodyLeft("httpd", 1)
	for _, command := range [][]string{{"list"}, {"status", "httpd"}} {
		if text := d.pmclient(command...).stdout; !strings.Contains(text, "left 2 others, which were ended: s") || !strings.Contains(text, "in the foreground") {
			t.Errorf("%s says\n%s", command, text)
		}
	}
}

// A job with a schedule is tried again until its next time comes, and then counts anew.
func TestAScheduledJobIsTriedUntilItsNextTime(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := service("job", `[ -e good ] && exit 0; exit 1`)
	spec.Cron, spec.JobID = "@every 2s", "nightly"
	d.start(spec)
	s := d.await("job", "in backoff", inBackoff)
	if s.NextTime.IsZero() || s.NextAttempt.IsZero() {
		t.Errorf("it does not say what comes: %+v", s)
	}
	// A machine that is late for an attempt may be at the next time first: then the attempt is not made.
	triedAndAnew := regexp.MustCompile("^0+1.*0")
	eventually(t, "it is tried again, and then counted anew at its time", func() bool {
		var counts []byte
		for _, e := range d.events(process.EventQuery{Name: process.Selection{"job"}}) {
			if e.Kind == process.EventStarting {
				counts = append(counts, fmt.Sprint(e.Restarts)...)
				if e.JobID != "nightly" {
					t.Fatalf("run %d has the job id %q", e.Run, e.JobID)
				}
			}
		}
		return triedAndAnew.Match(counts)
	})
	if err := os.WriteFile(d.dir+"/good", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.await("job", "scheduled", func(s process.Status) bool {
		return s.State == process.Scheduled && s.LastRun != nil && same(s.LastRun.ExitCode, new(0)) && s.NextAttempt.IsZero()
	})
}

// A boot with many processes starts so many side by side, in their order, and answers
// meanwhile.
func TestABootStartsSoManySideBySide(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const count = 120
	name := func(i int) string { return fmt.Sprintf("p%03d", i) }
	for i := range count {
		spec := process.Spec{Name: name(i), Command: "exec sleep 1000", Restarting: process.Restarting{Autostart: true}}
		if i > 0 {
			spec.After = name(i - 1)
		}
		d.start(spec)
	}
	d.end(unix.SIGTERM)
	d.launch()
	began := time.Now()
	d.list()
	if took := time.Since(began); took > patience/4 {
		t.Errorf("a list took %v", took)
	}
	eventually(t, "all run", func() bool {
		for _, s := range d.list() {
			if s.State != process.Running {
				return false
			}
		}
		return true
	})
	type moment struct {
		at    time.Time
		begin int
	}
	var all []moment
	var order []string
	eventually(t, "all have been told", func() bool {
		all, order = nil, nil
		for _, e := range d.events(process.EventQuery{}) {
			switch {
			case e.Run != 2:
			case e.Kind == process.EventStarting:
				order = append(order, e.Name)
				all = append(all, moment{e.Time, 1})
			case e.Kind == process.EventStarted:
				all = append(all, moment{e.Time, -1})
			}
		}
		return len(all) == 2*count
	})
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	within, most := 0, 0
	for _, m := range all {
		within += m.begin
		most = max(most, within)
	}
	room := 4 * runtime.NumCPU()
	if most > room {
		t.Errorf("%d began side by side, want at most %d", most, room)
	}
	for i := range count {
		if at := slices.Index(order, name(i)); at > i+room || at < i-room {
			t.Fatalf("%s came as number %d", name(i), at)
		}
	}
}
