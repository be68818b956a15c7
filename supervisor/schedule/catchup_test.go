package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestTimesThatPassedAreRunOrMissed(t *testing.T) {
	const hourly, every = "CRON_TZ=UTC 0 * * * *", "@every 1h"
	one := time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what, expr  string
		after       time.Duration // one, which was next
		catchup     Catchup
		run         string // hours after one
		from, to, n int    // missed
		next        int
	}{
		{"it is still to come", hourly, -time.Minute, Catchup{All: true}, "", 0, 0, 0, 0},
		{"the clock went back", hourly, -5*time.Hour - time.Minute, Catchup{All: true}, "", 0, 0, 0, -5},
		{"it is now", hourly, 0, Catchup{}, "0", 0, 0, 0, 1},
		{"it was just now", hourly, OnTime, Catchup{}, "0", 0, 0, 0, 1},
		{"it was missed", hourly, OnTime + 1, Catchup{}, "", 0, 0, 1, 1},
		{"several were", hourly, 5*time.Hour + time.Minute, Catchup{}, "", 0, 5, 6, 6},
		{"the last of them is just late", hourly, 5*time.Hour + time.Second, Catchup{}, "5", 0, 4, 5, 6},
		{"the latest is caught up", hourly, 5*time.Hour + time.Minute, Catchup{Latest: true}, "5", 0, 4, 5, 6},
		{"the latest is just late, and nothing is caught up", hourly, 5*time.Hour + time.Second, Catchup{Latest: true}, "5", 0, 4, 5, 6},
		{"the latest is in the window", hourly, 5*time.Hour + time.Minute, Catchup{Latest: true, Window: time.Minute}, "5", 0, 4, 5, 6},
		{"the latest is too old", hourly, 5*time.Hour + time.Minute, Catchup{Latest: true, Window: time.Minute - 1}, "", 0, 5, 6, 6},
		{"all are caught up", hourly, 3*time.Hour + time.Minute, Catchup{All: true}, "0 1 2 3", 0, 0, 0, 4},
		{"all that are in the window", hourly, 3*time.Hour + time.Minute, Catchup{All: true, Window: 2 * time.Hour}, "2 3", 0, 1, 2, 4},
		{"on time counts although the window is short", hourly, 3*time.Hour + time.Second, Catchup{All: true, Window: 1}, "3", 0, 2, 3, 4},
		{"@every is still to come", every, -time.Minute, Catchup{All: true}, "", 0, 0, 0, 0},
		{"@every is now", every, 0, Catchup{}, "0", 0, 0, 0, 1},
		{"@every goes on from what was next", every, 5*time.Hour + time.Minute, Catchup{}, "", 0, 5, 6, 6},
		{"@every is caught up", every, 3*time.Hour + time.Minute, Catchup{All: true, Window: 2 * time.Hour}, "2 3", 0, 1, 2, 4},
	} {
		hours := func(n int) time.Time { return one.Add(time.Duration(n) * time.Hour) }
		run, missed, next := mustParse(t, c.expr).Past(one, one.Add(c.after), c.catchup)
		var ran []int
		for _, at := range run {
			ran = append(ran, int(at.Sub(one).Hours()))
		}
		want := Missed{}
		if c.n > 0 {
			want = Missed{hours(c.from), hours(c.to), c.n}
		}
		if got := fmt.Sprint(ran); got != "["+c.run+"]" || missed != want || !next.Equal(hours(c.next)) {
			t.Errorf("%s: run %v, missed %v, next %v", c.what, run, missed, next)
		}
	}
}

// Whatever passed is in exactly one place, in every mode and zone: what Next gives, one
// behind the other, is first missed, then run, then next.
func TestEachTimeThatPassedIsRunOrMissedOnce(t *testing.T) {
	for i := range 3000 {
		r := rand.New(rand.NewPCG(uint64(i), 9))
		expr := randomExpr(r)
		if r.IntN(5) == 0 {
			expr = fmt.Sprintf("@every %dm", 1+r.IntN(100))
		}
		s := mustParse(t, "CRON_TZ="+zoneNames[r.IntN(len(zoneNames))]+" "+expr)
		was := s.Next(time.Unix(r.Int64N(3_000_000_000), 0))
		now := was.Add(time.Duration(r.Int64N(int64(4 * 24 * time.Hour))))
		if r.IntN(2) == 0 {
			now = was.Add(time.Duration(r.Int64N(int64(time.Minute))))
		}
		c := Catchup{Latest: r.IntN(3) == 0}
		c.All = !c.Latest && r.IntN(2) == 0
		if r.IntN(2) == 0 {
			c.Window = time.Duration(r.Int64N(int64(2 * 24 * time.Hour)))
		}
		run, missed, next := s.Past(was, now, c)
		at, from, to, n := was, time.Time{}, time.Time{}, 0
		for ; n < missed.Count; n++ {
			if n == 0 {
				from = at
			}
			to, at = at, s.Next(at)
		}
		if !from.Equal(missed.From) || !to.Equal(missed.To) {
			t.Fatalf("%q from %v to %v: missed %v", expr, was, now, missed)
		}
		for i, ran := range run {
			old := now.Sub(ran)
			if !ran.Equal(at) || old > OnTime && (!c.All && !c.Latest || c.Window > 0 && old > c.Window || len(run)-i > CatchupLimit || c.Latest && i < len(run)-1) {
				t.Fatalf("%q from %v to %v with %v: run %v", expr, was, now, c, run)
			}
			at = s.Next(at)
		}
		if missed.Count > 0 && now.Sub(missed.To) <= OnTime || !next.Equal(at) || !next.After(now) {
			t.Fatalf("%q from %v to %v: run %v, missed %v, next %v", expr, was, now, run, missed, next)
		}
	}
}

// A time that the daemon stored may not be one any more: zone data was renewed.
func TestTimesThatPassedFollowTheRulesOfTheirZone(t *testing.T) {
	was, is := mustParse(t, "CRON_TZ=Europe/Brussels 0 3 * * *"), mustParse(t, "CRON_TZ=Europe/London 0 3 * * *")
	first := is.Next(noon)
	_, missed, next := is.Past(was.Next(noon), first.Add(25*time.Hour), Catchup{})
	if want := (Missed{first, first.Add(24 * time.Hour), 2}); missed != want || !next.Equal(first.Add(48*time.Hour)) {
		t.Errorf("missed %v, next %v", missed, next)
	}
}

// A daemon that comes back after a month with a thousand schedules that run each minute must
// answer at once: what is missed is counted, not looked at.
func BenchmarkPastAfterAMonth(b *testing.B) {
	for _, expr := range []string{"* * * * *", "*/10 * * * * *", "0-59 0-23 * * *", "@every 1m"} {
		b.Run(expr, func(b *testing.B) {
			s := mustParse(b, "CRON_TZ=Europe/Brussels "+expr)
			was := s.Next(noon)
			for b.Loop() {
				if run, missed, _ := s.Past(was, was.Add(31*24*time.Hour+30*time.Second), Catchup{All: true}); len(run) != CatchupLimit || missed.Count < 44_000 {
					b.Fatal(len(run), missed)
				}
			}
		})
	}
}
