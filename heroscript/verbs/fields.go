package verbs

import (
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// fields are the parameters that are the fields of a spec, in the order of their table. A
// request gives few of them, so each is made when it is asked for.
type fields struct {
	set   func(f *process.Field, value string) error
	must  bool   // what has no default is required
	once  bool   // those of runs by themselves are told of nowhere: who gives one is told why it cannot be
	about string // the command, behind its help
}

// fieldParams are those parameters without what a request makes of them.
var fieldParams = sync.OnceValue(func() (params []Param) {
	for i := range process.Fields {
		f := &process.Fields[i]
		help := f.Help
		if f.Default != "" {
			help += " (default " + f.Default + ")"
		}
		params = append(params, Param{Name: f.Name, Value: f.Value, Help: help, Choices: choices(f), Lines: f.Lines, Most: ownBound})
	}
	return params
})

// choices are the values of a field that can be listed.
func choices(f *process.Field) []string {
	if f.Value == "SIGNAL" {
		return process.SignalNames()
	}
	return f.Choices
}

// at is the parameter of a field of the table.
func (fs *fields) at(i int) Param {
	p, f := fieldParams()[i], &process.Fields[i]
	p.set = func(v string) error { return fs.set(f, v) }
	p.Required = fs.must && f.Must
	if f.Name == "command" {
		p.Help += fs.about
	}
	return p
}

func (fs *fields) all() []Param { return fs.those(true) }

// those are the parameters that are told of, or the others.
func (fs *fields) those(told bool) (params []Param) {
	params = make([]Param, 0, len(process.Fields))
	for i := range process.Fields {
		if told != (fs.once && process.Fields[i].Again()) {
			params = append(params, fs.at(i))
		}
	}
	return params
}

// named finds a parameter by its name; nil: no field has that.
func (fs *fields) named(name string) *Param {
	for i := range process.Fields {
		if process.Fields[i].Name == name {
			return new(fs.at(i))
		}
	}
	return nil
}

// missing is a parameter that is required and not given; nil: there is none.
func (fs *fields) missing(given func(name string) bool) *Param {
	if !fs.must {
		return nil
	}
	for i := range process.Fields {
		if f := &process.Fields[i]; f.Must && !given(f.Name) {
			return new(fs.at(i))
		}
	}
	return nil
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
