package supervisor

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// reclaimLimit is how long somebody waits for memory to be taken away.
const reclaimLimit = 30 * time.Second

// Reclaim has memory taken away from the runs of what is selected. See [verbs.Actor].
func (s *Supervisor) Reclaim(ctx context.Context, of process.Selection, bytes uint64) ([]process.Reclaimed, error) {
	return rowsOf(s, of, 0, func(p *managed) process.Reclaimed { return p.reclaim(ctx, bytes) },
		func(name string, err error) process.Reclaimed { return process.Reclaimed{Name: name, Err: err} })
}

// reclaim takes memory away from the runs of one process, one after another.
func (p *managed) reclaim(ctx context.Context, bytes uint64) process.Reclaimed {
	r := process.Reclaimed{Name: p.name, Asked: bytes}
	meters := p.view.Load().meters()
	if len(meters) == 0 {
		r.Err = process.Errorf(process.CodeNotRunning, "process '%s' is %v: nothing of it runs that memory could be taken away from", p.name, p.view.Load().state)
		return r
	}
	if r.Before, r.Err = p.memory(meters); r.Err != nil {
		return r
	}
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		defer border.Catch(func(fault *border.Panic) { done <- fault })
		done <- takeAway(meters, bytes, &stop)
	}()
	late := time.NewTimer(reclaimLimit)
	defer late.Stop()
	var err error
	select {
	case err = <-done:
		r.All = err == nil
	case <-late.C:
		r.Late = true
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	stop.Store(true) // what is under way ends with its step
	if r.Err = p.notReclaimed(err); r.Err == nil {
		r.After, r.Err = p.memory(meters)
	}
	return r
}

// takeAway takes so much away from all together. What one does not have the next may.
func takeAway(meters []*run.Meter, bytes uint64, stop *atomic.Bool) (err error) {
	for _, m := range meters {
		var done uint64
		done, err = m.Reclaim(bytes, func() bool { return !stop.Load() })
		bytes -= done
		switch {
		case err == nil && bytes == 0:
			return nil
		case err != nil && !errors.Is(err, cgroup.ErrReclaimedLess) && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return cgroup.ErrReclaimedLess
}

// memory is what the runs have together; one that has ended meanwhile has none.
func (p *managed) memory(meters []*run.Meter) (sum uint64, err error) {
	for _, m := range meters {
		n, err := m.Memory()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, p.notReclaimed(err)
		}
		sum += n
	}
	return sum, nil
}

// notReclaimed is why no memory can be taken away, in one line that says what mends it.
func (p *managed) notReclaimed(err error) error {
	switch {
	case err == nil, errors.Is(err, cgroup.ErrReclaimedLess):
		return nil
	case errors.Is(err, cgroup.ErrNoController):
		return process.Errorf(process.CodeLimit, "process '%s': no memory can be taken away: %s", p.name, p.s.lack.of("memory"))
	case errors.Is(err, errors.ErrUnsupported):
		return process.Errorf(process.CodeLimit, "process '%s': no memory can be taken away: this kernel has no memory.reclaim, Linux 5.19 and later have it", p.name)
	}
	return process.Errorf(process.CodeInternal, "process '%s': no memory could be taken away: %v", p.name, err)
}
