package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/clock"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/probe"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Config is where a supervisor works and what it works with.
type Config struct {
	State   string       // directory of the store and the logs
	Runtime string       // directory of the FIFOs
	Groups  cgroup.Group // the group that holds those of the runs
	Keeper  run.Keeper
	Held    []keeper.Held         // runs that the keeper knows of from a former worker
	Ending  bool                  // Close follows at once, to finish a shutdown
	Proc    string                // "/proc"
	Etc     string                // "/etc": users and groups
	Folder  string                // of definitions that are loaded at a start; empty: none
	Dir     string                // working directory of processes that are registered now
	Environ []string              // of the daemon; runs get a part of it
	Limits  process.Limits        // of all runs together
	Doctor  func() process.Report // examines the host
	Lack    Lack
	Upgrade func(ctx context.Context, number uint64) (process.Upgrade, error)
	Log     *log.Logger // what is wrong
	Note    *log.Logger // what is not; nil: Log takes that too

	// StandsFor is the process with which the daemon ends, when that has ended for good: End
	// is called with its exit code then, and at the latest when it ends with the daemon. End
	// must not wait. Empty: there is none.
	StandsFor string
	End       func(code int)

	// Reached, if it is not nil, is called at each Point, by the goroutine that came there.
	Reached func(Point)
}

// Supervisor manages processes. Its methods may be called at any time from any
// goroutine; they are the [verbs.Manager] of the daemon.
type Supervisor struct {
	state   string
	runtime string
	groups  cgroup.Group
	keeper  run.Keeper
	proc    string
	dir     string
	environ []string
	limits  process.Limits // of all runs together
	doctor  func() process.Report
	lack    Lack
	upgrade func(context.Context, uint64) (process.Upgrade, error)
	log     *log.Logger
	note    *log.Logger
	company time.Duration // see company
	reached func(Point)

	standsFor string
	endWith   func(code int)

	store *store.Store
	watch *cgroup.Watch
	clock *clock.Clock
	wall  *clock.Clock // the time of day, for schedules
	tails *tails
	mover *logs.Mover
	host  *run.Host
	gate  *gate
	kills *memory // for lack of memory

	wallTells bool   // when the time of day is set
	machine   string // what tells this host from others

	definitions string        // the folder
	applying    chan struct{} // holds one while definitions are applied

	origin  store.Origin  // of the runs that are started now
	closing chan struct{} // closed when the daemon ends
	landed  atomic.Int64  // when something last came back from a disk, by the clock
	loops   sync.WaitGroup
	pulse   pulse

	ordering *ordering
	failures *failures

	mu    sync.Mutex
	names map[string]*managed

	strays    map[string]*stray // by the name of the group
	condemned []string          // processes that a former worker was about to forget
	toStart   []*managed        // processes that come up with the daemon, in their order
	former    store.Daemon      // whose start the store knows
	ending    bool              // Close follows at once
}

var errShuttingDown = &process.Error{Code: process.CodeShuttingDown, Message: "the daemon is shutting down"}

// Open loads what is in the state directory, goes on with what a former worker left
// running, and resumes the schedules.
func Open(c Config) (*Supervisor, error) {
	s := &Supervisor{
		state: c.State, runtime: c.Runtime, groups: c.Groups, keeper: c.Keeper, proc: c.Proc,
		dir: c.Dir, environ: c.Environ, limits: c.Limits, doctor: c.Doctor, lack: c.Lack, upgrade: c.Upgrade, log: c.Log, note: cmp.Or(c.Note, c.Log), company: company, reached: c.Reached,
		standsFor: c.StandsFor, endWith: c.End,
		definitions: c.Folder, applying: make(chan struct{}, 1),
		tails:    &tails{limit: tailTotal},
		ending:   c.Ending,
		closing:  make(chan struct{}),
		names:    map[string]*managed{},
		ordering: newOrdering(),
		failures: newFailures(),
		strays:   map[string]*stray{},
	}
	if err := s.checkDirs(); err != nil {
		return nil, err
	}
	if store.IsNew(store.In(c.State)) {
		if err := s.beginAnew(c.Ending); err != nil {
			return nil, err
		}
	}
	var err error
	if s.origin, err = originOf(s.proc); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.closeParts()
		}
	}()
	if _, err = makeRuns(s.groups); err != nil {
		return nil, err
	}
	if s.watch, err = cgroup.NewWatch(); err != nil {
		return nil, err
	}
	if s.clock, err = clock.New(); err != nil {
		return nil, err
	}
	if s.wall, s.wallTells, err = clock.NewWall(s.clockSet); err != nil {
		return nil, err
	}
	s.machine = machineName(c.Etc)
	s.gate = newGate(s.clock)
	if s.mover, err = logs.NewMover(); err != nil {
		return nil, err
	}
	s.mover.Keep = proc.Cacheable
	s.kills = newMemory(s.groups, c.Proc, s.log)
	s.host = &run.Host{
		Group: func(name string) run.Group { return s.groups.Child(name) },
		Watch: func(g run.Group, changed func()) (unwatch func(), err error) {
			return s.watch.Add(g.(cgroup.Group), changed)
		},
		WatchMemory: func(g run.Group, changed func()) (unwatch func(), err error) {
			return s.watch.AddMemory(g.(cgroup.Group), changed)
		},
		WatchPids: func(g run.Group, changed func()) (unwatch func(), err error) {
			return s.watch.AddPids(g.(cgroup.Group), changed)
		},
		Keeper: c.Keeper, Clock: s.clock, Memory: s.kills, Procfs: c.Proc, Etc: c.Etc, FIFOs: s.fifoDir(), Sockets: &run.Sockets{Dir: socketDir(c.Runtime)}, Environ: c.Environ, Log: c.Log, Reached: c.Reached,
		Admit: s.admit, CanLimit: s.canLimit, Ask: probe.NewTurns().Ask,
	}
	var contents store.Contents
	if s.store, contents, err = store.Open(store.In(c.State), s.log); err != nil {
		return nil, err
	}
	if err = s.takeOver(contents, c.Held, c.Ending); err != nil {
		return nil, err
	}
	return s, nil
}

// machineName is what tells this host from others: /etc/machine-id or, where there is none
// (in many containers), the host's name.
func machineName(etc string) string {
	if id, err := os.ReadFile(etc + "/machine-id"); err == nil && len(bytes.TrimSpace(id)) > 0 {
		return string(bytes.TrimSpace(id))
	}
	name, _ := os.Hostname()
	return name
}

// checkDirs makes sure that the directories below the state and the runtime directory
// are ours, where they are there: files in them are removed by their names. That of the
// logs may be a link of ours to another disk.
func (s *Supervisor) checkDirs() error {
	for _, err := range []error{private.CheckBelow(s.fifoDir()), private.CheckBelow(socketDir(s.runtime)), private.CheckDir(logsDir(s.state))} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeRuns makes the group that holds those of the runs, if somebody has removed it, with
// all controllers that there are, and says whether it did.
func makeRuns(g cgroup.Group) (made bool, err error) {
	if err := g.Make(); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	controllers, err := g.Controllers()
	if err != nil {
		return true, err
	}
	return true, g.Enable(controllers...)
}

// beginAnew is for a store that is not there. A store that was lost must not cost the
// trees of its processes, which are nobody's without it, unless the daemon is about to
// end; and the logs that it knew of are not those of processes to come.
func (s *Supervisor) beginAnew(ending bool) error {
	alive, err := populated(s.groups)
	if err != nil {
		return err
	}
	if len(alive) > 0 && !ending {
		return &store.Error{Path: store.In(s.state), Err: fmt.Errorf("it is gone or empty, and %d of its processes run: put it back, or they must end", len(alive))}
	}
	if names, _ := os.ReadDir(logsDir(s.state)); len(names) == 0 {
		return nil
	}
	moved, err := store.MoveAside(logsDir(s.state))
	if err == nil {
		s.log.Printf("there is no store: the logs of processes that it may have known were moved to %s", moved)
	}
	return err
}

// closeParts closes what Open has opened.
func (s *Supervisor) closeParts() (err error) {
	if s.store != nil {
		err = s.store.Close()
	}
	if s.mover != nil {
		s.mover.Close()
	}
	if s.host != nil && s.host.Sockets != nil {
		s.host.Sockets.Close()
	}
	for _, c := range []*clock.Clock{s.clock, s.wall} {
		if c != nil {
			c.Close()
		}
	}
	s.kills.close()
	if s.watch != nil {
		err = errors.Join(err, s.watch.Close())
	}
	return err
}

// admit says why no run can begin now whose group has this name.
func (s *Supervisor) admit(group string) error {
	if !proc.Roomy() {
		s.mover.Release()
	}
	if !proc.Roomy() {
		return &proc.NoRoomError{Runs: s.underWay(), Limit: proc.FileLimit()}
	}
	if err := s.awaitStray(group); err != nil {
		return err
	}
	made, err := makeRuns(s.groups)
	if made && err == nil {
		s.limitAll()
	}
	return err
}

// all are all processes, by name.
func (s *Supervisor) all() []*managed {
	s.mu.Lock()
	list := slices.Collect(maps.Values(s.names))
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *managed) int { return strings.Compare(a.name, b.name) })
	return list
}

// underWay is how many runs there are.
func (s *Supervisor) underWay() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.names {
		if p.view.Load().run.Number != 0 {
			n++
		}
	}
	return n
}

// Exited is called when the keeper has reaped the leader of a run.
func (s *Supervisor) Exited(id keeper.RunID, exit proc.Exit) {
	s.mu.Lock()
	p := s.names[id.Name]
	s.mu.Unlock()
	if p != nil {
		p.Tell(run.Exited(id.Run, &exit))
	}
}

// register gives the name to a new process, or gives the one that has it.
func (s *Supervisor) register(spec process.Spec, times *schedule.Schedule, source string) (p *managed, is bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing() {
		return nil, false, errShuttingDown
	}
	if p := s.names[spec.Name]; p != nil {
		return p, false, nil
	}
	if err := s.ordering.put(spec.Name, spec.Ordering); err != nil {
		return nil, false, err
	}
	out, err := s.openOutput(&spec)
	if err != nil {
		s.ordering.forget(spec.Name)
		return nil, false, err
	}
	kept := store.Process{Definition: store.Definition{ID: strings.ToLower(rand.Text()), Spec: spec, Job: spec.JobID, Dir: s.dir, Source: source}}
	p = s.newManaged(kept, times, out)
	s.names[spec.Name] = p
	p.inbox.put(func() {
		p.tell(process.Event{Kind: process.EventDefined})
		s.tellDependents(p.name)
	})
	p.serve()
	return p, true, nil
}

// forget gives the name of p free.
func (s *Supervisor) forget(p *managed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[p.name] == p {
		delete(s.names, p.name)
		s.ordering.forget(p.name)
	}
}

func (s *Supervisor) lookup(name string) (*managed, error) {
	s.mu.Lock()
	p := s.names[name]
	s.mu.Unlock()
	if p == nil {
		return nil, s.gone(name)
	}
	return p, nil
}

// gone is the error for a name that nobody has.
func (s *Supervisor) gone(name string) error {
	if s.isClosing() {
		return errShuttingDown
	}
	return process.NotFound(name)
}

// Names are those of all processes, sorted.
func (s *Supervisor) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.names))
}

// Log writes what q asks for of a process's output to w, and returns the offset to
// go on from. See [verbs.Manager].
func (s *Supervisor) Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (next int64, err error) {
	p, err := s.lookup(name)
	if err != nil {
		return 0, err
	}
	next, err = p.view.Load().output.read(ctx, q, w)
	if errors.Is(err, logs.ErrRemoved) {
		return next, process.Errorf(process.CodeNotFound, "process '%s' was deleted", name)
	}
	if err != nil && ctx.Err() == nil {
		if code := new(process.Error); !errors.As(err, &code) {
			err = process.Errorf(process.CodeInternal, "the log of '%s' cannot be read: %v", name, err)
		}
	}
	return next, err
}

// Upgrade brings in the program now on disk, or says how that went.
func (s *Supervisor) Upgrade(ctx context.Context, number uint64) (process.Upgrade, error) {
	if number == 0 && !s.storeAnswers() { // the next worker could not open it
		return process.Upgrade{}, process.Errorf(process.CodeUpgrade, "nothing was changed: the store %s does not answer for %v", s.store.Path(), storeLimit)
	}
	return s.upgrade(ctx, number)
}

// storeAnswers reports whether the disk takes a write within storeLimit.
func (s *Supervisor) storeAnswers() bool {
	done := make(chan error, 1)
	s.store.Write(store.Change{Done: func(err error) { done <- err }})
	select {
	case <-done:
		return true
	case <-time.After(storeLimit):
		return false
	}
}

// Doctor examines the host, and says which definitions cannot be carried out.
func (s *Supervisor) Doctor(ctx context.Context) (process.Report, error) {
	report := s.doctor()
	report.Findings = append(report.Findings, s.examineDefinitions()...)
	for _, name := range s.Names() {
		p, err := s.lookup(name)
		if err != nil {
			continue // it was deleted
		}
		if invalid := p.view.Load().invalid; invalid != nil {
			report.Findings = append(report.Findings, process.Finding{
				Subject: "definition", Level: process.LevelProblem,
				Found: invalid.Error(),
				Mend:  fmt.Sprintf("pmclient start %s when that is mended, or pmclient delete %s", name, name),
			})
		}
	}
	return report, nil
}

// ErrHangs is a disk that did not answer in time. Until it does this process cannot end.
var ErrHangs = errors.New("does not answer")

// Close ends every tree, in parallel, with its stop signal and grace period, and
// removes every group. It returns when that is done; what cannot be ended is in
// the error. Requests are refused from now on; those under way are answered.
//
// Errors: ErrHangs.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	close(s.closing)
	all := slices.Collect(maps.Values(s.names))
	s.mu.Unlock()
	s.failures.stop()
	s.endAll(all)
	s.loops.Wait()
	s.host.AwaitProbes() // their groups are below the one that is removed
	closed := make(chan error, 1)
	go func() { closed <- s.closeParts() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(storeLimit):
		return fmt.Errorf("the disk of %s %w: how the last runs ended may not be on it", s.state, ErrHangs)
	}
}

func (s *Supervisor) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Supervisor) fifoDir() string { return fifoDir(s.runtime) }

func fifoDir(runtimeDir string) string { return runtimeDir + "/fifo" }

// socketDir is short: with a number behind it, the path of a socket must fit into 107 bytes.
func socketDir(runtimeDir string) string { return runtimeDir + "/n" }

func (s *Supervisor) logDir(name string) string { return logsDir(s.state) + "/" + name }

func logsDir(stateDir string) string { return stateDir + "/logs" }
