package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// Keeper is what the supervisor needs of the keeper: it clones and it reaps.
// *keeper.Link is one.
type Keeper interface {
	// Spawn starts the leader of a run, once.
	Spawn(ctx context.Context, id keeper.RunID, c proc.Command) (proc.ID, error)
	// Kill sends SIGKILL to the leader.
	Kill(id keeper.RunID) error
	// Drop says that the run's result is on disk.
	Drop(id keeper.RunID) error
}

// Config is where a supervisor works and what it works with.
type Config struct {
	State   string       // directory of the store and the logs
	Runtime string       // directory of the FIFOs
	Groups  cgroup.Group // the group that holds those of the runs
	Keeper  Keeper
	Held    []keeper.Held         // runs that the keeper knows of from a former worker
	Ending  bool                  // Close follows at once, to finish a shutdown
	Proc    string                // "/proc"
	Dir     string                // working directory of processes that are registered now
	Environ []string              // of the daemon; runs get a part of it
	Doctor  func() process.Report // examines the host
	Upgrade func(ctx context.Context, number uint64) (process.Upgrade, error)
	Log     *log.Logger

	// Reached, if it is not nil, is called at each Point, by the goroutine that came there.
	Reached func(Point)
}

// Supervisor manages processes. Its methods may be called at any time from any
// goroutine; they are the [verbs.Manager] of the daemon.
type Supervisor struct {
	state   string
	runtime string
	groups  cgroup.Group
	keeper  Keeper
	proc    string
	dir     string
	environ []string
	doctor  func() process.Report
	upgrade func(context.Context, uint64) (process.Upgrade, error)
	log     *log.Logger
	reached func(Point)

	store  *store
	watch  *cgroup.Watch
	timers *timers
	tails  *tails
	mover  *logs.Mover

	origin  origin          // of the runs that are started now
	life    context.Context // of everything that must not end with a request
	closing chan struct{}   // closed when the daemon ends
	loops   sync.WaitGroup

	mu    sync.Mutex
	names map[string]*managed

	strays map[string]*stray // by the name of the group
}

var errShuttingDown = &process.Error{Code: process.CodeShuttingDown, Message: "the daemon is shutting down"}

// Open loads what is in the state directory, goes on with what a former worker left
// running, and resumes the schedules.
func Open(c Config) (*Supervisor, error) {
	s := &Supervisor{
		state: c.State, runtime: c.Runtime, groups: c.Groups, keeper: c.Keeper, proc: c.Proc,
		dir: c.Dir, environ: c.Environ, doctor: c.Doctor, upgrade: c.Upgrade, log: c.Log, reached: c.Reached,
		tails:   &tails{limit: tailTotal},
		life:    context.Background(),
		closing: make(chan struct{}),
		names:   map[string]*managed{},
		strays:  map[string]*stray{},
	}
	if fileIsNew(StorePath(c.State)) {
		if err := s.beginAnew(c.Ending); err != nil {
			return nil, err
		}
	}
	if err := s.checkDirs(); err != nil {
		return nil, err
	}
	var err error
	if s.origin.Boot, err = proc.BootID(s.proc); err != nil {
		return nil, err
	}
	if s.origin.Keeper, err = proc.Identify(s.proc, os.Getppid()); err != nil {
		return nil, err
	}
	if err = makeRuns(s.groups); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.closeParts()
		}
	}()
	if s.watch, err = cgroup.NewWatch(); err != nil {
		return nil, err
	}
	if s.timers, err = newTimers(); err != nil {
		return nil, err
	}
	if s.mover, err = logs.NewMover(); err != nil {
		return nil, err
	}
	s.mover.Keep = proc.Cacheable
	var records []record
	if s.store, records, err = openStore(StorePath(c.State), s.log); err != nil {
		return nil, err
	}
	if err = s.takeOver(records, c.Held); err != nil {
		return nil, err
	}
	return s, nil
}

// checkDirs makes sure that the directories below the state and the runtime directory
// are ours, where they are there: files in them are removed by their names. That of the
// logs may be a link of ours to another disk.
func (s *Supervisor) checkDirs() error {
	for _, err := range []error{private.CheckBelow(s.fifoDir()), private.CheckDir(logsDir(s.state))} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeRuns makes the group that holds those of the runs, if somebody has removed it, with
// all controllers that there are.
func makeRuns(g cgroup.Group) error {
	if err := g.Make(); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	controllers, err := g.Controllers()
	if err != nil {
		return err
	}
	return g.Enable(controllers...)
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
		return &StoreError{StorePath(s.state), fmt.Errorf("it is gone or empty, and %d of its processes run: put it back, or they must end", len(alive))}
	}
	if names, _ := os.ReadDir(logsDir(s.state)); len(names) == 0 {
		return nil
	}
	moved, err := moveAside(logsDir(s.state))
	if err == nil {
		s.log.Printf("there is no store: the logs of processes that it may have known were moved to %s", moved)
	}
	return err
}

// closeParts closes what Open has opened.
func (s *Supervisor) closeParts() (err error) {
	if s.store != nil {
		err = s.store.close()
	}
	if s.mover != nil {
		s.mover.Close()
	}
	if s.timers != nil {
		s.timers.close()
	}
	if s.watch != nil {
		err = errors.Join(err, s.watch.Close())
	}
	return err
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
	if p == nil {
		return
	}
	select {
	case p.exits <- leaderExit{id.Run, &exit}:
	case <-p.done:
	}
}

// Start registers a process and starts it or, with a schedule, lets it wait for
// its time; with an empty command it starts the process that has the name.
func (s *Supervisor) Start(ctx context.Context, spec process.Spec) (process.Status, error) {
	if spec.Command == "" {
		return s.request(ctx, spec.Name, evStart, goalStarted, spec.JobID)
	}
	times, err := judge(&spec)
	if err != nil {
		return process.Status{}, err
	}
	if spec.Dir == "" {
		spec.Dir = s.dir
	}
	jobID := spec.JobID
	if times != nil {
		jobID = "" // it is that of each run
	} else {
		spec.JobID = "" // it is that of the first alone
	}
	p, err := s.register(spec, times)
	if err != nil {
		return process.Status{}, err
	}
	return p.ask(ctx, evStart, goalStarted, jobID)
}

// judge reports why a definition cannot be carried out here, and reads its schedule.
func judge(spec *process.Spec) (times *schedule.Schedule, err error) {
	if err := spec.Validate(); err != nil || spec.Cron == "" {
		return nil, err
	}
	return schedule.Parse(spec.Cron, time.Now())
}

// register gives the name to a new process.
func (s *Supervisor) register(spec process.Spec, times *schedule.Schedule) (*managed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing() {
		return nil, errShuttingDown
	}
	if s.names[spec.Name] != nil {
		return nil, process.Errorf(process.CodeExists, "there is a process '%s' already: give its name alone to start it again, or delete it first", spec.Name)
	}
	out, err := s.openOutput(&spec)
	if err != nil {
		return nil, err
	}
	p := s.newManaged(record{Spec: spec}, times, out)
	s.names[spec.Name] = p
	s.loops.Go(p.loop)
	return p, nil
}

// forget gives the name of p free.
func (s *Supervisor) forget(p *managed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[p.rec.Spec.Name] == p {
		delete(s.names, p.rec.Spec.Name)
	}
}

// Stop ends the tree and answers when nobody is left.
func (s *Supervisor) Stop(ctx context.Context, name string) (process.Status, error) {
	return s.request(ctx, name, evStop, goalStopped, "")
}

// Restart ends the tree and starts the next run.
func (s *Supervisor) Restart(ctx context.Context, name, jobID string) (process.Status, error) {
	return s.request(ctx, name, evRestart, goalStarted, jobID)
}

// Delete ends the tree and forgets the process, its history and its logs.
func (s *Supervisor) Delete(ctx context.Context, name string) error {
	p, err := s.lookup(name)
	if err != nil {
		return err
	}
	_, err = p.ask(ctx, evDelete, goalRemoved, "")
	return err
}

func (s *Supervisor) request(ctx context.Context, name string, e event, g goal, jobID string) (process.Status, error) {
	p, err := s.lookup(name)
	if err != nil {
		return process.Status{}, err
	}
	return p.ask(ctx, e, g, jobID)
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
	return process.Errorf(process.CodeNotFound, "no process '%s'", name)
}

// Status is what is known of one process.
func (s *Supervisor) Status(ctx context.Context, name string) (process.Status, error) {
	p, err := s.lookup(name)
	if err != nil {
		return process.Status{}, err
	}
	return s.statusOf(p), nil
}

// List is all processes, sorted by name.
func (s *Supervisor) List(ctx context.Context) ([]process.Status, error) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.names))
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *managed) int { return strings.Compare(a.name(), b.name()) })
	// To read a group's CPU time the kernel looks for it among all sisters that have
	// run since theirs was read. One look at the parent brings all up to date first.
	s.groups.CPU()
	// Most of it is waiting for the kernel to add up, so all cores take part.
	list := make([]process.Status, len(all))
	var next atomic.Int64
	var readers sync.WaitGroup
	var fault atomic.Pointer[border.Panic]
	for range min(runtime.GOMAXPROCS(0), len(all)) {
		readers.Go(func() {
			defer border.Catch(func(p *border.Panic) { fault.Store(p) })
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				list[i] = s.statusOf(all[i])
			}
		})
	}
	readers.Wait()
	if p := fault.Load(); p != nil {
		panic(p) // it is this request's
	}
	return list, nil
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
	next, err = p.output.read(ctx, q, w)
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
	if number == 0 && !s.store.answers() { // the next worker could not open it
		return process.Upgrade{}, process.Errorf(process.CodeUpgrade, "nothing was changed: the store %s does not answer for %v", s.store.path, storeLimit)
	}
	return s.upgrade(ctx, number)
}

// Doctor examines the host, and says which definitions cannot be carried out.
func (s *Supervisor) Doctor(ctx context.Context) (process.Report, error) {
	report := s.doctor()
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
	s.mu.Unlock()
	s.loops.Wait()
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

func (s *Supervisor) fifoPath(id keeper.RunID) string { return s.fifoDir() + "/" + groupName(id) }

func (s *Supervisor) logDir(name string) string { return logsDir(s.state) + "/" + name }

func logsDir(stateDir string) string { return stateDir + "/logs" }
