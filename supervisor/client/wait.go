package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// lostTime is how long somebody who waits for a run does without a daemon. Another one may be
// on its way, and goes on with the run.
const lostTime = 30 * time.Second

// Wait waits until a run has ended, well or not, and says how. With run 0 it is the one under
// way, the last one of a process at rest, or else the next. Its exit code is
// [process.Run.Code]. See [Client.Await].
func (c *Client) Wait(ctx context.Context, name string, run uint64) (process.Run, error) {
	list, err := c.Await(ctx, process.Selection{name}, process.WaitFor{Until: process.UntilEnd, Runs: []uint64{run}})
	if err != nil {
		return process.Run{}, err
	}
	return list[0].Run, list[0].Err
}

// Await waits for each process that is selected, over a connection of its own. When the
// connection is lost, since the daemon is replaced or has died, it is made again, and the same
// runs are waited for. A daemon that has not come back after half a minute is the error
// ErrNoDaemon. See verbs.Viewer.
func (c *Client) Await(ctx context.Context, of process.Selection, w process.WaitFor) (list []process.Waited, err error) {
	ctx, release := c.untilClosed(ctx)
	defer release()
	end, again := time.Now().Add(w.Timeout), false
	_, plain := of.Name()
	asked := w.Until != process.UntilEnd || plain && w.Run(0) > 0
	err = c.persist(ctx, func() (err error) {
		if !asked {
			if of, w.Runs, err = c.runsOf(ctx, of, w.Runs); err != nil {
				return err
			}
			asked = true
		}
		if w.Timeout > 0 && again {
			w.Timeout = max(time.Until(end).Round(time.Millisecond), time.Millisecond)
		}
		again = true
		var answer json.RawMessage
		err = c.stream(ctx, verbs.WaitAction(of, w), func(line []byte) error {
			answer = append(answer, line...)
			return nil
		})
		var typed *process.Error
		switch {
		case plain && errors.As(err, &typed) && !errors.Is(err, ErrConnectionLost): // it is the answer
			list = []process.Waited{{Name: of[0], Err: typed}}
			return nil
		case err != nil:
			return err
		case !plain:
			return decode(answer, &list)
		}
		list = make([]process.Waited, 1)
		return decode(answer, &list[0])
	})
	return list, err
}

// runsOf are the processes that are selected, by their names, and the runs of them that who
// waits now waits for. They are asked for first, so that a wait that is begun anew is for the
// same runs.
func (c *Client) runsOf(ctx context.Context, of process.Selection, given []uint64) (names process.Selection, runs []uint64, err error) {
	found, err := c.Show(ctx, of, process.Brief)
	if err != nil {
		return nil, nil, err
	}
	w := process.WaitFor{Runs: given}
	for i, o := range found {
		n := w.Run(i)
		if n == 0 && o.Err == nil {
			n = o.Status.Awaits()
		}
		names, runs = append(names, o.Name), append(runs, n)
	}
	if n := len(given); n > 0 && n != len(found) {
		runs = given // the daemon says what is wrong
	}
	return names, runs, nil
}

// persist does something that can be begun anew, again when the connection is lost, or when no
// daemon has been there for less than lostTime.
func (c *Client) persist(ctx context.Context, do func() error) error {
	there := time.Now() // that a daemon was, at the latest
	for try := 1; ; try++ {
		began := time.Now()
		err := do()
		switch {
		case ctx.Err() != nil:
			return err
		case errors.Is(err, ErrConnectionLost), errors.Is(err, process.ErrShuttingDown):
			if there = time.Now(); there.Sub(began) > time.Second {
				try = 1
			}
		case !errors.Is(err, ErrNoDaemon) || time.Since(there) > lostTime:
			return err
		}
		if err := pauseBefore(ctx, try); err != nil {
			return err
		}
	}
}
