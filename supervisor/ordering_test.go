package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// behind is a definition of a process that needs others.
func behind(name, needs string) process.Spec {
	s := spec(name)
	s.Needs = needs
	return s
}

// inOrder are the names in the order in which something was told of them.
func (w *world) inOrder(kind process.EventKind) (names []string) {
	for _, e := range w.events() {
		if e.Kind == kind {
			names = append(names, e.Name)
		}
	}
	return names
}

// db is behind nobody, cache and proxy are behind db, web is behind cache.
func (w *world) four(t *testing.T) {
	t.Helper()
	proxy := spec("proxy")
	proxy.After = "db,unknown"
	for _, s := range []process.Spec{spec("db"), behind("cache", "db"), proxy, behind("web", "cache")} {
		if _, err := w.s.StartSpec(t.Context(), s, process.How{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) do(t *testing.T, op process.Operation, names ...string) {
	t.Helper()
	list, err := w.s.Do(t.Context(), names, op)
	for _, o := range list {
		err = errors.Join(err, o.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkBehind makes sure that a stands before b.
func checkBehind(t *testing.T, names []string, a, b string) {
	t.Helper()
	i, j := slices.Index(names, a), slices.Index(names, b)
	if i < 0 || j < 0 || i > j {
		t.Errorf("%v: want %s before %s", names, a, b)
	}
}

func TestSeveralStopInTheReverseOrder(t *testing.T) {
	for _, op := range []process.Operation{process.Stop{}, process.Delete{}} {
		w := newWorld(t)
		w.calm = true
		w.four(t)
		w.do(t, op, "*")
		ended := w.inOrder(process.EventEnded)
		checkBehind(t, ended, "web", "cache")
		checkBehind(t, ended, "cache", "db")
		checkBehind(t, ended, "proxy", "db")
		w.s.loopsClosed()
		w.s.closeParts()
	}
}

func TestTheDaemonEndsThemInTheReverseOrder(t *testing.T) {
	w := newWorld(t)
	w.calm = true
	w.four(t)
	w.s.loopsClosed()
	ended := w.inOrder(process.EventEnded)
	checkBehind(t, ended, "web", "cache")
	checkBehind(t, ended, "cache", "db")
	checkBehind(t, ended, "proxy", "db")
	w.s.closeParts()
}

func TestWhatIsNeededCannotBeDeletedAlone(t *testing.T) {
	w := newWorld(t)
	w.calm = true
	defer w.s.closeParts()
	defer w.s.loopsClosed()
	w.four(t)
	list, err := w.s.Do(t.Context(), process.Selection{"db"}, process.Delete{})
	if err != nil || !errors.Is(list[0].Err, process.ErrNeeded) || !strings.Contains(list[0].Err.Error(), "needed by cache:") {
		t.Errorf("got %v, %v", list, err)
	}
	w.do(t, process.Set{Settings: []process.Setting{{Field: "needs", Value: ""}}}, "cache")
	w.do(t, process.Delete{}, "db") // proxy comes after it, and does not need it
}

func TestNeedsThatMakeACycleOrAreNotThereAreRefused(t *testing.T) {
	w := newWorld(t)
	w.calm = true
	defer w.s.closeParts()
	defer w.s.loopsClosed()
	w.four(t)
	set := func(name, field, value string) error {
		list, err := w.s.Do(t.Context(), process.Selection{name}, process.Set{Settings: []process.Setting{{Field: field, Value: value}}})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Err
	}
	for _, field := range []string{"needs", "after"} {
		if err := set("db", field, "web"); err == nil || !strings.Contains(err.Error(), "db -> web -> cache -> db") {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if err := set("db", "needs", "nobody"); err == nil || !strings.Contains(err.Error(), "'nobody'") {
		t.Errorf("got %v", err)
	}
	if _, err := w.s.StartSpec(t.Context(), behind("new", "nobody"), process.How{}); err == nil || !strings.Contains(err.Error(), "'nobody'") {
		t.Errorf("got %v", err)
	}
	if names := w.s.Names(); slices.Contains(names, "new") {
		t.Errorf("it is there: %v", names)
	}
}

// Those who ask at the same time cannot make a cycle together.
func TestNeedsThatAreSetAtOnceMakeNoCycle(t *testing.T) {
	o := newOrdering()
	const n = 8
	name := func(i int) string { return fmt.Sprint("p", i%n) }
	for i := range n {
		if err := o.put(name(i), process.Ordering{}); err != nil {
			t.Fatal(err)
		}
	}
	var refused sync.Map
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := o.put(name(i), process.Ordering{Needs: name(i + 1)}); err != nil {
				refused.Store(i, err)
			}
		})
	}
	all.Wait()
	count := 0
	refused.Range(func(_, _ any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d were refused, want 1", count)
	}
	for i := range n {
		if path := o.graph().Cycle(name(i)); path != nil {
			t.Errorf("a cycle: %v", path)
		}
	}
}
