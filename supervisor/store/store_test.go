package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// open opens the store at path and begins.
func open(t *testing.T, path string) (*Store, Contents) {
	t.Helper()
	s, c, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Begin()
	return s, c
}

func shut(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// write writes a change and waits for it.
func write(s *Store, c Change) error {
	done := make(chan error, 1)
	c.Done = func(err error) { done <- err }
	s.Write(c)
	return <-done
}

func testProcess(name string) Process {
	return Process{
		Definition: Definition{
			ID: "b1", Dir: "/srv", Job: "n1",
			Spec: process.Spec{
				Name: name, Command: "echo 'a\nb' **ENDRESULT** é", JobID: "n1", Schedule: process.Schedule{Cron: "@daily"},
				Ending: process.Ending{StopSignal: 2, StopTimeout: new(2 * time.Second)},
			},
		},
		Target: Target{Up: true, Run: 7, State: process.Failed, JobID: "j", Origin: Origin{Boot: "b", Keeper: "1:2"}, Next: time.Unix(9, 5).UTC(),
			Stopped: true, Reason: "the limit", Restarts: Restarts{Count: 5, Row: 3, Times: []time.Time{time.Unix(7, 0).UTC(), time.Unix(8, 0).UTC()}, Next: time.Unix(9, 0).UTC(), Boot: time.Hour, Delay: 8 * time.Second}},
		Last: &process.Run{Number: 6, Cause: process.CauseSignal, Signal: 11, Start: time.Unix(1, 0).UTC(), End: time.Now().UTC(), Usage: process.Usage{CPU: new(int64(5))}},
	}
}

func put1(t *testing.T, s *Store, p Process) {
	t.Helper()
	if err := write(s, Change{Name: p.Spec.Name, Definition: &p.Definition, Target: &p.Target, Runs: []process.Run{*p.Last}}); err != nil {
		t.Fatal(err)
	}
}

func TestStoreGivesBackWhatWasPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, c := open(t, path)
	if len(c.Processes) != 0 {
		t.Fatal(c)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { put1(t, s, testProcess(fmt.Sprintf("p%02d", i))) })
	}
	all.Wait()
	if err := write(s, Change{Name: "p50", Remove: true}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s, c = open(t, path)
	defer s.Close()
	if len(c.Processes) != 99 || len(c.Unreadable) != 0 || s.processes != 99 {
		t.Fatalf("%d processes, %v, counted %d, not 99", len(c.Processes), c.Unreadable, s.processes)
	}
	want := testProcess("p00")
	want.Last.End = c.Processes[0].Last.End
	want.Totals.AddRun(want.Last)
	if got := c.Processes[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if runs, err := s.Runs("p50", 0); len(runs) > 0 || err != nil {
		t.Errorf("runs of a process that was removed: %v, %v", runs, err)
	}
}

// Whose start was the last is kept beside the processes, and says nothing of them.
func TestTheStartOfADaemonIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, c := open(t, path)
	if c.Daemon != (Daemon{}) {
		t.Errorf("a new store knows of %+v", c.Daemon)
	}
	put1(t, s, testProcess("a"))
	for _, d := range []Daemon{{Origin{"b", "1:2"}, false}, {Origin{"b", "1:2"}, true}, {Origin{"c", "3:4"}, true}} {
		if err := write(s, Change{Daemon: &d}); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
		if s, c = open(t, path); c.Daemon != d || len(c.Processes) != 1 || len(c.Unreadable) != 0 {
			t.Errorf("got %+v, want %+v", c, d)
		}
	}
	shut(t, s)
}

// A process that was deleted may be there still, because the disk was full. Who takes its
// name has no part in its history.
func TestAnotherProcessOfANameHasNoRunsOfTheFormer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	former := testProcess("a")
	former.Removed = true
	put1(t, s, former)
	changed := former.Definition
	changed.Spec.Command = "true"
	if err := write(s, Change{Name: "a", Definition: &changed}); err != nil {
		t.Fatal(err)
	}
	if runs, err := s.Runs("a", 0); len(runs) != 1 || err != nil {
		t.Errorf("a definition that has changed costs its runs: %v, %v", runs, err)
	}
	next := testProcess("a")
	next.ID, next.Run = "b2", 1
	if err := write(s, Change{Name: "a", Definition: &next.Definition, Target: &next.Target}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s, c := open(t, path)
	defer s.Close()
	if len(c.Processes) != 1 || c.Processes[0].Last != nil || c.Processes[0].Removed || c.Processes[0].Run != 1 {
		t.Errorf("%+v", c.Processes)
	}
}

// A run that is told twice, as a takeover may, is there once.
func TestRunsAreKeptInOrderAndUpToALimit(t *testing.T) {
	const most = process.DefaultHistory
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	put1(t, s, testProcess("ab")) // whose name begins like the other's
	p := testProcess("a")
	for n := range uint64(most + 30) {
		p.Last.Number = n + 1
		put1(t, s, p)
	}
	put1(t, s, p)
	runs, err := s.Runs("a", 0)
	if err != nil || len(runs) != most || runs[0].Number != 31 || runs[most-1].Number != most+30 {
		t.Errorf("%d runs, %v: %v", len(runs), err, runs)
	}
	if runs, err := s.Runs("a", 2); err != nil || len(runs) != 2 || runs[1].Number != most+30 {
		t.Errorf("the last two: %v, %v", runs, err)
	}
	if runs, err := s.Runs("ab", 0); err != nil || len(runs) != 1 {
		t.Errorf("another's: %v, %v", runs, err)
	}
	for _, keep := range []int{120, 7, 1} { // more than there are come to no more
		p.Spec.History = keep
		for range 2 { // no change takes more than a part of them
			if err := write(s, Change{Name: "a", Definition: &p.Definition}); err != nil {
				t.Fatal(err)
			}
		}
		want := min(keep, most)
		if runs, err := s.Runs("a", 0); err != nil || len(runs) != want || runs[want-1].Number != most+30 {
			t.Errorf("history %d: %d runs, %v", keep, len(runs), err)
		}
	}
	p.Spec.History = process.MaxHistory
	for n := range uint64(process.MaxHistory + 30) {
		p.Last.Number = most + 31 + n
		put1(t, s, p)
	}
	if runs, err := s.Runs("a", 0); err != nil || len(runs) != process.MaxHistory {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

// Where there are many processes, or a run has much to say, each keeps fewer.
func TestRunsOfAllTogetherHaveABound(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	p := testProcess("a")
	p.Last.Error = strings.Repeat("x", 1000)
	size := len("a") + 9 + len(marshalled(t, p.Last))
	s.processes = MaxRunBytes / (20*size + size/2)
	for n := range uint64(60) {
		p.Last.Number = n + 1
		put1(t, s, p)
	}
	if runs, err := s.Runs("a", 0); err != nil || len(runs) < 19 || len(runs) > 21 || runs[len(runs)-1].Number != 60 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	s.processes = MaxRunBytes
	put1(t, s, p)
	if runs, err := s.Runs("a", 0); err != nil || len(runs) != MinRuns {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func marshalled(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOldRunsGoButTheLast(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	p := testProcess("a")
	for n := range uint64(5) {
		p.Last.Number, p.Last.End = n+1, time.Now().Add(-MaxAge-time.Hour)
		put1(t, s, p)
		if runs, err := s.Runs("a", 0); len(runs) != 1 || runs[0].Number != n+1 || err != nil {
			t.Fatalf("got %v, %v", runs, err)
		}
	}
}

func TestEventsAreNumberedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	told := s.Told()
	select {
	case <-told:
		t.Error("events are told before there are any")
	default:
	}
	for range 2 {
		for range 10 {
			if err := write(s, Change{Name: "a", Events: []process.Event{{Kind: process.EventStarting}, {Kind: process.EventStarted}}}); err != nil {
				t.Fatal(err)
			}
		}
		shut(t, s)
		s, _ = open(t, path)
	}
	defer s.Close()
	<-told
	events, err := s.Events(5, 1000)
	if err != nil || len(events) != 35 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if e.Seq != uint64(6+i) || e.Name != "a" {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if events, err := s.Events(1<<64-1, 10); len(events) > 0 || err != nil {
		t.Error(events, err)
	}
	if events, _ := s.Events(0, 3); len(events) != 3 || events[0].Seq != 1 {
		t.Error(events)
	}
}

// The oldest go, and numbers are not used again.
func TestEventsAreKeptUpToALimit(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	for range MaxEvents/1000 + 2 {
		if err := write(s, Change{Name: "a", Events: make([]process.Event, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := s.Events(0, 1<<30)
	if err != nil || len(events) != MaxEvents || events[0].Seq != 2001 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// What a process without new runs has kept goes as well, when it is too old or there are
// more processes than there were.
func TestRunsOfAProcessThatRunsNoMoreGo(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	now := time.Unix(1e9, 0).UTC() // as long in each run's text
	s.now = func() time.Time { return now }
	size := 0 // of a run
	for _, name := range []string{"a", "a.b", "b", "z"} {
		p := testProcess(name)
		for n := range uint64(20) {
			p.Last.Number, p.Last.End = n+1, now
			if n < 10 {
				p.Last.End = now.Add(30*time.Minute - MaxAge)
			}
			put1(t, s, p)
		}
		size = max(size, len(name)+9+len(marshalled(t, p.Last)))
	}
	kept := func(want int) {
		t.Helper()
		p := testProcess("c")
		for n := range uint64(5) { // each sweeps one, of five with the one that writes
			p.Last.Number = n + 1
			put1(t, s, p)
		}
		for _, name := range []string{"a", "a.b", "b", "z"} {
			if runs, err := s.Runs(name, 0); err != nil || len(runs) != want {
				t.Errorf("of %s there are %d runs, not %d, %v", name, len(runs), want, err)
			}
		}
	}
	kept(20)
	now = now.Add(time.Hour)
	kept(10)
	now, s.processes = now.Add(-time.Hour), MaxRunBytes/(7*size)
	kept(7)
}

// Time that goes back, and forward again, costs no history and gives no number twice.
func TestTimeThatGoesBackCostsNoHistory(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	p := testProcess("a")
	times := []time.Time{time.Now(), time.Unix(0, 0), time.Now().Add(-24 * time.Hour), time.Now()}
	for i, now := range times {
		s.now = func() time.Time { return now }
		p.Last.Number, p.Last.End = uint64(i+1), now
		if err := write(s, Change{Name: "a", Target: &p.Target, Runs: []process.Run{*p.Last}, Events: make([]process.Event, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := s.Runs("a", 0)
	events, eventsErr := s.Events(0, 10)
	if err != nil || eventsErr != nil || len(runs) != len(times) || len(events) != len(times) {
		t.Errorf("%d runs, %v; %d events, %v", len(runs), err, len(events), eventsErr)
	}
	for i, e := range events[1:] {
		if e.Seq != events[i].Seq+1 {
			t.Errorf("event %d follows %d", e.Seq, events[i].Seq)
		}
	}
}

// A change that somebody waits for is not held up by one that waits for company.
func TestNobodyWaitsForCompanyOfOthers(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	put1(t, s, testProcess("a"))
	soonest := time.Hour
	for range 20 {
		s.Write(Change{Name: "a", Company: Company, Events: make([]process.Event, 1)})
		eventually(t, func() bool { // it waits for company
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.queue) == 0
		})
		began := time.Now()
		put1(t, s, testProcess("a"))
		soonest = min(soonest, time.Since(began))
	}
	if soonest > Company/2 {
		t.Errorf("each waits for at least %v", soonest)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// A change that nobody waits for comes with the next, or soon.
func TestCompanySharesASync(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	put1(t, s, testProcess("a"))
	before := writesOf(s)
	var done sync.WaitGroup
	for range 100 {
		done.Add(1)
		s.Write(Change{Name: "a", Company: Company, Events: make([]process.Event, 1), Done: func(error) { done.Done() }})
	}
	done.Wait()
	writes := writesOf(s) - before
	if writes > 30 {
		t.Errorf("%d writes for what could have gone together", writes)
	}
}

func writesOf(s *Store) int64 {
	stats := s.db.Stats()
	return stats.TxStats.GetWrite()
}

func firstStore(t *testing.T) string {
	t.Helper()
	packed, err := os.Open("testdata/format-1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "processes.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The file that a program of the first format wrote is read as it is, and not written
// to before the new program is the one that goes on.
func TestTheFirstFormatIsReadAndMigrated(t *testing.T) {
	path := firstStore(t)
	was, _ := os.ReadFile(path)
	s, c, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	late := make(chan error, 1)
	s.Write(Change{Name: "done", Target: &Target{Run: 9}, Done: func(err error) { late <- err }})
	if runs, err := s.Runs("done", 0); len(runs) > 0 || err != nil {
		t.Error("before Begin:", runs, err)
	}
	shut(t, s)
	if is, _ := os.ReadFile(path); !bytes.Equal(is, was) {
		t.Fatal("it was written to before Begin")
	}
	byName := map[string]Process{}
	for _, p := range c.Processes {
		byName[p.Spec.Name] = p
		if err := p.Spec.Validate(); err != nil {
			t.Errorf("%s: %v", p.Spec.Name, err)
		}
	}
	if len(byName) != 10 || len(c.Unreadable) > 0 {
		t.Fatalf("%d processes, %v", len(byName), c.Unreadable)
	}
	server := byName["server"]
	want := process.Spec{Name: "server", Command: "exec sleep 1000", JobID: "e42", Logging: process.Logging{
		Log: true, LogMaxSize: 1 << 20, LogMaxFiles: 3, LogMaxAge: time.Hour, LogMaxTotal: 10 << 20, LogBlock: true}}
	if !reflect.DeepEqual(server.Spec, want) || server.Dir != "/" || !server.Up || server.Run != 2 || server.Last == nil || server.Last.Number != 1 ||
		server.Origin.Boot == "" || !strings.Contains(server.Origin.Keeper, ":") {
		t.Errorf("got %+v", server)
	}
	if odd := byName["odd"].Spec; odd.Command != "printf 'a\\nb'\n# é \"q\"" || odd.StopSignal != 2 || odd.StopTimeout == nil || *odd.StopTimeout != 0 || odd.Deadline != time.Second/2 {
		t.Errorf("got %+v", odd)
	}
	if p := byName["nightly"]; p.Spec.Cron != "0 0 * * *" || p.Spec.JobID != "n1" || !p.Up || p.Next.IsZero() {
		t.Errorf("got %+v", p)
	}
	if p := byName["killed"]; p.State != process.Failed || p.Last.Cause != process.CauseSignal || p.Last.Signal != process.KILL {
		t.Errorf("got %+v", p)
	}
	if byName["off"].Up || byName["off"].State != process.Stopped {
		t.Errorf("got %+v", byName["off"])
	}

	s, before := open(t, path)
	if err := write(s, Change{Name: "new", Events: make([]process.Event, 1)}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s, after := open(t, path)
	defer s.Close()
	if !reflect.DeepEqual(after, before) || !reflect.DeepEqual(after, c) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	if runs, err := s.Runs("killed", 0); err != nil || len(runs) != 1 {
		t.Error(runs, err)
	}
	// What a program that reads the first format alone looks at before it says what it is.
	s.view(func(tx *bolt.Tx) error {
		if b := tx.Bucket(recordBucket); b == nil || b.Inspect().KeyN > 0 {
			t.Error("it takes this for the store of something else, or for its own")
		}
		if said := string(tx.Bucket(metaBucket).Get(formatKey)); said == firstFormat || !strings.Contains(said, path+".format-1") {
			t.Errorf("what it quotes does not say how to go back: %q", said)
		}
		return nil
	})
	if copied, err := os.ReadFile(path + ".format-1"); err != nil || len(copied) == 0 {
		t.Error("no copy of what it was:", err)
	} else if _, c, err := Open(path+".format-1", nil); err != nil || len(c.Processes) != 10 {
		t.Error("the copy cannot be read:", err)
	}
}

// A file of a format that is not known is refused and stays as it is.
func TestALaterFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	put1(t, s, testProcess("a"))
	shut(t, s)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { db.Close() }()
	for _, value := range []string{"3", "3: a note", "22", ""} {
		if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte(value)) }); err != nil {
			t.Fatal(err)
		}
		db.Close()
		was, _ := os.ReadFile(path)
		_, _, err := Open(path, nil)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", value)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("format %q: %v", value, err)
		}
		if is, _ := os.ReadFile(path); !bytes.Equal(is, was) {
			t.Errorf("format %q: it was written to", value)
		}
		if db, err = bolt.Open(path, 0o600, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A migration that fails costs no process, and is made up for.
func TestAMigrationThatFailsIsTriedAgain(t *testing.T) {
	path := firstStore(t)
	if err := os.Mkdir(path+".format-1", 0o700); err != nil { // in the way of the copy
		t.Fatal(err)
	}
	s, _ := open(t, path)
	defer s.Close()
	err := write(s, Change{Name: "done", Target: &Target{Run: 9}})
	if !errors.Is(err, process.ErrStore) {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(path + ".format-1"); err != nil {
		t.Fatal(err)
	}
	if err := write(s, Change{Name: "done", Target: &Target{Run: 9}}); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read of one process costs no other, and is kept.
func TestOneUnreadableProcessCostsNoOther(t *testing.T) {
	spoil := func(t *testing.T, path string, bucket []byte, value string) {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put([]byte("odd"), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	check := func(t *testing.T, path string) {
		for range 2 {
			s, c := open(t, path)
			if len(c.Processes) != 9 || len(c.Unreadable) != 1 || c.Unreadable[0].Name != "odd" {
				t.Errorf("%d processes, %v", len(c.Processes), c.Unreadable)
			}
			if err := write(s, Change{Name: "a", Events: make([]process.Event, 1)}); err != nil {
				t.Error(err)
			}
			shut(t, s)
		}
	}
	for _, value := range []string{"", "{", `{"Spec":{"Name":5}}`, `{"Spec":{"Name":"other"}}`, `{"At":"nowhere"}`} {
		first := firstStore(t)
		spoil(t, first, recordBucket, value)
		check(t, first)
	}
	for _, bucket := range [][]byte{definitionBucket, targetBucket} {
		second := firstStore(t)
		s, _ := open(t, second)
		shut(t, s)
		spoil(t, second, bucket, `{"id":`)
		check(t, second)
	}
}

func TestAStoreThatIsDeletedIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "processes.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, path)
	put1(t, s, testProcess("a"))
	if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+".gone"); err != nil {
		t.Fatal(err)
	}
	put1(t, s, testProcess("b"))
	shut(t, s)
	s, c := open(t, path)
	defer s.Close()
	if len(c.Processes) != 2 {
		t.Errorf("got %+v", c)
	}
}

// verify is Verify in another process, and Open if that found nothing.
func verify(path string) error {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), verifyEnv+"="+path)
	if out, err := c.Output(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	s, _, err := Open(path, nil)
	if err == nil {
		s.Close()
	}
	return err
}

// A store with a damaged page must be refused when it is opened, whichever page.
func TestDamagedStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	for i := range 200 {
		put1(t, s, testProcess(fmt.Sprintf("p%03d", i)))
	}
	shut(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(path); err != nil {
		t.Fatal("the whole one:", err)
	}
	damage := map[string][]byte{
		"garbage":       []byte(strings.Repeat("not a store ", 1000)),
		"one byte":      []byte("x"),
		"first pages":   whole[:16<<10],
		"other format":  bytes.ReplaceAll(whole, []byte("format2"), []byte("format9")),
		"no first page": append(make([]byte, 8192), whole[8192:]...),
	}
	for name, data := range damage {
		t.Run(name, func(t *testing.T) {
			path := In(t.TempDir())
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := verify(path); err == nil {
				t.Fatal("it was taken")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestResetKeepsTheOldOne(t *testing.T) {
	path := In(t.TempDir())
	logs := filepath.Join(filepath.Dir(path), "logs")
	if moved, err := Reset(path, logs); moved != nil || err != nil {
		t.Fatal(moved, err)
	}
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(logs, "web"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(logs, "web", "log"), []byte("said"), 0o600); err != nil {
		t.Fatal(err)
	}
	moved, err := Reset(path, logs)
	if err != nil || len(moved) != 2 {
		t.Fatal(moved, err)
	}
	for path, want := range map[string]string{moved[0]: "old", filepath.Join(moved[1], "web", "log"): "said"} {
		if data, err := os.ReadFile(path); string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if err := verify(path); err != nil {
		t.Error("the new one:", err)
	}
}

// Of very many changes that wait together the first are on disk before the last are written,
// and none is lost.
func TestVeryManyChangesAreWrittenInParts(t *testing.T) {
	s, _, err := Open(filepath.Join(t.TempDir(), "processes.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const count = 2*mostAtOnce + 1
	told := make(chan error, count)
	first := make(chan int, 1) // how many are on disk when it is told
	for i := range count {
		name := fmt.Sprint("p", i)
		s.Write(Change{Name: name, Events: []process.Event{{Name: name, Kind: process.EventStarted}}, Done: func(err error) {
			if i == 0 {
				events, _ := s.Events(0, count)
				first <- len(events)
			}
			told <- err
		}})
	}
	s.Begin() // all of them wait
	for range count {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	if n := <-first; n != mostAtOnce {
		t.Errorf("%d are on disk when the first is told", n)
	}
	if events, err := s.Events(0, count); len(events) != count || err != nil {
		t.Errorf("%d events, %v", len(events), err)
	}
}
