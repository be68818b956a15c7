package systemd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Variables that are meant for the process that systemd has started, and for no other.
var ownVariables = []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "SYSTEMD_EXEC_PID"}

// WithoutOwn is an environment without what systemd says to this process alone.
func WithoutOwn(environ []string) (kept []string) {
	for _, e := range environ {
		own := false
		for _, name := range ownVariables {
			own = own || strings.HasPrefix(e, name+"=")
		}
		if !own {
			kept = append(kept, e)
		}
	}
	return kept
}

// Watchdog is how often systemd wants to hear from the process pid, from $WATCHDOG_USEC and
// $WATCHDOG_PID; zero if it does not.
func Watchdog(pid int, getenv func(string) string) time.Duration {
	if of := getenv("WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(1<<63-1)/1000 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// Messages of sd_notify(3).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Status is the message that systemctl status shows as one line.
func Status(text string) string {
	return "STATUS=" + strings.Join(strings.Fields(text), " ")
}

// Reloading is the message that a reload has begun; systemd wants to know when, by the
// monotonic clock, to tell it from an earlier one. READY=1 ends it.
func Reloading() string {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// ExtendTimeout asks for more time, counted from now, for a start or a stop that goes on.
func ExtendTimeout(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())
}

// sendLimit is how long a message waits for a service manager that does not read.
const sendLimit = time.Second

// Notifier sends messages to the socket of $NOTIFY_SOCKET. The zero Notifier sends none.
type Notifier struct {
	Path string // a file, or an abstract name that begins with @; empty: nobody listens
}

// Send sends messages together, and waits a second at most. systemd takes them from the
// group of the unit alone.
func (n Notifier) Send(messages ...string) error {
	if n.Path == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(sendLimit.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return os.NewSyscallError("setsockopt SO_SNDTIMEO", err)
	}
	for {
		err = unix.Sendto(fd, []byte(strings.Join(messages, "\n")), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: n.Path})
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return &os.PathError{Op: "send to", Path: n.Path, Err: err}
	}
	return nil
}
