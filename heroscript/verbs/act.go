package verbs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// act carries out an operation on what is selected. The failure of one plain name is
// that of the action.
func act(ctx context.Context, m Manager, of process.Selection, op process.Operation, say func(process.Outcome) string) (result, error) {
	list, err := m.Do(ctx, of, op)
	if err != nil {
		return nil, err
	}
	return several(of, list, say)
}

func stopForm(time.Time) *form {
	var of process.Selection
	return &form{
		params: []Param{selected(&of)},
		do: func(ctx context.Context, m Manager) (result, error) {
			list, err := m.Do(ctx, of, process.Stop{})
			if err != nil {
				return nil, err
			}
			return several(of, list, func(o process.Outcome) string { return stopped(o, list) })
		},
	}
}

func restartForm(time.Time) *form {
	var wait process.Wait
	f := operation(func(f *form) process.Operation { return process.Restart{JobID: f.jobID, Wait: wait} },
		func(o process.Outcome) string { return waited(wait)(o) })
	f.params = append(f.params, waiting(&wait))
	return f
}

func triggerForm(time.Time) *form {
	var wait process.Wait
	f := operation(func(f *form) process.Operation { return process.Trigger{JobID: f.jobID, Wait: wait} },
		func(o process.Outcome) string { return triggered(o, wait) })
	f.params = append(f.params, waiting(&wait))
	return f
}

func deleteForm(time.Time) *form {
	return operation(func(f *form) process.Operation { return process.Delete{} }, deleted)
}

// operation is the form of a verb that needs no more than to know of which processes.
func operation(op func(*form) process.Operation, say func(process.Outcome) string) *form {
	var of process.Selection
	f := &form{params: []Param{selected(&of)}}
	f.do = func(ctx context.Context, m Manager) (result, error) { return act(ctx, m, of, op(f), say) }
	return f
}

func signalForm(time.Time) *form {
	var of process.Selection
	var op process.SendSignal
	return &form{
		params: []Param{
			selected(&of),
			{Name: "signal", Value: "SIGNAL", Choices: process.SignalNames(), Help: "a name such as HUP or USR1, or a number", Required: true, set: func(v string) (err error) {
				op.Signal, err = process.ParseSignal(v)
				return err
			}},
			toggle("tree", "to every process of the tree, not to the main process alone", &op.Tree),
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			return act(ctx, m, of, op, func(o process.Outcome) string { return signalled(o, op) })
		},
	}
}

func setForm(time.Time) *form {
	var of process.Selection
	var op process.Set
	return &form{
		params: []Param{selected(&of)},
		fields: &fields{set: func(field *process.Field, v string) error {
			op.Settings = append(op.Settings, process.Setting{Field: field.Name, Value: v})
			return setField(&process.Spec{Command: "true"}, field, v)
		}},
		check: func() error {
			if len(op.Settings) == 0 {
				return errors.New("process.set needs a field to change, such as stop_timeout:30")
			}
			return nil
		},
		do: func(ctx context.Context, m Manager) (result, error) {
			return act(ctx, m, of, op, func(o process.Outcome) string { return changed(o, op) })
		},
	}
}

// OperationAction is the action that asks for an operation.
func OperationAction(of process.Selection, op process.Operation) heroscript.Action {
	with := func(verb string, more ...string) heroscript.Action {
		return NewAction(verb, append([]string{"name", of.String()}, more...)...)
	}
	begin := func(verb, id string, wait process.Wait) heroscript.Action {
		var more []string
		if id != "" {
			more = append(more, "jobid", id)
		}
		if wait != process.WaitStart {
			more = append(more, "wait", string(wait))
		}
		return with(verb, more...)
	}
	switch op := op.(type) {
	case process.StartAgain:
		return begin("process.start", op.JobID, op.Wait)
	case process.Trigger:
		return begin("process.trigger", op.JobID, op.Wait)
	case process.Stop:
		return with("process.stop")
	case process.Restart:
		return begin("process.restart", op.JobID, op.Wait)
	case process.Delete:
		return with("process.delete")
	case process.Pause:
		return with("process.pause")
	case process.Resume:
		return with("process.resume")
	case process.SendSignal:
		if op.Tree {
			return with("process.signal", "signal", op.Signal.String(), "tree", "true")
		}
		return with("process.signal", "signal", op.Signal.String())
	case process.Set:
		a := with("process.set")
		for _, s := range op.Settings {
			a.Params = append(a.Params, heroscript.Param{Key: s.Field, Value: s.Value})
		}
		return a
	case process.SchedulePause:
		return with("process.schedule_pause")
	case process.ScheduleResume:
		return with("process.schedule_resume")
	case process.SkipNext:
		return with("process.skip_next")
	}
	panic(fmt.Sprintf("no verb for a %T", op))
}

// started says what start and restart did.
func started(o process.Outcome) string {
	s := o.Status
	switch {
	case s.State == process.Scheduled && s.SchedulePaused:
		return fmt.Sprintf("process '%s' is scheduled, and its schedule is paused: schedule_resume has it go on; trigger %[1]s runs it now", s.Name)
	case s.State == process.Scheduled && strings.HasSuffix(s.Cron, "@reboot"):
		return fmt.Sprintf("process '%s' is scheduled, next run at the next start of the machine; trigger %[1]s runs it now", s.Name)
	case s.State == process.Scheduled && s.NextTime.IsZero():
		return fmt.Sprintf("process '%s' is scheduled, and no time of its schedule comes within 40 years; trigger %[1]s runs it now", s.Name)
	case s.State == process.Scheduled:
		return fmt.Sprintf("process '%s' is scheduled, next run at %s; trigger %[1]s runs it now", s.Name, ZonedTime(s.NextTime))
	case s.State == process.Paused:
		return fmt.Sprintf("process '%s' is paused: run %d, pid %d; have it go on with process.resume (pmclient resume)", s.Name, s.Number, s.PID)
	case s.AlreadyRunning:
		return fmt.Sprintf("process '%s' is running already: run %d, pid %d", s.Name, s.Number, s.PID)
	}
	return fmt.Sprintf("process '%s' started: run %d, pid %d", s.Name, s.Number, s.PID)
}

// triggered says what trigger did.
func triggered(o process.Outcome, wait process.Wait) string {
	s := o.Status
	if s.Queued != nil && wait == process.WaitStart {
		return fmt.Sprintf("process '%s' is queued: a run begins when run %d has ended", s.Name, s.Number)
	}
	return waited(wait)(o)
}

// stopped says what stop did. Who needs the process is worth a word unless the same request has
// stopped it.
func stopped(o process.Outcome, all []process.Outcome) string {
	if s := o.Status; !s.State.AtRest() { // a start came behind the stop
		return fmt.Sprintf("process '%s' was stopped, and is being started again", s.Name)
	}
	text := fmt.Sprintf("process '%s' is %s, nobody is left", o.Name, o.Status.State)
	if took := o.Status.Stopping; took >= 1 { // it has not ended at once
		text += "; that took " + Seconds(took)
	}
	by := slices.DeleteFunc(slices.Clone(o.Status.NeededBy), func(name string) bool {
		return slices.ContainsFunc(all, func(o process.Outcome) bool {
			return o.Name == name && o.Err == nil && o.Status.State.AtRest()
		})
	})
	if len(by) > 0 {
		text += "; it is needed by " + strings.Join(by, ", ")
	}
	return text
}

// deleted says what delete did.
func deleted(o process.Outcome) string {
	text := fmt.Sprintf("process '%s' deleted", o.Name)
	if o.Source != "" {
		text += fmt.Sprintf("; %s defines it: it comes back when that is loaded again, unless it is taken out there", o.Source)
	}
	return text
}

// signalled says whom a signal was sent to.
func signalled(o process.Outcome, op process.SendSignal) string {
	to := fmt.Sprintf("%d processes", o.Status.Signalled)
	switch {
	case !op.Tree && o.Status.Signalled == 1:
		to = fmt.Sprintf("pid %d", o.Status.PID)
	case o.Status.Signalled == 1:
		to = "1 process"
	}
	if o.Status.State == process.Paused && op.Signal != process.KILL {
		to += ", taken when it goes on"
	}
	return fmt.Sprintf("process '%s': SIG%s sent to %s", o.Name, op.Signal, to)
}

// changed says what set did.
func changed(o process.Outcome, op process.Set) string {
	var names []string
	for _, s := range op.Settings {
		names = append(names, s.Field)
	}
	text := fmt.Sprintf("process '%s' changed: %s", o.Name, strings.Join(names, ", "))
	if wait := o.Status.WaitsForRestart; len(wait) > 0 {
		text += fmt.Sprintf("; %s from the next run on: restart %s to have it now", strings.Join(wait, ", "), o.Name)
	}
	return text
}
