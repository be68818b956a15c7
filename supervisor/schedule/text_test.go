package schedule

import (
	"errors"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestSchedulesAreReadAsTheyAreWritten(t *testing.T) {
	for _, good := range []string{
		"0 0 * * *", "*/5 1-3 * * mon", "0 9-17/2 1,15 JAN ?", " 0\t0 * * *\n", "+5 0 * * *", "CRON_TZ=UTC 0 3 * * *", "5/20 */100 */9223372036854775807 * *",
		"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "TZ=Europe/Brussels  @daily ", "@every 1s", "@every 1h30m", "CRON_TZ=UTC @every 10s",
		"0 0 * * 7", "0 0 * * 5-7", "0 0 * * sat-7", "0 0 * * 0-7/2", "0 0 * * fri-sun", "0 0 * * FRI-SUN/2", "0 0 * * sun-sun", "30 0 0 * * *", "*/10 * * * * *", "@reboot", "TZ=UTC @reboot", "CRON_TZ=Mars/X 0 0 * * *", // whether the zone is known is for the daemon to say
		"0 0 29 2 *", "0 0 31 2,3 *", "0 0 30,1 2 *", "0 0 31 2 mon", "0 0 31 2 0-6", // a day of the week comes too
	} {
		if err := Validate(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	const five = " is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', six with the second in front of them, @every 10s, or @daily"
	const at = " is not a schedule: @every and a length of time, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, @reboot"
	const never = ": that day never comes: the longest month that it names has "
	const interval, zone = ": an interval has whole seconds, at least one", "name one, such as UTC or Europe/Brussels"
	const weekday = ` is not a day of the week: 0 to 7, or sun to sat (Sunday is 0 and 7)`
	for bad, want := range map[string]string{
		"":                         "is empty: leave it out, or give a schedule",
		" \n":                      "is empty: leave it out, or give a schedule",
		"bad":                      `"bad"` + five,
		"* * * *":                  `"* * * *"` + five,
		"* * * * * * *":            `"* * * * * * *"` + five,
		" @daily":                  `" @daily"` + five,
		"\x00":                     `"\x00"` + five,
		"TZ=UTC":                   `"TZ=UTC"` + five,
		"CRON_TZ=UTC ":             `"CRON_TZ=UTC "` + five,
		"TZ=":                      `"TZ=": the zone is empty: ` + zone,
		"TZ= 0 0 * * *":            `"TZ= 0 0 * * *": the zone is empty: ` + zone,
		"CRON_TZ= @daily":          `"CRON_TZ= @daily": the zone is empty: ` + zone,
		"@reboot now":              `"@reboot now"` + at,
		"@Daily":                   `"@Daily"` + at,
		"@every":                   `"@every"` + at,
		"TZ=UTC @often":            `"TZ=UTC @often"` + at,
		"@every soon":              `"@every soon": "soon" is not a length of time: 10s, 5m or 1h30m`,
		"@every  5s":               `"@every  5s": " 5s" is not a length of time: 10s, 5m or 1h30m`,
		"@every 1h\n* * * * *":     `"@every 1h\n* * * * *": "1h\n* * * * *" is not a length of time: 10s, 5m or 1h30m`,
		"@every 0s":                `"@every 0s"` + interval,
		"@every 1ms":               `"@every 1ms"` + interval,
		"@every -5s":               `"@every -5s"` + interval,
		"@every 1500ms":            `"@every 1500ms"` + interval,
		"0 3 * * mon;":             `"0 3 * * mon;": "mon;" is not a field: numbers or names, with * ? , - /`,
		"0 3 * * \x1b[":            `"0 3 * * \x1b[": "\x1b[" is not a field: numbers or names, with * ? , - /`,
		"0 03:00 * * fr":           `"0 03:00 * * fr": "03:00" is not a field: numbers or names, with * ? , - /`,
		"1,,2 * * * *":             `"1,,2 * * * *": there is a value missing beside a comma in "1,,2"`,
		", * * * *":                `", * * * *": there is a value missing beside a comma in ","`,
		"CRON_TZ=UTC 0 0 1, * *":   `"CRON_TZ=UTC 0 0 1, * *": there is a value missing beside a comma in "1,"`,
		"60 * * * *":               `"60 * * * *": "60" is not a minute: 0 to 59`,
		"0 24 * * *":               `"0 24 * * *": "24" is not an hour: 0 to 23`,
		"0 0 0 * *":                `"0 0 0 * *": "0" is not a day of the month: 1 to 31`,
		"0 0 1 13 *":               `"0 0 1 13 *": "13" is not a month: 1 to 12, or jan to dec`,
		"0 0 * * 8":                `"0 0 * * 8": "8"` + weekday,
		"0 0 * * FOO":              `"0 0 * * FOO": "FOO"` + weekday,
		"0 0 * * 1-2-3":            `"0 0 * * 1-2-3": "2-3"` + weekday,
		"0 0 * * 1-":               `"0 0 * * 1-": ""` + weekday,
		"0 0 * * 0--0":             `"0 0 * * 0--0": "-0"` + weekday,
		"0 5-3 * * *":              `"0 5-3 * * *": the range "5-3" ends before it begins`,
		"*-5 * * * *":              `"*-5 * * * *": "*-5" is not a range: it begins with a star`,
		"*/0 * * * *":              `"*/0 * * * *": "0" is not a step: a number from 1`,
		"*/2/3 * * * *":            `"*/2/3 * * * *": "2/3" is not a step: a number from 1`,
		"1/ * * * *":               `"1/ * * * *": "" is not a step: a number from 1`,
		"60 * * * * *":             `"60 * * * * *": "60" is not a second: 0 to 59`,
		"0 0 * * 5-0":              `"0 0 * * 5-0": the range "5-0" ends before it begins`,
		"0 0 * * sat-fri":          `"0 0 * * sat-fri": the range "sat-fri" ends before it begins`,
		"0 0 * dec-jan *":          `"0 0 * dec-jan *": the range "dec-jan" ends before it begins`,
		"0 0 31 2 *":               `"0 0 31 2 *"` + never + "29 days",
		"0 0 31 2 */2":             `"0 0 31 2 */2"` + never + "29 days",
		"0 0 0 31 2 *":             `"0 0 0 31 2 *"` + never + "29 days",
		"0 0 30,31 feb ?":          `"0 0 30,31 feb ?"` + never + "29 days",
		"0 0 31 2,4,6,9,11 */1":    `"0 0 31 2,4,6,9,11 */1"` + never + "30 days",
		strings.Repeat("0,", 600):  process.Printable(strings.Repeat("0,", 600)) + " has 1200 bytes, at most 1024",
		"CRON_TZ=UTC 0 0 30/1 2 *": `"CRON_TZ=UTC 0 0 30/1 2 *"` + never + "29 days",
	} {
		err := Validate(bad)
		if !errors.Is(err, process.ErrInvalid) || err.Error() != "cron: "+want {
			t.Errorf("%q:\ngot  %v\nwant cron: %s", bad, err, want)
		}
	}
}

// FuzzText: what is let pass, the parser takes, and it comes one day. What is refused,
// that refuses as well, but for what it would read as something else.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"0 0 * * *", "*/5 1-3,+7 ? JAN sun", "TZ=UTC @daily", "TZ=UTC", "CRON_TZ=", "@every 1h", "@every -1s", "@every 9999999h", "@annually", "\v0\u2003* * * *", "5/9 ?/1 31 2/3 0-6", "*/1,4 1-1 30 feb ?", "0 0 * * 1-7/3,sun", "0 0 1 1 0--0", "0 0 1 1 1-7/7", "*/7 5 4 3 2 1", "0 0 31 2 */2", "0 0 * * fri-sun", "@reboot", "0 0 0 29 2 */7"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if refused := Validate(expr); refused == nil {
			s, err := Parse(expr, "", noon)
			switch {
			case strings.Contains(expr, "TZ="): // the zone may be unknown, or leave a time out
			case err != nil:
				t.Errorf("%q: %v", expr, err)
			case s.IsReboot():
			case !s.Next(noon).After(noon):
				t.Errorf("%q: the next time is %v", expr, s.Next(noon))
			}
		} else if !strings.Contains(expr, "TZ=") { // there the parser panics
			for _, ours := range []string{"bytes, at most", "beside a comma", "begins with a star", "is not a field", "whole seconds", "never comes"} {
				if strings.Contains(refused.Error(), ours) {
					return
				}
			}
			if _, err := parser.Parse(expr); err == nil {
				t.Errorf("%q: %v", expr, refused)
			}
		}
	})
}
