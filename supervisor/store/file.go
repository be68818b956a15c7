package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// lockLimit is how long to wait for whoever has locked the store: a worker that ends.
const lockLimit = 5 * time.Second

// file is the open file. Others can delete it, or put another one in its place.
type file struct {
	dbMu sync.RWMutex // held for writing while db is replaced
	db   *bolt.DB
	info os.FileInfo // of the file that db is

	reserved int64 // bytes of it that the file system has set aside
}

// use makes db, which is what is at the path now, the one that is read and written. dbMu
// is held.
func (f *file) use(db *bolt.DB, path string, g *files.Guard) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f.db, f.info, f.reserved = db, info, 0
	g.Follow(path)
	return nil
}

// openDB opens a file that cannot be written to as well, for reading: what runs is
// looked after all the same.
func openDB(path string) (*bolt.DB, error) {
	o := bolt.Options{Timeout: lockLimit, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, InitialMmapSize: 64 << 20, OpenFile: openFile}
	db, err := bolt.Open(path, 0o600, &o)
	if errors.Is(err, unix.EROFS) {
		o.ReadOnly = true
		db, err = bolt.Open(path, 0o600, &o)
	}
	if err == nil {
		db.AllocSize = 64 << 10 // by which the file grows; the library would take 16 MiB
	}
	return db, err
}

// openFile is how the library opens the store. A store of somebody else would run their
// commands.
func openFile(path string, flag int, _ os.FileMode) (*os.File, error) {
	return private.OpenFile(path, flag)
}

// reserve has the file system set aside what the file has grown to: the library makes it
// longer than what it holds, and on a disk that is full by then that could not be used.
func (f *file) reserve(path string) {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= f.reserved {
		return
	}
	file, err := private.OpenFile(path, os.O_RDWR)
	if err != nil {
		return
	}
	defer file.Close()
	if unix.Fallocate(int(file.Fd()), 0, 0, info.Size()) == nil { // not all file systems can
		f.reserved = info.Size()
	}
}

// errReplaced is a store that the next worker would not read.
var errReplaced = errors.New("another file was put in its place; when that is moved away this one is written anew")

// renew makes the file the one at the path, and one that can be written to.
func (s *Store) renew() (err error) {
	defer func() { s.unfit = err != nil }()
	now, err := os.Stat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s.restore()
	case err != nil:
		return err
	case !os.SameFile(now, s.info):
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
	s.dbMu.Lock() // nobody finds it closed
	defer s.dbMu.Unlock()
	s.db.Close() // it has a lock
	db, err := openDB(s.path)
	if err != nil {
		return err
	}
	return s.use(db, s.path, s.guard)
}

// restore writes the file anew when somebody has deleted it: until this process ends
// what it held is still there. The next worker would know of nothing.
func (s *Store) restore() error {
	err := os.MkdirAll(filepath.Dir(s.path), 0o700)
	if err == nil {
		err = copyTo(s.db, s.path)
	}
	if err != nil {
		return fmt.Errorf("it was deleted and could not be written anew: %w", err)
	}
	db, err := openDB(s.path)
	if err != nil {
		return err
	}
	s.dbMu.Lock()
	defer s.dbMu.Unlock()
	former := s.db
	if err := s.use(db, s.path, s.guard); err != nil {
		db.Close()
		return err
	}
	s.say("somebody has deleted the store %s: it was written anew", s.path)
	return former.Close()
}

// copyTo puts a copy of the file at path.
func copyTo(db *bolt.DB, path string) error {
	return files.Replace(path, func(w io.Writer) error {
		return db.View(func(tx *bolt.Tx) error {
			_, err := tx.WriteTo(w)
			return err
		})
	})
}
