package schedule

import (
	"errors"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var noon = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

func mustParse(t testing.TB, expr string) *Schedule {
	t.Helper()
	s, err := Parse(expr, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScheduleIsReadOrRefused(t *testing.T) {
	for _, good := range []string{"0 0 * * *", "*/5 1-3 * * mon", "@daily", "@every 1s", "@every 1h30m", "@hourly", "CRON_TZ=UTC 0 3 * * *", "TZ=Europe/Brussels @daily", "0 0 * * 7"} {
		if _, err := Parse(good, "", noon); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "x", "61 * * * *", "TZ=UTC", "TZ=", "@every 0s", "0 0 31 2 *"} {
		if _, err := Parse(bad, "", noon); !errors.Is(err, process.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	_, err := Parse("CRON_TZ=Mars/X 0 0 * * *", "", noon)
	const want = `cron: "CRON_TZ=Mars/X 0 0 * * *": "Mars/X" is not a time zone: name one, such as UTC or Europe/Brussels`
	if !errors.Is(err, process.ErrInvalid) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A wildcard follows the clock, and in this zone the clock never shows that hour.
func TestTimeThatAZoneLeavesOutEachYearIsRefused(t *testing.T) {
	s, err := parse("*/5 2 15 3 *", "")
	if err != nil {
		t.Fatal(err)
	}
	s.zone = madeZone(t, "AAA0BBB,M3.3.0/2,M10.5.0/3", 0) // a Sunday of every year but six in seven
	if s.Next(noon).IsZero() {
		t.Error("it comes in the years in which the 15th is no Sunday")
	}
	s.zone = madeZone(t, "AAA0BBB,J74/2,J300/3", 0) // 15 March, every year
	if next := s.Next(noon); !next.IsZero() {
		t.Errorf("it never comes, not at %v", next)
	}
	s.fields.wild = false // then it runs after the gap
	if next := s.Next(noon); !next.Equal(time.Date(2026, 3, 15, 2, 0, 0, 0, time.UTC)) {
		t.Error(next)
	}
}

func TestRareDayIsFoundOrNever(t *testing.T) {
	for _, c := range []struct{ expr, after, want string }{
		{"0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"* * 29 2 *", "2096-02-29T23:59:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 29 2 *", "2026-03-01T12:00:30Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 2 */7", "2026-03-01T12:00:30Z", "2032-02-29T00:00:00Z"}, // a Sunday
		{"5 0 0 29 2 */7", "2088-02-29T00:00:05Z", "2128-02-29T00:00:05Z"},
		{"0 0 31 12 *", "2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z"},
	} {
		if got := mustParse(t, "CRON_TZ=UTC "+c.expr).Next(at(t, c.after)); !got.Equal(at(t, c.want)) {
			t.Errorf("%s after %s: %v, want %s", c.expr, c.after, got, c.want)
		}
	}
}

func TestSundayIsTheSeventhDayToo(t *testing.T) {
	for _, expr := range []string{"0 0 * * 5-7", "0 0 * * fri-sun", "0 0 * * FRI,sat,7", "0 0 * * 0,5,6", "0 0 * * 5-6,sun"} {
		s, now := mustParse(t, "CRON_TZ=UTC "+expr), noon // a Sunday
		for _, want := range []int{6, 7, 8, 13} {
			if now = s.Next(now); !now.Equal(time.Date(2026, 3, want, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: %v, not March %d", expr, now, want)
			}
		}
	}
}

func TestDueFollowsAClockThatIsStepped(t *testing.T) {
	s := mustParse(t, "CRON_TZ=UTC 0 * * * *")
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	next := s.Due(time.Time{}, noon)
	if !next.Equal(at(13)) {
		t.Fatal(next)
	}
	if got := s.Due(next, noon.Add(time.Minute)); !got.Equal(at(13)) {
		t.Error("a look at the clock moved it:", got)
	}
	if got := s.Due(next, noon.Add(-2*time.Hour)); !got.Equal(at(11)) {
		t.Error("stepped back two hours:", got)
	}
	if got := s.Due(next, noon.Add(3*time.Hour)); !got.Equal(at(13)) {
		t.Error("stepped forward, it is overdue and must stay so:", got)
	}
}

// The clock was stepped back after the run at 03:00, to some time before it.
func TestTimeThatHasComeDoesNotComeAgainWhenTheClockIsCorrected(t *testing.T) {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		expr              string
		before, now, want time.Time
	}{
		{"0 3 * * *", at(2, 3, 0), at(1, 2, 59), at(2, 3, 0)},
		{"0 3 * * *", at(2, 3, 0), at(1, 0, 0), at(2, 3, 0)},
		{"0 3 * * *", at(2, 3, 0), at(1, 0, 0).Add(-time.Minute), at(1, 3, 0)}, // it was wrong before
		{"0 3 * * *", at(9, 3, 0), at(1, 2, 0), at(1, 3, 0)},
		{"0 1,2,3 * * *", at(2, 1, 0), at(1, 0, 30), at(2, 1, 0)},
		{"0 1,2,3 * * *", at(1, 3, 0), at(1, 2, 30), at(1, 3, 0)}, // that has not come
		{"0 * * * *", at(1, 4, 0), at(1, 2, 59), at(1, 3, 0)},
		{"@every 1h", at(1, 4, 0), at(1, 2, 0), at(1, 3, 0)},
	} {
		s := mustParse(t, "CRON_TZ=UTC "+c.expr)
		if got := s.Due(c.before, c.now); !got.Equal(c.want) {
			t.Errorf("%s, next was %v, now it is %v: %v, want %v", c.expr, c.before, c.now, got, c.want)
		}
		if _, _, got := s.Past(c.before, c.now, Catchup{}); !got.Equal(c.want) {
			t.Errorf("after a restart: %s, next was %v, now it is %v: %v, want %v", c.expr, c.before, c.now, got, c.want)
		}
	}
}

// The next time was stored, and then came other zone data.
func TestNextTimeFollowsTheRulesOfItsZone(t *testing.T) {
	was, is := mustParse(t, "CRON_TZ=Europe/Brussels 0 3 * * *"), mustParse(t, "CRON_TZ=Europe/London 0 3 * * *")
	if got, want := is.Due(was.Next(noon), noon), is.Next(noon); !got.Equal(want) {
		t.Errorf("next is %v, want %v", got, want)
	}
	if _, _, got := is.Past(was.Next(noon), noon, Catchup{}); !got.Equal(is.Next(noon)) {
		t.Errorf("after a restart: next is %v, want %v", got, is.Next(noon))
	}
}

func BenchmarkNext(b *testing.B) {
	for _, expr := range []string{"0 3 * * *", "* * * * *", "0 0 29 2 *", "* * 29 2 *"} {
		b.Run(expr, func(b *testing.B) {
			s := mustParse(b, "CRON_TZ=Europe/Brussels "+expr)
			for b.Loop() {
				s.Next(noon)
			}
		})
	}
}

func TestNapLooksAtTheClock(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{time.Hour: maxNap, time.Second: time.Second, -time.Hour: 0} {
		if got := Nap(noon.Add(wait), noon); got != want {
			t.Errorf("%v: %v", wait, got)
		}
	}
}

// What is missed is found and counted, not looked at. To look at ten years of seconds takes
// minutes.
func TestMissedTimeIsFoundAtOnceHoweverLongTheAbsence(t *testing.T) {
	now := noon.Add(10 * 365 * 24 * time.Hour) // 2036-02-27T12:00:30Z
	for _, c := range []struct {
		expr, last, next string
		missed, run      int
	}{
		{"@every 59s", "2036-02-27T11:59:46Z", "2036-02-27T12:00:45Z", 5_345_084, 0},
		{"* * * * *", "2036-02-27T12:00:00Z", "2036-02-27T12:01:00Z", 10 * 365 * 24 * 60, 0},
		{"0 3 * * *", "2036-02-27T03:00:00Z", "2036-02-28T03:00:00Z", 3650, 0},
		{"30 4 29 2 *", "2032-02-29T04:30:00Z", "2036-02-29T04:30:00Z", 2, 0},
		{"@every 1s", "2036-02-27T12:00:19Z", "2036-02-27T12:00:31Z", 10*365*24*60*60 - 11, 11}, // the others are late, not missed
		{"* * * * * *", "2036-02-27T12:00:19Z", "2036-02-27T12:00:31Z", 10*365*24*60*60 - 11, 11},
	} {
		s := mustParse(t, "CRON_TZ=UTC "+c.expr)
		first := s.Next(noon)
		for range 1000 {
			run, missed, next := s.Past(first, now, Catchup{})
			if want := (Missed{first, at(t, c.last), c.missed}); missed.Count != c.missed || !missed.From.Equal(want.From) || !missed.To.Equal(want.To) || len(run) != c.run || !next.Equal(at(t, c.next)) {
				t.Fatalf("%s: %d run, missed %v, next %v; want %v", c.expr, len(run), missed, next, want)
			}
		}
	}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
