package process

import "time"

// Event is one change, told once. Its number is one more than that of the event before.
//
// One of kind [EventGone] is no change, and has neither number nor time nor name: it tells a
// reader how many it has missed.
type Event struct {
	Seq   uint64    `json:"seq,omitempty"`
	Time  time.Time `json:"time,omitzero"`
	Name  string    `json:"name,omitempty"` // of the process
	Kind  EventKind `json:"event"`
	Gone  uint64    `json:"gone,omitempty"` // how many are not kept any more
	JobID string    `json:"job_id,omitempty"`

	Run      uint64 `json:"run,omitempty"`
	PID      int    `json:"pid,omitempty"`   // of the leader
	Cause    Cause  `json:"cause,omitempty"` // why the run ends, or ended
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   Signal `json:"signal,omitempty"` // that ended the leader
	Error    string `json:"error,omitempty"`

	Fields []string `json:"fields,omitempty"` // that were changed

	NextAttempt time.Time `json:"next_attempt_time,omitzero"`
	SkipTime    time.Time `json:"skip_time,omitzero"` // of skip_next: the one that passes without a run
	Restarts    int       `json:"restarts,omitempty"` // that were made, with the one that begins

	Asked Asked `json:"asked,omitzero"` // of starting: who asked for the run

	OOM    *OOM      `json:"oom,omitempty"`            // of oom: all that is known by then
	Limit  LimitName `json:"limit,omitempty"`          // of limited: which
	Times  uint64    `json:"times,omitempty"`          // of oom and limited: how often, since the event of this kind before
	Waited float64   `json:"waited_seconds,omitempty"` // of limited, by cpu_max and io_max: for how long, the same
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
	EventPaused    EventKind = "paused"    // the tree of a run stands still
	EventResumed   EventKind = "resumed"   // it goes on
	EventOOM       EventKind = "oom"       // the kernel has ended processes of a tree for lack of memory
	EventLimited   EventKind = "limited"   // a tree has met one of its limits
	EventStopping  EventKind = "stopping"  // a tree is being ended by request, or for what it did
	EventEnded     EventKind = "ended"     // of a run nobody is left
	EventBackoff   EventKind = "backoff"   // another run follows by itself, at a time
	EventGaveUp    EventKind = "gave_up"   // none does any more: the limit of restarts is reached
	EventDeleted   EventKind = "deleted"   // the process is no more

	EventSchedulePaused  EventKind = "schedule_paused"  // times of its schedule pass without a run
	EventScheduleResumed EventKind = "schedule_resumed" // they do not any more
	EventSkipNext        EventKind = "skip_next"        // one time of its schedule is to

	EventNotified     EventKind = "notified"      // on_failure was run for a run that failed, and exited 0
	EventNotifyFailed EventKind = "notify_failed" // it was not, or did not

	EventGone EventKind = "gone" // of those that were asked for, so many are not kept any more
)

// LimitName is the field that sets a limit which a tree can meet and go on.
type LimitName string

// The limits of which is told that they were met.
const (
	LimitMemoryHigh LimitName = "memory_high" // the tree was slowed, and memory was taken from it
	LimitPids       LimitName = "pids_max"    // forks were refused
	LimitCPU        LimitName = "cpu_max"     // it waited for CPU time that it would have had
	LimitIO         LimitName = "io_max"      // it waited for its disks more than a tenth of the time
)

// HasFailed reports whether it tells of a failure: a run that failed, is not well or was ended in
// part for lack of memory, a policy that gave up, somebody who could not be told of a failure.
func (e *Event) HasFailed() bool {
	switch e.Kind {
	case EventEnded:
		return HasFailed(e.Cause, e.Error)
	case EventGaveUp, EventUnhealthy, EventNotifyFailed, EventOOM:
		return true
	}
	return false
}

// EventQuery says which events to give.
type EventQuery struct {
	Since  uint64    // those with a higher number; 0: all that are kept
	Time   time.Time // instead: from the first on that is not older; zero: by number
	Name   Selection // of these; empty: of all
	Failed bool      // those that tell of a failure
	Last   int       // so many of the last of those that there are at most; 0: all
	Follow bool      // go on with what comes
}

// Has reports whether an event is among those of the selection, wherever it stands.
func (q *EventQuery) Has(e *Event) bool {
	return q.Name.Has(e.Name) && (!q.Failed || e.HasFailed())
}

// GoOn has q begin behind an event that was told.
func (q *EventQuery) GoOn(e *Event) {
	if q.Time, q.Last = (time.Time{}), 0; e.Kind == EventGone {
		q.Since += e.Gone
	} else {
		q.Since = e.Seq
	}
}
