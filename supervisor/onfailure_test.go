package supervisor

import (
	"context"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// How many wait to be told of is bounded: of one process, and of all.
func TestFailuresThatWaitAreBounded(t *testing.T) {
	f := newFailures()
	a, b := &managed{name: "a"}, &managed{name: "b"}
	for i := range maxFailures {
		if !f.put(failure{p: []*managed{a, b}[i%2]}) {
			t.Fatalf("only %d wait", i)
		}
	}
	if f.put(failure{p: a}) {
		t.Error("one more waits")
	}
	one, ctx := f.take()
	if one.p != a {
		t.Errorf("the first is %s", one.p.name)
	}
	ended := make(chan struct{})
	go func() {
		<-ctx.Done() // drop has it end
		f.done()
		close(ended)
	}()
	f.drop(a)
	<-ended
	if len(f.queue) != maxFailures/2 || context.Cause(ctx) == nil {
		t.Errorf("%d wait", len(f.queue))
	}

	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	p := w.byHand(t, "x")
	p.kept.Definition.Spec.OnFailure = "true"
	for run := range uint64(maxOwnFailures + 2) {
		p.kept.Last = &process.Run{Number: run + 1, Cause: process.CauseSignal}
		p.failed(run + 1)
	}
	var told []string
	for _, e := range p.disk.events {
		if e.Kind == process.EventNotifyFailed {
			told = append(told, e.Error)
		}
	}
	if kept := p.kept.Failures; len(kept) != maxOwnFailures || kept[0].Number != 3 || len(told) != 2 || !strings.Contains(told[0], "others wait") {
		t.Errorf("%d wait; %q", len(kept), told)
	}
	p.queueFailure(store.Failure{Run: process.Run{Number: 1}}) // that was given up
	p.queueFailure(p.kept.Failures[0])
	if len(w.s.failures.queue) != 1 {
		t.Errorf("%d are in line", len(w.s.failures.queue))
	}
	// One that is left out is told of no more, and one whose command is under way is not left out.
	p.queueFailure(p.kept.Failures[1])
	under, _ := w.s.failures.take()
	p.kept.Last = &process.Run{Number: 13, Cause: process.CauseSignal}
	p.failed(13)
	if kept := p.kept.Failures; len(kept) != maxOwnFailures || kept[0].Number != under.what.Number || kept[1].Number != 5 || len(w.s.failures.queue) != 0 {
		t.Errorf("%d wait, the first are %d and %d, and %d are in line", len(kept), kept[0].Number, kept[1].Number, len(w.s.failures.queue))
	}
	told = nil
	for range 2 {
		p.failureTold(under.what, nil)
	}
	for _, e := range p.disk.events {
		if e.Run == under.what.Number && e.Kind != process.EventStarting {
			told = append(told, string(e.Kind))
		}
	}
	if len(told) != 1 || told[0] != string(process.EventNotified) {
		t.Errorf("of run %d is told: %q", under.what.Number, told)
	}
}
