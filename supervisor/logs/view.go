package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// view reads the files of a log as one stream of bytes. Where a file is missing,
// or shorter than it was, there is a gap, which is skipped.
type view struct {
	dir  string
	list []segment

	// The file that is open, with its index (nil: none).
	cur  segment
	data content
	idx  *os.File
	// times goes forward in the index of cur.
	times timeline
	// one is a range of bytes in cur that one run wrote.
	one span
}

func (v *view) refresh() (err error) {
	v.list, err = segments(v.dir)
	return err
}

func (v *view) close() {
	if v.data != nil {
		v.data.Close()
		v.data = nil
	}
	if v.idx != nil {
		v.idx.Close()
		v.idx = nil
	}
}

// use opens s. It may have been removed: fs.ErrNotExist.
func (v *view) use(s segment) (err error) {
	if v.data != nil && v.cur.base == s.base {
		return nil
	}
	v.close()
	if v.data, err = s.open(); err != nil {
		v.data = nil
		return err
	}
	v.cur, v.times, v.one = s, timeline{}, span{}
	if v.idx, err = os.Open(s.path(indexSuffix)); err != nil {
		v.idx = nil // its lines have no times
	}
	return nil
}

// index is that of the open file.
func (v *view) index() index {
	if v.idx == nil {
		return index{}
	}
	info, err := v.idx.Stat()
	if err != nil {
		return index{}
	}
	return index{v.idx, int(info.Size() / entrySize)}
}

// size is that of the open file.
func (v *view) size() (int64, error) { return v.data.Size() }

// over calls f with each file open, from the newest to the oldest, until it returns
// false.
func (v *view) over(f func() (bool, error)) error {
	for try := range 3 {
		if try > 0 { // all that were listed are removed by now
			if err := v.refresh(); err != nil {
				return err
			}
		}
		opened := len(v.list) == 0
		for i := len(v.list) - 1; i >= 0; i-- {
			err := v.use(v.list[i])
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed, and so are those before
			}
			if err != nil {
				return err
			}
			opened = true
			if more, err := f(); err != nil || !more {
				return err
			}
		}
		if opened {
			break
		}
	}
	return nil
}

// start is the offset of the first byte that is kept.
func (v *view) start() int64 {
	if len(v.list) == 0 {
		return 0
	}
	return v.list[0].base
}

// end is the offset behind the last byte.
func (v *view) end() (end int64, err error) {
	err = v.over(func() (bool, error) {
		n, err := v.size()
		end = v.cur.base + n
		return false, err
	})
	return end, err
}

// first is the offset of the first entry for which f is true; all later ones must
// be so too. None is math.MaxInt64.
func (v *view) first(f func(entry) bool) (off int64, err error) {
	off = math.MaxInt64
	err = v.over(func() (bool, error) {
		x := v.index()
		size, err := v.size()
		if err != nil || x.n == 0 {
			return true, err
		}
		i := x.first(f)
		if i < x.n {
			if e := x.at(i); e.off < v.cur.base+size { // else nothing came of it
				off = e.off
			}
		}
		return i == 0, nil
	})
	return off, err
}

// span is a range of bytes.
type span struct{ from, to int64 }

// within are the lines of a range that q's times hold for, in order. Without any, it is
// one empty span where they would be. A line has the time of its first byte.
func (v *view) within(q Query, in span) ([]span, error) {
	late := func(at int64) bool { return !q.Until.IsZero() && !time.Unix(0, at).Before(q.Until) }
	wanted := func(at int64) bool {
		return !late(at) && (q.Since.IsZero() || !time.Unix(0, at).Before(q.Since))
	}
	var turns []int64 // where lines begin to be wanted, and cease to be, by turns
	end := in.to      // where the first one begins that is too late
	is := false
	note := func(off, at int64) {
		off = min(max(off, in.from), in.to)
		if wanted(at) != is {
			turns, is = append(turns, off), !is
		}
		if late(at) {
			end = min(end, off)
		}
	}
	note(in.from, 0) // what has no entry
	for _, s := range v.list {
		err := s.withIndex(func(x index) error {
			return x.changes(q.Since, q.Until, func(e entry) { note(e.off, e.at) })
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if is {
		turns = append(turns, in.to)
	}
	turns = append(turns, end)
	for i, off := range turns {
		if off == in.from {
			continue
		}
		var err error
		if turns[i], err = v.lineStart(off, in.to); err != nil {
			return nil, err
		}
	}
	var spans []span
	for ; len(turns) > 1; turns = turns[2:] {
		if turns[0] < turns[1] {
			spans = append(spans, span{turns[0], turns[1]})
		}
	}
	if len(spans) == 0 {
		spans = []span{{turns[0], turns[0]}}
	}
	return spans, nil
}

// runStarts are the offsets in [from, to) of the open file at which another run begins
// than wrote the byte before. There a line begins, whatever the run before has left.
func (v *view) runStarts(from, to int64) (starts []int64) {
	if v.one.from <= from && to <= v.one.to {
		return nil
	}
	x := v.index()
	i := x.first(func(e entry) bool { return e.off >= from })
	if i == x.n {
		return nil
	}
	run := v.runBefore(x, i)
	if run == 0 { // not known
		run = x.at(i).run
	}
	next := max(i, x.first(func(e entry) bool { return e.run > run }))
	v.one = span{from, x.at(min(next, x.n-1)).off}
	if next == x.n || v.one.to >= to {
		return nil
	}
	x.each(next, x.first(func(e entry) bool { return e.off >= to }), func(e entry) { // what cannot be read begins no run
		if e.run != run {
			starts, run = append(starts, e.off), e.run
		}
	})
	return starts
}

// runBefore is the run of the entry before entry i of the open file; 0: not known.
func (v *view) runBefore(x index, i int) (run uint64) {
	if i > 0 {
		return x.at(i - 1).run
	}
	for i := len(v.list) - 1; i >= 0 && run == 0; i-- {
		if s := v.list[i]; s.base < v.cur.base {
			run = s.lastEntry().run
		}
	}
	return run
}

// read gives bytes from off on, or from the first offset behind it where there are
// some, which it returns. 0 bytes are the end, for now.
func (v *view) read(p []byte, off int64) (n int, at int64, err error) {
	for fresh := false; ; {
		next := int64(math.MaxInt64)
		var s *segment
		for i := len(v.list) - 1; i >= 0; i-- {
			if v.list[i].base <= off {
				s = &v.list[i]
				break
			}
			next = v.list[i].base
		}
		if v.data != nil && v.cur.base <= off && (s == nil || s.base <= v.cur.base) {
			s = &v.cur // also when it is removed by now
		}
		if s != nil {
			err := v.use(*s)
			if err == nil {
				n, err = v.data.ReadAt(p, off-v.cur.base)
				if n > 0 {
					v.times.dry = false
					return n, off, nil
				}
				if err == io.EOF {
					err = nil
				}
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return 0, off, err
			}
		}
		switch {
		case !fresh: // there may be a next one, and then more in this one
			if err := v.refresh(); err != nil {
				return 0, off, err
			}
			fresh = true
		case next == math.MaxInt64:
			return 0, off, nil
		default:
			off, fresh = next, false
		}
	}
}

// readFull reads what [from, to) has.
func (v *view) readFull(from, to int64) ([]byte, error) {
	p := make([]byte, 0, to-from)
	for off := from; off < to; {
		n, at, err := v.read(p[len(p):cap(p)], off)
		if err != nil || n == 0 || at >= to {
			return p, err
		}
		n = min(n, int(to-at))
		p = p[:len(p)+n]
		off = at + int64(n)
	}
	return p, nil
}

// lineStart is off if a line begins there, else where the next one does, end if
// none does before it.
func (v *view) lineStart(off, end int64) (int64, error) {
	if off <= v.start() || off >= end {
		return min(off, end), nil
	}
	buf := make([]byte, 4<<10)
	for at := off - 1; at < end; {
		n, is, err := v.read(buf, at)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		next := is + int64(n)
		found := false
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			next, found = is+int64(i)+1, true
		}
		if starts := v.runStarts(max(is, off), next); len(starts) > 0 {
			next, found = starts[0], true
		}
		if found {
			return min(next, end), nil
		}
		at = next
		buf = buf[:cap(buf)]
	}
	return end, nil
}

// lastLines is where the last n lines of a range begin that match is true for, and how
// many there are too few. A last line without an end counts.
func (v *view) lastLines(n int, in span, match func([]byte) bool) (off int64, missing int, err error) {
	from, to := in.from, in.to
	const block = 256 << 10
	var rest []byte // the beginning of a line that goes on behind hi
	for hi := to; hi > from; {
		lo := max(from, hi-block)
		for i := len(v.list) - 1; i >= 0; i-- { // at most to the beginning of its file
			if base := v.list[i].base; base < hi {
				lo = max(lo, base)
				break
			}
		}
		got, err := v.readFull(lo, hi)
		if err != nil {
			return 0, 0, fmt.Errorf("at offset %d: %w", lo, err)
		}
		starts := v.runStarts(lo, hi)
		buf := append(got, rest...)
		stop := len(buf)
		for stop > 0 {
			i := bytes.LastIndexByte(buf[:stop-1], '\n') + 1
			for len(starts) > 0 && starts[len(starts)-1]-lo >= int64(stop) {
				starts = starts[:len(starts)-1]
			}
			begins := false
			if n := len(starts); n > 0 && starts[n-1]-lo >= int64(i) {
				i, begins = int(starts[n-1]-lo), true
			}
			if i == 0 && !begins && lo > from && stop < maxLine {
				break // it may begin before
			}
			if match == nil || match(trimEnd(buf[i:stop])) {
				if n--; n == 0 {
					if i == 0 && lo > from { // of a line that is too long a part
						i = screen.Unbegun(buf)
					}
					return lo + int64(i), 0, nil
				}
			}
			stop = i
		}
		rest = bytes.Clone(buf[:stop])
		if match == nil && len(rest) > 1 {
			rest = rest[len(rest)-1:] // whether it ends is all that counts
		}
		hi = lo
	}
	return from, n, nil
}

func trimEnd(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\n")) }

// timeline knows the entry of offsets that are asked for in ascending order.
type timeline struct {
	block [128 * entrySize]byte
	have  int   // bytes in block
	next  int   // the next entry in block
	at    int64 // where in the index block ends
	begun bool
	dry   bool // there are no more entries than when bytes were last read
	cur   entry
}

// entryAt is the entry of the byte at off in the open file; none before the first.
func (v *view) entryAt(off int64) entry {
	t := &v.times
	if v.idx == nil {
		return entry{}
	}
	if !t.begun {
		t.begun = true
		x := v.index()
		t.at = int64(max(x.first(func(e entry) bool { return e.off > off })-1, 0)) * entrySize
	}
	for {
		if t.next+entrySize > t.have {
			if t.dry {
				return t.cur
			}
			n, _ := v.idx.ReadAt(t.block[:], t.at)
			n -= n % entrySize
			if n == 0 {
				t.dry = true
				return t.cur
			}
			t.have, t.next = n, 0
			t.at += int64(n)
		}
		e := parseEntry(t.block[t.next:])
		if e.off > off {
			return t.cur
		}
		t.cur = e
		t.next += entrySize
	}
}
