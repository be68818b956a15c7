package supervisor

import (
	"context"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// What becomes of each time of a schedule stands in the ledger, once. The lifecycle says it,
// and it is written in the transaction in which the next time moves on: a worker that dies in
// between leaves the time to come again for the next one, which finds the next time where it
// was. What a run comes of is written with its number, before there is a leader.
//
// A start that is in line is kept with its time. Where the worker dies the next one has it
// begin when what it waits for is over. Where nothing of it is left, since the daemon or the
// machine ended, it is a time that was missed, and may be caught up.

// pass says what becomes of the times of the schedule that have come, the next of them first.
func (p *managed) pass(now time.Time, why string) {
	run, missed, next := p.times.Past(p.next, now, p.catchup())
	p.next = next
	p.passed(run, missed, now, why)
}

func (p *managed) passed(run []time.Time, missed schedule.Missed, now time.Time, why string) {
	if missed.Count > 0 {
		p.handle(lifecycle.Event{Kind: lifecycle.Missed, Time: missed.From, Until: missed.To, Count: missed.Count, Reason: why})
	}
	if len(run) > 0 && now.Sub(run[0]) > schedule.OnTime { // what is on time comes behind it
		if p.catchup().Latest && len(p.machine.Backlog) > 0 { // of those that were missed before
			p.handle(lifecycle.Event{Kind: lifecycle.ForgetBacklog, Reason: "a later time took its place"})
		}
		p.handle(lifecycle.Event{Kind: lifecycle.CatchUp, Times: run, Reason: why})
		p.workOff()
		return
	}
	for _, t := range run {
		p.handle(lifecycle.Event{Kind: lifecycle.Due, Time: t, Asked: process.Asked{By: process.BySchedule, Time: t.UTC()}})
	}
}

// account enters what has become of a time into the ledger.
func (p *managed) account(a lifecycle.Action) {
	e := process.LedgerEntry{Time: a.Of.Time.UTC(), Outcome: a.Of.Outcome, Run: a.Run, Reason: a.Of.Reason}
	if a.Of.Count > 1 {
		e.From, e.To, e.Count = e.Time, a.Of.Until.UTC(), a.Of.Count
	}
	if a.Run != 0 {
		e.LateSeconds = p.late(e.Time, time.Now())
	}
	if e.Outcome == process.Missed && !p.machine.Busy() {
		p.kept.Missed = e.Last()
	}
	if e.Outcome == process.WhilePaused && !p.kept.Next.IsZero() && !e.Time.Before(p.kept.Next) {
		p.disk.enterLater(e)
		return
	}
	p.disk.dirty = true
	p.disk.enter(e)
}

// late is how many seconds behind its time a run began, without what jitter makes it wait.
func (p *managed) late(t, began time.Time) float64 {
	return max(began.Round(0).Add(-p.jitter()).Sub(t), 0).Round(time.Millisecond).Seconds()
}

// enterStart enters how late a run has begun, if it came of a time: that was said before its
// number went to disk.
func (p *managed) enterStart(r *run.Run) {
	of := p.kept.Latest()
	if b, beside := p.others[r.ID.Run]; beside {
		of = b
	}
	e := of.Scheduled
	if e == nil || of.Run != r.ID.Run {
		return
	}
	began := *e
	began.LateSeconds = p.late(e.Time, r.Describe().Start)
	p.disk.begun = append(p.disk.begun, began)
}

// enterLater has a time that has passed while the schedule was paused written with whatever is
// written next: thousands of schedules may be paused. The next worker would say the same of it,
// for the time that is next on disk stays before it.
func (d *disk) enterLater(e process.LedgerEntry) {
	if n := len(d.ledger); n == 0 || !d.ledger[n-1].Join(e) {
		d.ledger = append(d.ledger, e)
	}
}

// settleLedger returns when what the ledger is to have is on disk, or a disk does not answer.
func (p *managed) settleLedger(ctx context.Context) {
	done := make(chan struct{})
	asked := p.inbox.put(func() {
		if len(p.disk.ledger) == 0 && len(p.disk.writes) == 0 {
			close(done)
			return
		}
		p.disk.dirty = p.disk.dirty || len(p.disk.ledger) > 0
		p.afterSave(func(error) { close(done) })
	})
	if !asked {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-p.ended:
	case <-time.After(storeLimit):
	}
}

// maxEntries bounds the entries that wait for a disk that takes none.
const maxEntries = 1000

// enter has an entry written with the next change.
func (d *disk) enter(e process.LedgerEntry) {
	if i := slices.IndexFunc(d.ledger, func(is process.LedgerEntry) bool { return is.Time.Equal(e.Time) }); i >= 0 {
		d.ledger[i] = e
		return
	}
	if n := len(d.ledger); n > maxEntries && d.ledger[n-1].Outcome == e.Outcome {
		last := &d.ledger[n-1]
		last.From, last.To, last.Count = last.Time, e.Last(), last.Times()+e.Times()
		return
	}
	d.ledger = append(d.ledger, e)
}

// entryOf is the entry of the time that a run is about to come of; nil: it comes of none.
func (d *disk) entryOf(run uint64) *process.LedgerEntry {
	for _, e := range slices.Backward(d.ledger) {
		if e.Run == run {
			return &e
		}
	}
	return nil
}

// inLine is what is kept of a start that is to come.
func (p *managed) inLine() *store.Queued {
	o := p.machine.Queue
	if o == nil {
		return nil
	}
	return &store.Queued{LedgerEntry: process.LedgerEntry{Time: o.Time.UTC(), Outcome: o.Outcome, Reason: o.Reason}, Asked: o.Asked, JobID: p.jobID}
}

// occasion is what a start is that was kept.
func occasion(e *process.LedgerEntry, by process.Asked) *lifecycle.Occasion {
	if e == nil {
		return nil
	}
	return &lifecycle.Occasion{Time: e.Time, Outcome: e.Outcome, Reason: e.Reason, Asked: by}
}

// giveTimeBack has the time that a run was to come of which never was come of the one that is
// started in its place, if there is one.
func (p *managed) giveTimeBack(left store.Beside) {
	e := left.Scheduled
	switch {
	case e == nil:
	case left.Run == p.kept.Target.Run && p.owed && p.machine.Queue == nil:
		p.machine.Queue = occasion(e, left.Asked)
	default:
		o := lifecycle.Occasion{Time: e.Time, Outcome: process.Skipped, Reason: "its run was not begun when the daemon's worker died"}
		if e.Outcome == process.CaughtUp && p.times != nil && p.machine.Up { // it still is to be
			o = *occasion(e, left.Asked)
			p.machine.Backlog = append(p.machine.Backlog, o)
		}
		p.inbox.put(func() { p.account(lifecycle.Action{Of: o}) })
	}
}

// goOnInLine goes on with a start that was in line behind what is gone: it begins, unless
// the daemon or the machine ended meanwhile. Then it is a time like any other that was missed.
func (p *managed) goOnInLine() {
	o := p.machine.Queue
	if o == nil || p.owed || p.machine.Busy() {
		return
	}
	e := lifecycle.Event{Kind: lifecycle.Dequeue}
	switch {
	case p.invalid != nil: // nothing of it is started
		e.Outcome, e.Reason = process.Skipped, p.invalid.Error()
	case p.kept.Origin != p.s.origin && p.scheduleTime().Sub(o.Time) > schedule.OnTime:
		e.Outcome, e.Reason = process.Missed, p.s.whyAway()
		if p.runsLate(o.Time) {
			e.Outcome = process.CaughtUp
		} else if o.Time.IsZero() { // no ledger tells of it
			p.s.note.Printf("process '%s': a run that was asked for and stood in line does not begin: %s", p.name, e.Reason)
		}
	}
	p.handle(e)
	if p.machine.Queue == nil && !p.machine.Busy() {
		p.jobID = ""
	}
}
