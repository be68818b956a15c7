package supervisor

import (
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// over is a process of which run 1 has ended by itself, and whose result waits for company.
func (w *world) over(t *testing.T) *managed {
	t.Helper()
	w.s.company = time.Hour
	w.calm = true
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	if !w.s.storeAnswers() { // that it has started is on disk
		t.Fatal("the store does not answer")
	}
	w.group("a.1").endWith(0)
	p.turnsUntil(t, func() bool { return !p.machine.Busy() })
	if len(p.disk.writes) != 1 || p.isAwaited(p.disk.writes[0]) {
		t.Fatalf("%d writes are under way, or somebody waits for them", len(p.disk.writes))
	}
	return p
}

// recorded is how many runs of a process are on disk.
func (p *managed) recorded(t *testing.T) int {
	t.Helper()
	runs, err := p.s.store.Runs(p.name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(runs)
}

// A result that nobody waits for comes to disk with what somebody waits for, and before it.
func TestAResultComesToDiskWithTheNextStart(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.over(t)
	if n := p.recorded(t); n != 0 {
		t.Errorf("%d results are on disk; it was to wait", n)
	}
	w.byHand(t, "b").mustAsk(t, process.StartAgain{})
	if n := p.recorded(t); n != 1 {
		t.Errorf("%d results are on disk", n)
	}
	p.turnsUntil(t, func() bool { return len(p.disk.writes) == 0 })
}

// Who asks for something that rests on a result does not wait for company.
func TestWhoWaitsForAResultIsNotHeldUp(t *testing.T) {
	for what, op := range map[string]process.Operation{
		"stop": process.Stop{}, "start": process.StartAgain{}, "delete": process.Delete{},
		"set": process.Set{Settings: []process.Setting{{Field: "deadline", Value: "5"}}},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			defer w.s.closeParts()
			p := w.over(t)
			p.mustAsk(t, op)
			if n := p.recorded(t); n != 1 && what != "delete" {
				t.Errorf("it is answered, and %d results are on disk", n)
			}
		})
	}
}

// Nor does one that changes nothing.
func TestAnAnswerBehindAResultIsNotHeldUp(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.over(t)
	same := asked(defineOnly{})
	same.spec = &p.kept.Spec
	p.receive(same)
	p.turnsUntil(t, func() bool { return len(same.answer) > 0 })
	if a := <-same.answer; a.err != nil || p.recorded(t) != 1 {
		t.Errorf("%v, and %d results are on disk", a.err, p.recorded(t))
	}
}

// Nor does a process that needs one which has ended, or the daemon's end.
func TestAResultThatOthersNeedIsStoredAtOnce(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	p := w.over(t)
	next := &write{number: p.disk.numbers + 1}
	w.s.ordering.restore("b", process.Ordering{Needs: "a:completed"})
	if !p.isAwaited(next) {
		t.Error("b waits for what a has done")
	}
	w.s.ordering.forget("b")
	if p.machine.Closing = true; !p.isAwaited(next) {
		t.Error("the daemon's end waits")
	}
}
