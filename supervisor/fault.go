package supervisor

import (
	"errors"
	"io/fs"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A panic in the loop of one process is a fault of ours that must not cost the others
// their daemon. What the loop was doing is given up, and who waits is told. Then the
// state is made anew, of what is known of the run for certain, and the loop goes on. If
// that meets a fault again the process is left alone, its tree included, and each
// request is told so, until another worker takes it up.

// guarded does f, with a border around it.
func (p *managed) guarded(f func()) {
	before := p.state
	defer border.Catch(func(fault *border.Panic) {
		p.sayFault(fault)
		p.giveUp(process.Errorf(process.CodeInternal, "process '%s': the daemon has a fault, and did not finish this; its log says where", p.rec.Spec.Name))
		p.resume(before, fault)
	})
	f()
}

func (p *managed) sayFault(fault *border.Panic) {
	p.s.log.Printf("process '%s': a fault of ours: %v", p.rec.Spec.Name, fault)
}

// giveUp answers everybody who waits, if he is not answered already.
func (p *managed) giveUp(err error) {
	for _, r := range p.waiting {
		select {
		case r.answer <- answer{p.view.Load(), err}:
		default:
		}
	}
	p.waiting = nil
}

// resume goes on from the state before the fault, with what is known for certain.
func (p *managed) resume(before state, fault *border.Panic) {
	defer border.Catch(func(fault *border.Panic) {
		p.sayFault(fault)
		p.broken = fault
	})
	p.state = before
	r := p.run
	switch {
	case before.onDisk() && (p.disk.job || len(p.disk.waits) > 0): // it goes on beside the loop
	case before.draining && r.drained: // that met a fault again
		p.broken = fault
	case before.draining:
		r.drained = true
		p.drain(before.cause)
	case r == nil: // none was begun, or its end was recorded
		p.state = state{at: p.atRest(), cron: before.cron, up: p.rec.Up, over: before.over}
		if p.state.at == process.Scheduled {
			p.arm()
		}
		if p.rec.Removed { // it was being forgotten
			p.rec.Removed = false
			p.save()
		}
	case r.leader.PID == 0: // it was being spawned: should there be a leader, nobody was told of it
		p.startErr = process.Errorf(process.CodeInternal, "process '%s' was not started: the daemon has a fault; its log says where", p.rec.Spec.Name)
		r.error, r.start = "the daemon has a fault, and did not start it", time.Time{}
		p.state = state{at: process.Stopping, cron: before.cron, up: before.up, over: before.over,
			cause: process.CauseStart, leaderGone: true, ending: killed}
		p.kill()
	default:
		if !before.busy() || before.spawning {
			p.state = state{at: process.Running, cron: before.cron, up: p.rec.Up, over: before.over}
			if limit := p.rec.Spec.Deadline; limit > 0 {
				p.deadline.set(r.boot + limit)
			}
		}
		if r.meter == nil {
			r.meter = newMeter(p.s.proc, r.group, r.age())
		}
		if err := insist(r.group.Thaw); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.s.log.Printf("%v: thaw: %v", r.id, err)
		}
		switch p.state.ending { // that the time is over may have been told already
		case asked:
			p.startPhase(p.rec.Spec.Grace(), evGraceOver)
		case killed:
			p.startPhase(killLimit, evGiveUp)
		}
		if r.ended && !p.state.leaderGone {
			p.handle(leaderExit{r.id.Run, r.exit}.event())
		}
	}
	if r != nil && p.run == r && !p.state.onDisk() && p.nobodyLeft() {
		p.handle(evEmpty)
	}
	if p.s.isClosing() && !p.state.over {
		p.handle(evShutdown)
	}
	p.publish()
}

// refuseAll is the loop of a process that is left alone.
func (p *managed) refuseAll() {
	err := process.Errorf(process.CodeInternal, "process '%s' is not managed any more: the daemon has a fault, its log says where; 'pmclient upgrade' has another worker take it up", p.rec.Spec.Name)
	p.giveUp(err)
	v := *p.view.Load()
	if v.run.Number != 0 {
		v.run.Error = err.Message
	} else {
		last := process.Run{}
		if v.last != nil {
			last = *v.last
		}
		last.Error = err.Message
		v.last = &last
	}
	p.view.Store(&v)
	for {
		select {
		case r := <-p.requests:
			r.answer <- answer{p.view.Load(), err}
		case <-p.exits: // the keeper keeps it for the next worker
		case <-p.changed:
		case <-p.s.closing:
			if p.run != nil {
				if err := endGroup(p.run.group); err != nil {
					p.s.log.Printf("%v: %v", p.run.id, err)
				}
			}
			return
		}
	}
}

// endGroup kills a tree that nobody manages, and removes its group.
func endGroup(g cgroup.Group) error {
	return newStray(g).end(killLimit, nil, nil)
}
