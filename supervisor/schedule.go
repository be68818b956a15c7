package supervisor

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxNap bounds how long a schedule sleeps without a look at the clock: Go's
// timers do not follow the wall clock when it is stepped.
const maxNap = time.Minute

// parseSchedule reads a cron expression: five fields, a descriptor (@daily), or
// @every, with a zone (CRON_TZ=Europe/Brussels) in front of it if need be. What the
// parser would read as something else than is written is refused.
func parseSchedule(expr string, now time.Time) (s cron.Schedule, err error) {
	refuse := func(why string) (cron.Schedule, error) {
		return nil, process.Errorf(process.CodeInvalid, "cron: %s: %s", process.Printable(expr), why)
	}
	spec := expr
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		zone, rest, found := strings.Cut(expr, " ")
		switch {
		case strings.HasSuffix(zone, "="):
			return refuse("the zone is empty: name one, such as UTC or Europe/Brussels")
		case !found: // the parser would panic
			return refuse("a zone without a schedule")
		}
		spec = strings.TrimSpace(rest)
	}
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(every))
		if err == nil && (d < time.Second || d%time.Second != 0) {
			return refuse("an interval has whole seconds, at least one")
		}
	}
	for _, field := range strings.Fields(spec) {
		if strings.Contains(","+field+",", ",,") {
			return refuse("there is a value missing beside a comma in " + process.Printable(field))
		}
	}
	if s, err = cron.ParseStandard(expr); err != nil {
		why := strings.ReplaceAll(err.Error(), "\n", " ")
		for _, words := range []string{": strconv.", ": time: "} { // the library's library, in words of Go
			why, _, _ = strings.Cut(why, words)
		}
		if fields := strings.Fields(spec); len(fields) == 5 && strings.Contains(fields[4], "7") {
			why += " (Sunday is 0)"
		}
		return refuse(why + "; five fields such as '0 3 * * *', @every 10s, or @daily are expected")
	}
	if s.Next(now).IsZero() {
		return refuse("that day never comes")
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
