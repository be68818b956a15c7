package logs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long bytes may wait in a FIFO so that several lines are moved at once. They
// wait shorter when the pipe is filling up, and a reader does not wait at all.
const (
	BatchDelay  = 200 * time.Millisecond
	FollowDelay = 10 * time.Millisecond // while somebody follows

	tick       = 5 * time.Millisecond // between two looks at all FIFOs
	retryDelay = time.Second          // after a write has failed
	idleDelay  = time.Minute          // for a file to be closed
)

// ErrClosed is what is asked of a Mover that was closed.
var ErrClosed = errors.New("the mover of logs is closed")

// Mover moves bytes from any number of FIFOs. Its methods may be called at once.
type Mover struct {
	// Keep, if it is not nil, reports whether the file of a log may stay open between two
	// turns. It is set before the first log is opened.
	Keep func(fd uintptr) bool

	now    func() time.Time // the clock that lines have their times from
	epoll  int              // edge-triggered: it knows who was written to since the last look
	wake   int              // eventfd
	done   chan struct{}
	closed chan struct{}
	work   sync.WaitGroup // pumps that are busy, the turns, and the packer
	turns  turns
	pack   packer

	mu    sync.Mutex
	pumps map[int32]*Pump
	last  int32 // key given
}

// NewMover starts a mover. Close ends it.
func NewMover() (*Mover, error) {
	m := &Mover{now: time.Now, epoll: -1, wake: -1, done: make(chan struct{}), closed: make(chan struct{}), pumps: map[int32]*Pump{}}
	m.pack.m, m.pack.delay = m, packDelay
	m.turns.m = m
	var err error
	if m.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if m.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = unix.EpollCtl(m.epoll, unix.EPOLL_CTL_ADD, m.wake, &unix.EpollEvent{Events: unix.EPOLLIN})
	}
	if err != nil {
		unix.Close(m.epoll)
		unix.Close(m.wake)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	go m.loop()
	return m, nil
}

// Release closes the files of all logs. Those that are written to are opened again.
func (m *Mover) Release() { m.rest(m.now()) }

// Close stops moving and closes all FIFOs and files. What is in the FIFOs stays
// there, for the next mover.
func (m *Mover) Close() {
	m.mu.Lock()
	select {
	case <-m.closed:
		m.mu.Unlock()
		<-m.done
		return
	default:
	}
	close(m.closed)
	pumps := m.pumps
	m.pumps = map[int32]*Pump{}
	m.mu.Unlock()
	unix.Write(m.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-m.done
	for _, p := range pumps {
		p.close()
	}
	m.work.Wait()
	unix.Close(m.epoll)
	unix.Close(m.wake)
}

// Copy begins to move from fifo to w, without a file between. fifo is as in
// [Log.Move]. w is written to by one goroutine at a time. failed is told the first time w gives an error;
// what it does not take is dropped.
func (m *Mover) Copy(fifo *os.File, w io.Writer, failed func(error)) (*Pump, error) {
	return m.start(fifo, &copier{w: w, report: failed})
}

// start takes fifo over.
func (m *Mover) start(fifo *os.File, to sink) (*Pump, error) {
	fd, err := unix.FcntlInt(fifo.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	name := fifo.Name()
	fifo.Close()
	if err != nil {
		return nil, &os.PathError{Op: "dup", Path: name, Err: err}
	}
	p := &Pump{m: m, fd: fd, to: to, size: 64 << 10}
	fail := func(op string, err error) (*Pump, error) {
		unix.Close(fd)
		return nil, &os.PathError{Op: op, Path: name, Err: err}
	}
	if !affordable(fd) {
		return fail("dup", unix.EMFILE)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fail("set O_NONBLOCK", err)
	}
	if p.size, err = unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err != nil {
		return fail("ask for the pipe's size", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closed:
		return fail("move from", ErrClosed)
	default:
	}
	for m.last++; m.last <= 0 || m.pumps[m.last] != nil; {
		m.last = max(m.last, 0) + 1
	}
	p.key = m.last
	if err := unix.EpollCtl(m.epoll, unix.EPOLL_CTL_ADD, fd, p.event()); err != nil {
		return fail("epoll_ctl", err)
	}
	m.pumps[p.key] = p
	return p, nil
}

// spareFiles is how many descriptors FIFOs leave to log files and connections.
const spareFiles = 16

// affordable reports whether fd is not one of the last. Descriptors are numbered from
// below, so that the last ones are handed out when the others are taken.
func affordable(fd int) bool {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return err != nil || uint64(fd)+spareFiles < limit.Cur
}

// loop looks who was written to. The first time it notes it, and has the bytes moved
// when they have waited long enough or the pipe is filling up. It does not touch a
// disk: a log that hangs must not keep it from looking.
func (m *Mover) loop() {
	defer close(m.done)
	events := make([]unix.EpollEvent, 512)
	var waiting []*Pump
	for sweep := time.Now().Add(idleDelay); ; {
		wait := untilDue(waiting, sweep)
		if m.turns.help() {
			wait = min(wait, int(tick/time.Millisecond))
		}
		n, err := unix.EpollWait(m.epoll, events, wait)
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // only a descriptor that is none
		}
		select {
		case <-m.closed:
			return
		default:
		}
		now := time.Now()
		m.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			p := m.pumps[e.Fd]
			if p == nil || p.busy.Load() {
				continue
			}
			if !p.waiting {
				p.waiting, p.due = true, now.Add(p.to.delay())
				waiting = append(waiting, p)
			}
			if buffered(p.fd) >= p.size/4 {
				p.due = now
			}
			if p.due.Before(p.retry) {
				p.due = p.retry
			}
		}
		m.mu.Unlock()
		keep := waiting[:0]
		for _, p := range waiting {
			if p.due.After(now) {
				keep = append(keep, p)
				continue
			}
			p.waiting = false
			p.busy.Store(true)
			m.turns.add(p)
		}
		clear(waiting[len(keep):])
		waiting = keep
		if now.After(sweep) {
			m.rest(now.Add(-idleDelay))
			sweep = now.Add(idleDelay)
		}
		if n == len(events) {
			continue // there are more
		}
		select { // many writers are seen in one look
		case <-m.closed:
			return
		case <-time.After(tick):
		}
	}
}

// rest closes the files that were not written to since then.
func (m *Mover) rest(since time.Time) {
	m.mu.Lock()
	pumps := slices.Collect(maps.Values(m.pumps))
	m.mu.Unlock()
	for _, p := range pumps {
		p.rest(since)
	}
}

// untilDue is for how many ms there is nothing to do unless somebody writes.
func untilDue(waiting []*Pump, first time.Time) int {
	for _, p := range waiting {
		if p.due.Before(first) {
			first = p.due
		}
	}
	return int(max(time.Until(first)+time.Millisecond-1, 0) / time.Millisecond)
}
