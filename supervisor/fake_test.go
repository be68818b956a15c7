package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"log"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/clock"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// world is a host whose trees do nothing. It is the keeper as well.
type world struct {
	s     *Supervisor
	dir   string
	wrong func(format string, args ...any)
	calm  bool // starts succeed, who is started stays, and hears SIGTERM
	busy  bool // who is started uses CPU time

	mu     sync.Mutex
	groups map[string]*fakeGroup
}

// fakeGroup is a group of a run, with one process in it or nobody.
type fakeGroup struct {
	w    *world
	name string

	mu      sync.Mutex
	alive   bool
	gone    bool
	used    time.Duration // of CPU time, that grows with each look while somebody is alive and busy
	changed func()
	memory  func() // its memory.events have changed
	ooms    uint64
	attrs   map[string][]byte

	limits cgroup.Limits
	refuse error // to be limited
}

// newWorld has a supervisor with the real store, clock and tails, and nothing to begin with.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), wrong: t.Errorf, groups: map[string]*fakeGroup{}}
	if err := os.Chmod(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{
		state: w.dir, runtime: w.dir, dir: w.dir, log: log.New(io.Discard, "", 0), note: log.New(io.Discard, "", 0), company: company, keeper: w,
		tails: &tails{limit: tailTotal}, closing: make(chan struct{}), applying: make(chan struct{}, 1),
		names: map[string]*managed{}, ordering: newOrdering(), failures: newFailures(), strays: map[string]*stray{},
	}
	w.s = s
	var err error
	if s.clock, err = clock.New(); err != nil {
		t.Fatal(err)
	}
	if s.wall, s.wallTells, err = clock.NewWall(func() {}); err != nil { // tests say themselves when the clock is set
		t.Fatal(err)
	}
	s.gate = newGate(s.clock)
	if s.mover, err = logs.NewMover(); err != nil {
		t.Fatal(err)
	}
	if s.store, _, err = store.Open(store.In(w.dir), s.log); err != nil {
		t.Fatal(err)
	}
	s.store.Begin()
	s.host = &run.Host{
		Group: func(name string) run.Group { return w.group(name) },
		Watch: func(g run.Group, changed func()) (func(), error) {
			f := g.(*fakeGroup)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.changed = changed
			return func() {}, nil
		},
		WatchMemory: func(g run.Group, changed func()) (func(), error) {
			f := g.(*fakeGroup)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.memory = changed
			return func() {}, nil
		},
		Memory:    noMemory{},
		WatchPids: func(run.Group, func()) (func(), error) { return func() {}, nil },
		Keeper:    w, Clock: s.clock, Procfs: "/proc", FIFOs: s.fifoDir(), Sockets: &run.Sockets{Dir: socketDir(w.dir)}, Log: s.log,
	}
	return w
}

func (w *world) group(name string) *fakeGroup {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.groups[name] == nil {
		w.groups[name] = &fakeGroup{w: w, name: name, attrs: map[string][]byte{}}
	}
	return w.groups[name]
}

// alive are the runs of a process of which somebody is left.
func (w *world) alive(name string) (list []*fakeGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		if id, _ := run.ParseName(g.name); id.Name == name && g.isAlive() {
			list = append(list, g)
		}
	}
	return list
}

func (w *world) Spawn(_ context.Context, id keeper.RunID, _ proc.Command, _ *os.File) (proc.ID, error) {
	if others := w.alive(id.Name); len(others) > 0 {
		w.wrong("%v is spawned beside %s", id, others[0].name)
	}
	if !w.calm && rand.IntN(10) == 0 {
		return proc.ID{}, unix.ENOMEM
	}
	g := w.group(run.Name(id))
	g.mu.Lock()
	g.alive = true
	g.mu.Unlock()
	if !w.calm && rand.IntN(5) == 0 {
		go g.end(proc.Exit{Code: rand.IntN(2)}) // by itself, perhaps before its birth is told
	}
	return proc.Identify("/proc", os.Getpid())
}

func (w *world) Kill(keeper.RunID) error { return nil }
func (w *world) Drop(keeper.RunID) error { return nil }

func (w *world) Keep(keeper.RunID, *os.File) error { return nil }

func (w *world) Help(context.Context, proc.Command) (proc.Exit, error) { return proc.Exit{}, nil }

func (g *fakeGroup) isAlive() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alive
}

// end has everybody in the group end; the two who tell of it do so in any order.
func (g *fakeGroup) end(exit proc.Exit) {
	g.mu.Lock()
	was, changed := g.alive, g.changed
	g.alive = false
	g.mu.Unlock()
	if !was {
		return
	}
	exit.Time = proc.BootTime()
	id, _ := run.ParseName(g.name)
	if rand.IntN(2) == 0 {
		changed()
		g.w.s.Exited(id, exit)
	} else {
		g.w.s.Exited(id, exit)
		changed()
	}
}

// endWith has everybody in the group end, the leader with a code.
func (g *fakeGroup) endWith(code int) { g.end(proc.Exit{Code: code}) }

func (g *fakeGroup) Make() error            { return nil }
func (g *fakeGroup) Dir() (*os.File, error) { return os.Open(os.DevNull) }
func (g *fakeGroup) Freeze() error          { return nil }
func (g *fakeGroup) Unfreeze() error        { return nil }
func (g *fakeGroup) Thaw() error            { return nil }

func (g *fakeGroup) Remove() error {
	if g.isAlive() {
		g.w.wrong("%s is removed with somebody in it", g.name)
	}
	g.mu.Lock()
	g.gone = true
	g.mu.Unlock()
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	delete(g.w.groups, g.name)
	return nil
}

func (g *fakeGroup) Pids() ([]int, error) {
	if g.isAlive() {
		return []int{os.Getpid()}, nil
	}
	return nil, nil
}

func (g *fakeGroup) Holds(int) (bool, error) { return false, nil }

func (g *fakeGroup) Events() (cgroup.Events, error) {
	return cgroup.Events{Populated: g.isAlive(), Frozen: true}, nil
}

func (g *fakeGroup) Devices() ([]cgroup.Device, error) { return nil, nil }

func (g *fakeGroup) Usage(cgroup.Figures) (cgroup.Usage, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return cgroup.Usage{}, unix.ENOENT
	}
	if g.alive && g.w.busy {
		g.used += time.Millisecond
	}
	return cgroup.Usage{CPU: 2 * g.used, CPUUser: g.used, CPUSystem: g.used}, nil
}

func (g *fakeGroup) MemoryEvents() (cgroup.MemoryEvents, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return cgroup.MemoryEvents{OOMKill: g.ooms}, nil
}

func (g *fakeGroup) Reclaim(uint64) error { return nil }

// starve has the kernel end processes of the group for lack of memory.
func (g *fakeGroup) starve(n uint64) {
	g.mu.Lock()
	g.ooms += n
	changed := g.memory
	g.mu.Unlock()
	changed()
}

// noMemory is that of a machine whose kernel's log cannot be read.
type noMemory struct{}

func (noMemory) Kills(run.Group, time.Duration, uint64) []run.Kill { return nil }
func (noMemory) Blame(run.Group, bool) (process.OOMLimit, uint64)  { return process.OOMMachine, 0 }

func (g *fakeGroup) Limit(l cgroup.Limits) error {
	if g.refuse == nil {
		g.limits = l
	}
	return g.refuse
}

func (g *fakeGroup) Signal(s unix.Signal) (int, error) {
	if s == unix.SIGTERM && (g.w.calm || rand.IntN(4) > 0) { // others do not hear it
		go g.end(proc.Exit{Signal: s})
	}
	return 1, nil
}

func (g *fakeGroup) Kill() error {
	go g.end(proc.Exit{Signal: unix.SIGKILL})
	return nil
}

func (g *fakeGroup) Attr(name string) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.attrs[name], nil
}

func (g *fakeGroup) Attrs() ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.attrs)), nil
}

func (g *fakeGroup) SetAttr(name string, value []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attrs[name] = slices.Clone(value)
	return nil
}

// events are all that were told.
func (w *world) events() (all []process.Event) {
	for {
		var since uint64
		if len(all) > 0 {
			since = all[len(all)-1].Seq
		}
		more, err := w.s.store.Events(since, 1000)
		if err != nil {
			w.wrong("%v", err)
		}
		if all = append(all, more...); len(more) == 0 {
			return all
		}
	}
}

// told makes sure that each run has begun and ended once, and each job id is that of one.
func told(all []process.Event) error {
	type key struct {
		name string
		life int // a name may be given again
		run  uint64
	}
	lives := map[string]int{}
	step := map[key]process.EventKind{}
	jobs := map[string]key{}
	for i, e := range all {
		if i > 0 && e.Seq != all[i-1].Seq+1 {
			return fmt.Errorf("%d comes after %d", e.Seq, all[i-1].Seq)
		}
		k := key{e.Name, lives[e.Name], e.Run}
		was := step[k]
		switch e.Kind {
		case process.EventDeleted:
			lives[e.Name]++
			continue
		case process.EventStarting:
			if was != "" {
				return fmt.Errorf("%v is starting, and was %s", k, was)
			}
			if other, is := jobs[e.JobID]; is && e.JobID != "" {
				return fmt.Errorf("%s is the job id of %v and %v", e.JobID, other, k)
			}
			jobs[e.JobID] = k
		case process.EventStarted:
			if was != process.EventStarting && was != process.EventStopping {
				return fmt.Errorf("%v has started, and was %q", k, was)
			}
		case process.EventStopping:
			if was != process.EventStarting && was != process.EventStarted {
				return fmt.Errorf("%v is stopping, and was %q", k, was)
			}
		case process.EventEnded:
			if was == "" || was == process.EventEnded {
				return fmt.Errorf("%v has ended, and was %q", k, was)
			}
		default:
			continue
		}
		step[k] = e.Kind
	}
	for k, last := range step {
		if last != process.EventEnded {
			return fmt.Errorf("of %v the last was %s", k, last)
		}
	}
	return nil
}

func keptOf(spec process.Spec) store.Process {
	return store.Process{Definition: store.Definition{ID: "id", Spec: spec}}
}

// spoil has the store take nothing more, as on a full disk, until it is mended.
func (w *world) spoil(t *testing.T) {
	t.Helper()
	path := store.In(w.dir)
	if err := errors.Join(os.WriteFile(path+".other", nil, 0o600), os.Link(path, path+".away"), os.Rename(path+".other", path)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) mend(t *testing.T) {
	t.Helper()
	path := store.In(w.dir)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
}

// stored are the names of what is in the store.
func (w *world) stored(t *testing.T) (names []string) {
	t.Helper()
	for _, p := range w.reopened(t).Processes {
		names = append(names, p.Spec.Name)
	}
	return names
}

// reopened is what is in the store when it is opened again.
func (w *world) reopened(t *testing.T) store.Contents {
	t.Helper()
	if err := w.s.store.Close(); err != nil {
		t.Fatal(err)
	}
	again, contents, err := store.Open(store.In(w.dir), w.s.log)
	if err != nil {
		t.Fatal(err)
	}
	w.s.store = again
	w.s.store.Begin()
	return contents
}
