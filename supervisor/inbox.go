package supervisor

import "sync"

// inbox holds what the loop of a process is to do, in order. Whoever has something for the
// loop puts it there and never waits.
type inbox struct {
	mu     sync.Mutex
	queue  []func()
	closed bool
	idle   bool   // who took has found nothing, and has gone: wake calls the next one
	wake   func() // must not wait; nil: nobody takes yet
}

// serve has wake called now, and each time that something is put there after take has found
// nothing.
func (b *inbox) serve(wake func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle, b.wake = false, wake
	wake()
}

// put reports false when the loop has ended.
func (b *inbox) put(do func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, do)
	if b.idle && b.wake != nil {
		b.idle = false
		b.wake()
	}
	return true
}

// take is what there is to do next; nil: nothing, and wake is called when there is something.
func (b *inbox) take() (do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue, b.idle = nil, true
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
