package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// spec is a definition with a short grace period.
func spec(name string) process.Spec {
	return process.Spec{Name: name, Command: "true", Ending: process.Ending{StopTimeout: new(20 * time.Millisecond)}}
}

// Requests of all kinds cross each other. Each is answered once and soon, and what was told
// of the runs fits together.
func TestRequestsThatCrossAreAllAnswered(t *testing.T) {
	w := newWorld(t)
	s := w.s
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // more than any answer takes
	defer cancel()
	var clients sync.WaitGroup
	ask := func(job string) error {
		name := fmt.Sprint("p", rand.IntN(4))
		of := process.Selection{name}
		var op process.Operation
		switch rand.IntN(14) {
		case 12:
			op = process.Pause{}
		case 13:
			op = process.Resume{}
		case 0, 1, 2:
			sp := spec(name)
			sp.JobID = job
			if rand.IntN(4) == 0 {
				sp.Command = "false"
			}
			st, err := s.StartSpec(ctx, sp, process.How{Replace: rand.IntN(2) == 0})
			if err == nil && st.Run.Number == 0 && st.State != process.Scheduled {
				return fmt.Errorf("a start without a run: %v", st.State)
			}
			return err
		case 3, 4:
			op = process.StartAgain{JobID: job}
		case 5, 6:
			op = process.Restart{JobID: job}
		case 7:
			op = process.Stop{}
		case 8:
			op = process.Delete{}
		case 9:
			op = process.SendSignal{Signal: process.Signal(unix.SIGHUP), Tree: true}
		case 10:
			op = process.Set{Settings: []process.Setting{{Field: "cron", Value: []string{"", "@every 1s"}[rand.IntN(2)]}}}
		case 11:
			op = process.Set{Settings: []process.Setting{{Field: "deadline", Value: fmt.Sprint(rand.IntN(2))}}}
		}
		list, err := s.Do(ctx, of, op)
		if err != nil {
			return err
		}
		return list[0].Err
	}
	for c := range 16 {
		clients.Go(func() {
			for i := range 200 {
				err := ask(fmt.Sprintf("j%d.%d", c, i))
				var known *process.Error
				if err != nil && (!errors.As(err, &known) || known.Code == process.CodeInternal || known.Code == process.CodeStuck) {
					t.Errorf("request %d: %v", i, err)
				}
				if ctx.Err() != nil {
					return
				}
			}
		})
	}
	clients.Wait()
	if err := s.gone("p0"); errors.Is(err, errShuttingDown) {
		t.Fatal(err)
	}
	for _, name := range s.Names() { // some are gone by then
		s.Do(ctx, process.Selection{name}, process.Stop{})
	}
	all := w.events()
	for _, name := range s.Names() {
		if alive := w.alive(name); len(alive) > 0 {
			t.Errorf("%s is alive after a stop", alive[0].name)
		}
	}
	if err := told(all); err != nil {
		t.Error(err)
	}
	done := make(chan struct{})
	go func() { s.loopsClosed(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Error("the loops do not end")
	}
	s.closeParts()
}

// loopsClosed is Close without the parts.
func (s *Supervisor) loopsClosed() {
	s.mu.Lock()
	close(s.closing)
	all := slices.Collect(maps.Values(s.names))
	s.mu.Unlock()
	s.endAll(all)
	s.loops.Wait()
}

// byHand is a process whose loop the test does.
func (w *world) byHand(t testing.TB, name string) *managed {
	t.Helper()
	out, err := w.s.openOutput(&process.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	p := w.s.newManaged(keptOf(spec(name)), nil, out)
	w.s.names[name] = p
	return p
}

// turnsUntil does the loop's turns until done.
func (p *managed) turnsUntil(t *testing.T, done func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	filled := make(chan struct{}, 1)
	p.inbox.serve(func() {
		select {
		case filled <- struct{}{}:
		default:
		}
	})
	for !done() {
		do := p.inbox.take()
		if do == nil {
			select {
			case <-filled:
			case <-limit:
				t.Fatal("nothing comes")
			}
			continue
		}
		do() // without what follows at the end of a turn
		p.save()
	}
}

func asked(op process.Operation) request {
	return request{op: op, answer: make(chan answer, 1)}
}

// Who is answered sees what was done, and may give the name of what was deleted to another.
func TestAnAnswerComesWhenWhatItSaysIsSeen(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	for range 20 {
		p := w.byHand(t, "a")
		start := asked(process.StartAgain{})
		p.inbox.put(func() { p.receive(start) })
		p.turnsUntil(t, func() bool { return len(start.answer) > 0 })
		if a := <-start.answer; a.err == nil && p.view.Load().state == process.Starting {
			t.Errorf("a start is answered, and the process is shown as %v", p.view.Load().state)
		}
		gone := asked(process.Delete{})
		p.inbox.put(func() { p.receive(gone) })
		p.turnsUntil(t, func() bool { return len(gone.answer) > 0 || p.machine.Removed })
		if a := <-gone.answer; a.err != nil {
			t.Errorf("delete: %v", a.err)
		}
	}
}

// What was asked while a process is erased writes nothing: it would be back with the next
// daemon.
func TestNothingIsWrittenOfWhatIsErased(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	erasing, goOn := make(chan struct{}), make(chan struct{})
	w.s.reached = func(at Point) {
		if at == PointForgotten {
			close(erasing)
			<-goOn
		}
	}
	p := w.byHand(t, "a")
	start, gone, set, stop := asked(process.StartAgain{}), asked(process.Delete{}), asked(process.Set{Settings: []process.Setting{{Field: "log", Value: "true"}}}), asked(process.Stop{})
	p.inbox.put(func() { p.receive(start) })
	p.turnsUntil(t, func() bool { return len(start.answer) > 0 && !p.machine.Busy() || p.machine.State() == process.Running })
	w.group("a.1").Kill()
	p.turnsUntil(t, func() bool { return !p.machine.Busy() && len(p.disk.writes) == 0 })
	p.inbox.put(func() { p.receive(gone) })
	p.turnsUntil(t, func() bool { return p.disk.closed })
	<-erasing
	p.receive(set)
	p.receive(stop)
	p.endTurn()
	close(goOn)
	p.turnsUntil(t, func() bool { return p.machine.Removed })
	if a := <-gone.answer; a.err != nil {
		t.Errorf("delete: %v", a.err)
	}
	var code *process.Error
	if a := <-set.answer; !errors.As(a.err, &code) || code.Code != process.CodeNotFound {
		t.Errorf("set: %v", a.err)
	}
	if len(stop.answer) == 0 {
		t.Error("stop is not answered")
	}
	if !w.s.storeAnswers() {
		t.Fatal("the store does not answer")
	}
	if left := w.stored(t); len(left) > 0 {
		t.Errorf("the store has %v", left)
	}
}

// What cannot be stored is not there; a change that was on its way does not bring it back.
func TestWhatCouldNotBeStoredIsNotThere(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.machine.Scheduled = true // no number is on its way
	failed := errors.New("the disk is full")
	start, set := asked(process.StartAgain{}), asked(process.Set{Settings: []process.Setting{{Field: "log", Value: "true"}}})
	p.receive(start)
	p.save()
	first := p.disk.writes[0]
	p.receive(set)
	p.save() // this one succeeds
	first.back, first.err = true, failed
	p.wroteAll()
	if a := <-start.answer; a.err != failed {
		t.Errorf("start: %v", a.err)
	}
	if a := <-set.answer; a.err != failed {
		t.Errorf("set: %v", a.err)
	}
	if !w.s.storeAnswers() {
		t.Fatal("the store does not answer")
	}
	if left := w.stored(t); len(left) > 0 {
		t.Errorf("the store has %v", left)
	}
}

// Who is told that a tree is gone can rely on it only when its result is on disk, whatever
// was written meanwhile. A disk that takes nothing is not asked again at once.
func TestAnAnswerRestsOnResultsThatAreOnDisk(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.stored = true
	r := w.s.host.New(run.Plan{ID: keeper.RunID{Name: "a", Run: 1}}, p)
	failed := errors.New("the disk is full")
	stop := asked(process.Stop{})
	result, later := &write{number: 1, runs: []*run.Run{r}}, &write{number: 2}
	p.disk.numbers, p.disk.writes, p.disk.held = 2, []*write{result, later}, []held{{request: stop, write: 2}}
	p.back(result, failed)
	p.endTurn()
	if p.disk.numbers != 2 || p.disk.retry == nil {
		t.Errorf("%d writes, retry %v", p.disk.numbers, p.disk.retry != nil)
	}
	p.back(later, nil)
	if a := <-stop.answer; a.err != failed {
		t.Errorf("stop: %v", a.err)
	}
	p.disk.stop()
	p.disk.dirty = true
	p.save() // as the retry does
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
	if p.disk.failed != nil || len(p.disk.unkept) > 0 {
		t.Errorf("it is on disk, %v, and %d runs are not released", p.disk.failed, len(p.disk.unkept))
	}
}

// Events that could not be stored wait for the next try.
func TestEventsThatCouldNotBeStoredWaitForTheNextTry(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, strings.Repeat("a", 40000)) // no key of the store is as long
	p.stored = true
	p.tell(process.Event{Kind: process.EventChanged})
	p.disk.dirty = true
	p.save()
	p.turnsUntil(t, func() bool { return p.disk.unsaved != nil })
	p.save()
	if len(p.disk.untold) != 1 || p.disk.retry == nil {
		t.Errorf("%d events wait, retry %v", len(p.disk.untold), p.disk.retry != nil)
	}
	p.disk.stop()
}

// They are told in their order, also when several writes were on their way.
func TestEventsThatCouldNotBeStoredStayInOrder(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.stored = true
	w.spoil(t)
	for run := range uint64(3) {
		p.tell(process.Event{Kind: process.EventEnded, Run: run + 1})
		p.disk.dirty = true
		p.save()
	}
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
	p.tell(process.Event{Kind: process.EventEnded, Run: 4})
	w.mend(t)
	p.retried(t)
	all := w.events()
	for i, e := range all {
		if e.Run != uint64(i+1) {
			t.Errorf("event %d is of run %d", i+1, e.Run)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d are told", len(all))
	}
}

// Who asks of a process that is left alone because of a fault is told so, also when he had
// asked before that was known.
func TestAProcessThatIsLeftAloneAnswersAll(t *testing.T) {
	w := newWorld(t)
	p := w.byHand(t, "a")
	first := make(chan struct{})
	p.inbox.put(func() { <-first; panic("a fault") })
	for range maxFaults - 1 {
		p.inbox.put(func() { panic("a fault") })
	}
	p.serve()
	answers := make(chan error)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 10 {
		go func() {
			_, err := p.ask(ctx, request{op: process.StartAgain{}})
			answers <- err
		}()
	}
	for p.inbox.waiting() < 10 { // of them
		time.Sleep(time.Millisecond)
	}
	close(first)
	for range 10 {
		var code *process.Error
		if err := <-answers; !errors.As(err, &code) || code.Code != process.CodeInternal {
			t.Errorf("got %v", err)
		}
	}
	if p.inbox.put(func() {}) {
		t.Error("its inbox takes what nobody will do")
	}
	w.s.loopsClosed()
	w.s.closeParts()
}

func (b *inbox) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) - (maxFaults - 1)
}

// Who has deleted a process can give its name to another at once.
func TestADeletedNameIsFree(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.serve()
	gone := request{op: process.Delete{}, answer: make(chan answer)}
	p.inbox.put(func() { p.receive(gone) })
	for answered := false; !answered; runtime.Gosched() {
		w.s.mu.Lock() // nobody gives the name free between the answer and the look
		select {
		case a := <-gone.answer:
			if answered = true; a.err != nil || w.s.names["a"] != nil {
				t.Errorf("deleted, %v, and the name is still taken: %v", a.err, w.s.names["a"] != nil)
			}
		default:
		}
		w.s.mu.Unlock()
	}
	w.s.loops.Wait()
}

// A delete that could not be stored leaves a process that the next daemon has too, whatever
// became of the writes behind it.
func TestADeleteThatCouldNotBeStoredIsTakenBack(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.stored, p.disk.definition = true, true
	gone, failed := asked(process.Delete{}), errors.New("the disk is full")
	p.receive(gone)
	p.save()
	w1 := p.disk.writes[0]
	p.disk.dirty = true
	p.save() // this one succeeds
	w1.back, w1.err = true, failed
	p.wroteAll()
	if a := <-gone.answer; a.err != failed {
		t.Errorf("delete: %v", a.err)
	}
	p.save()
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
	p.disk.stop()
	if err := w.s.store.Close(); err != nil {
		t.Fatal(err)
	}
	again, contents, err := store.Open(store.In(w.dir), w.s.log)
	if err != nil {
		t.Fatal(err)
	}
	w.s.store = again
	for _, kept := range contents.Processes {
		if kept.Removed {
			t.Error("the next daemon would delete it")
		}
	}
}

// Nothing is started of a definition that cannot be carried out, also not what the former
// worker was about to start.
func TestNothingIsStartedOfWhatIsInvalid(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.stored, p.invalid, p.owed = true, process.Errorf(process.CodeInvalid, "its zone has gone"), true
	p.goOn()
	if p.owed || p.machine.Busy() {
		t.Error("what was owed is started")
	}
	r := asked(process.StartAgain{})
	r.goal = lifecycle.UntilStarted
	p.waiting = append(p.waiting, r)
	p.handle(lifecycle.Event{Kind: lifecycle.Start}) // what a restart had queued, say
	p.save()
	p.turnsUntil(t, func() bool { return len(r.answer) > 0 })
	if a := <-r.answer; a.err != p.invalid {
		t.Errorf("got %v", a.err)
	}
	if alive := w.alive("a"); len(alive) > 0 {
		t.Errorf("%s was started", alive[0].name)
	}
}

// A schedule that can be read again follows from the next change of the definition.
func TestAChangeTakesUpAScheduleThatCouldNotBeRead(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.stored, p.kept.Spec.Cron, p.machine.Up = true, "@hourly", true
	p.invalid = errors.New("its zone had gone")
	p.receive(asked(process.Set{Settings: []process.Setting{{Field: "log", Value: "true"}}}))
	if p.invalid != nil || p.times == nil || p.machine.State() != process.Scheduled || p.next.IsZero() {
		t.Errorf("%v, and it is %v", p.invalid, p.machine.State())
	}
	p.disarm()
	p.save()
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
}

// A disk that has answered just now does not hang, and while one hangs nobody waits for it,
// whenever it was asked.
func TestADiskHangsWhenItHasNotAnsweredInTime(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.byHand(t, "a")
	p.disk.under = 2
	p.watchDisk()
	p.land()
	p.hang() // it was on its way
	if p.disk.hung != nil || p.disk.late == nil {
		t.Errorf("hung: %v", p.disk.hung)
	}
	p.disk.hung = errors.New("it hangs")
	r := asked(process.Stop{})
	p.waiting = append(p.waiting, r) // since its tree lived
	p.endTurn()
	if len(r.answer) == 0 {
		t.Error("who waits for the disk is not told")
	}
	p.disk.stop()
}

// When the daemon ends, a disk that answers others does not hang: each waits behind all.
func TestADiskThatAnswersOthersDoesNotHangAtTheEnd(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p, other := w.byHand(t, "a"), w.byHand(t, "b")
	late := func() {
		p.disk.limit = w.s.clock.Now()
		p.hang()
	}
	for _, q := range []*managed{p, other} {
		q.disk.under = 2
		q.watchDisk()
		defer q.disk.stop()
	}
	p.machine.Closing = true
	other.land()
	if late(); p.disk.hung != nil || p.disk.limit <= w.s.clock.Now() {
		t.Errorf("hung: %v", p.disk.hung)
	}
	w.s.landed.Store(int64(w.s.clock.Now() - storeLimit))
	if late(); p.disk.hung == nil {
		t.Error("it answers nobody, and does not hang")
	}
}
