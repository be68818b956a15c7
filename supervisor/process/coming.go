package process

import "time"

// Limits on what is told of the times to come.
const (
	MaxComing      = 1000   // of one process
	MaxComingOfAll = 10_000 // of all together: the first of them
)

// Coming is a time of the schedule of a process that is to come.
type Coming struct {
	Name  string
	Time  time.Time
	Start time.Time // when the run begins: with jitter later than Time
	TZ    string    // the zone in which the schedule is read; empty: that of the daemon

	// Why no run begins then: the schedule is paused, or this one time is skipped.
	Paused  bool
	Skipped bool

	Err error // why the times of Name cannot be told; then there is none
}

// coming is a Coming that has a time, in JSON.
type coming struct {
	Name  string    `json:"name"`
	Time  time.Time `json:"time"`
	Start time.Time `json:"start_time"`
	TZ    string    `json:"tz,omitempty"`

	Paused  bool `json:"schedule_paused,omitempty"`
	Skipped bool `json:"skipped,omitempty"`
}

// MarshalJSON writes the time, or the failure.
func (c Coming) MarshalJSON() ([]byte, error) {
	return marshalOr(c.Name, c.Err, coming{c.Name, c.Time.UTC(), c.Start.UTC(), c.TZ, c.Paused, c.Skipped})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Coming) UnmarshalJSON(data []byte) error {
	var is coming
	name, failed, err := unmarshalOr(data, &is)
	*c = Coming{Name: name, Time: is.Time, Start: is.Start, TZ: is.TZ, Paused: is.Paused, Skipped: is.Skipped, Err: failed}
	return err
}
