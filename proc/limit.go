package proc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FileLimit returns how many files this process may have open (RLIMIT_NOFILE, soft; the
// Go runtime has raised it to the hard one, here and not for children).
func FileLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}

// A run keeps a descriptor in the keeper and in the worker for as long as it lives. The
// last ones are not for that: connections, files and the start of a worker need some at
// every moment. What is new must leave Reserve alone; what is there already, and is taken
// over, may use half of it.
const maxReserve = 64

// Reserve returns how many of a limit of open files are not for runs.
func Reserve(limit int) int { return min(maxReserve, limit/2) }

// startFiles is how many descriptors are open at once while a run is started.
const startFiles = 4

// Roomy reports whether so many descriptors are left that another run can begin to keep
// one. Descriptors are numbered from below: it opens as many as a start does, and looks
// at the numbers.
func Roomy() bool {
	limit := FileLimit()
	line := limit - Reserve(limit)
	for range startFiles {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err == unix.EBADF // there is no descriptor 0
		}
		defer unix.Close(fd)
		if fd >= line {
			return false
		}
	}
	return true
}

// Keepable reports whether a descriptor may be kept for a run that is there already.
func Keepable(fd uintptr) bool {
	limit := FileLimit()
	return int(fd) < limit-Reserve(limit)/2
}

// Cacheable reports whether a file may be kept open that can be opened again when it is
// needed: the numbers above half the limit are for runs and for what is needed now.
func Cacheable(fd uintptr) bool { return int(fd) < FileLimit()/2 }

// NoRoomError says that this process may not open enough files for its runs.
type NoRoomError struct {
	Runs  int // that live, or would
	Limit int
}

func (e *NoRoomError) Error() string {
	need := e.Runs + 2*maxReserve // some more can come
	return fmt.Sprintf("too many open files: %d runs and what else the daemon needs do not fit into its limit of %d (RLIMIT_NOFILE): start it with a higher one (ulimit -n %d in a shell, LimitNOFILE=%d in a unit)",
		e.Runs, e.Limit, need, need)
}

// Unwrap is the errno that would come of it.
func (e *NoRoomError) Unwrap() error { return unix.EMFILE }

// Room returns a *NoRoomError if so many runs do not fit.
func Room(runs int) error {
	if limit := FileLimit(); runs > limit-Reserve(limit) {
		return &NoRoomError{runs, limit}
	}
	return nil
}
