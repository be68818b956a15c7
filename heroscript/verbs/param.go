package verbs

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// Param is a parameter of a verb.
type Param struct {
	Name     string
	Value    string // what the value is, for the help: "SECONDS"; empty for a flag
	Help     string
	Required bool
	Most     int                          // bytes of the value; 0: maxValue
	set      func(*request, string) error // reads the value
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

// request is one action with its parameters read.
type request struct {
	spec  process.Spec
	given int // parameters of the spec that were given
	json  bool
	log   process.LogQuery
	now   time.Time // that lengths of time are counted from

	upgrade uint64 // whose result is asked for
}

// The parameters that every verb takes.
var common = []Param{
	{Name: "format", Value: "FORMAT", Help: "json, or text for people (the default)", set: func(r *request, v string) error {
		switch v {
		case "json":
			r.json = true
		case "text", "":
		default:
			return fmt.Errorf("%s is not a format: json or text", process.Printable(v))
		}
		return nil
	}},
	{Name: "jobid", Value: "ID", Most: ownBound, Help: "given back with the answer over the wire; start and restart record it on the run", set: func(r *request, v string) error {
		r.spec.JobID = v
		return process.ValidateJobID(v)
	}},
}

var nameParam = Param{Name: "name", Value: "NAME", Most: ownBound, Help: "name of the process", Required: true, set: func(r *request, v string) error {
	r.spec.Name = v
	return process.ValidateName(v)
}}

var resultParam = Param{Name: "result", Value: "NUMBER", Help: "begin none, but say how this one ended", set: func(r *request, v string) (err error) {
	if r.upgrade, err = strconv.ParseUint(v, 10, 64); err != nil || r.upgrade == 0 {
		return fmt.Errorf("%s is not the number of an upgrade: 1 or more", process.Printable(v))
	}
	return nil
}}

// specParam is a parameter that stands for a field of the spec, in both
// directions.
type specParam struct {
	Param
	get func(process.Spec) string // empty: the default
}

// specParams are all of a spec but its name and job id.
var specParams = []specParam{
	{Param{Name: "command", Value: "COMMAND", Most: ownBound, Help: "run by /bin/sh -c; may span lines. Without it, the process of that name is started", set: func(r *request, v string) error {
		r.spec.Command = v
		return process.ValidateCommand(v)
	}}, func(s process.Spec) string { return s.Command }},
	{Param{Name: "log", Help: "keep the output in a file", set: func(r *request, v string) (err error) {
		r.spec.Log, err = parseBool(v)
		return err
	}}, func(s process.Spec) string {
		if s.Log {
			return "true"
		}
		return ""
	}},
	{Param{Name: "deadline", Value: "SECONDS", Help: "end the tree this long after the start of a run; fractions allowed", set: func(r *request, v string) (err error) {
		if r.spec.Deadline, err = process.ParseSeconds(v); err == nil && r.spec.Deadline == 0 {
			return fmt.Errorf("0 is not a deadline: leave it out, or give more than 0 seconds")
		}
		return err
	}}, func(s process.Spec) string {
		if s.Deadline == 0 {
			return ""
		}
		return seconds(s.Deadline.Seconds())
	}},
	{Param{Name: "cron", Value: "SCHEDULE", Most: ownBound, Help: "run at these times: five fields, @every 10s, @daily …", set: func(r *request, v string) error {
		r.spec.Cron = v
		return schedule.Validate(v)
	}}, func(s process.Spec) string { return s.Cron }},
	{Param{Name: "log_max_size", Value: "SIZE", Help: "begin the next log file at this size: bytes, or with K, M, G (default 10M, at least 4K)", set: func(r *request, v string) (err error) {
		r.spec.LogMaxSize, err = process.ParseSize(v)
		return err
	}}, func(s process.Spec) string { return unlessZero(s.LogMaxSize) }},
	{Param{Name: "log_max_files", Value: "NUMBER", Help: "log files that are kept (default 5, at most 10000)", set: func(r *request, v string) (err error) {
		r.spec.LogMaxFiles, err = positive(v)
		return err
	}}, func(s process.Spec) string { return unlessZero(int64(s.LogMaxFiles)) }},
	{Param{Name: "log_max_age", Value: "SECONDS", Help: "begin the next log file when this one is so old (default: any age, at least 0.1)", set: func(r *request, v string) (err error) {
		r.spec.LogMaxAge, err = process.ParseSeconds(v)
		return err
	}}, func(s process.Spec) string {
		if s.LogMaxAge == 0 {
			return ""
		}
		return seconds(s.LogMaxAge.Seconds())
	}},
	{Param{Name: "log_max_total", Value: "SIZE", Help: "all log files together, each a quarter at the most (default: what size and number come to, at least 16K)", set: func(r *request, v string) (err error) {
		r.spec.LogMaxTotal, err = process.ParseSize(v)
		return err
	}}, func(s process.Spec) string { return unlessZero(s.LogMaxTotal) }},
	{Param{Name: "log_full", Value: "WHAT", Help: "on a full disk: drop (and count) what is written, or block the writers (default drop)", set: func(r *request, v string) error {
		if v != "drop" && v != "block" {
			return fmt.Errorf("%s is neither drop nor block", process.Printable(v))
		}
		r.spec.LogBlock = v == "block"
		return nil
	}}, func(s process.Spec) string {
		if s.LogBlock {
			return "block"
		}
		return ""
	}},
	{Param{Name: "stop_signal", Value: "SIGNAL", Help: "asks the tree to end (default TERM)", set: func(r *request, v string) (err error) {
		r.spec.StopSignal, err = process.ParseSignal(v)
		return err
	}}, func(s process.Spec) string {
		if s.StopSignal == 0 {
			return ""
		}
		return s.StopSignal.String()
	}},
	{Param{Name: "stop_timeout", Value: "SECONDS", Help: "grace between the stop signal and SIGKILL (default 10)", set: func(r *request, v string) error {
		d, err := process.ParseSeconds(v)
		r.spec.StopTimeout = &d
		return err
	}}, func(s process.Spec) string {
		if s.StopTimeout == nil {
			return ""
		}
		return seconds(s.StopTimeout.Seconds())
	}},
}

func parseBool(v string) (bool, error) {
	yes, err := heroscript.ParseBool(v)
	if err != nil {
		err = fmt.Errorf("%w, found %s", err, process.Printable(v))
	}
	return yes, err
}

func unlessZero(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func positive(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is not a number: 1 or more", process.Printable(v))
	}
	return n, nil
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

func startParams() []Param {
	all := []Param{nameParam}
	for _, p := range specParams {
		set := p.set
		p.set = func(r *request, v string) error { r.given++; return set(r, v) }
		all = append(all, p.Param)
	}
	return all
}

// StartAction is the action that asks for spec.
func StartAction(spec process.Spec) heroscript.Action {
	a := NewAction("process.start", "name", spec.Name)
	for _, p := range specParams {
		if v := p.get(spec); v != "" {
			a.Params = append(a.Params, heroscript.Param{Key: p.Name, Value: v})
		}
	}
	if spec.JobID != "" {
		a.Params = append(a.Params, heroscript.Param{Key: "jobid", Value: spec.JobID})
	}
	return a
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

// bind reads an action's parameters by the verb's table.
func (v *Verb) bind(a heroscript.Action) (*request, error) {
	r := &request{now: time.Now()}
	seen := map[string]heroscript.Pos{}
	for _, given := range a.Params {
		p := v.param(given.Key)
		if p == nil {
			return r, at(given.Pos, "%s has no parameter %s%s", v.Name, process.Printable(given.Key), DidYouMean(given.Key, v.paramNames()))
		}
		if first, twice := seen[p.Name]; twice {
			where := ""
			if first != (heroscript.Pos{}) {
				where = ", first at " + first.String()
			}
			return r, at(given.Pos, "parameter %s is given twice%s", p.Name, where)
		}
		seen[p.Name] = given.Pos
		if given.Flag && !p.IsFlag() {
			return r, at(given.Pos, "parameter %s needs a value: %s:%s", p.Name, p.Name, p.Value)
		}
		if n := len(given.Value); n > p.most() {
			return r, at(given.ValuePos, "%s: has %d bytes, at most %d", p.Name, n, p.most())
		}
		if err := p.set(r, given.Value); err != nil {
			text := strings.TrimPrefix(err.Error(), p.Name+": ")
			return r, at(given.ValuePos, "%s: %s", p.Name, text)
		}
		if !utf8.ValidString(given.Value) || strings.IndexByte(given.Value, 0) >= 0 { // of a flag: no script holds it
			return r, at(given.ValuePos, "%s: %s is not UTF-8 without NUL", p.Name, process.Printable(given.Value))
		}
	}
	for _, p := range v.Params {
		if _, ok := seen[p.Name]; p.Required && !ok {
			return r, at(a.Pos, "%s needs the parameter %s:%s", v.Name, p.Name, p.Value)
		}
	}
	if q := &r.log; v.Takes("follow") {
		if _, from := seen["from"]; !from && *q == (process.LogQuery{Times: q.Times, Follow: q.Follow}) {
			q.Lines = DefaultLogLines
		}
		if err := q.Validate(); err != nil {
			return r, at(a.Pos, "%v", err)
		}
	}
	if r.given > 0 && r.spec.Command == "" {
		return r, at(a.Pos, "%s without a command starts a process that is there, and takes no other parameter: give command:COMMAND, or the name alone", v.Name)
	}
	for _, given := range a.Params {
		if p := v.param(given.Key); strings.HasPrefix(p.Name, "log_") && !r.spec.Log {
			return r, at(given.Pos, "%s is of a log in a file: give log:true too", p.Name)
		}
	}
	if r.spec.Command != "" {
		if err := r.spec.Validate(); err != nil { // what values say together
			return r, at(a.Pos, "%v", err)
		}
	}
	return r, nil
}

func at(pos heroscript.Pos, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if pos != (heroscript.Pos{}) { // an action that was not written down has no positions
		text = pos.String() + ": " + text
	}
	return process.Errorf(process.CodeInvalid, "%s", text)
}
