package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// strayRetry is how long a stray that SIGKILL does not end is waited for before it is
// sent another.
const strayRetry = time.Minute

const (
	killLimit = 5 * time.Second // for a tree to be gone after SIGKILL
	strayLook = time.Second     // at a stray of whose end there is no notice
)

// stray is a group whose tree belongs to no process of the store. It is ended while the
// daemon works already: only a run that is to have its name waits for it.
type stray struct {
	group cgroup.Group
	gone  chan struct{} // closed when it is
}

func newStray(g cgroup.Group) *stray { return &stray{g, make(chan struct{})} }

// endStrays ends all that takeOver has found, side by side.
func (s *Supervisor) endStrays() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.strays {
		s.loops.Go(func() { s.endStray(t) })
	}
}

// endStray ends a tree and removes its group. One that SIGKILL does not end is reported
// once, and tried again for as long as the daemon works.
func (s *Supervisor) endStray(t *stray) {
	changed := make(chan struct{}, 1)
	unwatch, err := s.watch.Add(t.group, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err == nil {
		defer unwatch()
	}
	pids, _ := t.group.Pids() // for the report
	told := false
	for wait := killLimit; ; wait = strayRetry {
		err := t.end(wait, changed, s.closing)
		if err == nil {
			break
		}
		if !told {
			s.log.Printf("group %s belongs to no process and cannot be removed: %v; it is tried again every %v", t.group.Name(), err, strayRetry)
		}
		if told = true; s.isClosing() {
			return
		}
	}
	if len(pids) > 0 && !run.IsHelper(t.group.Name()) {
		s.log.Printf("group %s belonged to no process: its tree of %d was ended", t.group.Name(), len(pids))
	}
	s.mu.Lock()
	delete(s.strays, t.group.Name())
	s.mu.Unlock()
	close(t.gone)
}

// end sends SIGKILL to all of the tree, waits until nobody is left, and removes the group.
// A fault of ours in that is an error like another.
func (t *stray) end(wait time.Duration, changed, closing <-chan struct{}) (err error) {
	defer border.Catch(func(fault *border.Panic) { err = fault })
	killed := run.RetryPassing(t.group.Kill)
	if errors.Is(killed, fs.ErrNotExist) {
		return nil
	}
	if wait <= killLimit { // the end of the daemon takes longer than that anyway
		closing = nil
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	again := time.NewTicker(strayLook) // for a notice that does not come
	defer again.Stop()
	for {
		empty, err := run.IsEmpty(t.group)
		if err == nil && empty {
			return t.group.Remove()
		}
		select {
		case <-changed:
			continue
		case <-again.C:
			continue
		case <-limit.C:
		case <-closing:
		}
		if err := errors.Join(killed, err); err != nil {
			return err
		}
		pids, err := t.group.Pids()
		if err != nil {
			return err
		}
		return fmt.Errorf("SIGKILL has not ended pids %v within %v (uninterruptible sleep?)", pids[:min(len(pids), 16)], wait)
	}
}

// strayLimit is how long a start waits for a stray, less than for a disk.
const strayLimit = 4 * time.Second

// awaitStray waits until a run can have a group of this name.
func (s *Supervisor) awaitStray(name string) error {
	s.mu.Lock()
	t := s.strays[name]
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	select {
	case <-t.gone:
		return nil
	case <-time.After(strayLimit):
		return fmt.Errorf("group %s is there, with a tree that belonged to no process and cannot be ended", name)
	}
}
