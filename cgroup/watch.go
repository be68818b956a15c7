package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrTooManyWatches: the user's limit of inotify watches is reached.
var ErrTooManyWatches = errors.New("no more inotify watches: raise the sysctl fs.inotify.max_user_watches")

// ErrTooManyInstances: the user's limit of inotify instances is reached, or ours of
// open files; the kernel says EMFILE for both.
var ErrTooManyInstances = errors.New("no more inotify instances: raise the sysctl fs.inotify.max_user_instances, or the limit of open files")

// Watch tells of changes of cgroup.events, memory.events and pids.events, for any number of groups,
// with one inotify instance and one goroutine. The kernel merges changes that follow each
// other within 10 ms and always tells of the last.
type Watch struct {
	file *os.File
	done chan struct{}

	mu      sync.Mutex
	watches map[int32]map[*watched]struct{} // by watch descriptor: one per group, however often it was added
	closed  bool
}

type watched struct{ notify func() }

// NewWatch starts a Watch; Close ends it.
func NewWatch() (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == unix.EMFILE {
		err = ErrTooManyInstances
	}
	if err != nil {
		return nil, fmt.Errorf("cgroup: inotify: %w", err)
	}
	w := &Watch{
		file:    os.NewFile(uintptr(fd), "inotify"),
		done:    make(chan struct{}),
		watches: map[int32]map[*watched]struct{}{},
	}
	go w.loop()
	return w, nil
}

// Add has notify called after each change of the group's cgroup.events, and may
// call it without one. It does not say what is so already: read Events after Add.
// notify runs in the goroutine of the Watch, so it must not wait; it may call
// remove and Add. A call under way may outlast remove.
//
// remove ends it, at any time, once or more often; call it also when the group is
// gone, for the kernel keeps the watch.
//
// Errors: fs.ErrNotExist, ErrTooManyWatches, os.ErrClosed.
func (w *Watch) Add(g Group, notify func()) (remove func(), err error) {
	return w.add(g, "cgroup.events", notify)
}

// AddMemory is Add for the group's memory.events, nested groups included.
//
// Errors: as of Add; errors.ErrUnsupported where the group has no memory controller.
func (w *Watch) AddMemory(g Group, notify func()) (remove func(), err error) {
	return w.add(g, "memory.events", notify)
}

// AddPids is Add for the group's pids.events, nested groups included.
//
// Errors: as of Add; errors.ErrUnsupported where the group has no pids controller.
func (w *Watch) AddPids(g Group, notify func()) (remove func(), err error) {
	return w.add(g, "pids.events", notify)
}

func (w *Watch) add(g Group, file string, notify func()) (remove func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	path := g.file(file)
	if w.closed {
		return nil, &Error{Op: "watch", Path: path, Err: os.ErrClosed}
	}
	var n int
	err = w.control(func(fd int) (err error) {
		n, err = unix.InotifyAddWatch(fd, path, unix.IN_MODIFY)
		return err
	})
	if err == unix.ENOSPC {
		err = ErrTooManyWatches
	}
	if err != nil {
		return nil, &Error{Op: "watch", Path: path, Err: g.absent(err)}
	}
	wd, entry := int32(n), &watched{notify}
	if w.watches[wd] == nil {
		w.watches[wd] = map[*watched]struct{}{}
	}
	w.watches[wd][entry] = struct{}{}
	return func() { w.remove(wd, entry) }, nil
}

// remove takes back one Add. Watch descriptors are handed out in a circle of 2^31,
// so an old one does not soon mean another group; the entry decides all the same.
func (w *Watch) remove(wd int32, entry *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entries := w.watches[wd]
	if _, ok := entries[entry]; !ok || w.closed {
		return
	}
	if delete(entries, entry); len(entries) > 0 {
		return
	}
	delete(w.watches, wd)
	// EINVAL: the kernel has dropped it already, and its IN_IGNORED is on the way.
	w.control(func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(wd))
		return err
	})
}

// control calls f with the descriptor, without the change to blocking mode that
// os.File.Fd would bring.
func (w *Watch) control(f func(fd int) error) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Close ends the Watch. When it has returned, notify is not called any more; it
// must not be called from notify.
func (w *Watch) Close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	err := w.file.Close()
	<-w.done
	return err
}

func (w *Watch) loop() {
	defer close(w.done)
	var buf [64 * unix.SizeofInotifyEvent]byte // names follow only events of directories
	for {
		n, err := w.file.Read(buf[:])
		if err != nil {
			return // closed: nothing else ends a read of inotify
		}
		for data := buf[:n]; len(data) >= unix.SizeofInotifyEvent; {
			wd := int32(binary.NativeEndian.Uint32(data))
			mask := binary.NativeEndian.Uint32(data[4:])
			length := int(binary.NativeEndian.Uint32(data[12:]))
			data = data[min(unix.SizeofInotifyEvent+length, len(data)):]
			for _, entry := range w.take(wd, mask) {
				entry.notify()
			}
		}
	}
}

// take returns whom an event concerns: all, if the kernel had to drop some.
func (w *Watch) take(wd int32, mask uint32) (entries []*watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for _, m := range w.watches {
			for e := range m {
				entries = append(entries, e)
			}
		}
		return entries
	}
	for e := range w.watches[wd] {
		entries = append(entries, e)
	}
	if mask&unix.IN_IGNORED != 0 { // the group is gone, and with it the watch
		delete(w.watches, wd)
	}
	return entries
}
