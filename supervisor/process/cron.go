package process

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ValidateCron reports why expr cannot be a schedule: five fields, a descriptor
// (@daily), or @every and a length of time, with a zone (CRON_TZ=Europe/Brussels) in
// front of it if need be. What it lets pass, the daemon's parser takes; what that
// would read as something else than is written is refused.
func ValidateCron(expr string) error {
	if strings.TrimSpace(expr) == "" {
		return Errorf(CodeInvalid, "cron: is empty: leave it out, or give a schedule")
	}
	if err := checkCron(expr); err != nil {
		return Errorf(CodeInvalid, "cron: %s%v", Printable(expr), err)
	}
	return nil
}

var cronDescriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// checkCron is ValidateCron with errors that go on behind the expression.
func checkCron(expr string) error {
	spec := expr
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		zone, rest, _ := strings.Cut(expr, " ")
		_, zone, _ = strings.Cut(zone, "=")
		if zone == "" {
			return errors.New(": the zone is empty: name one, such as UTC or Europe/Brussels")
		}
		if _, err := time.LoadLocation(zone); err != nil {
			return fmt.Errorf(": %s is not a time zone that is known here: name one, such as UTC or Europe/Brussels", Printable(zone))
		}
		spec = strings.TrimSpace(rest)
	}
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		switch d, err := time.ParseDuration(every); {
		case err != nil:
			return fmt.Errorf(": %s is not a length of time: 10s, 5m or 1h30m", Printable(every))
		case d < time.Second || d%time.Second != 0:
			return errors.New(": an interval has whole seconds, at least one")
		}
		return nil
	}
	if strings.HasPrefix(spec, "@") {
		if !slices.Contains(cronDescriptors, spec) {
			return fmt.Errorf(" is not a schedule: @every and a length of time, or one of %s", strings.Join(cronDescriptors, ", "))
		}
		return nil
	}
	fields := strings.Fields(spec)
	if len(fields) != len(cronFields) {
		return errors.New(" is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', @every 10s, or @daily")
	}
	var values [len(cronFields)]cronValues
	for i, field := range fields {
		var err error
		if values[i], err = cronFields[i].read(field); err != nil {
			return fmt.Errorf(": %w", err)
		}
	}
	if days, months, weekdays := values[2], values[3], values[4]; weekdays.any && !comes(days, months) {
		return errors.New(": that day never comes")
	}
	return nil
}

// cronField is what may stand at one place of the five.
type cronField struct {
	what      string
	low, high int
	names     []string // of the values from low on
	hint      string   // what may be given
}

var cronFields = [5]cronField{
	{"a minute", 0, 59, nil, "0 to 59"},
	{"an hour", 0, 23, nil, "0 to 23"},
	{"a day of the month", 1, 31, nil, "1 to 31"},
	{"a month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), "1 to 12, or jan to dec"},
	{"a day of the week", 0, 6, strings.Fields("sun mon tue wed thu fri sat"), "0 to 6, or sun to sat (Sunday is 0)"},
}

// cronValues are those that a field names.
type cronValues struct {
	set uint64 // a bit for each
	any bool   // a star or ? names all: then the field does not choose days
}

// read reads a field: numbers, ranges and steps with commas between them.
func (f *cronField) read(field string) (v cronValues, err error) {
	if strings.ContainsFunc(field, notOfCron) {
		return v, fmt.Errorf("%s is not a field: numbers or names, with * ? , - /", Printable(field))
	}
	for part := range strings.SplitSeq(field, ",") {
		if part == "" {
			return v, fmt.Errorf("there is a value missing beside a comma in %s", Printable(field))
		}
		values, step, stepped := strings.Cut(part, "/")
		low, high, ranged := strings.Cut(values, "-")
		first, last, by := f.low, f.high, 1
		star := low == "*" || low == "?"
		if star && ranged { // the parser would take it for the star alone
			return v, fmt.Errorf("%s is not a range: it begins with a star", Printable(part))
		}
		if !star {
			if first, err = f.value(low); err != nil {
				return v, err
			}
			if !stepped { // 5/2 goes on to the end
				last = first
			}
		}
		if ranged {
			if last, err = f.value(high); err != nil {
				return v, err
			}
		}
		if first > last {
			return v, fmt.Errorf("the range %s ends before it begins", Printable(values))
		}
		if stepped {
			if by, err = strconv.Atoi(step); err != nil || by < 1 {
				return v, fmt.Errorf("%s is not a step: a number from 1", Printable(step))
			}
		}
		v.any = v.any || star && by == 1
		for i := first; i <= last; i += min(by, 64) { // none has so many values
			v.set |= 1 << i
		}
	}
	return v, nil
}

func notOfCron(r rune) bool {
	return !unicode.IsLetter(r) && (r < '0' || r > '9') && !strings.ContainsRune("*?,-/+", r)
}

// value reads a number or a name.
func (f *cronField) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high {
		return 0, fmt.Errorf("%s is not %s: %s", Printable(text), f.what, f.hint)
	}
	return n, nil
}

// comes reports whether one of the months ever has one of the days.
func comes(days, months cronValues) bool {
	first := bits.TrailingZeros64(days.set)
	for month := time.January; month <= time.December; month++ {
		const leap = 2024
		if months.set&(1<<month) != 0 && first <= time.Date(leap, month+1, 0, 0, 0, 0, 0, time.UTC).Day() {
			return true
		}
	}
	return false
}
