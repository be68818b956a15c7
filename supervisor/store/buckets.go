package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Process is all that is kept of one process.
type Process struct {
	Definition
	Target
	Last   *process.Run // the last run that ended; nil: none
	Totals process.Totals
}

// NextSpec is what the next run is to follow.
func (d *Definition) NextSpec() process.Spec {
	spec := d.Spec
	spec.Dir = cmp.Or(spec.Dir, d.Dir)
	return spec
}

// LastSpec is what the last run that was given out follows, or has followed, which was
// before some changes.
func (d *Definition) LastSpec(changed []process.Setting) process.Spec {
	spec := d.NextSpec()
	for _, has := range changed {
		if f := process.FieldNamed(has.Field); f != nil {
			f.Set(&spec, has.Value) // it was valid
		}
	}
	return spec
}

// Definition is what was asked for.
type Definition struct {
	ID   string       `json:"id"` // of its birth: a name that is deleted and defined again has another
	Spec process.Spec `json:"spec"`
	Job  string       `json:"job,omitempty"` // the job id of the spec
	Dir  string       `json:"dir"`           // working directory of a spec without one

	// Source is the path of the file that has defined it; empty: a command has.
	Source string `json:"source,omitempty"`

	// Foreground says that its runs are in somebody's foreground; empty: they are not.
	Foreground process.Foreground `json:"foreground,omitempty"`
}

// Target is what the user wants of a process, and how far that has come.
type Target struct {
	Up    bool          `json:"up"`
	State process.State `json:"state,omitempty"` // where the last run left it; 0: it had none
	Run   uint64        `json:"run"`             // the last number that was given out
	JobID string        `json:"job_id,omitempty"`

	// Asked is who asked for the run that JobID is of, or, in Waiting, for the next one.
	Asked process.Asked `json:"asked,omitzero"`

	// Never is the number of a run that never was, though its number was given out.
	Never uint64 `json:"never_was,omitempty"`

	// Owed says that the next run, with JobID, was to be started at once; otherwise
	// JobID is that of the run of this number.
	Owed bool `json:"owed,omitempty"`

	// Waiting says that the next run was to be started when what it needs is there.
	Waiting bool `json:"waiting,omitempty"`

	// Scheduled is the entry of the time that the run of this number came of; nil: of none.
	Scheduled *process.LedgerEntry `json:"scheduled,omitempty"`

	// Queued is a start that waits for the end of what runs, or for what the process needs.
	Queued *Queued `json:"queued,omitempty"`

	// SchedulePaused says that times of the schedule pass without a run, and Skip which one
	// does besides.
	SchedulePaused bool      `json:"schedule_paused,omitempty"`
	Skip           time.Time `json:"skip,omitzero"`

	// Backlog are times that were missed and are to run late, in their order.
	Backlog []process.LedgerEntry `json:"to_catch_up,omitempty"`

	// Booted is the boot of the machine in which @reboot was last taken care of.
	Booted string `json:"booted,omitempty"`

	// Beside are the runs that go on beside that of this number, or without it.
	Beside []Beside `json:"beside,omitempty"`

	// Removed says that it was to be forgotten when that run had ended.
	Removed bool `json:"removed,omitempty"`

	// Origin is who was about to start the last run: without it nobody could say
	// whether one that left no trace was ever there.
	Origin Origin `json:"origin,omitzero"`

	// Started is the last run of which it was told that it had started. It is written with
	// that event.
	Started uint64 `json:"started,omitempty"`
	Readied uint64 `json:"readied,omitempty"` // the same of ready

	// PausedRuns are those of which it was told that they are paused.
	PausedRuns []uint64 `json:"paused_runs,omitempty"`

	// Limited are limits of which it was told that a run has met them.
	Limited []Limited `json:"limited,omitempty"`

	// Changed are the fields of the definition that the run of this number does not
	// follow, since they were changed while it went on, with what they are for it.
	Changed []process.Setting `json:"changed,omitempty"`

	// Stopped says that a stop was asked for, and holds. Without it a process that is not up
	// was never started; see [Target.WasStopped].
	Stopped bool `json:"stopped,omitempty"`

	Restarts Restarts `json:"restarts,omitzero"`
	Reason   string   `json:"gave_up,omitempty"` // why its restart policy starts nothing any more

	// Failures are runs that failed for good, of which nobody was told yet. Each is written
	// with the run's result, and goes with the event that says what came of telling.
	Failures []Failure `json:"failures,omitempty"`

	Next   time.Time `json:"next,omitzero"`   // of the schedule, when this was written
	Missed time.Time `json:"missed,omitzero"` // the last time of the schedule at which no daemon ran
}

// Limited is a limit that a run has met, as it was told of last.
type Limited struct {
	Run    uint64            `json:"run"`
	Limit  process.LimitName `json:"limit"`
	Times  uint64            `json:"times"`               // since the run began
	Waited time.Duration     `json:"waited_ns,omitempty"` // the same
	Time   time.Time         `json:"time"`
	Pause  time.Duration     `json:"pause_ns"` // before it is told of again
}

// Failure is a run that failed, of which somebody is to be told.
type Failure struct {
	process.Run
	Last string `json:"last_output,omitempty"` // that was kept in memory
}

// Queued is a start that waits.
type Queued struct {
	process.LedgerEntry               // of its time; zero: it was asked for
	Asked               process.Asked `json:"asked,omitzero"`
	JobID               string        `json:"job_id,omitempty"`
}

// Beside is a run that goes on, though a later one has begun: what a [Target] says of the last.
type Beside struct {
	Run       uint64               `json:"run"`
	JobID     string               `json:"job_id,omitempty"`
	Asked     process.Asked        `json:"asked,omitzero"`
	Scheduled *process.LedgerEntry `json:"scheduled,omitempty"`
	Origin    Origin               `json:"origin,omitzero"`
	Changed   []process.Setting    `json:"changed,omitempty"`
	Started   bool                 `json:"started,omitempty"` // that is told
	Readied   bool                 `json:"readied,omitempty"`
}

// Latest is what is kept of the run of this number, as of one beside it.
func (t *Target) Latest() Beside {
	return Beside{Run: t.Run, JobID: t.JobID, Asked: t.Asked, Scheduled: t.Scheduled, Origin: t.Origin, Changed: t.Changed,
		Started: t.Started >= t.Run, Readied: t.Readied >= t.Run}
}

// UnderWay are the runs of which no result is kept, the oldest first.
func (p *Process) UnderWay() []Beside {
	all := slices.Clone(p.Beside) // their results are not there: see readAll
	if p.Target.Run > p.Never && (p.Last == nil || p.Last.Number < p.Target.Run) {
		all = append(all, p.Latest())
	}
	return all
}

// WasStopped reports whether a stop was asked for, and holds. Earlier programs did not say
// so, and knew no process that was defined and not started.
func (t *Target) WasStopped() bool { return t.Stopped || !t.Up && t.Run > 0 }

// Restarts is how far a process has come with the restarts of its policy. It is written
// with the result of the run that ended, and with the number of the one that follows.
type Restarts struct {
	Count int         `json:"count,omitempty"`    // since a start was last asked for
	Row   int         `json:"in_a_row,omitempty"` // of them, which the next delay follows
	Times []time.Time `json:"times,omitempty"`    // that count for a limit in a window

	// Of a process in backoff: when the next attempt comes, by the wall clock, which can be
	// stepped, and by that of the boot in which its last run began; and the delay, which is
	// the most that a later program waits.
	Next  time.Time     `json:"next_attempt,omitzero"`
	Boot  time.Duration `json:"next_attempt_boot_ns,omitzero"`
	Delay time.Duration `json:"delay_ns,omitzero"`
}

// Daemon is the last start of a daemon that has brought up what is to be up.
type Daemon struct {
	Origin
	Done bool `json:"done"` // all of it
}

// Origin is a keeper, and the boot of the machine that it lives in.
type Origin struct {
	Boot   string `json:"boot"`
	Keeper string `json:"keeper"` // its pid and start time
}

// Unreadable is a process of which something that is kept cannot be read. It stays in the
// file as it is.
type Unreadable struct {
	Name string
	Err  error
}

var (
	metaBucket       = []byte("meta")
	definitionBucket = []byte("definitions")
	targetBucket     = []byte("targets")
	runBucket        = []byte("runs")
	eventBucket      = []byte("events")
	ledgerBucket     = []byte("ledger") // not in files of programs that kept none
	totalBucket      = []byte("totals") // neither
	formatKey        = []byte("format")
	daemonKey        = []byte("daemon")
)

const format = "2"

// makeBuckets makes a file of this format. note is for people: a program that cannot read
// the format quotes all that stands there of it.
func makeBuckets(tx *bolt.Tx, note string) error {
	for _, name := range [][]byte{metaBucket, recordBucket, definitionBucket, targetBucket, runBucket, eventBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(format+note))
}

// numberOf is the format without the note behind it.
func numberOf(format string) string {
	number, _, _ := strings.Cut(format, ":")
	return number
}

// readAll gives every process, by name, and those that cannot be read.
func readAll(tx *bolt.Tx) (all []Process, unreadable []Unreadable, err error) {
	targets, runs := tx.Bucket(targetBucket), tx.Bucket(runBucket)
	err = tx.Bucket(definitionBucket).ForEach(func(name, value []byte) error {
		p := Process{}
		err := json.Unmarshal(value, &p.Definition)
		if target := targets.Get(name); err == nil && target != nil {
			err = json.Unmarshal(target, &p.Target)
		}
		if err == nil {
			p.Last, err = lastRun(runs, string(name))
			p.Beside = slices.DeleteFunc(p.Beside, func(b Beside) bool { return runs.Get(runKey(string(name), b.Run)) != nil })
		}
		if err == nil && p.Spec.Name != string(name) {
			err = fmt.Errorf("it is the definition of %q", p.Spec.Name)
		}
		if err != nil {
			unreadable = append(unreadable, Unreadable{string(name), err})
			return nil
		}
		p.Spec.JobID = p.Job
		p.Totals = totalsOf(tx, string(name), p.ID).Totals
		all = append(all, p)
		return nil
	})
	return all, unreadable, err
}

// lastDaemon reads what is kept of a daemon's start; what cannot be read is not known.
func lastDaemon(value []byte) (d Daemon) {
	if json.Unmarshal(value, &d) != nil {
		return Daemon{}
	}
	return d
}

// lastRun is the run of the highest number; nil: none.
func lastRun(runs *bolt.Bucket, name string) (*process.Run, error) {
	key, value := lastOf(runs.Cursor(), name)
	if !bytes.HasPrefix(key, runsOf(name)) {
		return nil, nil
	}
	r := new(process.Run)
	return r, json.Unmarshal(value, r)
}

// runKey sorts the runs of a process by number. A name holds no NUL.
func runKey(name string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(name), 0), number)
}

// runsOf are the keys of a process's runs.
func runsOf(name string) []byte { return append([]byte(name), 0) }

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// isAnother reports whether what is kept under the name of c is of a process that goes with
// it: that is removed, or was, and that could not be put on disk.
func isAnother(tx *bolt.Tx, c *Change) bool {
	former := tx.Bucket(definitionBucket).Get([]byte(c.Name))
	return c.Remove || c.Definition != nil && former != nil && idOf(tx, c.Name) != c.Definition.ID
}

// put writes one change, counts its runs and gives its events their numbers. The runs of its
// process take so many bytes at most.
func put(tx *bolt.Tx, c *Change, all *totals, runBytes int, now time.Time) error {
	name := []byte(c.Name)
	if c.Daemon != nil {
		if err := putJSON(tx, metaBucket, daemonKey, c.Daemon); err != nil {
			return err
		}
	}
	if c.Remove {
		for _, bucket := range [][]byte{definitionBucket, targetBucket} {
			if err := tx.Bucket(bucket).Delete(name); err != nil {
				return err
			}
		}
	}
	if isAnother(tx, c) {
		if err := forgetRuns(tx.Bucket(runBucket), c.Name); err != nil {
			return err
		}
		if !c.Remove { // what tells of that could not be put on disk either
			if err := putEvent(tx, c.Name, &process.Event{Kind: process.EventDeleted}, now); err != nil {
				return err
			}
		}
	}
	if c.Definition != nil {
		if err := putJSON(tx, definitionBucket, name, c.Definition); err != nil {
			return err
		}
	}
	if c.Target != nil {
		if err := putJSON(tx, targetBucket, name, c.Target); err != nil {
			return err
		}
	}
	all.addRuns(tx, c.Name, c.Runs)
	for _, r := range c.Runs {
		if err := putJSON(tx, runBucket, runKey(c.Name, r.Number), r); err != nil {
			return err
		}
	}
	if len(c.Runs) > 0 || c.Definition != nil { // which may keep fewer than before
		if err := trimRuns(tx.Bucket(runBucket), c.Name, historyOf(tx.Bucket(definitionBucket), c.Name), runBytes, now); err != nil {
			return err
		}
	}
	for i := range c.Events {
		if err := putEvent(tx, c.Name, &c.Events[i], now); err != nil {
			return err
		}
	}
	return nil
}

// putEvent gives an event of a process its number, and writes it.
func putEvent(tx *bolt.Tx, name string, e *process.Event, now time.Time) error {
	seq, err := tx.Bucket(eventBucket).NextSequence()
	if err != nil {
		return err
	}
	if e.Seq, e.Name = seq, name; e.Time.IsZero() {
		e.Time = now.UTC()
	}
	return putJSON(tx, eventBucket, eventKey(seq), e)
}

func putJSON(tx *bolt.Tx, bucket, key []byte, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, data)
}
