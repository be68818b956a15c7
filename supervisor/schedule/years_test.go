package schedule

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Twenty years in zones that change their clocks by an hour, by half of one, off the hour, by
// a day, and never.
const (
	yearsFrom = 1_262_304_000 // 2010
	yearsTo   = 1_893_456_000 // 2030
)

var yearsZones = []string{"UTC", "Europe/Brussels", "America/New_York", "Pacific/Chatham", "Australia/Lord_Howe", "Pacific/Apia"}

// Whoever follows Next for twenty years makes progress at each step, comes by as many times as
// Count counts, and is where Last says; what Past says is missed is all of them.
func TestTwentyYearsOfTimes(t *testing.T) {
	const most = 30_000 // steps of one schedule
	steps := 0
	for i, zone := range yearsZones {
		r := rand.New(rand.NewPCG(uint64(i), 20))
		exprs := []string{"0 3 * * *", "30 2 * * *", "15 1,2 * * *", "0 * * * *", "*/30 1-3 * * *", "0 0 */2 * mon", "0 0 13 * fri", "@weekly", "30 30 2 * * *", "*/20 0 2 1 * *", "0 0 29 2 *", "@every 61m"}
		for len(exprs) < 40 {
			exprs = append(exprs, randomExpr(r))
		}
		for _, expr := range exprs {
			s, err := Parse(expr, zone, noon)
			if err != nil {
				continue // a wildcard in an hour that this zone never shows
			}
			begin, end, n := time.Unix(yearsFrom, 0), time.Unix(yearsTo, 0), 0
			now, last := begin, begin
			for next := s.Next(now); !next.After(end) && n < most; next = s.Next(now) {
				if !next.After(now) {
					t.Fatalf("%s %q: after %v comes %v", zone, expr, now, next)
				}
				if n++; n%97 == 0 {
					between := now.Add(time.Duration(r.Int64N(int64(next.Sub(now)))))
					if got := s.Next(between); s.every == 0 && !got.Equal(next) {
						t.Fatalf("%s %q: after %v comes %v, and after %v %v", zone, expr, now, next, between, got)
					}
					if got := s.Last(begin, between); n > 1 && s.every == 0 && !got.Equal(now) {
						t.Fatalf("%s %q: the last up to %v is %v, not %v", zone, expr, between, got, now)
					}
				}
				last, now = now, next
			}
			if n == 0 {
				continue
			}
			if got := s.Count(begin, now); got != n {
				t.Fatalf("%s %q: %d times up to %v, counted are %d", zone, expr, n, now, got)
			}
			if got := s.Last(begin, now); !got.Equal(now) || n > 1 && !s.Last(begin, now.Add(-1)).Equal(last) {
				t.Fatalf("%s %q: the last up to %v is %v", zone, expr, now, got)
			}
			run, missed, next := s.Past(s.Next(begin), now, Catchup{})
			if len(run) == 0 || !run[len(run)-1].Equal(now) || len(run)+missed.Count != n || !next.Equal(s.Next(now)) {
				t.Fatalf("%s %q: of %d times up to %v %v are run, %v missed, next is %v", zone, expr, n, now, run, missed, next)
			}
			steps += n
		}
	}
	if steps < 300_000 {
		t.Errorf("only %d times came by", steps)
	}
}

// In twenty years no time is left out, and none comes that should not: each fortnight of the
// years that has a change of the clocks is walked, minute by minute.
func TestNoTimeOfTwentyYearsIsLeftOut(t *testing.T) {
	for i, zone := range yearsZones {
		r := rand.New(rand.NewPCG(uint64(i), 21))
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Unix(yearsFrom, 0).In(loc); at.Unix() < yearsTo; {
			_, change := at.ZoneBounds()
			if change.IsZero() || change.Unix() > yearsTo {
				change = at.Add(time.Duration(r.Int64N(int64(180 * 24 * time.Hour))))
			}
			at = change.Add(time.Hour)
			s, err := parse(randomExpr(r), zone)
			if err != nil {
				t.Fatal(err)
			}
			if s.fields.second != 1 {
				continue // too many to be walked
			}
			from, to := change.Unix()-7*day, change.Unix()+7*day
			now := from
			for _, want := range look(s, from, to) {
				next := s.Next(time.Unix(now, 0))
				if next.Unix() != want {
					t.Fatalf("%s %+v: after %v comes %v, and by the clocks %v", zone, s.fields, time.Unix(now, 0).In(loc), next.In(loc), time.Unix(want, 0).In(loc))
				}
				now = want
			}
			if next := s.Next(time.Unix(now, 0)); !next.IsZero() && next.Unix() <= to {
				t.Fatalf("%s %+v: after %v comes %v, and by the clocks nothing", zone, s.fields, time.Unix(now, 0).In(loc), next.In(loc))
			}
		}
	}
}
