package supervisor

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// That a run meets a limit is told at once, and then less and less often while it goes on: a
// tree may meet one for years, and events of others are to be kept. How often it was met since
// stands in each event.
const (
	firstPause = time.Minute
	mostPause  = time.Hour
)

// killsOf is what kills for lack of memory are told by, beside the names of limits.
const killsOf process.LimitName = "oom"

// tellLimits tells which limits a run has met, as far as it is time to.
func (p *managed) tellLimits(r *run.Run) {
	if oom := r.Describe().OOM; oom != nil {
		p.tellLimit(r, run.Hit{Limit: killsOf, Times: oom.Kills}, oom, false)
	}
	for _, hit := range r.Hits() {
		p.tellLimit(r, hit, nil, false)
	}
}

// tellLastKills tells of kills in a run that is over, as far as nobody was told.
func (p *managed) tellLastKills(r *run.Run, oom *process.OOM) {
	if oom != nil {
		p.tellLimit(r, run.Hit{Limit: killsOf, Times: oom.Kills}, oom, true)
	}
	number := r.ID.Run
	p.kept.Limited = slices.DeleteFunc(slices.Clone(p.kept.Limited), func(t store.Limited) bool { return t.Run == number })
}

// tellLimit tells of one limit, if there is something to tell and it is time to, or the last.
func (p *managed) tellLimit(r *run.Run, hit run.Hit, oom *process.OOM, last bool) {
	told := store.Limited{Run: r.ID.Run, Limit: hit.Limit}
	at := slices.IndexFunc(p.kept.Limited, func(t store.Limited) bool { return t.Run == told.Run && t.Limit == told.Limit })
	if at >= 0 {
		told = p.kept.Limited[at]
	}
	now := time.Now()
	next, times, wait := toldAgain(told, hit, now)
	switch {
	case times == 0:
		return
	case wait > 0 && !last:
		p.tellLimitsIn(wait)
		return
	}
	e := process.Event{Kind: process.EventLimited, Run: r.ID.Run, PID: r.PID(), JobID: r.JobID, Limit: hit.Limit, Times: times}
	e.Waited = max(hit.Waited-told.Waited, 0).Seconds()
	if oom != nil {
		e.Kind, e.Limit, e.OOM = process.EventOOM, "", oom
	}
	p.tell(e)
	kept := slices.DeleteFunc(slices.Clone(p.kept.Limited), func(t store.Limited) bool { // what is being written stays as it is
		return t.Run == next.Run && t.Limit == next.Limit || t.Run != next.Run && p.runs[t.Run] == nil
	})
	p.kept.Limited = append(kept, next)
	p.disk.dirty = true
}

// toldAgain is how often a limit was met since that was told, when to tell it, and what is to
// be kept of it then. Who has counted may have begun anew.
func toldAgain(told store.Limited, hit run.Hit, now time.Time) (next store.Limited, times uint64, wait time.Duration) {
	if hit.Times < told.Times {
		told.Times, told.Waited = 0, 0
	}
	times = hit.Times - told.Times
	next = store.Limited{Run: told.Run, Limit: told.Limit, Times: hit.Times, Waited: hit.Waited, Time: now.UTC(), Pause: firstPause}
	if told.Time.IsZero() || times == 0 {
		return next, times, 0
	}
	passed := now.Sub(told.Time)
	if passed < 0 { // the clock was set back
		return next, times, 0
	}
	if passed < 2*told.Pause { // it goes on
		next.Pause = min(2*told.Pause, mostPause)
	}
	return next, times, max(told.Pause-passed, 0)
}

// tellLimitsIn has the limits looked at that are to be told of then. One call serves all: the
// earliest.
func (p *managed) tellLimitsIn(wait time.Duration) {
	at := p.s.clock.Now() + wait
	if p.limits != nil && p.limitsAt <= at {
		return
	}
	p.dropLimits()
	p.limitsAt = at
	p.limits = p.s.clock.At(at, func() {
		p.inbox.put(func() {
			if p.limits == nil || p.s.clock.Now() < p.limitsAt {
				return
			}
			p.limits = nil
			for _, r := range p.runs {
				p.tellLimits(r)
			}
		})
	})
}

// dropLimits takes back the call at that time.
func (p *managed) dropLimits() {
	if p.limits != nil {
		p.limits()
		p.limits = nil
	}
}
