package run

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// toldLimits is how often it was told that a limit was met.
func (w *worker) toldLimits() (n int) {
	for _, e := range w.told {
		if e.Kind == lifecycle.RunLimited {
			n++
		}
	}
	return n
}

// change changes what is counted, and gives notice.
func (m *machine) change(what func(), notice func(w *worker) func()) {
	m.mu.Lock()
	what()
	tell := notice(m.worker)
	m.mu.Unlock()
	if tell != nil {
		tell()
	}
	synctest.Wait()
}

func TestMetLimitsAreTold(t *testing.T) {
	defer func(was func(string, string, string) (cgroup.Disk, error)) { diskOf = was }(diskOf)
	diskOf = func(_, _, _ string) (cgroup.Disk, error) { return cgroup.Disk{Major: 8}, nil } // not every machine has one
	bubble(t, func(t *testing.T, m *machine) {
		m.limited = process.Limits{MemoryHigh: 1 << 20, PidsMax: 9, CPUMax: 50_000, IOMax: "/ wbps=1"}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Minute)
		if n, hits := w.toldLimits(), w.run.Hits(); n != 0 || hits != nil {
			t.Errorf("told %d times before one is met: %v", n, hits)
		}
		m.change(func() { m.events.High = 4 }, func(w *worker) func() { return w.memory })
		m.change(func() { m.refused = 2 }, func(w *worker) func() { return w.pids })
		if n := w.toldLimits(); n != 2 {
			t.Errorf("told %d times", n)
		}
		m.change(func() { m.throttled, m.stalled = 3*time.Millisecond, slowLook/stalledShare }, func(w *worker) func() { return nil })
		w.pass(slowLook)
		if n := w.toldLimits(); n != 3 {
			t.Errorf("told %d times", n)
		}
		want := []Hit{{process.LimitMemoryHigh, 4, 0}, {process.LimitPids, 2, 0}, {process.LimitCPU, 3, 3 * time.Millisecond}, {process.LimitIO, 1, slowLook / stalledShare}}
		if got := w.run.Hits(); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		// Less than a tenth of the time is none of the limit's doing.
		m.change(func() { m.stalled += slowLook/stalledShare - 1 }, func(w *worker) func() { return nil })
		w.pass(time.Hour)
		if n := w.toldLimits(); n != 3 {
			t.Errorf("told %d times", n)
		}
		// Another worker counts on.
		w.kill9()
		w = m.adopt(t, process.Ending{})
		w.pass(time.Second)
		if got := w.run.Hits(); !reflect.DeepEqual(got, want[:3]) {
			t.Errorf("another worker: %v, want %v", got, want[:3])
		}
	})
}

// A run without limits has no watch but those of its end and of its memory, and no timer.
func TestNobodyLooksWhetherARunWithoutLimitsMetOne(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Hour)
		steps := w.steps
		w.pass(24 * time.Hour)
		if w.steps != steps || w.watches != 2 || w.run.met.slow.halt != nil {
			t.Errorf("%d steps in a day, %d watches", w.steps-steps, w.watches)
		}
		// Limits come and go.
		w.do(func() { w.run.Change(process.Spec{Limits: process.Limits{PidsMax: 3, CPUMax: 50_000}}) })
		w.pass(time.Minute)
		if w.watches != 3 || w.run.met.slow.halt == nil {
			t.Errorf("with limits: %d watches", w.watches)
		}
		w.do(func() { w.run.Change(process.Spec{}) })
		steps = w.steps
		w.pass(24 * time.Hour)
		if w.steps != steps || w.watches != 2 {
			t.Errorf("without limits again: %d steps in a day, %d watches", w.steps-steps, w.watches)
		}
	})
}

// The first of many notices is passed on at once, the last soon, and what comes between seldom.
func TestManyNoticesAreFewLooks(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.limited = process.Limits{MemoryHigh: 1 << 20}
		w := m.newWorker(t).begin(process.Ending{})
		w.pass(time.Minute)
		steps, second := w.steps, time.Second
		for i := range 100 {
			m.change(func() { m.events.High++ }, func(w *worker) func() { return w.memory })
			if i == 0 && w.run.Hits()[0].Times != 1 {
				t.Error("the first is not told at once")
			}
			w.pass(second / 100)
		}
		w.pass(noticePause)
		if hits := w.run.Hits(); hits[0].Times != 100 {
			t.Errorf("%v", hits)
		}
		if looks := w.steps - steps; looks > int(second/noticePause)+2 {
			t.Errorf("%d looks in a second", looks)
		}
	})
}
