package run

import (
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const (
	// minWindow is the shortest time that cpu_percent is computed over.
	minWindow = 500 * time.Millisecond
	// maxProcAge is how long what was added up over the pids is good for a tree that has
	// not run since.
	maxProcAge = time.Minute
	// maxBriefAge is the same of the kernel's own figures, in a brief reading.
	maxBriefAge = 10 * time.Second
	// procLimit is how long /proc may take to tell of the memory of a tree, or of its processes.
	// Where one waits for a file system that hangs, it may never.
	procLimit = time.Second
)

// briefFigures are those of a brief reading, beside CPU time and pids.
const briefFigures = cgroup.FigureMemory | cgroup.FigureMemoryPeak | cgroup.FigureIO

// Meter reads what the tree of one run uses. Anyone may read it.
//
// A tree that has used no CPU time since it was looked at has not forked, ended, allocated
// or asked for anything. So what was read then can be told again, for the price of cpu.stat
// alone. It is not told for long, since some figures change all the same: memory that others
// need is taken from the tree, and what it wrote goes to the disk. Where processes have stood
// still a while ago nothing is told again: shares of the last while fall by themselves.
type Meter struct {
	proc  string
	group Group
	began sample

	mu       sync.Mutex
	older    sample // the window's other end while newer is too young
	newer    sample
	memory   uint64 // from /proc
	unknown  bool   // that did not answer when it was asked last
	pids     int32
	idle     bool          // it had used no CPU time since the reading before
	lastCPU  time.Duration // when they were read
	lastRead time.Duration
	seenCPU  time.Duration // by the last reading; -1: there is none
	brief    *reading      // nil: nobody has asked for one, or it is not worth to be kept
	full     *reading

	memories looks[uint64]
	trees    looks[[]process.KernelProcess]
}

type sample struct {
	at  time.Duration // by proc.BootTime
	cpu time.Duration
}

// reading is one that is kept.
type reading struct {
	sample
	throttled time.Duration
	usage     process.Usage
}

// Reading is what a tree that lives uses at one moment.
type Reading struct {
	process.Usage
	// In percent of a core: since an earlier reading, and since the start.
	CPUPercent, CPUPercentSinceStart *float64
}

// NewMeter is for a run that started so long ago.
func NewMeter(procfs string, group Group, age time.Duration) *Meter {
	begin := sample{at: proc.BootTime() - age}
	return &Meter{proc: procfs, group: group, began: begin, older: begin, newer: begin, seenCPU: -1}
}

// Now reads with as much detail. In brief the figures of a tree that has used no CPU time
// are up to 10 s old.
func (m *Meter) Now(d process.Detail) (r Reading, err error) {
	if d == process.Brief {
		return m.read(briefFigures, &m.brief, maxBriefAge)
	}
	if r, err = m.Full(0); err == nil && d == process.WithDevices {
		r.IODevices, err = m.devices()
	}
	return r, err
}

// Full gives all figures. Those of a tree that has used no CPU time, and does not stand
// still for want of anything, may be of this age.
func (m *Meter) Full(age time.Duration) (Reading, error) {
	return m.read(cgroup.AllFigures, &m.full, age)
}

// read reads the figures that are wanted, or gives those of an earlier reading.
func (m *Meter) read(want cgroup.Figures, kept **reading, age time.Duration) (r Reading, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := proc.BootTime()
	if k := *kept; k != nil && now-k.at < age && m.idle {
		u, err := m.group.Usage(0)
		if err != nil {
			return r, err
		}
		if u.CPU == k.cpu && u.CPUThrottled == k.throttled {
			return m.reading(k.usage, sample{now, u.CPU}), nil
		}
	}
	u, err := m.group.Usage(want)
	if err != nil {
		return r, err
	}
	if err := m.count(&u, now); err != nil {
		return r, err
	}
	usage := kernelUsage(&u)
	usage.Pids, usage.PidsSource = new(int(m.pids)), process.SourceCgroup
	if usage.Memory == nil && !m.unknown {
		usage.SetMemory(m.memory, process.SourceProc)
	}
	if *kept = nil; !u.Stalled() && !m.unknown {
		*kept = &reading{sample{now, u.CPU}, u.CPUThrottled, usage}
	}
	return m.reading(usage, sample{now, u.CPU}), nil
}

// reading adds the shares of time to what was read.
func (m *Meter) reading(usage process.Usage, s sample) Reading {
	m.idle = m.seenCPU < 0 || s.cpu == m.seenCPU
	m.seenCPU = s.cpu
	return Reading{usage, m.percent(s), s.since(m.began)}
}

// count brings pids, and memory where no controller keeps it, up to date. It costs a look at
// every pid, so it is left out while the tree has not run.
func (m *Meter) count(u *cgroup.Usage, now time.Duration) error {
	if u.CPU == m.lastCPU && now-m.lastRead < maxProcAge {
		return nil
	}
	pids, err := m.group.Pids()
	if err != nil {
		return err
	}
	m.pids = int32(len(pids))
	if !u.Has(cgroup.FigureMemory) {
		memory, err := m.memories.at("", procLimit, func() (uint64, error) { return proc.Memory(m.proc, pids) })
		if m.unknown = err == errNoAnswer; m.unknown {
			return nil // the next reading asks again
		}
		if err != nil {
			return err
		}
		m.memory = memory
	}
	m.lastCPU, m.lastRead = u.CPU, now
	return nil
}

// percent is the CPU use since an earlier sample, and keeps s for later ones.
func (m *Meter) percent(s sample) *float64 {
	base := m.newer
	if s.at-base.at < minWindow {
		base = m.older
	} else {
		m.older, m.newer = m.newer, s
	}
	return s.since(base)
}

// since is the CPU use since an earlier sample, 100 being one core; nil without a time
// between.
func (s sample) since(base sample) *float64 {
	window := s.at - base.at
	if window <= 0 {
		return nil
	}
	return new(100 * float64(s.cpu-base.cpu) / float64(window))
}

// Total is what a tree of which nobody is left has used.
func (m *Meter) Total() (process.Usage, error) {
	u, err := m.group.Usage(cgroup.AllFigures &^ nowFigures)
	if err != nil {
		return process.Usage{}, err
	}
	usage := kernelUsage(&u)
	usage.Pressure.EndAverages()
	if u.IO != (cgroup.IO{}) {
		usage.IODevices, err = m.devices()
	}
	return usage, err
}
