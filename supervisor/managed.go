package supervisor

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

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
	run      *run        // the current one; nil at rest
	jobID    string      // of the run that a former worker was asked for
	early    *leaderExit // of the run that is being spawned
	startErr error       // why the last spawn failed
	invalid  error       // why the definition cannot be carried out: it was stored, and nothing of it runs
	owed     bool        // the former worker was about to start a run
	waiting  []request
	disk     disk
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
	outlive    *timer // to see whether the leader outlives a kill for lack of memory

	requests chan request
	exits    chan leaderExit
	memory   chan struct{} // the group's memory.events may read differently
	changed  chan struct{} // the group's cgroup.events may read differently
	done     chan struct{} // loop has returned

	view atomic.Pointer[view]
}

// request is an event that somebody waits for.
type request struct {
	event  event
	goal   goal
	jobID  string
	found  uint64      // the run that was under way when it came; 0: none
	answer chan answer // holds one
}

// answer is what a request gives: how things stood when it was done.
type answer struct {
	view *view
	err  error
}

func (s *Supervisor) newManaged(rec record, times *schedule.Schedule, out output) *managed {
	stopped := s.timers.stopped
	p := &managed{
		s: s, rec: rec, schedule: times, output: out,
		phase: stopped(), deadline: stopped(), alarm: stopped(), retry: stopped(), look: stopped(), move: stopped(), outlive: stopped(),
		requests: make(chan request),
		exits:    make(chan leaderExit, 4), // one a run, and that of an earlier one that is told again
		changed:  make(chan struct{}, 1),
		memory:   make(chan struct{}, 1),
		done:     make(chan struct{}),
		disk:     newDisk(stopped()),
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
func (p *managed) ask(ctx context.Context, e event, g goal, jobID string) (process.Status, error) {
	r := request{event: e, goal: g, jobID: jobID, answer: make(chan answer, 1)}
	select {
	case p.requests <- r:
	case <-p.done:
		return process.Status{}, p.s.gone(p.name())
	case <-ctx.Done():
		return process.Status{}, ctx.Err()
	}
	select {
	case a := <-r.answer:
		status, _ := p.status(a.view) // of a run that has ended by now there are no figures
		return status, a.err
	case <-ctx.Done():
		return process.Status{}, ctx.Err()
	}
}

// loop feeds the lifecycle until the process is forgotten or the daemon ends.
func (p *managed) loop() {
	defer close(p.done)
	defer func() {
		defer border.Catch(p.sayFault)
		for _, t := range []*timer{p.phase, p.deadline, p.alarm, p.retry, p.look, p.move, p.outlive, p.disk.late} {
			t.Stop()
		}
		if p.disk.hung == nil {
			p.letGo(p.unkept) // the keeper ends too
		}
		p.answerAll(p.s.gone(p.rec.Spec.Name))
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
		if p.state.at == removed || shutdown == nil && !p.state.busy() && p.disk.under == 0 {
			return
		}
		if shutdown == nil && p.state.ending == stuck { // nothing more can be done
			p.s.log.Print(p.stuck())
			return
		}
		if shutdown == nil && p.disk.hung != nil && (!p.state.busy() || p.state.onDisk()) {
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
		p.exited(x)
	case then := <-p.disk.landed:
		p.disk.land()
		then()
	case <-p.disk.late.C:
		p.hang()
	case <-p.changed:
		if p.run != nil && !p.state.onDisk() && p.nobodyLeft() {
			p.handle(evEmpty)
		}
	case <-p.memory:
		p.countKills()
	case <-p.outlive.C:
		p.outlived()
	case <-p.look.C:
		if p.run != nil && p.run.unkilled {
			p.sendKill()
		}
		p.lookAgain()
	case <-p.phase.C:
		if p.run != nil && !p.state.empty && !p.state.onDisk() && p.nobodyLeft() { // the notice of it found no descriptor
			p.handle(evEmpty)
		} else {
			p.handle(p.phaseEvent)
		}
	case <-p.deadline.C:
		p.handle(evDeadline)
	case <-p.alarm.C:
		p.ring()
	case <-p.retry.C:
		if (p.unsaved != nil || len(p.unkept) > 0) && p.disk.begun == p.disk.written {
			p.save()
		}
	case <-p.move.C:
		if r := p.run; r != nil && r.moveErr != nil && !p.state.onDisk() {
			p.adoptOutput(nil)
			p.publish()
		}
	case <-*shutdown:
		*shutdown = nil
		p.handle(evShutdown)
	}
}

// exited takes note of the leader's end.
func (p *managed) exited(x leaderExit) {
	r := p.run
	switch {
	case r == nil || r.id.Run != x.run || r.ended:
		return
	case p.state.spawning: // it was faster than the answer to its spawn
		p.early = &x
		return
	}
	r.ended, r.exit = true, x.exit
	if x.exit != nil && x.exit.Signal == unix.SIGKILL {
		r.kills = r.oomKills(p)
	}
	p.s.at(PointExited)
	if p.nobodyLeft() { // the notice of it can be 10 ms late
		p.handle(evEmpty)
	}
	p.handle(x.event())
}

func (p *managed) receive(r request) {
	if p.s.isClosing() && (r.goal == goalStarted) {
		r.answer <- answer{p.view.Load(), errShuttingDown}
		return
	}
	if r.goal == goalStarted {
		if err := p.mend(); err != nil {
			r.answer <- answer{p.see(), err}
			return
		}
	}
	if p.run != nil {
		r.found = p.run.id.Run
	}
	p.waiting = append(p.waiting, r)
	p.handle(r.event)
	if p.disk.hung != nil && p.state.onDisk() {
		p.answerAll(p.disk.hung)
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
		p.publish() // first: who is answered must see the new state
		p.settle(a.goal, a.code)
	case doRefuse:
		last := len(p.waiting) - 1
		p.answer(p.waiting[last], p.failure(a.code))
		p.waiting = p.waiting[:last]
	case doSave:
		p.save()
	case doSchedule:
		p.arm()
	case doUnschedule:
		p.alarm.Stop()
		if !p.s.isClosing() { // the next daemon tells by it what was missed
			p.next = time.Time{}
		}
	case doSpawn:
		p.spawn()
	case doCancel:
		p.cancel()
	case doAsk:
		p.publish()
		p.askToEnd(p.rec.Spec.Grace())
	case doKill:
		p.kill()
	case doKillLeader:
		p.startPhase(killLimit, evGiveUp)
		p.killLeader()
	case doAwaitLeader:
		p.startPhase(leaderGrace, evLeaderLate)
	case doDrain:
		p.drain(a.cause)
	case doFinish:
		p.finish()
	case doRemove:
		p.remove()
	case doForgotten:
		p.forgotten(nil)
	}
}

func (p *managed) settle(g goal, code process.Code) {
	if g == goalStarted && code != "" {
		p.jobID = ""
	}
	err := p.failure(code)
	kept := p.waiting[:0]
	for _, r := range p.waiting {
		if r.goal == g {
			p.answer(r, err)
		} else {
			kept = append(kept, r)
		}
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// answer answers a request with how things stand. What is done must be on disk first:
// the next daemon would not know of it.
func (p *managed) answer(r request, err error) {
	v := p.see()
	v.already = r.found != 0 && r.found == v.run.Number
	a := answer{v, err}
	switch {
	case err != nil && err != p.startErr: // nothing was done
	case p.disk.begun == p.disk.written:
		a.stored(p.unsaved)
	case p.disk.hung != nil:
		a.stored(p.disk.hung)
	default:
		p.disk.held = append(p.disk.held, held{r, a, p.disk.begun})
		return
	}
	r.answer <- a
}

// stored notes whether what was done is on disk.
func (a *answer) stored(err error) {
	if a.err == nil {
		a.err = err
	}
}

// failure is the error of a code, in the words of this process.
func (p *managed) failure(code process.Code) error {
	name := p.rec.Spec.Name
	switch code {
	case "":
		return nil
	case process.CodeStart:
		return p.startErr
	case process.CodeStore:
		return p.unsaved
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

// nextJobID is the id of the next run: of a request that waits for it. In a schedule
// each run has that of the definition.
func (p *managed) nextJobID() string {
	for _, r := range slices.Backward(p.waiting) {
		if r.goal == goalStarted && r.jobID != "" {
			return r.jobID
		}
	}
	if p.jobID == "" && p.rec.Spec.Cron != "" {
		return p.rec.Spec.JobID
	}
	return p.jobID
}

// remove has the process forgotten. That it is to be goes to disk before anything is
// destroyed; the next daemon finishes what was begun.
func (p *managed) remove() {
	if !p.rec.Removed {
		p.rec.Removed = true
		p.save()
	}
	p.disk.after(func(err error) {
		if err != nil { // it would be back with the next daemon
			p.rec.Removed = false
			p.handle(evNotRemoved)
			return
		}
		runs := p.unkept
		p.unkept = nil
		p.job(func() (then func()) {
			p.s.at(PointCondemned)
			p.letGo(runs)
			p.erase()
			return func() { p.handle(evRemoved) }
		})
	})
}

// erase destroys what is kept of a process, the log first: without a record nobody
// would look for it.
func (p *managed) erase() {
	name := p.rec.Spec.Name
	if err := p.output.remove(); err != nil {
		p.s.log.Printf("process '%s': its log stays: %v", name, err)
	}
	p.s.at(PointCleared)
	if err := p.s.store.remove(name); err != nil { // the next daemon does it
		p.s.log.Print(err)
	}
	p.s.at(PointForgotten)
}

// forgotten ends a process that is no more, or never came to be.
func (p *managed) forgotten(err error) {
	p.state, p.run = state{at: removed}, nil
	p.s.forget(p)
	p.answerAll(err)
}

// answerAll answers everybody who waits.
func (p *managed) answerAll(err error) {
	p.answerHeld(err)
	for _, r := range p.waiting {
		r.answer <- answer{p.see(), err}
	}
	p.waiting = nil
}

// removed is the state of a process that is no more; nobody sees it.
const removed process.State = 0
