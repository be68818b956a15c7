package process

import (
	"fmt"
	"strings"
	"time"
)

// Schedule says when a process runs.
type Schedule struct {
	Cron   string        // five or six fields, @every or @daily forms; empty: at once, once
	TZ     string        // the zone in which Cron is read; empty: that in Cron, or else the daemon's
	Jitter time.Duration // runs begin up to so much later than their times, always by the same; 0: at once
	Overlapping

	Catchup       string        // what becomes of times that were missed: CatchupNone, CatchupLatest or CatchupAll; empty: none
	CatchupWindow time.Duration // only of those that are not longer ago; 0: of all
}

// MaxJitter is the longest that a run may begin after its time on purpose.
const MaxJitter = day

// scheduleFields are the rows of Schedule.
func scheduleFields() []Field {
	return []Field{
		{Name: "cron", JSON: "cron", Group: GroupSchedule, Value: "SCHEDULE", Live: true,
			Help: "run at these times: five fields (minute, hour, day of month, month, day of week), six with the second first, @every 10s, @daily, @reboot …; where a day field begins with a star a day must match both, otherwise either will do",
			in:   func(s *Spec) any { return &s.Cron }}, // package schedule says what it may be
		{Name: "tz", JSON: "tz", Group: GroupSchedule, Value: "ZONE", Live: true,
			Help: "the time zone of cron: UTC, Europe/Brussels; without it, that of the daemon",
			in:   func(s *Spec) any { return &s.TZ }, check: func(v any) error { return validateZone(v.(string)) }},
		{Name: "jitter", JSON: "jitter_seconds", Group: GroupSchedule, Value: "TIME", Live: true,
			Help: "begin each run later than its time by a part of this, which is always the same for a process on a host",
			in:   func(s *Spec) any { return &s.Jitter }, check: func(v any) error { return notLonger(v.(time.Duration), MaxJitter) }},
		{Name: "overlap", JSON: "overlap", Group: GroupSchedule, Value: "WHAT", Default: string(OverlapSkip), Choices: []string{string(OverlapSkip), string(OverlapQueue), string(OverlapReplace), string(OverlapAllow)}, Live: true,
			Help: "what a time or a trigger does while a run goes on: nothing (skip), wait for its end (queue), end it first (replace), run beside it (allow)",
			in:   func(s *Spec) any { return (*string)(&s.Overlap) }},
		{Name: "overlap_max", JSON: "overlap_max", Group: GroupSchedule, Value: "NUMBER", Default: "10", Live: true,
			Help: fmt.Sprintf("with overlap:allow, how many runs may go on at once, at most %d", MaxOverlapMax),
			in:   func(s *Spec) any { return &s.OverlapMax }, check: func(v any) error { return atMost(v.(int), MaxOverlapMax) }},
		{Name: "catchup", JSON: "catchup", Group: GroupSchedule, Value: "WHAT", Default: CatchupNone, Choices: []string{CatchupNone, CatchupLatest, CatchupAll}, Live: true,
			Help: "which times run later that were missed because no daemon ran, the machine was off or slept, or its clock was set forward: none, the latest, all",
			in:   func(s *Spec) any { return &s.Catchup }},
		{Name: "catchup_window", JSON: "catchup_window_seconds", Group: GroupSchedule, Value: "TIME", Live: true,
			Help: "catch up only with times that are not longer ago: 10s or more; without it, with all",
			in:   func(s *Spec) any { return &s.CatchupWindow }, check: func(v any) error { return longEnough(v.(time.Duration), MinCatchupWindow) }},
	}
}

// validateZone looks at the name alone. Whether there is such a zone is for the daemon to say.
func validateZone(name string) error {
	const others = "/_+-."
	if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(others, r)
	}) {
		return fmt.Errorf("%s is not a time zone: name one, such as UTC or Europe/Brussels", Printable(name))
	}
	return nil
}

func notLonger(d, most time.Duration) error {
	if d > most {
		return fmt.Errorf("%s is too long: at most %s", ShortDuration(d), ShortDuration(most))
	}
	return nil
}
