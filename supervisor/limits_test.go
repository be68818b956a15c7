package supervisor

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// limitable has runs below a group of plain files, with one controller: memory.
func (w *world) limitable(t *testing.T) {
	t.Helper()
	w.s.groups = (&cgroup.Hierarchy{Mount: t.TempDir()}).Group("/p")
	if err := os.Mkdir(w.s.groups.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"cgroup.subtree_control": "memory\n", "memory.max": "max\n", "memory.high": "max\n"} {
		if err := os.WriteFile(w.s.groups.Path()+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.s.lack = func(controller string) (why, mend string) { return "nobody has " + controller, "take another host" }
}

// A limit is refused before anything is changed, in one line with what mends it, and what has
// nothing to do with it is not.
func TestALimitIsRefusedBeforeAnythingIsChanged(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	w.limitable(t)
	p := w.ranOnce(t)
	set := func(field, value string) error {
		return p.asks(t, process.Set{Settings: []process.Setting{{Field: field, Value: value}}})
	}
	for field, value := range map[string]string{"pids_max": "7", "cpu_max": "2"} {
		controller, _, _ := strings.Cut(field, "_")
		want := field + ": this host cannot enforce it: runs have no " + controller + " controller (nobody has " + controller + "); take another host"
		if err := set(field, value); !errors.Is(err, process.ErrLimit) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := set("swap_max", "0"); !errors.Is(err, process.ErrLimit) || !strings.Contains(err.Error(), "swap_max: this kernel has no memory.swap.max") {
		t.Errorf("swap_max: %v", err)
	}
	if err := set("memory_high", "2M"); err != nil {
		t.Error(err)
	}
	if err := set("memory_max", "1M"); !errors.Is(err, process.ErrInvalid) || !strings.Contains(err.Error(), "memory_high: ") {
		t.Errorf("a limit below another: %v", err)
	}
	if l := p.kept.Spec.Limits; l != (process.Limits{MemoryHigh: 2 << 20}) {
		t.Errorf("%+v", l)
	}
	// A definition from other times can be changed in what it can be.
	if err := os.WriteFile(w.s.groups.Path()+"/cgroup.subtree_control", []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := set("restart", "always"); err != nil {
		t.Error(err)
	}
	if err := set("memory_high", "3M"); !errors.Is(err, process.ErrLimit) {
		t.Errorf("%v", err)
	}
	if err := set("memory_high", ""); err != nil {
		t.Error(err)
	}
}

// Who sets a limit is told which run does not follow it.
func TestSetTellsWhichRunDoesNotFollow(t *testing.T) {
	w := newWorld(t)
	defer w.s.closeParts()
	w.calm = true
	w.limitable(t)
	w.group("a.1").refuse = errors.New("device is gone")
	p := w.byHand(t, "a")
	p.mustAsk(t, process.StartAgain{})
	err := p.asks(t, process.Set{Settings: []process.Setting{{Field: "memory_max", Value: "1M"}}})
	if want := "process 'a': the definition is changed, but run 1 does not follow: device is gone"; !errors.Is(err, process.ErrLimit) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if p.kept.Spec.MemoryMax != 1<<20 {
		t.Errorf("%+v", p.kept.Spec.Limits)
	}
	w.group("a.1").refuse = nil
	p.mustAsk(t, process.Set{Settings: []process.Setting{{Field: "memory_max", Value: "1M"}}})
	if l := w.group("a.1").limits; l.MemoryMax != 1<<20 {
		t.Errorf("%+v", l)
	}
}
