package integration

import (
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// usedWithControllers is all that a run has used where every controller counts it.
func usedWithControllers() (u process.Usage) {
	all := reflect.ValueOf(&u).Elem()
	for i := range all.NumField() {
		if f := all.Field(i); f.Kind() == reflect.Pointer {
			f.Set(reflect.New(f.Type().Elem()))
		}
	}
	u.Memory, u.MemoryMB, u.MemoryAnon, u.MemoryFile, u.MemoryKernel, u.MemoryShmem, u.MemorySwap, u.Pids, u.Tasks = nil, nil, nil, nil, nil, nil, nil, nil, nil
	u.CPUSource, u.MemoryPeakSource, u.IOSource = process.SourceCgroup, process.SourceCgroup, process.SourceCgroup
	one := &process.Pressure{Some: process.Stall{Total: 123456}, Full: &process.Stall{Total: 12345}}
	u.Pressure = &process.Pressures{CPU: one, Memory: one, IO: one}
	return u
}

// BenchmarkHistory reads what a daemon of 1,000 processes has behind it, over the socket: all of
// 100,000 events in under a second, and the last failures among as many
// of 100,000 runs as there is room for in 50 ms.
func BenchmarkHistory(b *testing.B) {
	d := newDaemon(b, setup{})
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		b.Fatal(err)
	}
	s, _, err := store.Open(store.In(d.state), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Begin()
	began := time.Now().Add(-200 * time.Hour)
	used := usedWithControllers()
	for i := range 1000 {
		c := store.Change{Name: fmt.Sprintf("process-%03d", i), Company: time.Second}
		c.Definition = &store.Definition{ID: fmt.Sprint(i), Dir: "/", Spec: process.Spec{Name: c.Name, Command: "true"}}
		for n := range 100 {
			r := process.Run{Number: uint64(n + 1), Start: began, End: began.Add(time.Duration(n)*time.Hour + time.Duration(i)*time.Second), Cause: process.CauseExit, ExitCode: new(0), Usage: used}
			if (n+i)%50 == 0 {
				*r.ExitCode, r.Error = 3, "exit code 3: no such file"
			}
			c.Runs = append(c.Runs, r)
			c.Events = append(c.Events, process.Event{Kind: process.EventEnded, Run: r.Number, Cause: r.Cause, ExitCode: r.ExitCode, Error: r.Error, Time: r.End})
		}
		s.Write(c)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	d.launch()
	pm := d.client()
	measure := func(what string, limit time.Duration, read func() (int, error), want int) {
		b.Run(what, func(b *testing.B) {
			shortest := time.Hour
			for range 5 {
				began := time.Now()
				n, err := read()
				if err != nil || n != want {
					b.Fatal(n, err)
				}
				shortest = min(shortest, time.Since(began))
			}
			b.ReportMetric(shortest.Seconds()*1000, "ms")
			promised(b, what+", ms", shortest.Seconds()*1000, limit.Seconds()*1000)
		})
	}
	measure("events", time.Second, func() (n int, err error) {
		err = pm.Events(d.context(), process.EventQuery{}, func(process.Event) error { n++; return nil })
		return n, err
	}, 100_000)
	runs := func(q process.RunQuery) func() (int, error) {
		return func() (int, error) {
			list, err := d.runsOf(q)
			return len(list), err
		}
	}
	measure("runs-last", 50*time.Millisecond, runs(process.RunQuery{All: true, Limit: 50}), 50)
	measure("runs-failed", 50*time.Millisecond, runs(process.RunQuery{All: true, Failed: true, Limit: 50}), 50)
}
