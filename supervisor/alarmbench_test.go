package supervisor

import (
	"fmt"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// BenchmarkATimeAmong10000 is what one time of a schedule costs by itself, with 10,000 that
// wait: to find that it has come, which comes next, and to wait for that. 10,000 that come in
// a minute are 167 a second; the promise is under 1 % of a core for them.
func BenchmarkATimeAmong10000(b *testing.B) {
	w := newWorld(b)
	defer w.s.closeParts()
	var all []*managed
	for i := range 10_000 {
		p := w.byHand(b, fmt.Sprint("p", i))
		times, err := schedule.Parse(fmt.Sprintf("%d %d * * * *", i%60, i/60%60), "Europe/Brussels", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		p.times = times
		p.kept.Spec.Jitter = time.Minute
		p.arm()
		all = append(all, p)
	}
	i := 0
	for b.Loop() {
		p := all[i%len(all)]
		i++
		_, _, p.next = p.times.Past(p.next, p.next.Add(time.Millisecond), schedule.Catchup{})
		p.arm()
	}
	const second = 10_000. / 60
	if share := 100 * second * b.Elapsed().Seconds() / float64(b.N); b.N > 1000 {
		b.ReportMetric(share, "%core")
		if share > 1 {
			b.Errorf("%.2f %% of a core", share)
		}
	}
}
