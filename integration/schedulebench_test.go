package integration

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// defineAll starts so many processes, which wait for their times.
func (d *daemon) defineAll(b *testing.B, count int, spec func(i int) process.Spec) {
	b.Helper()
	var all sync.WaitGroup
	const side = 8
	for k := range side {
		pm := d.dial(b)
		all.Go(func() {
			for i := k; i < count; i += side {
				if _, err := pm.Start(b.Context(), spec(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// BenchmarkSchedules is what 10,000 schedules cost that come once a minute, spread over it:
// the clock, the decision and the ledger, without the runs, since they are paused.
func BenchmarkSchedules(b *testing.B) {
	const schedules, window = 10_000, time.Minute
	d := startDaemon(b, setup{})
	d.defineAll(b, schedules, func(i int) process.Spec {
		return process.Spec{Name: fmt.Sprintf("p%05d", i), Command: "true", Schedule: process.Schedule{Cron: fmt.Sprintf("%d * * * * *", i%60)}}
	})
	if list, err := d.client().Do(d.context(), process.Selection{"p*"}, process.SchedulePause{}); err != nil || len(list) != schedules {
		b.Fatalf("%d are paused, %v", len(list), err)
	}
	awaitQuiet(b, d)
	began := time.Now()
	used := d.idlePercent(b, window)
	entries, err := d.client().Ledger(d.context(), process.Selection{"p*"}, began)
	if err != nil {
		b.Fatal(err)
	}
	times := 0
	for _, e := range entries {
		times += e.Times()
	}
	if times < schedules {
		b.Errorf("the ledger has %d of %d times", times, schedules)
	}
	b.ReportMetric(used, "%core")
	b.ReportMetric(0, "ns/op") // one pass takes a minute, so there is one
	promised(b, "percent of a core for 10,000 schedules a minute", used, 1)
}

// BenchmarkLateness is how late runs begin at 100 times a second, which jitter spreads.
func BenchmarkLateness(b *testing.B) {
	const schedules, window = 100, 30 * time.Second
	d := startDaemon(b, setup{})
	d.defineAll(b, schedules, func(i int) process.Spec {
		return process.Spec{Name: fmt.Sprintf("p%d", i), Command: "exec true", Schedule: process.Schedule{Cron: "* * * * * *", Jitter: time.Second}}
	})
	time.Sleep(2 * time.Second) // the first runs, beside the requests
	began := time.Now()
	time.Sleep(window)
	entries, err := d.client().Ledger(d.context(), process.Selection{"p*"}, began)
	if err != nil {
		b.Fatal(err)
	}
	var late []float64
	for _, e := range entries {
		if e.Outcome == process.Ran {
			late = append(late, 1000*e.LateSeconds)
		}
	}
	if least := schedules * int(window/time.Second) * 9 / 10; len(late) < least {
		b.Fatalf("%d runs in %v, want %d", len(late), window, least)
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	b.ReportMetric(late[len(late)/2], "median-ms")
	b.ReportMetric(p99, "p99-ms")
	b.ReportMetric(float64(len(late))/window.Seconds(), "runs/s")
	b.ReportMetric(0, "ns/op")
	promised(b, "ms that runs are late, the 99th percentile", p99, 20)
}

// BenchmarkStartAfterAbsence is how long the daemon takes to its first answer, with 1,000
// minutely schedules: when it was away for a moment, and when it was away for 31 days.
func BenchmarkStartAfterAbsence(b *testing.B) {
	const schedules = 1000
	for _, away := range []time.Duration{0, 31 * 24 * time.Hour} {
		b.Run(fmt.Sprintf("away=%v", away), func(b *testing.B) {
			var took []time.Duration
			for range 5 {
				d := newDaemon(b, setup{})
				d.launch()
				d.end(syscall.SIGTERM)
				d.scheduleSince(b, schedules, time.Now().Add(-away))
				began := time.Now()
				d.launch()
				if s := d.status("p7"); s.Cron == "" {
					b.Fatalf("it has no schedule: %+v", s)
				}
				took = append(took, time.Since(began))
				if away > 0 {
					d.missedAll(b, schedules, away)
				}
				d.end(syscall.SIGTERM)
			}
			slices.Sort(took)
			ms := float64(took[len(took)/2].Microseconds()) / 1000
			b.ReportMetric(ms, "ms")
			b.ReportMetric(0, "ns/op")
			promised(b, "ms to the first answer", ms, 300)
		})
	}
}

// scheduleSince writes so many minutely schedules into the store, as a daemon left them that
// was there for the last time at a time.
func (d *daemon) scheduleSince(b *testing.B, count int, left time.Time) {
	b.Helper()
	s, _, err := store.Open(d.storePath(), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Begin()
	var all sync.WaitGroup
	for i := range count {
		name := fmt.Sprintf("p%d", i)
		all.Add(1)
		s.Write(store.Change{
			Name:       name,
			Definition: &store.Definition{ID: name, Dir: "/", Spec: process.Spec{Name: name, Command: "true", Schedule: process.Schedule{Cron: "* * * * *"}}},
			Target:     &store.Target{Up: true, State: process.Stopped, Next: left.Truncate(time.Minute).Add(time.Minute).UTC()},
			Done: func(err error) {
				if err != nil {
					b.Error(err)
				}
				all.Done()
			},
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// missedAll fails the benchmark unless each schedule has one entry for all that it missed.
func (d *daemon) missedAll(b *testing.B, schedules int, away time.Duration) {
	b.Helper()
	eventually(b, "each schedule has one entry for what it missed", func() bool {
		entries, err := d.client().Ledger(d.context(), process.Selection{"p*"}, time.Time{})
		n := 0
		for _, e := range entries {
			if e.Outcome == process.Missed && e.Count >= int(away/time.Minute)-2 {
				n++
			}
		}
		return err == nil && n == schedules
	})
}
