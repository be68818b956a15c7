package cgroup

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Every file of cgroupfs is opened here. A file is named by a directory
// descriptor and a name relative to it, or by unix.AT_FDCWD and a path.

func openAt(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// openKnown is openAt for a name that ends in NUL, as the kernel has it: it makes nothing on
// the heap, where openAt makes such a name each time.
func openKnown(dir int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC
	for {
		fd, _, err := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.StringData(name))), flags, 0, 0, 0)
		switch err {
		case 0:
			return int(fd), nil
		case unix.EINTR:
		default:
			return -1, err
		}
	}
}

// readAt reads a whole file into buf, which grows on the heap only if the file is
// longer. The kernel gives such a file in one piece: what leaves room in buf is all.
// Lists (cgroup.procs) come in several, see readListAt.
func readAt(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return readPiece(fd, buf)
}

// readKnown is readAt for a name as of openKnown.
func readKnown(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openKnown(dir, name)
	if err != nil {
		return nil, err
	}
	return readPiece(fd, buf)
}

func readPiece(fd int, buf []byte) ([]byte, error) {
	return readPieces(fd, buf, func(n, room int) bool { return n < room })
}

// readListAt is readAt for a list, where only an empty piece is the end.
func readListAt(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return readPieces(fd, buf, func(n, _ int) bool { return n == 0 })
}

// readPieces reads until a piece of n bytes, where there was room for more, is the last, and
// closes the file.
func readPieces(fd int, buf []byte, last func(n, room int) bool) ([]byte, error) {
	defer unix.Close(fd)
	n := 0
	for {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		room := len(buf) - n
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n += m; last(m, room) {
			return buf[:n], nil
		}
	}
}

func writeAt(dir int, name, value string) error {
	fd, err := openAt(dir, name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		if _, err = unix.Write(fd, []byte(value)); err != unix.EINTR {
			return err
		}
	}
}

// absent tells a file that the group does not have from a group that is gone.
func (g Group) absent(err error) error {
	if err != unix.ENOENT {
		return err
	}
	if there := unix.Access(g.path, unix.F_OK); there != nil {
		return there // only ENOENT says that it is gone
	}
	return errors.ErrUnsupported
}

func (g Group) read(name string, buf []byte) ([]byte, error) {
	path := g.file(name)
	data, err := readAt(unix.AT_FDCWD, path, buf)
	if err != nil {
		return nil, &Error{Op: "read", Path: path, Err: g.absent(err)}
	}
	return data, nil
}

func (g Group) write(name, value string) error {
	path := g.file(name)
	if err := writeAt(unix.AT_FDCWD, path, value); err != nil {
		return &Error{Op: "write", Path: path, Value: value, Err: g.absent(err)}
	}
	return nil
}
