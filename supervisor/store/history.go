package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// How much history is kept. The last run of a process is kept whatever its age.
const (
	MaxRuns      = 200                  // of one process
	MaxAllRuns   = 100_000              // of all together: with more than 500 processes each has fewer
	MinRuns      = 5                    // of one process, however many there are
	MaxEvents    = 50_000               // of all processes together
	MaxAge       = 365 * 24 * time.Hour // of a run or an event
	trimsAtATime = 64                   // runs of a process, processes: so that no change waits for the end of a long history
)

// runsKept is how many runs each of so many processes may keep.
func runsKept(processes int) uint64 {
	return uint64(min(max(MaxAllRuns/max(processes, 1), MinRuns), MaxRuns))
}

// Runs gives the last runs of a process that have ended, the oldest first; at most so
// many, 0 for all.
func (s *Store) Runs(name string, most int) (runs []process.Run, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(runBucket)
		if bucket == nil {
			return nil // the first format has none
		}
		c := bucket.Cursor()
		prefix := runsOf(name)
		for key, value := lastOf(c, name); bytes.HasPrefix(key, prefix) && (most == 0 || len(runs) < most); key, value = c.Prev() {
			var r process.Run
			if err := json.Unmarshal(value, &r); err != nil {
				return err
			}
			runs = append(runs, r)
		}
		return nil
	})
	slices.Reverse(runs)
	return runs, err
}

// Events gives those with a higher number than since, the oldest first, at most so many.
func (s *Store) Events(since uint64, most int) (events []process.Event, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(eventBucket)
		if bucket == nil || since+1 == 0 {
			return nil
		}
		c := bucket.Cursor()
		for key, value := c.Seek(eventKey(since + 1)); key != nil && len(events) < most; key, value = c.Next() {
			var e process.Event
			if err := json.Unmarshal(value, &e); err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	return events, err
}

// trimRuns deletes the oldest runs of a process, but for so many, and those that are too
// old, but for the last.
func trimRuns(runs *bolt.Bucket, name string, keep uint64, now time.Time) error {
	c := runs.Cursor()
	newest, _ := lastOf(c, name)
	if newest == nil || !bytes.HasPrefix(newest, runsOf(name)) {
		return nil
	}
	last := binary.BigEndian.Uint64(newest[len(name)+1:])
	for range trimsAtATime {
		key, value := c.Seek(runsOf(name))
		number := binary.BigEndian.Uint64(key[len(name)+1:])
		if last-number < keep && (number == last || !tooOld(value, "end_time", now)) {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
		if number == last {
			return nil
		}
	}
	return nil
}

// forgetRuns deletes all runs of a process.
func forgetRuns(runs *bolt.Bucket, name string) error {
	c := runs.Cursor()
	prefix := runsOf(name)
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Seek(prefix) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// sweepRuns trims the runs of so many processes, those behind after by name and then the
// first again, and gives the name of the last. What a process without new runs has kept
// from a time when there were fewer processes, or from long ago, goes so too.
func sweepRuns(runs *bolt.Bucket, after string, processes int, keep uint64, now time.Time) (string, error) {
	c := runs.Cursor()
	for range processes {
		key, _ := c.Seek(behindRunsOf(after))
		if key == nil {
			if key, _ = c.First(); key == nil {
				return "", nil
			}
		}
		name, _, _ := bytes.Cut(key, []byte{0})
		after = string(name)
		if err := trimRuns(runs, after, keep, now); err != nil {
			return "", err
		}
	}
	return after, nil
}

// behindRunsOf is less than the keys of all processes behind this one, and no less than
// its own.
func behindRunsOf(name string) []byte { return append([]byte(name), 1) }

// trimEvents deletes so many events at most, the oldest, beyond MaxEvents or MaxAge.
func trimEvents(events *bolt.Bucket, most int, now time.Time) error {
	c := events.Cursor()
	key, value := c.First()
	for range most {
		if key == nil {
			return nil
		}
		seq := binary.BigEndian.Uint64(key)
		if events.Sequence()-seq < MaxEvents && !tooOld(value, "time", now) {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
		key, value = c.Seek(eventKey(seq + 1)) // First would look into each page that is empty now
	}
	return nil
}

// tooOld reports whether the time that stands in a value is longer ago than MaxAge.
func tooOld(value []byte, field string, now time.Time) bool {
	var times map[string]json.RawMessage
	var t time.Time
	if json.Unmarshal(value, &times) != nil || json.Unmarshal(times[field], &t) != nil {
		return false
	}
	return now.Sub(t) > MaxAge
}

// lastOf moves c to the last run of a process; the key is another's if it has none.
func lastOf(c *bolt.Cursor, name string) (key, value []byte) {
	key, value = c.Seek(runKey(name, 1<<64-1))
	switch {
	case key == nil:
		return c.Last()
	case bytes.HasPrefix(key, runsOf(name)):
		return key, value
	}
	return c.Prev()
}
