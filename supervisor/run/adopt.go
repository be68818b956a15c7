package run

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Found is what a former worker has left of a run.
type Found struct {
	Group Group        // nil: it has none
	Held  *keeper.Held // by the keeper; nil: it does not know the run
}

// Adopt takes over a run that goes on, or has ended and is not recorded yet. It returns nil
// when there is none: it was never started.
//
// A run existed if the keeper holds its start or exit, or its group names a leader, or
// somebody is in its group; where that is not known, there may be somebody. One that could
// not be started was, too, if its group says so.
//
// What has happened since comes through owner.Tell. Its output is not read before
// ReadOutput.
func (h *Host) Adopt(plan Plan, found Found, owner Owner) *Run {
	held := found.Held
	var output, socket *os.File
	if held != nil {
		output, socket = held.Output, held.Notify
		if held.SpawnErr == nil && held.ID == (proc.ID{}) { // a former keeper started it
			held = nil
		}
	}
	var leader leaderAttr
	known, unread, nobody := false, false, found.Group == nil
	var says attrs
	if !nobody {
		var err error
		says = notedOn(found.Group)
		if known, err = readAttr(says, attrLeader, &leader); err != nil {
			h.Log.Printf("%v: %v", plan.ID, err)
			unread = true
		}
		nobody, _ = IsEmpty(found.Group)
	}
	if held != nil && held.SpawnErr != nil || held == nil && !known && nobody {
		return h.adoptUnborn(plan, found.Group, says, output, socket, owner)
	}
	r := h.New(plan, owner)
	if found.Group != nil { // otherwise somebody removed it; the keeper knows how the leader ended
		r.group = found.Group
	} else {
		says = r.group
	}
	r.made, r.leader = true, leader.ID
	if held != nil {
		r.leader = held.ID
	}
	if !known { // the worker was stopped between the spawn and the attribute
		leader = r.guessLeader(held, unread)
	}
	r.start, r.boot = leader.Started, leader.Boot
	r.machine.Phase, r.machine.Born = lifecycle.Running, true
	r.takeUpAttrs(says)
	var err error
	if r.unwatch, err = h.Watch(r.group, r.tells(eventChanged)); err != nil {
		h.Log.Printf("%v: %v", r.ID, err)
	}
	r.forget = h.watchMemory(r.ID, r.group, r.tells(eventMemory))
	for name, value := range map[string]any{attrOutlived: &r.outlived, attrOOM: &r.killed} {
		if _, err := readAttr(says, name, value); err != nil {
			h.Log.Printf("%v: %v", r.ID, err)
		}
	}
	r.untold = r.killed.Kills > 0
	r.watchLimits(r.met.limits)
	r.tells(eventMemory)()
	limited, err := readAttr(says, attrLimited, new(bool))
	if err != nil {
		h.Log.Printf("%v: %v", r.ID, err)
	}
	r.limiting.doubt = limited || err != nil || plan.Spec.Limits != (process.Limits{}) // the worker may have died before it had changed them
	r.held, r.says.held = output, socket
	r.meter = NewMeter(h.Procfs, r.group, h.Clock.Now()-r.boot)
	r.setDeadline()
	r.tells(eventChanged)()
	switch {
	case held == nil && r.note.Exit != nil: // the former keeper saw it
		owner.Tell(Exited(r.ID.Run, r.note.Exit))
	case held == nil:
		r.watchOrphan()
	case held.Exit != nil:
		owner.Tell(Exited(r.ID.Run, held.Exit))
	}
	return r
}

// adoptUnborn takes over a run without a leader whose end could not be recorded; nil: it
// never was.
func (h *Host) adoptUnborn(plan Plan, group Group, says attrs, output, socket *os.File, owner Owner) *Run {
	if group == nil {
		return nil
	}
	r := h.New(plan, owner)
	r.group, r.made = group, true
	if r.takeUpAttrs(says); r.note.Over == 0 {
		return nil
	}
	r.held, r.says.held = output, socket
	var err error
	if r.note.Cause == process.CauseStart {
		err = errors.New(r.note.Error)
	}
	owner.Tell(r.notSpawned(err))
	return r
}

// guessLeader is who leads a group that does not say so, and since when.
func (r *Run) guessLeader(held *keeper.Held, unread bool) leaderAttr {
	if held == nil { // the keeper does not know either
		r.leader, _ = r.oldest() // where it is not known, the orphan's watch asks again
	}
	leader := leaderAttr{r.leader, time.Now(), r.host.Clock.Now()}
	if age := leader.Boot - r.leader.Boot(); r.leader.PID != 0 {
		leader.Started, leader.Boot = leader.Started.Add(-age), leader.Boot-age
		if !unread {
			if err := setAttr(r.group, attrLeader, leader); err != nil && !errors.Is(err, fs.ErrNotExist) {
				r.host.Log.Printf("%v: %v", r.ID, err)
			}
		}
	}
	return leader
}

// oldest is the process of the group that was started first: the leader, unless that has
// ended. It is zero when nobody is there; an error means that it is not known.
func (r *Run) oldest() (first proc.ID, err error) {
	pids, err := r.group.Pids()
	if errors.Is(err, fs.ErrNotExist) {
		return first, nil
	}
	if err != nil {
		return first, err
	}
	for _, pid := range pids {
		id, err := proc.Identify(r.host.Procfs, pid)
		switch {
		case proc.Gone(err):
		case err != nil:
			return proc.ID{}, err
		case first.PID == 0 || id.Start < first.Start || id.Start == first.Start && id.PID < first.PID:
			first = id
		}
	}
	return first, nil
}

// takeUpAttrs takes up what the group says about its run. An end that was begun is gone
// on with by [Run.Resume].
func (r *Run) takeUpAttrs(says attrs) {
	var of runAttr
	if ok, err := readAttr(says, attrRun, &of); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	} else if ok {
		r.JobID = of.JobID
		if of.Asked.By != "" { // former programs did not note it there
			r.Asked = of.Asked
		}
	}
	is, err := readAttr(says, attrReady, &r.probing.since)
	if err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	r.machine.Ready = is || !r.machine.Awaited
	r.takeUpHealth(says)
	if _, err := readAttr(says, attrNotify, &r.says.notifyAttr); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	ending, err := readAttr(says, attrEnd, &r.note)
	if err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	if !ending {
		r.takeUpPause(says)
		return
	}
	defer r.takeUpPause(says)
	r.noted, r.left, r.error = r.note, r.note.Left, r.note.Error
	r.machine.Phase, r.machine.Asked, r.machine.Cause = lifecycle.Stopping, lifecycle.Signalled, r.note.Cause
	r.machine.Success = r.note.Cause == process.CauseExit && r.note.Exit != nil && r.succeeded(r.note.Exit)
}

// Followed is what is to follow the end of an adopted run, the job id of that, and who asked
// for it.
func (r *Run) Followed() (lifecycle.Then, string, process.Asked) {
	return r.note.Then, r.note.JobID, r.note.Asked
}

// Ends reports whether a former worker had begun to end it.
func (r *Run) Ends() bool { return r.machine.Asked != lifecycle.NotAsked }

// Resume goes on with an end that was begun before: by a former worker, or until a fault.
func (r *Run) Resume() {
	r.resumeProbes()
	r.resumePause()
	if m := r.machine; m.Phase == lifecycle.Stopping && (m.Asked != lifecycle.Signalled || r.note.Sent || !m.Born) { // else its signal comes first
		if err := RetryPassing(r.group.Thaw); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have been about to be signalled
			r.host.Log.Printf("%v: %v", r.ID, err)
		}
	}
	switch m := r.machine; {
	case m.Phase >= lifecycle.Draining:
	case m.Empty && m.Asked < lifecycle.Killed:
		r.phase.after(leaderGrace, lifecycle.LeaderLate)
	case m.Asked == lifecycle.Signalled:
		r.phase.after(r.grace(), lifecycle.GraceOver)
		if m.Born {
			r.signal()
		}
	case m.Asked == lifecycle.Killed:
		r.phase.after(killLimit, lifecycle.KillOver)
		if m.Empty {
			r.killLeader()
		} else {
			r.sendKill()
		}
	}
}

// Times between two tries to read the output of a run.
const (
	firstBackoff = 100 * time.Millisecond
	mostBackoff  = 2 * time.Second // each is twice as long as the one before
)

// ReadOutput begins to move the output of an adopted run, and has its tree follow its limits. A worker that may still have to
// give way must not: what it has moved of a run without a log would be lost with it.
func (r *Run) ReadOutput() {
	output, socket := r.held, r.says.held
	r.held, r.says.held = nil, nil
	r.follow()
	r.readOutput(output)
	r.listenAgain(socket)
}

// readOutput goes on moving where the former worker stopped: from the end that the keeper
// holds, or from the FIFO by its name. What cannot be opened, because there are too few
// descriptors, say, is tried again: the tree stands still when its pipe is full.
func (r *Run) readOutput(output *os.File) {
	err := r.takeUpOutput(output)
	if err == nil {
		if r.moveErr != nil {
			r.host.Log.Printf("%v: its output is read again", r.ID)
		}
		r.moveErr = nil
		return
	}
	if r.moveErr == nil {
		r.host.Log.Printf("%v: its output cannot be read, and is tried again: %v", r.ID, err)
	}
	r.moveErr = err
	r.backoff = min(max(2*r.backoff, firstBackoff), mostBackoff)
	r.retry.after(r.backoff, 0)
}

// takeUpOutput begins to move the output of an adopted run. Of a run that has ended there
// may be no FIFO: a worker that came as far as its end has moved it all.
func (r *Run) takeUpOutput(output *os.File) (err error) {
	if output != nil {
		defer output.Close()
		r.pump, err = moveFrom(r.Plan, output)
	} else {
		var fifo *os.File
		if fifo, err = FindFIFO(r.host.fifo(r.ID), r.group); err == nil {
			r.pump, err = r.Output.Move(r.ID.Run, fifo)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if empty, _ := IsEmpty(r.group); empty {
			return nil
		}
	}
	return err
}

// watchOrphan waits for a leader that is not the keeper's child, because an earlier keeper
// started it. How it ends cannot be known.
func (r *Run) watchOrphan() {
	leader, gone, owner := r.leader, Exited(r.ID.Run, nil), r.owner
	finder := *r
	r.orphan = &orphan{procfs: r.host.Procfs, stop: make(chan struct{}), leader: func() (proc.ID, error) {
		if leader.PID == 0 { // it was not known when the run was taken over
			return finder.oldest()
		}
		return leader, nil
	}}
	go r.orphan.watch(func() { owner.Tell(gone) }) // until the leader ends, or drain closes it
}
