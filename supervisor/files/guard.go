package files

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settle is how long a Guard waits after the first change before it tells: whoever
	// deletes a whole directory should be done with it.
	settle = 50 * time.Millisecond

	// pollDelay is between two looks where the kernel has no more instances or watches.
	pollDelay = 5 * time.Second
)

// What happens to a file itself, and to what it holds. A file that is open and deleted
// has a link less, which is an attribute. In a directory that would tell of its files, too.
const (
	dirChanges  = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
	fileChanges = dirChanges | unix.IN_ATTRIB
	dataChanges = fileChanges | unix.IN_MODIFY
)

// Guard tells when files may have been deleted, moved or replaced.
type Guard struct {
	inotify *os.File // nil: there are no more instances
	touched chan struct{}
	closed  chan struct{}
	poll    sync.Once
	wait    sync.WaitGroup
}

// NewGuard returns a Guard that follows nothing yet. It must be closed.
func NewGuard() *Guard {
	g := &Guard{touched: make(chan struct{}, 1), closed: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		g.startPolling()
		return g
	}
	g.inotify = os.NewFile(uintptr(fd), "inotify")
	g.wait.Go(func() {
		var buf [4096]byte
		for {
			if _, err := g.inotify.Read(buf[:]); err != nil {
				return
			}
			if !g.pause(settle) {
				return
			}
			g.tell()
		}
	})
	return g
}

// Touched receives when it is time to look. Several changes may be told as one.
func (g *Guard) Touched() <-chan struct{} { return g.touched }

func (g *Guard) tell() {
	select {
	case g.touched <- struct{}{}:
	default:
	}
}

// pause reports whether the Guard is still open after d.
func (g *Guard) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-g.closed:
		return false
	}
}

func (g *Guard) startPolling() {
	g.poll.Do(func() {
		g.wait.Go(func() {
			for g.pause(pollDelay) {
				g.tell()
			}
		})
	})
}

// Follow guards the file that is at this absolute path now, and the directories above
// it, also behind symbolic links. Follow first and look then: so nothing that happens in
// between is missed. Call it again after a change: a new file is another one.
func (g *Guard) Follow(path string) { g.follow(path, fileChanges) }

// FollowData is Follow for a file that nobody should write to either.
func (g *Guard) FollowData(path string) { g.follow(path, dataChanges) }

func (g *Guard) follow(path string, changes uint32) {
	g.watch(path, changes)
	for _, dir := range above(path) {
		g.watch(dir, dirChanges)
	}
}

// above are the directories that lead to path, and those behind symbolic links.
func above(path string) (dirs []string) {
	dir := filepath.Dir(path)
	ways := []string{dir}
	if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
		ways = append(ways, real)
	}
	for _, dir := range ways {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (g *Guard) watch(path string, changes uint32) {
	if g.inotify == nil {
		return
	}
	raw, err := g.inotify.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		if _, err := unix.InotifyAddWatch(int(fd), path, changes|unix.IN_DONT_FOLLOW); err == unix.ENOSPC {
			g.startPolling()
		}
	})
}

// Close ends it and waits for its goroutines.
func (g *Guard) Close() {
	close(g.closed)
	if g.inotify != nil {
		g.inotify.Close()
	}
	g.wait.Wait()
}
