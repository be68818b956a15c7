package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// A limit that a tree meets all the time, for a year, is told of at once, and never twice in a
// minute; what goes on is told of every hour at last. Nothing that was counted is left out.
func TestALimitThatIsMetForAYearIsToldOfSeldom(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := now.AddDate(1, 0, 0)
	told, sum, events, last := store.Limited{}, uint64(0), 0, time.Time{}
	for times := uint64(1); now.Before(end); times++ {
		next, n, wait := toldAgain(told, run.Hit{Times: times}, now)
		if n == 0 {
			t.Fatal("nothing to tell")
		}
		if wait == 0 {
			if since := now.Sub(last); !last.IsZero() && since < firstPause {
				t.Fatalf("told again after %v", since)
			}
			told, sum, last = next, sum+n, now
			events++
		} else if events == 0 {
			t.Fatal("not told at once")
		} else if due := last.Add(told.Pause); !now.Add(wait).Equal(due) {
			t.Fatalf("to be told at %v, want %v", now.Add(wait), due)
		}
		if sum > times {
			t.Fatalf("%d are told of %d", sum, times)
		}
		now = now.Add(7 * time.Second)
	}
	if most := 366*24 + 10; events > most || events < 365*23 {
		t.Errorf("%d events", events)
	}
	// What comes after it was quiet is told at once, and a minute later again.
	now = now.Add(3 * mostPause)
	next, _, wait := toldAgain(told, run.Hit{Times: told.Times + 1}, now)
	if wait != 0 || next.Pause != firstPause {
		t.Errorf("after a pause: in %v, then %v", wait, next.Pause)
	}
	// Who has counted begins anew, or the clock was set back.
	if _, n, _ := toldAgain(told, run.Hit{Times: 2}, now); n != 2 {
		t.Errorf("counted anew: %d", n)
	}
	if _, n, wait := toldAgain(told, run.Hit{Times: told.Times + 1}, last.Add(-24*time.Hour)); n != 1 || wait != 0 {
		t.Errorf("the clock was set back: %d in %v", n, wait)
	}
	if _, n, _ := toldAgain(told, run.Hit{Times: told.Times}, now); n != 0 {
		t.Errorf("nothing new: %d", n)
	}
}

// The time of the log's clock is before that of ours, and not by much.
func TestTheTimeOfTheKernelsLog(t *testing.T) {
	if got := logTime(time.Hour); got > time.Hour {
		t.Error(got)
	}
}

// Kills are told at once, then not for a while, and what is left with the end of the run: before
// that, and all of them. What was told is on disk with the events.
func TestKillsAreToldOnceAndAll(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	g := w.group("a.1")
	told := func() (list []uint64) {
		for _, e := range w.events() {
			if e.Kind == process.EventOOM {
				list = append(list, e.Times)
			}
		}
		return list
	}
	for range 2 {
		before := g.ooms
		g.starve(3)
		p.turnsUntil(t, func() bool { o := p.runs[1].Describe().OOM; return o != nil && o.Kills == before+3 })
		p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 && p.disk.under == 0 })
	}
	if got := told(); !slices.Equal(got, []uint64{3}) {
		t.Errorf("told %v", got)
	}
	if kept := p.kept.Limited; len(kept) != 1 || kept[0].Run != 1 || kept[0].Times != 3 {
		t.Errorf("kept: %+v", kept)
	}
	if p.limits == nil {
		t.Error("nothing is to be told later")
	}
	g.endWith(1)
	p.turnsUntil(t, func() bool { return !p.machine.Busy() && len(p.disk.writes) == 0 && p.disk.under == 0 })
	if got := told(); !slices.Equal(got, []uint64{3, 3}) {
		t.Errorf("told %v", got)
	}
	events := w.events()
	if n := len(events); events[n-1].Kind != process.EventEnded || events[n-2].Kind != process.EventOOM || events[n-2].OOM.Kills != 6 {
		t.Errorf("the last events are %+v", events[n-2:])
	}
	if len(p.kept.Limited) != 0 {
		t.Errorf("kept behind the end: %+v", p.kept.Limited)
	}
}
