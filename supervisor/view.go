package supervisor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// view is what others see of a process. It is never changed once published.
type view struct {
	defined  *store.Definition // it is never changed
	state    process.State
	pid      int
	next     time.Time
	times    *schedule.Schedule
	jitter   time.Duration
	comes    time.Time // of the schedule; next is behind it where it is skipped
	paused   bool      // its schedule is
	skip     time.Time // of the schedule, that is to pass without a run
	late     int       // times that are to be caught up
	attempt  time.Time // in backoff
	reason   string    // why its restart policy has given up
	tries    int       // restarts
	missed   time.Time
	run      process.Run   // the current one; Number 0: none
	boot     time.Duration // when it started, by proc.BootTime
	frozen   time.Duration // since when it is paused, by the same; 0: it is not
	last     *process.Run
	invalid  error // see managed
	unstored error
	meter    *run.Meter // of the current run
	output   output
	changed  []process.Setting // what the current run does not follow, with what it is for it
	beside   []besideView      // the runs that go on beside the current one, the oldest first
	several  bool              // there may be some
	queued   *process.QueuedRun

	waitsFor []process.Awaited // in waiting
	vain     string            // in waiting: see lifecycle.Needs
	neededBy func() []string

	awaited    bool                  // the current run is ready when that is seen
	ready      bool                  // it is, or was
	readied    time.Time             // when
	unready    string                // why it is not yet
	health     *process.Health       // nil: nobody looks
	notified   process.NotifiedState // by the current run
	statusText string

	outputError string // why its output is not read; empty: it is

	already bool // it was under way before the request that this answers
}

// besideView is a run that goes on beside the current one.
type besideView struct {
	state process.State
	pid   int
	run   process.Run
	boot  time.Duration
	meter *run.Meter
}

// publish shows others how things stand. A run that is over is so when that is on disk and
// what it had is gone, unless the disk hangs.
func (p *managed) publish() {
	p.count()
	if !p.machine.Busy() && p.disk.hung == nil && p.releasing() && p.view.Load() != nil {
		return
	}
	now := p.look(false)
	before := p.view.Swap(now)
	if before != nil && (before.state != now.state || before.last != now.last || before.vain != now.vain) {
		p.s.tellDependents(p.name)
	}
}

// releasing reports whether a run is over and still has something.
func (p *managed) releasing() bool {
	if p.disk.dirty && len(p.disk.unkept) > 0 && p.disk.unsaved == nil {
		return true
	}
	for _, w := range p.disk.writes {
		if len(w.runs) > 0 && w.err == nil {
			return true
		}
	}
	return false
}

// look is how things stand; all: with a run that is not born yet.
func (p *managed) look(all bool) *view {
	v := &view{
		defined: p.kept.Definition, invalid: p.invalid, unstored: p.unstored, output: p.output,
		state: p.machine.State(), last: p.kept.Last, next: p.nextRun(), missed: p.kept.Missed,
		comes: p.comes(), paused: p.machine.SchedulePaused, skip: p.machine.Skip, late: len(p.machine.Backlog),
		attempt: p.attempt, tries: p.machine.Attempts.Count, reason: p.machine.Reason,
		times: p.times, jitter: p.jitter(),
		neededBy: func() []string { return p.s.ordering.neededBy(p.name) },
	}
	if p.machine.Busy() {
		known := p.known(all)
		if n := len(known); n > 0 {
			r := known[n-1]
			v.state, v.run, v.boot, v.meter, v.pid = r.State(), r.Describe(), r.Boot(), r.Meter(), r.PID()
			v.outputError = r.OutputError()
			_, v.frozen = r.StoodStill()
			v.awaited, v.ready, v.readied, v.health = r.Spec.Ready != "", r.Ready(), r.ReadyTime(), r.Health()
			v.unready = r.ReadyError()
			v.notified, v.statusText = r.Notified()
			v.changed = p.kept.Changed
			if v.run.Number != p.kept.Target.Run {
				v.changed = p.unfollowed(r)
			}
		}
		for _, r := range known[:max(len(known)-1, 0)] {
			v.beside = append(v.beside, besideView{r.State(), r.PID(), r.Describe(), r.Boot(), r.Meter()})
		}
	} else if p.invalid != nil || p.unstored != nil && v.state.AtRest() {
		v.state = process.Failed
	}
	v.several = p.kept.Spec.Overlapping.Way() == process.OverlapAllow
	if q := p.machine.Queue; q != nil && p.machine.Busy() {
		v.queued = &process.QueuedRun{Time: q.Time.UTC(), Reason: q.Reason}
	}
	if v.state == process.Waiting {
		v.waitsFor, v.vain = p.needs.Missing(), p.needs.Vain()
	}
	switch {
	case p.owed: // first of all
		v.state = process.Starting
	case p.settling && v.state.AtRest():
		v.state = process.Stopping
	}
	return v
}

// known are the runs under way that are shown, the oldest first.
func (p *managed) known(all bool) (list []*run.Run) {
	for _, e := range p.machine.Runs {
		if r := p.runs[e.Number]; r != nil && (all || r.Known()) {
			list = append(list, r)
		}
	}
	return list
}

// Summary says in one line how many processes there are, and how many are in each state.
func (s *Supervisor) Summary() string {
	s.mu.Lock()
	count := make(map[process.State]int)
	for _, p := range s.names {
		count[p.view.Load().state]++
	}
	n := len(s.names)
	s.mu.Unlock()
	what := "processes"
	switch n {
	case 0:
		return "no processes"
	case 1:
		what = "process"
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %v", count[state], state))
	}
	return fmt.Sprintf("%d %s: %s", n, what, strings.Join(parts, ", "))
}

// statusOf is a process's status with the figures of this moment.
func (s *Supervisor) statusOf(p *managed, d process.Detail) process.Status {
	for {
		v := p.view.Load()
		status, ok := v.status(d)
		// A run that ended meanwhile has left its totals in a new view.
		if ok || p.view.Load() == v {
			return status
		}
	}
}

// waits are the fields that the current run does not follow.
func (v *view) waits() (fields []string) {
	for _, waits := range v.changed {
		fields = append(fields, waits.Field)
	}
	return fields
}

// status is false when the figures of the current run could not be read.
func (v *view) status(d process.Detail) (status process.Status, ok bool) {
	status = process.NewStatus(v.defined.NextSpec(), v.state)
	status.PID, status.AlreadyRunning = v.pid, v.already
	if v.last != nil {
		status.LastRun = new(v.last.In(d))
	}
	status.NextTime, status.MissedTime, status.WaitsForRestart = v.next.UTC(), v.missed.UTC(), v.waits()
	status.SchedulePaused, status.SkipTime, status.ToCatchUp = v.paused, v.skip.UTC(), v.late
	status.NextAttempt, status.Restarts = v.attempt.UTC(), v.tries
	status.WaitsFor, status.NeededBy = v.waitsFor, v.neededBy()
	status.Notified, status.StatusText = v.notified, v.statusText
	status.Source = cmp.Or(v.defined.Source, process.SourceCommand)
	status.LogDropped = v.output.dropped()
	if v.awaited {
		status.Ready = &v.ready
	}
	status.ReadyTime, status.ReadyError, status.Health = v.readied.UTC(), v.unready, v.health
	if status.OutputError = v.outputError; status.OutputError == "" && v.run.Number != 0 {
		status.OutputError = v.output.trouble()
	}
	switch {
	case v.run.Number != 0:
		status.Run = v.run
		if !v.run.Start.IsZero() {
			status.Uptime = (proc.BootTime() - v.boot).Seconds()
		}
		if v.frozen != 0 {
			status.Paused += (proc.BootTime() - v.frozen).Seconds()
		}
	case v.state.AtRest() && v.last != nil:
		status.Run = *status.LastRun
	}
	if v.reason != "" && v.run.Number == 0 {
		status.Error = strings.TrimSuffix(v.reason+": "+status.Error, ": ")
	}
	switch {
	case v.invalid != nil && v.state.AtRest():
		status.Error, status.ErrorCode = v.invalid.Error(), process.CodeInvalid
	case v.unstored != nil:
		status.Error, status.ErrorCode = v.unstored.Error(), process.CodeStore
	}
	status.Queued, status.Result = v.queued, v.result()
	if v.meter != nil {
		now, err := v.meter.Now(d)
		if err != nil {
			return status, false
		}
		status.Usage, status.CPUPercent, status.CPUPercentSinceStart = now.Usage, now.CPUPercent, now.CPUPercentSinceStart
	}
	return status, v.runs(&status, d)
}

// meters are those of all runs under way, the oldest first.
func (v *view) meters() (all []*run.Meter) {
	for _, b := range v.beside {
		if b.meter != nil {
			all = append(all, b.meter)
		}
	}
	if v.meter != nil {
		all = append(all, v.meter)
	}
	return all
}

// result is how the last run has ended of what waits for its time.
func (v *view) result() process.State {
	switch last := v.last; {
	case v.state != process.Scheduled || last == nil:
		return 0
	case last.Cause == process.CauseExit && last.ExitCode != nil && v.defined.Spec.Succeeds(*last.ExitCode):
		return process.Completed
	case last.Cause == process.CauseStop, last.Cause == process.CauseShutdown, last.Cause == process.CauseReplaced:
		return process.Stopped
	}
	return process.Failed
}

// runs tells of all runs that are under way, where there may be several. It is false when the
// figures of one could not be read.
func (v *view) runs(status *process.Status, d process.Detail) bool {
	for _, b := range v.beside {
		r := process.RunUnderWay{State: b.state, PID: b.pid, Run: b.run}
		if !r.Start.IsZero() {
			r.Uptime = (proc.BootTime() - b.boot).Seconds()
		}
		if b.meter != nil {
			now, err := b.meter.Now(d)
			if err != nil {
				return false
			}
			r.Usage, r.CPUPercent, r.CPUPercentSinceStart = now.Usage, now.CPUPercent, now.CPUPercentSinceStart
		}
		status.Runs = append(status.Runs, r)
	}
	if v.run.Number != 0 && (v.several || len(status.Runs) > 0) {
		status.Runs = append(status.Runs, process.RunUnderWay{
			State: status.State, PID: status.PID, Run: status.Run,
			CPUPercent: status.CPUPercent, CPUPercentSinceStart: status.CPUPercentSinceStart,
		})
	}
	return true
}
