package process

import (
	"math"
	"time"
)

// Status is what is known about a process at one moment.
type Status struct {
	Name               string  `json:"name"`
	Command            string  `json:"command"`
	State              State   `json:"status"`
	PID                int     `json:"pid"` // of the leader; 0 without one
	Dir                string  `json:"dir,omitempty"`
	Log                bool    `json:"log_enabled"`
	Cron               string  `json:"cron,omitempty"`
	Deadline           int64   `json:"deadline,omitempty"` // whole seconds, rounded up
	DeadlineSeconds    float64 `json:"deadline_seconds,omitempty"`
	StopSignal         Signal  `json:"stop_signal"`
	StopTimeoutSeconds float64 `json:"stop_timeout_seconds"`

	// The limits of the log that were asked for; zero for the default.
	LogMaxSize  int64   `json:"log_max_size,omitempty"` // bytes
	LogMaxFiles int     `json:"log_max_files,omitempty"`
	LogMaxAge   float64 `json:"log_max_age,omitempty"`   // seconds
	LogMaxTotal int64   `json:"log_max_total,omitempty"` // bytes
	LogFull     string  `json:"log_full,omitempty"`      // "block", or empty for drop

	LogDropped uint64 `json:"log_dropped_bytes,omitempty"` // that could not be written, since the daemon's start

	// OutputError is, of a run under way, why its output is not read or not kept just
	// now, and what follows; empty: it is. It is tried again.
	OutputError string `json:"output_error,omitempty"`

	NextTime   time.Time `json:"next_time,omitzero"`   // of the schedule
	MissedTime time.Time `json:"missed_time,omitzero"` // of the schedule: the last at which no daemon ran, until the next run

	// The current run or, at rest, the last one. Number is 0 where there is
	// none: before the first, and between scheduled runs (see LastRun).
	Run

	// CPUPercent is the CPU time used per time passed, 100 being one core,
	// since an earlier reading at least half a second old or, without one,
	// since the start. Absent at rest.
	CPUPercent *float64 `json:"cpu_percent,omitempty"`

	LastRun *Run `json:"last_run,omitempty"` // the last one that ended

	// AlreadyRunning is in the answer to a start that found this run under way, and
	// started nothing.
	AlreadyRunning bool `json:"already_running,omitempty"`
}

// NewStatus is the part of a status that comes from the spec.
func NewStatus(s Spec, state State) Status {
	full := ""
	if s.LogBlock {
		full = "block"
	}
	return Status{
		Name: s.Name, Command: s.Command, State: state, Dir: s.Dir, Log: s.Log, Cron: s.Cron,
		Deadline:           int64(math.Ceil(s.Deadline.Seconds())),
		DeadlineSeconds:    s.Deadline.Seconds(),
		StopSignal:         s.EndSignal(),
		StopTimeoutSeconds: s.Grace().Seconds(),
		LogMaxSize:         s.LogMaxSize,
		LogMaxFiles:        s.LogMaxFiles,
		LogMaxAge:          s.LogMaxAge.Seconds(),
		LogMaxTotal:        s.LogMaxTotal,
		LogFull:            full,
		Run:                Run{JobID: s.JobID},
	}
}

// Run is one execution of a process.
type Run struct {
	Number uint64    `json:"run,omitempty"`
	JobID  string    `json:"job_id,omitempty"`
	Start  time.Time `json:"start_time,omitzero"`
	End    time.Time `json:"end_time,omitzero"` // zero while it lasts
	Uptime float64   `json:"uptime_seconds,omitempty"`

	Cause    Cause  `json:"cause,omitempty"`     // 0 while it lasts
	ExitCode *int   `json:"exit_code,omitempty"` // of the leader, when it exited
	Signal   Signal `json:"signal,omitempty"`    // that ended the leader
	Error    string `json:"error,omitempty"`     // for people: why it failed

	// What the leader left alive when it exited, and what was ended then.
	LeftBehind *LeftBehind `json:"left_behind,omitempty"`

	Usage
}

// LeftBehind is what was alive in a group after its leader had exited.
type LeftBehind struct {
	Count int      `json:"count"`
	Names []string `json:"names"` // at most 16, each once, sorted; the last is "…" if there are more
}

// Usage is what a run's tree has used; its dead count too.
type Usage struct {
	CPU       *int64 `json:"cpu_usec,omitempty"` // µs, user and system
	CPUUser   *int64 `json:"cpu_user_usec,omitempty"`
	CPUSystem *int64 `json:"cpu_system_usec,omitempty"`
	CPUSource Source `json:"cpu_source,omitempty"`

	Memory           *uint64  `json:"memory_bytes,omitempty"` // now
	MemoryMB         *float64 `json:"memory_mb,omitempty"`    // the same in MiB
	MemorySource     Source   `json:"memory_source,omitempty"`
	MemoryPeak       *uint64  `json:"memory_peak_bytes,omitempty"`
	MemoryPeakSource Source   `json:"memory_peak_source,omitempty"`

	IORead   *uint64 `json:"io_read_bytes,omitempty"` // from and to block devices
	IOWrite  *uint64 `json:"io_write_bytes,omitempty"`
	IOSource Source  `json:"io_source,omitempty"`

	Pids       *int   `json:"pids,omitempty"` // alive now
	PidsSource Source `json:"pids_source,omitempty"`
}

// SetMemory fills in the memory figures of now.
func (u *Usage) SetMemory(bytes uint64, source Source) {
	mb := math.Round(float64(bytes)/(1<<20)*1000) / 1000
	u.Memory, u.MemoryMB, u.MemorySource = &bytes, &mb, source
}
