package verbs

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// state is where a process is, and in backoff what comes next.
func state(s process.Status) string {
	text := s.State.String()
	if s.State != process.Backoff {
		return text
	}
	if left := time.Until(s.NextAttempt); left > 0 {
		text += ", next attempt in " + Seconds(max(left.Round(time.Second), time.Second).Seconds())
	} else {
		text += ", next attempt now"
	}
	if s.Restarts > 0 {
		text += ", " + restarts(s.Restarts)
	}
	return text
}

// restartPolicy says when a process is started again by itself; nothing if it is not.
func restartPolicy(r process.Restarting) string {
	if r.Restart == "" || r.Restart == process.RestartNo {
		return ""
	}
	text := fmt.Sprintf("%s, after %s to %s", r.Restart, Seconds(r.FirstDelay().Seconds()), Seconds(r.LongestDelay().Seconds()))
	switch {
	case r.RestartLimit > 0 && r.RestartWindow > 0:
		text += fmt.Sprintf(", at most %d in %s", r.RestartLimit, Seconds(r.RestartWindow.Seconds()))
	case r.RestartLimit > 0:
		text += fmt.Sprintf(", at most %d in a row", r.RestartLimit)
	}
	if r.SuccessCodes != "" {
		text += "; success is " + r.SuccessCodes
	}
	return text
}

// restarts counts them, for people.
func restarts(n int) string {
	if n == 1 {
		return "1 restart"
	}
	return fmt.Sprintf("%d restarts", n)
}

// forkedAway says what became of a daemon that went into the background, and what mends it;
// nothing if the run did not end so.
func forkedAway(r process.Run) string {
	l := r.LeftBehind
	if l == nil || r.Cause != process.CauseExit || r.ExitCode == nil || *r.ExitCode != 0 {
		return ""
	}
	left := fmt.Sprintf("%d others, which were ended", l.Count)
	if l.Count == 1 {
		left = "another one, which was ended"
	}
	return fmt.Sprintf("its main process exited and left %s: %s. If that is the server, run it in the foreground, with the option that keeps it from forking away", left, joined(l.Names))
}
