package integration

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// long is a grace that no test can wait for.
const long = "600s"

// set changes fields, which are given as name and value in turn.
func (d *daemon) set(name string, fields ...string) process.Status {
	d.t.Helper()
	var settings []process.Setting
	for i := 0; i < len(fields); i += 2 {
		settings = append(settings, process.Setting{Field: fields[i], Value: fields[i+1]})
	}
	s, err := d.client().Set(d.context(), name, settings...)
	if err != nil {
		d.t.Fatalf("set %s %q: %v", name, fields, err)
	}
	return s
}

// What a tree that runs can follow it follows at once, and goes on.
func TestSetActsOnATreeThatRuns(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const stubborn = "trap '' TERM; trap 'exit 7' USR1; echo up; while :; do sleep 0.02; done"
	for _, name := range []string{"timeout", "signal", "deadline"} {
		d.mustClient("start", name, "-command", stubborn, "-stop_timeout", long)
		d.said(name, "up")
	}
	pid := d.status("signal").PID
	if s := d.set("signal", "stop_signal", "SIGUSR1"); s.PID != pid || s.Number != 1 || s.StopSignal != 10 || len(s.WaitsForRestart) > 0 {
		t.Errorf("%+v", s)
	}
	if s := d.stop("signal"); s.Cause != process.CauseStop || s.ExitCode == nil || *s.ExitCode != 7 {
		t.Errorf("the tree was to end by USR1: %+v", s)
	}
	d.set("timeout", "stop_timeout", "50ms")
	if s := d.stop("timeout"); s.Run.Signal != process.KILL {
		t.Errorf("the tree was to be killed after 50 ms: %+v", s)
	}
	d.set("deadline", "stop_timeout", "0", "deadline", "10ms") // it has passed
	if s := d.rest("deadline"); s.Cause != process.CauseDeadline || s.Number != 1 {
		t.Errorf("%+v", s)
	}

	d.mustClient("start", "log", "-log", "-command", "echo up; until [ -e enough ]; do sleep 0.02; done; for i in 1 2 3 4 5 6 7 8; do head -c 4095 /dev/zero | tr '\\0' x; echo; sleep 0.3; done; exec sleep 1000")
	d.said("log", "up")
	d.set("log", "log_max_size", "4K", "log_max_files", "2")
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the oldest log file is removed", func() bool {
		return !strings.Contains(d.logs("log", 0), "up\n")
	})
	if s := d.status("log"); s.Number != 1 || s.State != process.Running {
		t.Errorf("%+v", s)
	}
}

// Who waits for a stop with a long grace can have it shorter, also from the next worker.
func TestSetShortensTheGraceOfATreeThatIsBeingStopped(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("worker killed ", killed), func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.mustClient("start", "x", "-command", "trap '' TERM; echo up; while :; do sleep 0.02; done", "-stop_timeout", long)
			d.said("x", "up")
			w := d.session(t)
			w.send("!!process.stop name:x\n\n")
			d.await("x", "stopping", func(s process.Status) bool { return s.State == process.Stopping })
			if killed {
				d.killWorker()
			}
			d.set("x", "stop_timeout", "20ms")
			if s := d.rest("x"); s.State != process.Stopped || s.Run.Signal != process.KILL {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A schedule is followed at once, and a stop holds.
func TestSetOfASchedule(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.finished("done", "true")
	d.start(process.Spec{Name: "busy", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "down", Command: "exec sleep 1000"})
	d.stop("down")
	if s := d.set("busy", "cron", "@daily"); s.State != process.Running || s.NextTime.IsZero() || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if s := d.set("down", "cron", "@every 1s"); s.State != process.Stopped || !s.NextTime.IsZero() {
		t.Errorf("a stop holds: %+v", s)
	}
	if s := d.set("done", "cron", "@every 1s"); s.State != process.Scheduled || s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	d.await("done", "run again", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number >= 2 })
	if s := d.set("done", "cron", ""); s.Cron != "" || !s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	last := d.rest("done").Number
	d.killWorker()
	if s := d.status("done"); s.Number != last || !s.State.AtRest() || s.Cron != "" || !s.NextTime.IsZero() {
		t.Errorf("%+v, want run %d", s, last)
	}
	if s := d.status("busy"); s.Cron != "@daily" || s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	if s := d.status("down"); s.State != process.Stopped || s.Cron != "@every 1s" || s.Number != 1 {
		t.Errorf("%+v", s)
	}
}

// What a tree cannot follow waits for the next run, and is said until then, whatever dies
// and whatever else is changed.
func TestSetSaysWhatWaitsForARestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const first, second = "echo first; exec sleep 1000", "echo second; exec sleep 1000"
	pid := d.start(process.Spec{Name: "x", Command: first}).PID
	waits := func(s process.Status, want ...string) {
		t.Helper()
		if !slices.Equal(s.WaitsForRestart, want) || s.PID != pid || s.Number != 1 {
			t.Errorf("waits for a restart: %q, want %q; %+v", s.WaitsForRestart, want, s)
		}
	}
	if out := d.mustClient("set", "x", "-command", second, "-stop_timeout", "1s"); out != "process 'x' changed: command, stop_timeout; command from the next run on: restart x to have it now\n" {
		t.Error(out)
	}
	waits(d.status("x"), "command")
	if out := d.mustClient("status", "x"); !strings.Contains(joined(out), "changed: command: from the next run on") {
		t.Error(out)
	}
	for name, die := range map[string]func(){"worker": d.killWorker, "both": func() { d.crash(); d.launch() }} {
		die()
		waits(d.status("x"), "command")
		waits(d.set("x", "deadline", "1h"), "command")
		waits(d.set("x", "dir", "/", "deadline", ""), "command", "dir")
		die()
		waits(d.set("x", "command", first), "dir")
		waits(d.set("x", "dir", "")) // as it was
		waits(d.set("x", "command", second), "command")
		if t.Failed() {
			t.Fatal("after the death of ", name)
		}
	}
	if s, err := d.client().Restart(d.context(), "x", ""); err != nil || len(s.WaitsForRestart) > 0 || s.Command != second {
		t.Errorf("%+v, %v", s, err)
	}
	d.said("x", "second")
}

// A run keeps its output where it did when it began; the next one has it otherwise.
func TestSetOfALogWaitsForARestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const command = "echo one; until [ -e enough ]; do sleep 0.02; done; echo two; exec sleep 1000"
	d.start(process.Spec{Name: "off", Command: command, Logging: process.Logging{Log: true}})
	d.start(process.Spec{Name: "on", Command: command})
	d.said("off", "one")
	for name, value := range map[string]string{"off": "no", "on": "yes"} {
		if s := d.set(name, "log", value); !slices.Equal(s.WaitsForRestart, []string{"log"}) {
			t.Errorf("%+v", s)
		}
	}
	d.killWorker()
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.said("off", "two")
	d.said("on", "two")
	if got := d.logs("off", 0); got != "one\ntwo\n" {
		t.Errorf("the log goes on: %q", got)
	}
	if !gone(d.state + "/logs/on") {
		t.Error("there is a log of a run that was to have none")
	}
	for _, name := range []string{"on", "off"} {
		if s := d.status(name); !slices.Equal(s.WaitsForRestart, []string{"log"}) {
			t.Errorf("%+v", s)
		}
		d.mustClient("restart", name)
		d.said(name, "two")
	}
	if gone(d.state + "/logs/on") {
		t.Error("there is no log")
	}
	d.mustClient("delete", "on,off")
	for _, name := range []string{"on", "off"} {
		if !gone(d.state + "/logs/" + name) {
			t.Errorf("the log of %s is left", name)
		}
	}
}

// What was set is there after the worker's death and the daemon's end.
func TestSetSurvives(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000", Logging: process.Logging{Log: true}})
	d.mustClient("set", "x", "-deadline", "1.5h", "-stop_timeout", "90s", "-stop_signal", "int", "-log_max_size", "64K",
		"-log_max_files", "7", "-log_max_age", "1d", "-log_max_total", "1MiB", "-log_full", "block", "-dir", "/", "-cron", "@daily")
	want := func() {
		t.Helper()
		s := d.status("x")
		if s.Deadline != 90*time.Minute || s.Grace() != 90*time.Second || s.StopSignal != 2 || s.LogMaxSize != 64<<10 || s.LogMaxFiles != 7 ||
			s.LogMaxAge != 24*time.Hour || s.LogMaxTotal != 1<<20 || !s.LogBlock || s.Dir != "/" || s.Cron != "@daily" || s.NextTime.IsZero() {
			t.Errorf("%+v", s)
		}
	}
	want()
	d.killWorker()
	want()
	d.end(unix.SIGTERM)
	d.launch()
	want()
}

// Each of several clients that change one process at once has what it asked for.
func TestTwoClientsSetAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	const times = 40
	var all sync.WaitGroup
	for _, field := range []string{"deadline", "stop_timeout"} {
		pm := d.dial(t)
		all.Go(func() {
			for i := range times {
				s, err := pm.Set(d.context(), "x", process.Setting{Field: field, Value: fmt.Sprint(1000 + i)})
				if got := process.FieldNamed(field).Text(s.Spec); err != nil || got != fmt.Sprint(1000+i) {
					t.Errorf("set %s:%d: %s, %v", field, 1000+i, got, err)
				}
			}
		})
	}
	all.Wait()
	if s := d.status("x"); s.Deadline != (1000+times-1)*time.Second || s.Grace() != s.Deadline {
		t.Errorf("%+v", s)
	}
	changes := map[string]int{}
	for _, e := range d.events(process.EventQuery{}) {
		if e.Kind == process.EventChanged {
			changes[strings.Join(e.Fields, ",")]++
		}
	}
	if changes["deadline"] != times || changes["stop_timeout"] != times || len(changes) != 2 {
		t.Errorf("events: %v", changes)
	}
}

// A set of which a part cannot be changes nothing, and says in one line what would be
// right.
func TestSetThatIsInvalidChangesNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	before, worker := d.status("x"), d.worker()
	w := d.session(t)
	huge := strings.Repeat("9", 100_000)
	for given, want := range map[string]string{
		"deadline:5x":                     "a number of seconds such as 30 or 1.5",
		"deadline:-1":                     "a number of seconds such as 30 or 1.5",
		"deadline:1e99":                   "100 years",
		"deadline:NaN":                    "a number of seconds such as 30 or 1.5",
		"deadline:101y":                   "a number of seconds such as 30 or 1.5",
		"deadline:'1h 30m'":               "a number of seconds such as 30 or 1.5",
		"deadline:" + huge:                "a number of seconds such as 30 or 1.5",
		"stop_signal:0":                   "from 1 to 64",
		"stop_signal:SIGSIGHUP":           "from 1 to 64",
		"stop_signal:" + huge:             "from 1 to 64",
		"log log_max_size:10":             "at least 4096",
		"log log_max_size:10MM":           "512K, 64M",
		"log log_max_size:9999999T":       "512K, 64M",
		"log log_max_size:" + huge:        "512K, 64M",
		"log log_max_files:1e3":           "1 or more",
		"log log_max_files:10001":         "at most 10000",
		"log log_max_age:1ms":             "at least 100ms",
		"log log_max_total:1":             "at least 16384",
		"log log_full:wait":               "drop nor block",
		"log:perhaps":                     "true/false|yes/no",
		"log_max_size:10M":                "log:true",
		"dir:etc":                         "begin with /",
		"dir:/" + huge:                    "4095",
		"command:''":                      "is empty",
		"cron:'61 * * * *'":               "cron: ",
		"cron:'CRON_TZ=Mars/X 0 3 * * *'": "Mars/X",
		"cron:'" + huge + "'":             "cron: ",
		"jobid:'a b'":                     "a job id is of",
		"format:yaml":                     "json or text",
		"stop_timeuot:3":                  "did you mean stop_timeout",
		"stop_timeout:4":                  "twice",
		"deadline":                        "needs a value",
		"name:y":                          "twice",
		"deadline:\"\x1b[31m\"":           `\x1b`,
	} {
		for _, format := range []string{"", " format:json"} {
			if format != "" && strings.HasPrefix(given, "format") {
				continue
			}
			answer := w.ask("!!process.set name:x stop_timeout:3 " + given + format)
			ok := false
			for _, one := range strings.Split(want, "|") {
				ok = ok || strings.Contains(answer, one)
			}
			field, _, _ := strings.Cut(strings.TrimPrefix(given, "log "), ":")
			if !ok && format == "" || !strings.Contains(answer, field) && field != "name" || len(answer) > 600 || strings.Count(answer, "\n") != 1 ||
				strings.ContainsAny(answer, "\x1b\r") || !strings.HasPrefix(answer, "Error: ") && !strings.HasPrefix(answer, `{"error":`) {
				t.Errorf("%.60q: got %.700q, want %q", given+format, answer, want)
			}
		}
	}
	for _, action := range []string{"!!process.set name:x", "!!process.set stop_timeout:3", "!!process.set name:x replace:true", "!!process.set name:nope stop_timeout:3"} {
		if answer := w.ask(action); !strings.HasPrefix(answer, "Error: ") || strings.Count(answer, "\n") != 1 {
			t.Errorf("%s: %q", action, answer)
		}
	}
	if _, err := d.client().Set(d.context(), "x", process.Setting{Field: "stop_timeout", Value: "3"}, process.Setting{Field: "nope", Value: "1"}); !errors.Is(err, process.ErrInvalid) {
		t.Errorf("%v", err)
	}
	after := d.status("x")
	if after.Grace() != before.Grace() || len(process.Differences(before.Spec, after.Spec)) > 0 || after.PID != before.PID || d.worker() != worker {
		t.Errorf("%+v, before %+v", after, before)
	}
	if all := d.events(process.EventQuery{}); len(all) != 3 { // defined, starting, started
		t.Errorf("%+v", all)
	}
}

// Where several are changed, each answer says whose it is.
func TestSetOfSeveralSaysWhichCannotBeChanged(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "with", Command: "exec sleep 1000", Logging: process.Logging{Log: true}})
	d.start(process.Spec{Name: "without", Command: "exec sleep 1000"})
	r := d.pmclient("set", "with*", "-log_max_size", "64K")
	if r.code != 1 || r.stdout != "process 'with' changed: log_max_size\n" || !strings.Contains(r.stderr, "process 'without': log_max_size: ") {
		t.Errorf("%+v", r)
	}
	r = d.pmclient("set", "with", "-log=no")
	if r.code != 1 || !strings.Contains(r.stderr, "log_max_size:''") {
		t.Errorf("it does not say what mends it: %+v", r)
	}
	d.mustClient("set", "with", "-log=no", "-log_max_size", "")
}

// A start with a command is one of the process that is there, if all of the definition
// means the same.
func TestStartOfANameThatExists(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const command = "echo up; exec sleep 1000"
	d.mustClient("start", "x", "-command", command, "-deadline", "90s", "-log", "-log_max_size", "10M", "-jobid", "first")
	pid := d.status("x").PID
	for _, same := range [][]string{
		{"-deadline", "1m30s", "-log"}, {"-deadline", "90", "-log=yes", "-log_max_size", "10240K", "-stop_timeout", "10", "-stop_signal", "SIGTERM"},
		{"-deadline", "0.025h", "-log", "-log_full", "drop", "-log_max_files", "5", "-jobid", "second", "-replace"},
	} {
		out := d.mustClient(append([]string{"start", "x", "-command", command}, same...)...)
		if want := fmt.Sprintf("process 'x' is running already: run 1, pid %d\n", pid); out != want {
			t.Errorf("%q: got %q, want %q", same, out, want)
		}
	}
	for fields, other := range map[string][]string{
		"(command)":                     {"-command", "true", "-deadline", "90s", "-log"},
		"(deadline, log)":               {"-command", command},
		"(cron, stop_signal, log_full)": {"-command", command, "-deadline", "90s", "-log", "-log_full", "block", "-cron", "@daily", "-stop_signal", "INT"},
		"(deadline, stop_timeout)":      {"-command", command, "-deadline", "91s", "-log", "-stop_timeout", "0"},
	} {
		r := d.pmclient(append([]string{"start", "x"}, other...)...)
		for _, want := range []string{fields, "set", "-replace", "replace:true"} {
			if r.code != 1 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, want) {
				t.Errorf("%q: %+v, want %q", other, r, want)
			}
		}
	}
	if s := d.status("x"); s.PID != pid || s.Run.JobID != "first" {
		t.Errorf("%+v", s)
	}
	d.stop("x")
	d.mustClient("start", "x", "-command", command, "-deadline", "90s", "-log")
	if s := d.status("x"); s.State != process.Running || s.Number != 2 || s.Run.JobID != "" {
		t.Errorf("%+v", s)
	}
	// What is left out is the default again.
	d.mustClient("start", "x", "-command", "exec sleep 999", "-stop_timeout", "1s", "-replace")
	if s := d.status("x"); s.Number != 3 || s.Deadline != 0 || s.Log || s.Command != "exec sleep 999" || len(s.WaitsForRestart) > 0 {
		t.Errorf("%+v", s)
	}
	d.killWorker()
	if s := d.status("x"); s.Number != 3 || s.Deadline != 0 || s.Log || s.Grace() != time.Second {
		t.Errorf("%+v", s)
	}

	d.mustClient("start", "timed", "-command", "true", "-cron", "@daily")
	d.stop("timed")
	d.mustClient("start", "timed", "-command", "true", "-cron", "@daily")
	if s := d.status("timed"); s.State != process.Scheduled || s.NextTime.IsZero() {
		t.Errorf("a stopped schedule is armed: %+v", s)
	}
	d.mustClient("start", "timed", "-command", "exec sleep 1000", "-replace")
	if s := d.status("timed"); s.State != process.Running || !s.NextTime.IsZero() || s.Cron != "" {
		t.Errorf("%+v", s)
	}
	d.mustClient("start", "timed", "-command", "exec sleep 1000", "-cron", "@daily", "-replace")
	if s := d.status("timed"); s.Number != 2 || s.State != process.Running || s.NextTime.IsZero() { // what runs is restarted
		t.Errorf("%+v", s)
	}
}
