package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxText is how long an expression may be, in bytes.
const maxText = 1024

// Validate reports why expr cannot be a schedule, by its text alone: whether its zone
// is known is for the host to say on which it runs, see [Parse]. What it lets pass, the
// parser takes; what that would read as something else than is written is refused.
func Validate(expr string) error {
	if _, err := read(expr); err != nil {
		return invalid(expr, err)
	}
	return nil
}

func invalid(expr string, err error) error {
	if strings.TrimSpace(expr) == "" {
		return process.Errorf(process.CodeInvalid, "cron: is empty: leave it out, or give a schedule")
	}
	return process.Errorf(process.CodeInvalid, "cron: %s%v", process.Printable(expr), err)
}

// text is an expression, taken apart.
type text struct {
	zone string // empty: none is given
	spec string // the rest, as the parser takes it
	wild bool   // the minute or the hour begins with a star
}

var descriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// read takes an expression apart. Its errors go on behind the expression.
func read(expr string) (t text, err error) {
	if len(expr) > maxText {
		return t, fmt.Errorf(" has %d bytes, at most %d", len(expr), maxText)
	}
	t.spec = expr
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		prefix, rest, _ := strings.Cut(expr, " ")
		_, t.zone, _ = strings.Cut(prefix, "=")
		if t.zone == "" {
			return t, errors.New(": the zone is empty: name one, such as UTC or Europe/Brussels")
		}
		t.spec = strings.TrimSpace(rest)
	}
	if every, ok := strings.CutPrefix(t.spec, "@every "); ok {
		switch d, err := time.ParseDuration(every); {
		case err != nil:
			return t, fmt.Errorf(": %s is not a length of time: 10s, 5m or 1h30m", process.Printable(every))
		case d < time.Second || d%time.Second != 0:
			return t, errors.New(": an interval has whole seconds, at least one")
		}
		return t, nil
	}
	if strings.HasPrefix(t.spec, "@") {
		if !slices.Contains(descriptors, t.spec) {
			return t, fmt.Errorf(" is not a schedule: @every and a length of time, or one of %s", strings.Join(descriptors, ", "))
		}
		t.wild = t.spec == "@hourly"
		return t, nil
	}
	texts := strings.Fields(t.spec)
	if len(texts) != len(rules) {
		return t, errors.New(" is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', @every 10s, or @daily")
	}
	var fields [len(rules)]values
	for i := range texts {
		if fields[i], err = rules[i].read(texts[i]); err != nil {
			return t, fmt.Errorf(": %w", err)
		}
	}
	days, months, weekdays := fields[2], fields[3], fields[4]
	if weekdays.any && !comes(days, months) {
		return t, errors.New(": that day never comes")
	}
	if !weekdays.any { // the parser knows Sunday as 0 only, and takes no range up to 7
		texts[4] = list((weekdays.set | weekdays.set>>7) &^ sunday7)
	}
	t.wild = strings.ContainsAny(texts[0][:1]+texts[1][:1], "*?")
	t.spec = strings.Join(texts, " ")
	return t, nil
}

// sunday7 is the bit of Sunday as the seventh day.
const sunday7 = 1 << 7

// list is a field that names the values of a set.
func list(set uint64) string {
	var all []string
	for ; set != 0; set &= set - 1 {
		all = append(all, strconv.Itoa(bits.TrailingZeros64(set)))
	}
	return strings.Join(all, ",")
}

// rule is what may stand at one place of the five.
type rule struct {
	what      string
	low, high int      // that a star names
	most      int      // that may be given
	names     []string // of the values from low on
	hint      string   // what may be given
}

var rules = [5]rule{
	{"a minute", 0, 59, 59, nil, "0 to 59"},
	{"an hour", 0, 23, 23, nil, "0 to 23"},
	{"a day of the month", 1, 31, 31, nil, "1 to 31"},
	{"a month", 1, 12, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), "1 to 12, or jan to dec"},
	{"a day of the week", 0, 6, 7, strings.Fields("sun mon tue wed thu fri sat"), "0 to 7, or sun to sat (Sunday is 0 and 7)"},
}

// values are those that a field names.
type values struct {
	set uint64 // a bit for each
	any bool   // a star or ? names all: then the field does not choose days
}

// read reads a field: numbers, ranges and steps with commas between them.
func (f *rule) read(field string) (v values, err error) {
	if strings.ContainsFunc(field, notOfCron) {
		return v, fmt.Errorf("%s is not a field: numbers or names, with * ? , - /", process.Printable(field))
	}
	for part := range strings.SplitSeq(field, ",") {
		if part == "" {
			return v, fmt.Errorf("there is a value missing beside a comma in %s", process.Printable(field))
		}
		values, step, stepped := strings.Cut(part, "/")
		low, high, ranged := strings.Cut(values, "-")
		first, last, by := f.low, f.high, 1
		star := low == "*" || low == "?"
		if star && ranged { // the parser would take it for the star alone
			return v, fmt.Errorf("%s is not a range: it begins with a star", process.Printable(part))
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
			return v, fmt.Errorf("the range %s ends before it begins", process.Printable(values))
		}
		if stepped {
			if by, err = strconv.Atoi(step); err != nil || by < 1 {
				return v, fmt.Errorf("%s is not a step: a number from 1", process.Printable(step))
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
func (f *rule) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || text[0] == '-' || n < f.low || n > f.most {
		return 0, fmt.Errorf("%s is not %s: %s", process.Printable(text), f.what, f.hint)
	}
	return n, nil
}

// comes reports whether one of the months ever has one of the days.
func comes(days, months values) bool {
	first := bits.TrailingZeros64(days.set)
	for month := time.January; month <= time.December; month++ {
		const leap = 2024
		if months.set&(1<<month) != 0 && first <= time.Date(leap, month+1, 0, 0, 0, 0, 0, time.UTC).Day() {
			return true
		}
	}
	return false
}
