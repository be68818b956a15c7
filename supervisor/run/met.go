package run

import (
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Of a fork that is refused, and of memory that is taken from a tree, the kernel gives notice.
// Of time that a tree has to wait for it gives none: that is looked at, of runs with such a
// limit alone. A run without limits costs nothing here.

// slowLook is the time between two looks at what has no notice.
const slowLook = 10 * time.Second

// stalledShare is how much of the time a tree has to wait for its disks to be told of: one in
// so many.
const stalledShare = 10

// Hit is a limit that a tree has met.
type Hit struct {
	Limit  process.LimitName
	Times  uint64        // so far
	Waited time.Duration // the same, where it is time that is limited
}

// meeting is how a run meets its limits.
type meeting struct {
	limits  process.Limits
	forget  func() // ends the watch of forks that are refused; nil: there is none
	slow    timer  // to look at what has no notice
	high    uint64 // of memory.events
	refused uint64 // forks
	periods uint64 // of cpu_max in which the tree had to wait
	waited  time.Duration

	// io_max. What was waited for before the first look is not counted.
	looked    bool
	lookedAt  time.Duration // by the clock
	stall     time.Duration // of io.pressure, then
	looks     uint64        // that found the tree waiting
	stalledIO time.Duration
}

// Hits are the limits that the tree has met.
func (r *Run) Hits() (hits []Hit) {
	m := &r.met
	for _, h := range []Hit{
		{process.LimitMemoryHigh, m.high, 0}, {process.LimitPids, m.refused, 0},
		{process.LimitCPU, m.periods, m.waited}, {process.LimitIO, m.looks, m.stalledIO},
	} {
		if h.Times > 0 {
			hits = append(hits, h)
		}
	}
	return hits
}

// watchLimits looks from now on at what there is to see of these limits, and at nothing else.
func (r *Run) watchLimits(limits process.Limits) {
	m := &r.met
	m.limits = limits
	if !r.machine.Born || r.machine.Phase >= lifecycle.Draining {
		return
	}
	switch {
	case limits.PidsMax == 0 && m.forget != nil:
		m.forget()
		m.forget = nil
	case limits.PidsMax != 0 && m.forget == nil:
		look := r.tells(eventPids)
		var err error
		if m.forget, err = r.host.WatchPids(r.group, seldom(r.host.Clock, look)); err != nil && !uncounted(err) {
			r.host.Log.Printf("%v: of forks that are refused nothing is told: %v", r.ID, err)
		}
		look()
	}
	if limits.MemoryHigh != 0 {
		r.tells(eventMemory)()
	}
	if times := limits.CPUMax != 0 || limits.IOMax != ""; !times {
		m.slow.stop()
		m.looked = false
	} else if m.slow.halt == nil {
		m.slow.after(0, 0) // what is to be compared with later
	}
}

// slowed takes up how often memory was taken from the tree above its memory_high, and reports
// whether that is news.
func (m *meeting) slowed(high uint64) (news bool) {
	return m.limits.MemoryHigh != 0 && grows(&m.high, high)
}

func grows(count *uint64, now uint64) bool {
	news := now > *count
	*count = max(*count, now)
	return news
}

// pidsChanged is for a change of pids.events.
func (r *Run) pidsChanged() []lifecycle.Event {
	if r.machine.Phase >= lifecycle.Draining || r.met.limits.PidsMax == 0 {
		return nil
	}
	if u, ok := r.readFigure(cgroup.FigurePidsRefused); !ok || !grows(&r.met.refused, u.PidsRefused) {
		return nil
	}
	return r.tell(lifecycle.RunLimited)
}

// lookAtTimes looks at what has no notice, and goes on to.
func (r *Run) lookAtTimes() []lifecycle.Event {
	if r.machine.Phase >= lifecycle.Draining {
		return nil
	}
	m := &r.met
	m.slow.after(slowLook, 0)
	u, ok := r.readFigure(cgroup.FigureIOPressure)
	if !ok {
		return nil
	}
	news := m.limits.CPUMax != 0 && grows(&m.periods, u.CPUThrottledPeriods)
	m.waited = u.CPUThrottled
	if m.limits.IOMax != "" && u.Has(cgroup.FigureIOPressure) && m.stalled(u.IOPressure.Some.Total, r.host.Clock.Now()) {
		news = true
	}
	if !news {
		return nil
	}
	return r.tell(lifecycle.RunLimited)
}

// stalled takes up for how long the tree has waited for its disks, and reports whether that
// was much since the last look.
func (m *meeting) stalled(total, now time.Duration) bool {
	more, since := total-m.stall, now-m.lookedAt
	first := !m.looked
	m.looked, m.stall, m.lookedAt = true, total, now
	if first || more*stalledShare < since {
		return false
	}
	m.looks++
	m.stalledIO += more
	return true
}

// readFigure reads one figure.
func (r *Run) readFigure(f cgroup.Figures) (u cgroup.Usage, ok bool) {
	err := RetryPassing(func() (err error) {
		u, err = r.group.Usage(f)
		return err
	})
	if err != nil && !uncounted(err) {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	return u, err == nil
}
