package store

import (
	"encoding/json"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The totals of a process are added up in the transaction that stores what they count. A run
// that is stored already is not counted again, and neither is a time of which the same was
// said before: a worker that dies between a write and what follows writes both once more.
//
// A file of a program that kept none has no totals. They begin at nothing then: what its
// history still has is a part of what there was, and to read all of it takes a second for each
// hundred thousand runs, at the start of a daemon.

// totals are those of one process, with the birth id of its definition: an earlier program
// deletes a process without them, and may define another one of the same name.
type totals struct {
	ID string `json:"id"`
	process.Totals
	changed bool
}

// totalsOf reads what is kept under a name, for the process with this id. What cannot be read
// begins anew.
func totalsOf(tx *bolt.Tx, name, id string) totals {
	t := totals{}
	if bucket := tx.Bucket(totalBucket); bucket != nil {
		if json.Unmarshal(bucket.Get([]byte(name)), &t) != nil || t.ID != id {
			t = totals{}
		}
	}
	t.ID = id
	return t
}

// totalsFor reads those that a change adds to; none where it adds nothing.
func totalsFor(tx *bolt.Tx, c *Change) totals {
	switch {
	case len(c.Runs)+len(c.Ledger) == 0:
		return totals{}
	case c.Definition != nil:
		return totalsOf(tx, c.Name, c.Definition.ID)
	}
	return totalsOf(tx, c.Name, idOf(tx, c.Name))
}

// addRuns counts the runs that are not stored yet.
func (t *totals) addRuns(tx *bolt.Tx, name string, runs []process.Run) {
	for i := range runs {
		if tx.Bucket(runBucket).Get(runKey(name, runs[i].Number)) == nil {
			t.AddRun(&runs[i])
			t.changed = true
		}
	}
}

// addTimes counts times of the schedule that an entry stands for now. former is the entry that
// it takes the place of, nil if there is none.
func (t *totals) addTimes(e, former *process.LedgerEntry) {
	n := e.Times()
	if former != nil && former.Outcome == e.Outcome {
		n -= former.Times()
	}
	if n > 0 {
		t.AddTimes(e.Outcome, n)
		t.changed = true
	}
}

// put writes them, if something was counted, and hands them to whoever asks.
func (t *totals) put(tx *bolt.Tx, c *Change) error {
	if c.Totals != nil {
		*c.Totals = t.Totals
	}
	if !t.changed {
		return nil
	}
	if _, err := tx.CreateBucketIfNotExists(totalBucket); err != nil {
		return err
	}
	return putJSON(tx, totalBucket, []byte(c.Name), t)
}

// forgetTotals deletes those of a process.
func forgetTotals(tx *bolt.Tx, name string) error {
	if bucket := tx.Bucket(totalBucket); bucket != nil {
		return bucket.Delete([]byte(name))
	}
	return nil
}

// idOf is the birth id of the process with this name; empty: none is kept.
func idOf(tx *bolt.Tx, name string) string {
	var d struct {
		ID string `json:"id"`
	}
	json.Unmarshal(tx.Bucket(definitionBucket).Get([]byte(name)), &d) // of what cannot be read nothing is written
	return d.ID
}
