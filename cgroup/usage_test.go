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
	u, err := g.Usage(AllFigures)
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
	alone, err := g.Usage(0)
	if err != nil || alone.CPU != u.CPU || alone.CPUUser != u.CPUUser || alone.CPUSystem != u.CPUSystem || alone.Known&^FigureThrottled != 0 {
		t.Errorf("CPU alone: %+v %v, want that of %+v", alone, err, u)
	}
}

// The figures of a controller are there just where the controller is.
func TestUsageFollowsTheControllers(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "c")
	if _, err := c.Usage(AllFigures); err != nil { // before: nothing learnt here may stick
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
	u, err := c.Usage(AllFigures)
	if err != nil {
		t.Fatal(err)
	}
	for controller, figures := range map[string]Figures{
		"memory": FigureMemory | FigureMemoryParts | FigureMemoryEvents,
		"pids":   FigurePids | FigurePidsRefused,
		"io":     FigureIO,
	} {
		there := slices.Contains(enabled, controller)
		if there && !u.Has(figures) || !there && u.Known&figures != 0 {
			t.Errorf("%s: %b, with the controllers %v", controller, u.Known, enabled)
		}
	}
	if u.Has(FigurePids) && u.Pids != 1 {
		t.Errorf("pids %d, want 1", u.Pids)
	}
}

// Plain files stand for the controllers that this host may not have. Their text is that of
// Linux 6.18.
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
	stall := "some avg10=1.25 avg60=0.50 avg300=0.01 total=31\nfull avg10=100.00 avg60=0.40 avg300=0.00 total=30\n"
	all := map[string]string{
		"cpu.stat":            cpu + "nr_periods 7\nnr_throttled 3\nthrottled_usec 250000\nnr_bursts 0\nburst_usec 0\n",
		"memory.current":      "8192\n",
		"memory.peak":         "16384\n",
		"memory.swap.current": "4096\n",
		"memory.swap.peak":    "8192\n",
		"memory.stat":         "anon 11\nfile 12\nkernel 13\nkernel_stack 1\npagetables 2\nshmem 14\nfile_mapped 5\nanon_thp 6\n",
		"memory.events":       "low 4\nhigh 5\nmax 3\noom 2\noom_kill 1\noom_group_kill 9\nsock_throttled 0\n",
		"pids.current":        "4\n",
		"pids.peak":           "5\n",
		"pids.events":         "max 6\n",
		"io.stat":             "8:0 rbytes=100 wbytes=10 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
		"cpu.pressure":        stall,
		"memory.pressure":     "some avg10=0.00 avg60=0.00 avg300=0.00 total=40\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=41\n",
		"io.pressure":         "some avg10=0.00 avg60=0.00 avg300=0.00 total=50\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=51\n",
		"cgroup.stat.local":   "frozen_usec 77\n",
	}
	cpuOnly := Usage{CPU: 3000001 * time.Microsecond, CPUUser: 2 * time.Second, CPUSystem: 1000001 * time.Microsecond}
	want := Usage{
		Known: AllFigures,
		CPU:   cpuOnly.CPU, CPUUser: cpuOnly.CPUUser, CPUSystem: cpuOnly.CPUSystem,
		CPUPeriods: 7, CPUThrottledPeriods: 3, CPUThrottled: 250 * time.Millisecond,
		Memory: 8192, MemoryPeak: 16384, Swap: 4096, SwapPeak: 8192,
		Anon: 11, File: 12, Kernel: 13, Shmem: 14,
		MemoryEvents: MemoryEvents{Low: 4, High: 5, Max: 3, OOM: 2, OOMKill: 1, OOMGroupKill: 9},
		Pids:         4, PidsPeak: 5, PidsRefused: 6,
		IO:             IO{101, 12, 4, 6},
		CPUPressure:    Pressure{Stall{1.25, 0.5, 0.01, 31 * time.Microsecond}, Stall{100, 0.4, 0, 30 * time.Microsecond}},
		MemoryPressure: Pressure{Stall{Total: 40 * time.Microsecond}, Stall{Total: 41 * time.Microsecond}},
		IOPressure:     Pressure{Stall{Total: 50 * time.Microsecond}, Stall{Total: 51 * time.Microsecond}},
		Frozen:         77 * time.Microsecond,
	}
	full, bare, root := h.Group("p/full.1"), h.Group("q/bare.1"), h.Group("/")
	put(full, all)
	put(bare, map[string]string{"cpu.stat": cpu})
	put(root, map[string]string{"cpu.stat": cpu})

	check := func(g Group, figures Figures, want Usage) {
		t.Helper()
		if got, err := g.Usage(figures); got != want || err != nil {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", g, err, got, want)
		}
	}
	for range 2 { // looked at, then remembered
		check(full, AllFigures, want)
		check(bare, AllFigures, cpuOnly)
		check(root, AllFigures, cpuOnly)
	}
	if n := testing.AllocsPerRun(10, func() { full.Usage(AllFigures) }); n > 2 {
		t.Errorf("%v allocations for one reading", n)
	}
	some := cpuOnly
	some.Known = FigureThrottled | FigurePids
	some.CPUPeriods, some.CPUThrottledPeriods, some.CPUThrottled = 7, 3, 250*time.Millisecond
	some.Pids = 4
	check(full, FigurePids, some)

	// A sister that lacks what the first has, and one with files longer than the buffer.
	threaded, long := h.Group("p/threaded.1"), h.Group("p/long.1")
	put(threaded, map[string]string{"cpu.stat": cpu, "pids.current": "1\n"})
	one := cpuOnly
	one.Known, one.Pids = FigurePids, 1
	check(threaded, AllFigures, one)
	put(long, all)
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf("8:%d rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n", i)
	}
	put(long, map[string]string{"io.stat": many})
	want.IO = IO{1000, 2000, 3000, 4000}
	check(long, AllFigures, want)

	// An old kernel: files that lack what came later.
	put(long, map[string]string{"io.stat": "", "memory.stat": "anon 11\nfile 12\nkernel_stack 1\nshmem 14\n", "cpu.pressure": "some avg10=1.25 avg60=0.50 avg300=0.01 total=31\n"})
	want.Known &^= FigureKernel | FigureCPUFull
	want.IO, want.Kernel, want.CPUPressure.Full = IO{}, 0, Stall{}
	check(long, AllFigures, want)
}

func BenchmarkUsage(b *testing.B) {
	c := newGroup(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Usage(AllFigures); err != nil {
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
