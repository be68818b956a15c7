package supervisor

import (
	"cmp"
	"container/heap"
	"context"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// Next gives the times to come of the schedules of what is selected, in their order. See
// [verbs.Viewer].
func (s *Supervisor) Next(ctx context.Context, of process.Selection, most int) (all []process.Coming, err error) {
	var series comingSeries
	list, err := s.each(of, 1, nil, func(p *managed, o *process.Outcome) {
		if v := p.view.Load(); v.times != nil && !v.comes.IsZero() {
			series = append(series, &coming{p.name, v.comes, v.times, v.jitter, min(most, process.MaxComing), v.paused, v.skip})
		}
	})
	for heap.Init(&series); len(series) > 0 && len(all) < process.MaxComingOfAll; {
		first := series[0]
		one := process.Coming{Name: first.name, Time: first.time, Start: first.time.Add(first.jitter), Paused: first.paused, Skipped: first.time.Equal(first.skip)}
		if zone := first.of.Zone(); zone != time.Local {
			one.TZ = zone.String()
		}
		all = append(all, one)
		if first.left, first.time = first.left-1, first.of.Next(first.time); first.left < 1 || first.time.IsZero() {
			heap.Pop(&series)
		} else {
			heap.Fix(&series, 0)
		}
	}
	for _, o := range list {
		if o.Err != nil {
			all = append(all, process.Coming{Name: o.Name, Err: o.Err})
		}
	}
	return all, err
}

// coming is what is still to be told of a process: from a time on, so many.
type coming struct {
	name   string
	time   time.Time
	of     *schedule.Schedule
	jitter time.Duration
	left   int
	paused bool      // nothing begins
	skip   time.Time // nor then
}

// comingSeries is a heap, the earliest first; of several at a time, by name.
type comingSeries []*coming

func (h comingSeries) Len() int      { return len(h) }
func (h comingSeries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *comingSeries) Push(x any)   { *h = append(*h, x.(*coming)) }

func (h comingSeries) Less(i, j int) bool {
	return cmp.Or(h[i].time.Compare(h[j].time), cmp.Compare(h[i].name, h[j].name)) < 0
}

func (h *comingSeries) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// comes is the time of the schedule that comes next: one that has not passed, as it may have
// before this daemon began.
func (p *managed) comes() time.Time {
	if now := p.scheduleTime(); p.times != nil && !p.next.IsZero() && now.Sub(p.next) > schedule.OnTime {
		return p.times.Follow(p.next, now)
	}
	return p.next
}

// nextRun is the time of the schedule at which a run begins: one behind the time that is
// skipped.
func (p *managed) nextRun() time.Time {
	next := p.comes()
	if p.times != nil && !next.IsZero() && next.Equal(p.machine.Skip) {
		return p.times.Follow(next, next)
	}
	return next
}
