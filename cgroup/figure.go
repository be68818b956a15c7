package cgroup

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Figures is a set of figures of a [Usage], beside the time that cpu.stat always has.
type Figures uint32

// The figures, with the kernel that brought them where that is newer than 5.14.
const (
	FigureThrottled      Figures = 1 << iota // CPUPeriods, CPUThrottledPeriods, CPUThrottled: the cpu controller
	FigureMemory                             // memory.current
	FigureMemoryPeak                         // memory.peak: 5.19
	FigureSwap                               // memory.swap.current
	FigureSwapPeak                           // memory.swap.peak: 6.5
	FigureMemoryParts                        // Anon, File, Shmem
	FigureKernel                             // kernel of memory.stat: 5.18
	FigureMemoryEvents                       // memory.events
	FigurePids                               // pids.current
	FigurePidsPeak                           // pids.peak: 6.1
	FigurePidsRefused                        // pids.events
	FigureIO                                 // io.stat
	FigureCPUPressure                        // cpu.pressure
	FigureCPUFull                            // its line full: 5.13
	FigureMemoryPressure                     // memory.pressure
	FigureIOPressure                         // io.pressure
	FigureFrozen                             // cgroup.stat.local: 6.18

	AllFigures Figures = 1<<iota - 1
)

// Has reports whether all of some figures are known.
func (u *Usage) Has(f Figures) bool { return u.Known&f == f }

// Stalled reports whether processes stood still for want of something a while ago: then the
// shares of time change by themselves.
func (u *Usage) Stalled() bool {
	for _, p := range []*Pressure{&u.CPUPressure, &u.MemoryPressure, &u.IOPressure} {
		if p.Some.Avg10 > 0 || p.Some.Avg60 > 0 || p.Some.Avg300 > 0 {
			return true
		}
	}
	return false
}

// figureFiles are the accounting files beside cpu.stat. Which of them the groups of one
// parent have follows from the controllers that are enabled there, and from the kernel.
var figureFiles = [...]struct {
	name   string // for openKnown
	figure Figures
}{
	{"memory.current\x00", FigureMemory},
	{"memory.peak\x00", FigureMemoryPeak},
	{"memory.swap.current\x00", FigureSwap},
	{"memory.swap.peak\x00", FigureSwapPeak},
	{"memory.stat\x00", FigureMemoryParts}, // and FigureKernel
	{"memory.events\x00", FigureMemoryEvents},
	{"pids.current\x00", FigurePids},
	{"pids.peak\x00", FigurePidsPeak},
	{"pids.events\x00", FigurePidsRefused},
	{"io.stat\x00", FigureIO},
	{"cpu.pressure\x00", FigureCPUPressure}, // and FigureCPUFull
	{"memory.pressure\x00", FigureMemoryPressure},
	{"io.pressure\x00", FigureIOPressure},
	{"cgroup.stat.local\x00", FigureFrozen},
}

// AccountingFiles are the files that [Group.Usage] reads, where a group has them.
func AccountingFiles() []string {
	names := []string{"cpu.stat"}
	for _, f := range figureFiles {
		names = append(names, strings.TrimSuffix(f.name, "\x00"))
	}
	return names
}

// knownFiles returns the figures of which a group has the files, if a sister was looked at.
func (h *Hierarchy) knownFiles(g Group) (files Figures, known bool) {
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

// filesOf returns the figures of which a group, whose directory is open, has the files.
// The first group of a parent is looked at, its sisters are taken to be the same.
func (h *Hierarchy) filesOf(g Group, dir int) Figures {
	if files, known := h.knownFiles(g); known {
		return files
	}
	var files Figures
	known := true
	for i, name := range AccountingFiles()[1:] {
		switch unix.Faccessat(dir, name, unix.F_OK, 0) {
		case nil:
			files |= figureFiles[i].figure
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
			h.files = map[string]Figures{}
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
