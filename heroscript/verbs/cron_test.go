package verbs

import (
	"strings"
	"testing"

	"github.com/robfig/cron/v3"
)

func TestSchedulesAreCheckedByTheirForm(t *testing.T) {
	for _, good := range []string{
		"0 0 * * *", "*/5 1-3 * * mon", "0 9-17/2 1,15 JAN ?", " 0\t0 * * *\n", "+5 0 * * *", "CRON_TZ=UTC 0 3 * * *",
		"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "TZ=Europe/Brussels  @daily ", "@every 1h30m", "CRON_TZ=UTC @every 10s",
		"99 * * * *", // the daemon knows better
	} {
		if err := checkCron(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	const five = " is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', @every 10s, or @daily"
	const at = " is not a schedule: @every and a length of time, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"
	for bad, want := range map[string]string{
		"":               "is empty: leave it out, or give a schedule",
		" \n":            "is empty: leave it out, or give a schedule",
		"bad":            `"bad"` + five,
		"* * * *":        `"* * * *"` + five,
		"* * * * * *":    `"* * * * * *"` + five,
		" @daily":        `" @daily"` + five,
		"TZ=UTC":         `"TZ=UTC"` + five,
		"@reboot":        `"@reboot"` + at,
		"@Daily":         `"@Daily"` + at,
		"@every":         `"@every"` + at,
		"TZ=UTC @often":  `"TZ=UTC @often"` + at,
		"@every soon":    `"@every soon": "soon" is not a length of time: 10s, 5m or 1h30m`,
		"@every  5s":     `"@every  5s": " 5s" is not a length of time: 10s, 5m or 1h30m`,
		"0 3 * * mon;":   `"0 3 * * mon;": "mon;" is not a field: numbers or names, with * ? , - /`,
		"0 3 * * \x1b[":  `"0 3 * * \x1b[": "\x1b[" is not a field: numbers or names, with * ? , - /`,
		"0 03:00 * * fr": `"0 03:00 * * fr": "03:00" is not a field: numbers or names, with * ? , - /`,
	} {
		if err := checkCron(bad); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", bad, err, want)
		}
	}
}

// FuzzCron: nothing is refused that the daemon's parser would take.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"0 0 * * *", "*/5 1-3,+7 ? JAN sun", "TZ=UTC @daily", "@every 1h", "@annually", "\v0\u2003* * * *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if strings.Contains(expr, "TZ=") && !strings.Contains(expr, " ") {
			return // the parser panics
		}
		if _, err := cron.ParseStandard(expr); err == nil && checkCron(expr) != nil {
			t.Errorf("%q: %v", expr, checkCron(expr))
		}
	})
}
