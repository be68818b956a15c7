package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// timed is a process that waits for the times of a schedule.
func (w *world) timed(t *testing.T, name string, of process.Schedule) *managed {
	t.Helper()
	p := w.byHand(t, name)
	spec := p.kept.Spec
	spec.Schedule = of
	if err := p.redefine(spec); err != nil {
		t.Fatal(err)
	}
	p.mustAsk(t, process.StartAgain{})
	return p
}

// Whatever the jitter, the first time is to come when the schedule begins; and a time that is
// awaited stays awaited when the jitter is changed.
func TestJitterNeitherDoublesNorDropsATime(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm, w.s.machine = true, "c0ffee"
	now := time.Now().UTC()
	next := now.Truncate(time.Second)
	p := w.timed(t, "a", process.Schedule{Cron: next.Format("5 4 15 * * *"), TZ: "UTC", Jitter: time.Hour})
	if want := next.AddDate(0, 0, 1); !p.next.Equal(want) || p.alarm == nil {
		t.Fatalf("the next time is %v, want %v", p.next, want)
	}
	p.next = next // it has come, and its run has not begun
	p.ring()
	if !p.next.Equal(next) || p.machine.State() != process.Scheduled {
		t.Fatalf("the run began before its jitter was over: %v", p.machine.State())
	}
	spec := p.kept.Spec
	spec.Jitter = 0
	if err := p.redefine(spec); err != nil {
		t.Fatal(err)
	}
	if !p.next.Equal(next) {
		t.Fatalf("the time that was awaited is dropped for %v", p.next)
	}
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
	if !p.next.After(now) {
		t.Errorf("the next time is %v", p.next)
	}
	next, spec = p.next, p.kept.Spec
	spec.Jitter = time.Hour
	if err := p.redefine(spec); err != nil || !p.next.Equal(next) {
		t.Errorf("the next time became %v, was %v; %v", p.next, next, err)
	}
}

// Without a word from the clock nothing would look at it before the hour is over.
func TestAClockThatIsSetHasEachScheduleLookAtIt(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	next := time.Now().UTC().Truncate(time.Second)
	p := w.timed(t, "a", process.Schedule{Cron: next.Format("5 4 15 * * *"), TZ: "UTC"})
	p.next = next // the clock was set forward
	w.s.clockSet()
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
	p.next = time.Now().Add(100 * time.Hour).Truncate(time.Hour) // it was set back
	w.s.clockSet()
	p.turnsUntil(t, func() bool { return p.next.Before(time.Now().Add(25 * time.Hour)) })
}

func TestAScheduleThatCannotBeIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct {
		of   process.Schedule
		want string
	}{
		{process.Schedule{Cron: "TZ=Asia/Tokyo 0 3 * * *", TZ: "Europe/Brussels"}, `cron: "TZ=Asia/Tokyo 0 3 * * *": its zone is not that of tz, which is "Europe/Brussels": leave one of them out`},
		{process.Schedule{Cron: "0 3 * * *", TZ: "Mars/X"}, `tz: "Mars/X" is not a time zone: name one, such as UTC or Europe/Brussels`},
		{process.Schedule{Cron: "0 3 * * *", TZ: "no zone"}, `tz: "no zone" is not a time zone: name one, such as UTC or Europe/Brussels`},
		{process.Schedule{Cron: "* * * * *", Jitter: 5 * time.Minute}, `jitter: 5m is longer than the 1m between two times of the schedule`},
		{process.Schedule{Cron: "0 3 * * *", Jitter: 25 * time.Hour}, `jitter: 25h is too long: at most 24h`},
		{process.Schedule{Cron: "0 3 31 4 *"}, `cron: "0 3 31 4 *": that day never comes: the longest month that it names has 30 days`},
	} {
		_, err := judge(&process.Spec{Name: "a", Command: "true", Schedule: c.of})
		if !errors.Is(err, process.ErrInvalid) || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	if _, err := judge(&process.Spec{Name: "a", Command: "true", Schedule: process.Schedule{Cron: "TZ=Europe/Brussels @daily", TZ: "Europe/Brussels"}}); err != nil {
		t.Error("both zones are the same, and that is no error:", err)
	}
}

func TestTimesToComeAreInOrder(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm, w.s.machine = true, "c0ffee"
	w.timed(t, "b", process.Schedule{Cron: "0 * * * *", TZ: "UTC"})
	w.timed(t, "a", process.Schedule{Cron: "*/20 * * * *", TZ: "UTC", Jitter: time.Minute})
	w.timed(t, "reboot", process.Schedule{Cron: "@reboot"})
	w.byHand(t, "timeless")
	show := func(of string, most int) string {
		var text strings.Builder
		selection, err := process.ParseSelection(of)
		if err != nil && of != "" {
			t.Fatal(err)
		}
		list, err := w.s.Next(t.Context(), selection, most)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range list {
			if c.Err != nil {
				fmt.Fprint(&text, " ", c.Err)
				continue
			}
			if wait := schedule.Jitter(time.Minute, "a", "c0ffee"); c.Name == "a" && c.Start.Sub(c.Time) != wait || c.Name == "b" && c.Start != c.Time || c.TZ != "UTC" {
				t.Errorf("%+v", c)
			}
			if !c.Time.After(time.Now().Add(-time.Minute)) || i > 0 && c.Time.Before(list[i-1].Time) {
				t.Errorf("%v comes behind others", c.Time)
			}
			fmt.Fprintf(&text, " %s:%02d", c.Name, c.Time.Minute())
		}
		return strings.TrimSpace(text.String())
	}
	if got := strings.Count(show("", 1000), "a:"); got != 1000 {
		t.Errorf("%d of a thousand", got)
	}
	if got := show("", 6); !strings.Contains(got, "a:00 b:00 a:20 a:40 a:00 b:00") {
		t.Error(got)
	}
	if got := show("b,gone", 2); got != "b:00 b:00 no process 'gone'" {
		t.Error(got)
	}
	if got := show("reboot", 5); got != "" {
		t.Error(got)
	}
	for i := range 20 {
		p := w.byHand(t, fmt.Sprint("tick-", i))
		p.times, p.next = w.s.names["a"].times, w.s.names["a"].next
		p.publish()
	}
	if got := strings.Count(show("", 1000), ":"); got != process.MaxComingOfAll {
		t.Errorf("%d of all together", got)
	}
}

// Where nobody tells that the clock was set a schedule looks at it by one that nobody sets: the
// time at which it was to look would be far away when that is set back.
func TestALookAtTheClockWaitsForAnotherOne(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm, w.s.wallTells = true, false
	wall := w.s.wall
	w.s.wall = nil // it is not asked
	defer func() { w.s.wall = wall }()
	p := w.timed(t, "a", process.Schedule{Cron: "* * * * * *"})
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
}
