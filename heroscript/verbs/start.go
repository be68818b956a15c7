package verbs

import (
	"context"
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func startForm(time.Time) *form {
	var of process.Selection
	var spec process.Spec
	var given bool
	var how process.How
	f := &form{params: []Param{
		selected(&of),
		toggle("replace", "take the place of a process that has the name and another definition", &how.Replace),
		waiting(&how.Wait),
	}}
	f.fields = &fields{about: "; without it, the process of that name is started", set: func(field *process.Field, v string) error {
		given = given || field.Name != "command"
		return setField(&spec, field, v)
	}}
	f.check = func() error {
		if spec.Command == "" {
			if given || how.Replace {
				return errors.New("process.start without a command starts a process that is there, and takes no other parameter: give command:COMMAND, or the name alone")
			}
			return nil
		}
		name, plain := of.Name()
		if !plain {
			return errors.New("process.start with a command takes one name")
		}
		spec.Name, spec.JobID = name, f.jobID
		return spec.Validate()
	}
	f.do = func(ctx context.Context, m Manager) (result, error) {
		if spec.Command == "" {
			return act(ctx, m, of, process.StartAgain{JobID: f.jobID, Wait: how.Wait}, waited(how.Wait))
		}
		status, err := m.StartSpec(ctx, spec, how)
		return one(status, waited(how.Wait)), err
	}
	return f
}

// StartAction is the action that asks for a process with this spec.
func StartAction(spec process.Spec, how process.How) heroscript.Action {
	a := DefineAction(spec)
	a.Name = "start"
	if how.Replace {
		a.Params = append(a.Params, heroscript.Param{Key: "replace", Value: "true"})
	}
	if how.Wait != process.WaitStart {
		a.Params = append(a.Params, heroscript.Param{Key: "wait", Value: string(how.Wait)})
	}
	return a
}
