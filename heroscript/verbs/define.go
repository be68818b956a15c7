package verbs

import (
	"context"
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const defineVerb = "process.define"

func defineForm(time.Time) *form {
	spec := new(process.Spec)
	f := definition(spec)
	f.do = func(ctx context.Context, m Manager) (result, error) {
		status, err := m.Define(ctx, *spec)
		return one(status, defined), err
	}
	return f
}

// definition is the form of a verb that takes a whole definition, which it reads into spec.
func definition(spec *process.Spec) *form {
	f := &form{
		params: []Param{{Name: "name", Value: "NAME", Most: ownBound, Help: "name of the process", Required: true, set: func(v string) error {
			spec.Name = v
			return process.ValidateName(v)
		}}},
		fields: &fields{must: true, set: func(field *process.Field, v string) error { return setField(spec, field, v) }},
	}
	f.check = func() error {
		if spec.Cron != "" { // it is that of each run
			spec.JobID = f.jobID
		}
		return spec.Validate()
	}
	return f
}

// ReadDefinitions are the definitions that a script holds, which is nothing but actions of
// process.define. The error says line and column.
func ReadDefinitions(script heroscript.Script) (specs []process.Spec, err error) {
	var spec process.Spec
	f := definition(&spec) // one for all: there may be a thousand
	for _, a := range script {
		if a.Verb() != defineVerb {
			return nil, at(a.Pos, "%s does not belong here: a file of definitions holds !!%s alone", process.Printable("!!"+a.Verb()), defineVerb)
		}
		spec, f.jobID = process.Spec{}, ""
		if err := f.read(defineVerb, a); err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// DefineAction is the action that asks for a process with this definition, and does not
// start it.
func DefineAction(spec process.Spec) heroscript.Action {
	a := NewAction(defineVerb, "name", spec.Name)
	for i := range process.Fields {
		f := &process.Fields[i]
		if v := f.Text(spec); v != "" {
			a.Params = append(a.Params, heroscript.Param{Key: f.Name, Value: v})
		}
	}
	if spec.JobID != "" {
		a.Params = append(a.Params, heroscript.Param{Key: "jobid", Value: spec.JobID})
	}
	return a
}

// defined says what define did.
func defined(o process.Outcome) string {
	return fmt.Sprintf("process '%s' is defined: %s", o.Name, o.Status.State)
}
