package integration

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A start that finds the process running starts nothing, and says so.
func TestStartOfWhatRunsAlready(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	pid := d.status("p").PID
	if out := d.mustClient("start", "p"); !strings.HasPrefix(out, "process 'p' is running already: run 1, pid ") {
		t.Errorf("it said %q", out)
	}
	if out := d.mustClient("start", "p", "-format", "json"); !strings.Contains(out, `"already_running":true`) {
		t.Errorf("it said %s", out)
	}
	if s := d.status("p"); s.PID != pid || s.AlreadyRunning {
		t.Errorf("%+v", s)
	}
	d.mustClient("stop", "p")
	if out := d.mustClient("start", "p"); !strings.HasPrefix(out, "process 'p' started: run 2, ") {
		t.Errorf("at rest: it said %q", out)
	}
	if out := d.mustClient("restart", "p"); !strings.HasPrefix(out, "process 'p' started: run 3, ") {
		t.Errorf("restart: it said %q", out)
	}
	if out := d.mustClient("start", "c", "-command", "true", "-cron", "@yearly") + d.mustClient("start", "c"); strings.Count(out, "is scheduled, next run at") != 2 {
		t.Errorf("scheduled: it said %q", out)
	}
}
