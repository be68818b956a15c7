package process

import "time"

// Sample is what other tools are told of a process, as of one moment. There is no command, no
// environment and no output in it: whoever asks needs no secret.
type Sample struct {
	Name  string
	State State

	Totals // of all runs: of those that go on with what they have used until now

	// Of the runs that go on, added up. Absent without one, or where it is not known.
	Memory, MemoryPeak, MemorySwap                    *uint64
	MemoryAnon, MemoryFile, MemoryKernel, MemoryShmem *uint64
	Pids                                              *int

	Start        time.Time // of the current run; zero: there is none
	LastExitCode *int      // of the last run that ended, where its leader exited

	Scheduled bool
	Next      time.Time // of the schedule; zero: none is to come
}

// Add adds what a run that goes on uses.
func (s *Sample) Add(u *Usage) {
	s.AddUsage(u)
	s.Memory = Sum(s.Memory, u.Memory)
	s.MemoryPeak = Sum(s.MemoryPeak, u.MemoryPeak)
	s.MemorySwap = Sum(s.MemorySwap, u.MemorySwap)
	s.MemoryAnon = Sum(s.MemoryAnon, u.MemoryAnon)
	s.MemoryFile = Sum(s.MemoryFile, u.MemoryFile)
	s.MemoryKernel = Sum(s.MemoryKernel, u.MemoryKernel)
	s.MemoryShmem = Sum(s.MemoryShmem, u.MemoryShmem)
	s.Pids = Sum(s.Pids, u.Pids)
}

// DaemonSample is what other tools are told of the daemon itself.
type DaemonSample struct {
	Uptime        time.Duration // of the keeper, which is what the user started
	Events        uint64        // that there were, as their numbers count
	StoreBytes    int64         // of the file
	StoreWritable bool          // the last write could be done
}
