package store

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// ended is a run that has used 3 ms of CPU time and read 10 bytes.
func ended(number uint64, cause process.Cause, by process.AskedBy) process.Run {
	return process.Run{Number: number, Cause: cause, End: time.Now().UTC(), Asked: process.Asked{By: by},
		Usage: process.Usage{CPUUser: new(int64(1000)), CPUSystem: new(int64(2000)), IORead: new(uint64(10))}}
}

// totalsKept are the totals of a process as the next program finds them.
func totalsKept(t *testing.T, s *Store, name string) (found process.Totals) {
	t.Helper()
	err := s.view(func(tx *bolt.Tx) error {
		all, _, err := readAll(tx)
		for _, p := range all {
			if p.Spec.Name == name {
				found = p.Totals
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A worker that dies behind a write has the next one write the same again.
func TestTotalsCountEachRunAndEachTimeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	p := testProcess("a")
	p.Spec.History = 2
	var told process.Totals
	change := Change{Name: "a", Definition: &p.Definition, Target: &p.Target, Totals: &told,
		Runs:   []process.Run{ended(1, process.CauseExit, process.ByRequest), ended(2, process.CauseOOM, process.ByRestart)},
		Ledger: []process.LedgerEntry{{Time: minute(0), Outcome: process.Skipped}, {Time: minute(1), Outcome: process.Ran, Run: 2}, {Time: minute(2), Outcome: process.Missed}}}
	later := Change{Name: "a", Totals: &told, Runs: []process.Run{ended(3, process.CauseExit, process.ByRestart), ended(4, process.CauseExit, process.ByRestart)},
		Ledger: []process.LedgerEntry{
			{Time: minute(6), Outcome: process.Queued}, {Time: minute(6), Outcome: process.Queued, Run: 5},
			{Time: minute(7), Outcome: process.Missed, From: minute(7), To: minute(9), Count: 3}}}
	for _, c := range []Change{change, change, later, later} {
		if err := write(s, c); err != nil {
			t.Fatal(err)
		}
		if kept := totalsKept(t, s, "a"); !reflect.DeepEqual(told, kept) {
			t.Errorf("told %+v, kept %+v", told, kept)
		}
	}
	shut(t, s)
	s, c := open(t, path)
	defer s.Close()
	want := process.Totals{CPUUser: 4000, CPUSystem: 8000, IORead: new(uint64(40)), Restarts: 3,
		Runs:  map[process.Cause]uint64{process.CauseExit: 3, process.CauseOOM: 1},
		Times: map[process.Fate]uint64{process.Skipped: 1, process.Ran: 1, process.Missed: 4, process.Queued: 1}}
	if got := c.Processes[0].Totals; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if runs, _ := s.Runs("a", 0); len(runs) != 2 {
		t.Errorf("%d runs are kept, not 2: what is not kept must count too", len(runs))
	}
}

// What could not be written is not counted, nor what another process of the name has used.
func TestTotalsGoWithTheirProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	defer s.Close()
	define := func(id string, runs ...process.Run) {
		t.Helper()
		p := testProcess("a")
		p.ID = id
		if err := write(s, Change{Name: "a", Definition: &p.Definition, Target: &p.Target, Runs: runs}); err != nil {
			t.Fatal(err)
		}
	}
	runs := func(want uint64) {
		t.Helper()
		if got := totalsKept(t, s, "a"); got.Runs[process.CauseExit] != want || got.CPUUser != 1000*int64(want) {
			t.Errorf("got %+v, want %d runs", got, want)
		}
	}
	define("b1", ended(1, process.CauseExit, ""))
	runs(1)
	define("b2", ended(1, process.CauseExit, "")) // that b1 is deleted could not be written
	runs(1)
	define("b2", ended(2, process.CauseExit, ""))
	runs(2)
	if err := write(s, Change{Name: "a", Remove: true}); err != nil {
		t.Fatal(err)
	}
	define("b2")
	runs(0)
	define("b2", ended(1, process.CauseExit, ""))
	err := s.db.Update(func(tx *bolt.Tx) error { // as a program that knows no totals has a process deleted and another defined
		p := testProcess("a")
		p.ID = "b3"
		return putJSON(tx, definitionBucket, []byte("a"), p.Definition)
	})
	if err != nil {
		t.Fatal(err)
	}
	runs(0)
}

// A store of a program that kept none is read, and its processes count from then on.
func TestTotalsBeginAtNothingInAFormerStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	put1(t, s, testProcess("a"))
	for i, spoil := range []func(*bolt.Tx) error{
		func(tx *bolt.Tx) error { return tx.DeleteBucket(totalBucket) },
		func(tx *bolt.Tx) error { return tx.Bucket(totalBucket).Put([]byte("a"), []byte(`{"runs":`)) },
	} {
		if err := s.db.Update(spoil); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
		var c Contents
		if s, c = open(t, path); len(c.Processes) != 1 || len(c.Unreadable) != 0 || !reflect.DeepEqual(c.Processes[0].Totals, process.Totals{}) {
			t.Errorf("got %+v", c)
		}
		if err := write(s, Change{Name: "a", Runs: []process.Run{ended(uint64(9+i), process.CauseExit, "")}}); err != nil {
			t.Fatal(err)
		}
		if got := totalsKept(t, s, "a"); got.CPUUser != 1000 || got.Runs[process.CauseExit] != 1 {
			t.Errorf("got %+v", got)
		}
	}
	shut(t, s)
}
