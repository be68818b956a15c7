package metrics

import (
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// family is one metric of a process.
type family struct {
	name   string // behind processmanager_process_; a counter's ends in _total
	help   string
	micro  bool     // its values are in millionths: seconds
	series []string // the label of each beside the name, as it is written; nil: there is one, without

	// value is that of the i-th series. It is not known where that is absent.
	value func(s *process.Sample, i int) (n int64, known bool)
}

// families are all there are.
var families = []family{
	{
		name: "cpu_seconds_total", help: "CPU time used by all runs, their dead included.", micro: true,
		series: labels("mode", "user", "system"),
		value: func(s *process.Sample, i int) (int64, bool) {
			return [...]int64{s.CPUUser, s.CPUSystem}[i], true
		},
	},
	{
		name: "throttled_seconds_total", help: "Time in which all runs had to wait for the next period of their cpu_max.", micro: true,
		value: func(s *process.Sample, _ int) (int64, bool) { return known(s.CPUThrottled) },
	},
	{
		name: "memory_bytes", help: "Memory of what runs: now, at most, moved to swap, and parts of what it is now.",
		series: labels("kind", "current", "peak", "swap", "anon", "file", "kernel", "shmem"),
		value: func(s *process.Sample, i int) (int64, bool) {
			return known([...]*uint64{s.Memory, s.MemoryPeak, s.MemorySwap, s.MemoryAnon, s.MemoryFile, s.MemoryKernel, s.MemoryShmem}[i])
		},
	},
	{
		name: "pids", help: "Kernel processes that are alive.",
		value: func(s *process.Sample, _ int) (int64, bool) { return known(s.Pids) },
	},
	{
		name: "io_bytes_total", help: "Bytes that all runs have read from and written to block devices.",
		series: labels("direction", "read", "write"),
		value:  func(s *process.Sample, i int) (int64, bool) { return known([...]*uint64{s.IORead, s.IOWrite}[i]) },
	},
	{
		name: "pressure_seconds_total", help: "Time in which some or all of what runs stood still for want of CPU time, memory, input or output.", micro: true,
		series: []string{
			`resource="cpu",stalled="some"`, `resource="cpu",stalled="all"`, `resource="memory",stalled="some"`,
			`resource="memory",stalled="all"`, `resource="io",stalled="some"`, `resource="io",stalled="all"`,
		},
		value: func(s *process.Sample, i int) (int64, bool) {
			if s.Pressure == nil {
				return 0, false
			}
			p := [...]*process.Pressure{s.Pressure.CPU, s.Pressure.Memory, s.Pressure.IO}[i/2]
			switch {
			case p == nil || i%2 == 1 && p.Full == nil:
				return 0, false
			case i%2 == 1:
				return p.Full.Total, true
			}
			return p.Some.Total, true
		},
	},
	{
		name: "oom_kills_total", help: "Kernel processes that were ended for lack of memory.",
		value: func(s *process.Sample, _ int) (int64, bool) { return known(s.OOMKills) },
	},
	{
		name: "state", help: "Whether the process is in this state: 1, in the others 0.",
		series: labels("state", states()...),
		value: func(s *process.Sample, i int) (int64, bool) {
			if s.State == process.Scheduled+process.State(i) {
				return 1, true
			}
			return 0, true
		},
	},
	{
		name: "start_time_seconds", help: "When the current run started, in seconds since 1970.", micro: true,
		value: func(s *process.Sample, _ int) (int64, bool) { return at(s.Start) },
	},
	{
		name: "last_exit_code", help: "Exit code of the last run that ended, where its main process exited.",
		value: func(s *process.Sample, _ int) (int64, bool) { return known(s.LastExitCode) },
	},
	{
		name: "runs_total", help: "Runs that have ended, by why they did.",
		series: labels("cause", process.Causes()...),
		value: func(s *process.Sample, i int) (int64, bool) {
			return int64(s.Runs[process.CauseExit+process.Cause(i)]), true
		},
	},
	{
		name: "restarts_total", help: "Runs that the restart policy has begun.",
		value: func(s *process.Sample, _ int) (int64, bool) { return int64(s.Restarts), true },
	},
	{
		name: "schedule_next_seconds", help: "The next time of the schedule, in seconds since 1970.", micro: true,
		value: func(s *process.Sample, _ int) (int64, bool) { return at(s.Next) },
	},
	{
		name: "schedule_skipped_total", help: "Times of the schedule that have passed without a run, by why.",
		series: labels("reason", "overlap", "missed", "paused", "on_request"),
		value: func(s *process.Sample, i int) (int64, bool) {
			fate := [...]process.Fate{process.Skipped, process.Missed, process.WhilePaused, process.SkippedOnRequest}[i]
			n := s.Times[fate]
			return int64(n), n > 0 || s.Scheduled
		},
	},
}

// known is a figure that may be absent.
func known[T int | int64 | uint64](figure *T) (int64, bool) {
	if figure == nil {
		return 0, false
	}
	return int64(*figure), true
}

// at is a time in µs since 1970.
func at(t time.Time) (int64, bool) { return t.UnixMicro(), !t.IsZero() }

// labels are those of series that differ in one.
func labels(name string, values ...string) (list []string) {
	for _, value := range values {
		list = append(list, name+`="`+value+`"`)
	}
	return list
}

// states are the words for all states.
func states() (words []string) {
	for s := process.Scheduled; s <= process.Failed; s++ {
		words = append(words, s.String())
	}
	return words
}
