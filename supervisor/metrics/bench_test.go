package metrics

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkWrite writes 1,000 processes of which everything is known: 48,000 series. It is what a
// scrape costs besides the reading, and holds little memory while it is written.
func BenchmarkWrite(b *testing.B) {
	var samples []process.Sample
	for i := range 1000 {
		samples = append(samples, everything(fmt.Sprintf("bench-%04d", i)))
	}
	s := server(samples...)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		w := &counting{ResponseRecorder: httptest.NewRecorder()}
		s.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		size = w.n
	}
	b.ReportMetric(float64(size), "bytes/scrape")
	if size > 5e6 {
		b.Errorf("a scrape has %d bytes, the promise is at most 5 MB", size)
	}
}

// counting takes an answer and keeps its size.
type counting struct {
	*httptest.ResponseRecorder
	n int
}

func (c *counting) Write(data []byte) (int, error) {
	c.n += len(data)
	return len(data), nil
}
