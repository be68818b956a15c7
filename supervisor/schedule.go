package supervisor

import (
	"errors"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxNap bounds how long a schedule sleeps without a look at the clock: Go's
// timers do not follow the wall clock when it is stepped.
const maxNap = time.Minute

// parseSchedule reads a cron expression. What one is says process.ValidateCron.
func parseSchedule(expr string, now time.Time) (cron.Schedule, error) {
	if err := process.ValidateCron(expr); err != nil {
		return nil, err
	}
	s, err := cron.ParseStandard(expr)
	// A time may be one that the clocks of a zone leave out each year, or 29 February
	// when the next is that of 2104.
	if err == nil && s.Next(now).IsZero() {
		err = errors.New("that time does not come within five years")
	}
	if err != nil {
		return nil, process.Errorf(process.CodeInvalid, "cron: %s: %v", process.Printable(expr), err)
	}
	return s, nil
}

// due is the time of the schedule that comes next, given what was next before.
// A clock that was stepped back makes it earlier, never later.
func due(s cron.Schedule, before, now time.Time) time.Time {
	next := s.Next(now)
	if !before.IsZero() && (next.IsZero() || before.Before(next)) {
		return before
	}
	return next
}

// lastBefore is the last time of the schedule up to now, given an earlier one.
func lastBefore(s cron.Schedule, earlier, now time.Time) time.Time {
	// A schedule of seconds over a year is too many to count: begin near the end.
	const near = 32 * 24 * time.Hour
	if from := now.Add(-near); earlier.Before(from) {
		if t := s.Next(from); !t.IsZero() && !t.After(now) {
			earlier = t
		}
	}
	for {
		next := s.Next(earlier)
		if next.IsZero() || next.After(now) {
			return earlier
		}
		earlier = next
	}
}

// nap is how long to sleep until next.
func nap(next, now time.Time) time.Duration {
	return min(max(next.Sub(now), 0), maxNap)
}
