package supervisor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

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
