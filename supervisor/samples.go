package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Samples are what other tools are told of all processes, by name.
func (s *Supervisor) Samples() []process.Sample {
	s.mu.Lock()
	all := make([]*managed, 0, len(s.names))
	for _, p := range s.names {
		all = append(all, p)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *managed) int { return cmp.Compare(a.name, b.name) })
	samples := make([]process.Sample, len(all))
	for i, p := range all {
		p.sample(&samples[i])
	}
	return samples
}

// sample fills in what is told of one.
func (p *managed) sample(to *process.Sample) {
	v := p.view.Load()
	for {
		*to = process.Sample{Name: p.name, State: v.state, Start: v.run.Start, Scheduled: v.times != nil, Next: v.next}
		if v.last != nil {
			to.LastExitCode = v.last.ExitCode
		}
		t := p.tally.Load()
		// A run that ended meanwhile has left its figures in a new tally.
		if t.addTo(to) || p.tally.Load() == t {
			return
		}
	}
}

// DaemonSample is what other tools are told of the daemon.
func (s *Supervisor) DaemonSample() (d process.DaemonSample) {
	if keeper, err := proc.Identify(s.proc, os.Getppid()); err == nil {
		d.Uptime = proc.BootTime() - keeper.Boot()
	}
	d.Events = s.store.LastEvent()
	if info, err := os.Stat(s.store.Path()); err == nil {
		d.StoreBytes = info.Size()
	}
	d.StoreWritable = s.store.Writable()
	return d
}

// healthLimit is how long the daemon may take to say that it is well.
const healthLimit = 5 * time.Second

// Health is why the daemon is not well; nil: it is. Well is one whose processes can be looked
// at and whose store takes writes, both within healthLimit.
func (s *Supervisor) Health(ctx context.Context) error {
	if s.isClosing() {
		return errShuttingDown
	}
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	for !s.mu.TryLock() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the processes cannot be looked at within %v", healthLimit)
		}
	}
	s.mu.Unlock()
	b := s.pulse.beat(s.store.Write)
	select {
	case <-b.back:
		if b.err != nil {
			return fmt.Errorf("nothing can be stored in %s", s.store.Path())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the store %s does not answer for %v", s.store.Path(), healthLimit)
	}
}

// pulse has the store write nothing, to see whether it does. There is one such write at a time:
// while a disk hangs, whoever asks and asks again must not make a queue for it.
type pulse struct {
	mu   sync.Mutex
	last *beat
}

// beat is one such write.
type beat struct {
	back chan struct{} // closed when it has come back
	err  error
}

// beat is the write that is under way, or a new one.
func (p *pulse) beat(write func(store.Change)) *beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != nil {
		select {
		case <-p.last.back:
		default:
			return p.last
		}
	}
	b := &beat{back: make(chan struct{})}
	p.last = b
	write(store.Change{Done: func(err error) {
		b.err = err
		close(b.back)
	}})
	return b
}
