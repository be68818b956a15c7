package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// anyRun is a run that ended somehow, with texts that look like something else.
func anyRun(r *rand.Rand, number uint64, began time.Time) process.Run {
	texts := []string{"", "", `exit code 3: "cause":"oom"`, `,"error":"x`, "é\n\x00\"end_time\":\"2001-01-01T00:00:00Z\"", strings.Repeat("x", 200)}
	run := process.Run{Number: number, Cause: process.Cause(1 + r.IntN(len(process.Causes()))), JobID: []string{"", "", "j1", "j2"}[r.IntN(4)],
		Start: began, End: began.Add(time.Duration(r.Int64N(int64(2 * time.Hour)))).UTC(), Error: texts[r.IntN(len(texts))]}
	if r.IntN(2) == 0 {
		run.ExitCode = new(r.IntN(4))
	}
	run.CPU, run.MemoryPeak = new(r.Int64N(1e9)), new(r.Uint64N(1<<32))
	run.CPUSource, run.MemoryPeakSource = process.SourceCgroup, process.SourceCgroup
	if r.IntN(10) == 0 {
		run.LeftBehind = &process.LeftBehind{Count: 1, Names: []string{`"cause":"exit"`}}
	}
	return run
}

// What is found by a look at the text of what is kept is what a query asks for, whatever
// stands in it.
func TestRunsAreFoundAsAsked(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	all := map[string][]process.Run{}
	const runs = 60
	for i := range 20 {
		name := fmt.Sprint("p", i)
		for n := range uint64(runs) { // some end before the one in front of them: a clock was set back
			all[name] = append(all[name], anyRun(r, n+1, began.Add(time.Duration(n)*time.Hour)))
		}
		if err := write(s, Change{Name: name, Runs: all[name]}); err != nil {
			t.Fatal(err)
		}
	}
	matched := 0
	for range 300 {
		q := process.RunQuery{Failed: r.IntN(2) == 0, JobID: []string{"", "", "j1", "none"}[r.IntN(4)], Limit: []int{0, 1, 7, 1000}[r.IntN(4)]}
		if r.IntN(3) == 0 {
			q.Cause = process.Cause(1 + r.IntN(len(process.Causes())))
		}
		if r.IntN(2) == 0 {
			q.Since = began.Add(time.Duration(r.IntN(runs*60)) * time.Minute)
		}
		if r.IntN(2) == 0 {
			q.Until = began.Add(time.Duration(r.IntN(runs*60)) * time.Minute)
		}
		last := func(list []process.RunRecord) []process.RunRecord {
			if q.Limit > 0 {
				return list[max(0, len(list)-q.Limit):]
			}
			return list
		}
		var want []process.RunRecord
		for name, list := range all {
			var own []process.RunRecord
			for _, run := range list {
				if q.Has(&run) {
					own = append(own, process.RunRecord{Name: name, Run: run})
				}
			}
			want = append(want, own...)
			got, err := s.MatchingRuns(name, q)
			if own = last(own); err != nil || len(got) != len(own) {
				t.Fatalf("seed %d: %+v of %s: %d runs, not %d, %v", seed, q, name, len(got), len(own), err)
			}
			for i := range got {
				if got[i].Number != own[i].Number {
					t.Fatalf("seed %d: %+v of %s: got run %d, not %d", seed, q, name, got[i].Number, own[i].Number)
				}
			}
		}
		slices.SortFunc(want, func(a, b process.RunRecord) int {
			if c := a.End.Compare(b.End); c != 0 {
				return c
			}
			return strings.Compare(fmt.Sprintf("%s.%09d", a.Name, a.Number), fmt.Sprintf("%s.%09d", b.Name, b.Number))
		})
		want = last(want)
		found, err := s.EndedRuns(q)
		if err != nil || len(found) != len(want) {
			t.Fatalf("seed %d: %+v: %d runs, not %d, %v", seed, q, len(found), len(want), err)
		}
		got, err := s.Records(found)
		if err != nil || len(got) != len(want) {
			t.Fatalf("seed %d: %+v: %d records, %v", seed, q, len(got), err)
		}
		for i := range got {
			if got[i].Name != want[i].Name || got[i].Number != want[i].Number || got[i].Error != want[i].Error {
				t.Fatalf("seed %d: %+v: got %+v, not %+v", seed, q, got[i], want[i])
			}
		}
		matched += len(want)
	}
	if matched < 1000 {
		t.Errorf("only %d runs were asked for", matched)
	}
	if got, err := s.Records([]Ended{{0, "p1", 1}, {0, "nobody", 1}, {0, "p1", runs + 1}}); err != nil || len(got) != 1 {
		t.Errorf("one is kept of what was found: %v, %v", got, err)
	}
}

// Where reading begins is found though a clock was set back, and none is left out then.
func TestEventsAreFoundByTheirTime(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	if first, err := s.EventsFrom(at(0)); first != 1 || err != nil {
		t.Error(first, err)
	}
	if oldest, last, err := s.KeptEvents(); oldest != 1 || last != 0 || err != nil {
		t.Error(oldest, last, err)
	}
	var events []process.Event
	for i, hour := range []int{1, 2, 9, 3, 4, 5} {
		events = append(events, process.Event{Kind: process.EventEnded, Time: at(hour), Run: uint64(i), Error: `,"time":"2099-01-01T00:00:00Z"`})
	}
	if err := write(s, Change{Name: "a", Events: events}); err != nil {
		t.Fatal(err)
	}
	for hour, want := range map[int]uint64{0: 1, 1: 1, 2: 2, 3: 3, 5: 3, 9: 3, 10: 7} {
		if first, err := s.EventsFrom(at(hour)); first != want || err != nil {
			t.Errorf("from hour %d: %d, not %d, %v", hour, first, want, err)
		}
	}
	if oldest, last, err := s.KeptEvents(); oldest != 1 || last != 6 || err != nil {
		t.Error(oldest, last, err)
	}
	for before, want := range map[uint64]string{0: "", 1: "", 2: "1", 4: "32", 7: "65", 1000: "65", 1<<64 - 1: "65"} {
		got := ""
		events, err := s.EventsBefore(before, 2)
		for _, e := range events {
			got += fmt.Sprint(e.Seq)
		}
		if got != want[:min(len(want), 2)] || err != nil {
			t.Errorf("before %d: %s, not %s, %v", before, got, want, err)
		}
	}
	s.now = func() time.Time { return at(6).Add(MaxAge) }
	if err := write(s, Change{Name: "a", Events: make([]process.Event, 1)}); err != nil { // two go with each that comes
		t.Fatal(err)
	}
	if oldest, last, err := s.KeptEvents(); oldest != 3 || last != 7 || err != nil {
		t.Error("an old one:", oldest, last, err)
	}
}

// fill writes into a bucket what put gives, without the rest of a change.
func fill(b *testing.B, s *Store, bucket []byte, put func(*bolt.Bucket) error) {
	b.Helper()
	if err := write(s, Change{}); err != nil { // it is made now
		b.Fatal(err)
	}
	s.db.NoSync = true
	defer func() { s.db.NoSync = false }()
	if err := s.db.Update(func(tx *bolt.Tx) error { return put(tx.Bucket(bucket)) }); err != nil {
		b.Fatal(err)
	}
}

// best is the shortest time of a few.
func best(times int, do func()) time.Duration {
	shortest := time.Hour
	for range times {
		began := time.Now()
		do()
		shortest = min(shortest, time.Since(began))
	}
	return shortest
}

// The last failures of all processes are found in 50 ms among 1,000 processes with 100 runs
// each, also where there are none.
func BenchmarkFailuresOfAll(b *testing.B) {
	s, _, err := Open(filepath.Join(b.TempDir(), "processes.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Begin()
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 2))
	began := time.Now().Add(-200 * time.Hour)
	fill(b, s, runBucket, func(runs *bolt.Bucket) error {
		for i := range 1000 {
			for n := range uint64(100) {
				run := anyRun(r, n+1, began.Add(time.Duration(n)*time.Hour))
				if run.Error != "" && r.IntN(10) > 0 {
					run.Cause, run.Error, run.ExitCode = process.CauseExit, "", new(0)
				}
				name := fmt.Sprintf("process-%04d", i)
				if err := runs.Put(runKey(name, n+1), marshalled(b, run)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for what, q := range map[string]process.RunQuery{
		"last":      {Limit: 50},
		"failed":    {Failed: true, Since: time.Now().Add(-102 * time.Hour)},
		"unhealthy": {Cause: process.CauseUnhealthy, JobID: "none"},
	} {
		b.Run(what, func(b *testing.B) {
			took := best(10, func() {
				found, err := s.EndedRuns(q)
				if err == nil {
					_, err = s.Records(found)
				}
				if err != nil || q.Limit > 0 && len(found) != q.Limit || q.Failed && len(found) == 0 {
					b.Fatal(len(found), err)
				}
			})
			b.ReportMetric(took.Seconds()*1000, "ms")
			if took > 50*time.Millisecond {
				b.Errorf("it takes %v, the promise is 50 ms", took)
			}
		})
	}
}

// 100,000 events are read in under a second.
func BenchmarkReadEvents(b *testing.B) {
	s, _, err := Open(filepath.Join(b.TempDir(), "processes.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Begin()
	defer s.Close()
	fill(b, s, eventBucket, func(events *bolt.Bucket) error {
		for n := range uint64(MaxEvents) {
			e := process.Event{Seq: n + 1, Time: time.Now(), Name: "web", Kind: process.EventEnded, Run: n, Cause: process.CauseExit, ExitCode: new(3), Error: "exit code 3: there is no such thing", JobID: "nightly-17"}
			if err := events.Put(eventKey(n+1), marshalled(b, e)); err != nil {
				return err
			}
		}
		return events.SetSequence(MaxEvents)
	})
	took := best(3, func() {
		n, since := 0, uint64(0)
		for {
			events, err := s.Events(since, 256)
			if err != nil {
				b.Fatal(err)
			}
			if len(events) == 0 {
				break
			}
			n, since = n+len(events), events[len(events)-1].Seq
		}
		if n != MaxEvents {
			b.Fatal(n)
		}
	})
	b.ReportMetric(took.Seconds()*1000, "ms")
	if took > time.Second {
		b.Errorf("it takes %v, the promise is a second", took)
	}
}

// What others are told again and again of the last event neither waits for a file that is being
// replaced on a disk that hangs, nor falls when it is closed.
func TestTheLastEventIsToldWithoutTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	for range 3 {
		if err := write(s, Change{Name: "web", Events: []process.Event{{Kind: process.EventStarted}}}); err != nil {
			t.Fatal(err)
		}
	}
	s.dbMu.Lock()
	held := s.LastEvent()
	s.dbMu.Unlock()
	shut(t, s)
	closed := s.LastEvent()
	s, _ = open(t, path)
	defer s.Close()
	if again := s.LastEvent(); held != 3 || closed != 3 || again != 3 {
		t.Errorf("%d while the file is replaced, %d when it is closed, %d when it is opened again", held, closed, again)
	}
}
