package process

import "encoding/json"

// SourceCommand is what a status says of a process that a command has defined, not a file.
const SourceCommand = "command"

// File is a file of definitions, as it was read.
type File struct {
	Path string // how people know it; "-" is standard input
	Text string
}

// Application is the definitions that are to hold from now on.
type Application struct {
	Path    string // of the file, or of the folder of Files; empty: the daemon's own folder, which it reads itself
	Files   []File
	Prune   bool // what Path had defined and does not any more is stopped and deleted
	DryRun  bool // nothing is changed
	Restart bool // what runs and does not follow its definition is restarted
}

// ApplyAction says what an apply did about a process.
type ApplyAction string

// What it can do.
const (
	ApplyNew       ApplyAction = "new"       // defined and, with autostart or a schedule, started
	ApplyChanged   ApplyAction = "changed"   // what runs of it follows, or nothing does
	ApplyWaits     ApplyAction = "waits"     // what runs of it does not follow, until it is restarted
	ApplyRestarted ApplyAction = "restarted" // for that reason
	ApplyTaken     ApplyAction = "taken"     // it was defined elsewhere, with the same definition
	ApplyUnchanged ApplyAction = "unchanged"
	ApplyDeleted   ApplyAction = "deleted" // by prune
)

// Applied is what an apply did, or would do, about one process.
type Applied struct {
	Name   string      `json:"name"`
	Action ApplyAction `json:"action"`

	Fields          []string `json:"fields,omitempty"`            // of the definition that were changed
	WaitsForRestart []string `json:"waits_for_restart,omitempty"` // and those that what runs does not follow, or did not
	Source          string   `json:"source,omitempty"`            // the file
	TakenFrom       string   `json:"taken_from,omitempty"`        // who had defined it: another file, or SourceCommand

	State State  `json:"status,omitempty"` // afterwards
	Run   uint64 `json:"run,omitempty"`    // under way
	PID   int    `json:"pid,omitempty"`

	Err error `json:"-"` // why it could not be done
}

// failedToApply is an Applied that failed, in JSON.
type failedToApply struct {
	*plainApplied
	Error string `json:"error,omitempty"`
	Code  Code   `json:"code,omitempty"`
}

type plainApplied Applied

// MarshalJSON writes what was to be done too where it failed.
func (a Applied) MarshalJSON() ([]byte, error) {
	out := failedToApply{plainApplied: (*plainApplied)(&a)}
	if a.Err != nil {
		f := NewFailure(a.Err)
		out.Error, out.Code = f.Error, f.Code
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Applied) UnmarshalJSON(data []byte) error {
	in := failedToApply{plainApplied: (*plainApplied)(a)}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.Code != "" {
		a.Err = &Error{Code: in.Code, Message: in.Error}
	}
	return nil
}

// Exported is the definition of a process as heroscript.
type Exported struct {
	Name string
	Text string // one action; what is secret is in it
	Err  error  // why there is none
}

// exported is an Exported in JSON.
type exported struct {
	Name string `json:"name"`
	Text string `json:"definition"`
}

// MarshalJSON writes the definition, or the failure.
func (e Exported) MarshalJSON() ([]byte, error) {
	return marshalOr(e.Name, e.Err, exported{e.Name, e.Text})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Exported) UnmarshalJSON(data []byte) (err error) {
	var is exported
	e.Name, e.Err, err = unmarshalOr(data, &is)
	e.Text = is.Text
	return err
}
