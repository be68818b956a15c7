package process

import "fmt"

// State is where a process is in its life.
type State uint8

// The states. The last three are at rest. They are stored and sent as text.
const (
	Scheduled State = iota + 1 // waits for its cron time
	Waiting                    // for what it needs
	Backoff                    // its last run has ended by itself, and the next attempt comes
	Starting                   // a run is not ready yet
	Running                    // a run is ready
	Paused                     // its tree stands still, by request
	Stopping                   // the tree is being ended
	Stopped                    // at rest: asked to stop
	Completed                  // at rest: the leader exited with a code that counts as success
	Failed                     // at rest: anything else
)

var stateNames = names[State]{"state", []string{
	Scheduled: "scheduled", Waiting: "waiting", Backoff: "backoff", Starting: "starting", Running: "running", Paused: "paused", Stopping: "stopping",
	Stopped: "stopped", Completed: "completed", Failed: "failed",
}}

// AtRest reports whether nothing runs and nothing will by itself.
func (s State) AtRest() bool { return s >= Stopped }

func (s State) String() string                { return stateNames.text(s) }
func (s State) MarshalText() ([]byte, error)  { return stateNames.marshal(s) }
func (s *State) UnmarshalText(b []byte) error { return stateNames.unmarshal(s, b) }

// Cause is why a run ended. Every ended run has exactly one.
type Cause uint8

// The causes.
const (
	CauseExit      Cause = iota + 1 // the leader exited by itself
	CauseSignal                     // the leader was ended by a signal that we did not send
	CauseStop                       // stop, restart or delete was asked for
	CauseShutdown                   // the daemon's own end
	CauseDeadline                   // the run's deadline passed
	CauseOOM                        // the kernel's out-of-memory killer
	CauseStart                      // it could not be started, or was not ready in time
	CauseLost                       // it ended while nobody could see it and no status was kept
	CauseUnhealthy                  // its health probe failed, or its watchdog was not fed
	CauseReplaced                   // the next run took its place
)

var causeNames = names[Cause]{"cause", []string{
	CauseExit: "exit", CauseSignal: "signal", CauseStop: "stop", CauseShutdown: "shutdown",
	CauseDeadline: "deadline", CauseOOM: "oom", CauseStart: "start", CauseLost: "lost",
	CauseUnhealthy: "unhealthy", CauseReplaced: "replaced",
}}

func (c Cause) String() string                { return causeNames.text(c) }
func (c Cause) MarshalText() ([]byte, error)  { return causeNames.marshal(c) }
func (c *Cause) UnmarshalText(b []byte) error { return causeNames.unmarshal(c, b) }

// NotifiedState is what a run says of itself by sd_notify, as long as it holds. Empty:
// nothing out of the ordinary.
type NotifiedState string

// The states that a run says it is in.
const (
	NotifiedReloading NotifiedState = "reloading"
	NotifiedStopping  NotifiedState = "stopping"
)

// Source says where a figure was read.
type Source uint8

// The sources.
const (
	SourceCgroup Source = iota + 1 // the group's own files: the kernel counted the tree
	SourceProc                     // added up from /proc over the group's pids
)

var sourceNames = names[Source]{"source", []string{SourceCgroup: "cgroup", SourceProc: "proc"}}

func (s Source) String() string                { return sourceNames.text(s) }
func (s Source) MarshalText() ([]byte, error)  { return sourceNames.marshal(s) }
func (s *Source) UnmarshalText(b []byte) error { return sourceNames.unmarshal(s, b) }

// names is the text form of an enumeration whose values count from 1; the
// zero value has no text.
type names[T ~uint8] struct {
	kind string
	of   []string
}

func (n names[T]) text(v T) string {
	if int(v) < len(n.of) {
		return n.of[v]
	}
	return fmt.Sprintf("%s(%d)", n.kind, v)
}

func (n names[T]) marshal(v T) ([]byte, error) {
	if int(v) >= len(n.of) {
		return nil, fmt.Errorf("no such %s: %d", n.kind, v)
	}
	return []byte(n.of[v]), nil
}

func (n names[T]) unmarshal(v *T, b []byte) error {
	for i, name := range n.of {
		if name == string(b) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("no such %s: %q", n.kind, b)
}
