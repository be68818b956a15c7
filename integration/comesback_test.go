package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// service is a service whose runs end with a code, and that comes back.
func service(name, command string) process.Spec {
	return process.Spec{Name: name, Command: command, Restarting: process.Restarting{Restart: process.RestartOnFailure}}
}

func inBackoff(s process.Status) bool { return s.State == process.Backoff }

// A crash comes back by itself, after its delay, which doubles.
func TestACrashComesBack(t *testing.T) {
	d := startDaemon(t, setup{})
	d.start(service("web", `[ "$PROCESSMANAGER_RUN" -ge 3 ] && exec sleep 600; exit 7`))
	s := d.await("web", "in backoff", inBackoff)
	if s.NextAttempt.IsZero() || s.LastRun == nil || s.LastRun.ExitCode == nil || *s.LastRun.ExitCode != 7 || s.Restarts != 0 {
		t.Errorf("got %+v", s)
	}
	if text := d.mustClient("status", "web"); !strings.Contains(text, "backoff, next attempt ") {
		t.Errorf("status says\n%s", text)
	}
	s = d.await("web", "running", func(s process.Status) bool { return s.State == process.Running && s.Number == 3 })
	if s.Restarts != 2 || !s.NextAttempt.IsZero() {
		t.Errorf("got %d restarts, next %v", s.Restarts, s.NextAttempt)
	}
	d.stop("web")
	if s := d.status("web"); s.State != process.Stopped {
		t.Errorf("after a stop it is %v", s.State)
	}
	runs, err := d.client().Runs(d.context(), process.Selection{"web"}, 0)
	if err != nil || len(runs) != 3 {
		t.Fatalf("got %d runs, %v", len(runs), err)
	}
	for i, least := range []time.Duration{time.Second, 2 * time.Second} {
		if gap := runs[i+1].Start.Sub(runs[i].End); gap < least-10*time.Millisecond || gap > 2*least+patience/2 {
			t.Errorf("run %d came %v after the one before, not %v", i+2, gap, least)
		}
	}
}
