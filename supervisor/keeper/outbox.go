package keeper

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// outbox sends to a worker without ever waiting for it. What the socket does not
// take at once is kept, in order, and sent by a goroutine that ends with the backlog.
type outbox struct {
	conn *conn

	mu      sync.Mutex
	backlog []packet
	busy    bool // the goroutine is there
	wait    sync.WaitGroup
}

// put sends p, now or later. Its files must stay open until then. A packet that can't
// be sent ends the link, for the worker would wait for it for ever: the next worker
// is told everything anew.
func (o *outbox) put(p packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.busy {
		switch err := o.conn.trySend(p); {
		case err == nil:
			return
		case err != unix.EAGAIN && !passing(err):
			o.conn.shutdown()
			return
		}
		o.busy = true
		o.wait.Go(o.flush)
	}
	o.backlog = append(o.backlog, p)
}

// passing reports whether err is a shortage that ends, though nothing tells when:
// of memory, or of descriptors under way in all the sockets of this user.
func passing(err error) bool {
	return err == unix.ETOOMANYREFS || err == unix.ENOBUFS || err == unix.ENOMEM
}

// flush sends the backlog and ends.
func (o *outbox) flush() {
	for {
		o.mu.Lock()
		if len(o.backlog) == 0 {
			o.backlog, o.busy = nil, false
			o.mu.Unlock()
			return
		}
		p := o.backlog[0]
		o.backlog = o.backlog[1:]
		o.mu.Unlock()

		err := o.conn.send(p)
		for passing(err) {
			time.Sleep(time.Millisecond)
			err = o.conn.send(p)
		}
		if err != nil {
			o.conn.shutdown()
		}
	}
}

// close drops the backlog and waits for the goroutine. The connection must be closed.
func (o *outbox) close() {
	o.mu.Lock()
	o.backlog = nil
	o.mu.Unlock()
	o.wait.Wait()
}
