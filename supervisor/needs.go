package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A process that needs others is held back until they are up and ready, or have done their
// job. It looks at their views, and is told when those change. Who asks for its start has
// what it needs started first; what it does by itself (another attempt, a scheduled time)
// waits, and starts nobody else.

// wants is what the process needs and does not have just now.
func (p *managed) wants() (list []process.Awaited) {
	for _, need := range p.kept.Spec.AllNeeds() {
		var v *view
		if other, err := p.s.lookup(need.Name); err == nil {
			v = other.view.Load()
		}
		if !met(need, v, p.since[need.Name]) {
			list = append(list, waitFor(need, v))
		}
	}
	return list
}

// met reports whether a need is. Where it need not have completed, what ran before it was
// asked for does not count: since is the number of that run.
func met(need process.Need, v *view, since uint64) bool {
	switch {
	case v == nil:
		return false
	case v.state == process.Running && !need.Completed:
		return true
	}
	// A job may be over before anybody has seen it run.
	return v.succeeded() && (need.Completed || v.last.Number > since)
}

// succeeded reports whether nothing runs, and the last run did what it was to do.
func (v *view) succeeded() bool {
	return v.last != nil && v.run.Number == 0 && v.last.Cause == process.CauseExit && v.last.ExitCode != nil && v.defined.Spec.Succeeds(*v.last.ExitCode)
}

// waitFor says how it is with what is waited for.
func waitFor(need process.Need, v *view) process.Awaited {
	w := process.Awaited{Name: need.Name, Completed: need.Completed}
	if v == nil {
		return w
	}
	w.State = v.state
	switch {
	case v.invalid != nil:
		w.Error = v.invalid.Error()
	case v.state == process.Failed && v.last != nil:
		w.Error = v.last.Error
	case v.state == process.Waiting:
		w.Error = v.vain
	}
	return w
}

// hopeless are those that will not come by themselves.
func (p *managed) hopeless() (list []process.Awaited) {
	for _, w := range p.wants() {
		waitsInVain := w.State == process.Waiting && w.Error != ""
		if (w.State == 0 || w.State.AtRest() || waitsInVain) && !p.asked[w.Name] {
			list = append(list, w)
		}
	}
	return list
}

// vain is what keeps the process waiting: the first that will not come by itself, however
// many wait in between. Empty: all may come.
func (p *managed) vain() string {
	switch list := p.hopeless(); {
	case len(list) == 0:
		return ""
	case list[0].State == process.Waiting:
		return list[0].Error
	default:
		return "for " + list[0].String()
	}
}

// startNeeds has what the process needs started: somebody wants it now.
func (p *managed) startNeeds() {
	for _, need := range p.kept.Spec.AllNeeds() {
		other, err := p.s.lookup(need.Name)
		if err != nil {
			continue
		}
		v := other.view.Load()
		if !v.state.AtRest() && v.vain == "" || need.Completed && v.succeeded() {
			continue
		}
		if v.last != nil && !need.Completed {
			p.since[need.Name] = v.last.Number
		}
		p.asked[need.Name] = true
		done := func() {
			p.inbox.put(func() {
				delete(p.asked, need.Name)
				p.checkNeeds()
			})
		}
		if !other.inbox.put(func() {
			other.startNeeded()
			other.inbox.put(done) // in the next turn: this one's end shows what came of it
		}) {
			delete(p.asked, need.Name)
		}
	}
}

// startNeeded starts the process because another one needs it.
func (p *managed) startNeeded() {
	if p.machine.Busy() || p.mayStart() != nil {
		return
	}
	p.startNeeds()
	p.handle(lifecycle.Event{Kind: lifecycle.Start})
}

// checkNeeds goes on if what the process waits for has come, or will not come.
func (p *managed) checkNeeds() {
	if p.machine.Rest != process.Waiting || p.machine.Busy() {
		return
	}
	p.handle(lifecycle.Event{Kind: lifecycle.NeedsChanged, Lost: len(p.hopeless()) > 0})
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
func (p *managed) waitsText() string { return "waits for " + process.JoinAwaited(p.wants()) }

// waitsInVain is what a start is told whose needs will not come by themselves.
func (p *managed) waitsInVain() error {
	return process.Errorf(process.CodeNeeds, "process '%s' waits for %s, and starts when that is there", p.name, process.JoinAwaited(p.hopeless()))
}
