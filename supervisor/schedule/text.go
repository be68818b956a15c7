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
	both bool   // a day field begins with a star, so that both name a day
	wild bool   // the second, the minute or the hour begins with a star
}

// reboot is the descriptor that has no times of its own.
const reboot = "@reboot"

var descriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", reboot}

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
		t.both, t.wild = true, t.spec == "@hourly" // they name days by one field, or by none
		return t, nil
	}
	err = t.readFields(strings.Fields(t.spec))
	return t, err
}

// readFields reads five fields or, with seconds, six.
func (t *text) readFields(texts []string) error {
	rules := rules[len(rules)-min(len(texts), len(rules)):]
	if len(texts) != len(rules) || len(texts) < 5 {
		return errors.New(" is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', six with the second in front of them, @every 10s, or @daily")
	}
	var sets [6]uint64
	read := sets[:len(texts)]
	for i := range texts {
		var err error
		if read[i], err = rules[i].read(texts[i]); err != nil {
			return fmt.Errorf(": %w", err)
		}
	}
	starred := func(from, to int) bool {
		return slices.ContainsFunc(texts[from:to], func(field string) bool { return field[0] == '*' || field[0] == '?' })
	}
	day := len(texts) - 3
	t.wild, t.both = starred(0, day), starred(day, day+1) || starred(day+2, day+3)
	days, months, weekdays := read[day], read[day+1], read[day+2]
	if longest := longestOf(months); t.both && atMost(days, longest) == 0 {
		return fmt.Errorf(": that day never comes: the longest month that it names has %d days", longest)
	}
	if field := texts[day+2]; field != "*" && field != "?" { // the parser knows Sunday as 0 only, and takes no range up to 7
		texts[day+2] = list((weekdays | weekdays>>7) &^ sunday7)
	}
	t.spec = strings.Join(texts, " ")
	return nil
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

// rule is what may stand at one place of the six.
type rule struct {
	what      string
	low, high int      // that a star names
	most      int      // that may be given
	names     []string // of the values from low on
	hint      string   // what may be given
}

var rules = [6]rule{
	{"a second", 0, 59, 59, nil, "0 to 59"},
	{"a minute", 0, 59, 59, nil, "0 to 59"},
	{"an hour", 0, 23, 23, nil, "0 to 23"},
	{"a day of the month", 1, 31, 31, nil, "1 to 31"},
	{"a month", 1, 12, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec"), "1 to 12, or jan to dec"},
	{"a day of the week", 0, 6, 7, strings.Fields("sun mon tue wed thu fri sat"), "0 to 7, or sun to sat (Sunday is 0 and 7)"},
}

// read reads a field: numbers, ranges and steps with commas between them. The values are
// bits of the result.
func (f *rule) read(field string) (set uint64, err error) {
	if strings.ContainsFunc(field, notOfCron) {
		return 0, fmt.Errorf("%s is not a field: numbers or names, with * ? , - /", process.Printable(field))
	}
	for part := range strings.SplitSeq(field, ",") {
		if part == "" {
			return 0, fmt.Errorf("there is a value missing beside a comma in %s", process.Printable(field))
		}
		values, step, stepped := strings.Cut(part, "/")
		low, high, ranged := strings.Cut(values, "-")
		first, last, by := f.low, f.high, 1
		star := low == "*" || low == "?"
		if star && ranged { // the parser would take it for the star alone
			return 0, fmt.Errorf("%s is not a range: it begins with a star", process.Printable(part))
		}
		if !star {
			if first, err = f.value(low); err != nil {
				return 0, err
			}
			if !stepped { // 5/2 goes on to the end
				last = first
			}
		}
		if ranged {
			if last, err = f.value(high); err != nil {
				return 0, err
			}
			if first > last && last == f.low && f.most > f.high && f.isName(high) { // fri-sun
				last = f.most
			}
		}
		if first > last {
			return 0, fmt.Errorf("the range %s ends before it begins", process.Printable(values))
		}
		if stepped {
			if by, err = strconv.Atoi(step); err != nil || by < 1 {
				return 0, fmt.Errorf("%s is not a step: a number from 1", process.Printable(step))
			}
		}
		for i := first; i <= last; i += min(by, 64) { // none has so many values
			set |= 1 << i
		}
	}
	return set, nil
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

func (f *rule) isName(text string) bool { return slices.Contains(f.names, strings.ToLower(text)) }

// longestOf is how many days the longest of the months has.
func longestOf(months uint64) (days int) {
	const leap = 2024
	for m := time.January; m <= time.December; m++ {
		if months>>m&1 != 0 {
			days = max(days, daysIn(leap, m))
		}
	}
	return days
}
