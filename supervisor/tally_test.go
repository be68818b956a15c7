package supervisor

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What was used is counted from the group while a run goes on, from its result when it has
// ended, and from the store when that is there. Whoever reads meanwhile never sees less than
// before, and in the end each run is counted once.
func TestTotalsNeverFall(t *testing.T) {
	w := newWorld(t)
	w.calm, w.busy = true, true
	s := w.s
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sp := spec("a")
	sp.History = process.MaxHistory
	if _, err := s.StartSpec(ctx, sp, process.How{}); err != nil {
		t.Fatal(err)
	}
	p, err := s.lookup("a")
	if err != nil {
		t.Fatal(err)
	}
	end, read := make(chan struct{}), make(chan int)
	go func() {
		var sample process.Sample
		before, n := process.Totals{}, 0
		for {
			for _, s := range p.tally.Load().going { // a new worker has read nothing yet
				s.mu.Lock()
				s.last = process.Usage{}
				s.mu.Unlock()
			}
			p.sample(&sample)
			now := sample.Totals
			if now.CPUUser < before.CPUUser || now.CPUSystem < before.CPUSystem || now.Restarts < before.Restarts {
				t.Errorf("after %+v come %+v", before, now)
			}
			for cause, n := range before.Runs {
				if now.Runs[cause] < n {
					t.Errorf("%v: after %d come %d runs", cause, n, now.Runs[cause])
				}
			}
			before = now
			n++
			select {
			case <-end:
				read <- n
				return
			default:
			}
		}
	}()
	const turns = 300
	for i := range turns {
		if i%100 == 50 {
			w.spoil(t)
		}
		_, err := s.Do(ctx, process.Selection{"a"}, process.Stop{})
		if i%100 == 50 {
			w.mend(t)
		}
		if err == nil {
			_, err = s.Do(ctx, process.Selection{"a"}, process.StartAgain{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.do(t, process.Stop{}, "a")
	close(end)
	if n := <-read; n < turns {
		t.Errorf("they were read only %d times", n)
	}
	runs, err := s.store.Runs("a", 0)
	if err != nil {
		t.Fatal(err)
	}
	var want process.Totals
	for i := range runs {
		want.AddRun(&runs[i])
	}
	if want.CPUUser == 0 || len(runs) < turns/2 {
		t.Errorf("%d runs used %+v: nothing was seen", len(runs), want)
	}
	if all := s.Samples(); !reflect.DeepEqual(all[0].Totals, want) {
		t.Errorf("got %+v\nwant %+v, which the runs have used", all[0].Totals, want)
	}
	if got := w.reopened(t).Processes[0].Totals; !reflect.DeepEqual(got, want) {
		t.Errorf("the next worker finds %+v\nwant %+v", got, want)
	}
	s.loopsClosed()
	s.closeParts()
}
