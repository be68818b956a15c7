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

	"golang.org/x/sys/unix"
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

// logSink is the end of a pump that moves to a log.
type logSink struct {
	l   *Log
	run uint64
}

func (s logSink) delay() time.Duration {
	if s.l.followers.Load() > 0 {
		return FollowDelay
	}
	return BatchDelay
}

func (s logSink) rest(since time.Time) {
	if !s.l.mu.TryLock() {
		return
	}
	defer s.l.mu.Unlock()
	if c := s.l.cur; c != nil && c.used.Before(since) {
		s.l.closeFiles()
	}
}

func (s logSink) end() {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.pump.Store(nil)
	s.l.noteMissing()
	s.l.closeFiles()
}

func (s logSink) failed(err error) { s.l.report(err) }

func (s logSink) lost(n int) { s.l.dropped.Add(uint64(n)) }

func (s logSink) take(fd, limit int, last bool) (n int, more bool) {
	l := s.l
	waiting := buffered(fd)
	if waiting == 0 {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.closeUnlessKept()
	if l.isRemoved() {
		return read(fd, limit, func([]byte) {})
	}
	now := l.m.now()
	if l.trouble != nil && now.Before(l.retry) && !last {
		return l.refuse(fd, limit, last)
	}
	for begged := false; n < limit; {
		k, want, err := l.move(fd, s.run, limit-n, now, n == 0)
		n += k
		switch {
		case err == errTurnOver:
			l.notify()
			return n, true
		case err == nil && (k == 0 || k < want && n >= waiting):
			l.notify()
			return n, false
		case isTooLarge(err) && l.cur != nil && l.cur.size > 0 && !l.cur.full: // the next one is not
			l.cur.full = true
		case outOfDescriptors(err) && !begged: // the others' files are open for the next turn only
			begged = true
			l.m.rest(now)
		case err != nil && !(isFull(err) && l.dropOldest()):
			l.notify()
			l.fail(err, now)
			k, more = l.refuse(fd, limit-n, last)
			return n + k, more
		}
	}
	l.notify()
	return n, true
}

// closeUnlessKept closes the current file at the end of a turn, where descriptors are few.
func (l *Log) closeUnlessKept() {
	if c, keep := l.cur, l.m.Keep; c != nil && keep != nil && !(keep(c.log.Fd()) && keep(c.idx.Fd())) {
		l.closeFiles()
	}
}

// errTurnOver is that the next file is for the next turn: a turn begins one at most,
// so that small files cost the others no time.
var errTurnOver = errors.New("the turn is over")

// move moves what the current file has room for. It is less than wanted only if
// the pipe is empty, or the disk full.
func (l *Log) move(fd int, run uint64, limit int, now time.Time, rotate bool) (n, want int, err error) {
	if err := l.ready(now, rotate); err != nil {
		return 0, 0, err
	}
	want, err = l.room(fd, run, limit, now, rotate)
	if err != nil || want == 0 {
		return 0, want, err
	}
	if err := l.cur.mark(now, run); err != nil {
		return 0, want, err
	}
	n, err = l.cur.splice(fd, want)
	return n, want, err
}

// ready has the current file open, and as it was left. Others may remove it, or
// write to it; then the log goes on in a new file, at the same offset.
func (l *Log) ready(now time.Time, rotate bool) error {
	if l.cur != nil && !l.cur.untouched() {
		l.closeFiles()
	}
	if l.cur == nil {
		var err error
		if l.cur, err = openWriter(l.dir, l.end); err != nil {
			return err
		}
		l.tidy()
		if l.trouble == nil {
			l.recallMissing()
		}
	}
	if l.cur.full {
		if !rotate {
			return errTurnOver
		}
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.trouble == nil {
		return nil
	}
	if err := l.sayMissing(now); err != nil {
		return err
	}
	l.trouble, l.missing = nil, 0
	l.told.Store(nil)
	return nil
}

// room is how many bytes may be written to the current file, which is the next one
// if it is time. The next one begins with a line, or with a run.
func (l *Log) room(fd int, run uint64, limit int, now time.Time, rotate bool) (int, error) {
	c := l.cur
	left := l.opt.MaxSize - c.size
	if l.opt.MaxTotal < math.MaxInt64 {
		left -= c.entries * entrySize
	}
	if now.Before(c.born) { // the clock was ahead
		c.born = now
	}
	if l.opt.MaxAge > 0 && c.size > 0 && now.Sub(c.born) >= l.opt.MaxAge {
		left = 0
	}
	if left > 0 {
		return int(min(int64(limit), left)), nil
	}
	if last, err := c.lastByte(); err != nil {
		return 0, err
	} else if last != '\n' && c.last.run == run && c.size-l.opt.MaxSize < peekSize {
		n, found := peekLine(fd)
		if !found {
			n = int(min(int64(n), peekSize-max(c.size-l.opt.MaxSize, 0)))
		}
		return min(n, limit), nil
	}
	if !rotate {
		return 0, errTurnOver
	}
	if err := l.rotate(); err != nil {
		return 0, err
	}
	return int(min(int64(limit), l.opt.MaxSize)), nil
}

// rotate begins the next file.
func (l *Log) rotate() error {
	end, last := l.cur.base+l.cur.size, l.cur.last
	old := append(l.cur.old, l.cur.segment)
	err := create(l.dir, end)
	if isFull(err) && len(old) == 1 { // no archive can make room for a file: this one can
		l.closeFiles()
		if err = old[0].remove(); err == nil {
			old, err = nil, create(l.dir, end)
		}
	}
	if err != nil {
		return err
	}
	l.closeFiles()
	c := &writer{segment: segment{dir: l.dir, base: end}, old: old, last: last}
	if err := c.open(); err != nil {
		return err
	}
	l.cur = c
	l.tidy()
	return nil
}

// tidy removes the files that are too many and has the others compressed.
func (l *Log) tidy() {
	old := l.cur.old
	total := int64(0) // of the old ones; the current file may grow to MaxSize beside them
	if l.opt.MaxTotal < math.MaxInt64 {
		for i := range old {
			if old[i].disk == 0 {
				old[i].disk = old[i].onDisk()
			}
			total += old[i].disk
		}
	}
	for len(old) > 0 && (len(old) >= l.opt.MaxFiles || total > l.opt.MaxTotal-l.opt.MaxSize) {
		total -= old[0].disk
		if err := old[0].remove(); err != nil {
			l.opt.Report(err)
		}
		old = old[1:]
	}
	l.cur.old = old
	if len(old) > 0 {
		l.m.pack.add(l)
	}
}

// packed notes that the size of a file on the disk has changed.
func (l *Log) packed(base int64) {
	if l.cur == nil {
		return
	}
	for i := range l.cur.old {
		if s := &l.cur.old[i]; s.base == base {
			s.disk = 0
		}
	}
}

// dropOldest makes room on the disk, if there is an archive.
func (l *Log) dropOldest() bool {
	list, err := segments(l.dir)
	return err == nil && len(list) > 1 && list[0].remove() == nil
}

// fail notes that nothing can be written.
func (l *Log) fail(err error, now time.Time) {
	if l.trouble == nil {
		what := "output is dropped until it can be written"
		switch {
		case outOfDescriptors(err):
			what = fmt.Sprintf("the process waits until its output can be written, for %v; then it is dropped", fewLimit)
		case l.opt.Block:
			what = "the process waits until its output can be written"
		}
		l.since = now
		said := fmt.Errorf("%s: %w", what, err)
		l.told.Store(&Trouble{now, said})
		l.opt.Report(said)
	}
	l.trouble, l.retry = err, now.Add(retryDelay)
	l.noteMissing()
}

// refuse is what take does when nothing can be written.
func (l *Log) refuse(fd, limit int, last bool) (n int, more bool) {
	waits := l.opt.Block || outOfDescriptors(l.trouble) && time.Since(l.since) < fewLimit
	if waits && !last {
		return 0, true
	}
	n, more = read(fd, limit, func([]byte) {})
	l.missing += uint64(n)
	l.dropped.Add(uint64(n))
	return n, more
}

// report is for those who do not hold mu.
func (l *Log) report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opt.Report(err)
}

// fewLimit is how long a lack of descriptors, which mostly passes in a moment, may
// keep a process waiting.
const fewLimit = 10 * time.Second

func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// isTooLarge is that a file has the most bytes that the file system or RLIMIT_FSIZE lets
// one have.
func isTooLarge(err error) bool { return errors.Is(err, unix.EFBIG) }

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

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
