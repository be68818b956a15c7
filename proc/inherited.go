package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseInherited closes the descriptors above 2 that this process was started with, but
// for those that keep names. One that is held for ever keeps a pipe from ending and a
// lock from being free. Call it before Prepare, first thing in main.
//
// What this program has opened itself, the Go runtime included, is closed on exec; what
// came through an exec is not. So that flag tells them apart.
func CloseInherited(keep ...int) error {
	inherited, err := inheritedFiles()
	if err != nil {
		return fmt.Errorf("close what was inherited: %w", err)
	}
	for _, fd := range keep {
		delete(inherited, fd)
	}
	for fd := range inherited {
		unix.Close(fd)
	}
	return nil
}

// inheritedFiles are the descriptors above 2 that are not closed on exec.
func inheritedFiles() (map[int]bool, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) { // they are all taken: by others
		return inheritedBelow(1 << 16), nil
	}
	if err != nil {
		return nil, err
	}
	files := map[int]bool{}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && isInherited(fd) {
			files[fd] = true
		}
	}
	return files, nil
}

func inheritedBelow(limit int) map[int]bool {
	files := map[int]bool{}
	for fd := range limit {
		if isInherited(fd) {
			files[fd] = true
		}
	}
	return files
}

func isInherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return fd > 2 && err == nil && flags&unix.FD_CLOEXEC == 0
}

// Sockets are the descriptors that systemd has handed to this very process (sd_listen_fds,
// from 3 on), as LISTEN_PID and LISTEN_FDS say. Nothing else that a process is started
// with is the daemon's.
func Sockets(getenv func(string) string) (fds []int) {
	pid, err := strconv.Atoi(getenv("LISTEN_PID"))
	n, errN := strconv.Atoi(getenv("LISTEN_FDS"))
	if errors.Join(err, errN) != nil || pid != os.Getpid() || n > 1<<10 {
		return nil
	}
	for fd := 3; fd < 3+n; fd++ {
		fds = append(fds, fd)
	}
	return fds
}
