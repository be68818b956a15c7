package clock

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// NewWall returns a Clock that shows the time of day: its times are counted since 1970 in
// UTC. reset is called by the clock's goroutine when somebody has set the clock, and after
// suspend; it must not wait. Tells is whether it will be: kernels that know the flag have done
// it since Linux 3.0, but not every sandbox does. The Clock must be closed.
func NewWall(reset func()) (c *Clock, tells bool, err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, false, os.NewSyscallError("timerfd_create", err)
	}
	c = &Clock{now: wall, reset: reset, file: os.NewFile(uintptr(fd), "timerfd"), done: make(chan struct{})}
	flag := unix.TFD_TIMER_CANCEL_ON_SET
	c.setTo = func(at time.Duration) error {
		if at == 0 { // a timer that is not set tells nothing
			at = far
		}
		err := settime(fd, flag, at)
		if errors.Is(err, unix.ECANCELED) { // the clock was set, and whoever reads is not told any more
			c.stepped = true
			err = settime(fd, flag, 1)          // it fires at once, and is set anew
			if errors.Is(err, unix.ECANCELED) { // it was set again: that is said of a timer that was set all the same
				err = nil
			}
		}
		return err
	}
	if err := c.setTo(0); err != nil {
		flag = 0
	}
	go c.read()
	return c, flag != 0, nil
}

func wall() time.Duration { return time.Duration(time.Now().UnixNano()) }

// Wall is a time of day as a time of the clock.
func Wall(t time.Time) time.Duration {
	if t.Year() >= 2200 { // nanoseconds since 1970 end in 2262
		return far
	}
	return time.Duration(t.UnixNano())
}

// far is a time that nobody waits for.
const far = 230 * 365 * 24 * time.Hour
