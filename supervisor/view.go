package supervisor

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// view is what others see of a process. It is never changed once published.
type view struct {
	spec    process.Spec
	state   process.State
	pid     int
	next    time.Time
	missed  time.Time
	run     process.Run   // the current one; Number 0: none
	boot    time.Duration // when it started, by proc.BootTime
	last    *process.Run
	invalid error  // see managed
	meter   *meter // of the current run

	outputError string // why its output is not read; empty: it is
	already     bool   // it was under way before the request that this answers
}

func (p *managed) name() string { return p.view.Load().spec.Name }

// publish shows others how things stand. A run that is over is so when that is on disk
// and what it had is gone, unless the disk hangs.
func (p *managed) publish() {
	if !p.state.busy() && p.disk.written < p.disk.finished && p.disk.hung == nil {
		return
	}
	p.view.Store(p.see())
}

// see is how things stand.
func (p *managed) see() *view {
	v := &view{spec: p.rec.Spec, state: p.state.shown(), next: p.next, missed: p.rec.Missed, last: p.rec.Last, invalid: p.invalid}
	if p.invalid != nil && v.state.AtRest() {
		v.state = process.Failed
	}
	if r := p.run; r != nil {
		v.run, v.boot, v.meter = r.describe(), r.boot, r.meter
		if r.moveErr != nil {
			v.outputError = fmt.Sprintf("it is not read, and is tried again: %v", r.moveErr)
		}
		if !r.ended {
			v.pid = r.leader.PID
		}
	}
	if p.owed { // first of all
		v.state = process.Starting
	}
	return v
}

// statusOf is a process's status with the figures of this moment.
func (s *Supervisor) statusOf(p *managed) process.Status {
	for {
		v := p.view.Load()
		status, ok := p.status(v)
		// A run that ended meanwhile has left its totals in a new view.
		if ok || p.view.Load() == v {
			return status
		}
	}
}

// status is what a view shows, and what is known of the output by now. It is false when
// the figures of the current run could not be read.
func (p *managed) status(v *view) (status process.Status, ok bool) {
	status, ok = v.status()
	status.LogDropped = p.output.dropped()
	if status.OutputError = v.outputError; status.OutputError == "" && v.run.Number != 0 {
		status.OutputError = p.output.trouble()
	}
	return status, ok
}

// status is false when the figures of the current run could not be read.
func (v *view) status() (status process.Status, ok bool) {
	status = process.NewStatus(v.spec, v.state)
	status.PID, status.LastRun, status.AlreadyRunning = v.pid, v.last, v.already
	status.NextTime, status.MissedTime = v.next.UTC(), v.missed.UTC()
	switch {
	case v.run.Number != 0:
		status.Run = v.run
		if !v.run.Start.IsZero() {
			status.Uptime = (proc.BootTime() - v.boot).Seconds()
		}
	case v.state.AtRest() && v.last != nil:
		status.Run = *v.last
	}
	if v.invalid != nil && v.state.AtRest() {
		status.Error = v.invalid.Error()
	}
	if v.meter == nil {
		return status, true
	}
	usage, percent, err := v.meter.now()
	if err != nil {
		return status, false
	}
	status.Usage, status.CPUPercent = usage, percent
	return status, true
}
