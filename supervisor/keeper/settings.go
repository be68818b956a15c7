package keeper

import (
	"errors"

	"github.com/freeflowuniverse/processmanager/proc"
)

// A command with settings has a process before it is known whether its program could be
// executed. The keeper does not wait for that: a goroutine does, and hands the loop what is
// to be done then.

// errStarting is why no worker is started at the moment: it could not be told how all
// starts went, and another program could not take them over.
var errStarting = errors.New("starts are to be decided first")

// begin starts a command. One with settings is starting until it is known how it went;
// otherwise that is nil.
func begin(c proc.Command) (id proc.ID, starting *proc.Starting, err error) {
	if c.Settings == nil {
		id, err = proc.Spawn(c)
		return id, nil, err
	}
	if starting, err = proc.Begin(c); err != nil {
		return id, nil, err
	}
	return starting.ID, starting, nil
}

// await has the loop call then with how the start went.
func (k *keeper) await(s *proc.Starting, then func(error)) {
	k.unsettled[s] = true
	k.starts.Go(func() {
		err := s.Wait()
		call := func() {
			delete(k.unsettled, s)
			then(err)
		}
		select {
		case k.calls <- call:
		case <-k.ended:
		}
	})
}

// cancelStarts ends the goroutines. What they wait for goes on.
func (k *keeper) cancelStarts() {
	close(k.ended)
	for s := range k.unsettled {
		s.Cancel()
	}
	k.starts.Wait()
}

// settled takes note of how the start of a run went. One that failed is answered when its
// process is gone, so that it is in nobody's way.
func (k *keeper) settled(r *run, err error) {
	r.err = err
	if err == nil || k.leaders[r.id.PID] != r { // it has been reaped, or was dropped
		k.decided(r)
	}
}

// decided answers a start with settings, and tells of the exit that came before.
func (k *keeper) decided(r *run) {
	r.starting = nil
	k.starting--
	if r.err != nil {
		r.outcome, r.exit = outcome{err: r.err}, nil
	}
	if k.runs[r.RunID] != r {
		return
	}
	k.answer(r.RunID, r.outcome)
	if r.exit != nil {
		k.tellExit(r)
	}
}
