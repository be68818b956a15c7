package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// newScheduleWorld is a calm world in a boot and with a keeper, whose gate lets nobody in until
// it is opened.
func newScheduleWorld(t *testing.T) *world {
	w := newWorld(t)
	w.calm = true
	w.s.origin = store.Origin{Boot: "boot", Keeper: "1:1"}
	w.s.former = store.Daemon{Origin: w.s.origin, Done: true}
	w.s.gate.room = 0
	return w
}

// minutely is a process that was due each minute, for the first time so many minutes and a half
// ago.
func minutely(minutes int, catchup string) store.Process {
	kept := keptOf(process.Spec{Name: "a", Command: "true", Schedule: process.Schedule{Cron: "@every 60s", Catchup: catchup}})
	kept.Target = store.Target{Up: true, State: process.Stopped, Next: time.Now().Add(-time.Duration(minutes)*time.Minute - 30*time.Second).UTC().Round(0)}
	return kept
}

// take has a new worker take over what is kept.
func (w *world) take(t *testing.T, kept store.Process) *managed {
	t.Helper()
	w.s.resume(kept, nil, nil, nil, nil)
	p := w.s.names[kept.Spec.Name]
	p.disk.definition = true // as a worker before had put it there
	return p
}

// quiet has the loop go on until nothing is under way any more, and is the ledger then.
func (p *managed) quiet(t *testing.T) string {
	t.Helper()
	p.turnsUntil(t, func() bool {
		p.inbox.mu.Lock()
		defer p.inbox.mu.Unlock()
		return len(p.inbox.queue) == 0 && len(p.disk.writes) == 0 && p.disk.under == 0 && !p.disk.dirty
	})
	entries, err := p.s.store.Ledger(p.name, noTime)
	if err != nil {
		t.Fatal(err)
	}
	return inWords(entries)
}

func inWords(entries []process.LedgerEntry) string {
	var all []string
	for _, e := range entries {
		text := e.Outcome.String()
		if e.Times() > 1 {
			text += fmt.Sprintf(" %d times", e.Times())
		}
		if e.Run > 0 {
			text += fmt.Sprintf(" %d", e.Run)
		}
		if e.Reason != "" {
			text += ": " + e.Reason
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// open lets who waits in, and all that come.
func (w *world) open() {
	w.s.gate.mu.Lock()
	w.s.gate.room = 1000
	line := w.s.gate.line
	w.s.gate.line = nil
	w.s.gate.mu.Unlock()
	for _, do := range line {
		do(func() {})
	}
}

// ends has the run that goes on end, and the loop go on until that is on disk.
func (w *world) ends(t *testing.T, p *managed) string {
	t.Helper()
	p.turnsUntil(t, func() bool { return len(w.alive(p.name)) == 1 && len(p.disk.writes) == 0 })
	before := p.kept.Target.Run
	w.alive(p.name)[0].endWith(0)
	p.turnsUntil(t, func() bool { return p.kept.Last != nil && p.kept.Last.Number == before })
	return p.quiet(t)
}

func TestMissedTimesAreCaughtUpAsAskedFor(t *testing.T) {
	for catchup, want := range map[string]string{
		"":                    "missed 4 times: no daemon ran",
		process.CatchupNone:   "missed 4 times: no daemon ran",
		process.CatchupLatest: "missed 3 times: no daemon ran, caught_up: no daemon ran",
		process.CatchupAll:    strings.Repeat("caught_up: no daemon ran, ", 3) + "caught_up: no daemon ran",
	} {
		w := newScheduleWorld(t)
		p := w.take(t, minutely(3, catchup))
		if got := p.quiet(t); got != want {
			t.Errorf("catchup %q:\ngot  %s\nwant %s", catchup, got, want)
		}
		if left := time.Until(p.next); left < 0 || left > 31*time.Second {
			t.Errorf("catchup %q: the next time is in %v", catchup, left)
		}
		w.s.closeParts()
	}
}

func TestTheReasonTellsAMachineThatWasOff(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	w.s.former.Boot = "another"
	if got, want := w.take(t, minutely(3, "")).quiet(t), "missed 4 times: the machine was off"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is to be caught up is kept, and goes on after the death of worker and keeper: each time
// runs once, in its order.
func TestWhatIsToBeCaughtUpSurvives(t *testing.T) {
	w := newScheduleWorld(t)
	defer func() { w.s.closeParts() }()
	p := w.take(t, minutely(2, process.CatchupAll))
	p.quiet(t)
	if got := p.shown().ToCatchUp; got != 3 {
		t.Errorf("%d are to be caught up", got)
	}
	kept := w.reopened(t).Processes[0]
	w.s.origin.Keeper = "2:2"
	w.open()
	p = w.take(t, kept)
	want := []string{
		"caught_up 1: no daemon ran, caught_up: no daemon ran, caught_up: no daemon ran",
		"caught_up 1: no daemon ran, caught_up 2: no daemon ran, caught_up: no daemon ran",
		"caught_up 1: no daemon ran, caught_up 2: no daemon ran, caught_up 3: no daemon ran",
	}
	if got := p.quiet(t); got != want[0] {
		t.Fatalf("got %s", got)
	}
	if got := w.ends(t, p); got != want[1] {
		t.Fatalf("after run 1: got %s", got)
	}
	w.ends(t, p)
	if got := w.ends(t, p); got != want[2] || p.machine.Busy() || len(p.machine.Backlog) > 0 {
		t.Errorf("at last: got %s, %+v", got, p.machine)
	}
	runs, err := w.s.store.Runs("a", 0)
	if err != nil || len(runs) != 3 || runs[0].Asked.By != process.ByCatchUp {
		t.Errorf("its runs are %+v, %v", runs, err)
	}
}

// A worker finds the clock ahead of it for the reasons of an absence too, and one rule holds.
func TestAMachineThatSleptHasMissedItsTimes(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := minutely(0, process.CatchupLatest)
	kept.Next = time.Now().Add(time.Hour).UTC().Round(0)
	p := w.take(t, kept)
	p.quiet(t)
	p.next = minutely(3, "").Next // as if it was now an hour later
	p.looked.boot -= time.Hour
	p.ring()
	p.save()
	if got, want := p.quiet(t), "missed 3 times: "+schedule.MachineSlept+", caught_up: "+schedule.MachineSlept; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A pause and a time that is to be skipped are kept, and hold for the next daemon.
func TestAPauseAndASkipAreKept(t *testing.T) {
	w := newScheduleWorld(t)
	defer func() { w.s.closeParts() }()
	w.open()
	kept := minutely(0, "")
	kept.Next = time.Now().Add(time.Hour).UTC().Round(0)
	p := w.take(t, kept)
	p.quiet(t)
	first := p.next
	for range 2 { // the same time, twice
		p.mustAsk(t, process.SkipNext{})
		if s := p.shown(); !s.SkipTime.Equal(first) || !s.NextTime.Equal(first.Add(time.Minute)) {
			t.Fatalf("it skips %v, and the next time is %v", s.SkipTime, s.NextTime)
		}
	}
	p.mustAsk(t, process.SchedulePause{})
	p.mustAsk(t, process.SchedulePause{})
	p = w.take(t, w.reopened(t).Processes[0])
	if s := p.shown(); !s.SchedulePaused || !s.SkipTime.Equal(first) {
		t.Errorf("the next worker has %+v", s.Condition)
	}
	p.mustAsk(t, process.ScheduleResume{})
	if s := p.shown(); s.SchedulePaused || !s.NextTime.Equal(first.Add(time.Minute)) {
		t.Errorf("after it was resumed: %+v", s.Condition)
	}
	var kinds []string
	for _, e := range w.events() {
		kinds = append(kinds, string(e.Kind))
		if e.SkipTime.Equal(first) != (e.Kind == process.EventSkipNext) {
			t.Errorf("%s says that %v is skipped", e.Kind, e.SkipTime)
		}
	}
	if got := strings.Join(kinds, " "); got != "skip_next schedule_paused schedule_resumed" {
		t.Errorf("told was %s", got)
	}
	// While nobody is there the time passes as any other: nothing else is skipped for it.
	kept = w.reopened(t).Processes[0]
	kept.Next, kept.Skip = minutely(3, "").Next, minutely(3, "").Next.Add(time.Minute)
	p = w.take(t, kept)
	if got := p.quiet(t); got != "missed 4 times: no daemon ran" || !p.machine.Skip.IsZero() {
		t.Errorf("got %s; skipped is %v", got, p.machine.Skip)
	}
}

// Times that pass while the schedule is paused come to disk when somebody asks for them: the next
// worker finds the same.
func TestAPausedScheduleCatchesNothingUp(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := minutely(3, process.CatchupAll)
	kept.SchedulePaused = true
	w.take(t, kept).quiet(t)
	p := w.take(t, kept) // the worker has died, and nothing was on disk
	p.quiet(t)
	settled := false
	go func() {
		p.settleLedger(t.Context())
		p.inbox.put(func() { settled = true })
	}()
	p.turnsUntil(t, func() bool { return settled })
	if got := p.quiet(t); got != "paused 4 times" {
		t.Errorf("got %s", got)
	}
}

func TestWhatHasNoScheduleIsNeitherPausedNorSkipped(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := keptOf(spec("a"))
	p := w.take(t, kept)
	for _, op := range []process.Operation{process.SchedulePause{}, process.ScheduleResume{}, process.SkipNext{}} {
		if err := p.asks(t, op); process.CodeOf(err) != process.CodeInvalid || !strings.Contains(err.Error(), "has no schedule") {
			t.Errorf("%T: %v", op, err)
		}
	}
	kept = minutely(0, "")
	kept.Up, kept.Stopped = false, true
	p = w.take(t, kept)
	if err := p.asks(t, process.SkipNext{}); process.CodeOf(err) != process.CodeInvalid || !strings.Contains(err.Error(), "waits for no time") {
		t.Errorf("one that is stopped: %v", err)
	}
}

// Who pauses a process that waits for its time may mean its schedule.
func TestAPauseOfWhatWaitsForItsTimeNamesTheOtherOne(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	p := w.take(t, minutely(0, ""))
	for _, op := range []process.Operation{process.Pause{}, process.Resume{}} {
		if err := p.asks(t, op); !errors.Is(err, process.ErrNotRunning) || !strings.Contains(err.Error(), "; its schedule is paused by schedule_pause") {
			t.Errorf("%T: %v", op, err)
		}
	}
}

// @reboot runs once for each start of the machine: not again for another worker or daemon, and
// not where it is defined.
func TestRebootRunsOncePerBoot(t *testing.T) {
	w := newScheduleWorld(t)
	defer func() { w.s.closeParts() }()
	w.open()
	kept := keptOf(process.Spec{Name: "a", Command: "true", Schedule: process.Schedule{Cron: "@reboot"}})
	p := w.take(t, kept)
	p.mustAsk(t, process.StartAgain{})
	if got := p.quiet(t); got != "" || p.machine.Busy() {
		t.Fatalf("it ran where it was defined: %s", got)
	}
	for i, boot := range []string{"boot", "boot", "second", "second", "third"} {
		kept = w.reopened(t).Processes[0]
		w.s.origin = store.Origin{Boot: boot, Keeper: fmt.Sprint(i)}
		p = w.take(t, kept)
		p.quiet(t)
		if runs := slices.Index([]string{"boot", "second", "third"}, boot); p.kept.Target.Run != uint64(runs) {
			t.Fatalf("in boot %q, the %d. time: its last run is %d", boot, i+1, p.kept.Target.Run)
		}
		if p.machine.Busy() {
			w.ends(t, p)
		}
	}
	entries, err := w.s.store.Ledger("a", noTime)
	if err != nil || len(entries) != 2 || entries[1].Outcome != process.Ran || entries[1].Run != 2 || time.Since(entries[1].Time) > time.Minute {
		t.Errorf("the ledger has %+v, %v", entries, err)
	}
	if err := p.asks(t, process.SkipNext{}); err == nil || !strings.Contains(err.Error(), "pause its schedule instead") {
		t.Errorf("skip_next: %v", err)
	}
	if s := p.shown(); s.State != process.Scheduled || p.machine.Then != lifecycle.ThenRest {
		t.Errorf("it is %v", s.State)
	}
}

// queuedBefore is a process of which a time was in line behind run 1, so many minutes ago, when its
// daemon ended; the times of its schedule are on the half minute, and the next is to come.
func queuedBefore(minutes int, catchup string) store.Process {
	kept := minutely(minutes-1, catchup)
	kept.Spec.Overlap = process.OverlapQueue
	kept.Origin = store.Origin{Boot: "boot", Keeper: "0:0"}
	kept.Target.Run, kept.Last = 1, &process.Run{Number: 1, Cause: process.CauseShutdown}
	at := kept.Next.Add(-time.Minute)
	kept.Queued = &store.Queued{LedgerEntry: process.LedgerEntry{Time: at, Outcome: process.Queued, Reason: "run 1 went on"}}
	return kept
}

// A start that was in line when the daemon ended is a time that was missed, as those that came
// behind it are.
func TestAQueuedTimeThatIsMissedIsCaughtUpAsOthers(t *testing.T) {
	const late = "caught_up: no daemon ran"
	for _, c := range []struct {
		minutes int
		catchup string
		want    string
	}{
		{3, "", "missed 4 times: no daemon ran"},
		{3, process.CatchupLatest, "missed 3 times: no daemon ran, " + late},
		{3, process.CatchupAll, strings.Join(slices.Repeat([]string{late}, 4), ", ")},
		{0, process.CatchupNone, "missed: no daemon ran"},
		{0, process.CatchupLatest, late},
		{0, process.CatchupAll, late},
	} {
		w := newScheduleWorld(t)
		p := w.take(t, queuedBefore(c.minutes, c.catchup))
		if got := p.quiet(t); got != c.want {
			t.Errorf("%d minutes, catchup %q:\ngot  %s\nwant %s", c.minutes, c.catchup, got, c.want)
		}
		if !slices.IsSortedFunc(p.machine.Backlog, func(a, b lifecycle.Occasion) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("%d minutes, catchup %q: they are to run in the order %v", c.minutes, c.catchup, p.machine.Backlog)
		}
		w.s.closeParts()
	}
}

// A time that has just come takes nothing from what is in line, or owed, from the worker before.
func TestATimeThatComesAtATakeoverLeavesWhatIsInLine(t *testing.T) {
	for _, owed := range []bool{false, true} {
		w := newScheduleWorld(t)
		kept := queuedBefore(1, "")
		kept.Next = time.Now().Add(-2 * time.Second).UTC().Round(0)
		want := "queued 2: run 1 went on, queued: run 2 went on"
		if kept.Origin = w.s.origin; owed { // the worker died when it had the number of run 2
			e := kept.Queued.LedgerEntry
			kept.Queued, kept.Target.Run, kept.Scheduled = nil, 2, &e
			want = "queued 3: run 1 went on, queued: run 3 went on"
		}
		p := w.take(t, kept)
		if got := p.quiet(t); got != want {
			t.Errorf("owed %v:\ngot  %s\nwant %s", owed, got, want)
		}
		w.s.closeParts()
	}
}

// The ledger says how late a run has begun, and not how late that was decided.
func TestTheLedgerSaysHowLateARunHasBegun(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := minutely(0, "")
	kept.Spec.Jitter = time.Second
	kept.Next = time.Now().Add(time.Hour).UTC().Round(0)
	p := w.take(t, kept)
	p.quiet(t)
	at := time.Now().Add(-5 * time.Second).UTC().Round(0)
	p.inbox.put(func() {
		p.handle(lifecycle.Event{Kind: lifecycle.Due, Time: at})
		p.disk.ledger[0].LateSeconds = 99
	})
	w.ends(t, p)
	runs, err := w.s.store.Runs("a", 0)
	entries, ledgerErr := w.s.store.Ledger("a", noTime)
	if err != nil || ledgerErr != nil || len(runs) != 1 || len(entries) != 1 {
		t.Fatalf("%v %v: runs %v, ledger %v", err, ledgerErr, runs, entries)
	}
	want := (runs[0].Start.Sub(at) - p.jitter()).Round(time.Millisecond).Seconds()
	if got := entries[0]; got.Run != 1 || got.Outcome != process.Ran || got.LateSeconds != want {
		t.Errorf("got %+v, want %v s", got, want)
	}
}

// What is caught up is tried again when the number of its run could not be stored: no other time
// need come.
func TestWhatIsCaughtUpIsTriedAgainOnAFullDisk(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	p := w.take(t, minutely(1, process.CatchupAll))
	p.quiet(t)
	w.spoil(t)
	w.open()
	p.turnsUntil(t, func() bool { return p.disk.unsaved != nil && p.disk.under == 0 })
	if n := len(p.machine.Backlog); n != 2 || p.machine.Busy() {
		t.Errorf("%d are to be caught up, and something goes on: %v", n, p.machine.Busy())
	}
	w.mend(t)
	p.disk.retry()
	p.inbox.put(p.again)
	if got, want := p.quiet(t), "caught_up 1: no daemon ran, caught_up: no daemon ran"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Where the latest is caught up it takes the place of one that waits since an earlier absence.
func TestTheLatestIsOne(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := minutely(3, process.CatchupLatest)
	kept.Backlog = []process.LedgerEntry{{Time: time.Now().Add(-2 * time.Hour).UTC().Round(0), Outcome: process.CaughtUp, Reason: schedule.MachineSlept}}
	p := w.take(t, kept)
	if got, want := p.quiet(t), "missed: a later time took its place, missed 3 times: no daemon ran, caught_up: no daemon ran"; got != want || p.shown().ToCatchUp != 1 {
		t.Errorf("got %s, want %s; %d are to be caught up", got, want, p.shown().ToCatchUp)
	}
}

// A run that was asked for, and stood in line when the daemon ended, is not left out without a
// word.
func TestATriggerThatWasInLineIsLeftOutAloud(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	var said bytes.Buffer
	w.s.note = log.New(&said, "", 0)
	kept := queuedBefore(0, process.CatchupAll)
	kept.Queued.LedgerEntry = process.LedgerEntry{}
	p := w.take(t, kept)
	if got := p.quiet(t); got != "" || p.machine.Busy() || len(p.machine.Backlog) > 0 {
		t.Errorf("something comes of it: %s", got)
	}
	if got, want := said.String(), "process 'a': a run that was asked for and stood in line does not begin: no daemon ran\n"; got != want {
		t.Errorf("said is %q, want %q", got, want)
	}
}

// A time that is caught up is not left out when the worker dies that was about to begin its run,
// and something else begins in place of that.
func TestWhatIsCaughtUpSurvivesANumber(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	kept := queuedBefore(0, process.CatchupAll)
	kept.Origin, kept.Target.Run = w.s.origin, 2
	kept.Scheduled = &process.LedgerEntry{Time: kept.Queued.Time.Add(-time.Hour), Outcome: process.CaughtUp, Run: 2, Reason: "no daemon ran"}
	p := w.take(t, kept)
	if got, want := p.quiet(t), "caught_up: no daemon ran, queued 3: run 1 went on"; got != want || len(p.machine.Backlog) != 1 {
		t.Errorf("got %s, want %s; %d are to be caught up", got, want, len(p.machine.Backlog))
	}
}
