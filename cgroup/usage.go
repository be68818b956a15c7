package cgroup

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what the processes of a group and of all nested ones use and have used.
// Whatever adds up counts processes that have ended too, and can be read until the
// group is removed. A figure that no controller keeps, or that this kernel does not
// have, is 0 and not in Known.
type Usage struct {
	Known Figures

	// cpu.stat. The first three are always there.
	CPU, CPUUser, CPUSystem time.Duration
	CPUPeriods              uint64 // of cpu.max that have passed: nr_periods
	CPUThrottledPeriods     uint64 // in which the group was made to wait: nr_throttled
	CPUThrottled            time.Duration

	// Bytes. Now: memory.current, page cache included. At most: memory.peak.
	Memory, MemoryPeak        uint64
	Swap, SwapPeak            uint64
	Anon, File, Kernel, Shmem uint64 // parts of Memory: memory.stat. Shmem is in File too
	MemoryEvents              MemoryEvents

	Pids, PidsPeak uint64 // processes and threads, now and at most
	PidsRefused    uint64 // forks and threads: max of pids.events

	IO IO // with all block devices: io.stat

	CPUPressure, MemoryPressure, IOPressure Pressure

	Frozen time.Duration // how long it was, by request for itself or one above it: cgroup.stat.local
}

// MemoryEvents is how often something happened for want of memory: memory.events.
type MemoryEvents struct {
	Low          uint64 // memory was taken away below memory.low
	High         uint64 // the group was slowed for being above memory.high
	Max          uint64 // it was to grow beyond memory.max
	OOM          uint64 // and could not
	OOMKill      uint64 // processes that were ended for it
	OOMGroupKill uint64 // groups that were ended as a whole: memory.oom.group
}

// IO is what was read from and written to block devices.
type IO struct {
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64 // operations
}

// Pressure is how long processes stood still for want of something: a *.pressure file.
type Pressure struct {
	Some Stall // at least one did
	Full Stall // all that had something to do did
}

// Stall is a share of time, in percent over the last 10, 60 and 300 seconds, and the
// time in all.
type Stall struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration
}

// Usage reads those of the wanted figures that there are, and those of cpu.stat, which
// is the one file that is always read. After an OOM kill read it when the group is no
// longer populated: the counter can trail the end of the process.
func (g Group) Usage(want Figures) (u Usage, err error) {
	if files, known := g.h.knownFiles(g); want == 0 || known && files&want == 0 {
		var buf [1024]byte
		data, err := g.read("cpu.stat", buf[:])
		u.parseCPU(data)
		return u, err
	}
	dir, err := openAt(unix.AT_FDCWD, g.path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return u, &Error{Op: "open", Path: g.path, Err: err}
	}
	defer unix.Close(dir)
	var buf [4096]byte
	data, err := readKnown(dir, "cpu.stat\x00", buf[:])
	if err != nil {
		return u, &Error{Op: "read", Path: g.file("cpu.stat"), Err: err}
	}
	u.parseCPU(data)

	files := g.h.filesOf(g, dir) & want
	for _, f := range figureFiles {
		if files&f.figure == 0 {
			continue
		}
		data, err := readKnown(dir, f.name, buf[:])
		switch err {
		case nil:
			u.parse(f.figure, data)
		case unix.ENOENT: // a threaded group lacks files that its sisters have
		case unix.EOPNOTSUPP: // pressure is not counted
		default:
			return u, &Error{Op: "read", Path: g.file(strings.TrimSuffix(f.name, "\x00")), Err: err}
		}
	}
	return u, nil
}
