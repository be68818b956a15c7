package logs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writer is the current file of a log, open with its index. size is where the next
// byte goes, and the size of the file.
type writer struct {
	segment
	old      []segment // the files before it, as far as is known
	log, idx *os.File
	size     int64
	born     time.Time // when its first bytes were written
	used     time.Time // when bytes were written last, or it was opened
	last     entry
	entries  int64 // last included
	reads    bool  // splice cannot write to it
	full     bool  // it cannot grow (EFBIG)
}

// indexSpan is how far apart two entries of one run are at least.
const indexSpan = 10 * time.Millisecond

// openWriter opens the newest file in dir, or the next one if that ends before end
// or is an archive.
func openWriter(dir string, end int64) (*writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	list, err := segments(dir)
	if err != nil {
		return nil, err
	}
	c := &writer{segment: segment{dir: dir, base: end}}
	if n := len(list); n > 0 {
		size, err := list[n-1].size()
		if err != nil {
			return nil, err
		}
		if last := list[n-1].base + size; last >= end {
			c.base = last
			if list[n-1].plain {
				c.base = list[n-1].base
				list = list[:n-1]
			}
		}
	}
	c.old = list
	for _, s := range list[max(len(list)-2, 0):] {
		c.last = s.lastEntry() // of the run that a line of ours belongs to
	}
	return c, c.open()
}

// open opens the files of c, and makes what is missing.
func (c *writer) open() (err error) {
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.log, err = os.OpenFile(c.path(plainSuffix), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		return err
	}
	if c.idx, err = os.OpenFile(c.path(indexSuffix), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
		return err
	}
	if c.size, err = (plainFile{c.log}).Size(); err != nil {
		return err
	}
	if err := c.cutIndex(); err != nil {
		return err
	}
	return c.link()
}

// cutIndex forgets what stands in the index and not in the file.
func (c *writer) cutIndex() error {
	info, err := c.idx.Stat()
	if err != nil {
		return err
	}
	x := index{c.idx, int(info.Size() / entrySize)}
	c.entries = int64(x.first(func(e entry) bool { return e.off >= c.base+c.size }))
	if cut := c.entries * entrySize; cut != info.Size() {
		if err := c.idx.Truncate(cut); err != nil {
			return err
		}
	}
	if c.entries > 0 {
		c.last = x.at(int(c.entries - 1))
		c.born = time.Unix(0, x.at(0).at)
	}
	return nil
}

// link has the name current point to the file. A disk without room for it costs the
// name, not the output.
func (c *writer) link() error {
	link, target := c.dir+"/"+currentLink, fmt.Sprintf("%020d%s", c.base, plainSuffix)
	if at, err := os.Readlink(link); err == nil && at == target {
		return nil
	}
	os.Remove(link + unfinished)
	if err := os.Symlink(target, link+unfinished); isFull(err) {
		os.Remove(link)
		os.Symlink(target, link)
		return nil
	} else if err != nil {
		return err
	}
	return os.Rename(link+unfinished, link)
}

func (c *writer) close() {
	if c.log != nil {
		c.log.Close()
	}
	if c.idx != nil {
		c.idx.Close()
	}
}

// untouched reports whether the file is still at its path, as long as it was, and has
// its index. A directory above it may have been moved away.
func (c *writer) untouched() bool {
	var log, there, idx unix.Stat_t
	return unix.Fstat(int(c.log.Fd()), &log) == nil && unix.Stat(c.path(plainSuffix), &there) == nil &&
		unix.Fstat(int(c.idx.Fd()), &idx) == nil &&
		log.Ino == there.Ino && log.Dev == there.Dev && log.Size == c.size && idx.Nlink > 0
}

// mark notes when the next bytes are written, and by which run. It stands before
// they do, so that no bytes are without.
func (c *writer) mark(now time.Time, run uint64) error {
	c.used = now
	e := entry{off: c.base + c.size, at: now.UnixNano() &^ 1, run: run}
	at := c.entries
	if at > 0 {
		e.back = c.last.back || e.at < c.last.at
		switch {
		case c.last.off == e.off: // nothing came of it
			at--
		case c.last.run == run && c.last.at <= e.at && e.at-c.last.at < int64(indexSpan):
			return nil // a clock that was set back has an entry
		}
	}
	var p [entrySize]byte
	e.put(p[:])
	if n, err := c.idx.WriteAt(p[:], at*entrySize); err != nil {
		if n > 0 {
			c.idx.Truncate(c.entries * entrySize)
		}
		return err
	}
	if at == 0 {
		c.born = now
	}
	c.last, c.entries = e, at+1
	return nil
}

// splice moves up to want bytes from the pipe fd to the end of the file.
func (c *writer) splice(fd, want int) (int, error) {
	if c.reads {
		return c.copy(fd, want)
	}
	off := c.size
	n, err := unix.Splice(fd, nil, int(c.log.Fd()), &off, want, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	for err == unix.EINTR {
		n, err = unix.Splice(fd, nil, int(c.log.Fd()), &off, want, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	}
	switch {
	case err == unix.EAGAIN:
		return 0, nil
	case err == unix.EINVAL: // this file system has no splice
		c.reads = true
		return c.copy(fd, want)
	case err != nil:
		return 0, &os.PathError{Op: "splice to", Path: c.log.Name(), Err: err}
	}
	c.size += n
	return int(n), nil
}

// copy is splice by read and write, of a copy of what the pipe has: the pipe keeps
// what could not be written.
func (c *writer) copy(fd, want int) (n int, err error) {
	var failed error
	err = peek(fd, min(want, peekSize), func(p []byte) {
		for len(p) > 0 && failed == nil {
			var k int // File.WriteAt does not tell it where there is an error
			if k, failed = unix.Pwrite(int(c.log.Fd()), p, c.size); failed == unix.EINTR {
				failed = nil
			} else if k == 0 && failed == nil { // no progress would be made for ever
				failed = io.ErrShortWrite
			}
			k = max(k, 0)
			c.size += int64(k)
			n, p = n+k, p[k:]
		}
	})
	read(fd, n, func([]byte) {})
	if failed != nil {
		err = &os.PathError{Op: "write", Path: c.log.Name(), Err: failed}
	}
	return n, err
}

// say writes a line of our own, whole or not at all.
func (c *writer) say(line string, now time.Time) error {
	if last, err := c.lastByte(); err != nil {
		return err
	} else if last != '\n' {
		line = "\n" + line
	}
	if err := c.mark(now, c.last.run); err != nil {
		return err
	}
	if _, err := c.log.WriteAt([]byte(line), c.size); err != nil {
		c.log.Truncate(c.size) // should it fail, the file is not as it was left
		return err
	}
	c.size += int64(len(line))
	return nil
}

// lastByte is '\n' for an empty file.
func (c *writer) lastByte() (byte, error) {
	if c.size == 0 {
		return '\n', nil
	}
	var p [1]byte
	if _, err := c.log.ReadAt(p[:], c.size-1); err != nil && err != io.EOF {
		return 0, err
	}
	return p[0], nil
}

const peekSize = 64 << 10

// peekLine is how many bytes of the pipe fd belong to its first line. When no line
// ends in it, found is false, and n what is there.
func peekLine(fd int) (n int, found bool) {
	err := peek(fd, peekSize, func(p []byte) {
		if found {
			return
		}
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			n += i + 1
			found = true
		} else {
			n += len(p)
		}
	})
	if err != nil {
		return peekSize, false
	}
	return n, found
}

// peek gives up to limit bytes of the pipe fd to f, in pieces, and leaves them there.
func peek(fd, limit int, f func([]byte)) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for {
		n, err := unix.Tee(fd, pipe[1], limit, unix.SPLICE_F_NONBLOCK)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n > 0 {
			read(pipe[0], int(n), f)
		}
		return nil
	}
}
