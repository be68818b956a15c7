package supervisor

import (
	"container/heap"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// timers are those of all processes. They count CLOCK_BOOTTIME, which goes on while the
// machine is suspended and across daemons: what is promised in seconds (a deadline, a
// grace period, a bound) is the same before and after a takeover, and one that passed in
// suspend fires at resume. Go's own timers stand still in suspend.
//
// One descriptor of the kernel's, set to the earliest of them, serves all.
type timers struct {
	now   func() time.Duration      // proc.BootTime
	setTo func(time.Duration) error // has the descriptor fire at this time; 0: not

	file *os.File
	done chan struct{} // nobody reads the file any more

	mu      sync.Mutex
	pending timerHeap
	set     time.Duration // what the descriptor is set to; 0: to nothing
	closed  bool          // there is no descriptor
}

// timer is as a time.Timer: after Reset and Stop nothing of before comes from C.
type timer struct {
	C     chan struct{} // holds one
	of    *timers
	at    time.Duration // by the clock
	index int           // in pending; -1: it is not there
}

func newTimers() (*timers, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	ts := &timers{now: proc.BootTime, file: os.NewFile(uintptr(fd), "timerfd"), done: make(chan struct{})}
	ts.setTo = func(at time.Duration) error {
		return os.NewSyscallError("timerfd_settime",
			unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}, nil))
	}
	go ts.read()
	return ts, nil
}

// read waits for the descriptor to fire, again and again, until it is closed.
func (ts *timers) read() {
	defer close(ts.done)
	var count [8]byte
	for {
		if _, err := ts.file.Read(count[:]); err != nil {
			return // closed: nothing else goes wrong with it
		}
		ts.fire()
	}
}

// close is called when no timer is used any more.
func (ts *timers) close() {
	ts.mu.Lock()
	ts.closed = true
	ts.mu.Unlock()
	ts.file.Close()
	<-ts.done
}

// fire is called when the descriptor has fired.
func (ts *timers) fire() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.set = 0
	for now := ts.now(); len(ts.pending) > 0 && ts.pending[0].at <= now; {
		t := heap.Pop(&ts.pending).(*timer)
		t.C <- struct{}{} // it is empty: Reset has seen to that
	}
	ts.setEarliest()
}

// setEarliest sets the descriptor. The lock is held.
func (ts *timers) setEarliest() {
	var at time.Duration
	if len(ts.pending) > 0 {
		at = max(ts.pending[0].at, 1) // 0 would be never
	}
	if at == ts.set || ts.closed {
		return
	}
	if err := ts.setTo(at); err != nil {
		panic("supervisor: " + err.Error()) // its arguments are right, or this is a fault of ours
	}
	ts.set = at
}

// stopped is a new timer, which is not set.
func (ts *timers) stopped() *timer {
	return &timer{C: make(chan struct{}, 1), of: ts, index: -1}
}

// Reset has the timer fire in d from now.
func (t *timer) Reset(d time.Duration) { t.set(t.of.now() + d) }

// set has it fire at a time of the clock.
func (t *timer) set(at time.Duration) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.clear()
	t.at = at
	heap.Push(&t.of.pending, t)
	t.of.setEarliest()
}

func (t *timer) Stop() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.clear()
	t.of.setEarliest()
}

// clear takes it out of pending, and what it said out of C. The lock is held.
func (t *timer) clear() {
	if t.index >= 0 {
		heap.Remove(&t.of.pending, t.index)
	}
	select {
	case <-t.C:
	default:
	}
}

// timerHeap is a heap of timers, the earliest first.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	t.index, (*h)[last], *h = -1, nil, (*h)[:last]
	return t
}
