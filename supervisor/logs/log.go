package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how much of a log is kept. The zero value of each means its default.
type Options struct {
	// MaxSize is the size of a file in bytes; the next one is begun at the end of
	// the line that reaches it (but no more than 64 KiB later). Default 10 MiB.
	MaxSize int64
	// MaxFiles is how many files are kept, the current one included. Default 5.
	MaxFiles int
	// MaxAge is how old the first bytes of the current file may be when the next
	// are written. Default: any age.
	MaxAge time.Duration
	// MaxTotal is how much all files and indexes may take on the disk, in bytes (an
	// old file does so twice while it is compressed). The current file and its index
	// take a quarter of it at the most, and the rest of a line. Default: what
	// MaxSize and MaxFiles come to, and the indexes.
	MaxTotal int64
	// Block has the writers wait when nothing can be written, instead of dropping
	// what they write.
	Block bool
	// Report is told once when writing begins to fail, and of what goes wrong in
	// the background. It must not call the Log. Default: nobody is told.
	Report func(error)
}

func (o Options) check() (Options, error) {
	if o.MaxSize < 0 || o.MaxFiles < 0 || o.MaxAge < 0 || o.MaxTotal < 0 {
		return o, fmt.Errorf("limits of a log must not be negative: size %d, files %d, age %v, total %d", o.MaxSize, o.MaxFiles, o.MaxAge, o.MaxTotal)
	}
	if o.MaxSize == 0 {
		o.MaxSize = 10 << 20
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 5
	}
	if o.MaxTotal == 0 {
		o.MaxTotal = math.MaxInt64
	}
	o.MaxSize = min(o.MaxSize, max(o.MaxTotal/4, 1))
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return o, nil
}

// ErrRemoved is what is asked of a Log that was removed.
var ErrRemoved = errors.New("the log was removed")

// Log is what one process has written. Its methods may be called at once.
type Log struct {
	m         *Mover
	dir       string
	followers atomic.Int32
	held      atomic.Int64 // see Hold: 1 more than the offset; 0: for nobody

	// What readers ask for does not stand behind mu: a disk that hangs holds that.
	pump    atomic.Pointer[Pump] // nil: no run is moved from
	news    sync.Mutex
	removed bool          // guarded by news
	changed chan struct{} // guarded by news; closed at the next change; nil: nobody waits

	mu  sync.Mutex // held while something is written
	opt Options
	cur *writer // nil: no file is open
	end int64   // where it was when cur was closed

	trouble error     // why nothing can be written; nil: it can
	since   time.Time // of trouble
	retry   time.Time
	missing uint64 // bytes dropped since then

	// What is told of it does not wait for a disk.
	dropped atomic.Uint64           // bytes in all
	told    atomic.Pointer[Trouble] // nil: none
}

// Trouble is that nothing can be written.
type Trouble struct {
	Since time.Time
	Err   error // what becomes of the output, and why
}

// Open is the log in dir, which is made when the first byte comes. One Log at a
// time may be open for a directory. The error is of the options.
func (m *Mover) Open(dir string, o Options) (*Log, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	l := &Log{m: m, dir: dir, opt: o}
	m.pack.add(l) // what a former mover has rotated and not compressed
	return l, nil
}

// SetOptions replaces the options. They hold from the next write on.
func (l *Log) SetOptions(o Options) error {
	o, err := o.check()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opt = o
	return nil
}

// Move begins to move from fifo, which run writes to, to the log. One run at a
// time may: Finish the one before, then Move the next. Move takes fifo over, also
// when it fails. It must be a description of its own, opened
// O_RDONLY|O_NONBLOCK, since O_NONBLOCK is set on it. A log that was removed begins
// anew.
func (l *Log) Move(fifo *os.File, run uint64) (*Pump, error) {
	l.news.Lock()
	l.removed = false
	l.news.Unlock()
	p, err := l.m.start(fifo, logSink{l, run})
	if err == nil {
		l.pump.Store(p)
	}
	return p, err
}

// Hold keeps what stands behind an offset for a reader that must miss nothing, and has the
// writers wait when they are far ahead of it. A negative offset is nobody.
func (l *Log) Hold(off int64) { l.held.Store(max(off, -1) + 1) }

const (
	holdAhead  = 16 << 20 // how far ahead of the reader the writers may be
	holdBehind = 4 << 20  // what is kept behind it: bytes on their way to the reader may be lost
)

// isAhead reports whether the writers are to wait for the reader that the log is held for.
func (l *Log) isAhead() bool {
	held, end := l.held.Load(), l.end
	if l.cur != nil {
		end = l.cur.base + l.cur.size
	}
	return held > 0 && end-(held-1) >= holdAhead
}

// isHeld reports whether a file that ends at an offset must stay.
func (l *Log) isHeld(end int64) bool {
	held := l.held.Load()
	return held > 0 && end > held-1-holdBehind
}

// Dropped is how many bytes were not kept since the Log was opened because they
// could not be written, and since when nothing could be written when it was tried
// last (zero: it could). It is tried once a second while there is something to write.
func (l *Log) Dropped() (bytes uint64, since time.Time) {
	if t := l.told.Load(); t != nil {
		since = t.Since
	}
	return l.dropped.Load(), since
}

// Trouble is why nothing could be written when it was tried last; nil: it could.
func (l *Log) Trouble() *Trouble { return l.told.Load() }

// Remove deletes all of it. Those who follow get ErrRemoved.
func (l *Log) Remove() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news.Lock()
	l.removed = true
	l.news.Unlock()
	l.closeFiles()
	l.notify()
	return os.RemoveAll(l.dir)
}

func (l *Log) closeFiles() {
	if l.cur != nil {
		l.end = l.cur.base + l.cur.size
		l.cur.close()
		l.cur = nil
	}
}

// notify wakes those who wait for a change.
func (l *Log) notify() {
	l.news.Lock()
	defer l.news.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *Log) isRemoved() bool {
	l.news.Lock()
	defer l.news.Unlock()
	return l.removed
}

// nextChange is closed when something is written, or all removed.
func (l *Log) nextChange() (<-chan struct{}, error) {
	l.news.Lock()
	defer l.news.Unlock()
	if l.removed {
		return nil, ErrRemoved
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed, nil
}

// flush has on disk what was written until now.
func (l *Log) flush() {
	if p := l.pump.Load(); p != nil {
		p.Flush()
	}
}

// create makes the file that begins at base, empty.
func create(dir string, base int64) error {
	f, err := os.OpenFile(segment{dir: dir, base: base}.path(plainSuffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
