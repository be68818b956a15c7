package logs

import (
	"encoding/binary"
	"io"
	"sort"
)

// entry says when the bytes from an offset on, up to the next entry, were moved,
// and which run wrote them.
type entry struct {
	off int64  // since the log began
	at  int64  // ns since 1970
	run uint64 // 0: unknown
}

const entrySize = 24

func (e entry) put(p []byte) {
	binary.LittleEndian.PutUint64(p, uint64(e.off))
	binary.LittleEndian.PutUint64(p[8:], uint64(e.at))
	binary.LittleEndian.PutUint64(p[16:], e.run)
}

func parseEntry(p []byte) entry {
	return entry{
		off: int64(binary.LittleEndian.Uint64(p)),
		at:  int64(binary.LittleEndian.Uint64(p[8:])),
		run: binary.LittleEndian.Uint64(p[16:]),
	}
}

// index is the entries of one file, in order of offset and of run. Times go back where
// the clock did.
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

// all are the entries.
func (x index) all() ([]entry, error) {
	if x.n == 0 {
		return nil, nil
	}
	p := make([]byte, x.n*entrySize)
	n, err := x.r.ReadAt(p, 0)
	if err == io.EOF {
		err = nil
	}
	list := make([]entry, 0, x.n)
	for p = p[:n]; len(p) >= entrySize; p = p[entrySize:] {
		list = append(list, parseEntry(p))
	}
	return list, err
}

// first is the number of the first entry for which f is true, x.n if there is none.
func (x index) first(f func(entry) bool) int {
	return sort.Search(x.n, func(i int) bool { return f(x.at(i)) })
}
