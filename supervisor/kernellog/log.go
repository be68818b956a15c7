package kernellog

import (
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	maxRecord = 8192    // bytes, of the kernel's too
	maxKept   = 1024    // kills
	maxAtOnce = 1 << 17 // records of one look: the log itself holds fewer, as a rule
)

// Log is the kernel's log. Its methods may be called from several goroutines.
type Log struct {
	path string

	mu     sync.Mutex
	fd     int // -1: it is not open
	reader reader
	kills  []Kill // the last, the oldest first
	closed bool
}

// New is the log at path, normally /dev/kmsg, which is opened when it is first looked at.
func New(path string) *Log { return &Log{path: path, fd: -1} }

// Kills are those in a group and the groups below it, as far as the log has them, the oldest
// first.
//
// Errors: fs.ErrPermission where this user may not read the log (without CAP_SYSLOG, where
// the sysctl kernel.dmesg_restrict is 1), fs.ErrNotExist where there is none, as in a container.
func (l *Log) Kills(group string) (kills []Kill, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.read()
	for _, k := range l.kills {
		if Holds(group, k.Group) {
			kills = append(kills, k)
		}
	}
	return kills, err
}

// read takes up what was written since the last look.
func (l *Log) read() (err error) {
	defer func() {
		if err != nil {
			err = &fs.PathError{Op: "read", Path: l.path, Err: err}
		}
	}()
	if l.closed {
		return fs.ErrClosed
	}
	if l.fd < 0 {
		fd, err := unix.Open(l.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		l.fd = fd
	}
	buf := make([]byte, maxRecord)
	for range maxAtOnce {
		n, err := unix.Read(l.fd, buf)
		switch {
		case err == unix.EAGAIN || err == nil && n == 0:
			return nil
		case err == unix.EPIPE || err == unix.EINTR: // what comes next was dropped: go on with the oldest
			continue
		case err != nil:
			return err
		}
		if rec, ok := parseRecord(buf[:n]); ok {
			if k, ok := l.reader.take(rec); ok {
				l.keep(k)
			}
		}
	}
	return fmt.Errorf("more than %d records", maxAtOnce)
}

func (l *Log) keep(k Kill) {
	if len(l.kills) == maxKept {
		l.kills = append(l.kills[:0], l.kills[maxKept/2:]...)
	}
	l.kills = append(l.kills, k)
}

// Close closes it for good.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.fd < 0 {
		return nil
	}
	err := unix.Close(l.fd)
	l.fd = -1
	return err
}
