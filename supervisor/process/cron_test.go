package process

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func TestSchedulesAreReadAsTheyAreWritten(t *testing.T) {
	for _, good := range []string{
		"0 0 * * *", "*/5 1-3 * * mon", "0 9-17/2 1,15 JAN ?", " 0\t0 * * *\n", "+5 0 * * *", "CRON_TZ=UTC 0 3 * * *", "5/20 */100 */9223372036854775807 * *",
		"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "TZ=Europe/Brussels  @daily ", "@every 1s", "@every 1h30m", "CRON_TZ=UTC @every 10s",
		"0 0 29 2 *", "0 0 31 2,3 *", "0 0 30,1 2 *", "0 0 31 2 mon", "0 0 31 2 0-6", // a day of the week comes too
	} {
		if err := ValidateCron(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	const five = " is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', @every 10s, or @daily"
	const at = " is not a schedule: @every and a length of time, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"
	const never, interval, zone = ": that day never comes", ": an interval has whole seconds, at least one", "name one, such as UTC or Europe/Brussels"
	const weekday = ` is not a day of the week: 0 to 6, or sun to sat (Sunday is 0)`
	for bad, want := range map[string]string{
		"":                         "is empty: leave it out, or give a schedule",
		" \n":                      "is empty: leave it out, or give a schedule",
		"bad":                      `"bad"` + five,
		"* * * *":                  `"* * * *"` + five,
		"* * * * * *":              `"* * * * * *"` + five,
		" @daily":                  `" @daily"` + five,
		"\x00":                     `"\x00"` + five,
		"TZ=UTC":                   `"TZ=UTC"` + five,
		"CRON_TZ=UTC ":             `"CRON_TZ=UTC "` + five,
		"TZ=":                      `"TZ=": the zone is empty: ` + zone,
		"TZ= 0 0 * * *":            `"TZ= 0 0 * * *": the zone is empty: ` + zone,
		"CRON_TZ= @daily":          `"CRON_TZ= @daily": the zone is empty: ` + zone,
		"CRON_TZ=Mars/X 0 0 * * *": `"CRON_TZ=Mars/X 0 0 * * *": "Mars/X" is not a time zone that is known here: ` + zone,
		"@reboot":                  `"@reboot"` + at,
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
		"0 0 * * 7":                `"0 0 * * 7": "7"` + weekday,
		"0 0 * * FOO":              `"0 0 * * FOO": "FOO"` + weekday,
		"0 0 * * 1-2-3":            `"0 0 * * 1-2-3": "2-3"` + weekday,
		"0 0 * * 1-":               `"0 0 * * 1-": ""` + weekday,
		"0 5-3 * * *":              `"0 5-3 * * *": the range "5-3" ends before it begins`,
		"*-5 * * * *":              `"*-5 * * * *": "*-5" is not a range: it begins with a star`,
		"*/0 * * * *":              `"*/0 * * * *": "0" is not a step: a number from 1`,
		"*/2/3 * * * *":            `"*/2/3 * * * *": "2/3" is not a step: a number from 1`,
		"1/ * * * *":               `"1/ * * * *": "" is not a step: a number from 1`,
		"0 0 31 2 *":               `"0 0 31 2 *"` + never,
		"0 0 30,31 feb ?":          `"0 0 30,31 feb ?"` + never,
		"0 0 31 2,4,6,9,11 */1":    `"0 0 31 2,4,6,9,11 */1"` + never,
		"CRON_TZ=UTC 0 0 30/1 2 *": `"CRON_TZ=UTC 0 0 30/1 2 *"` + never,
	} {
		err := ValidateCron(bad)
		if !errors.Is(err, ErrInvalid) || err.Error() != "cron: "+want {
			t.Errorf("%q:\ngot  %v\nwant cron: %s", bad, err, want)
		}
	}
}

// FuzzCron: what is let pass, the daemon's parser takes, and it comes one day. What is
// refused, that refuses as well, but for what it would read as something else.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"0 0 * * *", "*/5 1-3,+7 ? JAN sun", "TZ=UTC @daily", "@every 1h", "@annually", "\v0\u2003* * * *", "5/9 ?/1 31 2/3 0-6", "*/1,4 1-1 30 feb ?"} {
		f.Add(seed)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expr string) {
		refused := ValidateCron(expr)
		if strings.Contains(expr, "TZ=") && !strings.Contains(expr, " ") {
			return // the parser panics
		}
		schedule, err := cron.ParseStandard(expr)
		never := err == nil && schedule.Next(noon).IsZero()
		if refused == nil {
			if err != nil || never && !strings.Contains(expr, "TZ=") { // a zone can leave a time out
				t.Errorf("%q: never: %v, %v", expr, never, err)
			}
			return
		}
		for _, ours := range []string{"beside a comma", "begins with a star", "whole seconds", "zone is empty"} {
			if strings.Contains(refused.Error(), ours) {
				return
			}
		}
		if err == nil && never != strings.Contains(refused.Error(), "never comes") {
			t.Errorf("%q: never: %v, %v", expr, never, refused)
		}
	})
}
