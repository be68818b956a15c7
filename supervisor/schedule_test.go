package supervisor

import (
	"errors"
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
	for _, bad := range []string{"", "x", "61 * * * *", "TZ=UTC", "TZ=", "@every 0s", "0 0 31 2 *"} {
		if _, err := parseSchedule(bad, noon); !errors.Is(err, process.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	before2104 := time.Date(2097, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := parseSchedule("0 0 29 2 *", before2104)
	if want := `cron: "0 0 29 2 *": that time does not come within five years`; !errors.Is(err, process.ErrInvalid) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
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
