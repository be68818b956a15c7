package supervisor

import (
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Who comes back later than events are kept is told how many are gone, once and before the others;
// so is who reads more slowly than they come. Who asks for all that is kept misses nothing.
func TestReadersAreToldWhatIsGone(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	add := func(n int) {
		for left := n; left > 0; left -= 1000 {
			done := make(chan error, 1)
			w.s.store.Write(store.Change{Name: "a", Events: make([]process.Event, min(left, 1000)), Done: func(err error) { done <- err }})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	add(store.MaxEvents + 41)
	read := func(q process.EventQuery, each func(n int)) (gone uint64, first uint64, n int) {
		t.Helper()
		last := q.Since
		err := w.s.Events(t.Context(), q, func(e process.Event) error {
			if e.Kind == process.EventGone {
				if gone += e.Gone; e.Seq != 0 || !e.Time.IsZero() || e.Name != "" {
					t.Errorf("%+v", e)
				}
				last += e.Gone
				return nil
			}
			if n++; n == 1 {
				first = e.Seq
			}
			if last != 0 && e.Seq != last+1 {
				t.Fatalf("%d comes behind %d", e.Seq, last)
			}
			last = e.Seq
			each(n)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return gone, first, n
	}
	none := func(int) {}
	for _, c := range []struct {
		q           process.EventQuery
		gone, first uint64
		n           int
	}{
		{process.EventQuery{Since: 1}, 40, 42, store.MaxEvents},
		{process.EventQuery{Since: 41}, 0, 42, store.MaxEvents},
		{process.EventQuery{Since: 100}, 0, 101, store.MaxEvents - 59},
		{process.EventQuery{}, 0, 42, store.MaxEvents},
		{process.EventQuery{Time: time.Now().Add(-time.Hour)}, 41, 42, store.MaxEvents},
		{process.EventQuery{Time: time.Now().Add(time.Hour)}, 0, 0, 0},
		{process.EventQuery{Last: 5}, 0, store.MaxEvents + 37, 5},
		{process.EventQuery{Since: store.MaxEvents + 41}, 0, 0, 0},
	} {
		if gone, first, n := read(c.q, none); gone != c.gone || first != c.first || n != c.n {
			t.Errorf("%+v: %d gone, the first is %d of %d", c.q, gone, first, n)
		}
	}
	if gone, _, _ := read(process.EventQuery{}, func(n int) {
		if n == 1 {
			add(2000) // those that were not read yet go
		}
	}); gone == 0 {
		t.Error("a slow reader was told of none that is gone")
	}
	if err := w.s.Events(t.Context(), process.EventQuery{Since: store.MaxEvents + 2042}, nil); process.CodeOf(err) != process.CodeInvalid {
		t.Error("of another store:", err)
	}
}
