package supervisor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// managed is one process under management. One goroutine, loop, owns every field
// but the channels and the view; others send requests and read views.
type managed struct {
	s        *Supervisor
	rec      record
	stored   bool // the store has it
	state    state
	schedule *schedule.Schedule // nil: none
	next     time.Time          // of the schedule; zero: none
	output   output
	run      *run   // the current one; nil at rest
	jobID    string // for the next run, instead of the spec's
	startErr error  // why the last spawn failed
	invalid  error  // why the definition cannot be carried out: it was stored, and nothing of it runs
	owed     bool   // the former worker was about to start a run
	waiting  []request
	unkept   []*run        // ended, and not on disk: the disk was full, say
	unsaved  error         // why the record is not on disk as it is
	broken   *border.Panic // a fault that was met again: nobody knows its state any more

	phase      *timer // of the end of a run
	phaseEvent event
	deadline   *timer
	alarm      *timer // of the schedule
	retry      *timer // to put on disk what is unsaved
	look       *timer // at the group, when it was not known whether anybody is left
	lookDelay  time.Duration
	move       *timer // to read the output that could not be

	requests chan request
	exits    chan leaderExit
	changed  chan struct{} // the group's cgroup.events may read differently
	done     chan struct{} // loop has returned

	view atomic.Pointer[view]
}

// request is an event that somebody waits for.
type request struct {
	event  event
	goal   goal
	jobID  string
	answer chan error // holds one
}

func (s *Supervisor) newManaged(rec record, times *schedule.Schedule, out output) *managed {
	stopped := s.timers.stopped
	p := &managed{
		s: s, rec: rec, schedule: times, output: out,
		phase: stopped(), deadline: stopped(), alarm: stopped(), retry: stopped(), look: stopped(), move: stopped(),
		requests: make(chan request),
		exits:    make(chan leaderExit, 4), // one a run, and that of an earlier one that is told again
		changed:  make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	p.state = state{at: atRest(rec), cron: times != nil, up: rec.Up}
	p.publish()
	return p
}

// atRest is the state of a process that has no run.
func atRest(rec record) process.State {
	switch {
	case rec.Spec.Cron != "" && rec.Up:
		return process.Scheduled
	case rec.At == 0:
		return process.Stopped
	}
	return rec.At
}

// leaderExit is the end of a run's leader; how is nil when nobody could see it.
type leaderExit struct {
	run  uint64
	exit *proc.Exit
}

func (x leaderExit) event() event {
	switch {
	case x.exit == nil:
		return evLost
	case x.exit.Signal == 0 && x.exit.Code == 0:
		return evCompleted
	}
	return evExited
}

// ask sends a request and waits for its answer. When ctx ends first, what was
// asked goes on.
func (p *managed) ask(ctx context.Context, e event, g goal, jobID string) error {
	r := request{event: e, goal: g, jobID: jobID, answer: make(chan error, 1)}
	select {
	case p.requests <- r:
	case <-p.done:
		return p.s.gone(p.rec.Spec.Name)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loop feeds the lifecycle until the process is forgotten or the daemon ends.
func (p *managed) loop() {
	defer close(p.done)
	defer func() {
		defer border.Catch(p.sayFault)
		for _, t := range []*timer{p.phase, p.deadline, p.alarm, p.retry, p.look, p.move} {
			t.Stop()
		}
		p.letGoAll() // the keeper ends too
	}()
	if p.owed {
		p.guarded(func() {
			p.owed = false
			switch {
			case p.invalid != nil:
				p.publish()
			case p.schedule != nil:
				p.handle(evCron)
			default:
				p.handle(evStart)
			}
		})
	}
	for shutdown := p.s.closing; ; {
		if p.broken != nil {
			p.refuseAll()
			return
		}
		p.guarded(func() { p.turn(&shutdown) })
		if p.state.at == removed || shutdown == nil && !p.state.busy() {
			return
		}
		if shutdown == nil && p.state.ending == stuck { // nothing more can be done
			p.s.log.Print(p.stuck())
			return
		}
	}
}

// turn waits for one event and handles it. It sets shutdown to nil when that comes.
func (p *managed) turn(shutdown *chan struct{}) {
	select {
	case r := <-p.requests:
		p.receive(r)
	case x := <-p.exits:
		if r := p.run; r != nil && r.id.Run == x.run && !r.ended {
			r.ended, r.exit = true, x.exit
			p.s.at(PointExited)
			if p.nobodyLeft() { // the notice of it can be 10 ms late
				p.handle(evEmpty)
			}
			p.handle(x.event())
		}
	case <-p.changed:
		if p.run != nil && p.nobodyLeft() {
			p.handle(evEmpty)
		}
	case <-p.look.C:
		p.lookAgain()
	case <-p.phase.C:
		if p.run != nil && !p.state.empty && p.nobodyLeft() { // the notice of it found no descriptor
			p.handle(evEmpty)
		} else {
			p.handle(p.phaseEvent)
		}
	case <-p.deadline.C:
		p.handle(evDeadline)
	case <-p.alarm.C:
		p.ring()
	case <-p.retry.C:
		if p.unsaved != nil {
			p.save()
		}
	case <-p.move.C:
		if r := p.run; r != nil && r.moveErr != nil {
			p.adoptOutput(nil)
			p.publish()
		}
	case <-*shutdown:
		*shutdown = nil
		p.handle(evShutdown)
	}
}

func (p *managed) receive(r request) {
	if p.s.isClosing() && (r.goal == goalStarted) {
		r.answer <- errShuttingDown
		return
	}
	if r.goal == goalStarted {
		if err := p.mend(); err != nil {
			r.answer <- err
			return
		}
	}
	p.waiting = append(p.waiting, r)
	if r.goal == goalStarted {
		p.jobID = r.jobID
	}
	p.handle(r.event)
	if !p.stored && !p.state.busy() && p.state.at != removed {
		p.remove() // it could not be put on disk, so there is none
	}
}

// handle is one step of the lifecycle with its effects.
func (p *managed) handle(e event) {
	var actions []action
	p.state, actions = step(p.state, e)
	p.noteEnd()
	for _, a := range actions {
		p.carryOut(a)
	}
	p.publish()
}

func (p *managed) carryOut(a action) {
	switch a.do {
	case doSettle:
		p.publish() // who is answered finds what it was told
		p.settle(a.goal, a.code)
	case doRefuse:
		last := len(p.waiting) - 1
		p.waiting[last].answer <- p.failure(a.code)
		p.waiting = p.waiting[:last]
	case doSave:
		if err := p.save(); err != nil && !p.stored {
			p.answerAll(err)
		}
	case doSchedule:
		p.arm()
	case doUnschedule:
		p.alarm.Stop()
		if !p.s.isClosing() { // the next daemon tells by it what was missed
			p.next = time.Time{}
		}
	case doSpawn:
		p.publish()
		p.handle(p.spawn())
	case doAsk:
		p.publish()
		p.askToEnd(p.rec.Spec.Grace())
	case doKill:
		p.kill()
	case doKillLeader:
		// Where it is not known whether it has ended, SIGKILL does no harm: it is sent to
		// a process that cannot be taken for another.
		if alive, err := p.run.leader.Alive(p.s.proc); err == nil && !alive {
			break // it has ended, and on a busy machine its exit is late to be told
		}
		p.run.error = "the leader had left its group"
		if err := p.run.killLeader(p.s.keeper); err != nil {
			p.s.log.Printf("process '%s': the leader that left its group could not be ended: %v", p.rec.Spec.Name, err)
		}
	case doAwaitLeader:
		p.startPhase(leaderGrace, evLeaderLate)
	case doFinish:
		p.finish(a.cause)
	case doRemove:
		p.remove()
	}
}

func (p *managed) settle(g goal, code process.Code) {
	err := p.failure(code)
	if err == nil { // done, but the next daemon would not know of it
		err = p.unsaved
	}
	kept := p.waiting[:0]
	for _, r := range p.waiting {
		if r.goal == g {
			r.answer <- err
		} else {
			kept = append(kept, r)
		}
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// failure is the error of a code, in the words of this process.
func (p *managed) failure(code process.Code) error {
	name := p.rec.Spec.Name
	switch code {
	case "":
		return nil
	case process.CodeStart:
		return p.startErr
	case process.CodeSuperseded:
		return process.Errorf(code, "process '%s' was not started: a later request took its place", name)
	case process.CodeStuck:
		return p.stuck()
	case process.CodeNotFound:
		return process.Errorf(code, "process '%s' is being deleted", name)
	case process.CodeShuttingDown:
		return errShuttingDown
	}
	return process.Errorf(code, "process '%s': %s", name, code)
}

func (p *managed) startPhase(d time.Duration, e event) {
	p.phaseEvent = e
	p.phase.Reset(d)
}

// arm computes the next time of the schedule; one that is still to come stays.
func (p *managed) arm() {
	if p.schedule == nil {
		return
	}
	now := time.Now()
	if !p.next.After(now) {
		p.next = time.Time{}
	}
	if p.next = p.schedule.Due(p.next, now); !p.next.IsZero() {
		p.alarm.Reset(schedule.Nap(p.next, now))
	}
}

// ring is the alarm of the schedule: the time has come, or it is time to look at
// the clock again.
func (p *managed) ring() {
	if !p.next.IsZero() && !time.Now().Before(p.next) {
		p.handle(evCron)
	} else {
		p.arm()
	}
}

// retryDelay is when what could not be put on disk is tried again.
const retryDelay = 5 * time.Second

func (p *managed) save() error {
	p.rec.Up = p.state.up
	if p.invalid == nil { // what was missed is told when the schedule can be read again
		p.rec.Next = p.next.UTC()
	}
	if p.state.at.AtRest() {
		p.rec.At = p.state.at
	}
	if err := p.put(); err != nil {
		return err
	}
	p.stored = true
	p.letGoAll()
	return nil
}

// put has the record on disk as it is, or is tried again.
func (p *managed) put() error {
	if p.rec.unreadable != nil {
		return nil
	}
	p.unsaved = p.s.store.put(p.rec)
	if p.unsaved != nil {
		p.retry.Reset(retryDelay)
	}
	return p.unsaved
}

// letGoAll lets go of all runs that were not on disk.
func (p *managed) letGoAll() {
	for _, r := range p.unkept {
		p.letGo(r)
	}
	p.unkept = nil
}

func (p *managed) remove() {
	name := p.rec.Spec.Name
	// The log goes first: without a record nobody would look for it.
	if err := p.output.remove(); err != nil {
		p.s.log.Printf("process '%s': its log stays: %v", name, err)
	}
	p.s.at(PointCleared)
	var err error
	if p.stored {
		err = p.s.store.remove(name)
	}
	if err != nil { // it would be back with the next daemon
		p.rec.Removed = false
		p.answerAll(err)
		if p.state.at == process.Scheduled {
			p.arm()
		}
		return
	}
	p.s.at(PointForgotten)
	p.letGoAll()
	p.state.at, p.unsaved = removed, nil
	p.s.forget(p)
	p.settle(goalRemoved, "")
}

// answerAll answers everybody who waits.
func (p *managed) answerAll(err error) {
	for _, r := range p.waiting {
		r.answer <- err
	}
	p.waiting = nil
}

// removed is the state of a process that is no more; nobody sees it.
const removed process.State = 0
