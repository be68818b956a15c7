package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// scheduledAt are times of a schedule, an hour apart, the first at noon.
func scheduledAt(count int) (times []time.Time) {
	for i := range count {
		times = append(times, noon.Add(time.Duration(i)*time.Hour))
	}
	return times
}

// play takes a process through events, and is what it asks for but for answers and alarms.
func play(t *testing.T, p Process, events ...Event) (Process, []string) {
	t.Helper()
	var told []string
	for _, e := range events {
		var actions []Action
		p, actions = p.Step(e)
		for _, a := range actions {
			switch a.Do {
			case Account, Spawn, EndRun:
				told = append(told, a.String())
			}
		}
	}
	return p, told
}

// armed waits for its times, and nothing of it runs.
func armed() Process {
	return Process{Up: true, Scheduled: true, Rest: process.Scheduled, Last: 6}
}

func over(run uint64) Event { return Event{Kind: RunEnded, Run: run, Cause: process.CauseExit} }

func TestWhatIsCaughtUpRunsOneAfterAnotherInOrder(t *testing.T) {
	missed := Event{Kind: CatchUp, Times: scheduledAt(3), Reason: "no daemon ran"}
	always := armed()
	always.Policy = process.Restarting{Restart: process.RestartAlways}
	allow := armed()
	allow.Overlap = process.Overlapping{Overlap: process.OverlapAllow, OverlapMax: 2}
	queue := armed()
	queue.Overlap = process.Overlapping{Overlap: process.OverlapQueue}
	tried := armed()
	tried.Rest, tried.Under = process.Backoff, process.Failed
	evening := Event{Kind: Due, Time: noon.Add(9 * time.Hour)}
	work := Event{Kind: WorkOff}
	const entered = "12:00 caught_up, 13:00 caught_up, 14:00 caught_up, "
	for _, c := range []struct {
		what   string
		p      Process
		events []Event
		want   string
	}{
		{"one at a time", armed(), []Event{missed, work, work, over(7), over(8), over(9)},
			"12:00 caught_up 7, spawn 7, 13:00 caught_up 8, spawn 8, 14:00 caught_up 9, spawn 9"},
		{"whatever the restart policy says", always, []Event{missed, work, over(7), over(8)},
			"12:00 caught_up 7, spawn 7, 13:00 caught_up 8, spawn 8, 14:00 caught_up 9, spawn 9"},
		{"instead of another attempt", tried, []Event{missed, work}, "12:00 caught_up 7, spawn 7"},
		{"side by side", allow, []Event{missed, work, over(8)},
			"12:00 caught_up 7, spawn 7, 13:00 caught_up 8, spawn 8, 14:00 caught_up 9, spawn 9"},
		{"a time that comes meanwhile is skipped", armed(), []Event{missed, work, evening, over(7)},
			"12:00 caught_up 7, spawn 7, 21:00 skipped, 13:00 caught_up 8, spawn 8"},
		{"what is queued goes before", queue, []Event{missed, work, evening, over(7), over(8)},
			"12:00 caught_up 7, spawn 7, 21:00 queued, 21:00 queued 8, spawn 8, 13:00 caught_up 9, spawn 9"},
		{"it waits for what it needs", armed(), []Event{missed, {Kind: WorkOff, Held: true}, {Kind: WorkOff, Held: true}, {Kind: NeedsChanged}, over(7)},
			"12:00 caught_up 7, spawn 7, 13:00 caught_up 8, spawn 8"},
		{"a stop drops it", armed(), []Event{missed, work, stop},
			"12:00 caught_up 7, spawn 7, end 7 stop, 13:00 missed, 14:00 missed"},
		{"another schedule does", armed(), []Event{missed, work, {Kind: Rescheduled}, over(7)},
			"12:00 caught_up 7, spawn 7, 13:00 missed, 14:00 missed"},
		{"none does", armed(), []Event{missed, {Kind: Unscheduled}}, "12:00 missed, 13:00 missed, 14:00 missed"},
		{"another way to catch up does", armed(), []Event{missed, {Kind: ForgetBacklog}, work}, "12:00 missed, 13:00 missed, 14:00 missed"},
		{"a pause does", armed(), []Event{missed, work, {Kind: PauseSchedule}, over(7)},
			"12:00 caught_up 7, spawn 7, 13:00 paused, 14:00 paused"},
		{"the end of the daemon keeps it", armed(), []Event{missed, work, shutdown, over(7)}, "12:00 caught_up 7, spawn 7, end 7 shutdown"},
		{"a restart goes before", armed(), []Event{missed, work, restart, over(7), over(8)},
			"12:00 caught_up 7, spawn 7, end 7 stop, spawn 8, 13:00 caught_up 9, spawn 9"},
	} {
		p, told := play(t, c.p, c.events...)
		if got := strings.Join(told, ", "); got != entered+c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.what, got, entered+c.want)
		}
		if c.what == "the end of the daemon keeps it" && len(p.Backlog) != 2 {
			t.Errorf("%s: %d are left", c.what, len(p.Backlog))
		}
	}
}

// Each time is in exactly one entry: whatever is caught up and whatever is not.
func TestAtMostAHundredAreCaughtUp(t *testing.T) {
	p, _ := play(t, armed(), Event{Kind: CatchUp, Times: scheduledAt(60)})
	later := scheduledAt(130)[60:]
	p, told := play(t, p, Event{Kind: CatchUp, Times: later})
	if len(p.Backlog) != process.MaxCatchup || !p.Backlog[0].Time.Equal(noon.Add(30*time.Hour)) {
		t.Errorf("%d are left, the first of %v", len(p.Backlog), p.Backlog[0].Time)
	}
	missed := 0
	for _, one := range told {
		if strings.HasSuffix(one, "missed") {
			missed++
		}
	}
	if missed != 30 {
		t.Errorf("%d are missed: %q", missed, told)
	}
}

func TestNothingIsCaughtUpOfWhatIsNotArmed(t *testing.T) {
	for what, p := range map[string]Process{
		"stopped":    {Scheduled: true, Rest: process.Stopped, Stopped: true},
		"closing":    {Up: true, Scheduled: true, Rest: process.Scheduled, Closing: true},
		"unarmed":    {Up: true, Rest: process.Stopped},
		"being gone": {Up: true, Scheduled: true, Rest: process.Scheduled, Removing: true},
	} {
		if p, told := play(t, p, Event{Kind: CatchUp, Times: scheduledAt(2)}, Event{Kind: WorkOff}); len(told) > 0 || len(p.Backlog) > 0 {
			t.Errorf("%s: %q, %d are left", what, told, len(p.Backlog))
		}
	}
}

func TestAPausedScheduleLetsTimesPass(t *testing.T) {
	at := func(hours int) Event { return Event{Kind: Due, Time: noon.Add(time.Duration(hours) * time.Hour)} }
	_, told := play(t, armed(), Event{Kind: PauseSchedule}, at(0), Event{Kind: Missed, Time: noon.Add(time.Hour), Until: noon.Add(2 * time.Hour), Count: 2},
		Event{Kind: CatchUp, Times: []time.Time{noon.Add(3 * time.Hour)}}, trigger, over(7), Event{Kind: ResumeSchedule}, at(4))
	want := "12:00 paused, 13:00 paused, 15:00 paused, spawn 7, 16:00 ran 8, spawn 8"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheTimeThatIsToBeSkippedIs(t *testing.T) {
	at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	due := func(hours int) Event { return Event{Kind: Due, Time: at(hours)} }
	skip := Event{Kind: SkipNext, Time: at(1)}
	for _, c := range []struct {
		what   string
		events []Event
		want   string
	}{
		{"that one alone", []Event{skip, due(0), over(7), due(1), due(2)}, "12:00 ran 7, spawn 7, 13:00 skipped_on_request, 14:00 ran 8, spawn 8"},
		{"twice is once", []Event{skip, skip, due(1), due(2)}, "13:00 skipped_on_request, 14:00 ran 7, spawn 7"},
		{"not a later one", []Event{skip, {Kind: Missed, Time: at(0), Until: at(1), Count: 2}, due(2)}, "12:00 missed, 14:00 ran 7, spawn 7"},
		{"nor one that is caught up", []Event{skip, {Kind: CatchUp, Times: []time.Time{at(0), at(1)}}, {Kind: WorkOff}, over(7), due(2)},
			"12:00 caught_up, 13:00 skipped_on_request, 12:00 caught_up 7, spawn 7, 14:00 ran 8, spawn 8"},
		{"a stop forgets it", []Event{skip, stop, start, due(1)}, "13:00 ran 7, spawn 7"},
		{"another schedule does", []Event{skip, {Kind: Rescheduled}, due(1)}, "13:00 ran 7, spawn 7"},
		{"a pause that is over before does not", []Event{skip, {Kind: PauseSchedule}, due(0), {Kind: ResumeSchedule}, due(1)}, "12:00 paused, 13:00 skipped_on_request"},
		{"one that lasts does", []Event{skip, {Kind: PauseSchedule}, due(1), {Kind: ResumeSchedule}, due(2)}, "13:00 paused, 14:00 ran 7, spawn 7"},
	} {
		if _, told := play(t, armed(), c.events...); strings.Join(told, ", ") != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.what, strings.Join(told, ", "), c.want)
		}
	}
}

// What a process was to catch up is not shared with what it was before: a run that never was
// gives nothing back that another has taken.
func TestABacklogIsNotShared(t *testing.T) {
	p, _ := play(t, armed(), Event{Kind: CatchUp, Times: scheduledAt(3)})
	before := fmt.Sprint(p.Backlog)
	play(t, p, Event{Kind: WorkOff}, over(7), over(8))
	play(t, p, Event{Kind: CatchUp, Times: scheduledAt(6)[3:]})
	if got := fmt.Sprint(p.Backlog); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	if !slices.IsSortedFunc(p.Backlog, func(a, b Occasion) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("out of order: %v", p.Backlog)
	}
}
