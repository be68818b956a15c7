package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The figures that rest on controllers, against known allocations and writes. Where
// groups have no controllers these tests skip; the guests have all.

const mib = 1 << 20

// needController skips the test where groups have no such controller.
func needController(t *testing.T, name string) {
	t.Helper()
	if hasController(t, name) {
		return
	}
	if guest := os.Getenv("GUEST"); guest != "" {
		t.Fatalf("guest %s: groups have no controller %s", guest, name)
	}
	t.Skipf("groups have no controller %s here", name)
}

func init() {
	roles["shrink"] = shrink
	roles["disk"] = disk
}

// shrink holds and has written to two pieces of memory, says so, and gives back the
// first when there is a file "release".
func shrink(args []string) {
	var pieces [2][]byte
	for i := range pieces {
		size, err := strconv.Atoi(args[i])
		if err != nil {
			panic(err)
		}
		if pieces[i], err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
			panic(err)
		}
		for at := 0; at < size; at += os.Getpagesize() {
			pieces[i][at] = 1
		}
	}
	fmt.Println("holding")
	for gone("release") {
		time.Sleep(10 * time.Millisecond)
	}
	if err := unix.Munmap(pieces[0]); err != nil {
		panic(err)
	}
	fmt.Println("released")
	time.Sleep(time.Hour)
}

// disk writes so many MiB to a file, past the page cache, and reads them back.
func disk(args []string) {
	path := args[0]
	count, err := strconv.Atoi(args[1])
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_DIRECT, 0o600)
	if err != nil {
		panic(err)
	}
	// Memory that is aligned as O_DIRECT asks for.
	block, err := unix.Mmap(-1, 0, mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	each := func(f func([]byte, int64) (int, error)) {
		for i := range count {
			if _, err := f(block, int64(i)*mib); err != nil {
				panic(err)
			}
		}
	}
	each(file.WriteAt)
	if err := file.Sync(); err != nil {
		panic(err)
	}
	fmt.Println("written")
	each(file.ReadAt)
	fmt.Println("read")
	time.Sleep(time.Hour)
}

// setLimit writes a limit of a group.
func setLimit(t *testing.T, group, file, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(group, file), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// between fails the test if a figure is not there, or out of bounds. What a process
// does is the least; the most leaves room for what the kernel and the Go runtime need
// beside it.
func between(t *testing.T, figure string, got *uint64, least, most uint64) {
	t.Helper()
	switch {
	case got == nil:
		t.Errorf("no %s", figure)
	case *got < least || *got > most:
		t.Errorf("%s: %d, want %d to %d", figure, *got, least, most)
	}
}

func TestMemoryFallsAndItsPeakStays(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const freed, kept, slack = 48 * mib, 16 * mib, 48 * mib
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "fat", Command: roleCommand("shrink", strconv.Itoa(freed), strconv.Itoa(kept))})
	d.said("fat", "holding")
	full := d.status("fat")
	between(t, "memory while it holds all", full.Memory, freed+kept, freed+kept+slack)
	between(t, "peak while it holds all", full.MemoryPeak, freed+kept, freed+kept+slack)
	statusJSON(t, d, "fat", []string{"memory_bytes", "memory_mb", "memory_source", "memory_peak_bytes", "memory_peak_source"}, nil)

	if err := os.WriteFile(d.dir+"/release", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.said("fat", "released")
	less := d.status("fat")
	between(t, "memory when a part is given back", less.Memory, kept, *full.Memory-freed+4*mib)
	between(t, "peak when a part is given back", less.MemoryPeak, *full.MemoryPeak, freed+kept+slack)
	for _, s := range []process.Status{full, less} {
		if s.MemorySource != process.SourceCgroup || s.MemoryPeakSource != process.SourceCgroup {
			t.Errorf("sources: %v, %v", s.MemorySource, s.MemoryPeakSource)
		}
	}

	ended := d.stop("fat")
	if ended.Memory != nil || ended.MemoryMB != nil || ended.MemorySource != 0 {
		t.Errorf("nobody is left, and holds %v bytes", *ended.Memory)
	}
	between(t, "peak of the run that has ended", ended.MemoryPeak, *less.MemoryPeak, freed+kept+slack)
	between(t, "peak in its record", ended.LastRun.MemoryPeak, *ended.MemoryPeak, *ended.MemoryPeak)
}

// The controller counts threads, of which the test binary has several.
func TestThreadsAreNotPids(t *testing.T) {
	needController(t, "pids")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "threads", Command: "sleep 1000 & " + roleCommand("touch", strconv.Itoa(mib))})
	d.said("threads", "touched")
	s := d.await("threads", "a tree of two", func(s process.Status) bool { return s.Pids != nil && *s.Pids == 2 })
	if s.PidsSource != process.SourceCgroup {
		t.Errorf("source %v", s.PidsSource)
	}
	if tasks := readNumber(t, d.group("threads", 1)+"/pids.current"); tasks <= 2 {
		t.Errorf("pids.current is %d: this shows nothing", tasks)
	}
}

func readNumber(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// diskDir is a directory of a file system that writes what it is given, as it is,
// to one block device.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/lib", "pm-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type != unix.EXT4_SUPER_MAGIC && fs.Type != unix.XFS_SUPER_MAGIC {
		t.Skipf("%s is neither ext4 nor XFS", dir)
	}
	return dir
}

func TestBytesFromAndToTheDiskAreCounted(t *testing.T) {
	needController(t, "io")
	t.Parallel()
	const count, size, metadata = 24, 24 * mib, mib
	dir := diskDir(t)
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "busy", Command: roleCommand("disk", dir+"/data", strconv.Itoa(count))})
	d.said("busy", "read")
	running := d.status("busy")
	between(t, "written", running.IOWrite, size, size+metadata)
	between(t, "read", running.IORead, size, size+metadata)
	statusJSON(t, d, "busy", []string{"io_read_bytes", "io_write_bytes", "io_source"}, nil)
	if s := d.status("idle"); s.IOSource != process.SourceCgroup || *s.IORead+*s.IOWrite > metadata {
		t.Errorf("a tree that does nothing: source %v, read %d, written %d", s.IOSource, *s.IORead, *s.IOWrite)
	}

	ended := d.stop("busy")
	between(t, "written, after the end", ended.IOWrite, *running.IOWrite, size+metadata)
	between(t, "read, after the end", ended.IORead, *running.IORead, size+metadata)
	if ended.CPU == nil || *ended.CPU < *running.CPU {
		t.Errorf("cpu after the end: %v, before %v", ended.CPU, running.CPU)
	}
	last := d.status("busy").LastRun
	if last == nil || *last.IOWrite != *ended.IOWrite || *last.IORead != *ended.IORead || *last.CPU != *ended.CPU || last.IOSource != process.SourceCgroup {
		t.Errorf("the record has other totals: %+v", last)
	}
}

func TestOutOfMemoryIsTheCauseWhereItEndsTheLeader(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	const limit = 32 * mib
	greedy := quoted(programs.self) + " role touch " + strconv.Itoa(4*limit)
	d := startDaemon(t, setup{})
	cases := []struct {
		name, command string
		cause         process.Cause
		signal        process.Signal
		code          *int
		error         string // stands in the error
	}{
		{"leader", "exec " + greedy, process.CauseOOM, process.KILL, nil, "memory"},
		{"nested", ownGroup(t) + "mkdir $g/a; echo $$ >$g/a/cgroup.procs; exec " + greedy, process.CauseOOM, process.KILL, nil, "memory"},
		{"child", greedy + "; exit 7", process.CauseExit, 0, new(7), "exit code 7; one of its processes was killed for lack of memory"},
		{"shell", greedy + "; exit $?", process.CauseExit, 0, new(137), "exit code 137; one of its processes was killed for lack of memory"},
		{"pair", greedy + "; " + greedy + "; exit $?", process.CauseExit, 0, new(137), "exit code 137; 2 of its processes were killed for lack of memory"},
		// Another's SIGKILL is no want of memory, though there was one before.
		{"later", greedy + "; sleep 1; kill -KILL $$", process.CauseSignal, process.KILL, nil, "ended by SIGKILL; one of its processes was killed for lack of memory"},
	}
	for _, c := range cases {
		d.start(process.Spec{Name: c.name, Command: "until [ -e go ]; do sleep 0.05; done\n" + c.command})
		group := d.group(c.name, 1)
		setLimit(t, group, "memory.max", strconv.Itoa(limit))
		if _, err := os.Stat(group + "/memory.swap.max"); err == nil {
			setLimit(t, group, "memory.swap.max", "0")
		}
	}
	if err := os.WriteFile(d.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		s := d.rest(c.name)
		if s.State != process.Failed || s.Cause != c.cause || s.Signal != c.signal || !same(s.ExitCode, c.code) {
			t.Errorf("%s: state %v, cause %v, signal %v, exit code %v", c.name, s.State, s.Cause, s.Signal, show(s.ExitCode))
		}
		if !strings.Contains(s.Error, c.error) {
			t.Errorf("%s: the error is %q, want %q in it", c.name, s.Error, c.error)
		}
		between(t, "peak of the "+c.name, s.MemoryPeak, limit/2, limit+4*mib)
		d.nobodyLeft(c.name, 1)
	}
}
