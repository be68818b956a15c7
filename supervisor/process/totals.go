package process

import "maps"

// Totals is what the runs of a process have used and come to, all together. It counts a run
// when its result is stored, and does not fall while the process is there.
type Totals struct {
	CPUUser   int64 `json:"cpu_user_usec"`
	CPUSystem int64 `json:"cpu_system_usec"`

	// Absent: no run has told of it yet.
	CPUThrottled *int64     `json:"cpu_throttled_usec,omitempty"`
	IORead       *uint64    `json:"io_read_bytes,omitempty"`
	IOWrite      *uint64    `json:"io_write_bytes,omitempty"`
	OOMKills     *uint64    `json:"oom_kills,omitempty"`
	Pressure     *Pressures `json:"pressure,omitempty"` // without averages

	Runs     map[Cause]uint64 `json:"runs,omitempty"`     // that have ended, by why they did
	Restarts uint64           `json:"restarts,omitempty"` // those of them that the restart policy began

	Times map[Fate]uint64 `json:"times,omitempty"` // of the schedule, by what became of them
}

// AddRun counts a run that has ended.
func (t *Totals) AddRun(r *Run) {
	t.AddUsage(&r.Usage)
	t.Runs = add(t.Runs, r.Cause, 1)
	if r.Asked.By == ByRestart {
		t.Restarts++
	}
}

// AddUsage counts what a run has used, or has used until now.
func (t *Totals) AddUsage(u *Usage) {
	if u.CPUUser != nil && u.CPUSystem != nil {
		t.CPUUser += *u.CPUUser
		t.CPUSystem += *u.CPUSystem
	}
	t.CPUThrottled = Sum(t.CPUThrottled, u.CPUThrottled)
	t.IORead = Sum(t.IORead, u.IORead)
	t.IOWrite = Sum(t.IOWrite, u.IOWrite)
	t.OOMKills = Sum(t.OOMKills, u.OOMKills)
	if u.Pressure != nil {
		var of Pressures
		if t.Pressure != nil {
			of = *t.Pressure
		}
		t.Pressure = &Pressures{
			CPU:    sumPressure(of.CPU, u.Pressure.CPU),
			Memory: sumPressure(of.Memory, u.Pressure.Memory),
			IO:     sumPressure(of.IO, u.Pressure.IO),
		}
	}
}

// AddTimes counts times of the schedule.
func (t *Totals) AddTimes(f Fate, n int) { t.Times = add(t.Times, f, uint64(n)) }

// Sum adds figures that may be absent. Neither is changed: a total may be shared.
func Sum[T int | int64 | uint64 | float64](a, b *T) *T {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return new(*a + *b)
}

func sumPressure(a, b *Pressure) *Pressure {
	if b == nil {
		return a
	}
	var all Pressure
	if a != nil {
		all = *a
	}
	all.Some.Total += b.Some.Total
	if b.Full != nil {
		full := Stall{Total: b.Full.Total}
		if all.Full != nil {
			full.Total += all.Full.Total
		}
		all.Full = &full
	}
	return &all
}

// add counts in a map that may be shared: it gives another one.
func add[K comparable](to map[K]uint64, key K, n uint64) map[K]uint64 {
	if to = maps.Clone(to); to == nil {
		to = map[K]uint64{}
	}
	to[key] += n
	return to
}
