package keeper

import (
	"context"
	"errors"
	"fmt"

	"github.com/freeflowuniverse/processmanager/proc"
)

// A helper is a child that is no run: a probe, say. It goes by a serial number of the
// worker that asked for it, in a group that this worker has made for it. Nothing of it is
// held: without the worker nobody wants to know how it ends, and the next one ends what it
// finds in a group that belongs to no run.

// help starts a helper. It is answered when that has ended, or could not be started. An
// error is a packet that makes no sense.
func (k *keeper) help(p *packet) error {
	serial, c, err := parseHelp(p)
	defer closeFiles(c.Group, c.Output)
	if errors.Is(err, errMalformed) {
		return err
	}
	var id proc.ID
	var starting *proc.Starting
	if err != nil { // there are no descriptors left
		err = &proc.SpawnError{Step: proc.StepPrepare, Err: err}
	} else {
		id, starting, err = begin(c)
	}
	if err != nil {
		k.worker.out.put(helpedPacket(serial, helped{outcome: outcome{err: err}}))
		return nil
	}
	h := &startedHelper{worker: k.worker, serial: serial, starting: starting != nil}
	k.helpers[id.PID] = h
	if starting != nil {
		k.await(starting, func(err error) {
			h.starting, h.err = false, err
			k.answerHelp(h)
		})
	}
	return nil
}

// startedHelper is a helper that has a process.
type startedHelper struct {
	worker   *worker // that asked for it
	serial   uint64
	starting bool  // its settings are being made
	err      error // of these
	pid      int
	exit     *proc.Exit // nil while it lives
}

// reapHelper takes note of the end of pid, if it was a helper's.
func (k *keeper) reapHelper(pid int, exit proc.Exit) {
	if h := k.helpers[pid]; h != nil {
		delete(k.helpers, pid)
		h.pid, h.exit = pid, &exit
		k.answerHelp(h)
	}
}

// answerHelp answers when all is known of a helper, unless its worker is dead.
func (k *keeper) answerHelp(h *startedHelper) {
	if h.starting || h.exit == nil || k.worker != h.worker {
		return
	}
	answer := helped{outcome{id: proc.ID{PID: h.pid}}, *h.exit}
	if h.err != nil {
		answer = helped{outcome: outcome{err: h.err}}
	}
	k.worker.out.put(helpedPacket(h.serial, answer))
}

// Help has the keeper start c, which is no run, and waits for its end. It must have a group
// of its own: who ends the wait by ctx ends what is in that group, which may be started a
// moment later; and so does the next worker, if this one dies.
//
// An error is a *proc.SpawnError, ErrKeeperGone or the context's.
func (l *Link) Help(ctx context.Context, c proc.Command) (proc.Exit, error) {
	answer := make(chan helped, 1)
	l.mu.Lock()
	if l.helpers == nil {
		l.mu.Unlock()
		return proc.Exit{}, ErrKeeperGone
	}
	l.serial++
	serial := l.serial
	l.helpers[serial] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.helpers, serial)
		l.mu.Unlock()
	}()
	if err := l.send(helpPacket(serial, c)); err != nil {
		return proc.Exit{}, fmt.Errorf("ask the keeper to start %.100q: %w", c.Argv, err)
	}
	select {
	case h, ok := <-answer:
		if !ok {
			return proc.Exit{}, ErrKeeperGone
		}
		return h.exit, h.outcome.err
	case <-ctx.Done():
		return proc.Exit{}, ctx.Err()
	}
}

// helped answers who waits for the helper.
func (l *Link) helped(serial uint64, h helped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answer := l.helpers[serial]; answer != nil {
		delete(l.helpers, serial)
		answer <- h
	}
}
