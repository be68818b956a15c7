package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// dirKind is a directory that one daemon at a time uses.
type dirKind struct{ name, flag, lock string }

var (
	stateKind   = dirKind{"state", "-state", "lock"}
	runtimeKind = dirKind{"runtime", "-runtime", "runtime.lock"} // it may be the same directory
)

// heldDir is a directory of this daemon.
type heldDir struct {
	dirKind
	path string
	lock *os.File
}

// take makes and locks a directory, or says what is wrong with it or who uses it.
func (d *heldDir) take() (made bool, err error) {
	if made, err = private.MakeDir(d.path); err != nil {
		return made, d.refuse(err)
	}
	d.lock, err = d.lockIn(d.path)
	return made, err
}

func (d *heldDir) lockPath() string { return d.path + "/" + d.dirKind.lock }

// refuse adds to what mends err that another directory will do.
func (k dirKind) refuse(err error) error {
	if _, wrong := errors.AsType[*private.Error](err); wrong {
		return fmt.Errorf("the %s directory cannot be trusted: %w; or give another one with %s", k.name, err, k.flag)
	}
	return err
}

// lockIn makes sure that this is the only daemon that uses dir. The file that it locks
// only this user and root can open, so nobody else can hold the lock.
func (k dirKind) lockIn(dir string) (*os.File, error) {
	path := dir + "/" + k.lock
	before, _ := os.Lstat(path)
	f, err := private.OpenFile(path, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, unix.EROFS) { // to lock it is not to write to it
		if there, openErr := private.OpenFile(path, os.O_RDONLY); openErr == nil {
			f, err = there, nil
		}
	}
	if err != nil {
		return nil, k.refuse(err)
	}
	err = flockSoon(f)
	byOthers := errors.Is(err, unix.EWOULDBLOCK) && proc.LockedByOthers("/proc", f)
	if wasOpen := before != nil && before.Mode().Perm()&0o077 != 0; byOthers || err == nil && wasOpen { // others may have it open
		fresh, replaceErr := replaceLock(path, f)
		switch {
		case replaceErr == nil:
			f.Close()
			f, err = fresh, nil
		case byOthers:
			err = replaceErr
		}
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		defer f.Close()
		return nil, k.errInUse(dir, f)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	case !isAt(f, path): // a failed start has removed it, or another one was faster
		f.Close()
		return k.lockIn(dir)
	}
	notePID(f)
	return f, nil
}

// inUse says which living daemon uses dir; nil: none does. It changes nothing there.
func (k dirKind) inUse(dir string) error {
	f, err := private.OpenFile(dir+"/"+k.lock, os.O_RDONLY)
	if err != nil {
		return nil // nobody can have locked it
	}
	defer f.Close()
	if err := flockSoon(f); errors.Is(err, unix.EWOULDBLOCK) {
		return k.errInUse(dir, f)
	}
	return nil
}

func (k dirKind) errInUse(dir string, f *os.File) error {
	return fmt.Errorf("the %s directory %s is in use by %s; give another one with %s, or end that daemon", k.name, dir, holderOf(f, dir+"/"+k.lock), k.flag)
}

// holderOf names the daemon that has locked f, by what it wrote there. One of another container
// is not seen from here, and has a pid that is another's here.
func holderOf(f *os.File, path string) string {
	text, _ := os.ReadFile(path)
	pid := strings.TrimSpace(string(text))
	if pids, err := proc.LockHolders("/proc", f); err == nil && len(pids) == 0 {
		return fmt.Sprintf("a daemon of another container, with pid %s there", pid)
	}
	return "the daemon with pid " + pid
}

// replaceLock puts a new file, which it has locked, in the place of one that processes
// of other users can have locked. It fails with EWOULDBLOCK if a daemon has locked that
// meanwhile.
func replaceLock(path string, old *os.File) (*os.File, error) {
	name := path + ".new-" + rand.Text()
	f, err := private.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	defer os.Remove(name)
	exchange := func() error { return unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) }
	if err = flock(f); err == nil {
		err = exchange()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("put another file in the place of one that others have locked: %w", err)
	}
	// A daemon that locks the old file from now on sees that it is no longer at path.
	if isAt(old, name) && (flock(old) == nil || proc.LockedByOthers("/proc", old)) {
		return f, nil
	}
	f.Close()
	return nil, errors.Join(exchange(), unix.EWOULDBLOCK)
}

// What a daemon that was killed has locked is free a moment later.
const (
	dyingLimit = 5 * time.Second
	dyingPause = 10 * time.Millisecond
)

// flockSoon is flock, again while nobody who is alive holds the lock.
func flockSoon(f *os.File) error {
	for limit := time.Now().Add(dyingLimit); ; time.Sleep(dyingPause) {
		err := flock(f)
		if !errors.Is(err, unix.EWOULDBLOCK) || proc.LockedByLiving("/proc", f) || time.Now().After(limit) {
			return err
		}
	}
}

func flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// isAt reports whether f is the file at path.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	there, _ := os.Lstat(path)
	return err == nil && os.SameFile(open, there)
}

// notePID has a lock name its holder, for those who want it too. It writes over what is
// there, for which a full disk has room; without it the lock is as good.
func notePID(f *os.File) {
	text := fmt.Appendln(nil, os.Getpid())
	if _, err := f.WriteAt(text, 0); err == nil {
		f.Truncate(int64(len(text)))
	}
}
