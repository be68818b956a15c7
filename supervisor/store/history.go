package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// How much history is kept. The last run of a process is kept whatever its age.
const (
	MaxRunBytes  = 64 << 20             // of the runs of all processes together, each having an equal share
	MinRuns      = 5                    // of one process, however many there are
	MaxEvents    = 100_000              // of all processes together
	MaxAge       = 365 * 24 * time.Hour // of a run or an event
	trimsAtATime = 64                   // runs of a process, processes: so that no change waits for the end of a long history
	readsAtATime = 4096                 // of runs or events, that are looked at in one transaction
)

// room is how many bytes the runs of one of so many processes may take.
func room(processes int) int { return MaxRunBytes / max(processes, 1) }

// Runs gives the last runs of a process that have ended, the oldest first; at most so
// many, 0 for all.
func (s *Store) Runs(name string, most int) (runs []process.Run, err error) {
	return s.MatchingRuns(name, process.RunQuery{Limit: most})
}

// MatchingRuns gives the runs of a process that q asks for, the oldest first.
func (s *Store) MatchingRuns(name string, q process.RunQuery) (runs []process.Run, err error) {
	wanted := wantedBy(&q)
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(runBucket)
		if bucket == nil {
			return nil // the first format has none
		}
		c := bucket.Cursor()
		prefix := runsOf(name)
		for key, value := lastOf(c, name); bytes.HasPrefix(key, prefix) && (q.Limit == 0 || len(runs) < q.Limit); key, value = c.Prev() {
			if _, ok := wanted(value); !ok {
				continue
			}
			var r process.Run
			if err := json.Unmarshal(value, &r); err != nil {
				return err
			}
			if q.Has(&r) {
				runs = append(runs, r)
			}
		}
		return nil
	})
	slices.Reverse(runs)
	return runs, err
}

// Ended is a run that is kept, by when it ended.
type Ended struct {
	Time   int64 // of its end, in nanoseconds since 1970; of one whose end is not known, very early
	Name   string
	Number uint64
}

// EndedRuns gives the runs of all processes that q asks for, in the order in which they
// ended. It looks at all that are kept, since a clock may have been set back.
func (s *Store) EndedRuns(q process.RunQuery) (ended []Ended, err error) {
	wanted := wantedBy(&q)
	var from []byte
	name := "" // many keys have the same
	for more := true; more && err == nil; {
		err = s.view(func(tx *bolt.Tx) error {
			more = false
			bucket := tx.Bucket(runBucket)
			if bucket == nil {
				return nil
			}
			c := bucket.Cursor()
			n := 0
			for key, value := c.Seek(from); key != nil; key, value = c.Next() {
				if n++; n > readsAtATime {
					from, more = bytes.Clone(key), true
					return nil
				}
				end, ok := wanted(value)
				if !ok {
					continue
				}
				if end == 0 || q.JobID != "" { // it may be that of something else in the value
					var r process.Run
					if json.Unmarshal(value, &r) != nil || !q.Has(&r) {
						continue
					}
				}
				of, number := key[:len(key)-9], binary.BigEndian.Uint64(key[len(key)-8:])
				if name != string(of) {
					name = string(of)
				}
				if ended = append(ended, Ended{end, name, number}); q.Limit > 0 && len(ended) >= 2*q.Limit+readsAtATime {
					ended = lastOfAll(ended, q.Limit)
					q.Since = time.Unix(0, ended[0].Time) // others are not among them
				}
			}
			return nil
		})
	}
	return lastOfAll(ended, q.Limit), err
}

// lastOfAll are so many that ended last, in their order; 0: all.
func lastOfAll(ended []Ended, most int) []Ended {
	slices.SortFunc(ended, func(a, b Ended) int {
		if c := cmp.Compare(a.Time, b.Time); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Number, b.Number))
	})
	if most > 0 {
		ended = ended[max(0, len(ended)-most):]
	}
	return ended
}

// Records gives runs that were found, without those that are not kept any more.
func (s *Store) Records(found []Ended) (all []process.RunRecord, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(runBucket)
		for _, at := range found {
			value := bucket.Get(runKey(at.Name, at.Number))
			if value == nil {
				continue
			}
			r := process.RunRecord{Name: at.Name}
			if err := json.Unmarshal(value, &r.Run); err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

// wantedBy is a look at a run as it is kept: when it ended, and whether q may ask for it. It
// reads the text of the value, for to read all of it takes ten times as long; where it finds
// that to be otherwise than it is written, it leaves the answer to whoever reads it all.
func wantedBy(q *process.RunQuery) func(value []byte) (end int64, ok bool) {
	cause, job := []byte(q.Cause.String()), []byte(`"job_id":"`+q.JobID+`"`)
	return func(value []byte) (end int64, ok bool) {
		ended, behind, ok := textBehind(value, endTimeKey)
		why, rest, found := textBehind(behind, causeKey)
		if !ok || !found {
			return 0, true
		}
		if q.Cause != 0 && !bytes.Equal(why, cause) || q.JobID != "" && !bytes.Contains(value, job) || q.Failed && !mayHaveFailed(why, rest) {
			return 0, false
		}
		t, err := time.Parse(time.RFC3339Nano, string(ended))
		if err != nil {
			return 0, true
		}
		if !q.Since.IsZero() && t.Before(q.Since) || !q.Until.IsZero() && !t.Before(q.Until) {
			return 0, false
		}
		return t.UnixNano(), true
	}
}

var (
	endTimeKey = []byte(`"end_time":"`)
	timeKey    = []byte(`"time":"`)
	causeKey   = []byte(`"cause":"`)
	errorKey   = []byte(`,"error":"`)
	usageKey   = []byte(`,"cpu_usec":`) // the first of many figures, behind all else that is asked for
)

// mayHaveFailed is [process.HasFailed] of a run as it is kept: of its cause, and what
// stands behind that.
func mayHaveFailed(cause, rest []byte) bool {
	var c process.Cause
	if c.UnmarshalText(cause) != nil {
		return true
	}
	text := ""
	if c == process.CauseExit {
		rest, _, _ = bytes.Cut(rest, usageKey)
		if bytes.Contains(rest, errorKey) {
			text = "it has one"
		}
	}
	return process.HasFailed(c, text)
}

// textBehind is the text behind a key in a value as it is kept, which has no escapes in it, and
// what follows. No key stands in a text: its quotes are escaped.
func textBehind(value, key []byte) (text, rest []byte, ok bool) {
	_, behind, found := bytes.Cut(value, key)
	text, rest, ended := bytes.Cut(behind, []byte(`"`))
	return text, rest, found && ended
}

// timeIn is the time behind a key in a value as it is kept.
func timeIn(value, key []byte) (time.Time, error) {
	text, _, _ := textBehind(value, key)
	return time.Parse(time.RFC3339Nano, string(text))
}

// Events gives those with a higher number than since, the oldest first, at most so many.
func (s *Store) Events(since uint64, most int) (events []process.Event, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(eventBucket)
		if bucket == nil || since+1 == 0 {
			return nil
		}
		c := bucket.Cursor()
		key, value := c.Seek(eventKey(since + 1))
		events, err = eventsFrom(key, value, c.Next, most)
		return err
	})
	return events, err
}

// EventsBefore gives those with a lower number, the newest first, at most so many.
func (s *Store) EventsBefore(number uint64, most int) (events []process.Event, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(eventBucket)
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		before := c.Last
		if key, _ := c.Seek(eventKey(number)); key != nil {
			before = c.Prev
		}
		key, value := before()
		events, err = eventsFrom(key, value, c.Prev, most)
		return err
	})
	return events, err
}

// eventsFrom reads an event and those that a step leads to, at most so many.
func eventsFrom(key, value []byte, step func() (key, value []byte), most int) (events []process.Event, err error) {
	for ; key != nil && len(events) < most; key, value = step() {
		var e process.Event
		if err := json.Unmarshal(value, &e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// LastEvent is the number of the last event that was written. It waits neither for the disk nor
// for what is being written.
func (s *Store) LastEvent() uint64 { return s.lastEvent.Load() }

// lastEvent is the same in a transaction.
func lastEvent(tx *bolt.Tx) uint64 {
	if bucket := tx.Bucket(eventBucket); bucket != nil {
		return bucket.Sequence()
	}
	return 0
}

// KeptEvents are the numbers of the oldest event that is kept and of the last that there
// was; the oldest is one more than the last where none is kept.
func (s *Store) KeptEvents() (oldest, last uint64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		oldest = 1
		bucket := tx.Bucket(eventBucket)
		if bucket == nil {
			return nil
		}
		last = bucket.Sequence()
		if oldest = last + 1; last > 0 {
			if key, _ := bucket.Cursor().First(); key != nil {
				oldest = binary.BigEndian.Uint64(key)
			}
		}
		return nil
	})
	return oldest, last, err
}

// EventsFrom is the number of the first event that is not older than a time; one more than
// the last if all are older. It looks at all before it, since a clock may have been set back.
func (s *Store) EventsFrom(t time.Time) (first uint64, err error) {
	var from uint64
	for more := true; more && err == nil; {
		err = s.view(func(tx *bolt.Tx) error {
			more = false
			bucket := tx.Bucket(eventBucket)
			if bucket == nil {
				first = 1
				return nil
			}
			first = bucket.Sequence() + 1
			c := bucket.Cursor()
			n := 0
			for key, value := c.Seek(eventKey(from)); key != nil; key, value = c.Next() {
				number := binary.BigEndian.Uint64(key)
				if n++; n > readsAtATime {
					from, more = number, true
					return nil
				}
				if is, err := timeIn(value, timeKey); err == nil && !is.Before(t) {
					first = number
					return nil
				}
			}
			return nil
		})
	}
	return first, err
}

// historyOf is how many runs a process keeps, by its definition.
func historyOf(definitions *bolt.Bucket, name string) int {
	var d struct {
		Spec struct {
			History int `json:"history"`
		} `json:"spec"`
	}
	json.Unmarshal(definitions.Get([]byte(name)), &d) // of what cannot be read the default is kept
	return process.Retention{History: d.Spec.History}.Kept()
}

// firstKept is the number of the oldest run that a process keeps of its last ones: of so many,
// and of so many bytes of which at least MinRuns are kept. c stands on the last, and is moved.
func firstKept(c *bolt.Cursor, key, value []byte, name string, most, bytesMost int) (first uint64) {
	prefix, size := runsOf(name), 0
	for n := 0; bytes.HasPrefix(key, prefix) && n < most; n++ {
		if size += len(key) + len(value); size > bytesMost && n >= MinRuns {
			break
		}
		first = binary.BigEndian.Uint64(key[len(name)+1:])
		key, value = c.Prev()
	}
	return first
}

// trimRuns deletes the oldest runs of a process, but for so many, which take so many bytes at
// most, and those that are too old, but for the last.
func trimRuns(runs *bolt.Bucket, name string, most, bytesMost int, now time.Time) error {
	c := runs.Cursor()
	newest, value := lastOf(c, name)
	if newest == nil || !bytes.HasPrefix(newest, runsOf(name)) {
		return nil
	}
	last := binary.BigEndian.Uint64(newest[len(name)+1:])
	first := firstKept(c, newest, value, name, most, bytesMost)
	for range trimsAtATime {
		key, value := c.Seek(runsOf(name))
		number := binary.BigEndian.Uint64(key[len(name)+1:])
		if number >= first && (number == last || !tooOld(value, endTimeKey, now)) {
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
func sweepRuns(tx *bolt.Tx, after string, processes, bytesMost int, now time.Time) (string, error) {
	runs := tx.Bucket(runBucket)
	c := runs.Cursor()
	for range processes {
		if after = nameBehind(c, after); after == "" {
			return "", nil
		}
		if err := trimRuns(runs, after, historyOf(tx.Bucket(definitionBucket), after), bytesMost, now); err != nil {
			return "", err
		}
	}
	return after, nil
}

// nameBehind is the process that comes behind one by name, or else the first; empty: there is
// none.
func nameBehind(c *bolt.Cursor, name string) string {
	key, _ := c.Seek(behindRunsOf(name))
	if key == nil {
		key, _ = c.First()
	}
	behind, _, _ := bytes.Cut(key, []byte{0})
	return string(behind)
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
		if events.Sequence()-seq < MaxEvents && !tooOld(value, timeKey, now) {
			return nil
		}
		if err := c.Delete(); err != nil {
			return err
		}
		key, value = c.Seek(eventKey(seq + 1)) // First would look into each page that is empty now
	}
	return nil
}

// tooOld reports whether the time behind a key in a value is longer ago than MaxAge.
func tooOld(value, key []byte, now time.Time) bool {
	t, err := timeIn(value, key)
	return err == nil && now.Sub(t) > MaxAge
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
