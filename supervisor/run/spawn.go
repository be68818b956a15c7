package run

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// birth brings a run about, beside the goroutine of its process.
type birth struct {
	Plan
	host    *Host
	group   Group
	changed func()
	memory  func()

	made    bool
	unwatch func()
	forget  func()
	pump    Pump
	notify  notifyAttr
	socket  *os.File // of notify; nil: none
	leader  proc.ID
	start   time.Time
	boot    time.Duration
	meter   *Meter
	err     error
	faulty  atomic.Bool // a fault of ours has ended it, nobody knows where
}

// spawned is spawn, and notes how it went.
func (b *birth) spawned() {
	done := false
	defer func() { b.faulty.Store(!done) }()
	b.err = b.spawn()
	done = true
}

// spawn makes the group and the FIFO and has the keeper spawn the leader. What it has
// made when it fails is removed with the run.
func (b *birth) spawn() error {
	h := b.host
	if h.Admit != nil {
		if err := h.Admit(Name(b.ID)); err != nil {
			return err
		}
	}
	if h.CanLimit != nil {
		if err := h.CanLimit(b.Spec.Limits); err != nil {
			return err
		}
	}
	c, err := h.command(b.Plan, b.Spec.Command)
	if err != nil {
		return err
	}
	if err := b.group.Make(); err != nil {
		return err
	}
	b.made = true
	h.at(PointMade)
	if err := setAttr(b.group, attrRun, runAttr{b.ID.Name, b.ID.Run, b.JobID, b.Asked}); err != nil {
		return err
	}
	h.at(PointMarked)
	if b.Spec.Limits != (process.Limits{}) { // before anything runs in it
		k, err := KernelLimits(b.Spec.Limits, h.Procfs)
		if err == nil {
			err = limit(b.group, k, true)
		}
		if err != nil {
			return err
		}
	}
	if b.unwatch, err = h.Watch(b.group, b.changed); err != nil {
		return err
	}
	b.forget = h.watchMemory(b.ID, b.group, b.memory)
	dir, err := b.group.Dir()
	if err != nil {
		return err
	}
	defer dir.Close()
	output, err := makeFIFO(h.fifo(b.ID))
	if err != nil {
		return err
	}
	defer output.Close()
	if err := giveTo(c.Settings, output); err != nil {
		return err
	}
	b.Output.Begin(b.ID.Run)
	if b.pump, err = moveFrom(b.Plan, output); err != nil {
		return err
	}
	h.at(PointPiped)
	c.Group, c.Output = dir, output
	if b.Spec.Notifies() && h.Sockets != nil {
		if err := b.makeSocket(c.Settings); err != nil {
			return err
		}
		c.Env = mergeEnv(c.Env, notifyEnviron(b.notify.Path, b.Spec.Probing))
	}
	b.start, b.boot = time.Now(), h.Clock.Now()
	b.leader, err = h.Keeper.Spawn(context.Background(), b.ID, c, b.socket)
	if errors.Is(err, keeper.ErrKeeperGone) {
		select {} // this worker ends; whether the leader runs is for the next one to find out
	}
	if err != nil {
		b.start = time.Time{}
		return err
	}
	h.at(PointSpawned)
	b.meter = NewMeter(h.Procfs, b.group, h.Clock.Now()-b.boot)
	if err := setAttr(b.group, attrLeader, leaderAttr{b.leader, b.start, b.boot}); err != nil {
		h.Log.Printf("%v: %v", b.ID, err)
	}
	h.at(PointRecorded)
	return nil
}

// makeSocket makes the one at which the run says how it is, for its user.
func (b *birth) makeSocket(s *proc.Settings) (err error) {
	b.notify.UID = os.Geteuid()
	if s != nil && s.User != nil {
		b.notify.UID = int(*s.User)
	}
	if b.socket, err = b.host.Sockets.make(b.notify.UID); err != nil {
		return err
	}
	b.notify.Path = b.socket.Name()
	return setAttr(b.group, attrNotify, b.notify)
}

// take hands what was made over to the run.
func (b *birth) take(r *Run) {
	r.made, r.unwatch, r.forget, r.pump, r.leader, r.start, r.boot, r.meter = b.made, b.unwatch, b.forget, b.pump, b.leader, b.start, b.boot, b.meter
	if b.err != nil {
		r.failed, r.error = b.err, b.err.Error()
	}
	r.says.notifyAttr = b.notify
	if b.socket != nil && b.err == nil {
		if err := RetryPassing(func() error { return r.listen(b.socket) }); err != nil {
			r.host.Log.Printf("%v: what it says by sd_notify is not heard: %v", r.ID, err)
		}
	}
	if b.socket != nil { // the keeper has it
		b.socket.Close()
		b.socket = nil
	}
}

// moveFrom begins to move what comes out of a FIFO.
func moveFrom(p Plan, fifo *os.File) (Pump, error) {
	reader, err := openFIFO(fifo)
	if err != nil {
		return nil, err
	}
	return p.Output.Move(p.ID.Run, reader)
}
