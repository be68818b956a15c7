package process

import (
	"encoding/json"
	"time"
)

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
	if c.Err != nil {
		return json.Marshal(failureOf(c.Name, c.Err))
	}
	return json.Marshal(coming{c.Name, c.Time.UTC(), c.Start.UTC(), c.TZ, c.Paused, c.Skipped})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Coming) UnmarshalJSON(data []byte) error {
	var failed Failure
	if err := json.Unmarshal(data, &failed); err != nil {
		return err
	}
	if failed.Code != "" {
		*c = Coming{Name: failed.Name, Err: failed.Err()}
		return nil
	}
	var read coming
	err := json.Unmarshal(data, &read)
	*c = Coming{Name: read.Name, Time: read.Time, Start: read.Start, TZ: read.TZ, Paused: read.Paused, Skipped: read.Skipped}
	return err
}
