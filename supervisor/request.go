package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// request is something that somebody has asked of a process, and waits for.
type request struct {
	op     process.Operation
	spec   *process.Spec // of a start with a definition; nil: none
	goal   lifecycle.Goal
	run    uint64 // that it waits for; of UntilReady and UntilEnded
	jobID  string
	found  uint64      // the run that was under way when it came; 0: none
	answer chan answer // holds one
}

// starts reports whether it is to start something.
func (r *request) starts() bool {
	return r.goal == lifecycle.UntilStarted || r.goal == lifecycle.UntilReady || r.goal == lifecycle.UntilEnded
}

// goalOf is what a request to start waits for.
func goalOf(w process.Wait) lifecycle.Goal {
	switch w {
	case process.WaitReady:
		return lifecycle.UntilReady
	case process.WaitEnd:
		return lifecycle.UntilEnded
	}
	return lifecycle.UntilStarted
}

// answer is what a request gives: how things stood when it was done.
type answer struct {
	view      *view
	signalled int
	err       error
}

func (a answer) status() process.Status {
	if a.view == nil {
		return process.Status{}
	}
	status, _ := a.view.status() // of a run that has ended by now there are no figures
	status.Signalled = a.signalled
	return status
}

// newDefinition is the operation of a start with a definition.
type newDefinition struct {
	process.Operation
	how   process.How
	jobID string // of the run that it starts
}

// defineOnly is the operation of a definition that starts nothing.
type defineOnly struct{ process.Operation }

// toApply is the operation of a definition that stands in a file.
type toApply struct {
	process.Operation
	source  string // the file
	start   bool   // it is new: start it if it starts by itself
	restart bool   // if what runs does not follow it
}

// receive begins what a request asks for.
func (p *managed) receive(r request) {
	if n := len(p.machine.Runs); n > 0 {
		r.found = p.machine.Runs[n-1].Number
	}
	switch op := r.op.(type) {
	case newDefinition:
		p.define(r, op)
	case defineOnly:
		p.defineOnly(r)
	case toApply:
		p.apply(r, op)
	case process.StartAgain:
		r.goal, r.jobID = goalOf(op.Wait), op.JobID
		p.wait(r, lifecycle.Start)
	case process.Restart:
		r.goal, r.jobID = goalOf(op.Wait), op.JobID
		p.wait(r, lifecycle.Restart)
	case process.Stop:
		r.goal = lifecycle.UntilStopped
		p.wait(r, lifecycle.Stop)
	case process.Delete:
		if err := p.s.ordering.leave(p.name); err != nil {
			p.answer(r, err)
			return
		}
		r.goal = lifecycle.UntilRemoved
		p.wait(r, lifecycle.Delete)
	case process.SendSignal:
		p.signal(r, op)
	case process.Set:
		p.set(r, op)
	default:
		p.answer(r, process.Errorf(process.CodeInternal, "no way to carry out a %T", op))
	}
}

// wait has a request answered by what comes of an event.
func (p *managed) wait(r request, kind lifecycle.EventKind) {
	if r.starts() {
		err := p.mayStart()
		if err == nil && r.goal != lifecycle.UntilStarted && p.times != nil {
			err = process.Errorf(process.CodeInvalid, "process '%s' starts at the times of its schedule, so there is no run to wait for: leave wait away", p.name)
		}
		if err != nil {
			p.answer(r, err)
			return
		}
		r.run = p.machine.Awaits(kind)
		p.startNeeds()
	}
	p.waiting = append(p.waiting, r)
	p.handle(lifecycle.Event{Kind: kind})
}

// mayStart is why nothing of it can be started; nil: it can.
func (p *managed) mayStart() error {
	if p.machine.Closing {
		return errShuttingDown
	}
	return p.mend()
}

// define is a start with a definition. Where the process has the same one it is started.
func (p *managed) define(r request, op newDefinition) {
	r.goal, r.jobID = goalOf(op.how.Wait), op.jobID
	if err := p.final(); err != nil { // before the restart that follows is refused
		p.answer(r, err)
		return
	}
	differ := process.Differences(p.kept.Spec, *r.spec)
	switch {
	case len(differ) == 0:
		p.wait(r, lifecycle.Start)
	case !op.how.Replace:
		p.answer(r, process.Errorf(process.CodeExists, "there is a process '%s' with another definition (%s): change that with process.set (pmclient set), or give replace:true (-replace) to put this one in its place",
			p.name, process.FieldNames(differ)))
	default:
		if err := p.redefine(*r.spec); err != nil {
			p.answer(r, err)
			return
		}
		p.wait(r, lifecycle.Restart)
	}
}

// defineOnly is a definition that starts nothing. Where the process has the same one there
// is nothing to do.
func (p *managed) defineOnly(r request) {
	err := p.final()
	if differ := process.Differences(p.kept.Spec, *r.spec); err == nil && len(differ) > 0 {
		err = process.Errorf(process.CodeExists, "there is a process '%s' with another definition (%s): change that with process.set (pmclient set), or keep it in a file and apply that (pmclient apply -f FILE)",
			p.name, process.FieldNames(differ))
	}
	p.disk.dirty = p.disk.dirty || err == nil && !p.stored
	p.answer(r, err)
}

// apply makes the process what its file says.
func (p *managed) apply(r request, op toApply) {
	err := p.final()
	if err == nil {
		err = p.redefine(*r.spec)
	}
	if err != nil {
		p.answer(r, err)
		return
	}
	if p.kept.Source != op.source {
		p.kept.Source = op.source
		p.disk.definition, p.disk.dirty = true, true
		p.tell(process.Event{Kind: process.EventChanged, Fields: []string{"source"}})
	}
	p.disk.dirty = p.disk.dirty || !p.stored
	switch state := p.machine.State(); {
	case p.startsByFile(op.start):
		r.goal = lifecycle.UntilStarted
		p.wait(r, lifecycle.Start)
	case op.restart && len(p.kept.Changed) > 0 && (state == process.Starting || state == process.Running):
		r.goal = lifecycle.UntilStarted
		p.wait(r, lifecycle.Restart)
	default:
		p.answer(r, nil)
	}
}

// startsByFile reports whether the process is started, or its schedule armed, because it
// stands in a file: one that is new, or that has a schedule and was never to be up. One
// that somebody has stopped stays so.
func (p *managed) startsByFile(isNew bool) bool {
	if p.times != nil {
		return !p.machine.Up && !p.machine.Stopped
	}
	return isNew && p.kept.Spec.Autostart
}

// set changes fields of the definition. What a running tree can follow it follows at once.
func (p *managed) set(r request, op process.Set) {
	if err := p.final(); err != nil {
		p.answer(r, err)
		return
	}
	spec, err := p.kept.Spec.With(op.Settings)
	if err == nil {
		err = p.redefine(spec)
	}
	if err != nil { // it may be one of several
		err = process.Errorf(process.CodeInvalid, "process '%s': %v", p.name, err)
	}
	p.answer(r, err)
}

// final is why the definition cannot be changed any more; nil: it can.
func (p *managed) final() error {
	switch {
	case p.unread:
		return p.invalid
	case p.machine.Removing, p.machine.Then == lifecycle.ThenRemove:
		return p.failure(process.CodeNotFound)
	case p.machine.Closing:
		return errShuttingDown
	}
	return nil
}

// redefine gives the process another definition.
func (p *managed) redefine(spec process.Spec) error {
	spec.Name = p.name
	times, err := judge(&spec)
	if err != nil {
		return err
	}
	differ := process.Differences(p.kept.Spec, spec)
	if len(differ) == 0 && spec.JobID == p.kept.Spec.JobID {
		return nil
	}
	if err := p.s.ordering.put(p.name, spec.Ordering); err != nil {
		return err
	}
	ordering := spec.Ordering != p.kept.Spec.Ordering
	cron := spec.Cron != p.kept.Spec.Cron || p.invalid != nil // zone data may have been installed
	event := process.Event{Kind: process.EventChanged}
	for _, f := range differ {
		event.Fields = append(event.Fields, f.Name)
	}
	p.kept.Spec, p.kept.Job, p.invalid = spec, spec.JobID, nil
	p.disk.definition, p.disk.dirty = true, true
	p.noteWaiting()
	p.tell(event)
	p.handle(lifecycle.Event{Kind: lifecycle.Repolicied, Policy: spec.Restarting})
	p.output.setOptions(p.s, &spec)
	for _, running := range p.runs {
		running.Change(spec)
	}
	if cron {
		p.times = times
		p.disarm()
		p.next = noTime
		kind := lifecycle.Unscheduled
		if times != nil {
			kind = lifecycle.Rescheduled
		}
		p.handle(lifecycle.Event{Kind: kind})
	}
	if ordering {
		p.checkNeeds()
	}
	return nil
}

// noteWaiting notes what a tree that runs does not follow before its next run.
func (p *managed) noteWaiting() {
	p.kept.Changed = nil
	for _, r := range p.runs {
		for _, f := range process.Differences(r.Spec, p.kept.NextSpec()) {
			if !f.Live {
				p.kept.Changed = append(p.kept.Changed, process.Setting{Field: f.Name, Value: f.Text(r.Spec)})
			}
		}
	}
}

// signal sends a signal to what runs.
func (p *managed) signal(r request, op process.SendSignal) {
	if r.found == 0 {
		p.answer(r, process.Errorf(process.CodeNotRunning, "process '%s' does not run, so there is nobody to send a signal to", p.name))
		return
	}
	sent, err := p.runs[r.found].Send(op.Signal, op.Tree)
	if err != nil {
		err = process.Errorf(process.CodeNotRunning, "process '%s': the signal could not be sent: %v", p.name, err)
	}
	r.answer <- answer{view: p.look(true), signalled: sent, err: err}
}

// settle answers those who wait for a goal; where it is that of one run, those alone.
func (p *managed) settle(g lifecycle.Goal, run uint64, code process.Code) {
	switch {
	case g == lifecycle.UntilStarted && code != "":
		p.jobID = ""
	case g == lifecycle.UntilRemoved && code != "":
		p.s.ordering.stay(p.name)
	}
	err := p.failure(code)
	if code == process.CodeSuperseded && g == lifecycle.UntilReady && p.machine.Busy() {
		err = process.Errorf(code, "process '%s' was not ready: a later request took its place", p.name)
	}
	var kept []request
	for _, r := range p.waiting {
		if r.goal == g && (run == 0 || run == r.run) {
			p.answer(r, err)
		} else {
			kept = append(kept, r)
		}
	}
	p.waiting = kept
}

// answer answers a request with how things stand. What is done must be on disk first: the
// next daemon would not know of it.
func (p *managed) answer(r request, err error) {
	v := p.look(true) // it is told when it is on disk
	v.already = r.found != 0 && r.found == v.run.Number && r.starts()
	a := answer{view: v, err: err}
	switch {
	case err != nil && err != p.startErr: // nothing was done
	case p.disk.closed: // what it was is no more
	case p.disk.hung != nil:
		a.failIfDone(p.disk.hung)
	case p.disk.dirty || len(p.disk.writes) > 0:
		p.disk.held = append(p.disk.held, held{r, a, p.pendingWrite()})
		return
	default:
		a.failIfDone(p.disk.unsaved)
	}
	p.publish() // first: who is answered must see the new state
	r.answer <- a
}

// failIfDone says that what was done is not on disk.
func (a *answer) failIfDone(err error) {
	if a.err == nil {
		a.err = err
	}
}

// answerAll answers everybody who waits.
func (p *managed) answerAll(err error) {
	p.answerHeld(err)
	for _, r := range p.waiting {
		select {
		case r.answer <- answer{view: p.view.Load(), err: err}:
		default: // it was answered before a fault
		}
	}
	p.waiting = nil
}

// failure is the error of a code, in the words of this process.
func (p *managed) failure(code process.Code) error {
	switch code {
	case "":
		return nil
	case process.CodeStart:
		return p.startErr
	case process.CodeStore:
		return p.disk.unsaved
	case process.CodeSuperseded:
		return process.Errorf(code, "process '%s' was not started: a later request took its place", p.name)
	case process.CodeStuck:
		for _, r := range p.runs {
			if r.Stuck() {
				return r.StuckError()
			}
		}
	case process.CodeNeeds:
		return p.waitsInVain()
	case process.CodeNotFound:
		return process.Errorf(code, "process '%s' is being deleted", p.name)
	case process.CodeShuttingDown:
		return errShuttingDown
	}
	return process.Errorf(code, "process '%s': %s", p.name, code)
}

// mend judges an invalid definition anew: zone data may have been installed.
func (p *managed) mend() error {
	if p.invalid == nil {
		return nil
	}
	times, err := p.judgeStored(nil)
	if err != nil {
		return err
	}
	p.times, p.machine.Scheduled, p.invalid = times, times != nil, nil
	return nil
}

// judgeStored is [judge] of a definition that was stored. unreadable is why it cannot even
// be read; nil: it can.
func (p *managed) judgeStored(unreadable error) (*schedule.Schedule, error) {
	if p.unread {
		if unreadable == nil {
			return nil, p.invalid
		}
		return nil, process.Errorf(process.CodeInvalid, "process '%s' cannot be started: what the store has of it cannot be read: %v", p.name, unreadable)
	}
	return judgeOld(p.kept.Spec)
}

// judgeOld is judge of a definition that may have been stored before there was a least
// limit of a log: it holds as that.
func judgeOld(spec process.Spec) (*schedule.Schedule, error) {
	spec.LogMaxSize, spec.LogMaxTotal = min(spec.LogMaxSize, 0), min(spec.LogMaxTotal, 0)
	spec.LogMaxAge, spec.LogMaxFiles = min(spec.LogMaxAge, 0), min(spec.LogMaxFiles, 0)
	times, err := judge(&spec)
	if err != nil {
		err = process.Errorf(process.CodeInvalid, "process '%s' cannot be started: %v", spec.Name, err)
	}
	return times, err
}
