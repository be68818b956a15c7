package schedule

import (
	"sync"
	"time"
)

// zone says what the clocks of a place show. Real moments and what the clocks show
// are both seconds, as in [fields].
type zone struct{ *time.Location }

// maxOffset is more than any zone is ahead of UTC or behind it.
const maxOffset = 2 * 24 * 60 * 60

// maxSpans bounds how many changes of the clocks a search looks beyond. Forty years
// of the zone that changes them most have 250.
const maxSpans = 1000

// span is a part of time in which the clocks do not change: [begin, end).
type span struct{ begin, end, offset int64 }

// from is the span that begins with a moment, up to the next change or the end of the
// year in UTC.
//
// Of the library's bounds only the end is used, and only within the year: beyond its
// table of changes it computes year by year. There a bound can lie before the change
// that is last in the table, and on 31 December of a leap year the end is over already.
func (z zone) from(moment int64) span {
	t := time.Unix(moment, 0).In(z.Location)
	_, offset := t.Zone()
	s := span{moment, yearStart(t.UTC().Year() + 1), int64(offset)}
	if _, end := t.ZoneBounds(); !end.IsZero() && end.Unix() > moment {
		s.end = min(s.end, end.Unix())
	}
	return s
}

// around is the whole span that holds a moment, as far as it lies in one year.
func (z zone) around(moment int64) span {
	s := z.from(yearStart(time.Unix(moment, 0).UTC().Year()))
	for s.end <= moment {
		s = z.from(s.end)
	}
	return s
}

func yearStart(year int) int64 { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }

// reached is the latest that the clocks have shown up to a moment: where they were
// put back, that is more than they show.
func (z zone) reached(moment int64) int64 {
	s := z.from(moment - 2*maxOffset)
	latest := min(s.end-1, moment) + s.offset
	for s.end <= moment {
		s = z.from(s.end)
		latest = max(latest, min(s.end-1, moment)+s.offset)
	}
	return latest
}

// reaches is the first moment at which the clocks show local, or are put beyond it. It
// is false if they never do, in a zone that is further from UTC than maxOffset.
func (z zone) reaches(local int64) (int64, bool) {
	for s := z.from(local - maxOffset); s.begin <= local+maxOffset; s = z.from(s.end) {
		if moment := max(s.begin, local-s.offset); moment < s.end {
			return moment, true
		}
	}
	return 0, false
}

// zones are those that were read: thousands of schedules are mostly in a few of them, and
// one takes 10 KB and a look at the disk. New zone data counts from the next start on.
var zones zoneCache

type zoneCache struct {
	mu     sync.Mutex
	byName map[string]*time.Location
}

// load reads a zone: the host's data if it has it, otherwise what the program embeds.
func (c *zoneCache) load(name string) (*time.Location, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if loc := c.byName[name]; loc != nil {
		return loc, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil { // it may be installed later
		return nil, err
	}
	if c.byName == nil {
		c.byName = map[string]*time.Location{}
	}
	c.byName[name] = loc
	return loc, nil
}
