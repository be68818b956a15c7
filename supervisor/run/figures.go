package run

import (
	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// nowFigures say nothing of a tree of which nobody is left.
const nowFigures = cgroup.FigureMemory | cgroup.FigureSwap | cgroup.FigureMemoryParts | cgroup.FigurePids

// kernelUsage is what the group's own files say. It keeps u.
func kernelUsage(u *cgroup.Usage) process.Usage {
	known := func(f cgroup.Figures, value *uint64) *uint64 {
		if u.Has(f) {
			return value
		}
		return nil
	}
	usage := process.Usage{
		CPU:       new(u.CPU.Microseconds()),
		CPUUser:   new(u.CPUUser.Microseconds()),
		CPUSystem: new(u.CPUSystem.Microseconds()),
		CPUSource: process.SourceCgroup,

		CPUPeriods:          known(cgroup.FigureThrottled, &u.CPUPeriods),
		CPUThrottledPeriods: known(cgroup.FigureThrottled, &u.CPUThrottledPeriods),

		MemoryPeak:       known(cgroup.FigureMemoryPeak, &u.MemoryPeak),
		MemoryAnon:       known(cgroup.FigureMemoryParts, &u.Anon),
		MemoryFile:       known(cgroup.FigureMemoryParts, &u.File),
		MemoryKernel:     known(cgroup.FigureKernel, &u.Kernel),
		MemoryShmem:      known(cgroup.FigureMemoryParts, &u.Shmem),
		MemorySwap:       known(cgroup.FigureSwap, &u.Swap),
		MemorySwapPeak:   known(cgroup.FigureSwapPeak, &u.SwapPeak),
		MemoryLowEvents:  known(cgroup.FigureMemoryEvents, &u.MemoryEvents.Low),
		MemoryHighEvents: known(cgroup.FigureMemoryEvents, &u.MemoryEvents.High),
		MemoryMaxEvents:  known(cgroup.FigureMemoryEvents, &u.MemoryEvents.Max),
		OOMKills:         known(cgroup.FigureMemoryEvents, &u.MemoryEvents.OOMKill),

		IORead:            known(cgroup.FigureIO, &u.IO.ReadBytes),
		IOWrite:           known(cgroup.FigureIO, &u.IO.WriteBytes),
		IOReadOperations:  known(cgroup.FigureIO, &u.IO.Reads),
		IOWriteOperations: known(cgroup.FigureIO, &u.IO.Writes),

		Tasks:       known(cgroup.FigurePids, &u.Pids),
		PidsPeak:    known(cgroup.FigurePidsPeak, &u.PidsPeak),
		PidsRefused: known(cgroup.FigurePidsRefused, &u.PidsRefused),

		Pressure: pressures(u),
	}
	if u.Has(cgroup.FigureMemory) {
		usage.SetMemory(u.Memory, process.SourceCgroup)
	}
	if usage.MemoryPeak != nil {
		usage.MemoryPeakSource = process.SourceCgroup
	}
	if usage.IORead != nil {
		usage.IOSource = process.SourceCgroup
	}
	if u.Has(cgroup.FigureThrottled) {
		usage.CPUThrottled = new(u.CPUThrottled.Microseconds())
	}
	if u.Has(cgroup.FigureFrozen) {
		usage.Frozen = new(u.Frozen.Microseconds())
	}
	return usage
}

// pressures are those that the kernel counts; nil without any.
func pressures(u *cgroup.Usage) *process.Pressures {
	p := process.Pressures{
		CPU:    pressure(u, &u.CPUPressure, cgroup.FigureCPUPressure, cgroup.FigureCPUFull),
		Memory: pressure(u, &u.MemoryPressure, cgroup.FigureMemoryPressure, cgroup.FigureMemoryPressure),
		IO:     pressure(u, &u.IOPressure, cgroup.FigureIOPressure, cgroup.FigureIOPressure),
	}
	if p == (process.Pressures{}) {
		return nil
	}
	return &p
}

func pressure(u *cgroup.Usage, p *cgroup.Pressure, some, full cgroup.Figures) *process.Pressure {
	if !u.Has(some) {
		return nil
	}
	out := process.Pressure{Some: stall(p.Some)}
	if u.Has(full) {
		out.Full = new(stall(p.Full))
	}
	return &out
}

func stall(s cgroup.Stall) process.Stall {
	return process.Stall{
		StallAverages: &process.StallAverages{Avg10: s.Avg10, Avg60: s.Avg60, Avg300: s.Avg300},
		Total:         s.Total.Microseconds(),
	}
}
