package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Start defines a process and starts it, or starts the one that has this definition;
// with an empty command, the one that has the name.
func (c *Client) Start(ctx context.Context, spec process.Spec) (process.Status, error) {
	if spec.Command == "" && len(process.Differences(spec, process.Spec{})) == 0 {
		return c.do(ctx, spec.Name, process.StartAgain{JobID: spec.JobID})
	}
	return c.StartSpec(ctx, spec, process.How{})
}

// StartSpec defines a process and starts it. With how.Replace, the definition takes the
// place of another one. See verbs.Actor.
func (c *Client) StartSpec(ctx context.Context, spec process.Spec, how process.How) (s process.Status, err error) {
	err = c.change(ctx, verbs.StartAction(spec, how), &s)
	return s, err
}

// Define defines a process and starts nothing. See verbs.Definer.
func (c *Client) Define(ctx context.Context, spec process.Spec) (s process.Status, err error) {
	err = c.change(ctx, verbs.DefineAction(spec), &s)
	return s, err
}

// Apply makes definitions hold that stand in files. See verbs.Definer. What is sent at
// once has a bound, telnet.MaxPending; what the daemon reads itself has none.
func (c *Client) Apply(ctx context.Context, a process.Application) (rows []process.Applied, err error) {
	err = c.change(ctx, verbs.ApplyAction(a), &rows)
	if errors.Is(err, process.ErrTooLong) {
		err = fmt.Errorf("%w: apply its files one by one, or put them into the daemon's own folder", err)
	}
	return rows, err
}

// Export gives the definitions of what is selected, or all, as heroscript.
func (c *Client) Export(ctx context.Context, of process.Selection) (all []process.Exported, err error) {
	err = c.read(ctx, verbs.ExportAction(of), &all)
	return all, err
}

// Do carries out an operation on each process that is selected, side by side. See
// verbs.Actor.
func (c *Client) Do(ctx context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	return rows(of, func(result any) error { return c.change(ctx, verbs.OperationAction(of, op), result) }, failedOutcome)
}

// Show gives the processes that are selected in full, or all in brief, by name.
func (c *Client) Show(ctx context.Context, of process.Selection, d process.Detail) (all []process.Outcome, err error) {
	if len(of) == 0 {
		err = c.read(ctx, verbs.NewAction("process.list"), &all)
		return all, err
	}
	return rows(of, func(result any) error { return c.read(ctx, verbs.StatusAction(of, d), result) }, failedOutcome)
}

// do carries out an operation on one process.
func (c *Client) do(ctx context.Context, name string, op process.Operation) (process.Status, error) {
	list, err := c.Do(ctx, process.Selection{name}, op)
	if err != nil {
		return process.Status{}, err
	}
	return list[0].Status, list[0].Err
}

// Stop ends the whole tree and answers when nobody is left.
func (c *Client) Stop(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Stop{})
}

// Restart ends the whole tree and starts the next run, with a job id or "".
func (c *Client) Restart(ctx context.Context, name, jobID string) (process.Status, error) {
	return c.do(ctx, name, process.Restart{JobID: jobID})
}

// Pause has the whole tree stand still, and returns when it does.
func (c *Client) Pause(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Pause{})
}

// Resume has a paused tree go on.
func (c *Client) Resume(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Resume{})
}

// Trigger begins a run now, with a job id or "", as far as overlap lets it. Where one goes on
// that it waits for, the status says so: [process.Condition.Queued].
func (c *Client) Trigger(ctx context.Context, name, jobID string) (process.Status, error) {
	return c.do(ctx, name, process.Trigger{JobID: jobID})
}

// Delete ends the whole tree and forgets the process, its history and its logs.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.do(ctx, name, process.Delete{})
	return err
}

// Signal sends a signal to the leader, or to the whole tree.
func (c *Client) Signal(ctx context.Context, name string, signal process.Signal, tree bool) (process.Status, error) {
	return c.do(ctx, name, process.SendSignal{Signal: signal, Tree: tree})
}

// Set changes fields of the definition.
func (c *Client) Set(ctx context.Context, name string, settings ...process.Setting) (process.Status, error) {
	return c.do(ctx, name, process.Set{Settings: settings})
}

// Status is what is known of one process.
func (c *Client) Status(ctx context.Context, name string) (process.Status, error) {
	list, err := c.Show(ctx, process.Selection{name}, process.Full)
	if err != nil {
		return process.Status{}, err
	}
	return list[0].Status, list[0].Err
}

// List is all processes, sorted by name.
func (c *Client) List(ctx context.Context) ([]process.Status, error) {
	list, err := c.Show(ctx, nil, process.Brief)
	all := make([]process.Status, len(list))
	for i := range list {
		all[i] = list[i].Status
	}
	return all, err
}

// Tree gives the kernel processes of the runs under way of what is selected. See verbs.Viewer.
func (c *Client) Tree(ctx context.Context, of process.Selection) ([]process.Tree, error) {
	return rows(of, func(result any) error { return c.read(ctx, verbs.TreeAction(of), result) },
		func(name string, err error) process.Tree { return process.Tree{Name: name, Err: err} })
}

// Reclaim has the kernel take so many bytes of memory away from the runs under way of each
// process that is selected. See verbs.Actor.
func (c *Client) Reclaim(ctx context.Context, of process.Selection, bytes uint64) ([]process.Reclaimed, error) {
	return rows(of, func(result any) error { return c.change(ctx, verbs.ReclaimAction(of, bytes), result) },
		func(name string, err error) process.Reclaimed { return process.Reclaimed{Name: name, Err: err} })
}

func failedOutcome(name string, err error) process.Outcome {
	return process.Outcome{Name: name, Err: err}
}

// rows reads an answer that is an object for one plain name, and an array for others; failed
// is the row of one of which that is the answer.
func rows[T any](of process.Selection, call func(result any) error, failed func(name string, err error) T) (list []T, err error) {
	name, plain := of.Name()
	if !plain {
		return list, call(&list)
	}
	list = []T{failed(name, nil)}
	err = call(&list[0])
	if typed := new(process.Error); errors.As(err, &typed) {
		list[0], err = failed(name, err), nil
	}
	return list, err
}

// Why says why a process is as it is.
func (c *Client) Why(ctx context.Context, name string) (e process.Explanation, err error) {
	err = c.read(ctx, verbs.WhyAction(process.Selection{name}), &e)
	return e, err
}

// Runs gives the runs that have ended and that q asks for. See verbs.Historian.
func (c *Client) Runs(ctx context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	var all []process.RunRecord
	if err := c.read(ctx, verbs.RunsAction(q), &all); err != nil {
		return nil, err
	}
	return slices.Values(all), nil
}

// Ledger gives what became of the times of the schedule of each process that is selected, the
// oldest first, from a time on; zero: all that is kept. See verbs.Historian.
func (c *Client) Ledger(ctx context.Context, of process.Selection, since time.Time) (entries []process.LedgerRecord, err error) {
	err = c.read(ctx, verbs.LedgerAction(of, since), &entries)
	return entries, err
}

// Next gives the times to come of the schedules of what is selected, or of all, in their order;
// at most so many of each. See verbs.Viewer.
func (c *Client) Next(ctx context.Context, of process.Selection, most int) (times []process.Coming, err error) {
	err = c.read(ctx, verbs.NextAction(of, most), &times)
	return times, err
}

// SchedulePause lets the times of a schedule pass without a run until ScheduleResume. What
// runs is left alone.
func (c *Client) SchedulePause(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.SchedulePause{})
}

// ScheduleResume has a schedule that was paused go on with its next time.
func (c *Client) ScheduleResume(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.ScheduleResume{})
}

// SkipNext lets the next time of a schedule pass without a run: the SkipTime of the status.
// Called twice it is the same time.
func (c *Client) SkipNext(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.SkipNext{})
}

// Doctor examines the host that the daemon is on.
func (c *Client) Doctor(ctx context.Context) (r process.Report, err error) {
	err = c.read(ctx, verbs.NewAction("doctor"), &r)
	return r, err
}

// upgradeTime is how long an upgrade is waited for. It takes a few seconds at most.
const upgradeTime = time.Minute

// Upgrade brings in the program now on disk and waits until it answers, or with a
// number, says how that upgrade ended. The error of one that failed is
// process.ErrUpgrade: the old program goes on.
func (c *Client) Upgrade(ctx context.Context, number uint64) (u process.Upgrade, err error) {
	if number == 0 {
		if err := c.change(ctx, verbs.NewAction("upgrade"), &u); err != nil {
			return u, err
		}
		number = u.Number
	}
	ctx, cancel := context.WithTimeoutCause(ctx, upgradeTime,
		fmt.Errorf("upgrade %d has not ended in %v; upgrade with result %d tells how it ends", number, upgradeTime, number))
	defer cancel()
	for {
		err := c.read(ctx, verbs.NewAction("upgrade", "result", strconv.FormatUint(number, 10)), &u)
		switch {
		case errors.Is(err, process.ErrShuttingDown), errors.Is(err, ErrConnectionLost):
			// the old worker is on its way out
		case err != nil || u.Done:
			return u, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return u, context.Cause(ctx)
		}
	}
}
