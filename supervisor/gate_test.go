package supervisor

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// made is a clock of Go's own timers, which synctest plays.
type made struct{ begin time.Time }

func (m made) Now() time.Duration { return time.Since(m.begin) }

func (m made) At(at time.Duration, call func()) (stop func()) {
	t := time.AfterFunc(at-m.Now(), call)
	return func() { t.Stop() }
}

// So many are within at once, in their order; one that does not leave makes room after a
// while, and one that leaves twice makes room once.
func TestTheGateBoundsWhatBeginsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(made{time.Now()})
		g.room = 3
		var mu sync.Mutex // timers are goroutines of their own
		var order []int
		var leaves []func()
		for i := range 10 {
			g.enter(func(leave func()) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
				leaves = append(leaves, leave)
			})
		}
		in := func() []int {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(order)
		}
		leave := func(i int) {
			mu.Lock()
			do := leaves[i]
			mu.Unlock()
			do()
		}
		if len(in()) != 3 {
			t.Fatalf("%v are within, want 3", in())
		}
		leave(0)
		leave(0)
		if len(in()) != 4 {
			t.Fatalf("%v came in when one had left", in())
		}
		time.Sleep(gateLimit + time.Millisecond)
		synctest.Wait()
		if len(in()) != 7 {
			t.Fatalf("%v came in when nobody had left for %v", in(), gateLimit)
		}
		for i := 0; i < len(in()); i++ { // each lets another one in
			leave(i)
		}
		came := in()
		slices.Sort(came[4:7]) // the three whose time was over at once let these in, in any order
		for i, n := range came {
			if n != i {
				t.Fatalf("they came in as %v", in())
			}
		}
		if len(in()) != 10 || g.within != 0 {
			t.Errorf("%v came in, %d are within", in(), g.within)
		}
	})
}
