package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What is said of a process is right in each situation that can be brought about here, and the
// commands that are suggested can be used, and end nothing.
func TestWhyAProcessIsAsItIs(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		begin func(d *daemon)
		says  []string
		first string // of the commands
	}{
		"never run": {func(d *daemon) { d.mustClient("define", "web", "-command", "exec sleep 1000") },
			[]string{"is stopped since ", "it was defined, and never started"}, "pmclient start web"},
		"running": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "echo hello; exec sleep 1000"})
			d.said("web", "hello")
		}, []string{"is running since ", "run 1 goes on, asked for by uid ", "last output, of run 1:\n  | hello\n"}, "pmclient status web"},
		"stopped": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
			d.stop("web")
		}, []string{"is stopped since ", "run 1 ended: that was asked for"}, "pmclient start web"},
		"completed": {func(d *daemon) { d.finished("web", "echo done") }, []string{"is completed since ", "exited with code 0", "  | done\n"}, "pmclient runs web"},
		"not found": {func(d *daemon) { d.finished("web", "no-such-program --now") },
			[]string{"is failed since ", "exited with code 127", "127: the shell has not found the command", "no-such-program", "none: it has no restart policy"}, "pmclient log web"},
		"killed": {func(d *daemon) { d.finished("web", "kill -SEGV $$") }, []string{"was ended by SIGSEGV\n", "memory that is not its own"}, "pmclient log web"},
		"no directory": {func(d *daemon) { d.pmclient("start", "web", "-dir", "/nope", "-command", "true") },
			[]string{"is failed since ", "it could not be started", "/nope"}, "pmclient log web"},
		"a deadline": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Ending: process.Ending{Deadline: 50 * time.Millisecond}})
			d.rest("web")
		}, []string{"its deadline passed"}, "pmclient log web"},
		"not ready in time": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Probing: process.Probing{Ready: "exec:echo no table; exit 1", ReadyTimeout: 100 * time.Millisecond}})
			d.rest("web")
		}, []string{"was not ready in time", "no table"}, "pmclient log web"},
		"not ready yet": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Probing: process.Probing{Ready: "exec:echo no table; exit 1"}})
			d.await("web", "asked", func(s process.Status) bool { return s.ReadyError != "" })
		}, []string{"is starting since ", "is not ready yet: ", "no table"}, "pmclient log web"},
		"unhealthy": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Probing: process.Probing{Health: "exec:echo ill; exit 1", HealthPeriod: 100 * time.Millisecond, HealthFailures: 1, HealthAction: process.HealthNone}})
			d.await("web", "unhealthy", func(s process.Status) bool { return s.Health != nil && s.Health.State == process.HealthUnhealthy })
		}, []string{"it runs, and its health probe fails: ", "ill"}, "pmclient log web"},
		"backoff": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "echo oops; exit 4", Restarting: process.Restarting{Restart: process.RestartAlways, RestartDelay: time.Hour, RestartMaxDelay: time.Hour}})
			d.isIn("web", process.Backoff)
		}, []string{"is in backoff since ", "it is tried again in ", "run 1 failed: its main process exited with code 4", "  | oops\n"}, "pmclient log web"},
		"gave up": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exit 4", Restarting: process.Restarting{Restart: process.RestartAlways, RestartLimit: 1}})
			d.rest("web")
		}, []string{"no further attempt follows, ", "run 2 failed: its main process exited with code 4", "restarts:   1 so far"}, "pmclient log web"},
		"paused": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
			d.pause("web")
		}, []string{"is paused since ", "its processes stand still"}, "pmclient resume web"},
		"stopping": {func(d *daemon) {
			d.start(process.Spec{Name: "web", Command: "trap '' TERM; echo up; while :; do sleep 0.01; done", Ending: process.Ending{StopTimeout: new(paced(20 * time.Second))}})
			d.said("web", "up")
			pm := d.dial(d.t)
			go func() { defer pm.Close(); pm.Stop(d.context(), "web") }()
			eventually(d.t, "that it stops is on disk", func() bool {
				return slices.ContainsFunc(d.events(process.EventQuery{}), func(e process.Event) bool { return e.Kind == process.EventStopping })
			})
		}, []string{"is stopping since ", "its processes are being ended: that was asked for; SIGTERM was sent"}, "pmclient tree web"},
		"scheduled": {func(d *daemon) { d.mustClient("start", "web", "-cron", "0 2 * * *", "-command", "true") }, []string{"is scheduled since ", "its next run is at "}, "pmclient next web"},
		"paused schedule": {func(d *daemon) {
			d.mustClient("start", "web", "-cron", "0 2 * * *", "-command", "true")
			d.mustClient("schedule-pause", "web")
		}, []string{"its schedule is paused"}, "pmclient schedule-resume web"},
		"not armed": {func(d *daemon) { d.mustClient("define", "web", "-cron", "0 2 * * *", "-command", "true") }, []string{"its schedule is not armed"}, "pmclient start web"},
		"the last time failed": {func(d *daemon) {
			d.mustClient("start", "web", "-cron", "0 2 * * *", "-command", "exit 5", "-log")
			d.mustClient("trigger", "web")
			d.await("web", "failed", func(s process.Status) bool { return s.State == process.Scheduled && s.Result == process.Failed })
		}, []string{"its next run is at ", "the last time run 1 failed: its main process exited with code 5"}, "pmclient log web -run 1"},
		"waiting in vain": {func(d *daemon) {
			d.mustClient("define", "db", "-command", "exit 6")
			d.pmclient("start", "web", "-needs", "db", "-restart", "always", "-command", "true")
			d.await("web", "waiting", func(s process.Status) bool {
				return s.State == process.Waiting && len(s.WaitsFor) == 1 && s.WaitsFor[0].State == process.Failed
			})
		}, []string{"is waiting since ", "it waits in vain for db (failed: exit code 6)"}, "pmclient why db"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			c.begin(d)
			text := d.mustClient("why", "web")
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, text)
				}
			}
			if n := strings.Count(text, "\n"); n > 24 {
				t.Errorf("%d lines are no screenful:\n%s", n, text)
			}
			var e process.Explanation
			if err := json.Unmarshal([]byte(d.mustClient("why", "web", "-format", "json")), &e); err != nil || len(e.Next) == 0 || e.Next[0].Command != c.first || !strings.Contains(text, e.Next[0].Command) {
				t.Fatalf("%v, %+v, %s", err, e, text)
			}
			if told, err := d.client().Why(d.context(), "web"); err != nil || told.State != e.State || len(told.Next) != len(e.Next) {
				t.Errorf("%+v, %v", told, err)
			}
			leader := d.status("web").PID
			for _, step := range e.Next {
				words := strings.Fields(step.Command)[1:]
				if words[0] == "wait" {
					words = append(words, "-timeout", "0.1")
				}
				if r := d.pmclient(words...); r.code == 2 || strings.Contains(r.stderr, "help") {
					t.Errorf("%s: %+v", step.Command, r)
				}
			}
			if leader != 0 && !running(leader) {
				t.Errorf("it was ended by one of %+v", e.Next)
			}
		})
	}
}
