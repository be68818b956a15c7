package keeper

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// run is what the keeper knows of one run.
type run struct {
	RunID
	outcome
	output *os.File
	exit   *proc.Exit // nil while the leader runs
}

// spawn starts a run, unless it is held, and answers. An error is a packet that
// makes no sense.
func (k *keeper) spawn(p *packet) error {
	id, c, err := parseSpawn(p)
	if c.Group != nil {
		defer c.Group.Close()
	}
	if err == nil && c.Output != nil && !affordable(c.Output) {
		c.Output.Close()
		c.Output, err = nil, unix.EMFILE
	}
	malformed, held := errors.Is(err, errMalformed), k.runs[id] != nil
	if (malformed || held) && c.Output != nil {
		c.Output.Close()
	}
	switch {
	case malformed:
		return err
	case held:
		k.answer(id, outcome{err: ErrHeld})
		return nil
	}
	r := &run{RunID: id, output: c.Output}
	if err != nil { // there are no descriptors left
		r.err = &proc.SpawnError{Step: proc.StepPrepare, Err: err}
	} else {
		r.id, r.err = proc.Spawn(c)
	}
	k.runs[id] = r
	if r.err == nil {
		k.leaders[r.id.PID] = r
	}
	k.answer(id, r.outcome)
	return nil
}

// affordable reports whether f can be held. Starting a worker takes 8 descriptors at a
// time, and a worker has connections.
func affordable(f *os.File) bool { return proc.Keepable(f.Fd()) }

func (k *keeper) answer(id RunID, o outcome) {
	var e encoder
	e.run(id)
	e.outcome(o)
	k.worker.out.put(packet{kind: kindSpawned, body: e})
}

// drop forgets a run. If its leader still runs, reap will find nobody for it.
func (k *keeper) drop(id RunID) {
	r := k.runs[id]
	if r == nil {
		return
	}
	delete(k.runs, id)
	if k.leaders[r.id.PID] == r {
		delete(k.leaders, r.id.PID)
	}
	if r.output != nil {
		r.output.Close()
	}
}
