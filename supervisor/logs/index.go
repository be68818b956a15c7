package logs

import (
	"encoding/binary"
	"io"
	"sort"
	"time"
)

// entry says when the bytes from an offset on, up to the next entry, were moved,
// and which run wrote them.
type entry struct {
	off  int64  // since the log began
	at   int64  // ns since 1970, to 2 ns: the lowest bit is back
	back bool   // in its file the clock was set back, here or before
	run  uint64 // 0: unknown
}

const entrySize = 24

func (e entry) put(p []byte) {
	binary.LittleEndian.PutUint64(p, uint64(e.off))
	at := uint64(e.at) &^ 1
	if e.back {
		at |= 1
	}
	binary.LittleEndian.PutUint64(p[8:], at)
	binary.LittleEndian.PutUint64(p[16:], e.run)
}

func parseEntry(p []byte) entry {
	at := binary.LittleEndian.Uint64(p[8:])
	return entry{
		off:  int64(binary.LittleEndian.Uint64(p)),
		at:   int64(at &^ 1),
		back: at&1 != 0,
		run:  binary.LittleEndian.Uint64(p[16:]),
	}
}

// index is the entries of one file, in order of offset and of run, and in that of time
// unless the last one says that the clock was set back. (So may one of an index that was
// written before there was such a bit. Its times are in order all the same.)
type index struct {
	r io.ReaderAt
	n int // entries
}

// at is entry i. A short file gives zeros.
func (x index) at(i int) entry {
	var p [entrySize]byte
	if n, _ := x.r.ReadAt(p[:], int64(i)*entrySize); n < entrySize {
		return entry{}
	}
	return parseEntry(p[:])
}

// changes calls f with entries in order, among them each that is between since and until
// where the one before is not, or the other way round.
func (x index) changes(since, until time.Time, f func(entry)) error {
	if x.n == 0 {
		return nil
	}
	last := x.at(x.n - 1)
	if last.back {
		return x.each(0, x.n, f)
	}
	f(x.at(0))
	for _, t := range []time.Time{since, until} {
		if t.IsZero() || time.Unix(0, last.at).Before(t) {
			continue
		}
		f(x.at(x.first(func(e entry) bool { return !time.Unix(0, e.at).Before(t) })))
	}
	return nil
}

// each calls f with the entries from i on and before j. A short file ends it.
func (x index) each(i, j int, f func(entry)) error {
	var block [512 * entrySize]byte
	for i < j {
		n, err := x.r.ReadAt(block[:min(j-i, 512)*entrySize], int64(i)*entrySize)
		for p := block[:n]; len(p) >= entrySize; p = p[entrySize:] {
			f(parseEntry(p))
			i++
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// first is the number of the first entry for which f is true, x.n if there is none.
func (x index) first(f func(entry) bool) int {
	return sort.Search(x.n, func(i int) bool { return f(x.at(i)) })
}
