package notify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is how long the path of a socket can be: sun_path without its NUL.
const maxPath = 107

// Listen makes a socket with a name that only one user can send to, besides root. It is in
// blocking mode: whoever else holds it is not to be woken by what arrives.
//
// Errors: fs.ErrExist if there is a file of that name; fs.ErrNotExist if there is no such
// directory.
func Listen(path string, uid int) (socket *os.File, err error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the path of a socket has at most %d bytes, and %s has %d: give another directory with -runtime", maxPath, path, len(path))
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	socket = os.NewFile(uintptr(fd), path)
	defer func() {
		if err != nil {
			socket.Close()
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt SO_PASSCRED", err)
	}
	if err := unix.Fchmod(fd, 0o600); err != nil { // that of the file, from the first moment on
		return nil, os.NewSyscallError("fchmod", err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	if err == unix.EADDRINUSE {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, &os.PathError{Op: "bind", Path: path, Err: err}
	}
	if uid == os.Geteuid() {
		return socket, nil
	}
	if err := os.Lchown(path, uid, -1); err != nil {
		os.Remove(path)
		return nil, err
	}
	return socket, nil
}

// ListenAnew is Listen in the place of a socket that nobody holds any more.
func ListenAnew(path string, uid int) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return Listen(path, uid)
}

// ListenIn is Listen with the next number of a directory that is free, counting from first.
// It returns the number too.
func ListenIn(dir string, first uint64, uid int) (socket *os.File, number uint64, err error) {
	for number = first; ; number++ {
		socket, err = Listen(filepath.Join(dir, strconv.FormatUint(number, 10)), uid)
		if !errors.Is(err, fs.ErrExist) {
			return socket, number, err
		}
	}
}

// Receiver reads what arrives at a socket.
type Receiver struct {
	file *os.File
	raw  syscall.RawConn
}

// Open returns a receiver of a socket, which stays the caller's.
func Open(socket *os.File) (*Receiver, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	if controlErr := raw.Control(func(of uintptr) {
		if fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return
		}
		// The mode is that of all who hold it. Ours is set for the one moment in which
		// os.NewFile looks at it, and takes the descriptor for one that can be waited for.
		err = unix.SetNonblock(fd, true)
	}); controlErr != nil {
		return nil, controlErr
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	r := &Receiver{file: os.NewFile(uintptr(fd), socket.Name())}
	unix.SetNonblock(fd, false)
	if r.raw, err = r.file.SyscallConn(); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}

// Sender is the process that has sent a datagram, as the kernel says.
type Sender struct {
	PID int // 0: it is not seen from here
	UID int
}

// Wait waits for a datagram; after Close it returns os.ErrClosed.
func (r *Receiver) Wait() error {
	_, _, _, err := r.receive(nil, nil, unix.MSG_PEEK, true)
	return err
}

// Peek waits for a datagram, reads it into buf, and leaves it where it is. Of one that does
// not fit the beginning comes with ErrTooLong. After Close it returns os.ErrClosed.
func (r *Receiver) Peek(buf []byte) (data []byte, from Sender, err error) {
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)) // and no room for descriptors
	n, oobn, flags, err := r.receive(buf, oob, unix.MSG_PEEK, true)
	if err != nil {
		return nil, from, err
	}
	if credentials := credentialsIn(oob[:oobn]); credentials != nil {
		from = Sender{int(credentials.Pid), int(credentials.Uid)}
	} else {
		from.UID = -1
	}
	if flags&unix.MSG_TRUNC != 0 {
		err = ErrTooLong
	}
	return buf[:n], from, err
}

// Next takes the first datagram out of the socket. What came with it the kernel closes.
func (r *Receiver) Next() error {
	_, _, _, err := r.receive(nil, nil, 0, false)
	return err
}

// Waits reports whether a datagram is there. It never waits, for a Peek least of all.
func (r *Receiver) Waits() (is bool) {
	r.raw.Control(func(fd uintptr) { // Read would wait for the one that is under way
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		is = err == nil && n > 0
	})
	return is
}

// Close ends a Peek that waits.
func (r *Receiver) Close() { r.file.Close() }

func (r *Receiver) receive(buf, oob []byte, flags int, wait bool) (n, oobn, got int, err error) {
	closed := r.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, got, _, err = unix.Recvmsg(int(fd), buf, oob, flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			if err != unix.EINTR {
				return !wait || err != unix.EAGAIN
			}
		}
	})
	if closed != nil {
		return 0, 0, 0, os.ErrClosed
	}
	return n, oobn, got, os.NewSyscallError("recvmsg", err)
}

// credentialsIn finds the sender in control messages.
func credentialsIn(oob []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		if c, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return c
		}
	}
	return nil
}
