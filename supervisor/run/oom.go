package run

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Whom the kernel ends for lack of memory it counts, in memory.events, and names in its log,
// where that can be read. It does both before it sends SIGKILL. So a kill that the leader has
// outlived was another's, and only one that it has not outlived can have been its own: then
// the cause of its end is oom. What cannot be told apart without the log is somebody else's
// SIGKILL that reaches the leader within outliveTime of such a kill in its tree.

// outliveTime is after which a leader that has no SIGKILL on its way has outlived a kill.
const outliveTime = 20 * time.Millisecond

// Memory tells of kills for lack of memory what the counters of a run's group do not.
type Memory interface {
	// Kills are those in a group's tree that the kernel's log names behind the record of a
	// number, the oldest first; none where the log cannot be read. The run began at since, by
	// [Clock].
	Kills(g Group, since time.Duration, behind uint64) []Kill
	// Blame is whose limit was reached, and how much that was, as far as counters tell: one of
	// the tree's own was, or none of these. What is not known is zero.
	Blame(g Group, own bool) (limit process.OOMLimit, bytes uint64)
}

// Kill is one that the kernel's log names.
type Kill struct {
	Number uint64 // of the record; later ones have higher numbers
	process.Victim
	Limit    process.OOMLimit
	MaxBytes uint64
}

// oomAttr is what is known of the kills in a tree.
type oomAttr struct {
	process.OOM
	Reached uint64 // how often a limit of the tree's own was: oom of memory.events
	Named   uint64 // kills that the kernel's log has named
	Last    uint64 // the record of the last of them
	Leader  bool   // is one of these
}

// isOOM reports whether the kernel has ended a leader for lack of memory: kills were
// counted by its end, and it has outlived so many of them.
func isOOM(exit *proc.Exit, killed oomAttr, outlived uint64) bool {
	switch {
	case exit == nil || exit.Signal != unix.SIGKILL || killed.Kills <= outlived:
		return false
	case killed.Leader:
		return true
	}
	return killed.Named < killed.Kills // who is not named may be the leader
}

// watchMemory has the kills of a group's tree counted when there are some.
func (h *Host) watchMemory(id fmt.Stringer, g Group, changed func()) (unwatch func()) {
	unwatch, err := h.WatchMemory(g, seldom(h.Clock, changed))
	if err != nil && !uncounted(err) {
		h.Log.Printf("%v: why it ends may be told wrong: %v", id, err)
	}
	return unwatch
}

// uncounted reports whether an error is that there is no controller, or no group any more.
func uncounted(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}

// memoryChanged is for a change of memory.events.
func (r *Run) memoryChanged() []lifecycle.Event {
	if r.stirred = !r.machine.Born; r.stirred || r.machine.Phase >= lifecycle.Draining {
		return nil
	}
	e := r.memoryEvents()
	killed, slowed := r.noteKills(e) || r.untold, r.met.slowed(e.High)
	r.untold = false
	r.proveOutlived()
	if !killed && !slowed {
		return nil
	}
	return r.tell(lifecycle.RunLimited)
}

// memoryEvents is what memory.events counts; nothing without a controller.
func (r *Run) memoryEvents() (e cgroup.MemoryEvents) {
	err := RetryPassing(func() (err error) {
		e, err = r.group.MemoryEvents()
		return err
	})
	if err != nil && !uncounted(err) {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	return e
}

// noteKills takes up kills that were counted since the last look, and reports whether there
// are some. It notes them on the group: the kernel's log drops what is old.
func (r *Run) noteKills(e cgroup.MemoryEvents) bool {
	o := &r.killed
	if e.OOMKill <= o.Kills {
		return false
	}
	named := r.host.Memory.Kills(r.group, r.boot, o.Last)
	if most := int(min(e.OOMKill, 1<<20)); o.Last == 0 && len(named) > most {
		// The first are of another run of this name, or the last is not counted yet: the kernel
		// counts a kill after it has named it, and the console may hold it up in between.
		first := len(named) - most
		if leader := slices.IndexFunc(named, func(k Kill) bool { return k.PID == r.leader.PID }); leader >= 0 {
			first = min(first, leader)
		}
		named = named[first:]
	}
	var last Kill
	if len(named) > 0 {
		last = named[len(named)-1]
		o.Last = last.Number
	}
	switch {
	case last.Limit != "":
		o.Limit, o.MaxBytes = last.Limit, last.MaxBytes
	case o.Limit != "" && e.OOMGroupKill == 1: // more of the tree, that is being ended as a whole
	default:
		o.Limit, o.MaxBytes = r.host.Memory.Blame(r.group, e.OOM > o.Reached)
	}
	victims := slices.Clone(o.Victims) // others may be looking at these
	for _, k := range named {
		o.Leader = o.Leader || k.PID == r.leader.PID
		victims = append(victims, process.Victim{PID: k.PID, Name: wholeName(k.Name)})
	}
	o.Named += uint64(len(named))
	o.Victims = victims[max(len(victims)-process.MaxVictims, 0):]
	o.Kills, o.Reached, o.Tree = e.OOMKill, e.OOM, e.OOMGroupKill > 0
	if err := RetryPassing(func() error { return setAttr(r.group, attrOOM, o) }); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	return true
}

// killedOf is what is shown of kills; nil without any.
func killedOf(o oomAttr) *process.OOM {
	if o.Kills == 0 {
		return nil
	}
	return &o.OOM
}

// proveOutlived sees after a while whether the leader outlives the kills that were counted.
func (r *Run) proveOutlived() {
	if r.machine.LeaderGone || r.machine.Phase >= lifecycle.Draining || r.proving > r.outlived || r.killed.Kills <= r.outlived {
		return
	}
	r.proving = r.killed.Kills
	r.outlive.after(outliveTime, 0)
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
	r.outlived = r.proving
	if err := setAttr(r.group, attrOutlived, r.outlived); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	r.proveOutlived()
}
