package integration

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What runs are said to have used, against what they say themselves.

func init() { roles["burn"] = burn }

// burn uses so many ms of CPU time, in user code and in the kernel, and says how many µs it
// took. With the name of a FIFO it says before that it is ready, and waits there.
func burn(args []string) {
	used := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return (u.Utime.Nano() + u.Stime.Nano()) / 1000
	}
	if len(args) > 1 {
		fmt.Println("ready")
		if _, err := os.ReadFile(args[1]); err != nil {
			panic(err)
		}
	}
	most := int64(number(args[0])) * 1000
	for before := used(); ; {
		if all := used() - before; all >= most {
			fmt.Println("burnt", all)
			return
		}
		for i := range 100_000 {
			if i%1000 == 0 {
				unix.Getppid()
			}
		}
	}
}

// near reports whether a figure is what it should be, but for a part of that.
func near(got, want, part float64) bool { return math.Abs(got-want) <= want*part }

// A figure is there just where something counts it, and never 0 instead.
func TestFiguresFollowTheControllers(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	group := d.group("web", 1)
	// The files of the kernel, and what they give while the tree lives and when it is gone.
	files := map[string]struct{ live, ended []string }{
		"memory.current":      {live: []string{"memory_anon_bytes", "memory_file_bytes", "memory_shmem_bytes"}},
		"memory.events":       {ended: []string{"memory_low_events", "memory_high_events", "memory_max_events", "oom_kills"}},
		"memory.peak":         {ended: []string{"memory_peak_bytes", "memory_peak_source"}},
		"memory.swap.current": {live: []string{"memory_swap_bytes"}},
		"memory.swap.peak":    {ended: []string{"memory_swap_peak_bytes"}},
		"pids.current":        {live: []string{"tasks"}, ended: []string{"pids_refused"}},
		"pids.peak":           {ended: []string{"pids_peak"}},
		"io.stat":             {ended: []string{"io_read_bytes", "io_write_bytes", "io_read_operations", "io_write_operations", "io_source"}},
		"cpu.max":             {ended: []string{"cpu_periods", "cpu_throttled_periods", "cpu_throttled_usec"}},
		"cpu.pressure":        {ended: []string{"pressure"}},
		"cgroup.stat.local":   {ended: []string{"frozen_usec"}},
	}
	var there, stay, lost, absent []string
	for name, f := range files {
		if _, err := os.Stat(group + "/" + name); err == nil {
			there, stay, lost = append(append(there, f.live...), f.ended...), append(stay, f.ended...), append(lost, f.live...)
		} else {
			absent = append(append(absent, f.live...), f.ended...)
		}
	}
	statusJSON(t, d, "web", append(there, "pids", "memory_bytes", "cpu_percent_since_start"), absent)
	d.stop("web")
	statusJSON(t, d, "web", stay, append(append(absent, lost...), "pids", "memory_bytes", "cpu_percent_since_start"))
	for _, r := range d.history("web") {
		if shown := shownJSON(t, r); strings.Contains(shown, "\"avg10\"") {
			t.Errorf("averages of a tree that is gone: %s", shown)
		}
	}
}

// The work is done by a grandchild with a session of its own, whose parent is dead, and which
// is dead when it is asked for.
func TestCPUOfADeadEscapedGrandchildIsCounted(t *testing.T) {
	d := startDaemon(t, setup{}) // alone: a busy machine makes it long
	ms := 1500
	if os.Getenv("GUEST") != "" { // what else is done takes ten times as long there
		ms = 5000
	}
	d.start(process.Spec{Name: "escaped", Command: "mkfifo go said; (setsid sh -c '" + roleCommand("burn", strconv.Itoa(ms), d.dir+"/go") + " >said' &)\n" +
		"while read line; do echo $line; done <said; exec sleep 1000"})
	d.said("escaped", "ready")
	var before int
	eventually(t, "all wait", func() bool {
		last := before
		before = d.usage("escaped", 1)
		return last == before
	})
	if err := os.WriteFile(d.dir+"/go", []byte("go"), 0); err != nil {
		t.Fatal(err)
	}
	d.said("escaped", "burnt ")
	var burnt int
	lines := d.logs("escaped", 1)
	if _, err := fmt.Sscanf(strings.TrimSpace(lines), "burnt %d", &burnt); err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	running := d.await("escaped", "the grandchild is dead", func(s process.Status) bool { return s.Pids != nil && *s.Pids == 1 })
	ended := d.stop("escaped")
	for what, u := range map[string]process.Usage{"while it runs": running.Usage, "at its end": ended.Usage, "in its record": ended.LastRun.Usage} {
		if u.CPU == nil || !near(float64(int(*u.CPU)-before), float64(burnt), .02) {
			t.Errorf("%s: before %d µs, then the grandchild used %d µs: %s", what, before, burnt, shownJSON(t, u))
		}
		if *u.CPUUser == 0 || *u.CPUSystem == 0 || !near(float64(*u.CPUUser+*u.CPUSystem), float64(*u.CPU), .001) {
			t.Errorf("%s: user %d and system %d do not make %d", what, *u.CPUUser, *u.CPUSystem, *u.CPU)
		}
	}
	if all := running.CPUPercentSinceStart; all == nil || !near(*all, float64(*running.CPU)/1e4/running.Uptime, .2) {
		t.Errorf("%d µs in %v s: %s", *running.CPU, running.Uptime, shownJSON(t, running))
	}
}

func TestPeakOfAKnownAllocationIsTold(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const size = 192 * mib
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "fat", Command: roleCommand("touch", strconv.Itoa(size))})
	d.said("fat", "touched")
	s := d.status("fat")
	between(t, "memory of its own", s.MemoryAnon, size, size*105/100)
	if s.MemoryFile == nil || s.MemoryShmem == nil || s.Tasks == nil || s.OOMKills == nil {
		t.Errorf("a figure is missing: %s", shownJSON(t, s.Usage))
	}
	if parts := *s.MemoryAnon + *s.MemoryFile + value(s.MemoryKernel); s.MemoryKernel != nil && !near(float64(parts), float64(*s.Memory), .02) {
		t.Errorf("the parts make %d of %d bytes", parts, *s.Memory)
	}
	ended := d.stop("fat")
	between(t, "peak", ended.MemoryPeak, size, size*105/100)
	for _, now := range []*uint64{ended.Memory, ended.MemoryAnon, ended.MemoryFile, ended.MemoryKernel, ended.MemoryShmem, ended.MemorySwap, ended.Tasks} {
		if now != nil {
			t.Errorf("nobody is left, and there is %d of something: %s", *now, shownJSON(t, ended.Usage))
		}
	}
	between(t, "processes and threads at most", ended.PidsPeak, 2, 100)
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

func TestThrottledTimeIsCounted(t *testing.T) {
	needController(t, "cpu")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "slow", Command: roleCommand("burn", "500"), Limits: process.Limits{CPUMax: 20_000}})
	d.start(process.Spec{Name: "free", Command: roleCommand("burn", "10")})
	slow, free := d.rest("slow"), d.rest("free")
	// Half a second of work at a fifth of a core: two seconds of waiting. On a machine that has
	// little time for it, that is a part of these.
	if slow.CPUThrottled == nil || *slow.CPUThrottled < 100_000 || value(slow.CPUThrottledPeriods) < 2 || value(slow.CPUPeriods) < *slow.CPUThrottledPeriods {
		t.Errorf("throttled: %s", shownJSON(t, slow.Usage))
	}
	if value(free.CPUThrottledPeriods) != 0 || free.CPUThrottled == nil || *free.CPUThrottled != 0 {
		t.Errorf("not limited, and throttled: %s", shownJSON(t, free.Usage))
	}
}

// More processes than processors have to wait for one, and that is told with no controller.
func TestPressureIsCounted(t *testing.T) {
	if _, err := os.Stat("/proc/pressure/cpu"); err != nil {
		t.Skipf("this kernel counts no pressure: %v", err)
	}
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "crowd", Command: fmt.Sprintf("for i in $(seq %d); do %s & done; wait; exec sleep 1000", 2*cpus(t), roleCommand("burn", "400"))})
	s := d.await("crowd", "all have burnt", func(s process.Status) bool { return *s.Pids == 1 && s.Pressure.CPU.Some.Total > 50_000 })
	if a := s.Pressure.CPU.Some.StallAverages; a == nil {
		t.Errorf("no averages of a tree that lives: %s", shownJSON(t, s.Usage))
	}
	if p := d.status("idle").Pressure; p == nil || p.CPU == nil || p.Memory == nil || p.IO == nil || p.Memory.Full == nil || p.IO.Full == nil {
		t.Errorf("of a tree that does nothing %s", shownJSON(t, d.status("idle").Usage))
	}
	ended := d.stop("crowd")
	for what, u := range map[string]process.Usage{"at its end": ended.Usage, "in its record": ended.LastRun.Usage} {
		if u.Pressure == nil || u.Pressure.CPU.Some.Total < s.Pressure.CPU.Some.Total || u.Pressure.CPU.Some.StallAverages != nil || u.Pressure.IO.Full.StallAverages != nil {
			t.Errorf("%s: %s", what, shownJSON(t, u))
		}
	}
	if out := d.mustClient("runs", "crowd", "-v"); !strings.Contains(out, "\ncpu wait: ") || !strings.Contains(out, "some ") {
		t.Errorf("%s", out)
	}
}

func cpus(t *testing.T) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	return set.Count()
}

func shownJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Swap is only made in a guest: that of a host belongs to others.
func TestSwapIsCounted(t *testing.T) {
	needController(t, "memory")
	if os.Getenv("GUEST") == "" {
		t.Skip("swap is only made in a guest")
	}
	const size, limit = 64 * mib, 32 * mib
	makeSwap(t, filepath.Join(diskDir(t), "swap"), 128*mib)
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "big", Command: roleCommand("touch", strconv.Itoa(size)), Limits: process.Limits{MemoryMax: limit}})
	d.said("big", "touched")
	s := d.status("big")
	between(t, "swapped", s.MemorySwap, size-limit, size)
	between(t, "memory", s.Memory, limit/2, limit)
	if value(s.MemoryMaxEvents) == 0 {
		t.Errorf("it has not met its limit: %s", shownJSON(t, s.Usage))
	}
	if _, err := os.Stat(d.group("big", 1) + "/memory.swap.peak"); err == nil {
		between(t, "most that was swapped", s.MemorySwapPeak, *s.MemorySwap, size)
	}
	ended := d.stop("big")
	if ended.MemorySwap != nil || s.MemorySwapPeak != nil && value(ended.MemorySwapPeak) < *s.MemorySwapPeak {
		t.Errorf("after its end: %s", shownJSON(t, ended.Usage))
	}
	if s.Pressure.Memory.Some.Total == 0 || ended.Pressure.Memory.Some.Total < s.Pressure.Memory.Some.Total {
		t.Errorf("it has not waited for memory: %s, then %s", shownJSON(t, s.Pressure), shownJSON(t, ended.Pressure))
	}
}

// makeSwap makes a file of swap, and has the kernel use it until the test ends.
func makeSwap(t *testing.T, path string, size int) {
	t.Helper()
	page := os.Getpagesize()
	head := make([]byte, page)
	binary.NativeEndian.PutUint32(head[1024:], 1)                   // version
	binary.NativeEndian.PutUint32(head[1028:], uint32(size/page)-1) // the last page
	copy(head[page-10:], "SWAPSPACE2")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(head); err != nil {
		t.Fatal(err)
	}
	for range size/page - 1 { // no holes
		if _, err := file.Write(make([]byte, page)); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	swap := func(number uintptr) error {
		name, err := unix.BytePtrFromString(path)
		if err != nil {
			return err
		}
		if _, _, errno := unix.Syscall(number, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
			return errno
		}
		return nil
	}
	if err := swap(unix.SYS_SWAPON); err != nil {
		t.Fatalf("swapon: %v", err)
	}
	t.Cleanup(func() {
		if err := swap(unix.SYS_SWAPOFF); err != nil {
			t.Errorf("swapoff: %v", err)
		}
	})
}

// What each block device was used for is told on request, while the run lasts and after it.
func TestDevicesAreToldOnRequest(t *testing.T) {
	needController(t, "io")
	t.Parallel()
	const count, size, metadata = 8, 8 * mib, mib
	dir := diskDir(t)
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "busy", Command: roleCommand("disk", dir+"/data", strconv.Itoa(count))})
	d.said("busy", "read")
	told := func() process.DeviceIO {
		t.Helper()
		s := d.statusWith("busy", "-devices")
		if len(s.IODevices) == 0 {
			t.Fatalf("no devices: %s", shownJSON(t, s.Usage))
		}
		one := s.IODevices[0]
		between(t, "written", &one.Write, size, size+metadata)
		between(t, "read", &one.Read, size, size+metadata)
		between(t, "writes", &one.WriteOperations, count, size/4096)
		between(t, "reads", &one.ReadOperations, count, size/4096)
		if len(s.IODevices) == 1 && (*s.IOWrite != one.Write || *s.IOReadOperations != one.ReadOperations) {
			t.Errorf("the sum of one device is another: %s", shownJSON(t, s.Usage))
		}
		if major, minor, ok := strings.Cut(one.Device, ":"); !ok || number(major) == 0 || number(minor) < 0 || one.Name == "" {
			t.Errorf("device %q, name %q", one.Device, one.Name)
		}
		if name, err := os.Readlink("/sys/dev/block/" + one.Device); err != nil || filepath.Base(name) != one.Name {
			t.Errorf("device %s is %s, %v, not %s", one.Device, name, err, one.Name)
		}
		return one
	}
	told()
	if s := d.status("busy"); s.IODevices != nil {
		t.Errorf("nobody has asked: %v", s.IODevices)
	}
	d.stop("busy")
	one := told()
	if r := d.pmclient("status", "busy", "-devices"); !strings.Contains(r.stdout, "\ndevice "+one.Device+": ") || !strings.Contains(r.stdout, one.Name+": read 8.") {
		t.Errorf("%+v", r)
	}
	if out := d.mustClient("runs", "busy", "-v"); !strings.Contains(out, "\ndevice "+one.Device+": ") {
		t.Errorf("%s", out)
	}
}

// statusWith is the status that pmclient gives with a flag.
func (d *daemon) statusWith(name, flag string) (s process.Status) {
	d.t.Helper()
	r := d.pmclient("status", name, flag, "-format", "json")
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		d.t.Fatalf("%v: %+v", err, r)
	}
	return s
}
