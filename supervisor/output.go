package supervisor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outlet takes a process's output, as bytes in the order in which they were
// written. One run at a time writes to it; Last may be called at any moment.
type outlet interface {
	Write(p []byte) (int, error)
	// Last is the last lines; 0 means all that is kept (at most maxLast).
	Last(lines int) ([]byte, error)
	// Rest is called when a run has ended: descriptors can be closed.
	Rest() error
	// Remove forgets all of it.
	Remove() error
}

// maxLast is how much output one answer holds at the most.
const maxLast = 16 << 20

// capture moves what one run writes from its FIFO to an outlet.
//
// The FIFO has a name, so that a daemon that comes later finds it, and the tree
// has it O_RDWR: it is no broken pipe while anybody holds it.
type capture struct {
	path   string
	reader *os.File
	to     outlet
	done   chan struct{}
	failed func(error)
	broken error // the last error of to, said once
}

var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// newCapture makes the FIFO at path and begins to move. The tree's end is the
// caller's to close. failed is told when to does not take any more, once.
func newCapture(path string, to outlet, failed func(error)) (c *capture, tree *os.File, err error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) // os.OpenFile makes it non-blocking
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	tree = os.NewFile(uintptr(fd), path)
	if c, err = openCapture(path, path, to, failed); err != nil {
		tree.Close()
	}
	return c, tree, err
}

// openCapture begins to move from the FIFO at path, which is opened by the name
// it has or by that of a descriptor in /proc.
func openCapture(path, openBy string, to outlet, failed func(error)) (*capture, error) {
	// An open description of our own: O_NONBLOCK must not show in the tree's.
	reader, err := unix.Open(openBy, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: openBy, Err: err}
	}
	c := &capture{path: path, reader: os.NewFile(uintptr(reader), path), to: to, done: make(chan struct{}), failed: failed}
	go c.move()
	return c, nil
}

// move waits for bytes without a buffer, so that a quiet run costs none.
func (c *capture) move() {
	defer close(c.done)
	raw, err := c.reader.SyscallConn()
	if err != nil {
		return
	}
	for err == nil {
		err = raw.Read(func(fd uintptr) bool { return c.copy(fd) > 0 })
	}
}

// copy moves what one read gives, and returns how much that was.
func (c *capture) copy(fd uintptr) int {
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := unix.Read(int(fd), buf[:])
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), buf[:])
	}
	if n <= 0 {
		return 0
	}
	if _, err := c.to.Write(buf[:n]); err != nil && !errors.Is(err, c.broken) {
		c.failed(fmt.Errorf("output is dropped: %w", err))
		c.broken = errors.Unwrap(err)
	}
	return n
}

// finish moves what is left when nobody is left to write, and removes the FIFO.
// Somebody who left the group can write for ever, so it takes at most what a
// pipe can hold.
func (c *capture) finish() {
	c.reader.SetReadDeadline(time.Unix(1, 0))
	<-c.done
	if raw, err := c.reader.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			size, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
			if err != nil {
				size = 1 << 20
			}
			for n := 1; n > 0 && size > 0; size -= n {
				n = c.copy(fd)
			}
		})
	}
	c.reader.Close()
	os.Remove(c.path)
}

// fileOutlet keeps output in <dir>/output.log, opened when it is needed.
type fileOutlet struct {
	dir string

	mu   sync.Mutex
	file *os.File
}

func (o *fileOutlet) path() string { return o.dir + "/output.log" }

func (o *fileOutlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		if err := os.MkdirAll(o.dir, 0o700); err != nil {
			return 0, err
		}
		f, err := os.OpenFile(o.path(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return 0, err
		}
		o.file = f
	}
	return o.file.Write(p)
}

func (o *fileOutlet) Rest() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	return err
}

func (o *fileOutlet) Remove() error { return os.RemoveAll(o.dir) }

// Last reads the file from its end.
func (o *fileOutlet) Last(lines int) ([]byte, error) {
	f, err := os.Open(o.path())
	if errors.Is(err, syscall.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size()
	var kept []byte
	for from := end; from > 0 && len(kept) < maxLast; {
		const block = 64 << 10
		n := min(from, block)
		from -= n
		more := make([]byte, n, int(n)+len(kept))
		if _, err := f.ReadAt(more, from); err != nil {
			return nil, err
		}
		kept = append(more, kept...)
		if tail := lastLines(kept, lines); len(tail) < len(kept) {
			return tail, nil
		}
	}
	return kept, nil
}

// lastLines is the last n lines of p, all of it for 0. A last line without an
// end counts.
func lastLines(p []byte, n int) []byte {
	if n == 0 {
		return p
	}
	for i := len(p) - 2; i >= 0; i-- { // the byte at the end ends the last line, or is in it
		if p[i] == '\n' {
			if n--; n == 0 {
				return p[i+1:]
			}
		}
	}
	return p
}
