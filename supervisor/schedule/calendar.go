package schedule

import (
	"math/bits"
	"time"
)

// fields are the times that an expression names in a calendar whose clocks never
// change. Moments of it are seconds, counted as time.Time.Unix does in UTC.
type fields struct {
	second, minute, hour, day, month, weekday uint64 // a bit for each value

	both bool // a day is named by both day fields, see the package comment
	wild bool // it follows the clock on the wall, see the package comment
}

// lookAhead is how many months are searched, the first one included: from one Sunday that
// is a 29 February to the next it can be forty years, around 2100.
const lookAhead = 40*12 + 1

const (
	hour = 60 * 60
	day  = 24 * hour
)

// after is the first moment later than local. It is false if none comes.
func (f *fields) after(local int64) (int64, bool) {
	t := time.Unix(local, 0).UTC()
	year, month, date := t.Date()
	clock := clockOf(t) + 1
	for range lookAhead {
		if f.month>>month&1 != 0 {
			m := f.monthOf(year, month)
			for from := date; ; from++ {
				named, ok := lowest(m.named, from)
				if !ok {
					break
				}
				if named != date {
					clock = 0
				}
				if at, ok := f.clockFrom(clock); ok {
					return m.moment(named, at), true
				}
				from = named
			}
		}
		date, clock = 1, 0
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return 0, false
}

// upTo is the last moment that is not later than local. It is false if there was none.
func (f *fields) upTo(local int64) (int64, bool) {
	t := time.Unix(local, 0).UTC()
	year, month, date := t.Date()
	clock := clockOf(t)
	for range lookAhead {
		if f.month>>month&1 != 0 {
			m := f.monthOf(year, month)
			for from := date; ; from-- {
				named, ok := highest(m.named, from)
				if !ok {
					break
				}
				if named != date {
					clock = day - 1
				}
				if at, ok := f.clockUpTo(clock); ok {
					return m.moment(named, at), true
				}
				from = named
			}
		}
		date, clock = 31, day-1
		if month--; month < time.January {
			year, month = year-1, time.December
		}
	}
	return 0, false
}

// count is how many moments are later than from and not later than to. It takes longer for
// more months, not for more moments.
func (f *fields) count(from, to int64) (n int) {
	if to <= from {
		return 0
	}
	first, last := time.Unix(from, 0).UTC(), time.Unix(to, 0).UTC()
	year, month, date := first.Date()
	n -= f.clocksUpTo(clockOf(first)) * f.dayOf(year, month, date)
	endYear, endMonth, endDate := last.Date()
	for year != endYear || month != endMonth {
		n += f.daysOf(year, month, date, 31) * f.clocksUpTo(day-1)
		date = 1
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	n += f.daysOf(year, month, date, endDate-1) * f.clocksUpTo(day-1)
	return n + f.clocksUpTo(clockOf(last))*f.dayOf(endYear, endMonth, endDate)
}

// dayOf is 1 for a day that is named, and 0 for another.
func (f *fields) dayOf(year int, month time.Month, date int) int {
	return f.daysOf(year, month, date, date)
}

// daysOf is how many days of a month are named, from one to another.
func (f *fields) daysOf(year int, month time.Month, from, to int) int {
	if f.month>>month&1 == 0 || from > to {
		return 0
	}
	return bits.OnesCount64(f.monthOf(year, month).named >> from << from & (1<<(to+1) - 1))
}

// month is one month, as the day fields see it.
type month struct {
	first int64  // the moment at which it begins
	named uint64 // a bit for each day that is named
}

func (f *fields) monthOf(year int, m time.Month) month {
	first := time.Date(year, m, 1, 0, 0, 0, 0, time.UTC)
	weekdays := f.weekday & 0x7f
	weekdays |= weekdays<<7 | weekdays<<14 | weekdays<<21 | weekdays<<28 | weekdays<<35
	weekdays = weekdays >> first.Weekday() << 1 // as days: the first is 1
	named := f.day | weekdays
	if f.both {
		named = f.day & weekdays
	}
	return month{first.Unix(), named & (1<<(daysIn(year, m)+1) - 2)}
}

// daysIn is how many days a month has.
func daysIn(year int, m time.Month) int {
	switch m {
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// moment is a second of a day.
func (m *month) moment(date, clock int) int64 {
	return m.first + int64(date-1)*day + int64(clock)
}

// clockOf is the second of the day.
func clockOf(t time.Time) int { return t.Hour()*hour + t.Minute()*60 + t.Second() }

// clockFrom is the first second of a day, from this one on.
func (f *fields) clockFrom(clock int) (int, bool) {
	if clock >= day {
		return 0, false
	}
	h, m := clock/hour, clock/60%60
	firstSecond, _ := lowest(f.second, 0)
	if f.hour>>h&1 != 0 {
		if f.minute>>m&1 != 0 {
			if s, ok := lowest(f.second, clock%60); ok {
				return h*hour + m*60 + s, true
			}
		}
		if m, ok := lowest(f.minute, m+1); ok {
			return h*hour + m*60 + firstSecond, true
		}
	}
	h, ok := lowest(f.hour, h+1)
	firstMinute, _ := lowest(f.minute, 0)
	return h*hour + firstMinute*60 + firstSecond, ok
}

// clockUpTo is the last second of a day, up to this one.
func (f *fields) clockUpTo(clock int) (int, bool) {
	h, m := clock/hour, clock/60%60
	lastSecond, _ := highest(f.second, 59)
	if f.hour>>h&1 != 0 {
		if f.minute>>m&1 != 0 {
			if s, ok := highest(f.second, clock%60); ok {
				return h*hour + m*60 + s, true
			}
		}
		if m, ok := highest(f.minute, m-1); ok {
			return h*hour + m*60 + lastSecond, true
		}
	}
	h, ok := highest(f.hour, h-1)
	lastMinute, _ := highest(f.minute, 59)
	return h*hour + lastMinute*60 + lastSecond, ok
}

// clocksUpTo is how many seconds of a day are named, up to this one.
func (f *fields) clocksUpTo(clock int) (n int) {
	h, m, s := clock/hour, clock/60%60, clock%60
	if f.hour>>h&1 != 0 {
		if f.minute>>m&1 != 0 {
			n += atMost(f.second, s)
		}
		n += atMost(f.minute, m-1) * atMost(f.second, 59)
	}
	return n + atMost(f.hour, h-1)*atMost(f.minute, 59)*atMost(f.second, 59)
}

// lowest is the lowest value of a set that is not below from.
func lowest(set uint64, from int) (int, bool) {
	set = set >> from << from
	return bits.TrailingZeros64(set), set != 0
}

// highest is the highest value of a set that is not above to.
func highest(set uint64, to int) (int, bool) {
	set &= 1<<(to+1) - 1
	return bits.Len64(set) - 1, set != 0
}

// atMost is how many values of a set are not above to.
func atMost(set uint64, to int) int { return bits.OnesCount64(set & (1<<(to+1) - 1)) }
