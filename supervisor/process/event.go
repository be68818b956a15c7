package process

import "time"

// Event is one change, told once. Its number is one more than that of the event before.
type Event struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Name  string    `json:"name"` // of the process
	Kind  EventKind `json:"event"`
	JobID string    `json:"job_id,omitempty"`

	Run      uint64 `json:"run,omitempty"`
	PID      int    `json:"pid,omitempty"`   // of the leader
	Cause    Cause  `json:"cause,omitempty"` // why the run ends, or ended
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   Signal `json:"signal,omitempty"` // that ended the leader
	Error    string `json:"error,omitempty"`

	Fields []string `json:"fields,omitempty"` // that were changed

	NextAttempt time.Time `json:"next_attempt_time,omitzero"`
	Restarts    int       `json:"restarts,omitempty"` // that were made, with the one that begins

	Asked Asked `json:"asked,omitzero"` // of starting: who asked for the run
}

// EventKind says what changed.
type EventKind string

// The kinds.
const (
	EventDefined   EventKind = "defined"   // there is a new process
	EventChanged   EventKind = "changed"   // its definition
	EventWaiting   EventKind = "waiting"   // a run is to begin when what it needs is there
	EventStarting  EventKind = "starting"  // a run has its number
	EventStarted   EventKind = "started"   // its leader was spawned
	EventReady     EventKind = "ready"     // a run is ready, that was waited for
	EventUnhealthy EventKind = "unhealthy" // a run is not well
	EventHealthy   EventKind = "healthy"   // it is again
	EventStopping  EventKind = "stopping"  // a tree is being ended by request, or for what it did
	EventEnded     EventKind = "ended"     // of a run nobody is left
	EventBackoff   EventKind = "backoff"   // another run follows by itself, at a time
	EventGaveUp    EventKind = "gave_up"   // none does any more: the limit of restarts is reached
	EventDeleted   EventKind = "deleted"   // the process is no more
)

// EventQuery says which events to give.
type EventQuery struct {
	Since  uint64 // those with a higher number
	Name   Selection
	Follow bool // go on with what comes
}
