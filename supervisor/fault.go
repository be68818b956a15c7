package supervisor

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// A panic in the loop of one process is a fault of ours that must not cost the others
// their daemon. What the loop was doing is given up, and who waits is told. Then the
// machine of the process is made anew, of the runs that there are, and the loop goes on. If
// that meets a fault itself, or faults come one upon another, the process is left alone, its
// tree included, and each request is told so, until another worker takes it up.

// Of so many faults within this time the last is the last.
const (
	maxFaults   = 3
	faultWindow = 10 * time.Second
)

// guarded does what came from the inbox, with a border around it.
func (p *managed) guarded(do func()) {
	defer border.Catch(func(fault *border.Panic) {
		p.sayFault(fault)
		p.answerAll(process.Errorf(process.CodeInternal, "process '%s': the daemon has a fault, and did not finish this; its log says where", p.name))
		now := p.s.clock.Now()
		p.faults = append(p.faults, now)
		p.faults = slices.DeleteFunc(p.faults, func(at time.Duration) bool { return now-at > faultWindow })
		if len(p.faults) >= maxFaults {
			p.broken = fault
			return
		}
		p.recover()
	})
	do()
	p.endTurn()
}

func (p *managed) sayFault(fault *border.Panic) {
	p.s.log.Printf("process '%s': a fault of ours: %v", p.name, fault)
}

// recover goes on with what is known for certain.
func (p *managed) recover() {
	defer border.Catch(func(fault *border.Panic) {
		p.sayFault(fault)
		p.broken = fault
	})
	for _, w := range p.disk.writes {
		if w.landed && !w.back {
			p.release(w)
		}
	}
	m := &p.machine
	m.Runs, m.Removing = nil, false
	for number, r := range p.runs {
		told := r.Recover()
		m.Insert(lifecycle.Execution{Number: number, Phase: r.Phase(), Started: r.Born(), Ready: r.Ready(), Stuck: r.Stuck(), Asked: r.Asked, Paused: r.Pauses(), Still: r.Still()})
		p.told(told)
	}
	p.endPauses()
	if !m.Busy() {
		m.Then = lifecycle.ThenRest
		if m.Rest == process.Backoff && !m.Closing { // its last run is over, and that another follows may not be noted yet
			p.awaitAttempt()
			p.disk.dirty = true
		} else {
			m.Rest = p.rest()
			p.resumeAttempts()
			p.goOnWaiting()
		}
		if m.Rest == process.Scheduled || m.Rest == process.Backoff && m.Scheduled {
			p.arm()
		}
		if p.kept.Removed { // it was being forgotten
			p.handle(lifecycle.Event{Kind: lifecycle.Delete})
		} else { // the end that these waited for may not have been taken note of
			p.goOnInLine()
			p.workOff()
		}
		p.ran = p.ran || p.hasRun()
		p.endsDaemon(lifecycle.Event{}) // its end may be what the fault was met with
	}
	if p.s.isClosing() && !m.Closing {
		p.handle(lifecycle.Event{Kind: lifecycle.Shutdown})
	}
	p.endTurn()
}

// leaveAlone is the loop of a process that nobody manages any more.
func (p *managed) leaveAlone() {
	err := process.Errorf(process.CodeInternal, "process '%s' is not managed any more: the daemon has a fault, its log says where; 'pmclient upgrade' has another worker take it up", p.name)
	p.answerAll(err)
	p.dropWaits(err)
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
	p.refuse.Store(err)
	p.inbox.close()
	close(p.ended)
	<-p.s.closing
	for _, r := range p.runs {
		if err := newStray(p.s.groups.Child(run.Name(r.ID))).end(killLimit, nil, nil); err != nil {
			p.s.log.Printf("%v: %v", r.ID, err)
		}
	}
}
