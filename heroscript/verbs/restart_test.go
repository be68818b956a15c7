package verbs

import (
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func inBackoff(left time.Duration, restarts int) process.Status {
	s := process.NewStatus(process.Spec{Name: "web", Command: "false", Restarting: process.Restarting{Restart: process.RestartAlways}}, process.Backoff)
	s.NextAttempt, s.Restarts = time.Now().Add(left), restarts
	s.LastRun = &process.Run{Number: 6, Start: noon, End: noon, Cause: process.CauseExit, ExitCode: new(1), Error: "exit code 1: no port"}
	return s
}

func TestBackoffSaysWhatComes(t *testing.T) {
	for _, c := range []struct {
		left     time.Duration
		restarts int
		want     string
	}{
		{8*time.Second - time.Millisecond, 5, "backoff, next attempt in 8s, 5 restarts"},
		{time.Minute - time.Millisecond, 1, "backoff, next attempt in 1m00s, 1 restart"},
		{time.Second - time.Millisecond, 0, "backoff, next attempt in 1s"},
		{-time.Second, 2, "backoff, next attempt now, 2 restarts"},
	} {
		s := inBackoff(c.left, c.restarts)
		for _, script := range []string{"!!process.list", "!!process.status name:web"} {
			if got := answer(t, &recorder{all: []process.Status{s}}, script); !strings.Contains(got, c.want) {
				t.Errorf("%s: no %q in\n%s", script, c.want, got)
			}
		}
	}
	if got := answer(t, &recorder{all: []process.Status{inBackoff(time.Second, 1)}}, "!!process.status name:web"); !strings.Contains(got, "no port") || !strings.Contains(got, "always, after 1s to 1m00s") {
		t.Errorf("why it failed, or the policy, is not there:\n%s", got)
	}
}

// How a run went that was waited for is said once.
func TestTheEndThatWasWaitedForIsSaidOnce(t *testing.T) {
	s := failed()
	s.Error = "exit code 3: no port"
	for want, status := range map[string]process.Status{
		"process 'job.1': run 1 ended: exit code 3: no port\n": s,
		"process 'killed': run 2 ended: oom, SIGKILL\n":        killed(),
	} {
		if got := answer(t, &recorder{status: status}, "!!process.restart name:"+status.Name+" wait:end"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A daemon that has forked away was ended; that and the remedy are said where it is seen.
func TestWhatForkedAwayIsToRunInTheForeground(t *testing.T) {
	s := process.NewStatus(process.Spec{Name: "httpd", Command: "httpd"}, process.Completed)
	s.Run = process.Run{Number: 1, Start: noon, End: noon, Cause: process.CauseExit, ExitCode: new(0),
		LeftBehind: &process.LeftBehind{Count: 3, Names: []string{"httpd", "logger"}}}
	const want = "left 3 others, which were ended: httpd, logger. If that is the server, run it in the foreground"
	for _, script := range []string{"!!process.list", "!!process.status name:httpd"} {
		if got := answer(t, &recorder{all: []process.Status{s}}, script); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", script, want, got)
		}
	}
	s.ExitCode = new(1) // it failed: that it left others is not why
	for _, script := range []string{"!!process.list", "!!process.status name:httpd"} {
		if got := answer(t, &recorder{all: []process.Status{s}}, script); strings.Contains(got, "foreground") {
			t.Errorf("%s: it has failed:\n%s", script, got)
		}
	}
}
