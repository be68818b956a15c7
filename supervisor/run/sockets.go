package run

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// Sockets are those at which runs say how they are.
type Sockets struct {
	Dir string // mode 0711: a run's user must come through

	mu     sync.Mutex
	last   uint64 // number given
	guard  *files.Guard
	ears   map[*ear]struct{} // whose sockets are guarded
	closed chan struct{}
	wait   sync.WaitGroup
}

// make makes the next one, for a user.
func (s *Sockets) make(uid int) (*os.File, error) {
	return s.bind(uid, func() (socket *os.File, err error) {
		socket, number, err := notify.ListenIn(s.Dir, s.last+1, uid)
		if err == nil {
			s.last = number
		}
		return socket, err
	})
}

// again makes one anew that nobody holds any more.
func (s *Sockets) again(path string, uid int) (*os.File, error) {
	if filepath.Dir(path) != s.Dir { // a daemon with another runtime directory has made it
		return nil, fmt.Errorf("it is not in %s", s.Dir)
	}
	return s.bind(uid, func() (*os.File, error) { return notify.ListenAnew(path, uid) })
}

// bind has a socket made that its user can reach, in a directory that may not be there yet.
func (s *Sockets) bind(uid int, listen func() (*os.File, error)) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	socket, err := listen()
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makeDir(); err == nil {
			socket, err = listen()
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.passable(uid); err != nil {
		os.Remove(socket.Name())
		socket.Close()
		return nil, err
	}
	return socket, nil
}

// follow has an ear told when its socket may have lost its name: others can delete it, and
// the run knows no other.
func (s *Sockets) follow(e *ear) {
	s.mu.Lock()
	if s.guard == nil {
		guard, closed := files.NewGuard(), make(chan struct{})
		s.guard, s.ears, s.closed = guard, map[*ear]struct{}{}, closed
		s.wait.Go(func() {
			for {
				select {
				case <-guard.Touched():
					s.look()
				case <-closed:
					return
				}
			}
		})
	}
	s.ears[e] = struct{}{}
	s.guard.Follow(e.path)
	s.mu.Unlock()
	e.look() // what happened before
}

// Close ends the guard, if there is one, when no run is any more.
func (s *Sockets) Close() {
	s.mu.Lock()
	guard, closed := s.guard, s.closed
	s.guard = nil
	s.mu.Unlock()
	if guard != nil {
		close(closed)
		s.wait.Wait()
		guard.Close()
	}
}

func (s *Sockets) unfollow(e *ear) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ears, e)
}

// look tells the ears whose sockets have lost their names.
func (s *Sockets) look() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.ears))
	s.mu.Unlock()
	for _, e := range all {
		e.look()
	}
}

func (s *Sockets) makeDir() error {
	if _, err := private.MakeDir(s.Dir); err != nil {
		return err
	}
	return os.Chmod(s.Dir, 0o711)
}

// passable has another user come through to the sockets. The runtime directory is ours, so
// that others may pass it: what is in it has modes of its own. What is above it is not.
func (s *Sockets) passable(uid int) error {
	if uid == os.Geteuid() {
		return nil
	}
	for dir, depth := s.Dir, 0; ; dir, depth = filepath.Dir(dir), depth+1 {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		switch {
		case mode&0o001 != 0 || mode&0o010 != 0 && depth > 1:
		case depth <= 1:
			if err := os.Chmod(dir, mode|0o011); err != nil {
				return err
			}
		default:
			return fmt.Errorf("its user cannot reach the socket %s/N through %s (mode %04o): chmod a+x %[2]s, or give another directory with -runtime", s.Dir, dir, mode)
		}
		if dir == "/" {
			return nil
		}
	}
}

// Sweep removes the sockets in the directory but for those to keep.
func (s *Sockets) Sweep(keep func(path string) bool) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := filepath.Join(s.Dir, e.Name()); e.Type() == fs.ModeSocket && !keep(path) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
