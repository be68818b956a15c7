package cgroup

import (
	"errors"

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

// readAt reads a whole file into buf, which grows on the heap only if the file is
// longer. Lists (cgroup.procs) come in pieces, so only an empty read is the end.
func readAt(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n := 0
	for {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		m, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case m == 0:
			return buf[:n], nil
		default:
			n += m
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
	if err == unix.ENOENT && unix.Access(g.path, unix.F_OK) == nil {
		return errors.ErrUnsupported
	}
	return err
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
