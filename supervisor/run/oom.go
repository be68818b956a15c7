package run

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
)

// Whom the kernel ends for lack of memory it counts, in memory.events, and does not name.
// It counts before it sends SIGKILL. So a kill that the leader has outlived was another's,
// and only one that it has not outlived can have been its own: then the cause of its end
// is oom. What cannot be told apart is somebody else's SIGKILL that reaches the leader
// within outliveTime of such a kill in its tree.

// outliveTime is after which a leader that has no SIGKILL on its way has outlived a kill.
const outliveTime = 20 * time.Millisecond

// isOOM reports whether the kernel has ended a leader for lack of memory: kills were
// counted by its end, and it has outlived so many of them.
func isOOM(exit *proc.Exit, kills, outlived uint64) bool {
	return exit != nil && exit.Signal == unix.SIGKILL && kills > outlived
}

// watchMemory has the kills of a group's tree counted when there are some.
func (h *Host) watchMemory(id fmt.Stringer, g Group, changed func()) (unwatch func()) {
	unwatch, err := h.WatchMemory(g, changed)
	if err != nil && !uncounted(err) {
		h.Log.Printf("%v: why it ends may be told wrong: %v", id, err)
	}
	return unwatch
}

// uncounted reports whether an error is that there is no controller, or no group any more.
func uncounted(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}

// countKills is for a change of memory.events. What is counted now has to be outlived.
func (r *Run) countKills() {
	if r.stirred = !r.machine.Born; r.stirred {
		return
	}
	if r.machine.LeaderGone || r.machine.Phase >= lifecycle.Draining || r.kills > r.outlived {
		return
	}
	if r.kills = r.oomKills(); r.kills > r.outlived {
		r.outlive.after(outliveTime, 0)
	}
}

// outlives is for a leader that had to outlive the kills that were counted.
func (r *Run) outlives() {
	if r.machine.LeaderGone || r.machine.Phase >= lifecycle.Draining {
		return
	}
	doomed, err := r.leader.Doomed(r.host.Procfs)
	if err != nil { // it is not known
		r.outlive.after(mostPause, 0)
		return
	}
	if doomed {
		return
	}
	r.outlived = r.kills
	if err := setAttr(r.group, attrOutlived, r.outlived); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	r.countKills()
}

// oomKills is how many processes of the tree were ended for lack of memory by now; 0
// without a controller that counts them.
func (r *Run) oomKills() (kills uint64) {
	err := RetryPassing(func() (err error) {
		kills, err = r.group.OOMKills()
		return err
	})
	if err != nil && !uncounted(err) {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	return kills
}
