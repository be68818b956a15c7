package schedule

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Schedule is an expression that was read.
type Schedule struct {
	every  time.Duration // 0: by fields
	reboot bool
	fields fields
	zone   zone
}

// Parse reads an expression and, beside it, a zone (the field tz; empty: none). An error
// is a [process.Error] with code invalid: of the text, see [Validate]; of a zone that is not
// known or is not the one in the expression; or of times that never come after now.
func Parse(expr, zone string, now time.Time) (*Schedule, error) {
	s, err := parse(expr, zone)
	if err == nil && !s.reboot && s.Next(now).IsZero() {
		err = fmt.Errorf(": that time does not come within %d years", lookAhead/12)
	}
	switch {
	case errors.Is(err, process.ErrInvalid): // of tz
		return nil, err
	case err != nil:
		return nil, invalid(expr, err)
	}
	return s, nil
}

var parser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

func parse(expr, tz string) (*Schedule, error) {
	t, err := read(expr)
	if err != nil {
		return nil, err
	}
	if t.zone != "" && tz != "" && t.zone != tz {
		return nil, fmt.Errorf(": its zone is not that of tz, which is %s: leave one of them out", process.Printable(tz))
	}
	s := &Schedule{zone: zone{time.Local}}
	if name := cmp.Or(t.zone, tz); name != "" {
		if s.zone.Location, err = zones.load(name); err != nil && t.zone == "" {
			return nil, process.Errorf(process.CodeInvalid, "tz: %s is not a time zone: name one, such as UTC or Europe/Brussels", process.Printable(name))
		} else if err != nil {
			return nil, fmt.Errorf(": %s is not a time zone: name one, such as UTC or Europe/Brussels", process.Printable(name))
		}
	}
	if t.spec == reboot {
		s.reboot = true
		return s, nil
	}
	parsed, err := parser.Parse(t.spec)
	switch p := parsed.(type) {
	case cron.ConstantDelaySchedule:
		s.every = p.Delay
	case *cron.SpecSchedule:
		const values = 1<<63 - 1 // the parser's own mark of a star is not one
		s.fields = fields{
			second: p.Second & values, minute: p.Minute & values, hour: p.Hour & values,
			day: p.Dom & values, month: p.Month & values, weekday: p.Dow & values,
			both: t.both, wild: t.wild,
		}
	default:
		return nil, fmt.Errorf(": %w", err)
	}
	return s, nil
}

// IsReboot reports whether it is @reboot: once per start of the machine. It has no times
// of its own, and who starts it knows whether the machine was started.
func (s *Schedule) IsReboot() bool { return s.reboot }

// Zone is the one in which its fields are read.
func (s *Schedule) Zone() *time.Location { return s.zone.Location }

// Next is the first time later than t, and zero if none comes within forty years.
func (s *Schedule) Next(t time.Time) time.Time {
	switch {
	case s.reboot:
		return time.Time{}
	case s.every > 0:
		return t.Add(s.every - time.Duration(t.Nanosecond()))
	}
	now := t.Unix()
	next, ok := s.next(now)
	if !ok || next <= now { // a zone that no rule allows: rather never than for ever
		return time.Time{}
	}
	return time.Unix(next, 0).In(t.Location())
}

func (s *Schedule) next(now int64) (int64, bool) {
	if !s.fields.wild {
		local, ok := s.fields.after(s.zone.reached(now))
		if !ok {
			return 0, false
		}
		return s.zone.reaches(local)
	}
	at := s.zone.from(now + 1)
	for range maxSpans {
		local, ok := s.fields.after(at.begin + at.offset - 1)
		if !ok {
			break
		}
		if moment := local - at.offset; moment < at.end {
			return moment, true
		}
		at = s.zone.from(at.end)
	}
	return 0, false
}

// Last is the latest time that is not later than now, given an earlier one: that
// itself if none came between.
func (s *Schedule) Last(earlier, now time.Time) time.Time {
	switch {
	case s.reboot || !now.After(earlier):
		return earlier
	case s.every > 0:
		return earlier.Add(now.Sub(earlier).Truncate(s.every))
	}
	last, ok := s.last(now.Unix())
	if t := time.Unix(last, 0).In(earlier.Location()); ok && t.After(earlier) {
		return t
	}
	return earlier
}

func (s *Schedule) last(now int64) (int64, bool) {
	if !s.fields.wild {
		local, ok := s.fields.upTo(s.zone.reached(now))
		if !ok {
			return 0, false
		}
		return s.zone.reaches(local)
	}
	at := s.zone.around(now)
	at.end = now + 1
	for range maxSpans {
		local, ok := s.fields.upTo(at.end - 1 + at.offset)
		if !ok {
			break
		}
		if moment := local - at.offset; moment >= at.begin {
			return moment, true
		}
		at = s.zone.around(at.begin - 1)
	}
	return 0, false
}

// Follow is the first time later than now of a schedule that had one at last: @every counts
// on from that.
func (s *Schedule) Follow(last, now time.Time) time.Time {
	if s.every > 0 {
		return s.Last(last, now).Add(s.every)
	}
	return s.Next(now)
}

// maxNap bounds how long a schedule sleeps without a look at the clock, where nobody tells it
// that the clock was set.
const maxNap = time.Minute

// Nap is how long to sleep until next, where nobody tells that the clock was set.
func Nap(next, now time.Time) time.Duration {
	return min(max(next.Sub(now), 0), maxNap)
}

// stepLimit is how far a clock that is stepped back is taken to be corrected. One that is
// stepped further was wrong, as in Debian's cron.
const stepLimit = 3 * time.Hour

// Due is the time that comes next, given what was next before. A clock that was stepped
// back makes it earlier, never later; but a time that has come does not come again when
// the clock is corrected, unless the schedule follows the clock on the wall.
func (s *Schedule) Due(before, now time.Time) time.Time {
	next := s.Next(now)
	switch {
	case before.IsZero():
		return next
	case s.every == 0 && !s.Next(before.Add(-1)).Equal(before): // the rules of its zone have changed since
		return next
	case next.IsZero() || !next.Before(before):
		return before
	case s.every > 0 || s.fields.wild:
		return next
	}
	if came := s.Last(now, before.Add(-1)); came.Sub(now) <= stepLimit {
		return before
	}
	return next
}
