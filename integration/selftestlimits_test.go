package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The kernel's tests of the controllers memory, pids and cpu, see selftest_test.go. What a
// program of Go needs for itself is left out by measuring before and behind what it does.

func init() { roles["selftest"] = selftestRole }

// selftestRole does one thing after another, and says so before and behind each:
//
//	wait=FILE     waits until there is a file
//	anon=MIB      allocates and writes to memory
//	free          gives the last of it back
//	file=PATH:MIB writes a file through the page cache
//	burn=MS       keeps a processor busy for so long by the wall clock
//	exit=CODE     ends; otherwise it stays
func selftestRole(args []string) {
	var memory []byte
	for _, arg := range args {
		what, text, _ := strings.Cut(arg, "=")
		var err error
		fmt.Println("at", arg)
		switch what {
		case "wait":
			for gone(text) {
				time.Sleep(5 * time.Millisecond)
			}
		case "anon":
			memory, err = unix.Mmap(-1, 0, number(text)*mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			for at := 0; at < len(memory); at += os.Getpagesize() {
				memory[at] = 1
			}
		case "free":
			err = unix.Munmap(memory)
		case "file":
			path, size, _ := strings.Cut(text, ":")
			err = os.WriteFile(path, make([]byte, mib), 0o600)
			var f *os.File
			if err == nil {
				f, err = os.OpenFile(path, os.O_WRONLY, 0)
			}
			for i := range number(size) {
				if err == nil {
					_, err = f.WriteAt(make([]byte, mib), int64(i)*mib)
				}
			}
		case "burn":
			for end := time.Now().Add(time.Duration(number(text)) * time.Millisecond); time.Now().Before(end); {
			}
		case "exit":
			os.Exit(number(text))
		}
		if err != nil {
			panic(err)
		}
		fmt.Println("did", arg)
	}
	time.Sleep(time.Hour)
}

// close to reports whether two figures differ by no more than so many percent of their sum,
// as the kernel's tests compare.
func closeTo[N ~int | ~int64 | ~uint64](a, b N, percent N) bool {
	return max(a, b)-min(a, b) <= (a+b)/100*percent
}

// selftestCommand is a command in which selftestRole plays.
func selftestCommand(parts ...string) string { return roleCommand("selftest", parts...) }

// limited is a process that has its limits from its start.
func limited(name, command string, l process.Limits) process.Spec {
	return process.Spec{Name: name, Command: command, Limits: l, Ending: process.Ending{StopSignal: process.KILL}}
}

// goOn lets who waits for a file go on, and waits until the process has done something.
func (d *daemon) goOn(name, file, did string) process.Status {
	d.t.Helper()
	d.touch(file)
	d.said(name, "did "+did+"\n")
	return d.status(name)
}

// more is by how much a figure has grown.
func more(after, before *uint64) uint64 { return value(after) - min(value(before), value(after)) }

// 50 MiB of its own are within 3 % what memory has grown by, and 50 MiB of files within 10 %;
// the peak does not fall.
func TestSelftestMemoryCurrentPeak(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const size = 50 * mib
	d := startDaemon(t, setup{})
	disk := diskDir(t)
	d.start(process.Spec{Name: selftested, Command: selftestCommand("wait=1", "anon=50", "wait=2", "free", "wait=3", "file="+disk+"/file:50")})
	d.said(selftested, "at wait=1\n")
	before := d.status(selftested)
	full := d.goOn(selftested, "1", "anon=50")
	if got := more(full.Memory, before.Memory); !closeTo(got, uint64(size), 3) {
		t.Errorf("memory has grown by %d: %s", got, shownJSON(t, full.Usage))
	}
	if got := more(full.MemoryAnon, before.MemoryAnon); !closeTo(got, uint64(size), 3) {
		t.Errorf("memory of its own has grown by %d", got)
	}
	if full.MemoryPeak == nil {
		t.Skip("this kernel tells no peak")
	}
	freed := d.goOn(selftested, "2", "free")
	if more(full.Memory, freed.Memory) < size*9/10 || *freed.MemoryPeak < *full.MemoryPeak || *freed.MemoryPeak < size {
		t.Errorf("given back: %s", shownJSON(t, freed.Usage))
	}
	filed := d.goOn(selftested, "3", "file="+disk+"/file:50")
	if got := more(filed.MemoryFile, freed.MemoryFile); !closeTo(got, uint64(size), 10) || *filed.MemoryPeak < size {
		t.Errorf("the cache of files has grown by %d: %s", got, shownJSON(t, filed.Usage))
	}
	if last := d.stop(selftested).LastRun; *last.MemoryPeak < *filed.MemoryPeak {
		t.Errorf("its record: %s", shownJSON(t, last.Usage))
	}
}

// At memory_max the cache of files makes room, and what has no room is killed.
func TestSelftestMemoryMax(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const limit = 30 * mib
	d := startDaemon(t, setup{})
	d.start(limited("anon", selftestCommand("anon=100"), process.Limits{MemoryMax: limit, SwapMax: noSwap}))
	d.start(limited("file", selftestCommand("file="+diskDir(t)+"/file:50"), process.Limits{MemoryMax: limit, SwapMax: noSwap}))
	if s := d.rest("anon"); s.Cause != process.CauseOOM || s.Run.Signal != process.KILL || value(s.Run.OOMKills) != 1 || value(s.MemoryMaxEvents) == 0 || value(s.MemoryPeak) > limit+mib {
		t.Errorf("%s", shownJSON(t, s.Run))
	}
	d.said("file", "did file")
	if s := d.status("file"); value(s.Memory) > limit || !closeTo(value(s.Memory), limit, 5) || value(s.MemoryMaxEvents) == 0 || value(s.OOMKills) != 0 {
		t.Errorf("%s", shownJSON(t, s.Usage))
	}
	d.stop("file")
}

// Above memory_high a tree is slowed, and gives back what it can; it is not killed.
func TestSelftestMemoryHigh(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const limit = 30 * mib
	d := startDaemon(t, setup{})
	d.start(limited("anon", selftestCommand("wait=go", "anon=31", "exit=3"), process.Limits{SwapMax: noSwap}))
	d.said("anon", "at wait=go\n")
	d.set("anon", "memory_high", fmt.Sprint(value(d.status("anon").Memory)+limit)) // far above it, it would take minutes
	d.touch("go")
	d.start(limited("file", selftestCommand("file="+diskDir(t)+"/file:50"), process.Limits{MemoryHigh: limit, SwapMax: noSwap}))
	if s := d.rest("anon"); !same(s.ExitCode, new(3)) || value(s.MemoryHighEvents) == 0 || value(s.Run.OOMKills) != 0 || value(s.MemoryMaxEvents) != 0 {
		t.Errorf("%s", shownJSON(t, s.Run))
	}
	d.said("file", "did file")
	if s := d.status("file"); !closeTo(value(s.Memory), limit, 5) || value(s.MemoryHighEvents) == 0 {
		t.Errorf("%s", shownJSON(t, s.Usage))
	}
	d.stop("file")
}

// With oom:kill the whole tree ends, also where it is one in a group within that takes too
// much; with oom:continue the others go on.
func TestSelftestMemoryOOMGroup(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const limit = 80 * mib
	small, large := selftestCommand("anon=1"), selftestCommand("wait=go", "anon=200")
	d := startDaemon(t, setup{})
	for name, command := range map[string]string{
		"leaf":     "(" + small + ") & (" + small + ") & (" + large + ") & " + small,
		"parent":   ownGroup(t) + "mkdir $g/child; (echo 0 >$g/child/cgroup.procs; " + large + ") & (" + small + ") & " + small,
		"continue": "(" + large + ") & " + small,
	} {
		d.start(limited(name, command, process.Limits{MemoryMax: limit, SwapMax: noSwap, OOMKill: name != "continue"}))
		d.said(name, "did anon=1\n")
	}
	d.touch("go")
	for _, name := range []string{"leaf", "parent"} {
		if s := d.rest(name); s.Cause != process.CauseOOM || value(s.Run.OOMKills) < 2 {
			t.Errorf("%s: %s", name, shownJSON(t, s.Run))
		}
		d.nobodyLeft(name, 1)
	}
	s := d.await("continue", "one is killed", func(s process.Status) bool { return value(s.OOMKills) == 1 && *s.Pids == 1 })
	if s.State != process.Running {
		t.Errorf("%v: %s", s.State, shownJSON(t, s.Usage))
	}
	d.stop("continue")
}

// Whom no want of memory may end (oom_score_adj -1000) lives on, where all others are ended.
func TestSelftestMemoryOOMGroupScore(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(limited(selftested, "("+selftestCommand("wait=go", "anon=200")+") & ("+selftestCommand("anon=1")+") & echo -1000 >/proc/self/oom_score_adj; exec sleep 1000",
		process.Limits{MemoryMax: 80 * mib, SwapMax: noSwap, OOMKill: true}))
	d.said(selftested, "did anon=1\n")
	pid := d.status(selftested).PID
	d.touch("go")
	s := d.await(selftested, "the others are killed", func(s process.Status) bool { return *s.Pids == 1 && value(s.OOMKills) > 1 })
	if s.State != process.Running || s.PID != pid {
		t.Errorf("%v, pid %d: %s", s.State, s.PID, shownJSON(t, s.Usage))
	}
	d.stop(selftested)
}

// Under pressure from a sister, what memory_low protects stays, and what nothing protects goes.
func TestSelftestMemoryLow(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const size = 50 * mib
	d := startDaemon(t, setup{})
	disk := diskDir(t)
	for name, low := range map[string]int64{"protected": 75 * mib, "bare": 0} {
		d.start(limited(name, selftestCommand("file="+disk+"/"+name+":50"), process.Limits{MemoryLow: low}))
		d.said(name, "did file")
	}
	setLimit(t, d.runs(), "memory.max", strconv.Itoa(200*mib))
	if _, err := os.Stat(d.runs() + "/memory.swap.max"); err == nil {
		setLimit(t, d.runs(), "memory.swap.max", "0")
	}
	before := d.status("protected")
	d.start(process.Spec{Name: "greedy", Command: selftestCommand("anon=110")})
	d.said("greedy", "did anon")
	protected, bare := d.status("protected"), d.status("bare")
	if value(protected.MemoryFile) < size*9/10 || value(protected.MemoryFile) < value(before.MemoryFile)*9/10 {
		t.Errorf("protected: %s", shownJSON(t, protected.Usage))
	}
	if value(bare.MemoryFile) > size/2 {
		t.Errorf("not protected: %s", shownJSON(t, bare.Usage))
	}
	for _, name := range []string{"protected", "bare", "greedy"} {
		d.mustClient("stop", name)
	}
}

// Beyond pids_max a fork is refused, and counted once.
func TestSelftestPidsMax(t *testing.T) {
	needController(t, "pids")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(limited(selftested, "sleep 1000 & (exit 0); echo not refused; exit 7", process.Limits{PidsMax: 2}))
	s := d.rest(selftested)
	if s.State != process.Failed || same(s.ExitCode, new(7)) || value(s.PidsRefused) != 1 || value(s.PidsPeak) > 2 {
		t.Errorf("%s", shownJSON(t, s.Run))
	}
}

// A fork in a group within is refused by the limit of the run, and counted there.
func TestSelftestPidsEvents(t *testing.T) {
	needController(t, "pids")
	if features, _ := os.ReadFile("/sys/kernel/cgroup/features"); !strings.Contains(string(features), "pids_localevents") {
		t.Skip("this kernel counts what is refused in the group of who forks alone")
	}
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(limited(selftested, ownGroup(t)+"mkdir $g/child; echo $$ >$g/child/cgroup.procs; sleep 1000 & (exit 0); exit 7", process.Limits{PidsMax: 2}))
	s := d.rest(selftested)
	if s.State != process.Failed || same(s.ExitCode, new(7)) || value(s.PidsRefused) != 1 {
		t.Errorf("%s", shownJSON(t, s.Run))
	}
}

// usedIn is the CPU time in µs that a process uses in a while.
func (d *daemon) usedIn(name string, while time.Duration) (used int64, passed time.Duration) {
	d.t.Helper()
	before, began := d.status(name), time.Now()
	time.Sleep(while)
	after := d.status(name)
	return *after.CPU - *before.CPU, time.Since(began)
}

// A tree that would use a whole processor has what cpu_max gives it, within 10 %, also where
// it works in a group within.
func TestSelftestCPUMax(t *testing.T) {
	needController(t, "cpu")
	d := startDaemon(t, setup{}) // alone: a machine that is busy otherwise gives less
	const share = 20             // percent
	work := selftestCommand("burn=600000")
	for name, command := range map[string]string{"flat": work, "nested": ownGroup(t) + "mkdir $g/child; echo $$ >$g/child/cgroup.procs; " + work} {
		d.start(limited(name, command, process.Limits{}))
		d.await(name, "at work", func(s process.Status) bool { return s.CPU != nil && *s.CPU > 500_000 })
		d.set(name, "cpu_max", fmt.Sprint(share, "%"))
		used, passed := d.usedIn(name, 4*time.Second)
		if want := passed.Microseconds() * share / 100; !closeTo(used, want, 10) {
			t.Errorf("%s: %d µs in %v, want %d", name, used, passed, want)
		}
		if s := d.status(name); value(s.CPUThrottledPeriods) == 0 || value(s.CPUPeriods) < *s.CPUThrottledPeriods || *s.CPUThrottled == 0 {
			t.Errorf("%s: %s", name, shownJSON(t, s.Usage))
		}
		d.stop(name)
	}
}

// Three trees that would each have all of a processor share it by their weights. The kernel's
// test has them on all processors, where it also asks how well tasks are spread over these.
func TestSelftestCPUWeightOverprovisioned(t *testing.T) {
	needController(t, "cpu")
	needController(t, "cpuset")
	d := startDaemon(t, setup{}) // alone
	names := []string{"a", "b", "c"}
	for i, name := range names {
		d.start(limited(name, selftestCommand("wait=go", "burn=600000"), process.Limits{CPUWeight: 50 * (i + 1), CPUSet: "0"}))
	}
	for _, name := range names {
		d.said(name, "at wait=go\n")
	}
	d.touch("go")
	for _, name := range names {
		d.said(name, "at burn")
	}
	before := d.list()
	time.Sleep(6 * time.Second)
	after := d.list()
	var used []int64
	for i := range names {
		used = append(used, *after[i].CPU-*before[i].CPU)
	}
	if !slices.IsSorted(used) || !closeTo(used[1]-used[0], used[0], 35) || !closeTo(used[2]-used[1], used[0], 35) {
		t.Errorf("with weights of 50, 100 and 150 they have used %v µs", used)
	}
	for _, name := range names {
		d.stop(name)
	}
}

// With swap_max what has no room in memory has that much besides.
func TestSelftestMemorySwapMax(t *testing.T) {
	needController(t, "memory")
	if os.Getenv("GUEST") == "" {
		t.Skip("swap is only made in a guest")
	}
	const limit = 30 * mib
	makeSwap(t, filepath.Join(diskDir(t), "swap"), 96*mib)
	d := startDaemon(t, setup{})
	limits := process.Limits{MemoryMax: limit, SwapMax: new(int64(limit))}
	d.start(limited("much", selftestCommand("anon=100"), limits))
	if s := d.rest("much"); s.Cause != process.CauseOOM || value(s.Run.OOMKills) != 1 || value(s.MemoryPeak) < 29*mib || s.MemorySwapPeak != nil && *s.MemorySwapPeak < 29*mib {
		t.Errorf("%s", shownJSON(t, s.Run))
	}
	d.start(limited("enough", selftestCommand("anon=50"), limits))
	d.said("enough", "did anon")
	if s := d.status("enough"); !closeTo(value(s.Memory), limit, 3) || value(s.MemorySwap) == 0 || value(s.Memory)+value(s.MemorySwap) < 50*mib || value(s.MemoryMaxEvents) == 0 {
		t.Errorf("%s", shownJSON(t, s.Usage))
	}
	d.stop("enough")
}
