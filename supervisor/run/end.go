package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// grace is how long the tree has between the stop signal and SIGKILL.
func (r *Run) grace() time.Duration {
	spec := process.Spec{Ending: r.ending}
	if spec.EndSignal() == process.KILL {
		return 0
	}
	left := spec.Grace()
	if r.note.Boot != 0 { // a former worker may have begun the end
		left = max(r.note.Boot+left-r.host.Clock.Now(), 0)
	}
	return left
}

// signal sends the stop signal to the whole tree. The tree is frozen meanwhile, so that
// it cannot fork ahead of the signals.
func (r *Run) signal() {
	h := r.host
	note := func(what string, err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.Log.Printf("%v: %s: %v", r.ID, what, err)
		}
	}
	if r.note.Sent { // by a former worker
		return
	}
	pids, err := r.group.Pids()
	if err == nil && len(pids) == 0 {
		r.owner.Tell(Event{Run: r.ID.Run, kind: eventChanged})
		return
	}
	note("freeze", RetryPassing(r.group.Freeze))
	r.awaitFrozen()
	h.at(PointFrozen)
	if r.machine.LeaderGone || r.note.Exit != nil {
		r.noteLeftBehind()
		r.note.Left = r.left
	}
	spec := process.Spec{Ending: r.ending}
	only := spec.EndSignal() == process.KILL || spec.Grace() == 0 // SIGKILL, which follows
	if !only {
		note("signal", RetryPassing(func() error {
			sent, err := r.group.Signal(unix.Signal(spec.EndSignal()))
			if sent > 0 && proc.Passing(err) {
				h.Log.Printf("%v: signal: only %d were sent it: %v", r.ID, sent, err)
				return nil // nobody is sent it twice
			}
			return err
		}))
	}
	h.at(PointSignalled)
	if !only || !r.still.frozen { // what stood still does nothing more
		note("thaw", RetryPassing(r.group.Thaw))
	}
	h.at(PointThawed)
	r.note.Sent = true
	r.putNote()
	h.at(PointAsked)
}

// awaitFrozen waits until the tree stands still, or is gone, or for freezeLimit.
func (r *Run) awaitFrozen() {
	for end := time.Now().Add(freezeLimit); time.Now().Before(end); time.Sleep(time.Millisecond / 2) {
		events, err := r.group.Events()
		if err == nil && (events.Frozen || !events.Populated) || errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// noteLeftBehind keeps who was there without the leader.
func (r *Run) noteLeftBehind() {
	var pids []int
	err := RetryPassing(func() (err error) {
		pids, err = r.group.Pids()
		return err
	})
	if err != nil || len(pids) == 0 {
		return
	}
	r.left = &process.LeftBehind{Count: len(pids), Names: someNames(proc.Names(r.host.Procfs, pids))}
}

// someNames are at most 16 of names, each once, sorted; the last is "…" if there are
// more. The kernel cuts them at 15 bytes, and not between characters.
func someNames(names []string) []string {
	for i, name := range names {
		names[i] = wholeName(name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 16 {
		names = append(names[:15], "…")
	}
	return names
}

// wholeName is the name of a process, whose last character the kernel may have cut.
func wholeName(name string) string {
	if n := screen.Unfinished([]byte(name)); n > 0 {
		return name[:len(name)-n] + "…"
	}
	return name
}

// Send sends a signal to the leader, or to the whole tree, and returns to how many.
func (r *Run) Send(s process.Signal, tree bool) (sent int, err error) {
	switch {
	case !r.machine.Born || r.machine.Phase >= lifecycle.Draining:
		return 0, errors.New("no process of it is there")
	case tree:
		return r.group.Signal(unix.Signal(s))
	case r.machine.LeaderGone:
		return 0, errors.New("its main process has ended")
	}
	o := r.orphan
	if o == nil {
		o = &orphan{procfs: r.host.Procfs, leader: func() (proc.ID, error) { return r.leader, nil }}
	}
	if err := o.send(unix.Signal(s)); err != nil {
		return 0, err
	}
	return 1, nil
}

func (r *Run) kill() {
	r.sendKill()
	r.host.at(PointKilled)
}

// sendKill sends SIGKILL to the whole tree. For want of a descriptor that may not be
// possible: then it is tried again until it is, whatever was answered meanwhile.
func (r *Run) sendKill() {
	err := RetryPassing(r.group.Kill)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !r.unkilled {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	if r.unkilled = proc.Passing(err); r.unkilled {
		r.again.after(mostPause, 0)
	}
}

// killLeader ends a leader that has left its group.
func (r *Run) killLeader() {
	if alive, err := r.leader.Alive(r.host.Procfs); err == nil && !alive {
		return // it has ended, and on a busy machine its exit is late to be told
	}
	r.error = "the leader had left its group"
	if r.orphan != nil {
		r.refused = RetryPassing(r.orphan.kill)
	} else if r.refused = mayNot(r.leader.PID); r.refused == nil {
		// The keeper has our rights, and does not say how that went.
		r.refused = r.host.Keeper.Kill(r.ID)
	}
	if r.refused != nil {
		r.host.Log.Printf("%v: its leader has left its group and cannot be ended: %v", r.ID, r.refused)
	}
}

// mayNot is why this user may not signal a process.
func mayNot(pid int) error {
	if err := unix.Kill(pid, 0); err == unix.EPERM {
		return err
	}
	return nil
}

// StuckError says who is left of a tree that SIGKILL does not end.
func (r *Run) StuckError() error {
	who, why := "pids unknown", "uninterruptible sleep?"
	if r.machine.Empty {
		who = fmt.Sprintf("its main process %d, which has left its cgroup,", r.leader.PID)
		if r.refused != nil {
			why = r.refused.Error()
		}
	} else if list, err := r.group.Pids(); err == nil {
		who = "pids " + strings.Trim(fmt.Sprint(list[:min(len(list), 16)]), "[]")
		if len(list) > 16 {
			who += " …"
		}
	}
	return process.Errorf(process.CodeStuck, "process '%s' is stuck: SIGKILL has not ended %s within %v (%s); it stays 'stopping', try stop again later",
		r.ID.Name, who, killLimit, why)
}

// Discard has nothing come of a run any more by itself: of one that has not begun and will
// not, nothing is left then.
func (r *Run) Discard() {
	r.deaf()
	for _, t := range []*timer{&r.says.watchdog, &r.still.look, &r.phase, &r.limit, &r.again, &r.retry, &r.outlive, &r.met.slow} {
		t.stop()
	}
}

// drain moves what is left of the output and finds out the result.
func (r *Run) drain() {
	r.Discard()
	over := *r
	end := r.host.Clock.Now()
	faulty := new(atomic.Bool)
	r.drained = faulty
	r.owner.Aside(func() Event {
		done := false
		defer func() { faulty.Store(!done) }()
		if over.moveErr != nil { // the last chance
			if err := RetryPassing(func() error { return over.takeUpOutput(nil) }); err != nil {
				over.host.Log.Printf("%v: the last of its output is lost: %v", over.ID, err)
			}
		}
		if over.pump != nil {
			over.pump.Finish()
		}
		if over.orphan != nil {
			over.orphan.close()
		}
		over.awaitProbe()
		result := over.summary(end)
		over.host.at(PointDrained)
		done = true
		return Event{Run: over.ID.Run, kind: eventDone, what: lifecycle.Drained, done: func(r *Run) { r.result = &result }}
	})
}

// Release removes what is left of a run whose result is on disk. It may be called by any
// goroutine.
func (r *Run) Release() {
	h := r.host
	if err := os.Remove(h.fifo(r.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.Log.Printf("%v: %v", r.ID, err)
	}
	if path := r.says.Path; path != "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.Log.Printf("%v: %v", r.ID, err)
		}
	}
	if r.made {
		if err := r.group.Remove(); err != nil {
			h.Log.Printf("%v: its group stays: %v", r.ID, err)
		}
	}
	h.at(PointRemoved)
	if err := h.Keeper.Drop(r.ID); err != nil {
		h.Log.Printf("%v: %v", r.ID, err)
	}
	h.at(PointDropped)
}

// RetryPassing tries f again while something is short: when many trees are ended at once,
// the others give their descriptors back in a moment.
func RetryPassing(f func() error) error {
	err := f()
	for try := 0; try < 100 && proc.Passing(err); try++ {
		time.Sleep(10 * time.Millisecond)
		err = f()
	}
	return err
}
