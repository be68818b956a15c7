package process

import "time"

// WaitFor says what of a process is waited for.
type WaitFor struct {
	Until Until

	// Runs are the numbers of the runs that are waited for, one for each process that is
	// selected, in their order. None, or 0: as [Until] says.
	Runs []uint64

	Timeout time.Duration // after that the wait is an error with the code time_over; 0: it has no end
}

// Until is how far a process has to come.
//
// A process that is at rest after a run has that result at once. For one that never ran the
// first run is waited for.
type Until string

// What can be waited for.
const (
	UntilEnd     Until = "end"     // the run under way has ended, well or not; between two runs: the next one has
	UntilStopped Until = "stopped" // the process is at rest: no attempt follows by itself
	UntilReady   Until = "ready"   // a run is ready; that the process comes to rest before is an error
	UntilHealthy Until = "healthy" // a run is ready, and its health probe has succeeded; else as ready
)

// Untils are all there are.
var Untils = []string{string(UntilEnd), string(UntilReady), string(UntilStopped), string(UntilHealthy)}

// Run is the number that the process at a place of the selection is waited for with; 0: none.
func (w WaitFor) Run(i int) uint64 {
	if i < len(w.Runs) {
		return w.Runs[i]
	}
	return 0
}

// Waited is what a wait for one process gave.
type Waited struct {
	Name  string
	State State // of the process
	PID   int   // of the leader of a run under way
	Run         // that has ended, or is ready
	Err   error // why the wait came to nothing; then there is no run
}

// waited is a Waited that has a run, in JSON.
type waited struct {
	Name  string `json:"name"`
	State State  `json:"status"`
	PID   int    `json:"pid,omitempty"`
	*Run
}

// MarshalJSON writes the run, with the names that a status has, or the failure.
func (w Waited) MarshalJSON() ([]byte, error) {
	return marshalOr(w.Name, w.Err, waited{w.Name, w.State, w.PID, &w.Run})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (w *Waited) UnmarshalJSON(data []byte) (err error) {
	*w = Waited{}
	is := waited{Run: &w.Run}
	w.Name, w.Err, err = unmarshalOr(data, &is)
	w.State, w.PID = is.State, is.PID
	return err
}

// Awaits is the number of the run that who waits for an end waits for: the one under way, the
// last one of a process at rest, or the next.
func (s *Status) Awaits() uint64 {
	last := s.Ended().Number
	switch {
	case s.State.AtRest() && last > 0:
		return last
	case s.Number > 0 && s.End.IsZero():
		return s.Number
	}
	return last + 1
}
