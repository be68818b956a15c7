package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkRestarts is what 100 crashes a second among 1,000 services cost the daemon (keeper
// and worker), for one that comes back by itself, beside the same starts asked for over the
// socket at the same pace.
func BenchmarkRestarts(b *testing.B) {
	const services, crashing, window = 1000, 100, 10 * time.Second
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	cost := map[string]float64{}
	for _, who := range []string{"hand", "policy"} {
		b.Run("by="+who, func(b *testing.B) {
			d := startDaemon(b, setup{})
			spec := process.Spec{Command: "exit 1"}
			if who == "policy" {
				spec.Restarting = process.Restarting{Restart: process.RestartOnFailure, RestartMaxDelay: time.Second}
			}
			var all sync.WaitGroup
			for k := range 4 {
				pm := d.dial(b)
				all.Go(func() {
					for i := k; i < services; i += 4 {
						s := spec
						if i >= crashing {
							s.Command = "exec sleep 100000"
						}
						s.Name = name(i)
						if _, err := pm.Start(b.Context(), s); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			if who == "hand" {
				awaitQuiet(b, d)
			}
			runs := func() (n int) {
				for _, s := range d.list() {
					n += int(newestOf(s))
				}
				return n
			}
			before, ticks, began := runs(), d.cpuTicks(b), time.Now()
			if who == "hand" {
				pm, i := d.dial(b), 0
				for next := began; time.Since(began) < window; next = next.Add(time.Second / crashing) {
					time.Sleep(time.Until(next))
					if _, err := pm.Start(b.Context(), process.Spec{Name: name(i % crashing)}); err != nil {
						b.Fatal(err)
					}
					i++
				}
			} else {
				time.Sleep(window)
			}
			used := float64(d.cpuTicks(b)-ticks) * 10 // ms
			starts := float64(runs() - before)
			cost[who] = used / starts
			b.ReportMetric(starts/time.Since(began).Seconds(), "starts/s")
			b.ReportMetric(cost[who], "CPU-ms/start")
			b.ReportMetric(used/10/time.Since(began).Seconds(), "%core")
			b.ReportMetric(0, "ns/op") // one pass takes seconds, so there is one
		})
	}
	if cost["hand"] > 0 && cost["policy"] > 0 {
		promised(b, "CPU of a restart, in those of a start by hand", cost["policy"]/cost["hand"], 1.5)
	}
}
