package verbs

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// momentForms are how a moment of the past may be given, for the help.
const momentForms = "10m or 7d (ago), 21:04, today, yesterday, 2026-01-31, 2026-01-31T15:04:05, or with a zone"

// parseTime reads a moment: a length of time ago; a time of the day, the latest that has
// come; today or yesterday, from their first second on; a date with or without a time and a
// zone. Without a zone it is local.
func parseTime(text string, now time.Time) (time.Time, error) {
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	here := now.In(time.Local)
	year, month, day := here.Date()
	switch text {
	case "today":
		return time.Date(year, month, day, 0, 0, 0, 0, time.Local), nil
	case "yesterday":
		return time.Date(year, month, day-1, 0, 0, 0, 0, time.Local), nil
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		on := func(day int) time.Time {
			return time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), 0, time.Local)
		}
		if t := on(day); !t.After(here) {
			return t, nil
		}
		return on(day - 1), nil
	}
	return time.Time{}, fmt.Errorf("%s is not a time: %s", process.Printable(text), momentForms)
}

// parseAgo reads a length of time with its units. A plain number is none: elsewhere it is the
// number of an event.
func parseAgo(text string) (time.Duration, bool) {
	if ago, err := time.ParseDuration(text); err == nil {
		return ago, ago >= 0
	}
	if text == "" || text[len(text)-1] < 'a' {
		return 0, false
	}
	ago, err := process.ParseDuration(text)
	return ago, err == nil
}
