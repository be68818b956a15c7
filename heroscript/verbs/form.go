package verbs

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Param is a parameter of a verb.
type Param struct {
	Name     string
	Value    string // what the value is, for the help: "TIME"; empty for a flag
	Help     string
	Alone    string   // what it stands for without a value; empty: it has one, or is a flag
	Choices  []string // values that can be listed; of a flag, none
	Required bool
	Lines    bool               // the value is a text of lines, which may be given one by one
	Most     int                // bytes of the value; 0: maxValue
	old      string             // another name of it, which scripts of earlier programs use
	set      func(string) error // reads the value
}

// How long the value of a parameter may be, in bytes. A name, a job id, a command and
// a schedule have bounds, and words for them, of their own.
const (
	maxValue = 256
	ownBound = math.MaxInt
)

// most is how many bytes the value may have.
func (p *Param) most() int { return cmp.Or(p.Most, maxValue) }

// IsFlag reports whether the parameter stands for true when it has no value.
func (p *Param) IsFlag() bool { return p.Value == "" }

// form is one request of a verb: what its parameters are read into, and what it does.
type form struct {
	params []Param
	fields *fields      // of a spec, whose parameters come behind the first; nil: it takes none
	check  func() error // what no single parameter can tell; nil: nothing
	do     func(context.Context, Manager) (result, error)

	json  bool
	jobID string
	log   *process.LogQuery // of process.log; nil: it is another verb
}

// toggle is a parameter that is true or false.
func toggle(name, help string, to *bool) Param {
	return Param{Name: name, Help: help, set: func(v string) (err error) {
		*to, err = process.ParseBool(v)
		return err
	}}
}

// selected is the parameter for one process or several.
func selected(to *process.Selection) Param {
	return Param{Name: "name", Value: "NAME", Most: ownBound, Help: "name of the process, or several and patterns: a,b,batch-*", Required: true, set: func(v string) (err error) {
		*to, err = process.ParseSelection(v)
		return err
	}}
}

// narrowed is the parameter for those that a verb is about; without it all are. of is what
// the help says before the names.
func narrowed(to *process.Selection, of string) Param {
	p := selected(to)
	p.Required, p.Help = false, of+": names and patterns, a,b,batch-*"
	return p
}

// own are the form's own parameters.
func (f *form) own() []Param {
	if f.fields == nil {
		return f.params
	}
	return slices.Concat(f.params[:1], f.fields.all(), f.params[1:])
}

// all are the form's own parameters and those that every verb takes.
func (f *form) all() []Param {
	common := f.common()
	return slices.Concat(f.own(), common[:])
}

var formats = []string{"json", "text"}

// common are the parameters that every verb takes.
func (f *form) common() [2]Param {
	return [...]Param{
		{Name: "format", Value: "FORMAT", Choices: formats, Help: "json, or text for people (the default)", set: func(v string) error {
			switch v {
			case "json":
				f.json = true
			case "text", "table", "":
			default:
				return fmt.Errorf("%s is not a format: json or text", process.Printable(v))
			}
			return nil
		}},
		{Name: "jobid", Value: "ID", Most: ownBound, old: "job_id", Help: "given back with the answer over the wire; start, restart, trigger and exec record it on the run", set: func(v string) error {
			f.jobID = v
			return process.ValidateJobID(v)
		}},
	}
}

// ignored is a parameter that clients of the earlier implementation send.
var ignored = Param{Name: "id", Value: "NUMBER", set: func(string) error { return nil }}

// param finds a parameter by its name; nil: there is none. Those of fields are many, and are
// made when they are given.
func (f *form) param(name string) *Param {
	if p := paramNamed(f.params, name); p != nil {
		return p
	}
	if f.fields != nil {
		if p := f.fields.named(name); p != nil {
			return p
		}
	}
	common := f.common()
	if p := paramNamed(common[:], name); p != nil {
		return p
	}
	if name == ignored.Name {
		return &ignored
	}
	return nil
}

func paramNamed(all []Param, name string) *Param {
	for i := range all {
		if p := &all[i]; p.Name == name || p.old == name && name != "" {
			return p
		}
	}
	return nil
}

// missing is a parameter that is required and not given; nil: there is none.
func (f *form) missing(given func(name string) bool) *Param {
	for i := range f.params {
		if p := &f.params[i]; p.Required && !given(p.Name) {
			return p
		}
	}
	if f.fields == nil {
		return nil
	}
	return f.fields.missing(given)
}

func (f *form) names() (names []string) {
	for _, p := range f.all() {
		names = append(names, p.Name)
	}
	return names
}

// read reads an action's parameters into a new form of the verb.
func (v *Verb) read(a heroscript.Action) (*form, error) {
	f := v.form(time.Now())
	return f, f.read(v.Name, a)
}

// read reads an action of a verb.
func (f *form) read(verb string, a heroscript.Action) error {
	seen := map[string]heroscript.Pos{}
	for _, given := range a.Params {
		p := f.param(given.Key)
		if p == nil {
			return at(given.Pos, "%s has no parameter %s%s", verb, process.Printable(given.Key), DidYouMean(given.Key, f.names()))
		}
		if first, twice := seen[p.Name]; twice {
			where := ""
			if first != (heroscript.Pos{}) {
				where = ", first at " + first.String()
			}
			return at(given.Pos, "parameter %s is given twice%s", p.Name, where)
		}
		seen[p.Name] = given.Pos
		if given.Flag && !p.IsFlag() && p.Alone == "" {
			return at(given.Pos, "parameter %s needs a value: %s:%s", p.Name, p.Name, p.Value)
		}
		if n := len(given.Value); n > p.most() {
			return at(given.ValuePos, "%s: has %d bytes, at most %d", p.Name, n, p.most())
		}
		if err := p.set(given.Value); err != nil {
			text := strings.TrimPrefix(err.Error(), p.Name+": ")
			return at(given.ValuePos, "%s: %s", p.Name, text)
		}
		if !utf8.ValidString(given.Value) || strings.IndexByte(given.Value, 0) >= 0 { // of a flag: no script holds it
			return at(given.ValuePos, "%s: %s is not UTF-8 without NUL", p.Name, process.Printable(given.Value))
		}
	}
	if p := f.missing(func(name string) bool { _, ok := seen[name]; return ok }); p != nil {
		return at(a.Pos, "%s needs the parameter %s:%s", verb, p.Name, p.Value)
	}
	if f.check == nil {
		return nil
	}
	if err := f.check(); err != nil {
		pos := a.Pos
		if about, _, ok := strings.Cut(err.Error(), ": "); ok && seen[about] != (heroscript.Pos{}) {
			pos = seen[about]
		}
		return at(pos, "%v", err)
	}
	return nil
}

func at(pos heroscript.Pos, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if pos != (heroscript.Pos{}) { // an action that was not written down has no positions
		text = pos.String() + ": " + text
	}
	return process.Errorf(process.CodeInvalid, "%s", text)
}

// NewAction makes an action of a verb and keys with their values, in turn.
func NewAction(verb string, keysAndValues ...string) heroscript.Action {
	actor, name, found := strings.Cut(verb, ".")
	if !found {
		actor, name = "", verb
	}
	a := heroscript.Action{Actor: actor, Name: name}
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		a.Params = append(a.Params, heroscript.Param{Key: keysAndValues[i], Value: keysAndValues[i+1]})
	}
	return a
}
