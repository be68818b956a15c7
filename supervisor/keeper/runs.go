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
	output   *os.File
	notify   *os.File       // socket; nil: none
	exit     *proc.Exit     // nil while the leader runs
	starting *proc.Starting // its settings are being made; nil: the outcome is known
}

// spawn starts a run, unless it is held, and answers. An error is a packet that
// makes no sense.
func (k *keeper) spawn(p *packet) error {
	id, c, notify, err := parseSpawn(p)
	defer closeFiles(c.Group)
	malformed, held := errors.Is(err, errMalformed), k.runs[id] != nil
	if short := err == nil && (!affordable(c.Output) || !affordable(notify)); short || malformed || held {
		closeFiles(c.Output, notify)
		c.Output, notify = nil, nil
		if short {
			err = unix.EMFILE
		}
	}
	switch {
	case malformed:
		return err
	case held:
		k.answer(id, outcome{err: ErrHeld})
		return nil
	}
	r := &run{RunID: id, output: c.Output, notify: notify}
	switch {
	case err != nil: // there are no descriptors left
		r.err = &proc.SpawnError{Step: proc.StepPrepare, Err: err}
	default:
		r.id, r.starting, r.err = begin(c)
	}
	k.runs[id] = r
	if r.err == nil {
		k.leaders[r.id.PID] = r
	}
	if r.starting == nil {
		k.answer(id, r.outcome)
		return nil
	}
	k.starting++
	k.await(r.starting, func(err error) { k.settled(r, err) })
	return nil
}

// keep holds another notify socket for a run: a worker has made the file anew.
func (k *keeper) keep(p *packet) error {
	id, notify, err := parseKeep(p)
	r := k.runs[id]
	if err != nil || r == nil || notify == nil || !affordable(notify) {
		closeFiles(notify)
		return err
	}
	closeFiles(r.notify)
	r.notify = notify
	return nil
}

// affordable reports whether f, if there is one, can be held. Starting a worker takes 8
// descriptors at a time, and a worker has connections.
func affordable(f *os.File) bool { return f == nil || proc.Keepable(f.Fd()) }

// closeFiles closes those that are there.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// tellExit tells the worker of a leader's end.
func (k *keeper) tellExit(r *run) {
	if k.worker == nil {
		return // the next one's HELLO says it
	}
	var e encoder
	e.run(r.RunID)
	e.exit(*r.exit)
	k.worker.out.put(packet{kind: kindExited, body: e})
}

func (k *keeper) answer(id RunID, o outcome) {
	if k.worker == nil {
		return // the next one's HELLO says it
	}
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
	if r.starting != nil {
		r.starting.Cancel()
	}
	closeFiles(r.output, r.notify)
}
