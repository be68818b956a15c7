package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles is a group of plain files, which say what files of cgroupfs say.
func limitFiles(t *testing.T, files map[string]string) Group {
	t.Helper()
	h := &Hierarchy{Mount: t.TempDir(), procDir: "testdata/unified", root: "/"}
	g := h.Group("/g")
	if err := os.Mkdir(g.path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(g.file(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// noLimits is what the kernel says of a group without limits.
func noLimits() map[string]string {
	return map[string]string{
		"memory.max": "max\n", "memory.high": "max\n", "memory.low": "0\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n",
		"cpu.max": "max 100000\n", "cpu.weight": "100\n", "pids.max": "max\n", "io.weight": "default 100\n", "io.max": "", "cpuset.cpus": "\n",
		"cgroup.controllers": "cpu memory pids io cpuset\n", "cgroup.subtree_control": "cpu memory pids io cpuset\n",
	}
}

// planned are the changes that would be made, as text.
func planned(t *testing.T, g Group, l Limits) (all []string) {
	t.Helper()
	changes, err := g.changes(&l)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		writes := []string{c.want}
		if c.of.diff != nil {
			writes = c.of.diff(c.is, c.want)
		}
		for _, w := range writes {
			all = append(all, c.of.file+" "+w)
		}
	}
	return all
}

func TestEachLimitIsWrittenToItsFile(t *testing.T) {
	all := Limits{
		MemoryMax: 3 << 20, MemoryHigh: 2<<20 + 1, MemoryLow: 1 << 20, SwapMax: new(uint64), CPUMax: 150_000, CPUWeight: 50, PidsMax: 7, IOWeight: 1000,
		IOMax: []DiskMax{{Disk: Disk{254, 16}, WriteBytes: 5, ReadOperations: 6}, {Disk: Disk{8, 0}, ReadBytes: 1}}, CPUs: "0-3,6", OOMKill: true,
	}
	want := []string{
		"cpu.max 150000 100000", "cpu.weight 50", "cpuset.cpus 0-3,6", "io.max 254:16 rbps=max wbps=5 riops=6 wiops=max", "io.max 8:0 rbps=1 wbps=max riops=max wiops=max",
		"io.weight default 1000", "memory.high 2097152", "memory.low 1048576", "memory.max 3145728", "memory.oom.group 1", "memory.swap.max 0", "pids.max 7",
	}
	got := planned(t, limitFiles(t, noLimits()), all)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := planned(t, limitFiles(t, noLimits()), Limits{CPUWeight: 100, IOWeight: 100}); len(got) > 0 {
		t.Errorf("what is so anyway is written: %q", got)
	}
	set := noLimits()
	for name, text := range map[string]string{
		"memory.max": "3145728\n", "memory.high": "2097152\n", "memory.low": "1048576\n", "memory.swap.max": "0\n", "memory.oom.group": "1\n", "cpu.max": "150000 100000\n", "cpu.weight": "50\n",
		"pids.max": "7\n", "io.weight": "default 1000\n8:0 50\n", "io.max": "8:0 rbps=1 wbps=max riops=max wiops=max\n254:16 rbps=max wbps=5 riops=6 wiops=max\n", "cpuset.cpus": "0-3,6\n",
	} {
		set[name] = text
	}
	g := limitFiles(t, set)
	if got := planned(t, g, all); len(got) > 0 {
		t.Errorf("what it says already is written again: %q", got)
	}
	want = []string{
		"cpu.max max 100000", "cpu.weight 100", "cpuset.cpus ", "io.max 254:16 rbps=max wbps=max riops=max wiops=max", "io.max 8:0 rbps=max wbps=max riops=max wiops=max",
		"io.weight default 100", "memory.high max", "memory.low 0", "memory.max max", "memory.oom.group 0", "memory.swap.max max", "pids.max max",
	}
	got = planned(t, g, Limits{})
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("unset: got  %q\nwant %q", got, want)
	}
}

// Where several limits of memory change, none on the way is tighter than what was and what is
// to be, and what can be given back or swapped out is not ended.
func TestNoStateOnTheWayKills(t *testing.T) {
	for _, c := range []struct {
		max, high, swap string
		to              Limits
		want            []string
	}{
		{"1048576", "524288", "0", Limits{MemoryMax: 2 << 20, MemoryHigh: 1 << 20}, []string{"memory.swap.max max", "memory.max 2097152", "memory.high 1048576"}},
		{"2097152", "1048576", "max", Limits{MemoryMax: 1 << 20, MemoryHigh: 1 << 19, SwapMax: new(uint64)}, []string{"memory.high 524288", "memory.max 1048576", "memory.swap.max 0"}},
		{"1048576", "max", "max", Limits{MemoryMax: 2 << 20, MemoryHigh: 1 << 19, SwapMax: new(uint64)}, []string{"memory.max 2097152", "memory.high 524288", "memory.swap.max 0"}},
		{"max", "1048576", "0", Limits{MemoryMax: 1 << 20}, []string{"memory.swap.max max", "memory.high max", "memory.max 1048576"}},
	} {
		files := noLimits()
		files["memory.max"], files["memory.high"], files["memory.swap.max"] = c.max+"\n", c.high+"\n", c.swap+"\n"
		if got := planned(t, limitFiles(t, files), c.to); !slices.Equal(got, c.want) {
			t.Errorf("from max %s, high %s, swap %s: got %q, want %q", c.max, c.high, c.swap, got, c.want)
		}
	}
}

func TestALimitThatCannotBeIsNamed(t *testing.T) {
	of := func(files map[string]string, l Limits) *LimitError {
		t.Helper()
		g := limitFiles(t, files)
		err := g.CanLimit(l)
		_, planErr := g.changes(&l)
		for _, err := range []error{err, planErr} {
			if _, ok := errors.AsType[*LimitError](err); !ok {
				t.Fatalf("got %v", err)
			}
		}
		can, _ := errors.AsType[*LimitError](err)
		plan, _ := errors.AsType[*LimitError](planErr)
		if can.Error() != plan.Error() {
			t.Errorf("%v, and when it is tried %v", can, plan)
		}
		return can
	}
	bare := map[string]string{"cgroup.controllers": "\n", "cgroup.subtree_control": "\n"}
	for _, c := range []struct {
		l    Limits
		want string
	}{
		{Limits{MemoryMax: 1 << 20}, "memory_max: there is no memory controller"},
		{Limits{MemoryHigh: 1 << 20}, "memory_high: there is no memory controller"},
		{Limits{MemoryLow: 1 << 20}, "memory_low: there is no memory controller"},
		{Limits{SwapMax: new(uint64)}, "swap_max: there is no memory controller"},
		{Limits{OOMKill: true}, "oom: there is no memory controller"},
		{Limits{CPUMax: 1000}, "cpu_max: there is no cpu controller"},
		{Limits{CPUWeight: 1}, "cpu_weight: there is no cpu controller"},
		{Limits{PidsMax: 1}, "pids_max: there is no pids controller"},
		{Limits{IOWeight: 1}, "io_weight: there is no io controller"},
		{Limits{IOMax: []DiskMax{{ReadBytes: 1}}}, "io_max: there is no io controller"},
		{Limits{CPUs: "0"}, "cpuset_cpus: there is no cpuset controller"},
	} {
		if err := of(bare, c.l); err.Error() != c.want || !errors.Is(err, ErrNoController) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if err := limitFiles(t, bare).Limit(Limits{CPUWeight: 100}); err != nil {
		t.Errorf("none of them is refused: %v", err)
	}
	noSwap := noLimits()
	delete(noSwap, "memory.swap.max")
	if err := of(noSwap, Limits{SwapMax: new(uint64)}); err.Error() != "swap_max: this kernel has no memory.swap.max" {
		t.Errorf("got %v", err)
	}
	if err := (Group{&Hierarchy{Mount: "/"}, "/nowhere"}).Limit(Limits{MemoryMax: 1 << 20}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a group that is gone: %v", err)
	}
}

// Of a change that failed in its middle no part stays: one disk is limited, say, and the other one
// is gone.
func TestAPartOfAChangeIsTakenBack(t *testing.T) {
	files := noLimits()
	files["io.max"] = "8:0 rbps=1 wbps=max riops=max wiops=max\n254:16 rbps=max wbps=5 riops=max wiops=max\n"
	g := limitFiles(t, files)
	before := "8:0 rbps=1 wbps=max riops=max wiops=max"
	if err := g.takeBack(change{limitNamed("io_max"), before, "not written whole"}); err != nil {
		t.Fatal(err)
	}
	if said, err := os.ReadFile(g.file("io.max")); !strings.HasPrefix(string(said), "254:16 rbps=max wbps=max riops=max wiops=max\n") {
		t.Errorf("written: %s, %v", said, err)
	}
	files["io.max"] = before + "\n"
	g = limitFiles(t, files)
	if err := g.takeBack(change{limitNamed("io_max"), before, "not written at all"}); err != nil {
		t.Fatal(err)
	}
	if said, err := os.ReadFile(g.file("io.max")); string(said) != before+"\n" {
		t.Errorf("written: %s, %v", said, err)
	}
}

// A kernel has io.weight, or that of BFQ, or both, of which each is for other disks.
func TestWeightsOfDisks(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  []string
	}{
		{[]string{"io.weight"}, []string{"io.weight default 10000"}},
		{[]string{"io.bfq.weight"}, []string{"io.bfq.weight default 1000"}},
		{[]string{"io.weight", "io.bfq.weight"}, []string{"io.weight default 10000", "io.bfq.weight default 1000"}},
	} {
		files := noLimits()
		delete(files, "io.weight")
		for _, name := range c.files {
			files[name] = "default 100\n"
		}
		g := limitFiles(t, files)
		if got := planned(t, g, Limits{IOWeight: 10_000}); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q", c.files, got)
		}
		if err := g.CanLimit(Limits{IOWeight: 10_000}); err != nil {
			t.Error(err)
		}
	}
	files := noLimits()
	delete(files, "io.weight")
	if err := limitFiles(t, files).CanLimit(Limits{IOWeight: 50}); err == nil || err.Error() != "io_weight: this kernel has no io.weight" {
		t.Errorf("got %v", err)
	}
}

func TestEveryLimitHasAController(t *testing.T) {
	var all []string
	for _, c := range wanted {
		all = append(all, LimitsOf(c.name)...)
	}
	want := []string{"cpu_max", "cpu_weight", "oom", "swap_max", "memory_max", "memory_high", "memory_low", "pids_max", "io_weight", "io_max", "cpuset_cpus"}
	if !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
	if n := reflect.TypeFor[Limits]().NumField(); n != len(want) {
		t.Errorf("%d limits, %d in the table", n, len(want))
	}
}

// The disk of a partition is the whole one, as the kernel names it.
func TestPartitionsAreOfDisks(t *testing.T) {
	sys := t.TempDir()
	disk := filepath.Join(sys, "devices", "vda")
	for path, text := range map[string]string{disk + "/dev": "254:0\n", disk + "/vda2/dev": "254:2\n", disk + "/vda2/partition": "2\n"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(sys+"/dev/block", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"254:0": disk, "254:2": disk + "/vda2"} {
		if err := os.Symlink(to, sys+"/dev/block/"+name); err != nil {
			t.Fatal(err)
		}
	}
	for _, minor := range []uint32{0, 2} {
		if d, err := wholeDisk(sys, unix.Mkdev(254, minor)); err != nil || d.String() != "254:0" {
			t.Errorf("254:%d is of %v, %v", minor, d, err)
		}
	}
	if _, err := wholeDisk(sys, unix.Mkdev(0, 30)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file system in memory: %v", err)
	}
	if _, err := DiskOf("/proc", "/sys", "/proc"); !errors.Is(err, ErrNoDisk) || !strings.Contains(err.Error(), "type proc") {
		t.Errorf("procfs: %v", err)
	}
}
