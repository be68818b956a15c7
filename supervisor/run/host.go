package run

import (
	"context"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Host is what all runs of a daemon share.
type Host struct {
	Group func(name string) Group // that of a run, whether it is there or not
	Watch func(g Group, changed func()) (unwatch func(), err error)
	// WatchMemory calls changed when memory.events may read differently.
	WatchMemory func(g Group, changed func()) (unwatch func(), err error)
	// WatchPids is the same of pids.events.
	WatchPids func(g Group, changed func()) (unwatch func(), err error)

	Keeper  Keeper
	Clock   Clock
	Memory  Memory
	Procfs  string   // "/proc"
	Etc     string   // "/etc": its passwd and group
	FIFOs   string   // directory
	Sockets *Sockets // at which runs say how they are; nil: there are none
	Environ []string // of the daemon; runs get a part of it
	Log     *log.Logger
	Admit   func(name string) error // says why no run can have a group of this name now; nil: it always can
	Reached func(Point)             // nil: nobody wants to know

	CanLimit func(process.Limits) error // says why no run can be limited so here; nil: each can

	// Ask asks a probe once, see [probe.Turns].
	Ask func(ctx context.Context, p process.Probe, limit time.Duration, exec func(context.Context, string) error) error

	probes sync.WaitGroup // under way
}

// Group is a cgroup. [cgroup.Group] is one.
type Group interface {
	Make() error
	Remove() error
	Dir() (*os.File, error)
	Pids() ([]int, error)
	Holds(pid int) (bool, error)
	Events() (cgroup.Events, error)
	Usage(want cgroup.Figures) (cgroup.Usage, error)
	Devices() ([]cgroup.Device, error)
	MemoryEvents() (cgroup.MemoryEvents, error)
	Reclaim(bytes uint64) error
	Freeze() error
	Unfreeze() error
	Thaw() error
	Signal(unix.Signal) (sent int, err error)
	Kill() error
	Limit(cgroup.Limits) error
	Attr(name string) ([]byte, error)
	Attrs() (names []string, err error)
	SetAttr(name string, value []byte) error
}

// Keeper clones leaders and reaps them. [keeper.Link] is one.
type Keeper interface {
	// Spawn starts the leader of a run, once. The keeper holds notify, if it is not nil.
	Spawn(ctx context.Context, id keeper.RunID, c proc.Command, notify *os.File) (proc.ID, error)
	// Keep has another notify socket held for a run.
	Keep(id keeper.RunID, notify *os.File) error
	// Help starts what is no run, and waits for its end.
	Help(ctx context.Context, c proc.Command) (proc.Exit, error)
	// Kill sends SIGKILL to the leader.
	Kill(id keeper.RunID) error
	// Drop says that the run's result is on disk.
	Drop(id keeper.RunID) error
}

// Clock tells when a time has come; it is that of proc.BootTime. [clock.Clock] is one.
type Clock interface {
	Now() time.Duration
	At(at time.Duration, call func()) (stop func())
}

// Output is where what a process writes is kept.
type Output interface {
	// Begin is called before anything of a run is moved.
	Begin(run uint64)
	// Move begins to move what a run writes from its FIFO, which it closes.
	Move(run uint64, fifo *os.File) (Pump, error)
	// LastLine is the last line that a run wrote, cut if it is long.
	LastLine(run uint64) string
	// Await returns when the run has written a line that matches, from its beginning on; the
	// error says why that cannot be told. The context ends it.
	Await(ctx context.Context, run uint64, line *regexp.Regexp) error
}

// Pump moves what a run writes.
type Pump interface {
	// Finish moves what is left of a run of which nobody is left, and closes the FIFO.
	Finish()
}

// Owner is the process that a run is of. Its methods are called by its own goroutine, but
// for Tell.
type Owner interface {
	// Tell has Handle called with e by the owner's goroutine. It never waits.
	Tell(e Event)
	// Aside does work beside the owner's goroutine, and has Handle called with what that
	// gives.
	Aside(work func() Event)
}

// Point names a moment between two steps that outlast the worker: what came before
// it is done, what comes after it is not.
type Point string

// The points of a run, in the order in which it comes by.
const (
	PointMade      Point = "made"      // its group is there
	PointMarked    Point = "marked"    // and says whose run it is
	PointPiped     Point = "piped"     // its FIFO is there
	PointSpawned   Point = "spawned"   // its leader runs
	PointRecorded  Point = "recorded"  // and stands on the group
	PointHeard     Point = "heard"     // it has said something of itself
	PointReady     Point = "ready"     // that it is ready stands on the group
	PointPausing   Point = "pausing"   // that it is to stand still stands on the group
	PointPaused    Point = "paused"    // and it does
	PointResuming  Point = "resuming"  // that it is to go on stands there
	PointNoted     Point = "noted"     // why it is being ended stands on the group
	PointFrozen    Point = "frozen"    // the tree stands still
	PointSignalled Point = "signalled" // every process of it has the stop signal
	PointThawed    Point = "thawed"    // it runs again
	PointAsked     Point = "asked"     // that it was asked stands on the group
	PointKilled    Point = "killed"    // SIGKILL is sent to what was left
	PointExited    Point = "exited"    // the leader's exit is known
	PointDrained   Point = "drained"   // nobody is left, the output is moved
	PointRemoved   Point = "removed"   // the FIFO and the group are gone
	PointDropped   Point = "dropped"   // the keeper was told to forget the run
)

func (h *Host) at(p Point) {
	if h.Reached != nil {
		h.Reached(p)
	}
}

func (h *Host) fifo(id keeper.RunID) string { return h.FIFOs + "/" + Name(id) }

// Name is the directory of a run's group, and the name of its FIFO.
func Name(id keeper.RunID) string { return id.Name + "." + strconv.FormatUint(id.Run, 10) }

// ParseName undoes Name: the last dot separates.
func ParseName(name string) (id keeper.RunID, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return id, false
	}
	n, err := strconv.ParseUint(name[dot+1:], 10, 64)
	return keeper.RunID{Name: name[:dot], Run: n}, err == nil
}
