package verbs

import (
	"context"
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// fieldParams are the fields of a spec as parameters, in the order of their table.
func fieldParams(set func(f *process.Field, value string) error) (params []Param) {
	for i := range process.Fields {
		f := &process.Fields[i]
		help := f.Help
		if f.Default != "" {
			help += " (default " + f.Default + ")"
		}
		params = append(params, Param{Name: f.Name, Value: f.Value, Help: help, Lines: f.Lines, Most: ownBound, set: func(v string) error { return set(f, v) }})
	}
	return params
}

// setField reads a value into a spec. Of a schedule only the text is looked at: the
// daemon has the zones.
func setField(s *process.Spec, f *process.Field, value string) error {
	if f.Name == "cron" && value != "" {
		if err := schedule.Validate(value); err != nil {
			return err
		}
	}
	return f.Set(s, value)
}

func startForm(time.Time) *form {
	var of process.Selection
	var spec process.Spec
	var given bool
	var how process.How
	f := &form{}
	f.params = append([]Param{selected(&of)}, fieldParams(func(field *process.Field, v string) error {
		given = given || field.Name != "command"
		return setField(&spec, field, v)
	})...)
	for i := range f.params {
		if f.params[i].Name == "command" {
			f.params[i].Help += "; without it, the process of that name is started"
		}
	}
	f.params = append(f.params, toggle("replace", "take the place of a process that has the name and another definition", &how.Replace), waiting(&how.Wait))
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
