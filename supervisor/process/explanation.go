package process

import "time"

// Explanation is why a process is as it is, and what one would look at or do next.
type Explanation struct {
	Name  string    `json:"name"`
	State State     `json:"status"`
	Since time.Time `json:"since,omitzero"` // of that state; zero: it is not known
	Says  string    `json:"says"`           // why, in a sentence

	// The run that this is about: the one under way or, if that tells nothing, the last that
	// has ended. 0: there was none.
	Run      uint64 `json:"run,omitempty"`
	Cause    Cause  `json:"cause,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   Signal `json:"signal,omitempty"`

	Facts []Fact `json:"facts"` // what else there is to know

	// The last lines that a run has written, and which run; where they cannot be read, why.
	Output      []string `json:"output,omitempty"`
	OutputRun   uint64   `json:"output_run,omitempty"`
	OutputError string   `json:"output_error,omitempty"`

	Next []Step `json:"next"` // commands, the most useful first
}

// Fact is something about a process.
type Fact struct {
	Topic string `json:"topic"` // a word or two
	Text  string `json:"text"`
}

// Step is a command that one would use next. None ends, deletes or changes anything that
// runs.
type Step struct {
	Command string `json:"command"`
	For     string `json:"for"`
}

// Explained is what was told about one of several processes.
type Explained struct {
	Explanation
	Err error // why there is nothing to tell about Name
}

// MarshalJSON writes the explanation, or the failure.
func (e Explained) MarshalJSON() ([]byte, error) { return marshalOr(e.Name, e.Err, e.Explanation) }

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Explained) UnmarshalJSON(data []byte) error {
	*e = Explained{}
	name, failed, err := unmarshalOr(data, &e.Explanation)
	if failed != nil {
		e.Name, e.Err = name, failed
	}
	return err
}
