package run

import (
	"fmt"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// diskLimit is how long the paths of an io_max may take to be looked at. One can lead to a file
// system whose server or disk does not answer, and then nothing ends a look at it.
const diskLimit = 2 * time.Second

// diskFinder finds the disks that paths are of, and waits for none for long. As long as one does
// not answer it is not asked again: each look costs a thread.
type diskFinder struct {
	of func(procDir, sysDir, path string) (cgroup.Disk, error)

	mu    sync.Mutex
	looks map[string]*look // under way, by path
}

// look is one look at a path.
type look struct {
	done chan struct{} // closed when there is an answer
	disk cgroup.Disk
	err  error
}

var disks = diskFinder{of: cgroup.DiskOf}

// find is what of gives, if it does until late comes.
func (f *diskFinder) find(procfs, path string, late <-chan struct{}) (cgroup.Disk, error) {
	l := f.look(procfs, path)
	select {
	case <-l.done:
		return l.disk, l.err
	case <-late:
		return cgroup.Disk{}, fmt.Errorf("%s does not answer for %v: its file system hangs", path, diskLimit)
	}
}

// look begins to look at a path, unless somebody does already.
func (f *diskFinder) look(procfs, path string) *look {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.looks[path]; l != nil {
		return l
	}
	if f.looks == nil {
		f.looks = map[string]*look{}
	}
	l := &look{done: make(chan struct{})}
	f.looks[path] = l
	go func() {
		defer func() {
			f.mu.Lock()
			delete(f.looks, path)
			f.mu.Unlock()
			close(l.done)
		}()
		defer border.Catch(func(fault *border.Panic) { l.err = fault })
		l.disk, l.err = f.of(procfs, "/sys", path)
	}()
	return l
}
