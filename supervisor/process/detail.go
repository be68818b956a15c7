package process

// Detail says how much is told of what runs use and have used.
type Detail int

// The details, each with what those before it tell.
const (
	Brief       Detail = iota // CPU time, memory, bytes of input and output, processes: what is known of many at once
	Full                      // all figures
	WithDevices               // those of each block device
)

// In is the usage with as much detail.
func (u Usage) In(d Detail) Usage {
	if d < WithDevices {
		u.IODevices = nil
	}
	if d > Brief {
		return u
	}
	return Usage{
		CPU: u.CPU, CPUUser: u.CPUUser, CPUSystem: u.CPUSystem, CPUSource: u.CPUSource,
		Memory: u.Memory, MemoryMB: u.MemoryMB, MemorySource: u.MemorySource,
		MemoryPeak: u.MemoryPeak, MemoryPeakSource: u.MemoryPeakSource,
		IORead: u.IORead, IOWrite: u.IOWrite, IOSource: u.IOSource,
		Pids: u.Pids, PidsSource: u.PidsSource,
	}
}

// In is the run with as much detail.
func (r Run) In(d Detail) Run {
	r.Usage = r.Usage.In(d)
	return r
}
