package supervisor

import (
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// A run whose number could not be put on disk never was: nothing of it is recorded or told,
// its number is given again, and what is kept is what was on disk before. Who asked for it
// is told so, and no later worker may start it all the same. Until the next request the
// process is shown as failed, with the reason.
//
// A start for which nobody waits, since the worker that was asked for it is dead, stays owed
// and is tried again, and so is one that is caught up. Another one of a schedule is left out:
// the next time comes. So does the next attempt of a restart policy.

// before is how things were before a run was about to begin.
type before struct {
	target store.Target
	owed   bool
	jobID  string
}

// takeBack takes back a run whose number could not be put on disk.
func (p *managed) takeBack(r *run.Run, was before, err error) {
	r.Discard()
	delete(p.runs, r.ID.Run)
	p.disk.ledger = slices.DeleteFunc(p.disk.ledger, func(e process.LedgerEntry) bool { return e.Run == r.ID.Run })
	for _, events := range []*[]process.Event{&p.disk.untold, &p.disk.events} {
		*events = slices.DeleteFunc(*events, func(e process.Event) bool { return e.Run == r.ID.Run })
	}
	t := &p.kept.Target
	if t.Run != r.ID.Run { // another one has begun beside it meanwhile
		delete(p.others, r.ID.Run)
		t.Never = max(t.Never, r.ID.Run)
		for _, w := range p.waits {
			p.awaitAnother(w)
		}
		p.leaveGate()
		p.handle(lifecycle.Event{Kind: lifecycle.RunUnstored, Run: r.ID.Run})
		return
	}
	delete(p.others, was.target.Run) // it is the last again
	t.Scheduled = was.target.Scheduled
	t.Run, t.JobID, t.Asked, t.Origin, t.Missed = was.target.Run, was.target.JobID, was.target.Asked, was.target.Origin, was.target.Missed
	t.Changed = append(t.Changed, was.target.Changed...) // of a field that is in both the last holds
	asked := slices.ContainsFunc(p.waiting, func(r request) bool { return r.starts() })
	e := lifecycle.Event{Kind: lifecycle.RunUnstored, Run: r.ID.Run}
	after, _ := p.machine.Step(e)
	switch {
	case !p.machine.Up: // a stop came meanwhile
	case after.Rest == process.Backoff, p.times != nil, p.machine.Closing:
		p.unstored = err
	case after.Rest == process.Waiting, was.owed, !asked:
		p.owed = true
	default:
		p.unstored = err
	}
	if !p.owed { // before anybody is answered
		p.follow(after.Up)
	}
	p.leaveGate()
	p.handle(e)
	if p.owed {
		p.jobID = was.jobID
	}
}

// follow has the groups of runs that are over and not recorded yet say that nothing is
// started behind them.
func (p *managed) follow(up bool) {
	then := lifecycle.ThenStop
	if up {
		then = lifecycle.ThenRest
	}
	for _, r := range p.disk.unkept {
		r.Follow(then, "", process.Asked{})
	}
}

// startOwed starts what is owed.
func (p *managed) startOwed() {
	if !p.owed {
		return
	}
	if p.invalid != nil { // nothing of it is started
		p.owed, p.jobID = false, ""
		return
	}
	p.startNeeds()
	p.handle(lifecycle.Event{Kind: lifecycle.Owed})
	p.owed = false
}

// dropStart is for a request, which takes the place of a start that never was.
func (p *managed) dropStart(request lifecycle.EventKind) {
	if !request.IsAsked() {
		return
	}
	p.unstored = nil
	if p.owed && request != lifecycle.Start && request != lifecycle.Restart && request != lifecycle.Trigger {
		p.owed, p.jobID, p.disk.dirty = false, "", true
		p.follow(false)
	}
}
