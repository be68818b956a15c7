// Package clock has timers of two clocks.
//
// [New] counts CLOCK_BOOTTIME, which goes on while the machine is suspended and across
// daemons: what is promised in seconds (a deadline, a grace period, a bound) is the same
// before and after a takeover, and what passed in suspend is told at resume. Go's own timers
// stand still in suspend.
//
// [NewWall] shows the time of day, for schedules. A time of it comes when that clock comes to
// it, also if it is set forward, and who uses it is told when it is set.
//
// One descriptor of the kernel's for each, set to the earliest time, serves all.
package clock

import (
	"container/heap"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// Clock tells when a time has come.
type Clock struct {
	now   func() time.Duration      // proc.BootTime, or wall
	setTo func(time.Duration) error // has the descriptor fire at this time; 0: not
	reset func()                    // is called when the clock was set

	file *os.File
	done chan struct{} // nobody reads the file any more

	mu      sync.Mutex
	pending alarms
	set     time.Duration // what the descriptor is set to, the earliest or before; 0: to nothing
	closed  bool          // there is no descriptor
	stepped bool          // the clock was set, and reset is to be called
}

// alarm is a call at a time.
type alarm struct {
	at    time.Duration // by the clock
	call  func()
	index int // in pending; -1: it is not there
}

// New returns a Clock. It must be closed.
func New() (*Clock, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	c := &Clock{now: proc.BootTime, file: os.NewFile(uintptr(fd), "timerfd"), done: make(chan struct{})}
	c.setTo = func(at time.Duration) error { return settime(fd, 0, at) }
	go c.read()
	return c, nil
}

func settime(fd, flags int, at time.Duration) error {
	value := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|flags, &value, nil))
}

// Now is the time by this clock: since the machine was started, or since 1970 in UTC.
func (c *Clock) Now() time.Duration { return c.now() }

// At has call called at a time of the clock, once, unless stop is called before. It is
// called by the clock's goroutine and must not wait. A call that has begun is not stopped.
func (c *Clock) At(at time.Duration, call func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: at, call: call}
	heap.Push(&c.pending, a)
	if c.set == 0 || at < c.set {
		c.setEarliest()
	}
	return func() { c.stop(a) }
}

// stop leaves the descriptor set: most calls are bounds that are taken back at once, and one
// that fires for nobody now and then costs less than to set it with each of them.
func (c *Clock) stop(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.index >= 0 {
		heap.Remove(&c.pending, a.index)
	}
}

// read waits for the descriptor to fire, again and again, until it is closed.
func (c *Clock) read() {
	defer close(c.done)
	var count [8]byte
	for {
		_, err := c.file.Read(count[:])
		stepped := errors.Is(err, unix.ECANCELED)
		if err != nil && !stepped {
			return // closed: nothing else goes wrong with it
		}
		c.fire(stepped)
	}
}

// Close is called when nobody waits for a time any more.
func (c *Clock) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.file.Close()
	<-c.done
}

// fire is called when the descriptor has fired, or says that the clock was set.
func (c *Clock) fire(stepped bool) {
	c.mu.Lock()
	c.set = 0
	stepped = stepped || c.stepped
	c.stepped = false
	var due []*alarm
	for now := c.now(); len(c.pending) > 0 && c.pending[0].at <= now; {
		due = append(due, heap.Pop(&c.pending).(*alarm))
	}
	c.setEarliest()
	c.mu.Unlock()
	if stepped {
		c.reset()
	}
	for _, a := range due {
		a.call()
	}
}

// setEarliest sets the descriptor. The lock is held.
func (c *Clock) setEarliest() {
	var at time.Duration
	if len(c.pending) > 0 {
		at = max(c.pending[0].at, 1) // 0 would be never
	}
	if at == c.set || c.closed {
		return
	}
	if err := c.setTo(at); err != nil {
		panic("clock: " + err.Error()) // its arguments are right, or this is a fault of ours
	}
	c.set = at
}

// alarms is a heap, the earliest first.
type alarms []*alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at < h[j].at }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarms) Push(x any) {
	a := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	a.index, (*h)[last], *h = -1, nil, (*h)[:last]
	return a
}
