package process

import "math"

// Usage is what a run's tree uses and has used; what adds up counts its dead too. A figure
// that is not known is absent. What is only so now is absent of a run that has ended: memory
// and its parts, swap, pids, tasks and the averages of pressure.
type Usage struct {
	CPU       *int64 `json:"cpu_usec,omitempty"` // µs, user and system
	CPUUser   *int64 `json:"cpu_user_usec,omitempty"`
	CPUSystem *int64 `json:"cpu_system_usec,omitempty"`
	CPUSource Source `json:"cpu_source,omitempty"`

	// With a limit of CPU time: its periods that have passed, those in which the tree had to
	// wait, and for how long.
	CPUPeriods          *uint64 `json:"cpu_periods,omitempty"`
	CPUThrottledPeriods *uint64 `json:"cpu_throttled_periods,omitempty"`
	CPUThrottled        *int64  `json:"cpu_throttled_usec,omitempty"`

	Memory           *uint64  `json:"memory_bytes,omitempty"` // now
	MemoryMB         *float64 `json:"memory_mb,omitempty"`    // the same in MiB
	MemorySource     Source   `json:"memory_source,omitempty"`
	MemoryPeak       *uint64  `json:"memory_peak_bytes,omitempty"`
	MemoryPeakSource Source   `json:"memory_peak_source,omitempty"`

	// What of the memory is the processes' own, is cache of files (shared memory and tmpfs
	// too), the kernel's for them, and shared memory and tmpfs alone.
	MemoryAnon   *uint64 `json:"memory_anon_bytes,omitempty"`
	MemoryFile   *uint64 `json:"memory_file_bytes,omitempty"`
	MemoryKernel *uint64 `json:"memory_kernel_bytes,omitempty"`
	MemoryShmem  *uint64 `json:"memory_shmem_bytes,omitempty"`

	MemorySwap     *uint64 `json:"memory_swap_bytes,omitempty"` // moved to swap, not counted in Memory
	MemorySwapPeak *uint64 `json:"memory_swap_peak_bytes,omitempty"`

	// How often memory was taken from the tree below memory_low, it was slowed above
	// memory_high, and it met memory_max; and whom the kernel has ended for lack of memory.
	MemoryLowEvents  *uint64 `json:"memory_low_events,omitempty"`
	MemoryHighEvents *uint64 `json:"memory_high_events,omitempty"`
	MemoryMaxEvents  *uint64 `json:"memory_max_events,omitempty"`
	OOMKills         *uint64 `json:"oom_kills,omitempty"`

	IORead            *uint64 `json:"io_read_bytes,omitempty"` // from and to block devices
	IOWrite           *uint64 `json:"io_write_bytes,omitempty"`
	IOReadOperations  *uint64 `json:"io_read_operations,omitempty"`
	IOWriteOperations *uint64 `json:"io_write_operations,omitempty"`
	IOSource          Source  `json:"io_source,omitempty"`

	IODevices []DeviceIO `json:"io_devices,omitempty"` // on request: those that were used

	Pids       *int   `json:"pids,omitempty"` // processes alive now
	PidsSource Source `json:"pids_source,omitempty"`

	// What pids_max limits counts threads too: now, at most, and how many could not be made.
	Tasks       *uint64 `json:"tasks,omitempty"`
	PidsPeak    *uint64 `json:"pids_peak,omitempty"`
	PidsRefused *uint64 `json:"pids_refused,omitempty"`

	Pressure *Pressures `json:"pressure,omitempty"`

	Frozen *int64 `json:"frozen_usec,omitempty"` // µs that the kernel held the tree frozen
}

// DeviceIO is what was read from and written to a block device.
type DeviceIO struct {
	Device          string `json:"device"`         // its major and minor number: "8:0"
	Name            string `json:"name,omitempty"` // "sda"; empty: it has none by now
	Read            uint64 `json:"io_read_bytes"`
	Write           uint64 `json:"io_write_bytes"`
	ReadOperations  uint64 `json:"io_read_operations"`
	WriteOperations uint64 `json:"io_write_operations"`
}

// Pressures say how long processes of a tree stood still for want of something.
type Pressures struct {
	CPU    *Pressure `json:"cpu,omitempty"`
	Memory *Pressure `json:"memory,omitempty"`
	IO     *Pressure `json:"io,omitempty"`
}

// Pressure is of one thing: when some of the processes stood still, and when all did that
// had something to do.
type Pressure struct {
	Some Stall  `json:"some"`
	Full *Stall `json:"full,omitempty"`
}

// Stall is for how long, in µs in all and in percent of the last while.
type Stall struct {
	*StallAverages       // absent of a run that has ended
	Total          int64 `json:"total_usec"`
}

// StallAverages are shares of the last 10, 60 and 300 seconds, in percent.
type StallAverages struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
}

// SetMemory fills in the memory figures of now.
func (u *Usage) SetMemory(bytes uint64, source Source) {
	mb := math.Round(float64(bytes)/(1<<20)*1000) / 1000
	u.Memory, u.MemoryMB, u.MemorySource = &bytes, &mb, source
}

// EndAverages takes the averages away, which say nothing of a tree that is gone.
func (p *Pressures) EndAverages() {
	if p == nil {
		return
	}
	for _, one := range []*Pressure{p.CPU, p.Memory, p.IO} {
		if one == nil {
			continue
		}
		one.Some.StallAverages = nil
		if one.Full != nil {
			one.Full.StallAverages = nil
		}
	}
}
