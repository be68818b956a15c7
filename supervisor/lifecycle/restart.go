package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Attempts is how far a process has come with the restarts that its policy makes. Times are
// those of the events, by a clock that never goes back.
type Attempts struct {
	Count int             // restarts since somebody last asked for a start, or a scheduled time came
	Row   int             // of them since a run last lasted as long as the longest delay
	Times []time.Duration // of those that count for a limit in a window, the oldest first
	Next  time.Duration   // when the next one comes, in Backoff
	Delay time.Duration   // before that, from the end of the run
}

// Restarts reports whether another run follows by itself one that ended so.
func Restarts(policy process.Restarting, cause process.Cause, success bool) bool {
	switch cause {
	case process.CauseStop, process.CauseShutdown, process.CauseReplaced:
		return false
	}
	switch policy.Restart {
	case process.RestartAlways:
		return true
	case process.RestartOnFailure:
		return !success
	}
	return false
}

// plan sets when the next attempt comes after a run that ended at a time. random is from 0
// up to 1, so that what failed together does not come back together. The second result is
// why there is none, if the limit is reached.
func (a Attempts) plan(policy process.Restarting, ended time.Duration, random float64) (Attempts, string) {
	if limit, window := policy.RestartLimit, policy.RestartWindow; limit > 0 {
		a.Times = within(a.Times, ended-window)
		switch {
		case window > 0 && len(a.Times) >= limit:
			return a, fmt.Sprintf("restarted %s in %s, the limit", times(limit), process.ShortDuration(window))
		case window == 0 && a.Row >= limit:
			return a, fmt.Sprintf("restarted %s in a row, the limit", times(a.Row))
		}
	}
	a.Delay = jittered(policy.DelayAfter(a.Row), policy.LongestDelay(), random)
	a.Next = ended + a.Delay
	return a, ""
}

// jittered is a delay with up to a tenth more; the longest one has up to a tenth less. It
// is never less than a second.
func jittered(d, longest time.Duration, random float64) time.Duration {
	jitter := time.Duration(random * float64(d/10))
	if d+jitter > longest {
		jitter = -jitter
	}
	return max(d+jitter, process.MinRestartDelay)
}

// made takes note of an attempt.
func (a Attempts) made(policy process.Restarting, now time.Duration) Attempts {
	a.Count++
	a.Row++
	a.Next, a.Delay = 0, 0
	if policy.RestartLimit == 0 || policy.RestartWindow == 0 {
		a.Times = nil
		return a
	}
	a.Times = append(within(a.Times, now-policy.RestartWindow), now)
	a.Times = a.Times[max(0, len(a.Times)-policy.RestartLimit):]
	return a
}

// within are the times that are later, in a list of their own.
func within(list []time.Duration, since time.Duration) (kept []time.Duration) {
	for _, t := range list {
		if t > since {
			kept = append(kept, t)
		}
	}
	return kept
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// retry is the next attempt: its time has come.
func (p *Process) retry(now time.Duration) []Action {
	if p.Rest != process.Backoff || p.Busy() || p.Closing || p.Removing {
		return nil
	}
	actions := p.leaveBackoff()
	p.Attempts = p.Attempts.made(p.Policy, now)
	p.Asked = process.Asked{By: process.ByRestart, Count: p.Attempts.Count}
	return p.spawn(append(actions, Action{Do: Arm})...)
}

// backOff is the end of a run that the policy has another follow.
func (p *Process) backOff(e *Event, actions []Action) []Action {
	if e.Lasted >= p.Policy.LongestDelay() {
		p.Attempts.Row = 0
	}
	p.Under = process.Failed
	if e.Success {
		p.Under = process.Completed
	}
	return p.await(e.Now, e, actions)
}

// await waits for the next attempt after a run that ended at a time, or gives up.
func (p *Process) await(ended time.Duration, e *Event, actions []Action) []Action {
	p.Attempts, p.Reason = p.Attempts.plan(p.Policy, ended, e.Random)
	if p.Reason != "" {
		p.Under = process.Failed
		p.Attempts.Next, p.Attempts.Delay = 0, 0
		p.Rest = p.beneath()
		actions = append(actions, Action{Do: GiveUp})
	} else {
		p.Attempts.Next = max(p.Attempts.Next, e.Now)
		p.Rest = process.Backoff
		actions = append(actions, Action{Do: AwaitRetry})
	}
	if p.Scheduled { // tries go on until its next time
		actions = append(append(actions, Action{Do: Arm}), p.armed()...)
	}
	return actions
}

// beneath is where a process in backoff is without another attempt.
func (p *Process) beneath() process.State {
	if p.Scheduled && p.Up {
		return process.Scheduled
	}
	return p.Under
}

// leaveBackoff gives up the attempt that was to come, if there is one.
func (p *Process) leaveBackoff() []Action {
	if p.Rest != process.Backoff {
		return nil
	}
	p.Rest = p.beneath()
	p.Attempts.Next, p.Attempts.Delay = 0, 0
	return []Action{{Do: DropRetry}}
}

// asked forgets the restarts: somebody asks for a run now.
func (p *Process) asked() {
	p.Attempts, p.Reason = Attempts{}, ""
}

// repolicied has a policy act that was changed, in backoff too.
func (p *Process) repolicied(e *Event) []Action {
	former := p.Policy
	p.Policy, p.Overlap = e.Policy, e.Overlap
	switch {
	case p.Rest != process.Backoff || p.Busy() || p.Removing || p.Closing:
		return nil
	case !Restarts(p.Policy, process.CauseExit, p.Under == process.Completed):
		return append(p.leaveBackoff(), Action{Do: Save})
	case former.DelayAfter(p.Attempts.Row) == p.Policy.DelayAfter(p.Attempts.Row) &&
		former.RestartLimit == p.Policy.RestartLimit && former.RestartWindow == p.Policy.RestartWindow:
		return nil
	}
	ended := p.Attempts.Next - p.Attempts.Delay
	drop := []Action{{Do: DropRetry}}
	p.Attempts.Times = slices.Clone(p.Attempts.Times)
	return p.await(ended, e, append(drop, Action{Do: Save}))
}

// autostart starts what is to be up when the daemon starts.
func (p *Process) autostart(e *Event) []Action {
	switch {
	case p.Busy(), p.Closing, p.Removing, p.Removed, p.Stopped, p.Rest == process.Scheduled:
		return nil
	case p.Rest == process.Backoff:
		return p.retry(e.Now)
	}
	return p.start(e.Asked)
}

// goOn starts the run that a former worker was about to start.
func (p *Process) goOn() []Action {
	if p.Busy() || p.Closing || p.Removing || p.Removed {
		return nil
	}
	p.Up, p.Stopped = true, false
	return p.spawn(append(p.leaveBackoff(), Action{Do: Arm})...)
}
