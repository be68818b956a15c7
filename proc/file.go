package proc

import (
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// pidFile returns the path of a file of a process.
func pidFile(proc string, pid int, name string) string {
	return proc + "/" + strconv.Itoa(pid) + "/" + name
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
