package store

import (
	"cmp"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Store is an open store. Its methods may be called from several goroutines.
type Store struct {
	path string
	log  *log.Logger // nil: says nothing
	now  func() time.Time

	file  // belongs to commit
	guard *files.Guard

	begun   chan struct{} // closed by Begin
	begin   sync.Once
	closing chan struct{}
	done    chan struct{} // commit has returned

	failing   atomic.Bool   // writing, as was said
	lastEvent atomic.Uint64 // that was written

	mu      sync.Mutex
	queue   []*Change
	arrived chan struct{} // holds one: the queue was empty
	told    chan struct{} // closed, and another put in its place, when there are new events

	// These belong to commit.
	format    string  // of the file; empty: it is new
	processes int     // that are defined
	swept     string  // the process whose runs were trimmed last though it had none to write
	ledgers   ledgers // how long they are
	looked    string  // the process whose ledger was trimmed last so
	daemon    *Daemon // that could not be written, and goes with the next change; nil: none
	unfit     bool    // to be written to, when that was tried last
}

// Change is what is written about one process together.
type Change struct {
	Name       string
	Definition *Definition   // nil: as it is
	Target     *Target       // nil: as it is
	Runs       []process.Run // that have ended
	Ledger     []process.LedgerEntry
	Remove     bool // definition, target, runs, ledger and totals go
	Events     []process.Event

	// Totals is where the totals of the process are put that are on disk when Done is called
	// without an error, where Runs or Ledger has something; nil: nobody asks.
	Totals *process.Totals

	Daemon *Daemon // about none of the processes; nil: as it is. What cannot be written goes with the next change

	// Company is how long it may wait for others to share a sync with, since nobody waits
	// for it; 0: not at all.
	Company time.Duration

	// Done is called when it is on disk, with nil and the events numbered, or when it
	// could not be written. It must not block. It may be nil.
	Done func(error)
}

// Company is how long a change may wait for others that nobody will ever look for.
const Company = 50 * time.Millisecond

// Error is a store that cannot be used.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string {
	if errors.Is(e.Err, bolterrors.ErrTimeout) {
		return fmt.Sprintf("the store %s is in use: another process, a worker whose keeper was killed perhaps, has locked it and must end first", e.Path)
	}
	if wrong, ok := errors.AsType[*private.Error](e.Err); ok {
		return fmt.Sprintf("the store cannot be trusted: %v; or -reset-store moves it aside and starts empty", wrong)
	}
	return fmt.Sprintf("the store %s cannot be read: %v; -reset-store moves it aside and starts empty", e.Path, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Contents is what was in a store when it was opened.
type Contents struct {
	Processes  []Process // by name
	Unreadable []Unreadable
	Daemon     Daemon // whose start was the last; zero: that is not known
}

// Open opens or makes the store at path and gives what is in it. Nothing is written
// before Begin, unless there is no file. log may be nil.
func Open(path string, log *log.Logger) (*Store, Contents, error) {
	s := &Store{
		path: path, log: log, now: time.Now, guard: files.NewGuard(),
		begun: make(chan struct{}), closing: make(chan struct{}), done: make(chan struct{}),
		arrived: make(chan struct{}, 1), told: make(chan struct{}), ledgers: ledgers{},
	}
	contents, err := s.open()
	if err != nil {
		s.guard.Close()
		return nil, contents, &Error{path, err}
	}
	go s.commit()
	return s, contents, nil
}

func (s *Store) open() (c Contents, err error) {
	db, err := openDB(s.path)
	if err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if c, s.format, err = read(db); err != nil {
		return c, err
	}
	s.processes = len(c.Processes) + len(c.Unreadable)
	db.View(func(tx *bolt.Tx) error {
		s.lastEvent.Store(lastEvent(tx))
		return nil
	})
	// The file may be new, and so may be its name.
	if err := files.SyncDir(filepath.Dir(s.path)); err != nil {
		return c, err
	}
	s.dbMu.Lock()
	defer s.dbMu.Unlock()
	if err := s.use(db, s.path, s.guard); err != nil {
		return c, err
	}
	if db.IsReadOnly() {
		s.note(unix.EROFS)
	}
	return c, nil
}

// read gives what is in a file, and its format; empty: nothing is in it.
func read(db *bolt.DB) (c Contents, found string, err error) {
	err = db.View(func(tx *bolt.Tx) (err error) {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			if key, _ := tx.Cursor().First(); key != nil {
				return errors.New("it is the store of something else")
			}
			return nil
		}
		note := string(meta.Get(formatKey))
		switch found = numberOf(note); {
		case found == format && hasAll(tx, definitionBucket, targetBucket, runBucket, eventBucket):
			c.Processes, c.Unreadable, err = readAll(tx)
			c.Daemon = lastDaemon(meta.Get(daemonKey))
		case found == firstFormat && hasAll(tx, recordBucket):
			c.Processes, c.Unreadable, err = readRecords(tx)
		case found == format || found == firstFormat:
			err = errors.New("a part of it is missing")
		default:
			err = fmt.Errorf("its format is %q, this program reads %s and %s: bring in the program that wrote it", note, firstFormat, format)
		}
		return err
	})
	return c, found, err
}

func hasAll(tx *bolt.Tx, buckets ...[]byte) bool {
	for _, b := range buckets {
		if tx.Bucket(b) == nil {
			return false
		}
	}
	return true
}

// Path is where the file is.
func (s *Store) Path() string { return s.path }

// Writable reports whether the last write could be done, or was not tried.
func (s *Store) Writable() bool { return !s.failing.Load() }

// Begin lets changes be written: the program that opened the store is the one that
// goes on.
func (s *Store) Begin() { s.begin.Do(func() { close(s.begun) }) }

// Write has c written and does not wait for it.
func (s *Store) Write(c Change) {
	s.mu.Lock()
	s.queue = append(s.queue, &c)
	s.mu.Unlock()
	s.wake()
}

// Hurry has what was written until now wait for no company any more: somebody waits for it.
func (s *Store) Hurry() {
	s.mu.Lock()
	for _, c := range s.queue {
		c.Company = 0
	}
	s.mu.Unlock()
	s.wake() // of what waits already
}

func (s *Store) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// Told is closed when events are written after this call.
func (s *Store) Told() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

// Close writes what waits, if Begin was called, and closes the file. Nobody may call
// Write any more.
func (s *Store) Close() error {
	close(s.closing)
	<-s.done
	s.guard.Close()
	return s.db.Close()
}

// commit writes all that waits together, again and again.
func (s *Store) commit() {
	defer close(s.done)
	select {
	case <-s.begun:
	case <-s.closing:
		select {
		case <-s.begun: // both at once
		default:
			return
		}
	}
	if err := s.prepare(); err != nil {
		s.note(err)
	}
	for {
		var again <-chan time.Time
		if s.unfit {
			again = time.After(retryDelay)
		}
		select {
		case <-s.arrived:
		case <-s.guard.Touched():
			s.look()
			continue
		case <-again:
			s.look()
			continue
		case <-s.closing:
			s.writeInParts(s.take())
			return
		}
		s.writeInParts(s.inCompany(s.take()))
	}
}

// mostAtOnce is how many changes go into one transaction, which is a fraction of a second's
// work: when thousands of processes end at once, the first are not to wait for the last.
const mostAtOnce = 500

func (s *Store) writeInParts(batch []*Change) {
	for len(batch) > mostAtOnce {
		s.writeAll(batch[:mostAtOnce])
		batch = batch[mostAtOnce:]
	}
	s.writeAll(batch)
}

// inCompany is a batch with what came while it waited, which is as long as all of its changes
// may wait.
func (s *Store) inCompany(batch []*Change) []*Change {
	left := patience(batch)
	if left == 0 {
		return batch
	}
	end := time.Now().Add(left)
	limit := time.NewTimer(left)
	defer limit.Stop()
	for {
		select {
		case <-s.arrived:
			more := s.take()
			batch = append(batch, more...)
			if left = patience(more); left == 0 {
				return batch
			}
			if sooner := time.Now().Add(left); sooner.Before(end) {
				end = sooner
				limit.Reset(left)
			}
		case <-limit.C:
			return append(batch, s.take()...)
		case <-s.closing:
			return append(batch, s.take()...)
		}
	}
}

// patience is how long all changes of a batch may wait for others. An empty one comes of
// [Store.Hurry].
func patience(batch []*Change) time.Duration {
	if len(batch) == 0 {
		return 0
	}
	return slices.MinFunc(batch, func(a, b *Change) int { return cmp.Compare(a.Company, b.Company) }).Company
}

// retryDelay is when a store that cannot be written to is looked at again.
const retryDelay = 5 * time.Second

// look makes the store fit to be written to though nobody wants to write now: what it
// holds is lost with this process.
func (s *Store) look() {
	if err := s.renew(); err != nil {
		s.note(err)
	}
}

func (s *Store) take() []*Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.queue
	s.queue = nil
	return batch
}

func (s *Store) writeAll(batch []*Change) {
	if len(batch) == 0 && s.daemon == nil {
		return
	}
	if s.daemon != nil { // first: a later one in the batch holds
		batch = append([]*Change{{Daemon: s.daemon}}, batch...)
	}
	err := s.prepare()
	if err == nil {
		err = s.write(batch)
	}
	s.note(err)
	s.daemon = nil
	for _, c := range batch {
		if err != nil && c.Daemon != nil {
			s.daemon = c.Daemon
		}
	}
	events := false
	for _, c := range batch {
		if err != nil && c.Done != nil {
			c.Done(process.Errorf(process.CodeStore, "process '%s' could not be stored in %s: %v", c.Name, s.path, err))
		} else if c.Done != nil {
			c.Done(nil)
		}
		events = events || len(c.Events) > 0
	}
	if err == nil && events {
		s.mu.Lock()
		close(s.told)
		s.told = make(chan struct{})
		s.mu.Unlock()
	}
}

func (s *Store) write(batch []*Change) error {
	processes, swept, looked, last := s.processes, s.swept, s.looked, uint64(0)
	err := s.db.Update(func(tx *bolt.Tx) error {
		runs, events, entries := 0, 0, 0
		for _, c := range batch {
			runs += len(c.Runs)
			events += len(c.Events)
			entries += len(c.Ledger)
			known := tx.Bucket(definitionBucket).Get([]byte(c.Name)) != nil
			if isAnother(tx, c) {
				if err := errors.Join(s.ledgers.forget(tx, c.Name), forgetTotals(tx, c.Name)); err != nil {
					return err
				}
			}
			all := totalsFor(tx, c)
			if err := put(tx, c, &all, room(processes), s.now()); err != nil {
				return err
			}
			if err := s.ledgers.put(tx, c.Name, c.Ledger, &all, entriesKept(processes), s.now()); err != nil {
				return err
			}
			if err := all.put(tx, c); err != nil {
				return err
			}
			switch now := c.Definition != nil || known && !c.Remove; {
			case now && !known:
				processes++
			case known && !now:
				processes--
			}
		}
		var err error
		if swept, err = sweepRuns(tx, swept, min(runs, trimsAtATime), room(processes), s.now()); err != nil {
			return err
		}
		if looked, err = s.ledgers.sweep(tx, looked, min(entries, trimsAtATime), entriesKept(processes), s.now()); err != nil {
			return err
		}
		last = lastEvent(tx)
		return trimEvents(tx.Bucket(eventBucket), 2*events, s.now())
	})
	if err != nil {
		s.ledgers = ledgers{} // they are counted anew
		return err
	}
	s.processes, s.swept, s.looked = processes, swept, looked
	s.lastEvent.Store(last)
	s.reserve(s.path)
	return nil
}

// prepare makes the store fit to be written to, if it is not.
func (s *Store) prepare() error {
	err := s.renew()
	if err != nil || s.format == format {
		return err
	}
	if s.format == firstFormat {
		err = migrate(s.db)
	} else {
		err = s.db.Update(func(tx *bolt.Tx) error { return makeBuckets(tx, "") })
	}
	if err != nil {
		return err
	}
	if s.format == firstFormat {
		s.say("the store %s is in a new format; as it was it stands beside it, with .format-%s at its end", s.path, firstFormat)
	}
	s.format = format
	return nil
}

// note says when writing begins to fail, and when that is over.
func (s *Store) note(err error) {
	switch {
	case err != nil && !s.failing.Load():
		s.say("the store %s cannot be written to: %v; what runs goes on, but nothing can be started", s.path, err)
	case err == nil && s.failing.Load():
		s.say("the store %s can be written to again", s.path)
	}
	s.failing.Store(err != nil)
}

func (s *Store) say(format string, args ...any) {
	if s.log != nil {
		s.log.Printf(format, args...)
	}
}

// view reads in a short transaction: one that stays open blocks the writer when the file
// must grow.
func (s *Store) view(read func(*bolt.Tx) error) error {
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	return s.db.View(read)
}
