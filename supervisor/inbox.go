package supervisor

import "sync"

// inbox holds what the loop of a process is to do, in order. Whoever has something for the
// loop puts it there and never waits.
type inbox struct {
	mu     sync.Mutex
	queue  []func()
	closed bool
	filled chan struct{} // holds one: there is something
}

func newInbox() *inbox { return &inbox{filled: make(chan struct{}, 1)} }

// put reports false when the loop has ended.
func (b *inbox) put(do func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, do)
	select {
	case b.filled <- struct{}{}:
	default:
	}
	return true
}

// take is what there is to do next; nil: nothing.
func (b *inbox) take() (do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue = nil
		return nil
	}
	do = b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return do
}

// close drops what nobody has taken, and takes nothing more.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue = true, nil
}
