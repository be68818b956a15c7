package supervisor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// record is what is kept of a process: all that must outlive the daemon.
type record struct {
	Spec process.Spec
	Up   bool          // the target
	At   process.State `json:",omitzero"` // where the last run left it
	Run  uint64        // the last run number that was given out
	// JobID is that of the run of this number or, if it is Owed, of the next one.
	JobID string       `json:",omitempty"`
	Last  *process.Run `json:",omitempty"` // the last run that ended
	Owed  bool         `json:",omitzero"`  // the next run was to be started at once

	// Removed says that it was to be forgotten when that run had ended.
	Removed bool `json:",omitzero"`

	// Origin is who was about to start the last run: without it nobody could
	// say whether one that left no trace was ever there.
	Origin origin
	Next   time.Time `json:",omitzero"` // of the schedule, when this was written
	Missed time.Time `json:",omitzero"` // the last time of the schedule at which no daemon ran

	// unreadable is why nothing but the name could be read. What the store has stays as it
	// is: a program that can read it may come.
	unreadable error
}

// origin is a keeper, and the boot of the machine that it lives in.
type origin struct {
	Boot   string
	Keeper proc.ID
}

// store keeps the records in one file. A write is on disk when its result comes;
// those that wait at the same time share one sync.
type store struct {
	path  string
	log   *log.Logger // nil: says nothing
	db    *bolt.DB    // belongs to commit
	file  os.FileInfo // of db
	guard *files.Guard
	quit  chan struct{}
	done  chan struct{}

	mu    sync.Mutex
	queue map[string]*op // by name: what is to be written
	ready chan struct{}  // the queue is not empty

	failing bool // writing, as was said; belongs to commit
	unfit   bool // to be written to, when that was tried last; belongs to commit
}

// op is a record to be written. A newer one of the same name takes its place.
type op struct {
	value   []byte // nil: remove
	results []chan error
}

var (
	metaBucket    = []byte("meta")
	processBucket = []byte("processes")
	formatKey     = []byte("format")
)

// storeLimit is how long a request waits for a disk that does not answer.
const storeLimit = 5 * time.Second

// storeFormat is the version of what is in the buckets.
const storeFormat = "1"

// StoreError is a store that cannot be read.
type StoreError struct {
	Path string
	Err  error
}

func (e *StoreError) Error() string {
	if errors.Is(e.Err, bolterrors.ErrTimeout) {
		return fmt.Sprintf("the store %s is in use: another process, a worker whose keeper was killed perhaps, has locked it and must end first", e.Path)
	}
	if wrong, ok := errors.AsType[*private.Error](e.Err); ok {
		return fmt.Sprintf("the store cannot be trusted: %v; or -reset-store moves it aside and starts empty", wrong)
	}
	return fmt.Sprintf("the store %s cannot be read: %v; -reset-store moves it aside and starts empty", e.Path, e.Err)
}

func (e *StoreError) Unwrap() error { return e.Err }

// openStore opens or makes the store at path and returns what is in it. log may be nil.
func openStore(path string, log *log.Logger) (*store, []record, error) {
	db, err := openDB(path)
	if err != nil {
		return nil, nil, &StoreError{path, err}
	}
	records, err := readStore(db)
	if err != nil {
		db.Close()
		return nil, nil, &StoreError{path, err}
	}
	// The file may be new, and so may be its name.
	if err := files.SyncDir(filepath.Dir(path)); err != nil {
		db.Close()
		return nil, nil, &StoreError{path, err}
	}
	s := &store{path: path, log: log, guard: files.NewGuard(), quit: make(chan struct{}), done: make(chan struct{}),
		queue: map[string]*op{}, ready: make(chan struct{}, 1)}
	if err := s.use(db); err != nil {
		db.Close()
		return nil, nil, &StoreError{path, err}
	}
	if db.IsReadOnly() {
		s.note(unix.EROFS)
	}
	go s.commit()
	return s, records, nil
}

// use makes db, which is what is at the path now, the one that is written to.
func (s *store) use(db *bolt.DB) (err error) {
	if s.file, err = os.Stat(s.path); err != nil {
		return err
	}
	s.db = db
	s.guard.Follow(s.path)
	return nil
}

// VerifyStore checks the store in a state directory page by page. None is fine.
//
// The library panics where it meets damage, in a goroutine of its own, or faults
// where the file is too short: run this in a process that can be lost.
func VerifyStore(stateDir string) error {
	path := StorePath(stateDir)
	if fileIsNew(path) {
		return nil
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockLimit, ReadOnly: true, OpenFile: openStoreFile})
	if err != nil {
		return &StoreError{path, err}
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		var first error
		for damage := range tx.Check() {
			first = cmp.Or(first, damage)
		}
		return first
	})
	if err != nil {
		return &StoreError{path, fmt.Errorf("it is damaged: %w", err)}
	}
	return nil
}

// ResetStore moves the store in a state directory aside, and the logs of its processes,
// and makes an empty one. It returns where to, without what was not there. A store that
// is in use is left alone.
func ResetStore(stateDir string) (moved []string, err error) {
	_, err = notInUse(StorePath(stateDir))
	if _, notOurs := errors.AsType[*private.Error](err); err != nil && !notOurs {
		return nil, &StoreError{StorePath(stateDir), err}
	}
	for _, path := range []string{StorePath(stateDir), logsDir(stateDir)} {
		to, err := moveAside(path)
		if err != nil {
			return moved, err
		}
		if to != "" {
			moved = append(moved, to)
		}
	}
	s, _, err := openStore(StorePath(stateDir), nil)
	if err != nil {
		return moved, err
	}
	return moved, s.close()
}

// lockLimit is how long to wait for whoever has locked the store: a worker that ends.
const lockLimit = 5 * time.Second

// notInUse waits until nobody of this user has locked the file at path, as the library
// does, and says whether only others have.
func notInUse(path string) (byOthers bool, err error) {
	f, err := private.OpenFile(path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for limit := time.Now().Add(lockLimit); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err != unix.EWOULDBLOCK:
			return false, err
		case proc.LockedByOthers("/proc", f):
			return true, nil
		case time.Now().After(limit):
			return false, bolterrors.ErrTimeout
		}
	}
}

// FreeStore makes sure that nobody else can lock the store in a state directory. Where
// others could open the file, they may have it open: then a copy takes its place.
func FreeStore(stateDir string) error {
	path := StorePath(stateDir)
	before, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	byOthers, err := notInUse(path)
	if err == nil && (byOthers || before.Mode().Perm()&0o077 != 0) {
		if err = copyOver(path); !byOthers {
			err = nil // on a full disk it is used as it is
		}
	}
	if err != nil {
		return &StoreError{path, err}
	}
	return nil
}

// copyOver puts a copy of the file at path in its place.
func copyOver(path string) error {
	from, err := private.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer from.Close()
	return files.Replace(path, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}

// moveAside renames what is at path and returns its new name; empty if there is nothing.
func moveAside(path string) (string, error) {
	to := path + ".broken-" + time.Now().UTC().Format("20060102T150405.000")
	err := files.Rename(path, to)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	}
	return to, nil
}

// StoreIsNew reports whether a state directory has no store yet, or an empty one.
func StoreIsNew(stateDir string) bool { return fileIsNew(StorePath(stateDir)) }

// fileIsNew reports whether there is no store yet, or its file is empty.
func fileIsNew(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
}

// Knowledge is what the store of a state directory knows of the runs in a group.
type Knowledge int

const (
	NoneAlive Knowledge = iota // there are none
	SomeAlien                  // of one or more it knows nothing
	AllKnown                   // each is the last run of one of its processes
)

// Knows compares the runs that are alive in a group with the store of a state directory,
// which nobody may be writing to.
func Knows(stateDir string, groups cgroup.Group) (Knowledge, error) {
	alive, err := populated(groups)
	if err != nil {
		return NoneAlive, err
	}
	path := StorePath(stateDir)
	switch {
	case len(alive) == 0:
		return NoneAlive, nil
	case fileIsNew(path):
		return SomeAlien, nil
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockLimit, ReadOnly: true, OpenFile: openStoreFile})
	if err != nil {
		return NoneAlive, &StoreError{path, err}
	}
	defer db.Close()
	records, err := readStore(db)
	if err != nil {
		return NoneAlive, &StoreError{path, err}
	}
	for _, g := range alive {
		id, ok := parseGroupName(g.Name())
		if !ok || !slices.ContainsFunc(records, func(r record) bool { return r.Spec.Name == id.Name && r.Run == id.Run }) {
			return SomeAlien, nil
		}
	}
	return AllKnown, nil
}

// StorePath is the store in a state directory.
func StorePath(stateDir string) string { return stateDir + "/processes.db" }

// readStore returns what is in the store. It writes, which takes a sync, only to one
// that is new.
func readStore(db *bolt.DB) (records []record, err error) {
	fresh := false
	err = db.View(func(tx *bolt.Tx) error {
		meta, all := tx.Bucket(metaBucket), tx.Bucket(processBucket)
		if fresh = meta == nil && all == nil; fresh {
			return nil
		}
		if meta == nil || all == nil {
			return errors.New("it is the store of something else")
		}
		if format := meta.Get(formatKey); string(format) != storeFormat {
			return fmt.Errorf("its format is %q, this program reads %q", format, storeFormat)
		}
		return all.ForEach(func(name, value []byte) error {
			var r record
			err := json.Unmarshal(value, &r)
			if err == nil && r.Spec.Name != string(name) {
				err = fmt.Errorf("it is that of %s", process.Printable(r.Spec.Name))
			}
			if err != nil {
				r = record{Spec: process.Spec{Name: string(name)}, unreadable: err}
			}
			records = append(records, r)
			return nil
		})
	})
	if err == nil && fresh && !db.IsReadOnly() {
		err = db.Update(makeBuckets)
	}
	return records, err
}

func makeBuckets(tx *bolt.Tx) error {
	meta, err := tx.CreateBucket(metaBucket)
	if err == nil {
		err = meta.Put(formatKey, []byte(storeFormat))
	}
	if err == nil {
		_, err = tx.CreateBucket(processBucket)
	}
	return err
}

// put and remove wait until it is on disk; begin and beginRemove do not.
func (s *store) put(r record) error { return <-s.begin(r) }

func (s *store) remove(name string) error { return <-s.beginRemove(name) }

// begin has a record written. The result comes when it, or a newer one of its name, is
// on disk; those of one name come in their order.
func (s *store) begin(r record) <-chan error {
	value, err := json.Marshal(r)
	if err != nil {
		result := make(chan error, 1)
		result <- err
		return result
	}
	return s.enqueue(r.Spec.Name, value)
}

func (s *store) beginRemove(name string) <-chan error { return s.enqueue(name, nil) }

// answers reports whether the disk takes a write within storeLimit.
func (s *store) answers() bool {
	select {
	case <-s.enqueue("", nil): // nobody has that name
		return true
	case <-time.After(storeLimit):
		return false
	}
}

// enqueue never waits: a disk that hangs holds up commit alone.
func (s *store) enqueue(name string, value []byte) <-chan error {
	result := make(chan error, 1)
	s.mu.Lock()
	o := s.queue[name]
	if o == nil {
		o = &op{}
		s.queue[name] = o
	}
	o.value, o.results = value, append(o.results, result)
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
	return result
}

// commit writes all that waits in one transaction, again and again.
func (s *store) commit() {
	defer close(s.done)
	for {
		var again <-chan time.Time
		if s.unfit {
			again = time.After(retryDelay)
		}
		select {
		case <-s.quit:
			return
		case <-s.guard.Touched():
			s.look()
			continue
		case <-again:
			s.look()
			continue
		case <-s.ready:
		}
		s.mu.Lock()
		batch := s.queue
		s.queue = map[string]*op{}
		s.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		err := s.renew()
		if err == nil {
			err = s.write(batch)
		}
		s.note(err)
		for name, o := range batch {
			var failed error
			if err != nil {
				failed = process.Errorf(process.CodeStore, "process '%s' could not be stored in %s: %v", name, s.path, err)
			}
			for _, result := range o.results {
				result <- failed
			}
		}
	}
}

// look makes the store fit to be written to though nobody wants to write now: what it
// holds is lost with this process.
func (s *store) look() {
	if err := s.renew(); err != nil {
		s.note(err)
	}
}

func (s *store) write(batch map[string]*op) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		all := tx.Bucket(processBucket)
		for name, o := range batch {
			var err error
			if o.value == nil {
				err = all.Delete([]byte(name))
			} else {
				err = all.Put([]byte(name), o.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// errReplaced is a store that the next worker would not read.
var errReplaced = errors.New("another file was put in its place; when that is moved away this one is written anew")

// renew makes the store fit to be written to, if it is not.
func (s *store) renew() (err error) {
	defer func() { s.unfit = err != nil }()
	now, err := os.Stat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s.restore()
	case err != nil:
		return err
	case !os.SameFile(now, s.file):
		s.guard.Follow(s.path) // until it is moved away
		return errReplaced
	}
	if !s.db.IsReadOnly() {
		return nil
	}
	f, err := private.OpenFile(s.path, os.O_RDWR)
	if err != nil {
		return err
	}
	f.Close()
	s.db.Close() // it has a lock
	db, err := openDB(s.path)
	if err != nil {
		return err
	}
	return s.use(db)
}

// note says when writing begins to fail, and when that is over.
func (s *store) note(err error) {
	switch {
	case err != nil && !s.failing:
		s.say("the store %s cannot be written to: %v; what runs goes on, but nothing can be started", s.path, err)
	case err == nil && s.failing:
		s.say("the store %s can be written to again", s.path)
	}
	s.failing = err != nil
}

// restore writes the file anew when somebody has deleted it: until this process
// ends what it held is still there. The next worker would know of nothing.
func (s *store) restore() error {
	err := os.MkdirAll(filepath.Dir(s.path), 0o700)
	if err == nil {
		err = files.Replace(s.path, func(w io.Writer) error {
			return s.db.View(func(tx *bolt.Tx) error {
				_, err := tx.WriteTo(w)
				return err
			})
		})
	}
	if err != nil {
		return fmt.Errorf("it was deleted and could not be written anew: %w", err)
	}
	db, err := openDB(s.path)
	if err != nil {
		return err
	}
	former := s.db
	if err := s.use(db); err != nil {
		db.Close()
		return err
	}
	s.say("somebody has deleted the store %s: it was written anew", s.path)
	return former.Close()
}

func (s *store) say(format string, args ...any) {
	if s.log != nil {
		s.log.Printf(format, args...)
	}
}

// openStoreFile is how the library opens the store. A store of somebody else would run
// their commands.
func openStoreFile(path string, flag int, _ os.FileMode) (*os.File, error) {
	return private.OpenFile(path, flag)
}

// openDB opens a file that cannot be written to as well, for reading: what runs is
// looked after all the same.
func openDB(path string) (*bolt.DB, error) {
	o := bolt.Options{Timeout: lockLimit, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, OpenFile: openStoreFile}
	db, err := bolt.Open(path, 0o600, &o)
	if errors.Is(err, unix.EROFS) {
		o.ReadOnly = true
		db, err = bolt.Open(path, 0o600, &o)
	}
	return db, err
}

// close is called when nobody will write any more.
func (s *store) close() error {
	close(s.quit)
	<-s.done
	s.guard.Close()
	return s.db.Close()
}
