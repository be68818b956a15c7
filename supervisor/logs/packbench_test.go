package logs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkPack compresses 10 MiB of log lines, as archives are and as gzip would.
func BenchmarkPack(b *testing.B) {
	var p bytes.Buffer
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for p.Len() < 10<<20 {
		at = at.Add(time.Duration(rand.IntN(1000)) * time.Millisecond)
		fmt.Fprintf(&p, "%s INFO http: GET /api/v1/item/%d from 10.0.%d.%d: %d in %d ms\n", at.Format(time.RFC3339Nano), rand.IntN(100_000), rand.IntN(256), rand.IntN(256), 200+rand.IntN(4), rand.IntN(500))
	}
	run := func(name string, f func(w io.Writer)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(p.Len()))
			var out bytes.Buffer
			for range b.N {
				out.Reset()
				f(&out)
			}
			b.ReportMetric(float64(p.Len())/float64(out.Len()), "ratio")
		})
	}
	run("archive", func(w io.Writer) { pack(w, bytes.NewReader(p.Bytes()), nil) })
	for _, level := range []int{gzip.BestSpeed, gzip.DefaultCompression} {
		run(fmt.Sprintf("gzip%d", level), func(w io.Writer) {
			z, _ := gzip.NewWriterLevel(w, level)
			z.Write(p.Bytes())
			z.Close()
		})
	}
}
