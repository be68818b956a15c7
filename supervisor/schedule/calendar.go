package schedule

import (
	"math/bits"
	"time"
)

// fields are the times that an expression names in a calendar whose clocks never
// change. Moments of it are seconds, counted as time.Time.Unix does in UTC.
type fields struct {
	minute, hour, day, month, weekday uint64 // a bit for each value; star where there is a star
	wild                              bool   // it follows the clock on the wall, see the package comment
}

// star is robfig's mark of a field that names all values.
const star = 1 << 63

// lookAhead is how many months are searched, the first one included: from one
// 29 February to the next it can be eight years, around 2100.
const lookAhead = 8*12 + 1

const minutesADay = 24 * 60

// after is the first moment later than local. It is false if none comes.
func (f *fields) after(local int64) (int64, bool) {
	t := time.Unix(local, 0).UTC()
	year, month, day := t.Date()
	minute := t.Hour()*60 + t.Minute() + 1
	for range lookAhead {
		m := f.monthOf(year, month)
		for ; m.named && day <= m.days; day++ {
			if at, ok := f.clockFrom(minute); ok && m.names(day) {
				return m.moment(day, at), true
			}
			minute = 0
		}
		day, minute = 1, 0
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return 0, false
}

// upTo is the last moment that is not later than local. It is false if there was none.
func (f *fields) upTo(local int64) (int64, bool) {
	t := time.Unix(local, 0).UTC()
	year, month, day := t.Date()
	minute := t.Hour()*60 + t.Minute()
	for range lookAhead {
		m := f.monthOf(year, month)
		for day = min(day, m.days); m.named && day >= 1; day-- {
			if at, ok := f.clockUpTo(minute); ok && m.names(day) {
				return m.moment(day, at), true
			}
			minute = minutesADay - 1
		}
		day, minute = 31, minutesADay-1
		if month--; month < time.January {
			year, month = year-1, time.December
		}
	}
	return 0, false
}

// month is one month, as the fields see it.
type month struct {
	*fields
	named bool
	first time.Time
	days  int
}

func (f *fields) monthOf(year int, m time.Month) month {
	return month{f, f.month>>m&1 != 0, time.Date(year, m, 1, 0, 0, 0, 0, time.UTC), time.Date(year, m+1, 0, 0, 0, 0, 0, time.UTC).Day()}
}

// names reports whether the day fields name a day.
func (m *month) names(day int) bool {
	byDay := m.day>>day&1 != 0
	byWeekday := m.weekday>>((int(m.first.Weekday())+day-1)%7)&1 != 0
	if m.day&star != 0 || m.weekday&star != 0 {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// moment is a minute of a day.
func (m *month) moment(day, minute int) int64 {
	return m.first.Unix() + int64(day-1)*minutesADay*60 + int64(minute)*60
}

// clockFrom is the first minute of a day, from this one on.
func (f *fields) clockFrom(minute int) (int, bool) {
	hour := minute / 60
	if f.hour>>hour&1 != 0 {
		if m, ok := lowest(f.minute, minute%60); ok {
			return hour*60 + m, true
		}
	}
	hour, ok := lowest(f.hour, hour+1)
	first, _ := lowest(f.minute, 0)
	return hour*60 + first, ok
}

// clockUpTo is the last minute of a day, up to this one.
func (f *fields) clockUpTo(minute int) (int, bool) {
	hour := minute / 60
	if f.hour>>hour&1 != 0 {
		if m, ok := highest(f.minute, minute%60); ok {
			return hour*60 + m, true
		}
	}
	hour, ok := highest(f.hour, hour-1)
	last, _ := highest(f.minute, 59)
	return hour*60 + last, ok
}

// lowest is the lowest value of a set that is not below from.
func lowest(set uint64, from int) (int, bool) {
	set = set &^ star >> from << from
	return bits.TrailingZeros64(set), set != 0
}

// highest is the highest value of a set that is not above to.
func highest(set uint64, to int) (int, bool) {
	set &= 1<<(to+1) - 1
	return bits.Len64(set) - 1, set != 0
}
