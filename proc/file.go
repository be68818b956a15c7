package proc

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// pidFile returns the path of a file of a process.
func pidFile(procDir string, pid int, name string) string {
	return procDir + "/" + strconv.Itoa(pid) + "/" + name
}

// readInto reads a small file into buf by one open, read and close: os.ReadFile
// allocates, asks for the size and registers with the poller, for several times the
// price. What does not fit is left out.
func readInto(path string, buf []byte) ([]byte, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	n, err := retry(func() (int, error) { return unix.Read(fd, buf) })
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return buf[:n], nil
}

// retry repeats a system call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// passing are the errnos of a shortage that ends. Nothing was learnt of what was asked.
var passing = []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EINTR, unix.EAGAIN}

// Passing reports whether err says nothing but that this process or the machine is short
// of something at the moment: of descriptors or memory. It is worth another try.
func Passing(err error) bool {
	return slices.ContainsFunc(passing, func(errno error) bool { return errors.Is(err, errno) })
}
