package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A process that needs others is held back until they are up and ready, or have done their
// job, see [lifecycle.Needs]. It looks at their views, and is told when those change. Who asks
// for its start has what it needs started first; what it does by itself (another attempt, a
// scheduled time) waits, and starts nobody else.

// seen is how a process looks to those that need it.
func (s *Supervisor) seen(name string) lifecycle.Seen {
	p, err := s.lookup(name)
	if err != nil {
		return lifecycle.Seen{}
	}
	return p.view.Load().seen()
}

func (v *view) seen() lifecycle.Seen {
	if v == nil {
		return lifecycle.Seen{}
	}
	seen := lifecycle.Seen{State: v.state}
	if v.last != nil {
		seen.Last = v.last.Number
		seen.Succeeded = v.run.Number == 0 && v.last.Cause == process.CauseExit && v.last.ExitCode != nil && v.defined.Spec.Succeeds(*v.last.ExitCode)
	}
	switch {
	case v.invalid != nil:
		seen.Error = v.invalid.Error()
	case v.state == process.Failed && v.last != nil:
		seen.Error = v.last.Error
	case v.state == process.Waiting:
		seen.Error = v.vain
	}
	return seen
}

// startNeeds has what the process needs started: somebody wants it now.
func (p *managed) startNeeds() {
	for _, name := range p.needs.Ask() {
		done := func() {
			p.inbox.put(func() {
				p.needs.Done(name)
				p.checkNeeds()
			})
		}
		other, err := p.s.lookup(name)
		if err != nil || !other.inbox.put(func() {
			other.startNeeded(p.name)
			other.inbox.put(done) // in the next turn: this one's end shows what came of it
		}) {
			done()
		}
	}
}

// startNeeded starts the process because another one needs it.
func (p *managed) startNeeded(by string) {
	if p.machine.Busy() || p.mayStart() != nil {
		return
	}
	p.startNeeds()
	p.handle(lifecycle.Event{Kind: lifecycle.Start, Asked: process.Asked{By: process.ByNeed, Name: by}})
}

// checkNeeds goes on if what the process waits for has come, or will not come.
func (p *managed) checkNeeds() {
	if p.machine.Rest != process.Waiting || p.machine.Busy() {
		return
	}
	p.handle(lifecycle.Event{Kind: lifecycle.NeedsChanged, Lost: len(p.needs.Lost()) > 0})
}

// tellDependents has those who need the process look at it anew.
func (s *Supervisor) tellDependents(name string) {
	for _, who := range s.ordering.neededBy(name) {
		if p, err := s.lookup(who); err == nil {
			p.inbox.put(p.checkNeeds)
		}
	}
}

// waitsText says what the process waits for, for people.
func (p *managed) waitsText() string { return "waits for " + process.JoinAwaited(p.needs.Missing()) }

// waitsInVain is what a start is told whose needs will not come by themselves.
func (p *managed) waitsInVain() error {
	return process.Errorf(process.CodeNeeds, "process '%s' waits for %s, and starts when that is there", p.name, process.JoinAwaited(p.needs.Lost()))
}
