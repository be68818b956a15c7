package store

import (
	"bytes"
	"encoding/json"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// How much of a ledger is kept. The last entry of a process is kept whatever its age.
const (
	MaxEntries    = 1000    // of one process
	MaxAllEntries = 200_000 // of all together: with more than 200 processes each has fewer
	MinEntries    = 20      // of one process, however many there are
)

// entriesKept is how many entries each of so many processes may keep.
func entriesKept(processes int) int {
	return min(max(MaxAllEntries/max(processes, 1), MinEntries), MaxEntries)
}

// Ledger gives the entries of a process that stand for a time which is not earlier than
// since, the oldest first.
func (s *Store) Ledger(name string, since time.Time) (entries []process.LedgerEntry, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(ledgerBucket)
		if bucket == nil {
			return nil // it is written with the first entry
		}
		c, prefix := bucket.Cursor(), runsOf(name)
		key, value := c.Seek(entryKey(name, since))
		if before, earlier := c.Prev(); bytes.HasPrefix(before, prefix) { // it may stand for later ones too
			key, value = before, earlier
		} else if key != nil {
			key, value = c.Seek(entryKey(name, since))
		}
		for ; bytes.HasPrefix(key, prefix); key, value = c.Next() {
			var e process.LedgerEntry
			if err := json.Unmarshal(value, &e); err != nil {
				return err
			}
			if !e.Last().Before(since) {
				entries = append(entries, e)
			}
		}
		return nil
	})
	return entries, err
}

// entryKey sorts the entries of a process by time.
func entryKey(name string, t time.Time) []byte {
	return runKey(name, uint64(max(t.Unix(), 0))<<30+uint64(t.Nanosecond()))
}

// ledgers is how many entries each process has, as far as that was needed.
type ledgers map[string]int

// put writes entries of a process, and counts them: one for a time that has an entry takes its
// place. Times in a row of which the same became share one.
func (l ledgers) put(tx *bolt.Tx, name string, entries []process.LedgerEntry, all *totals, keep int, now time.Time) error {
	if len(entries) == 0 {
		return nil
	}
	bucket, err := tx.CreateBucketIfNotExists(ledgerBucket)
	if err != nil {
		return err
	}
	c := bucket.Cursor()
	if _, known := l[name]; !known {
		l[name] = count(c, name)
	}
	for _, e := range entries {
		e.Time, e.From, e.To = e.Time.UTC(), e.From.UTC(), e.To.UTC()
		key := entryKey(name, e.Time)
		if last, value := lastOf(c, name); bytes.HasPrefix(last, runsOf(name)) && bytes.Compare(last, key) < 0 {
			var before process.LedgerEntry
			switch {
			case json.Unmarshal(value, &before) != nil:
			case !e.Last().After(before.Last()): // it stands for this one already
				continue
			case before.Join(e):
				key, e = last, before
			}
		}
		if value := bucket.Get(key); value == nil {
			l[name]++
			all.addTimes(&e, nil)
		} else {
			all.addTimes(&e, entryIn(value))
		}
		if err := putJSON(tx, ledgerBucket, key, e); err != nil {
			return err
		}
	}
	return l.trim(bucket, name, keep, now)
}

// entryIn reads an entry as it is kept; nil: it cannot be read.
func entryIn(value []byte) *process.LedgerEntry {
	e := new(process.LedgerEntry)
	if json.Unmarshal(value, e) != nil {
		return nil
	}
	return e
}

// trim deletes the oldest entries of a process, but for so many, and those that are too old,
// but for the last.
func (l ledgers) trim(bucket *bolt.Bucket, name string, keep int, now time.Time) error {
	c := bucket.Cursor()
	for range trimsAtATime {
		key, value := c.Seek(runsOf(name))
		if l[name] <= 1 || !bytes.HasPrefix(key, runsOf(name)) || l[name] <= keep && !longAgo(value, now) {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
		l[name]--
	}
	return nil
}

// forget deletes the ledger of a process.
func (l ledgers) forget(tx *bolt.Tx, name string) error {
	delete(l, name)
	if bucket := tx.Bucket(ledgerBucket); bucket != nil {
		return forgetRuns(bucket, name)
	}
	return nil
}

// sweep trims the ledgers of so many processes, those behind after by name and then the first
// again, and gives the name of the last: see sweepRuns.
func (l ledgers) sweep(tx *bolt.Tx, after string, processes, keep int, now time.Time) (string, error) {
	bucket := tx.Bucket(ledgerBucket)
	if bucket == nil {
		return after, nil
	}
	c := bucket.Cursor()
	for range processes {
		if after = nameBehind(c, after); after == "" {
			return "", nil
		}
		if _, known := l[after]; !known {
			l[after] = count(bucket.Cursor(), after)
		}
		if err := l.trim(bucket, after, keep, now); err != nil {
			return "", err
		}
	}
	return after, nil
}

func count(c *bolt.Cursor, name string) (n int) {
	prefix := runsOf(name)
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		n++
	}
	return n
}

// longAgo reports whether the last time that an entry stands for is longer ago than MaxAge.
func longAgo(value []byte, now time.Time) bool {
	var e process.LedgerEntry
	return json.Unmarshal(value, &e) == nil && now.Sub(e.Last()) > MaxAge
}
