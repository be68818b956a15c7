package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// handedSocket is the listening socket that systemd has made and handed to this process, with
// its path; nil if there is none. systemd holds it too, so clients wait in it while there is no
// daemon, and its file is systemd's to make and to remove. What else is handed over stays open,
// and is for nobody.
func handedSocket(getenv func(string) string) (f *os.File, path string, err error) {
	fds := proc.Sockets(getenv)
	var wrong error
	for _, fd := range fds {
		at, err := socketPath(fd)
		switch {
		case err != nil:
			wrong = err
		case f != nil:
			return nil, "", fmt.Errorf("systemd has handed over the sockets %s and %s, and one is expected: have one ListenStream= in the socket unit", path, at)
		default:
			f, path = os.NewFile(uintptr(fd), at), at
		}
	}
	if f == nil && len(fds) == 1 {
		return nil, "", fmt.Errorf("the socket that systemd has handed over cannot be used: %w; ListenStream= with a path, SocketMode=0600, or 0660 and SocketGroup=, and SocketUser= of the daemon's user are expected in the socket unit", wrong)
	}
	return f, path, nil
}

// socketPath is the path of a listening stream socket of this user. To let in a group is for
// the socket unit to say; to let in everybody is its default, so that is taken for a slip.
func socketPath(fd int) (string, error) {
	for _, option := range []struct {
		name, want int
		wrong      string
	}{
		{unix.SO_DOMAIN, unix.AF_UNIX, "it is not a Unix socket"},
		{unix.SO_TYPE, unix.SOCK_STREAM, "it is not a stream socket"},
		{unix.SO_ACCEPTCONN, 1, "nobody listens on it"},
	} {
		switch value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option.name); {
		case err != nil:
			return "", os.NewSyscallError("getsockopt", err)
		case value != option.want:
			return "", errors.New(option.wrong)
		}
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	unixName, ok := name.(*unix.SockaddrUnix)
	if !ok || unixName.Name == "" || unixName.Name[0] == '@' {
		return "", errors.New("it has no path")
	}
	var st unix.Stat_t
	if err := unix.Lstat(unixName.Name, &st); err != nil {
		return "", &os.PathError{Op: "lstat", Path: unixName.Name, Err: err}
	}
	if st.Mode&0o007 != 0 {
		return "", fmt.Errorf("everybody can connect to %s (mode %04o)", unixName.Name, st.Mode&0o777)
	}
	if int(st.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%s is user %d's, and this daemon is user %d's", unixName.Name, st.Uid, os.Geteuid())
	}
	return unixName.Name, nil
}
