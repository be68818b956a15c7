package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// makeFIFO makes the FIFO of a run. It has a name, so that a daemon that comes later
// finds it. The end that the tree gets is open for reading too: for it there is no
// broken pipe as long as it lives.
func makeFIFO(path string) (tree *os.File, err error) {
	err = unix.Mkfifo(path, 0o600)
	if err == unix.ENOENT { // somebody has deleted the directory
		if _, err := private.MakeDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
		err = unix.Mkfifo(path, 0o600)
	}
	if err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) // os.OpenFile makes it non-blocking
	if err != nil {
		os.Remove(path)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openNamedFIFO is an end of a FIFO that a former worker has made.
func openNamedFIFO(path string) (*os.File, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no FIFO", path))
	}
	return f, nil
}

// openFIFO is an end to read from, an open description of its own: that it does not
// block must not show in the tree's. f is opened by its descriptor, so that it is
// found when its name is gone.
func openFIFO(f *os.File) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

// FindFIFO opens the FIFO of a run to read from: by its name or, when somebody has
// deleted or moved that, as the output of a process of the tree. Nobody can give it its
// name again. The error is of the name.
func FindFIFO(path string, tree interface{ Pids() ([]int, error) }) (*os.File, error) {
	f, err := openNamedFIFO(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	pids, _ := tree.Pids()
	for _, pid := range pids {
		for _, fd := range []int{1, 2} {
			link := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
			name, _ := os.Readlink(link)
			info, statErr := os.Stat(link)
			if statErr != nil || info.Mode().Type() != fs.ModeNamedPipe || filepath.Base(strings.TrimSuffix(name, " (deleted)")) != filepath.Base(path) {
				continue
			}
			if f, err := os.OpenFile(link, unix.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
				return f, nil
			}
		}
	}
	return nil, err
}
