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
	// maxMemoryAge is how long a figure added up from /proc is good for a
	// tree that has not run since.
	maxMemoryAge = time.Minute
)

// Meter reads what the tree of one run uses. Anyone may read it.
type Meter struct {
	proc  string
	group Group

	mu       sync.Mutex
	older    sample // the window's other end while newer is too young
	newer    sample
	memory   uint64 // from /proc
	pids     int
	lastCPU  time.Duration // when they were read
	lastRead time.Duration
}

type sample struct {
	at  time.Duration // by proc.BootTime
	cpu time.Duration
}

// NewMeter is for a run that started so long ago.
func NewMeter(procfs string, group Group, age time.Duration) *Meter {
	begin := sample{at: proc.BootTime() - age}
	return &Meter{proc: procfs, group: group, older: begin, newer: begin}
}

// Now is the usage of a tree that lives, and its CPU use in percent of a core.
func (m *Meter) Now() (process.Usage, *float64, error) {
	u, err := m.group.Usage()
	if err != nil {
		return process.Usage{}, nil, err
	}
	now := proc.BootTime()
	m.mu.Lock()
	defer m.mu.Unlock()
	usage := kernelUsage(u)
	if err := m.count(u, now); err != nil {
		return process.Usage{}, nil, err
	}
	usage.Pids, usage.PidsSource = new(m.pids), process.SourceCgroup
	if usage.Memory == nil {
		usage.SetMemory(m.memory, process.SourceProc)
	}
	return usage, m.percent(sample{now, u.CPU}), nil
}

// count brings pids, and memory where no controller keeps it, up to date. It
// costs a look at every pid, so it is left out while the tree has not run: a
// tree that has used no CPU has not forked, ended or allocated.
func (m *Meter) count(u cgroup.Usage, now time.Duration) error {
	if u.CPU == m.lastCPU && now-m.lastRead < maxMemoryAge {
		return nil
	}
	pids, err := m.group.Pids()
	if err != nil {
		return err
	}
	m.pids = len(pids)
	if u.Memory == nil {
		if m.memory, err = proc.Memory(m.proc, pids); err != nil {
			return err
		}
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
	window := s.at - base.at
	if window <= 0 {
		return nil
	}
	return new(100 * float64(s.cpu-base.cpu) / float64(window))
}

// Total is what a tree of which nobody is left has used.
func (m *Meter) Total() (usage process.Usage, oomKills uint64, err error) {
	u, err := m.group.Usage()
	if err != nil {
		return usage, 0, err
	}
	usage = kernelUsage(u)
	usage.Memory, usage.MemoryMB, usage.MemorySource = nil, nil, 0
	if u.OOMKills != nil {
		oomKills = *u.OOMKills
	}
	return usage, oomKills, nil
}

// kernelUsage is what the group's own files say.
func kernelUsage(u cgroup.Usage) process.Usage {
	usage := process.Usage{
		CPU:       new(u.CPU.Microseconds()),
		CPUUser:   new(u.CPUUser.Microseconds()),
		CPUSystem: new(u.CPUSystem.Microseconds()),
		CPUSource: process.SourceCgroup,
	}
	if u.Memory != nil {
		usage.SetMemory(*u.Memory, process.SourceCgroup)
	}
	if u.MemoryPeak != nil {
		usage.MemoryPeak, usage.MemoryPeakSource = u.MemoryPeak, process.SourceCgroup
	}
	if u.IORead != nil && u.IOWrite != nil {
		usage.IORead, usage.IOWrite, usage.IOSource = u.IORead, u.IOWrite, process.SourceCgroup
	}
	return usage
}
