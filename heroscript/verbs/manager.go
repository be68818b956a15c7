package verbs

import (
	"context"
	"io"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Manager is what the verbs act on: the supervisor in the daemon, a
// connection to one in a client.
//
// Errors are [process.Error] values where the caller can tell them apart.
type Manager interface {
	// Start registers a process and starts it, or, with a cron schedule,
	// lets it wait for its time. With an empty Command it starts the process
	// that has the name. It answers when the leader runs.
	Start(ctx context.Context, spec process.Spec) (process.Status, error)

	// Stop ends the whole tree and answers when nobody is left.
	Stop(ctx context.Context, name string) (process.Status, error)

	// Restart ends the tree and starts the next run; jobID, if any, is
	// recorded on that run instead of the spec's.
	Restart(ctx context.Context, name, jobID string) (process.Status, error)

	// Delete ends the tree and forgets the process, its history and logs.
	Delete(ctx context.Context, name string) error

	Status(ctx context.Context, name string) (process.Status, error)

	// List is every process, sorted by name, bytewise.
	List(ctx context.Context) ([]process.Status, error)

	// Log writes what q asks for of a process's output to w, byte for byte,
	// and returns the offset to go on From. With q.Follow it goes on until
	// ctx ends. A w with a method Offset(int64) is told the offset after each
	// piece; also, when there is nothing yet to follow, where it begins.
	Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (next int64, err error)

	// Upgrade brings in the program now on disk. With number 0 it begins one;
	// with the number of one that was begun it says how that ended. A failure
	// is process.ErrUpgrade, and the old program goes on.
	Upgrade(ctx context.Context, number uint64) (process.Upgrade, error)

	// Doctor examines the host that the daemon is on.
	Doctor(ctx context.Context) (process.Report, error)
}
