package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// errUnread ends what has no other end, as a write would if there were one.
var errUnread = fmt.Errorf("nobody reads the output any more: %w", syscall.EPIPE)

// follower is a Manager that ends what is followed, a log, events or a command, when nobody can read
// the output any more. What is quiet writes nothing that could tell it.
type follower struct {
	verbs.Manager
	out io.Writer
}

func (f follower) Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (int64, error) {
	if !q.Follow {
		return f.Manager.Log(ctx, name, q, w)
	}
	ctx, release := whileRead(ctx, f.out)
	defer release()
	next, err := f.Manager.Log(ctx, name, q, w)
	return next, unread(ctx, err)
}

func (f follower) Execute(ctx context.Context, e process.Exec, w process.Watcher) error {
	ctx, release := whileRead(ctx, f.out)
	defer release()
	return unread(ctx, f.Manager.Execute(ctx, e, w))
}

func (f follower) Events(ctx context.Context, q process.EventQuery, tell func(process.Event) error) error {
	if !q.Follow {
		return f.Manager.Events(ctx, q, tell)
	}
	ctx, release := whileRead(ctx, f.out)
	defer release()
	return unread(ctx, f.Manager.Events(ctx, q, tell))
}

func (f follower) Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error {
	if !follow {
		return f.Manager.Figures(ctx, follow, tell)
	}
	ctx, release := whileRead(ctx, f.out)
	defer release()
	return unread(ctx, f.Manager.Figures(ctx, follow, tell))
}

// unread is errUnread, if that ended ctx, or err.
func unread(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errUnread) {
		return cause
	}
	return err
}

// whileRead is ctx, which ends with errUnread when w is a pipe without a reader, a
// socket that was hung up, or a terminal that is gone. release waits for what looks.
func whileRead(ctx context.Context, w io.Writer) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	none := func() { cancel(nil) }
	f, ok := w.(*os.File)
	if !ok {
		return ctx, none
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return ctx, none
	}
	var out int32
	if err := raw.Control(func(fd uintptr) { out = int32(fd) }); err != nil {
		return ctx, none
	}
	var enough [2]int // a pipe whose end ends the wait
	if err := unix.Pipe2(enough[:], unix.O_CLOEXEC); err != nil {
		return ctx, none
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if awaitUnread(out, int32(enough[0])) {
			cancel(errUnread)
		}
	}()
	return ctx, func() {
		unix.Close(enough[1])
		<-done
		unix.Close(enough[0])
		cancel(nil)
	}
}

// awaitUnread waits until nobody can read out any more, or until enough is at its end.
func awaitUnread(out, enough int32) bool {
	for {
		fds := []unix.PollFd{{Fd: out}, {Fd: enough}} // errors and hang-ups are told unasked
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
		case err != nil, fds[1].Revents != 0, fds[0].Revents&unix.POLLNVAL != 0:
			return false
		default:
			return true
		}
	}
}
