package supervisor

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/kernellog"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// groupsOf is a tree of groups, made of plain files: in each, how often its own limit was
// reached, and that limit.
func groupsOf(t *testing.T, reached map[string]int) (memory, cgroup.Group) {
	t.Helper()
	h := &cgroup.Hierarchy{Mount: t.TempDir()}
	for _, group := range []string{"slice", "slice/pm", "slice/pm/p", "slice/pm/p/web.1", "slice/pm/p/web.1/part"} {
		dir := filepath.Join(h.Mount, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"memory.events.local": fmt.Sprintf("max 9\noom %d\noom_kill 0\n", reached[group]), "memory.max": fmt.Sprintf("%d\n", len(group)<<20)} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	groups := h.Group("slice/pm/p")
	return memory{groups: groups, log: log.New(t.Output(), "", 0)}, groups.Child("web.1")
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
