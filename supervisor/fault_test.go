package supervisor

import (
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A fault in ending a tree that is nobody's is its error, and it is tried again.
func TestAFaultWithAStrayIsAnError(t *testing.T) {
	var none *stray
	if err := none.end(0, nil, nil); err == nil || !strings.Contains(err.Error(), "panic: ") {
		t.Errorf("got %v", err)
	}
}

// What is in line behind a run begins also where the end of that was met with a fault.
func TestWhatIsInLineOutlivesAFault(t *testing.T) {
	w := newScheduleWorld(t)
	defer w.s.closeParts()
	p := w.take(t, minutely(0, ""))
	p.quiet(t)
	at := time.Now().UTC().Round(0)
	p.machine.Queue = &lifecycle.Occasion{Time: at, Outcome: process.Queued, Asked: process.Asked{By: process.BySchedule, Time: at}}
	p.guarded(func() { panic("the end of run 1 was met with a fault") })
	if got, want := p.quiet(t), "missed: no daemon ran, queued 1"; got != want || !p.machine.Busy() {
		t.Errorf("got %s, want %s", got, want)
	}
}
