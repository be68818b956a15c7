package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// workdirPrefix begins the names of the directories in which runs keep their files.
const workdirPrefix = "processmanager-guest-"

// workdir is the directory of one run. It is locked while the run lives, which tells
// it from what a killed one has left.
type workdir struct {
	path string
	lock *os.File
}

// newWorkdir makes one below parent, and removes those there whose runs are dead.
func newWorkdir(parent string) (workdir, error) {
	old, err := filepath.Glob(filepath.Join(parent, workdirPrefix+"*"))
	if err != nil {
		return workdir{}, err
	}
	for _, path := range old {
		if lock, err := lockDir(path); err == nil { // else it is somebody's
			os.RemoveAll(path)
			lock.Close()
		}
	}
	for {
		path, err := os.MkdirTemp(parent, workdirPrefix)
		if err != nil {
			return workdir{}, err
		}
		lock, err := lockDir(path)
		switch {
		case err == nil:
			if _, err := os.Stat(path); err == nil {
				return workdir{path, lock}, nil
			}
			lock.Close()
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK):
			return workdir{}, err
		}
		// Another run took it for a dead one's before it was locked.
	}
}

func lockDir(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// Close removes the directory.
func (w workdir) Close() error {
	return errors.Join(os.RemoveAll(w.path), w.lock.Close())
}
