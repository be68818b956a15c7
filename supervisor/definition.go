package supervisor

import (
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

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
	p.checkNeeds()
	if p.kept.Source != op.source {
		p.kept.Definition = new(*p.kept.Definition)
		p.kept.Source = op.source
		p.disk.definition, p.disk.dirty = true, true
		p.tell(process.Event{Kind: process.EventChanged, Fields: []string{"source"}})
	}
	p.disk.dirty = p.disk.dirty || !p.stored
	switch state := p.machine.State(); {
	case p.startsByFile(op.start):
		r.goal = lifecycle.UntilStarted
		p.wait(r, lifecycle.Start)
	case op.restart && len(p.kept.Changed) > 0 && (state == process.Starting || state == process.Running || state == process.Paused):
		r.goal = lifecycle.UntilStarted
		p.wait(r, lifecycle.Restart)
	default:
		p.whenLimited(func(err error) { p.answer(r, err) })
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
		code := process.CodeInvalid
		if errors.Is(err, process.ErrLimit) {
			code = process.CodeLimit
		}
		p.answer(r, process.Errorf(code, "process '%s': %v", p.name, err))
		return
	}
	p.checkNeeds()
	p.whenLimited(func(err error) { p.answer(r, err) })
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
	if err == nil && spec.Limits != p.kept.Spec.Limits { // what else is changed is not their matter
		err = p.s.canLimit(spec.Limits)
	}
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
	cron := spec.Cron != p.kept.Spec.Cron || spec.TZ != p.kept.Spec.TZ || p.invalid != nil // zone data may have been installed
	jitter := spec.Jitter != p.kept.Spec.Jitter
	former := p.kept.Spec.Schedule
	event := process.Event{Kind: process.EventChanged}
	for _, f := range differ {
		event.Fields = append(event.Fields, f.Name)
	}
	p.kept.Definition, p.invalid = new(*p.kept.Definition), nil
	p.kept.Spec, p.kept.Job = spec, spec.JobID
	p.disk.definition, p.disk.dirty = true, true
	p.noteWaiting()
	p.tell(event)
	p.handle(lifecycle.Event{Kind: lifecycle.Repolicied, Policy: spec.Restarting, Overlap: spec.Overlapping})
	p.output.setOptions(p.s, &spec)
	for _, running := range p.runs {
		running.Change(spec)
	}
	if spec.Catchup != former.Catchup || spec.CatchupWindow != former.CatchupWindow {
		p.handle(lifecycle.Event{Kind: lifecycle.ForgetBacklog, Reason: "the way to catch up was changed"})
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
	} else if jitter && p.alarm != nil { // the next time stays the next
		p.awaitNext()
	}
	return nil
}

// noteWaiting notes what a tree that runs does not follow before its next run.
func (p *managed) noteWaiting() {
	p.kept.Changed = nil
	if r := p.runs[p.kept.Target.Run]; r != nil {
		p.kept.Changed = p.unfollowed(r)
	}
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

// judge is judge of a definition that is new.
func (s *Supervisor) judge(spec *process.Spec) (*schedule.Schedule, error) {
	times, err := judge(spec)
	if err == nil {
		err = s.canLimit(spec.Limits)
	}
	return times, err
}

// judge reports why a definition cannot be carried out, and reads its schedule. What this host
// cannot enforce is another matter.
func judge(spec *process.Spec) (times *schedule.Schedule, err error) {
	if err := spec.Validate(); err != nil || spec.Cron == "" {
		return nil, err
	}
	times, err = schedule.Parse(spec.Cron, spec.TZ, time.Now())
	if err == nil {
		err = times.CheckJitter(spec.Jitter)
	}
	if err != nil {
		return nil, err
	}
	return times, nil
}
