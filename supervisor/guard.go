package supervisor

import (
	"os"

	"golang.org/x/sys/unix"
)

// guard tells when somebody has deleted a file or moved it away.
type guard struct {
	inotify *os.File      // nil: there are no more instances, and it tells nothing
	touched chan struct{} // it may have happened
}

func newGuard() *guard {
	g := &guard{touched: make(chan struct{}, 1)}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return g
	}
	g.inotify = os.NewFile(uintptr(fd), "inotify")
	go func() { // until close
		var buf [512]byte
		for {
			if _, err := g.inotify.Read(buf[:]); err != nil {
				return
			}
			select {
			case g.touched <- struct{}{}:
			default:
			}
		}
	}()
	return g
}

// follow guards the file that is at path now.
func (g *guard) follow(path string) {
	if g.inotify == nil {
		return
	}
	raw, err := g.inotify.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { // a file that is open has a last link less: that is an attribute
		unix.InotifyAddWatch(int(fd), path, unix.IN_ATTRIB|unix.IN_MOVE_SELF)
	})
}

func (g *guard) close() {
	if g.inotify != nil {
		g.inotify.Close()
	}
}
