package proc

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	Code   int         // exit status, 0 to 255; 0 when a signal ended it
	Signal unix.Signal // what ended it; 0 when it exited by itself
	Core   bool        // the kernel wrote a core

	// Time is when its parent learned of it, by CLOCK_BOOTTIME (see BootTime).
	Time time.Duration

	// The process's own CPU time and that of the children it waited for.
	UserTime, SystemTime time.Duration
}

// String returns "exit 3" or "signal killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %v", e.Signal)
	}
	return fmt.Sprintf("exit %d", e.Code)
}

// DecodeExit puts together what wait4 said of a process that ended.
func DecodeExit(status unix.WaitStatus, usage *unix.Rusage, at time.Duration) Exit {
	e := Exit{
		Time:       at,
		UserTime:   time.Duration(usage.Utime.Nano()),
		SystemTime: time.Duration(usage.Stime.Nano()),
	}
	if status.Signaled() {
		e.Signal, e.Core = status.Signal(), status.CoreDump()
	} else {
		e.Code = status.ExitStatus()
	}
	return e
}

// waitFor waits for one child and forgets how it ended.
func waitFor(pid int) {
	retry(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
}
