package logs

import "sync"

// turns has pumps moved, one after the other, each a little at a time. A turn can
// last, because a disk is slow or hangs, say. Then another goroutine goes on with the
// others, so that one log holds up no other. There is a goroutine while there is
// something to do.
type turns struct {
	m *Mover

	mu      sync.Mutex
	queue   []*Pump
	workers int
	begun   uint64 // turns
	seen    uint64 // begun when the loop looked last
}

// maxWorkers bounds the threads that a disk which hangs can take.
const maxWorkers = 512

// add gives p a turn behind those who wait.
func (t *turns) add(p *Pump) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, p)
	if t.workers == 0 {
		t.hire()
	}
}

// help adds a goroutine when no turn has begun since the last call, a tick ago, and
// reports whether some pump waits for its turn.
func (t *turns) help() (waiting bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return false
	}
	if t.begun == t.seen && t.workers < maxWorkers {
		t.hire()
	}
	t.seen = t.begun
	return true
}

func (t *turns) hire() {
	t.workers++
	t.m.work.Go(t.work)
}

func (t *turns) work() {
	for p := t.next(nil); p != nil; {
		if p.turn() {
			p = t.next(p)
		} else {
			p = t.next(nil)
		}
	}
}

// next is the pump whose turn it is. again, if there is one, waits for another. nil
// ends a goroutine.
func (t *turns) next(again *Pump) (p *Pump) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if again != nil {
		t.queue = append(t.queue, again)
	}
	select {
	case <-t.m.closed:
		t.queue = nil
	default:
	}
	if len(t.queue) == 0 {
		t.workers--
		return nil
	}
	p, t.queue[0] = t.queue[0], nil
	t.queue = t.queue[1:]
	t.begun++
	return p
}
