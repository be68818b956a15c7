package logs

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

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

func (s logSink) pause() time.Duration {
	if s.l.held.Load() > 0 && s.l.told.Load() == nil { // it waits for a reader, not for a disk
		return heldDelay
	}
	return retryDelay
}

// heldDelay is how soon it is looked whether a reader has come so far that the writers can
// go on.
const heldDelay = 20 * time.Millisecond

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
	if !last && l.isAhead() {
		return 0, true
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
	if isFull(err) && len(old) == 1 && !l.isHeld(end) { // no archive can make room for a file: this one can
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
	next := func() int64 { // where the oldest ends
		if len(old) > 1 {
			return old[1].base
		}
		return l.cur.base
	}
	for len(old) > 0 && !l.isHeld(next()) && (len(old) >= l.opt.MaxFiles || total > l.opt.MaxTotal-l.opt.MaxSize) {
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
	return err == nil && len(list) > 1 && !l.isHeld(list[1].base) && list[0].remove() == nil
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
