package verbs

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Manager is what the verbs act on: the supervisor in the daemon, a connection to one in
// a client. Errors are [process.Error] values where the caller can tell them apart.
type Manager interface {
	Actor
	Definer
	Viewer
	Historian
	Host
}

// Actor changes what runs.
type Actor interface {
	// StartSpec defines a process and starts it, or, with a schedule, lets it wait for its
	// time. It answers when the leader runs. Where there is a process of that name with
	// the same definition that one is started; with another definition it is an error,
	// unless how.Replace is true: then the whole new definition takes the place of the old
	// one, and what runs is restarted. With how.Wait it answers later.
	StartSpec(ctx context.Context, spec process.Spec, how process.How) (process.Status, error)

	// Do carries out an operation on each process that is selected, side by side, and
	// answers when all are done. The error is of the selection; what could not be done
	// stands in the outcomes, which are in the order of the selection.
	Do(ctx context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error)

	// Reclaim has the kernel take so many bytes of memory away from the runs under way of
	// each process that is selected, side by side. The error is of the selection; what could
	// not be done stands in a row.
	Reclaim(ctx context.Context, of process.Selection, bytes uint64) ([]process.Reclaimed, error)

	// Execute runs a command in the foreground of its caller: its output and how it ends go
	// to w as they come. Where ctx ends, or w fails, the tree is ended.
	Execute(ctx context.Context, e process.Exec, w process.Watcher) error
}

// Definer keeps definitions.
type Definer interface {
	// Define defines a process and starts nothing. Where there is a process of that name
	// with the same definition it does nothing; with another definition it is an error.
	Define(ctx context.Context, spec process.Spec) (process.Status, error)

	// Apply makes definitions hold, as a difference to what there is: what is as it is to
	// be is not touched. It answers when what it starts is spawned. The error is of the
	// definitions, and says where in which file; then nothing was changed. What could not
	// be done about one process stands in its row. Rows are in the order of names.
	Apply(ctx context.Context, a process.Application) ([]process.Applied, error)

	// Export gives the definitions of what is selected, or all, by name. The error is of
	// the selection.
	Export(ctx context.Context, of process.Selection) ([]process.Exported, error)
}

// Viewer tells how things stand.
type Viewer interface {
	// Show gives the processes that are selected, or all, by name, with as much detail of what
	// they use. The error is of the selection.
	Show(ctx context.Context, of process.Selection, d process.Detail) ([]process.Outcome, error)

	// Figures tells what all processes use, by name. With follow it goes on, once a second,
	// with those of which something has changed, or nothing, until ctx ends; the uptime alone
	// is no change. An error of tell ends it.
	Figures(ctx context.Context, follow bool, tell func([]process.Figures) error) error

	// Tree gives the kernel processes of the runs under way of what is selected, by name.
	// The error is of the selection; what could not be told stands in a row.
	Tree(ctx context.Context, of process.Selection) ([]process.Tree, error)

	// Await waits for each process that is selected, side by side, and answers when all
	// have come so far; it starts nothing. The error is of the selection, or that ctx has
	// ended; what did not come of one process stands in its row. Rows are in the order of
	// the selection.
	Await(ctx context.Context, of process.Selection, w process.WaitFor) ([]process.Waited, error)

	// Next gives the times to come of the schedules of what is selected, or of all, in
	// their order; at most so many of each, and [process.MaxComingOfAll]. The error is of the
	// selection; what could not be told of one process stands behind all times.
	Next(ctx context.Context, of process.Selection, most int) ([]process.Coming, error)
}

// Historian tells what has been.
type Historian interface {
	// Log writes what q asks for of a process's output to w, byte for byte, and returns
	// the offset to go on From. With q.Follow it goes on until ctx ends. A w with a
	// method Offset(int64) is told the offset after each piece; also, when there is
	// nothing yet to follow, where it begins.
	Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (next int64, err error)

	// Runs gives the runs that have ended and that q asks for: of each process that is
	// selected, the oldest first, or of all in the order in which they ended. The error is
	// of the selection; what could not be told stands in a record.
	Runs(ctx context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error)

	// Ledger gives what became of the times of the schedule of each process that is
	// selected, the oldest first, from a time on; zero: all that is kept. The error is of
	// the selection; what could not be told of one process stands in its record.
	Ledger(ctx context.Context, of process.Selection, since time.Time) ([]process.LedgerRecord, error)

	// Events tells what q asks for, in order, and how many of them are not kept any more.
	// With q.Follow it goes on until ctx ends. An error of tell ends it. A number that no
	// event has had is an error with code invalid.
	Events(ctx context.Context, q process.EventQuery, tell func(process.Event) error) error
}

// Host is about the daemon and the machine that it is on.
type Host interface {
	// Upgrade brings in the program now on disk. With number 0 it begins one; with the
	// number of one that was begun it says how that ended. A failure is
	// process.ErrUpgrade, and the old program goes on.
	Upgrade(ctx context.Context, number uint64) (process.Upgrade, error)

	// Doctor examines the host that the daemon is on.
	Doctor(ctx context.Context) (process.Report, error)
}
