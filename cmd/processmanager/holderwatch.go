package main

import (
	"log"
	"os"

	"golang.org/x/sys/unix"
)

// holderWatch tells of the end of a holder, which need not be a child of this process.
type holderWatch struct {
	gone  chan struct{} // closed when it has ended; nil: there is nothing to tell
	pidfd *os.File
	ended chan struct{} // closed when the watch is over
}

// watchHolder watches the holder of the scope, if there is one.
func (g *groups) watchHolder() (w holderWatch) {
	if g.scope == "" {
		return w
	}
	w.gone = make(chan struct{})
	fd, err := unix.PidfdOpen(g.holder.PID, unix.PIDFD_NONBLOCK)
	if err == nil {
		w.pidfd = os.NewFile(uintptr(fd), "holder")
	}
	if alive, aliveErr := g.holder.Alive("/proc"); err != nil || aliveErr == nil && !alive { // its pid may be another's now
		close(w.gone)
		return w
	}
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		raw, err := w.pidfd.SyscallConn()
		if err != nil {
			return
		}
		err = raw.Read(func(fd uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(ready, 0)
			return err == nil && n > 0
		})
		if err == nil { // else it was closed
			close(w.gone)
		}
	}()
	return w
}

func (w *holderWatch) stop() {
	if w.pidfd != nil {
		w.pidfd.Close()
	}
	if w.ended != nil {
		<-w.ended
	}
}

// renewHolder starts a holder in the place of one that somebody has ended.
func (p *place) renewHolder(logger *log.Logger) holderWatch {
	holder, err := startHolder(p.groups.daemon(), p.groups.scope)
	if err != nil {
		warning(logger).Printf("%s goes with its last process: its holder has ended, and no other can be started: %v", p.groups.scope, err)
		return holderWatch{}
	}
	p.groups.holder = holder
	warning(logger).Printf("the holder of %s has ended: there is another one", p.groups.scope)
	p.groups.identity().save(p.State) // if it cannot be written now, the guard tries again
	return p.groups.watchHolder()
}
