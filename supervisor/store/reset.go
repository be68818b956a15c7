package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// Verify checks the store at path page by page. None is fine.
//
// The library panics where it meets damage, in a goroutine of its own, or faults
// where the file is too short: run this in a process that can be lost.
func Verify(path string) error {
	if IsNew(path) {
		return nil
	}
	return readOnce(path, func(tx *bolt.Tx) error {
		var first error
		for damage := range tx.Check() {
			first = cmp.Or(first, damage)
		}
		if first != nil {
			return fmt.Errorf("it is damaged: %w", first)
		}
		return nil
	})
}

// readOnce reads the store at path, which nobody may be writing to.
func readOnce(path string, read func(*bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockLimit, ReadOnly: true, OpenFile: openFile})
	if err != nil {
		return &Error{path, err}
	}
	defer db.Close()
	if err := db.View(read); err != nil {
		return &Error{path, err}
	}
	return nil
}

// LastRuns are the numbers of the runs of each process that may be under way, as the store at
// path says, which nobody may be writing to: the last that was given out, and those beside it.
func LastRuns(path string) (numbers map[string][]uint64, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockLimit, ReadOnly: true, OpenFile: openFile})
	if err != nil {
		return nil, &Error{path, err}
	}
	defer db.Close()
	c, _, err := read(db)
	if err != nil {
		return nil, &Error{path, err}
	}
	numbers = map[string][]uint64{}
	for _, p := range c.Processes {
		list := []uint64{p.Target.Run}
		for _, r := range p.Beside {
			list = append(list, r.Run)
		}
		numbers[p.Spec.Name] = list
	}
	return numbers, nil
}

// Reset moves the store at path aside, and what is at the other paths, and makes an empty
// one. It gives the new paths, without those of what was not there. A store that is in
// use is left alone.
func Reset(path string, others ...string) (moved []string, err error) {
	_, err = notInUse(path)
	if _, notOurs := errors.AsType[*private.Error](err); err != nil && !notOurs {
		return nil, &Error{path, err}
	}
	for _, path := range append([]string{path}, others...) {
		to, err := MoveAside(path)
		if err != nil {
			return moved, err
		}
		if to != "" {
			moved = append(moved, to)
		}
	}
	s, _, err := Open(path, nil)
	if err != nil {
		return moved, err
	}
	s.Begin()
	return moved, s.Close()
}

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

// Free makes sure that nobody else can lock the store at path. Where
// others could open the file, they may have it open: then a copy takes its place.
func Free(path string) error {
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
		return &Error{path, err}
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

// MoveAside renames what is at path and returns its new name; empty if there is nothing.
func MoveAside(path string) (string, error) {
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

// IsNew reports whether there is no store at path yet, or its file is empty.
func IsNew(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
}

// In is the path of the store in a state directory.
func In(stateDir string) string { return stateDir + "/processes.db" }
