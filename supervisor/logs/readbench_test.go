package logs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// BenchmarkRead asks a log of 10 GB, plain (sparse, but for what is read) and as
// an archive, with an index entry for each 2,048 bytes. It fails where finding and
// reading takes longer than promised; what is searched for an expression is read whole.
func BenchmarkRead(b *testing.B) {
	const size = 10_000_000_000 / frameSize * frameSize
	line := []byte(fmt.Sprintf("%063d\n", 7))
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	base := b.TempDir()
	// One batch each 10 ms: a minute is 12 MB.
	made := func(dir string) segment {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		s := segment{dir: dir}
		f, err := os.Create(s.path(indexSuffix))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var p []byte
		for off := int64(0); off < size; off += 2048 {
			e := entry{off: off, at: start.Add(time.Duration(off/2048) * 10 * time.Millisecond).UnixNano(), run: uint64(1 + off/1_000_000_000)}
			p = append(p, make([]byte, entrySize)...)
			e.put(p[len(p)-entrySize:])
			if len(p) >= 1<<20 || off+2048 >= size {
				if _, err := f.Write(p); err != nil {
					b.Fatal(err)
				}
				p = p[:0]
			}
		}
		return s
	}
	block := bytes.Repeat(line, frameSize/len(line))
	plain := made(filepath.Join(base, "plain"))
	f, err := os.Create(plain.path(plainSuffix))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, off := range []int64{size/2 - 8<<20, size - 1<<20} {
		for end := min(off+32<<20, size); off < end; off += int64(len(block)) {
			if _, err := f.WriteAt(block[:min(int64(len(block)), end-off)], off); err != nil {
				b.Fatal(err)
			}
		}
	}
	packed := made(filepath.Join(base, "packed"))
	enc, _ := zstd.NewWriter(nil)
	frame := enc.EncodeAll(block, nil)
	var table []byte
	g, err := os.Create(packed.path(packedSuffix))
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	for range size / frameSize {
		g.Write(frame)
		table = binary.LittleEndian.AppendUint32(table, uint32(len(frame)))
		table = binary.LittleEndian.AppendUint32(table, frameSize)
	}
	g.Write(seekTable(table))
	middle := start.Add(time.Duration(size/2/2048) * 10 * time.Millisecond)
	m := newMover(b)
	for _, s := range []segment{plain, packed} {
		l := open(b, m, s.dir, Options{})
		for _, c := range []struct {
			name string
			q    Query
			want int
		}{
			{"last-100", Query{Lines: 100}, 100 * len(line)},
			{"last-100-with-times", Query{Lines: 100, Times: true}, 100 * (len(line) + 25)},
			{"minute-in-the-middle", Query{Since: middle, Until: middle.Add(time.Minute)}, 6000 * 2048},
			{"minute-in-the-middle-grep", Query{Since: middle, Until: middle.Add(time.Minute), Grep: regexp.MustCompile("8")}, 0},
			{"run-5-last-100", Query{Run: 5, Lines: 100}, -1},
		} {
			b.Run(filepath.Base(s.dir)+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					n := 0
					_, err := l.Read(context.Background(), c.q, writerFunc(func(p []byte) { n += len(p) }))
					if err != nil || n != c.want && c.want >= 0 {
						b.Fatalf("%d bytes, not %d: %v", n, c.want, err)
					}
				}
				if each := b.Elapsed() / time.Duration(b.N); c.q.Grep == nil && each > 20*time.Millisecond {
					b.Errorf("it took %v, at most 20ms is promised", each)
				}
			})
		}
	}
}
