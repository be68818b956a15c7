package logs

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// sink takes bytes out of a pipe.
type sink interface {
	// take moves up to limit bytes from the pipe, and says whether there may be
	// more. None moved and more left means that it has to be asked again later;
	// with last set there is no later. Fewer than limit moved and more left means
	// that others have their turn first.
	take(fd, limit int, last bool) (n int, more bool)
	// delay is how long bytes may wait.
	delay() time.Duration
	// pause is after how long it is asked again.
	pause() time.Duration
	// rest closes what is open if nothing was moved since then.
	rest(since time.Time)
	// end is called when the pump ends.
	end()
	// failed is told of a fault of ours, and lost of bytes that are dropped for it.
	failed(err error)
	lost(n int)
}

// Pump moves what one run writes.
type Pump struct {
	m    *Mover
	key  int32
	to   sink
	busy atomic.Bool // it waits for its turn, or is moved from: the loop leaves it alone

	flushes  sync.Mutex
	flushing chan struct{} // guarded by flushes; closed when the flush under way is done; nil: none is

	mu     sync.Mutex // held while bytes are moved
	fd     int
	closed bool
	size   int // of the pipe
	faults int // of ours, in take, one behind the other

	// The loop's.
	waiting bool
	due     time.Time // when the bytes have waited long enough

	// Of whoever moves from it.
	moved time.Time // last
	retry time.Time // not before
}

const (
	takeLimit = 1 << 20 // of one take
	busyPipe  = 1 << 20 // the size of a busy pump's pipe, if that is allowed
	busySpan  = 20 * time.Millisecond
	minLook   = 20 * time.Microsecond // between two looks at a busy pipe
	maxLook   = 5 * time.Millisecond
)

func (p *Pump) event() *unix.EpollEvent {
	return &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: p.key}
}

// maxFaults is how often one behind the other take may panic, before bytes are dropped.
const maxFaults = 3

// take moves up to limit bytes, under mu. A fault of ours in that costs neither the other
// pumps nor the worker: it is tried again, and then the bytes are dropped, so that
// nobody who writes them stands still.
func (p *Pump) take(limit int, last bool) (n int, more bool) {
	if p.faults >= maxFaults {
		n, more = read(p.fd, limit, func([]byte) {})
		p.to.lost(n)
		return n, more
	}
	defer border.Catch(func(fault *border.Panic) {
		what := "output could not be moved by a fault of ours, and is tried again"
		if p.faults++; p.faults == maxFaults {
			what = "output is dropped from now on, by a fault of ours"
		}
		p.to.failed(fmt.Errorf("%s: %w", what, fault))
		n, more = 0, true
	})
	n, more = p.to.take(p.fd, limit, last)
	p.faults = 0
	return n, more
}

// turn moves what waits, or begins to, and reports whether the pump needs another
// turn.
func (p *Pump) turn() (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	now := time.Now()
	n, more := p.take(p.size, false)
	last := p.moved
	p.moved = now
	switch {
	case n >= p.size/4 && now.Sub(last) < busySpan:
		p.m.work.Go(p.drain)
		return false
	case more && n > 0:
		return true
	case more:
		p.retry = now.Add(p.to.pause())
	}
	p.watch()
	return false
}

// watch leaves the pump to the loop again. Whoever wrote while it was busy was not
// noted, so the kernel is asked again.
func (p *Pump) watch() {
	p.busy.Store(false)
	unix.EpollCtl(p.m.epoll, unix.EPOLL_CTL_MOD, p.fd, p.event())
}

// drain moves for a writer that fills its pipe in a moment. It looks when the pipe
// should be half full: moving holds the pipe's lock, so that looking more often
// stops the writer more often, and looking less often lets it wait.
func (p *Pump) drain() {
	p.resize(busyPipe)
	wait := 100 * time.Microsecond
	for quiet := 0; quiet < 4; {
		sleep(wait)
		n, more := p.takeTurns(takeLimit)
		p.mu.Lock()
		closed, half := p.closed, p.size/2
		p.mu.Unlock()
		if closed {
			return
		}
		if n == 0 && more {
			break
		}
		if quiet++; n >= 16<<10 || wait < maxLook {
			quiet = 0
		}
		aim := time.Duration(float64(wait) * float64(half) / float64(max(n, 1)))
		wait = min(max(aim, wait/2, minLook), wait*2, maxLook)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.resizeLocked(64 << 10)
	p.watch()
}

// sleep is for times shorter than those of Go's timers, which wait in whole ms.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil)
}

func (p *Pump) resize(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.resizeLocked(size)
	}
}

// resizeLocked asks for a pipe of that size. It may not be allowed, by
// fs.pipe-max-size, fs.pipe-user-pages-soft, or what is in it.
func (p *Pump) resizeLocked(size int) {
	if n, err := unix.FcntlInt(uintptr(p.fd), unix.F_SETPIPE_SZ, size); err == nil {
		p.size = n
	}
}

// Flush moves what is in the FIFO now, at most 1 MiB. It waits for a disk that hangs no
// longer than flushLimit; then the bytes come later.
func (p *Pump) Flush() {
	p.flushes.Lock()
	done := p.flushing
	if done != nil { // it may have begun too early
		p.flushes.Unlock()
		if !within(done, flushLimit) {
			return
		}
		p.flushes.Lock()
		done = p.flushing
	}
	if done == nil {
		done = make(chan struct{})
		p.flushing = done
		go p.flush(done)
	}
	p.flushes.Unlock()
	within(done, flushLimit)
}

const flushLimit = time.Second

func (p *Pump) flush(done chan struct{}) {
	p.takeTurns(takeLimit)
	p.flushes.Lock()
	p.flushing = nil
	close(done)
	p.flushes.Unlock()
}

func within(done <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// takeTurns takes up to limit, in as many turns as it needs. Others can have the pump
// between two of them.
func (p *Pump) takeTurns(limit int) (n int, more bool) {
	for more = true; more && n < limit; {
		k := 0
		p.mu.Lock()
		if more = !p.closed; more {
			k, more = p.take(limit-n, false)
		}
		p.mu.Unlock()
		if n += k; k == 0 {
			break
		}
	}
	return n, more
}

// Finish moves what is left, and closes the FIFO. It is for a run of which nobody
// is left to write. Somebody who left the group can write for ever, so it moves at
// most what the pipe holds now. Where nothing can be moved it tries for a second.
func (p *Pump) Finish() {
	p.m.mu.Lock()
	delete(p.m.pumps, p.key)
	p.m.mu.Unlock()
	left := buffered(p.fd)
	for try, more := 1, true; more && left > 0; {
		last := try == finishTries
		p.mu.Lock()
		n := 0
		if more = !p.closed; more {
			n, more = p.take(left, last)
		}
		p.mu.Unlock()
		left -= n
		if n == 0 && more {
			if last {
				break
			}
			try++
			time.Sleep(time.Second / finishTries)
		}
	}
	p.close()
}

const finishTries = 100

// Leave stops moving. What is in the FIFO stays there, for the next mover.
func (p *Pump) Leave() {
	p.m.mu.Lock()
	delete(p.m.pumps, p.key)
	p.m.mu.Unlock()
	p.close()
}

// close leaves what is in the FIFO there.
func (p *Pump) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	// Explicitly: a descriptor leaves epoll only with the last one of its
	// description, and a fork may just be holding another.
	unix.EpollCtl(p.m.epoll, unix.EPOLL_CTL_DEL, p.fd, nil)
	unix.Close(p.fd)
	p.to.end()
}

// rest closes files that were not written to since then. What is locked is in use.
func (p *Pump) rest(since time.Time) {
	if !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	defer border.Catch(func(fault *border.Panic) { p.to.failed(fault) })
	if !p.closed {
		p.to.rest(since)
	}
}

// buffered is how many bytes wait in a pipe.
func buffered(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD by its other name
	if err != nil {
		return 0
	}
	return n
}

var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// read takes up to limit bytes out of a pipe and gives them to f in pieces.
func read(fd, limit int, f func([]byte)) (n int, more bool) {
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	for n < limit {
		want := min(limit-n, len(buf))
		k, err := unix.Read(fd, buf[:want])
		if err == unix.EINTR {
			continue
		}
		if k <= 0 {
			return n, false
		}
		f(buf[:k])
		n += k
	}
	return n, true
}

// copier is a sink that reads and writes.
type copier struct {
	w      io.Writer
	report func(error)
	broken bool
}

func (c *copier) take(fd, limit int, _ bool) (n int, more bool) {
	return read(fd, limit, func(p []byte) {
		_, err := c.w.Write(p)
		if err != nil && !c.broken {
			c.failed(err)
		}
		c.broken = err != nil
	})
}

func (c *copier) delay() time.Duration { return BatchDelay }
func (c *copier) pause() time.Duration { return retryDelay }
func (c *copier) rest(time.Time)       {}
func (c *copier) end()                 {}
func (c *copier) lost(int)             {}
func (c *copier) failed(err error) {
	if c.report != nil {
		c.report(err)
	}
}
