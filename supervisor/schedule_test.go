package supervisor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var noon = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

func TestScheduleIsReadOrRefused(t *testing.T) {
	for _, good := range []string{"0 0 * * *", "*/5 1-3 * * mon", "@daily", "@every 1s", "@every 1h30m", "@hourly", "CRON_TZ=UTC 0 3 * * *", "TZ=Europe/Brussels @daily"} {
		if _, err := parseSchedule(good, noon); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"TZ= 0 0 * * *", "CRON_TZ= @daily", "1,,2 * * * *", ",1 * * * *", "0 1, * * *", ", * * * *", "CRON_TZ=UTC 0 0 1,,2 * *", "@every 1500ms", "@every 0.5s",
		"", "x", "* * * *", "* * * * * *", "61 * * * *", "0 0 * * 7", "TZ=UTC", "CRON_TZ=UTC", "CRON_TZ=UTC ", "TZ=", "TZ=Nowhere/At 0 0 * * *",
		"@every -5s", "@every 0s", "@every 1ms", "@every", "@never", "@reboot", "0 0 31 2 *", "0 0 30 2 *", "\x00", "@every 1h\n* * * * *",
	} {
		_, err := parseSchedule(bad, noon)
		if !errors.Is(err, process.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for bad, want := range map[string]string{
		"TZ= 0 0 * * *": "cron: \"TZ= 0 0 * * *\": the zone is empty: name one, such as UTC or Europe/Brussels",
		"1,,2 * * * *":  "cron: \"1,,2 * * * *\": there is a value missing beside a comma in \"1,,2\"",
		"@every -5s":    "cron: \"@every -5s\": an interval has whole seconds, at least one",
		"0 0 31 2 *":    "cron: \"0 0 31 2 *\": that day never comes",
		"0 0 * * 7":     "cron: \"0 0 * * 7\": end of range (7) above maximum (6): 7 (Sunday is 0); five fields such as '0 3 * * *', @every 10s, or @daily are expected",
		"0 0 * * FOO":   "cron: \"0 0 * * FOO\": failed to parse int from FOO; five fields such as '0 3 * * *', @every 10s, or @daily are expected",
	} {
		if _, err := parseSchedule(bad, noon); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{"0 0 * * *", "TZ=UTC", "CRON_TZ=", "@every -1s", "@every 9999999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if s, err := parseSchedule(expr, noon); err == nil && !s.Next(noon).After(noon) {
			t.Errorf("%q: the next time is not later", expr)
		}
	})
}

func TestDueFollowsAClockThatIsStepped(t *testing.T) {
	s, err := parseSchedule("0 * * * *", noon)
	if err != nil {
		t.Fatal(err)
	}
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	next := due(s, time.Time{}, noon)
	if !next.Equal(at(13)) {
		t.Fatal(next)
	}
	if got := due(s, next, noon.Add(time.Minute)); !got.Equal(at(13)) {
		t.Error("a look at the clock moved it:", got)
	}
	if got := due(s, next, noon.Add(-2*time.Hour)); !got.Equal(at(11)) {
		t.Error("stepped back two hours:", got)
	}
	if got := due(s, next, noon.Add(3*time.Hour)); !got.Equal(at(13)) {
		t.Error("stepped forward, it is overdue and must stay so:", got)
	}
}

func TestNapLooksAtTheClock(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{time.Hour: maxNap, time.Second: time.Second, -time.Hour: 0} {
		if got := nap(noon.Add(wait), noon); got != want {
			t.Errorf("%v: %v", wait, got)
		}
	}
}
