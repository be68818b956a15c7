package supervisor

import (
	"sync"
	"testing"
)

// What is put into an inbox comes out once, that of each in its order; after close nothing
// is taken, and who puts is told.
func TestInbox(t *testing.T) {
	const from, each = 8, 2000
	b, filled := new(inbox), make(chan struct{}, 1)
	b.serve(func() { filled <- struct{}{} }) // as often as was taken in vain
	var puts sync.WaitGroup
	var got [from][]int
	for who := range from {
		puts.Go(func() {
			for i := range each {
				if !b.put(func() { got[who] = append(got[who], i) }) {
					t.Error("an open inbox took nothing")
				}
			}
		})
	}
	for n := 0; n < from*each; n++ {
		do := b.take()
		for ; do == nil; do = b.take() {
			<-filled
		}
		do()
	}
	puts.Wait()
	for who, list := range got {
		for i, n := range list {
			if i != n {
				t.Fatalf("of %d: number %d came as %d", who, n, i)
			}
		}
	}
	b.put(func() { t.Error("done after close") })
	b.close()
	if b.put(func() {}) || b.take() != nil {
		t.Error("a closed inbox takes or gives something")
	}
}
