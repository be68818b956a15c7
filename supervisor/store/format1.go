package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The first format: one bucket with a record of each process.
const firstFormat = "1"

// recordBucket is empty in a later format. Where it is not, a program that reads only the
// first calls the file the store of something else, and does not quote its format.
var recordBucket = []byte("processes")

// record is a process as the first format has it.
type record struct {
	Spec    recordSpec
	Up      bool
	At      process.State
	Run     uint64
	JobID   string
	Last    *process.Run
	Owed    bool
	Removed bool
	Origin  struct {
		Boot   string
		Keeper struct {
			PID   int    `json:"pid"`
			Start uint64 `json:"start"`
		}
	}
	Next   time.Time
	Missed time.Time
}

// recordSpec is a definition as the first format has it: by the names in Go, with times
// in nanoseconds. Without the methods of process.Spec that is what encoding/json reads.
type recordSpec process.Spec

// readRecords gives every process of a file in the first format.
func readRecords(tx *bolt.Tx) (all []Process, unreadable []Unreadable, err error) {
	err = tx.Bucket(recordBucket).ForEach(func(name, value []byte) error {
		var r record
		err := json.Unmarshal(value, &r)
		if err == nil && r.Spec.Name != string(name) {
			err = fmt.Errorf("it is the record of %q", r.Spec.Name)
		}
		if err != nil {
			unreadable = append(unreadable, Unreadable{string(name), err})
			return nil
		}
		all = append(all, r.process())
		return nil
	})
	return all, unreadable, err
}

func (r *record) process() Process {
	p := Process{
		// A birth id that each program that reads this record gives it.
		Definition: Definition{ID: "format1-" + r.Spec.Name, Spec: process.Spec(r.Spec), Job: r.Spec.JobID, Dir: r.Spec.Dir},
		Target: Target{
			Up: r.Up, State: r.At, Run: r.Run, Started: r.Run, JobID: r.JobID, Owed: r.Owed, Removed: r.Removed,
			Origin: Origin{Boot: r.Origin.Boot}, Next: r.Next, Missed: r.Missed,
		},
		Last: r.Last,
	}
	p.Spec.Dir = "" // nobody could give one
	if k := r.Origin.Keeper; k.PID != 0 {
		p.Origin.Keeper = strconv.Itoa(k.PID) + ":" + strconv.FormatUint(k.Start, 10)
	}
	return p
}

// migrate writes a file of the first format anew, in one transaction. What it held stays
// in a copy beside it.
func migrate(db *bolt.DB) error {
	former := db.Path() + ".format-" + firstFormat
	if err := copyTo(db, former); err != nil {
		return fmt.Errorf("it could not be copied before it is written in the new format: %w", err)
	}
	note := ": a later program wrote it; to go back to how it was before, move it aside and put " + former + " in its place"
	return db.Update(func(tx *bolt.Tx) error {
		all, unreadable, err := readRecords(tx)
		if err != nil {
			return err
		}
		if err := makeBuckets(tx, note); err != nil {
			return err
		}
		for i := range all {
			p := &all[i]
			c := Change{Name: p.Spec.Name, Definition: &p.Definition, Target: &p.Target}
			if p.Last != nil {
				c.Runs = []process.Run{*p.Last}
			}
			if err := put(tx, &c, new(totals), MaxRunBytes, time.Time{}); err != nil {
				return err
			}
		}
		for _, u := range unreadable { // still nobody's to throw away
			value := tx.Bucket(recordBucket).Get([]byte(u.Name))
			if err := tx.Bucket(definitionBucket).Put([]byte(u.Name), value); err != nil {
				return err
			}
		}
		if err := tx.DeleteBucket(recordBucket); err != nil {
			return err
		}
		_, err = tx.CreateBucket(recordBucket)
		return err
	})
}
