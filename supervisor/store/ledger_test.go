package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func minute(n int) time.Time {
	return time.Now().UTC().Truncate(time.Hour).Add(time.Duration(n) * time.Minute)
}

func enter(t *testing.T, s *Store, name string, entries ...process.LedgerEntry) {
	t.Helper()
	if err := write(s, Change{Name: name, Ledger: entries}); err != nil {
		t.Fatal(err)
	}
}

func ledger(t *testing.T, s *Store, name string, since time.Time) []process.LedgerEntry {
	t.Helper()
	entries, err := s.Ledger(name, since)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// An entry is found by its time, that of another process is not, and what becomes of a time
// later takes the place of what was said of it.
func TestLedgerHasOneEntryForATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	if entries := ledger(t, s, "a", time.Time{}); len(entries) > 0 {
		t.Error("before there is any:", entries)
	}
	for _, name := range []string{"a", "a.b", "b"} {
		put1(t, s, testProcess(name))
		enter(t, s, name, process.LedgerEntry{Time: minute(0), Outcome: process.Ran, Run: 1, LateSeconds: 0.5},
			process.LedgerEntry{Time: minute(1), Outcome: process.Queued, Reason: "run 1 goes on"}, process.LedgerEntry{Time: minute(2), Outcome: process.Skipped})
	}
	enter(t, s, "a", process.LedgerEntry{Time: minute(1), Outcome: process.Queued, Run: 2})
	shut(t, s)
	s, _ = open(t, path)
	defer s.Close()
	entries := ledger(t, s, "a", time.Time{})
	if len(entries) != 3 || entries[0].LateSeconds != 0.5 || entries[1].Run != 2 || !entries[1].Time.Equal(minute(1)) || entries[2].Outcome != process.Skipped {
		t.Errorf("got %+v", entries)
	}
	if entries := ledger(t, s, "a", minute(1)); len(entries) != 2 {
		t.Errorf("since the second: %+v", entries)
	}
	if entries := ledger(t, s, "b", minute(3)); len(entries) > 0 {
		t.Errorf("since later: %+v", entries)
	}
}

func TestMissedTimesInARowShareAnEntry(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	put1(t, s, testProcess("a"))
	missed := func(n int) process.LedgerEntry {
		return process.LedgerEntry{Time: minute(n), Outcome: process.Missed, Reason: "no daemon ran"}
	}
	enter(t, s, "a", missed(0), missed(1))
	enter(t, s, "a", missed(2))
	enter(t, s, "a", missed(2), process.LedgerEntry{Time: minute(3), Outcome: process.Ran, Run: 1}, missed(4))
	entries := ledger(t, s, "a", minute(2)) // the first of them was earlier
	if len(entries) != 3 || entries[0].Count != 3 || !entries[0].From.Equal(minute(0)) || !entries[0].To.Equal(minute(2)) || entries[2].Count != 0 {
		t.Errorf("got %+v", entries)
	}
}

func TestLedgerIsKeptUpToALimit(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	put1(t, s, testProcess("a"))
	put1(t, s, testProcess("b"))
	enter(t, s, "b", process.LedgerEntry{Time: time.Now().Add(-MaxAge - time.Hour), Outcome: process.Ran}, process.LedgerEntry{Time: minute(0), Outcome: process.Ran})
	if entries := ledger(t, s, "b", time.Time{}); len(entries) != 1 {
		t.Error("one that is too old stays:", entries)
	}
	for n := 0; n < MaxEntries+50; n += 50 {
		var entries []process.LedgerEntry
		for n := n; len(entries) < 50; n++ {
			entries = append(entries, process.LedgerEntry{Time: minute(n), Outcome: process.Ran, Run: uint64(n + 1)})
		}
		enter(t, s, "a", entries...)
	}
	entries := ledger(t, s, "a", time.Time{})
	if len(entries) != MaxEntries || entries[0].Run != 51 {
		t.Errorf("%d entries", len(entries))
	}
	s.processes = MaxAllEntries / 100 // others have come meanwhile, and it writes nothing any more
	for n := range 50 {
		enter(t, s, "b", process.LedgerEntry{Time: minute(n), Outcome: process.Ran})
	}
	if entries := ledger(t, s, "a", time.Time{}); len(entries) != 100 {
		t.Errorf("%d entries, with more processes", len(entries))
	}
}

func TestADeletedProcessHasNoLedger(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	for again := range 2 {
		p := testProcess("a")
		p.ID = fmt.Sprint(again) // a delete that could not be put on disk
		put1(t, s, p)
		if entries := ledger(t, s, "a", time.Time{}); len(entries) > 0 {
			t.Errorf("of one that was deleted: %+v", entries)
		}
		enter(t, s, "a", process.LedgerEntry{Time: minute(0), Outcome: process.Ran})
	}
	if err := write(s, Change{Name: "a", Remove: true}); err != nil {
		t.Fatal(err)
	}
	if entries := ledger(t, s, "a", time.Time{}); len(entries) > 0 {
		t.Errorf("got %+v", entries)
	}
}

// A program that kept no ledger may have written the file.
func TestAFileWithoutALedgerIsReadAndWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _ := open(t, path)
	put1(t, s, testProcess("a"))
	shut(t, s)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		if tx.Bucket(ledgerBucket) == nil {
			return nil
		}
		return tx.DeleteBucket(ledgerBucket)
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s, c := open(t, path)
	defer s.Close()
	if len(c.Processes) != 1 || len(ledger(t, s, "a", time.Time{})) > 0 {
		t.Errorf("got %+v", c)
	}
	enter(t, s, "a", process.LedgerEntry{Time: minute(0), Outcome: process.Ran})
	if entries := ledger(t, s, "a", time.Time{}); len(entries) != 1 {
		t.Errorf("got %+v", entries)
	}
}

// A delete that could not be put on disk is told when another process takes the name.
func TestADeleteIsToldThoughItCouldNotBeStored(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "processes.db"))
	defer s.Close()
	for again := range 2 {
		p := testProcess("a")
		p.ID = fmt.Sprint(again)
		c := Change{Name: p.Spec.Name, Definition: &p.Definition, Target: &p.Target, Events: []process.Event{{Kind: process.EventDefined}}}
		if err := write(s, c); err != nil {
			t.Fatal(err)
		}
		if seq := c.Events[0].Seq; seq != uint64(2*again+1) {
			t.Errorf("what tells of the definition has number %d", seq)
		}
	}
	events, err := s.Events(0, 10)
	if err != nil || len(events) != 3 || events[1].Kind != process.EventDeleted || events[1].Name != "a" {
		t.Errorf("got %+v, %v", events, err)
	}
}
