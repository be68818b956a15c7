package process

import (
	"context"
	"time"
)

// Asked is who asked for a run. What is stored by programs that did not note it has none.
type Asked struct {
	By AskedBy `json:"by"`

	UID  *int   `json:"uid,omitempty"`  // of a client: its user, where the connection tells
	Over string `json:"over,omitempty"` // of a client whose user nobody knows: OverTCP

	Time  time.Time `json:"time,omitzero"`   // of a schedule: for which the run is
	Count int       `json:"count,omitempty"` // of a restart: how many there were, with this one, since a start was last asked for
	Name  string    `json:"name,omitempty"`  // of a need: the process that needs this one
}

// OverTCP is said of a client that came over TCP, which tells of no user.
const OverTCP = "tcp"

// AskedBy is what asked for a run. Empty: it is not known.
type AskedBy string

// What can ask for a run.
const (
	ByRequest  AskedBy = "request"  // a client asked for a start or a restart
	ByApply    AskedBy = "apply"    // definitions were loaded
	BySchedule AskedBy = "schedule" // its time came
	ByCatchUp  AskedBy = "catchup"  // its time had come while nobody was there
	ByTrigger  AskedBy = "trigger"  // a client asked for a scheduled run out of its time
	ByRestart  AskedBy = "restart"  // the restart policy
	ByBoot     AskedBy = "boot"     // the daemon or the machine started
	ByNeed     AskedBy = "need"     // another process was started that needs this one
)

// Caller is the client that a request came from. The zero Caller is the daemon itself.
type Caller struct {
	UID  *int   // its user; nil: nobody knows
	Over string // OverTCP where that is why
}

// Asks is what the caller asks for in a way.
func (c Caller) Asks(by AskedBy) Asked { return Asked{By: by, UID: c.UID, Over: c.Over} }

type callerKey struct{}

// WithCaller is ctx of a request that came from c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is the client whose request ctx is of.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
