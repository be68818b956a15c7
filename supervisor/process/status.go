package process

import (
	"encoding/json"
	"math"
	"time"
)

// Status is what is known about a process at one moment.
type Status struct {
	Spec // with the working directory, signal and grace that hold
	Condition
	Run // the current one or, at rest, the last one. Number is 0 where there is none
}

// Condition is how a process is at one moment.
type Condition struct {
	State State `json:"status"`
	PID   int   `json:"pid"` // of the leader; 0 without one

	// ErrorCode is what kind of failure the error of the status is where it is not that of a
	// run: invalid, the definition cannot be carried out; store, a run could not be put on
	// disk, and was not begun.
	ErrorCode Code `json:"error_code,omitempty"`

	Source string `json:"source,omitempty"` // who has defined it: the path of a file, or SourceCommand

	LogDropped uint64 `json:"log_dropped_bytes,omitempty"` // that could not be written, since the daemon's start

	// OutputError is, of a run under way, why its output is not read or not kept just
	// now, and what follows; empty: it is. It is tried again.
	OutputError string `json:"output_error,omitempty"`

	// Notified is what the run that is under way says of itself by sd_notify, and
	// StatusText its own words.
	Notified   NotifiedState `json:"notified,omitempty"`
	StatusText string        `json:"status_text,omitempty"`

	NextTime   time.Time `json:"next_time,omitzero"`   // of the schedule
	MissedTime time.Time `json:"missed_time,omitzero"` // of the schedule: the last at which no daemon ran, until the next run

	SchedulePaused bool      `json:"schedule_paused,omitempty"`
	SkipTime       time.Time `json:"skip_time,omitzero"`    // of the schedule: it passes without a run on request; NextTime is behind it
	ToCatchUp      int       `json:"to_catch_up,omitempty"` // times that were missed and are still to be caught up

	NextAttempt time.Time `json:"next_attempt_time,omitzero"` // in backoff: when the next run is tried
	Restarts    int       `json:"restarts,omitempty"`         // runs that followed by themselves, since a start was last asked for

	// CPUPercent is the CPU time used per time passed, 100 being one core,
	// since an earlier reading at least half a second old or, without one,
	// since the start. Absent at rest.
	CPUPercent *float64 `json:"cpu_percent,omitempty"`

	// CPUPercentSinceStart is the same since the run began. Absent at rest.
	CPUPercentSinceStart *float64 `json:"cpu_percent_since_start,omitempty"`

	LastRun *Run `json:"last_run,omitempty"` // the last one that ended

	// AlreadyRunning is in the answer to a start that found this run under way, and
	// started nothing.
	AlreadyRunning bool `json:"already_running,omitempty"`

	// Ready says, of a run under way whose readiness is waited for, whether it is.
	Ready      *bool     `json:"ready,omitempty"`
	ReadyTime  time.Time `json:"ready_time,omitzero"`   // since when
	ReadyError string    `json:"ready_error,omitempty"` // why not yet: the last words of its probe
	Health     *Health   `json:"health,omitempty"`      // of a run that is ready and looked after

	// Result is how the last run has ended of a process that waits for its time: Completed,
	// Failed or Stopped.
	Result State `json:"result,omitempty"`

	// Runs are all that are under way, the oldest first, where several may be at once. The
	// last of them is the one of which the other fields tell.
	Runs []RunUnderWay `json:"runs,omitempty"`

	// Queued is a run that is to begin when what goes on has ended.
	Queued *QueuedRun `json:"queued,omitempty"`

	// Signalled is in the answer to a signal: how many kernel processes it was sent to.
	Signalled int `json:"signalled,omitempty"`

	// WaitsForRestart are the fields that were changed and that the tree which runs does
	// not follow yet.
	WaitsForRestart []string `json:"waits_for_restart,omitempty"`

	WaitsFor []Awaited `json:"waits_for,omitempty"` // of those that it needs, in waiting
	NeededBy []string  `json:"needed_by,omitempty"` // who needs it
}

// RunUnderWay is one of several runs that go on side by side.
type RunUnderWay struct {
	State State `json:"status"`
	PID   int   `json:"pid"`

	CPUPercent           *float64 `json:"cpu_percent,omitempty"`
	CPUPercentSinceStart *float64 `json:"cpu_percent_since_start,omitempty"`

	Run
}

// QueuedRun is a run that is to begin.
type QueuedRun struct {
	Time   time.Time `json:"time,omitzero"` // of the schedule; zero: it was asked for
	Reason string    `json:"reason,omitempty"`
}

// Health is how a run is.
type Health struct {
	State    HealthState `json:"state"`
	Failures int         `json:"failures,omitempty"` // probes that failed, one behind the other
	Error    string      `json:"error,omitempty"`    // the last words of the last of them
}

// HealthState is what is known of it.
type HealthState string

// The states.
const (
	HealthUnknown   HealthState = "unknown" // no probe has succeeded yet
	HealthHealthy   HealthState = "healthy" // or it has not failed often enough
	HealthUnhealthy HealthState = "unhealthy"
)

// RunRecord is a run in the history of its process.
type RunRecord struct {
	Name string
	Run
	Err error // why the history of Name cannot be told; then there is no run
}

// recorded is a RunRecord that has a run, in JSON.
type recorded struct {
	Name string `json:"name"`
	*Run
}

// MarshalJSON writes the run, or the failure.
func (r RunRecord) MarshalJSON() ([]byte, error) {
	return marshalOr(r.Name, r.Err, recorded{r.Name, &r.Run})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *RunRecord) UnmarshalJSON(data []byte) (err error) {
	*r = RunRecord{}
	r.Name, r.Err, err = unmarshalOr(data, &recorded{Run: &r.Run})
	return err
}

// NewStatus is the part of a status that comes from the spec. A status is shown: of
// variables it has the names alone.
func NewStatus(s Spec, state State) Status {
	for i := range Fields {
		Fields[i].hide(&s)
	}
	job := s.JobID
	s.JobID, s.StopSignal, s.StopTimeout = "", s.EndSignal(), new(s.Grace())
	return Status{Spec: s, Condition: Condition{State: state}, Run: Run{JobID: job}}
}

// Ended is the run that ended last; its number is 0 if there was none.
func (s *Status) Ended() Run {
	switch {
	case s.LastRun != nil:
		return *s.LastRun
	case !s.Run.End.IsZero():
		return s.Run
	}
	return Run{}
}

// facts are what a status has beside its spec, as one JSON object.
type facts struct {
	Deadline int64 `json:"deadline,omitempty"` // whole seconds, rounded up: what the first clients read
	*Condition
	*Run
}

// MarshalJSON writes one object: the spec's fields, then the others.
func (s Status) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON writes, without a copy of the status.
func (s *Status) AppendJSON(b []byte) ([]byte, error) {
	rest, err := json.Marshal(facts{int64(math.Ceil(s.Spec.Deadline.Seconds())), &s.Condition, &s.Run})
	if err != nil {
		return nil, err
	}
	b = s.Spec.append(b, (*Field).shownJSON)
	return append(append(b[:len(b)-1], ','), rest[1:]...), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Status) UnmarshalJSON(data []byte) error {
	if err := s.Spec.UnmarshalJSON(data); err != nil {
		return err
	}
	return json.Unmarshal(data, &facts{Condition: &s.Condition, Run: &s.Run})
}

// Run is one execution of a process.
type Run struct {
	Number uint64    `json:"run,omitempty"`
	JobID  string    `json:"job_id,omitempty"`
	Asked  Asked     `json:"asked,omitzero"` // who asked for it
	Start  time.Time `json:"start_time,omitzero"`
	End    time.Time `json:"end_time,omitzero"` // zero while it lasts
	Uptime float64   `json:"uptime_seconds,omitempty"`
	Paused float64   `json:"paused_seconds,omitempty"` // how long of that its tree was made to stand still

	// Stopping is how long the tree took to go, where its end was asked for or enforced: from
	// the first signal until nobody was left. Absent while it lasts.
	Stopping float64 `json:"stopping_seconds,omitempty"`

	Cause    Cause  `json:"cause,omitempty"`     // 0 while it lasts
	ExitCode *int   `json:"exit_code,omitempty"` // of the leader, when it exited
	Signal   Signal `json:"signal,omitempty"`    // that ended the leader
	Error    string `json:"error,omitempty"`     // for people: why it failed

	// What the leader left alive when it exited, and what was ended then.
	LeftBehind *LeftBehind `json:"left_behind,omitempty"`

	OOM *OOM `json:"oom,omitempty"` // whom the kernel ended for lack of memory; nil: nobody, or it is not counted

	Usage
}

// LeftBehind is what was alive in a group after its leader had exited.
type LeftBehind struct {
	Count int      `json:"count"`
	Names []string `json:"names"` // at most 16, each once, sorted; the last is "…" if there are more
}
