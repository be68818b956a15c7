package telnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// ErrUntrustedServer says that a socket belongs to neither root nor ourselves.
// No secret was sent to it.
var ErrUntrustedServer = errors.New("server is neither root nor the same user")

// PeerUID returns the user at the other end of a Unix socket (SO_PEERCRED): for
// a client the one who listens, for a server the one who connected. Other
// connections are an error.
func PeerUID(conn net.Conn) (int, error) {
	cred, err := peer(conn)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

func peer(conn net.Conn) (*syscall.Ucred, error) {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("peer credentials: %T is no Unix socket", conn)
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, credErr); err != nil {
		return nil, fmt.Errorf("peer credentials: %w", err)
	}
	return cred, nil
}

// checkServer refuses a Unix socket on which somebody else listens.
func checkServer(conn net.Conn) error {
	if _, ok := conn.(*net.UnixConn); !ok {
		return nil
	}
	uid, err := PeerUID(conn)
	if err != nil {
		return err
	}
	if uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%w: user %d listens there", ErrUntrustedServer, uid)
	}
	return nil
}

// awaitHangup returns when the other end is gone. The end of its input is not
// enough: a client that shuts down its writing side still reads. A read deadline
// in the past ends the wait. What is no socket is gone with its input.
//
// A TCP client that goes away looks like one that still reads until something
// is sent to it; keep-alive probes do that in the end.
func awaitHangup(conn net.Conn) {
	if raw := rawConn(conn); raw != nil {
		// The runtime's poller wakes us on each change of state.
		raw.Read(func(fd uintptr) bool { return hungUp(fd, 0) })
	}
}

// isHungUp is hungUp of a connection.
func isHungUp(conn net.Conn, events int16) (is bool) {
	if raw := rawConn(conn); raw != nil {
		raw.Control(func(fd uintptr) { is = hungUp(fd, events) })
	}
	return is
}

// rawConn is nil for what is no socket, or is closed.
func rawConn(conn net.Conn) syscall.RawConn {
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// pollRDHup is for the end of the other end's output, see poll(2).
const pollRDHup = 0x2000

// hungUp reports whether the other end is gone, or one of the events is there. It
// asks poll(2), which the standard library does not have by name: clients
// pull this package in and are to need nothing beyond it.
func hungUp(fd uintptr, events int16) bool {
	asked := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: events} // errors and hang-ups are told unasked
	var now syscall.Timespec // no wait
	n, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&asked)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0 && n > 0
}
