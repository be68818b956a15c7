package supervisor

import (
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
		if len(order) != 3 {
			t.Fatalf("%v are within, want 3", order)
		}
		leaves[0]()
		leaves[0]()
		if len(order) != 4 {
			t.Fatalf("%v came in when one had left", order)
		}
		time.Sleep(gateLimit + time.Millisecond)
		synctest.Wait()
		if len(order) != 7 {
			t.Fatalf("%v came in when nobody had left for %v", order, gateLimit)
		}
		for i := 0; i < len(leaves); i++ { // each lets another one in
			leaves[i]()
		}
		for i, n := range order {
			if n != i {
				t.Fatalf("they came in as %v", order)
			}
		}
		if len(order) != 10 || g.within != 0 {
			t.Errorf("%v came in, %d are within", order, g.within)
		}
	})
}
