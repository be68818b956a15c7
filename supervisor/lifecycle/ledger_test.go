package lifecycle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// years is a process with a schedule of once a minute, whose worker dies between any two
// steps, with the machine at times. A change comes to the disk some steps after its turn, or
// never; nothing is written behind the number of a run, or behind entries, before they are there.
type years struct {
	random *rand.Rand
	now    time.Time
	p      Process
	next   time.Time // in the memory of the worker, as p is
	turn   change    // what is not on its way to the disk yet
	writes []change  // on their way

	disk  stored
	trees map[uint64]time.Time // that live, and until when
	begun map[uint64]int       // how often a run has begun
	boot  int

	catchUp  bool
	happened []string
	fault    string
}

// change is what goes to the disk together.
type change struct {
	entries map[time.Time]Action
	ended   []uint64
	numbers []uint64 // of runs that are to begin
	after   stored
}

// stored is what is on the disk.
type stored struct {
	last   uint64
	never  uint64
	up     bool
	next   time.Time
	queue  *Occasion
	late   []Occasion          // the backlog
	of     map[uint64]Occasion // of runs without a result
	boots  map[uint64]int      // in which they were to begin
	ledger map[time.Time]Action
}

func (w *years) fail(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

func (w *years) note(format string, args ...any) {
	w.happened = append(w.happened, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
	w.happened = w.happened[max(0, len(w.happened)-60):]
}

func (w *years) feed(e Event) {
	e.Now = time.Duration(w.now.UnixNano())
	var actions []Action
	w.p, actions = w.p.Step(e)
	w.note("event %d of run %d, %v: %s", e.Kind, e.Run, e.Time.Format("15:04"), show(actions))
	accounted := 0
	for _, a := range actions {
		switch a.Do {
		case Account:
			if a.Of.Time.Equal(e.Time) {
				accounted++
			}
			w.turn.entries[a.Of.Time] = a
		case Spawn:
			w.turn.numbers = append(w.turn.numbers, a.Run)
		case EndRun:
			if end, lives := w.trees[a.Run]; lives {
				w.trees[a.Run] = earlier(end, w.now.Add(time.Duration(w.random.IntN(12))*time.Second))
			}
		}
	}
	if (e.Kind == Due || e.Kind == Missed) && accounted != 1 {
		w.fail("the time %v has %d entries", e.Time, accounted)
	}
	runs := slices.DeleteFunc(slices.Clone(w.p.Runs), func(r Execution) bool { // that of one is not on disk
		end, begun := w.trees[r.Number]
		return begun && !end.After(w.now)
	})
	if len(runs) > w.p.Overlap.Most() {
		w.fail("%d runs, and at most %d may be", len(runs), w.p.Overlap.Most())
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// save puts what the turns have changed on its way, unless a number or an entry is before it.
func (w *years) save() {
	if slices.ContainsFunc(w.writes, func(c change) bool { return len(c.numbers)+len(c.entries) > 0 }) {
		return
	}
	c := w.turn
	c.after = stored{last: w.p.Last, never: w.disk.never, up: w.p.Up, next: w.next, queue: w.p.Queue, late: w.p.Backlog}
	w.writes = append(w.writes, c)
	w.turn = change{entries: map[time.Time]Action{}}
}

// land is the first change that comes to the disk, or does not.
func (w *years) land() {
	if len(w.writes) == 0 {
		return
	}
	c := w.writes[0]
	w.writes = w.writes[1:]
	if w.random.IntN(20) == 0 { // it does not: what it has goes with the next one
		w.note("a write fails")
		entries := w.turn.entries
		w.turn.entries = c.entries
		maps.Copy(w.turn.entries, entries)
		w.turn.ended = append(c.ended, w.turn.ended...)
		for _, run := range c.numbers {
			maps.DeleteFunc(w.turn.entries, func(_ time.Time, a Action) bool { return a.Run == run })
			w.feed(Event{Kind: RunUnstored, Run: run})
		}
		w.save()
		return
	}
	d := &w.disk
	d.last, d.up, d.next, d.queue, d.late = c.after.last, c.after.up, c.after.next, c.after.queue, c.after.late
	maps.Copy(d.ledger, c.entries)
	for _, run := range c.ended {
		delete(d.of, run)
		delete(d.boots, run)
		delete(w.trees, run)
	}
	for _, run := range c.numbers {
		d.of[run], d.boots[run] = Occasion{}, w.boot
		for _, a := range c.entries {
			if a.Run == run {
				d.of[run] = a.Of
			}
		}
	}
	for _, run := range c.numbers {
		if w.random.IntN(30) == 0 { // the worker dies before there is a leader
			w.die(false)
			return
		}
		w.begin(run)
		if i := w.p.find(run); i >= 0 && w.p.Runs[i].Phase == Stopping { // it was to end before it began
			w.trees[run] = w.now
		}
		w.feed(Event{Kind: RunStarted, Run: run})
		w.feed(Event{Kind: RunReady, Run: run})
	}
	if len(c.numbers) > 0 {
		w.save()
	}
}

func (w *years) begin(run uint64) {
	if w.begun[run]++; w.begun[run] > 1 {
		w.fail("run %d begins twice", run)
	}
	alive := 0
	for _, end := range w.trees {
		if end.After(w.now) {
			alive++
		}
	}
	if alive >= w.p.Overlap.Most() {
		w.fail("run %d begins, and %d go on", run, alive)
	}
	w.trees[run] = w.now.Add(time.Duration(w.random.IntN(200)) * time.Second)
}

// die is the end of the worker, or of the machine; the next one takes over.
func (w *years) die(machine bool) {
	w.note("dies, machine: %v", machine)
	w.writes, w.turn = nil, change{entries: map[time.Time]Action{}}
	w.now = w.now.Add(time.Duration(w.random.IntN(400)) * time.Second)
	if machine {
		w.boot++
		clear(w.trees)
	}
	d := &w.disk
	w.p = Process{Up: d.up, Scheduled: true, Rest: process.Scheduled, Last: d.last, Overlap: w.p.Overlap, Queue: d.queue, Backlog: d.late, Policy: w.p.Policy}
	w.next = d.next
	owed := false
	for _, run := range slices.Sorted(maps.Keys(d.of)) {
		_, lives := w.trees[run]
		switch {
		case lives:
			w.p.Insert(Execution{Number: run, Phase: Running, Started: true, Ready: true})
		case d.boots[run] != w.boot: // lost
			w.turn.ended = append(w.turn.ended, run)
		default: // it never was
			of := d.of[run]
			w.turn.ended = append(w.turn.ended, run)
			if run == d.last && d.queue == nil {
				owed = true
				w.p.Queue = &of
				if of.Time.IsZero() {
					w.p.Queue = nil
				}
			} else {
				owed = owed || run == d.last
				for _, a := range of.became(process.Skipped, "the worker died") {
					w.turn.entries[of.Time] = a
				}
			}
		}
	}
	if owed {
		w.feed(Event{Kind: Owed})
	} else if w.p.Queue != nil && !w.p.Busy() {
		e := Event{Kind: Dequeue}
		if machine && w.now.Sub(w.p.Queue.Time) > 10*time.Second {
			if e.Outcome, e.Reason = process.Missed, "no daemon ran"; w.catchUp {
				e.Outcome = process.CaughtUp
			}
		}
		w.feed(e)
	}
	w.feed(Event{Kind: WorkOff})
	w.save()
	w.ring()
}

// ring is for the times that have come.
func (w *years) ring() {
	var passed []time.Time
	for ; !w.next.After(w.now); w.next = w.next.Add(time.Minute) {
		passed = append(passed, w.next)
	}
	for i, t := range passed {
		if w.now.Sub(t) <= 10*time.Second {
			w.feed(Event{Kind: Due, Time: t})
		} else if w.catchUp && i >= len(passed)-2 {
			w.feed(Event{Kind: CatchUp, Times: passed[i:], Reason: "no daemon ran"})
			w.feed(Event{Kind: WorkOff})
			break
		} else {
			w.feed(Event{Kind: Missed, Time: t, Reason: "no daemon ran"})
		}
	}
	w.save()
}

// pass is the next that happens by itself.
func (w *years) pass() {
	at, run := w.next, uint64(0)
	for number, end := range w.trees {
		if w.p.find(number) >= 0 && (end.Before(at) || run == 0 && end.Equal(at)) {
			at, run = end, number
		}
	}
	if at.After(w.now) {
		w.now = at
	}
	if run == 0 {
		w.ring()
		return
	}
	if w.random.IntN(4) == 0 {
		w.feed(Event{Kind: RunEnding, Run: run})
	}
	w.turn.ended = append(w.turn.ended, run)
	w.feed(Event{Kind: RunEnded, Run: run, Cause: process.CauseExit, Success: w.random.IntN(2) == 0})
	w.save()
}

// Each time of a schedule is in exactly one entry, no run begins while one goes on unless
// that is allowed, and none twice, whoever dies when.
func TestEachTimeIsAccountedForOnce(t *testing.T) {
	lives, steps := 200, 2000
	if testing.Short() {
		lives = 40
	}
	ways := []process.Overlap{process.OverlapSkip, process.OverlapQueue, process.OverlapReplace, process.OverlapAllow}
	outcomes := map[process.Fate]int{}
	for life := range lives {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		w := &years{random: rand.New(rand.NewPCG(3, uint64(life))), now: start, next: start.Add(time.Minute), catchUp: life/4%2 == 0,
			trees: map[uint64]time.Time{}, begun: map[uint64]int{}, turn: change{entries: map[time.Time]Action{}}}
		w.p = Process{Up: true, Scheduled: true, Rest: process.Scheduled, Overlap: process.Overlapping{Overlap: ways[life%4], OverlapMax: 3 * (life % 4 / 3)}}
		w.disk = stored{up: true, next: w.next, of: map[uint64]Occasion{}, boots: map[uint64]int{}, ledger: map[time.Time]Action{}}
		for range steps {
			switch n := w.random.IntN(200); {
			case n < 4:
				w.die(n == 0)
			case n < 7:
				w.feed(Event{Kind: Trigger})
				w.save()
			case n < 9:
				w.feed(Event{Kind: Restart})
				w.save()
			case n < 90:
				w.land()
			default:
				w.pass()
			}
			if w.fault != "" {
				break
			}
		}
		for w.save(); w.fault == "" && len(w.writes) > 0; {
			if w.land(); len(w.writes) == 0 && (len(w.turn.entries) > 0 || w.disk.next != w.next) {
				w.save()
			}
		}
		covered := map[time.Time]int{}
		runs := map[uint64]time.Time{}
		for at, a := range w.disk.ledger {
			covered[at]++
			outcomes[a.Of.Outcome]++
			if a.Run == 0 {
				continue
			}
			if other, is := runs[a.Run]; is {
				w.fail("run %d came of %v and %v", a.Run, at, other)
			}
			if runs[a.Run] = at; w.begun[a.Run] != 1 && w.disk.boots[a.Run] == w.boot {
				w.fail("%v came to run %d, which has begun %d times", at, a.Run, w.begun[a.Run])
			}
		}
		for at := start.Add(time.Minute); at.Before(w.disk.next); at = at.Add(time.Minute) {
			if covered[at] != 1 {
				w.fail("%v is in %d entries", at, covered[at])
			}
		}
		if len(covered) > int(w.disk.next.Sub(start)/time.Minute) {
			w.fail("there are entries of times that have not come")
		}
		if w.fault != "" {
			t.Errorf("life %d, %s: %s", life, w.p.Overlap.Way(), w.fault)
			for _, line := range w.happened {
				t.Log(line)
			}
			return
		}
	}
	for _, outcome := range []process.Fate{process.Ran, process.Skipped, process.Queued, process.Replaced, process.Missed, process.CaughtUp} {
		if outcomes[outcome] < lives {
			t.Errorf("only %d times were %v", outcomes[outcome], outcome)
		}
	}
}
