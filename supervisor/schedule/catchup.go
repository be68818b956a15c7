package schedule

import (
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// OnTime is how late a run may start and still count as on time: a time that passed so long
// ago runs, whatever becomes of those that were missed.
const OnTime = 10 * time.Second

// CatchupLimit is how many times are caught up at once, at most.
const CatchupLimit = process.MaxCatchup

// Catchup says which of the times that passed while nobody looked are run late.
type Catchup struct {
	Latest bool          // the latest
	All    bool          // all, at most [CatchupLimit]: the latest of them
	Window time.Duration // none that is longer ago; 0: however long ago
}

// Missed are the times that are not run: Count of them, one behind the other, the first at
// From and the last at To. Count is 0 where there are none.
type Missed struct {
	From, To time.Time
	Count    int
}

// Past says what becomes of the times that have come up to now, given the one that was next
// when somebody looked last. run are those to be run, in their order; a time that is at most
// [OnTime] ago is always among them, and whatever else is was missed and is caught up. missed
// are all that came before those. next is the first time after now; it is zero if none comes.
//
// A clock that was stepped back, so that none has come, may make next earlier, see
// [Schedule.Due]. A clock that was stepped forward makes times pass like any other cause.
func (s *Schedule) Past(was, now time.Time, c Catchup) (run []time.Time, missed Missed, next time.Time) {
	switch {
	case was.IsZero() || s.reboot:
		return nil, Missed{}, s.Next(now)
	case was.After(now):
		return nil, Missed{}, s.Due(was, now)
	}
	first := was
	if s.every == 0 {
		first = s.Next(was.Add(-1)) // the rules of its zone may have changed since
	}
	next = s.Follow(was, now)
	if first.IsZero() || first.After(now) {
		return nil, Missed{}, next
	}
	for t, ok := s.Last(first, now), true; ok; t, ok = s.before(first, t) {
		late := now.Sub(t)
		caught := (c.Latest && len(run) == 0 || c.All && len(run) < CatchupLimit) && (c.Window == 0 || late <= c.Window)
		if late > OnTime && !caught {
			missed = Missed{From: first, To: t, Count: 1 + s.Count(first, t)}
			break
		}
		run = append(run, t)
	}
	slices.Reverse(run)
	return run, missed, next
}

// before is the time that comes before t, if that is later than first.
func (s *Schedule) before(first, t time.Time) (time.Time, bool) {
	if !t.After(first) {
		return t, false
	}
	return s.Last(first, t.Add(-1)), true
}

// Count is how many times come after one and up to another. It takes longer where the
// clocks change more often and for more months, not for more times.
func (s *Schedule) Count(after, upTo time.Time) int {
	switch {
	case s.reboot || !upTo.After(after):
		return 0
	case s.every > 0:
		return int(upTo.Sub(after) / s.every)
	}
	return s.count(after.Unix(), upTo.Unix())
}

func (s *Schedule) count(after, upTo int64) (n int) {
	shown := s.zone.reached(after) // and what was shown up to there has come
	for at := s.zone.from(after + 1); at.begin <= upTo; at = s.zone.from(at.end) {
		last := min(at.end-1, upTo) + at.offset
		switch begin := at.begin + at.offset; {
		case s.fields.wild:
			n += s.fields.count(begin-1, last)
		case last > shown:
			if begin > shown { // what was skipped comes at once, with what is shown then
				n += min(s.fields.count(shown, begin), 1)
				shown = begin
			}
			n += s.fields.count(shown, last)
			shown = last
		}
	}
	return n
}
