package run

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// orphan watches a leader that is not the keeper's child, because an earlier keeper
// started it. How it ends cannot be known, only that it has: no process has its pid, or
// another one has. Anything else, for want of a descriptor, say, is not known yet, and is
// looked at again.
type orphan struct {
	leader func() (proc.ID, error) // zero without an error: there is none any more
	procfs string
	stop   chan struct{}
	once   sync.Once // closes it
}

// Pauses between two looks at an orphan that cannot be waited for.
const (
	firstLook = 50 * time.Millisecond
	mostLook  = 2 * time.Second
)

var errEnded = errors.New("the process has ended")

// watch calls ended when the leader has, unless close was called before.
func (o *orphan) watch(ended func()) {
	for delay := firstLook; ; delay = min(2*delay, mostLook) {
		err := o.await()
		if err == errEnded {
			ended()
			return
		}
		select {
		case <-o.stop:
			return
		case <-time.After(delay):
		}
	}
}

// await waits for the leader's end, or until close. It returns at once when there is no
// descriptor to wait with.
func (o *orphan) await() error {
	pidfd, err := o.open()
	if err != nil {
		return err
	}
	defer pidfd.Close()
	if !proc.Roomy() { // others need it more
		return unix.EMFILE
	}
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-o.stop:
			pidfd.SetReadDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n > 0
	})
	if err == nil {
		return errEnded
	}
	return err
}

// open returns a pidfd of the leader, and of nobody who has got its pid since.
func (o *orphan) open() (*os.File, error) {
	leader, err := o.leader()
	if err != nil {
		return nil, err
	}
	if leader.PID == 0 {
		return nil, errEnded
	}
	fd, err := unix.PidfdOpen(leader.PID, unix.PIDFD_NONBLOCK)
	if err == unix.ESRCH {
		return nil, errEnded
	}
	alive, unknown := leader.Alive(o.procfs)
	switch {
	case unknown == nil && !alive:
		err = errEnded
	case err == nil:
		err = unknown
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// kill sends SIGKILL to the leader alone.
func (o *orphan) kill() error {
	if err := o.send(unix.SIGKILL); err != errEnded {
		return err
	}
	return nil
}

// send sends a signal to the leader alone.
func (o *orphan) send(s unix.Signal) error {
	pidfd, err := o.open()
	if err != nil {
		return err
	}
	defer pidfd.Close()
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	if controlErr := raw.Control(func(fd uintptr) {
		err = unix.PidfdSendSignal(int(fd), s, nil, 0)
	}); controlErr != nil {
		return controlErr
	}
	if err == unix.ESRCH {
		return errEnded
	}
	return err
}

func (o *orphan) close() { o.once.Do(func() { close(o.stop) }) }
