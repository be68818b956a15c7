package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestUsageCountsTheDead(t *testing.T) {
	g := newGroup(t)
	inner := makeChild(t, g, "inner")
	// The work is done by a grandchild, so that nobody in the group outlives it.
	cmd := spawn(t, inner, nil, "sh", "-c", `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exit 0`)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	await(t, g, func(e Events) bool { return !e.Populated })
	u, err := g.Usage()
	if err != nil {
		t.Fatal(err)
	}
	// The kernel's own account of the child and of what it waited for.
	rusage := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if rusage == 0 || u.CPU < rusage*9/10 || u.CPU > rusage*11/10+10*time.Millisecond {
		t.Errorf("CPU %v, rusage %v", u.CPU, rusage)
	}
	if sum := u.CPUUser + u.CPUSystem; sum < u.CPU-time.Millisecond || sum > u.CPU+time.Millisecond {
		t.Errorf("user %v and system %v do not make %v", u.CPUUser, u.CPUSystem, u.CPU)
	}
	usage, user, system, err := g.CPU()
	if err != nil || usage != u.CPU || user != u.CPUUser || system != u.CPUSystem {
		t.Errorf("CPU alone: %v %v %v %v, want %+v", usage, user, system, err, u)
	}
}

// The figures of a controller are there just where the controller is.
func TestUsageFollowsTheControllers(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "c")
	if _, err := c.Usage(); err != nil { // before: nothing learnt here may stick
		t.Fatal(err)
	}
	if err := g.Enable("memory", "pids", "io"); err != nil {
		t.Fatal(err)
	}
	enabled, err := g.Enabled()
	if err != nil {
		t.Fatal(err)
	}
	spawn(t, c, nil, "sleep", "1000")
	u, err := c.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		controller, figure string
		value              *uint64
	}{
		{"memory", "memory", u.Memory},
		{"memory", "oom kills", u.OOMKills},
		{"pids", "pids", u.Pids},
		{"io", "io read", u.IORead},
		{"io", "io written", u.IOWrite},
	} {
		if there := slices.Contains(enabled, f.controller); there != (f.value != nil) {
			t.Errorf("%s: %v, with the controllers %v", f.figure, f.value, enabled)
		}
	}
	if u.Pids != nil && *u.Pids != 1 {
		t.Errorf("pids %d, want 1", *u.Pids)
	}
}

// Plain files stand for the controllers that this host may not have.
func TestUsageReadsEveryFigure(t *testing.T) {
	h := &Hierarchy{Mount: t.TempDir()}
	put := func(g Group, files map[string]string) {
		t.Helper()
		if err := os.MkdirAll(g.Path(), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(g.Path(), name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	cpu := "usage_usec 3000001\nuser_usec 2000000\nsystem_usec 1000001\nnice_usec 0\n"
	all := map[string]string{
		"cpu.stat":       cpu,
		"memory.current": "8192\n",
		"memory.peak":    "16384\n",
		"memory.events":  "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 9\n",
		"pids.current":   "4\n",
		"pids.peak":      "5\n",
		"io.stat":        "8:0 rbytes=100 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
	}
	full, bare, root := h.Group("p/full.1"), h.Group("q/bare.1"), h.Group("/")
	put(full, all)
	put(bare, map[string]string{"cpu.stat": cpu})
	put(root, map[string]string{"cpu.stat": cpu})

	show := func(g Group) string {
		t.Helper()
		u, err := g.Usage()
		if err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprint(u.CPU, u.CPUUser, u.CPUSystem)
		for _, p := range []*uint64{u.Memory, u.MemoryPeak, u.Pids, u.PidsPeak, u.IORead, u.IOWrite, u.OOMKills} {
			if p == nil {
				s += " -"
			} else {
				s += fmt.Sprint(" ", *p)
			}
		}
		return s
	}
	for range 2 { // looked at, then remembered
		if got, want := show(full), "3.000001s 2s 1.000001s 8192 16384 4 5 101 12 1"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, g := range []Group{bare, root} {
			if got, want := show(g), "3.000001s 2s 1.000001s - - - - - - -"; got != want {
				t.Errorf("%s: got  %s\nwant %s", g, got, want)
			}
		}
	}
	// A sister that lacks what the first has, and one with files longer than the buffer.
	threaded, long := h.Group("p/threaded.1"), h.Group("p/long.1")
	put(threaded, map[string]string{"cpu.stat": cpu, "pids.current": "1\n"})
	put(long, all)
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf("8:%d rbytes=1 wbytes=2 rios=0 wios=0 dbytes=0 dios=0\n", i)
	}
	put(long, map[string]string{"io.stat": many})
	if got, want := show(threaded), "3.000001s 2s 1.000001s - - 1 - - - -"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := show(long), "3.000001s 2s 1.000001s 8192 16384 4 5 1000 2000 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func BenchmarkUsage(b *testing.B) {
	c := newGroup(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Usage(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	c := newGroup(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Events(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPids(b *testing.B) {
	c := newGroup(b)
	spawn(b, c, nil, "sleep", "1000")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Pids(); err != nil {
			b.Fatal(err)
		}
	}
}
