package cgroup

import (
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what the processes of a group and of all nested ones use and have used.
// CPU time and what was read and written count processes that have ended too, and
// can be read until the group is removed. A figure that no controller keeps, or
// that this kernel does not have, is nil.
type Usage struct {
	CPU, CPUUser, CPUSystem time.Duration // cpu.stat; always there

	Memory     *uint64 // bytes now, page cache included: memory.current
	MemoryPeak *uint64 // bytes at most: memory.peak, Linux 5.19
	Pids       *uint64 // processes and threads now: pids.current
	PidsPeak   *uint64 // processes and threads at most: pids.peak, Linux 6.1
	IORead     *uint64 // bytes from block devices: rbytes of io.stat
	IOWrite    *uint64 // bytes to block devices: wbytes of io.stat
	OOMKills   *uint64 // processes ended for lack of memory: oom_kill of memory.events
}

// fileSet is the set of accounting files that the groups of one parent have: they
// follow from the controllers that are enabled there, and from the kernel.
type fileSet uint8

const (
	hasMemory fileSet = 1 << iota
	hasMemoryPeak
	hasMemoryEvents
	hasPids
	hasPidsPeak
	hasIO
)

var fileNames = [...]struct {
	name string
	set  fileSet
}{
	{"memory.current", hasMemory},
	{"memory.peak", hasMemoryPeak},
	{"memory.events", hasMemoryEvents},
	{"pids.current", hasPids},
	{"pids.peak", hasPidsPeak},
	{"io.stat", hasIO},
}

// Usage reads all there is. After an OOM kill read it when the group is no longer
// populated: the counter can trail the end of the process.
func (g Group) Usage() (Usage, error) {
	var u Usage
	if files, known := g.h.knownFiles(g); known && files == 0 {
		var err error
		u.CPU, u.CPUUser, u.CPUSystem, err = g.CPU()
		return u, err
	}
	dir, err := openAt(unix.AT_FDCWD, g.path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return u, &Error{Op: "open", Path: g.path, Err: err}
	}
	defer unix.Close(dir)
	var buf [4096]byte
	data, err := readAt(dir, "cpu.stat", buf[:])
	if err != nil {
		return u, &Error{Op: "read", Path: g.file("cpu.stat"), Err: err}
	}
	u.CPU, u.CPUUser, u.CPUSystem = parseCPU(data)

	files := g.h.filesOf(g, dir)
	if files == 0 {
		return u, nil
	}
	for _, f := range fileNames {
		if files&f.set == 0 {
			continue
		}
		data, err := readAt(dir, f.name, buf[:])
		if err != nil {
			// A threaded group lacks files that its sisters have.
			if err == unix.ENOENT {
				continue
			}
			return u, &Error{Op: "read", Path: g.file(f.name), Err: err}
		}
		switch f.set {
		case hasMemory:
			u.Memory = single(data)
		case hasMemoryPeak:
			u.MemoryPeak = single(data)
		case hasMemoryEvents:
			if n, ok := flatKey(data, "oom_kill"); ok {
				u.OOMKills = &n
			}
		case hasPids:
			u.Pids = single(data)
		case hasPidsPeak:
			u.PidsPeak = single(data)
		case hasIO:
			r, w := nestedSum(data, "rbytes"), nestedSum(data, "wbytes")
			u.IORead, u.IOWrite = &r, &w
		}
	}
	return u, nil
}

// OOMKills is how many processes of the group and of all nested ones the kernel has
// ended for lack of memory: oom_kill of memory.events.
//
// Errors: errors.ErrUnsupported without a memory controller.
func (g Group) OOMKills() (uint64, error) {
	var buf [512]byte
	data, err := g.read("memory.events", buf[:])
	n, _ := flatKey(data, "oom_kill")
	return n, err
}

// CPU reads the time used, in all, in user code and in the kernel, from cpu.stat
// alone (microseconds there).
func (g Group) CPU() (usage, user, system time.Duration, err error) {
	var buf [1024]byte
	data, err := g.read("cpu.stat", buf[:])
	usage, user, system = parseCPU(data)
	return usage, user, system, err
}

func parseCPU(data []byte) (usage, user, system time.Duration) {
	micros := func(key string) time.Duration {
		n, _ := flatKey(data, key)
		return time.Duration(n) * time.Microsecond
	}
	return micros("usage_usec"), micros("user_usec"), micros("system_usec")
}

// single reads a file of one number.
func single(data []byte) *uint64 {
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
	}
	if n, ok := parseUint(data); ok {
		return &n
	}
	return nil
}

// knownFiles returns the accounting files of a group, if a sister was looked at.
func (h *Hierarchy) knownFiles(g Group) (files fileSet, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files, known = h.files[h.sistersOf(g)]
	return files, known
}

// sistersOf is what groups that have the same files as g are filed under.
func (h *Hierarchy) sistersOf(g Group) string {
	if g.path == h.Mount {
		return "" // the topmost group has other files than those below it
	}
	return path.Dir(g.path)
}

// filesOf returns the accounting files of a group, whose directory is open. The
// first group of a parent is looked at, its sisters are taken to be the same.
func (h *Hierarchy) filesOf(g Group, dir int) fileSet {
	if files, known := h.knownFiles(g); known {
		return files
	}
	var files fileSet
	known := true
	for _, f := range fileNames {
		switch unix.Faccessat(dir, f.name, unix.F_OK, 0) {
		case nil:
			files |= f.set
		case unix.ENOENT:
		default: // only that says that there is none
			known = false
		}
	}
	// Nothing is learnt from a group that was removed while we looked.
	if known && unix.Faccessat(dir, "cpu.stat", unix.F_OK, 0) == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.files == nil {
			h.files = map[string]fileSet{}
		}
		h.files[h.sistersOf(g)] = files
	}
	return files
}

// forget drops what filesOf has learnt below a directory that was removed.
func (h *Hierarchy) forget(parent string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	delete(h.files, parent)
	h.mu.Unlock()
}
