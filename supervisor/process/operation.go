package process

import (
	"encoding/json"
	"strings"
)

// Operation is what can be asked of a process that exists: one of the types below.
type Operation interface{ operation() }

type (
	// StartAgain starts the process or, with a schedule, lets it wait for its time. One
	// that runs is left alone.
	StartAgain struct {
		JobID string // recorded on the run that this starts
		Wait  Wait
	}

	// Trigger begins a run now, as far as overlap lets it. A schedule stays as it is.
	Trigger struct {
		JobID string // recorded on that run
		Wait  Wait
	}

	// Stop ends the whole tree, and what would have started it.
	Stop struct{}

	// Restart ends the whole tree and starts the next run.
	Restart struct {
		JobID string // recorded on that run
		Wait  Wait
	}

	// Pause has the whole tree stand still; its deadline's clock stands still with it.
	Pause struct{}

	// Resume has it go on.
	Resume struct{}

	// Delete ends the whole tree and forgets the process, its history and its logs.
	Delete struct{}

	// SendSignal sends a signal to the leader, or to the whole tree.
	SendSignal struct {
		Signal Signal
		Tree   bool
	}

	// Set changes fields of the definition.
	Set struct{ Settings []Setting }

	// SchedulePause lets the times of the schedule pass without a run, until ScheduleResume.
	// What runs is left alone.
	SchedulePause struct{}

	// ScheduleResume has a schedule that was paused go on with its next time.
	ScheduleResume struct{}

	// SkipNext lets the next time of the schedule pass without a run. Asked for twice it is
	// the same time.
	SkipNext struct{}
)

func (StartAgain) operation() {}
func (Trigger) operation()    {}
func (Stop) operation()       {}
func (Restart) operation()    {}
func (Pause) operation()      {}
func (Resume) operation()     {}
func (Delete) operation()     {}
func (SendSignal) operation() {}
func (Set) operation()        {}

func (SchedulePause) operation()  {}
func (ScheduleResume) operation() {}
func (SkipNext) operation()       {}

// Wait is how far a start has to come before it is answered.
type Wait string

// What can be waited for.
const (
	WaitStart Wait = ""      // the leader is there
	WaitReady Wait = "ready" // the run is ready, or has ended before: that is an error
	WaitEnd   Wait = "end"   // the run has ended, well or not
)

// How says how a process is started that is given with its definition.
type How struct {
	Replace bool // its definition takes the place of another one
	Wait    Wait
}

// Setting is a field by its name, and what it is to be, as [Field.Set] reads it. Empty is
// the default.
type Setting struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// With is s with other settings. The error is an [Error] with code invalid.
func (s Spec) With(settings []Setting) (Spec, error) {
	for _, set := range settings {
		f := FieldNamed(set.Field)
		if f == nil {
			return s, Errorf(CodeInvalid, "there is no field %s", Printable(set.Field))
		}
		if err := f.Set(&s, set.Value); err != nil {
			return s, named(f.Name, err)
		}
	}
	return s, s.Validate()
}

// Outcome is what an operation, or a look, gave for one process.
type Outcome struct {
	Name   string
	Status Status // empty where the process was deleted
	Source string // of one that was deleted: the file that has defined it; empty: none
	Err    error
}

// deleted is the outcome of a delete in JSON.
type deleted struct {
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
	Source  string `json:"source,omitempty"`
}

// Failure is the JSON form of an error.
type Failure struct {
	Name  string `json:"name,omitempty"` // of the process, where there are several
	Error string `json:"error"`
	Code  Code   `json:"code"`
}

// failureOf is what failed about one of several processes.
func failureOf(name string, err error) Failure {
	f := NewFailure(err)
	f.Name = name
	return f
}

// marshalOr writes what is there of a process or, if that has failed, why.
func marshalOr(name string, err error, is any) ([]byte, error) {
	if err != nil {
		return json.Marshal(failureOf(name, err))
	}
	return json.Marshal(is)
}

// unmarshalOr reads what marshalOr writes.
func unmarshalOr(data []byte, is any) (name string, failed, err error) {
	var f Failure
	if err := json.Unmarshal(data, &f); err != nil {
		return "", nil, err
	}
	if f.Code != "" {
		return f.Name, f.Err(), nil
	}
	return f.Name, nil, json.Unmarshal(data, is)
}

// Err is the typed error that f stands for.
func (f Failure) Err() error { return &Error{Code: f.Code, Message: f.Error} }

// MarshalJSON writes the status, or what there is instead.
func (o Outcome) MarshalJSON() ([]byte, error) { return o.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON writes, without a copy of the outcome.
func (o *Outcome) AppendJSON(b []byte) ([]byte, error) {
	var instead any
	switch {
	case o.Err != nil:
		instead = failureOf(o.Name, o.Err)
	case o.Status.Name == "":
		instead = deleted{o.Name, true, o.Source}
	default:
		return o.Status.AppendJSON(b)
	}
	text, err := json.Marshal(instead)
	return append(b, text...), err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Outcome) UnmarshalJSON(data []byte) error {
	var is struct {
		Failure
		Deleted bool   `json:"deleted"`
		Source  string `json:"source"`
	}
	if err := json.Unmarshal(data, &is); err != nil {
		return err
	}
	*o = Outcome{Name: is.Name}
	switch {
	case is.Code != "":
		o.Err = is.Err()
	case !is.Deleted:
		return o.Status.UnmarshalJSON(data)
	default:
		o.Source = is.Source
	}
	return nil
}

// FieldNames are the names of fields, for people.
func FieldNames(fields []*Field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}
