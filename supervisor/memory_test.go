package supervisor

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/kernellog"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// groupsOf is a tree of groups, made of plain files: in each, how often its own limit was
// reached, and that limit.
func groupsOf(t *testing.T, reached map[string]int) (*memory, cgroup.Group) {
	t.Helper()
	return groupsIn(t, t.TempDir(), reached)
}

// groupsIn is groupsOf below a directory.
func groupsIn(t *testing.T, mount string, reached map[string]int) (*memory, cgroup.Group) {
	t.Helper()
	h := &cgroup.Hierarchy{Mount: mount}
	for _, group := range []string{"slice", "slice/pm", "slice/pm/p", "slice/pm/p/web.1", "slice/pm/p/web.1/part"} {
		dir := filepath.Join(h.Mount, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "memory.max"), fmt.Appendf(nil, "%d\n", len(group)<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		reach(t, dir, reached[group])
	}
	groups := h.Group("slice/pm/p")
	return &memory{groups: groups, log: log.New(t.Output(), "", 0)}, groups.Child("web.1")
}

// reach has a group say how often its own limit was reached.
func reach(t *testing.T, dir string, times int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "memory.events.local"), fmt.Appendf(nil, "max 9\noom %d\noom_kill 0\n", times), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCountersOfTheGroupsSayWhoseLimitItWas(t *testing.T) {
	for _, c := range []struct {
		reached map[string]int
		own     bool
		limit   process.OOMLimit
		bytes   uint64
	}{
		{nil, false, process.OOMMachine, 0},
		{map[string]int{"slice/pm/p/web.1": 1}, true, process.OOMRun, 16 << 20},
		{map[string]int{"slice/pm/p/web.1/part": 1}, true, process.OOMRun, 0},
		{map[string]int{"slice/pm/p/web.1": 1}, false, process.OOMMachine, 0}, // that was another time
		{map[string]int{"slice/pm/p": 2, "slice": 1}, false, process.OOMAll, 10 << 20},
		{map[string]int{"slice/pm": 1}, false, process.OOMAll, 8 << 20},
		{map[string]int{"slice": 1}, false, process.OOMAbove, 0},
	} {
		m, g := groupsOf(t, c.reached)
		if limit, bytes := m.Blame(g, c.own); limit != c.limit || bytes != c.bytes {
			t.Errorf("%v, own %v: %s of %d, want %s of %d", c.reached, c.own, limit, bytes, c.limit, c.bytes)
		}
	}
}

// A group counts since it was made: that a limit was reached once is no reason for all that comes
// later. Several runs can have lost somebody to the same limit, and the next worker finds it.
func TestALimitThatWasReachedLongAgoIsNotBlamed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m, g := groupsIn(t, dir, map[string]int{"slice": 3, "slice/pm/p": 1})
		is := func(when string, want process.OOMLimit) {
			t.Helper()
			if limit, _ := m.Blame(g, false); limit != want {
				t.Errorf("%s: %q, want %q", when, limit, want)
			}
		}
		is("a kill that the worker has found", process.OOMAll)
		time.Sleep(reachedTime)
		is("long ago", process.OOMMachine)
		reach(t, filepath.Join(dir, "slice"), 4)
		is("above, again", process.OOMAbove)
		time.Sleep(time.Second)
		is("in another run", process.OOMAbove)
		reach(t, filepath.Join(dir, "slice/pm/p"), 2)
		is("of all", process.OOMAll)
		time.Sleep(time.Second)
		reach(t, filepath.Join(dir, "slice"), 5)
		is("above, after that of all", process.OOMAbove)
		time.Sleep(reachedTime)
		reach(t, filepath.Join(dir, "slice/pm/p"), 0) // it was made anew
		is("long ago, too", process.OOMMachine)
		reach(t, filepath.Join(dir, "slice/pm/p"), 1)
		is("of all, in the new group", process.OOMAll)
	})
}

func TestTheKernelsLogSaysWhoseLimitItWas(t *testing.T) {
	m, g := groupsOf(t, nil)
	for _, c := range []struct {
		kill  kernellog.Kill
		limit process.OOMLimit
		bytes uint64
	}{
		{kernellog.Kill{Limit: "/slice/pm/p/web.1"}, process.OOMRun, 16 << 20},
		{kernellog.Kill{Limit: "/slice/pm/p/web.1/part"}, process.OOMRun, 0},
		{kernellog.Kill{Limit: "/slice/pm/p"}, process.OOMAll, 10 << 20},
		{kernellog.Kill{Limit: "/slice/pm"}, process.OOMAll, 8 << 20},
		{kernellog.Kill{Limit: "/slice"}, process.OOMAbove, 0},
		{kernellog.Kill{Limit: "/slice/pm/p/web.10"}, process.OOMAbove, 0},
		{kernellog.Kill{Machine: true}, process.OOMMachine, 0},
		{kernellog.Kill{}, "", 0},
	} {
		if limit, bytes := m.whose(g, c.kill); limit != c.limit || bytes != c.bytes {
			t.Errorf("%+v: %s of %d, want %s of %d", c.kill, limit, bytes, c.limit, c.bytes)
		}
	}
}
