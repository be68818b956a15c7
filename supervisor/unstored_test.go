package supervisor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// asks has the loop do what is asked, and gives the answer.
func (p *managed) asks(t *testing.T, op process.Operation) error {
	t.Helper()
	r := asked(op)
	p.inbox.put(func() { p.receive(r) })
	p.turnsUntil(t, func() bool { return len(r.answer) > 0 })
	return (<-r.answer).err
}

// mustAsk is asks of what must succeed.
func (p *managed) mustAsk(t *testing.T, op process.Operation) {
	t.Helper()
	if err := p.asks(t, op); err != nil {
		t.Fatalf("%T: %v", op, err)
	}
}

// retried has the loop write again what could not be written, as it does after a while.
func (p *managed) retried(t *testing.T) {
	t.Helper()
	if p.disk.retry == nil {
		t.Fatal("nothing is tried again")
	}
	p.disk.retry()
	p.disk.retry = nil
	p.disk.dirty = true
	p.save()
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 && p.disk.under == 0 })
}

// shown is the status at the end of a turn.
func (p *managed) shown() process.Status {
	p.publish()
	return p.s.statusOf(p, process.Full)
}

// one is what is kept of the only process.
func (w *world) one(t *testing.T) store.Process {
	t.Helper()
	all := w.reopened(t).Processes
	if len(all) != 1 {
		t.Fatalf("the store has %+v", all)
	}
	return all[0]
}

// ranOnce is a process of which run 1 was started and stopped.
func (w *world) ranOnce(t *testing.T) *managed {
	t.Helper()
	w.calm = true
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	p.mustAsk(t, process.Stop{})
	return p
}

func isStore(err error) bool { return errors.Is(err, process.ErrStore) }

// A start whose number could not be put on disk never was: no run is recorded or told of,
// the next worker does not make up for it, and the number is given again.
func TestAStartThatCouldNotBeStoredNeverWas(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.ranOnce(t)
	w.spoil(t)
	err := p.asks(t, process.StartAgain{JobID: "j"})
	if !isStore(err) {
		t.Fatalf("start: %v", err)
	}
	status := p.shown()
	if status.State != process.Failed || status.Error != err.Error() || status.Number != 1 || status.LastRun.Number != 1 || status.LastRun.Error != "" {
		t.Errorf("is %+v", status)
	}
	w.mend(t)
	p.retried(t)
	if kept := w.one(t); kept.Up || kept.Run != 1 || kept.State != process.Stopped || kept.JobID != "" || kept.Last == nil || kept.Last.Number != 1 {
		t.Errorf("on disk is %+v", kept)
	}
	p.mustAsk(t, process.StartAgain{JobID: "j"})
	if status := p.shown(); status.State != process.Running || status.Number != 2 || status.Error != "" {
		t.Errorf("is %+v", status)
	}
	p.mustAsk(t, process.Stop{})
	if err := told(w.events()); err != nil {
		t.Error(err)
	}
}

// The first request after it is done as if it had never been; a stop makes the process
// stopped.
func TestAStopFollowsAStartThatNeverWas(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.ranOnce(t)
	w.spoil(t)
	if err := p.asks(t, process.StartAgain{}); !isStore(err) {
		t.Fatalf("start: %v", err)
	}
	w.mend(t)
	p.retried(t)
	p.mustAsk(t, process.Stop{})
	if status := p.shown(); status.State != process.Stopped || status.Error != "" || status.Number != 1 {
		t.Errorf("is %+v", status)
	}
}

// Of a restart that could not be stored the end of the run before is true, and recorded. The
// group of that run, which the next worker would meet, has nothing follow.
func TestARestartThatCouldNotBeStoredHasEndedTheRun(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	g := w.group("a.1")
	w.spoil(t)
	err := p.asks(t, process.Restart{})
	if !isStore(err) {
		t.Fatalf("restart: %v", err)
	}
	if status := p.shown(); status.State != process.Failed || status.Error != err.Error() || status.LastRun == nil || status.LastRun.Number != 1 {
		t.Errorf("is %+v", status)
	}
	if note, _ := g.Attr("processmanager.end"); len(note) == 0 || strings.Contains(string(note), `"Then":"start"`) {
		t.Errorf("its group says %s", note)
	}
	w.mend(t)
	p.retried(t)
	if kept := w.one(t); !kept.Up || kept.Run != 1 || kept.State != process.Stopped || kept.Owed || kept.Last == nil || kept.Last.Number != 1 || kept.Last.Cause != process.CauseStop {
		t.Errorf("on disk is %+v, and its last run was %+v", kept, kept.Last)
	}
	p.mustAsk(t, process.Restart{})
	if status := p.shown(); status.State != process.Running || status.Number != 2 {
		t.Errorf("is %+v", status)
	}
	p.mustAsk(t, process.Stop{})
	if err := told(w.events()); err != nil {
		t.Error(err)
	}
}

// What comes while a number is on its way is written when that is on disk, or when it was
// taken back: nothing on disk rests on a number that is not there.
func TestNothingIsWrittenBehindANumberThatIsNotOnDisk(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.ranOnce(t)
	start, set, stop := asked(process.StartAgain{}), asked(process.Set{Settings: []process.Setting{{Field: "log", Value: "true"}}}), asked(process.Stop{})
	p.receive(start)
	w.spoil(t)
	p.save()
	p.receive(set)
	p.save()
	p.receive(stop)
	p.save()
	if len(p.disk.writes) != 1 {
		t.Errorf("%d writes are under way", len(p.disk.writes))
	}
	for w.s.storeAnswers(); p.inbox.empty(); time.Sleep(time.Millisecond) { // it has come back
	}
	w.mend(t)
	p.turnsUntil(t, func() bool { return len(stop.answer) > 0 && len(set.answer) > 0 })
	if a := <-start.answer; !errors.Is(a.err, process.ErrSuperseded) {
		t.Errorf("start: %v", a.err)
	}
	if err := errors.Join((<-set.answer).err, (<-stop.answer).err); err != nil {
		t.Error(err)
	}
	if status := p.shown(); status.State != process.Stopped || status.Number != 1 || status.Error != "" {
		t.Errorf("is %+v", status)
	}
	if kept := w.one(t); kept.Up || kept.Run != 1 || kept.State != process.Stopped || !kept.Spec.Log {
		t.Errorf("on disk is %+v", kept)
	}
	if err := told(w.events()); err != nil {
		t.Error(err)
	}
}

// A time of a schedule whose run could not be stored is left out, and the next one is
// waited for.
func TestATimeWhoseRunCouldNotBeStoredIsLeftOut(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "a")
	times, err := schedule.Parse("@hourly", "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.kept.Spec.Cron, p.times, p.machine.Scheduled = "@hourly", times, true
	p.mustAsk(t, process.StartAgain{})
	w.spoil(t)
	due := func() { p.handle(lifecycle.Event{Kind: lifecycle.Due}) }
	p.inbox.put(due)
	p.turnsUntil(t, func() bool { return p.disk.unsaved != nil })
	if status := p.shown(); status.State != process.Scheduled || status.Number != 0 || !status.NextTime.After(time.Now()) || status.Error == "" {
		t.Errorf("is %+v", status)
	}
	if p.save(); len(p.disk.writes) > 0 {
		t.Error("it is tried again at once")
	}
	w.mend(t)
	p.retried(t)
	if kept := w.one(t); !kept.Up || kept.Run != 0 || kept.Owed {
		t.Errorf("on disk is %+v", kept)
	}
	p.inbox.put(due)
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
	if status := p.shown(); status.Number != 1 || status.Error != "" {
		t.Errorf("is %+v", status)
	}
	p.mustAsk(t, process.Stop{})
	if err := told(w.events()); err != nil {
		t.Error(err)
	}
}

// A start that is owed from the worker before stays so until it can be stored, whoever is
// there by then; it is not tried again at once. A stop drops it.
func TestWhatIsOwedStaysOwedOnAFullDisk(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		w := newWorld(t)
		p := w.ranOnce(t)
		p.owed, p.jobID = true, "j"
		w.spoil(t)
		p.inbox.put(p.goOn)
		p.turnsUntil(t, func() bool { return p.disk.unsaved != nil })
		if status := p.shown(); status.State != process.Starting {
			t.Errorf("is %+v", status)
		}
		if p.save(); len(p.disk.writes) > 0 {
			t.Error("it is tried again at once")
		}
		w.mend(t)
		if stopped {
			p.mustAsk(t, process.Stop{})
		}
		p.retried(t)
		kept := w.one(t)
		if kept.Owed != !stopped || kept.Owed && kept.JobID != "j" || kept.Run != 1 {
			t.Errorf("on disk is %+v", kept)
		}
		p.inbox.put(p.startOwed)
		p.inbox.put(func() {})
		p.turnsUntil(t, func() bool { return !p.machine.Busy() == stopped && p.disk.under == 0 && p.inbox.empty() })
		if !stopped {
			p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
		}
		status := p.shown()
		if stopped && (status.State != process.Stopped || status.Number != 1) || !stopped && (status.State != process.Running || status.Number != 2 || status.Run.JobID != "j") {
			t.Errorf("is %+v", status)
		}
		if kept := w.one(t); kept.Owed {
			t.Errorf("on disk is %+v", kept)
		}
		p.mustAsk(t, process.Stop{})
		if err := told(w.events()); err != nil {
			t.Error(err)
		}
		w.s.closeParts()
	}
}

// An attempt of a restart policy whose run could not be stored comes once more after its
// delay, and does not count.
func TestAnAttemptThatCouldNotBeStoredComesAgain(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "a")
	p.kept.Spec.Restart = process.RestartAlways
	p.machine.Policy = p.kept.Spec.Restarting
	p.mustAsk(t, process.StartAgain{})
	w.group("a.1").end(proc.Exit{Code: 1})
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Backoff && p.disk.under == 0 })
	w.spoil(t)
	p.turnsUntil(t, func() bool { return p.disk.unsaved != nil }) // its time has come
	status := p.shown()
	if status.State != process.Backoff || status.Restarts != 0 || time.Until(status.NextAttempt) < time.Second/2 || status.Error == "" {
		t.Errorf("is %+v", status)
	}
	w.mend(t)
	p.turnsUntil(t, func() bool { return p.machine.State() == process.Running })
	p.mustAsk(t, process.Stop{})
	if kept := w.one(t); kept.Run != 2 || kept.Restarts.Count != 1 || kept.Owed {
		t.Errorf("on disk is %+v", kept)
	}
	if err := told(w.events()); err != nil {
		t.Error(err)
	}
}

// What could not be put on disk is tried once more when the daemon ends.
func TestTheEndTriesWhatCouldNotBeStored(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	w.spoil(t)
	if err := p.asks(t, process.Stop{}); !isStore(err) {
		t.Fatalf("stop: %v", err)
	}
	w.mend(t)
	p.serve()
	w.s.loopsClosed()
	if kept := w.one(t); kept.Up || kept.Last == nil || kept.Last.Cause != process.CauseStop {
		t.Errorf("on disk is %+v", kept)
	}
}

// What is owed for a run that never was stays so on a full disk too, also when the keeper
// that knew so has died.
func TestWhatIsOwedForARunThatNeverWasStaysOwed(t *testing.T) {
	for _, up := range []bool{false, true} {
		w := newWorld(t)
		w.calm = true
		kept := keptOf(spec("a"))
		kept.Up, kept.Run, kept.Target.JobID = up, 1, "j"
		takeOver := func() *managed {
			w.s.resume(kept, nil, nil, nil, nil)
			return w.s.names["a"]
		}
		p := takeOver()
		p.disk.definition = true
		w.spoil(t) // what is owed is not started yet
		p.turnsUntil(t, p.inbox.empty)
		p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 && p.inbox.empty() })
		w.mend(t)
		p.retried(t)
		kept = w.one(t)
		w.s.origin.Keeper = "another"
		p = takeOver()
		p.turnsUntil(t, func() bool {
			return p.inbox.empty() && len(p.disk.writes) == 0 && (!up || p.machine.State() == process.Running)
		})
		status := p.shown()
		if status.LastRun != nil || up != (status.State == process.Running) || up != (status.Number == 2) || up != (status.Run.JobID == "j") {
			t.Errorf("is %+v", status)
		}
		w.s.closeParts()
	}
}

func (b *inbox) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}
