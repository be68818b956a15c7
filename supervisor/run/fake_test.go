package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// noPID is above every pid of the kernel: what the fakes call by one above it is never a
// real process.
const noPID = 1 << 22

// machine is what outlives a worker, made up: one group, its processes, and the keeper.
// Its times are those of the bubble of [synctest] that it was made in.
type machine struct {
	dir   string // procfs and FIFOs
	began time.Time
	id    keeper.RunID

	mu     sync.Mutex
	exists bool
	attrs  map[string][]byte
	others map[int]bool // who is in the group besides the leader
	frozen bool
	warm   bool          // it is frozen by nothing
	since  time.Duration // when it was frozen, not to be ended; 0: it is not
	stood  time.Duration // how long it was, before that
	early  bool          // it was thawed between the beginning of its end and its signal
	ooms   uint64
	limits []cgroup.Limits // of the group, one after the other

	limited process.Limits      // by the definition
	events  cgroup.MemoryEvents // beside these

	kernelLog []Kill
	refused   uint64        // forks
	throttled time.Duration // by cpu_max, in so many periods of a millisecond
	stalled   time.Duration // for disks

	leader  proc.ID
	lives   bool // the leader
	away    bool // outside its group
	held    *keeper.Held
	dropped bool
	orphans bool // the keeper that has started the leader is no more

	deaf, immortal, immune bool // to the stop signal, to SIGKILL, the leader outside its group to SIGKILL
	doomed                 bool // SIGKILL waits for what is immortal to be mortal
	doomedLeader           bool
	spawn                  [2]time.Duration // that the keeper takes before and after the leader's birth
	spawns                 bool             // it does
	spawnErr               error
	fail                   func(op string) error // nil: nothing fails

	probing process.Probing                                  // of the runs
	answer  func(ctx context.Context, p process.Probe) error // to a probe; nil: all is well
	probes  []time.Duration                                  // when one was asked

	signals []unix.Signal
	killed  []time.Duration // when SIGKILL was sent to the tree or the leader
	worker  *worker         // the present one
	workers []*worker       // and the former ones
	log     bytes.Buffer
}

// bubble calls f with a machine of its own, whose time is made up.
func bubble(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(dir)
		defer m.close()
		f(t, m)
	})
}

func newMachine(dir string) *machine {
	return &machine{dir: dir, began: time.Now(), id: keeper.RunID{Name: "web", Run: 7}, attrs: map[string][]byte{}, others: map[int]bool{}}
}

// Now, At: a machine is a [Clock].
func (m *machine) Now() time.Duration { return time.Hour + time.Since(m.began) }

func (m *machine) At(at time.Duration, call func()) (stop func()) {
	t := time.AfterFunc(at-m.Now(), call)
	return func() { t.Stop() }
}

func (m *machine) pidDir(pid int) string { return filepath.Join(m.dir, strconv.Itoa(pid)) }

// show has /proc show a process.
func (m *machine) show(id proc.ID, name string, pending int) {
	stat := fmt.Sprintf("%d (%s) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 1000 200 18446744073709551615 1 1 0 0 0 %d 0 0 0", id.PID, name, id.Start, pending)
	if os.Mkdir(m.pidDir(id.PID), 0o755) == nil {
		os.WriteFile(m.pidDir(id.PID)+"/comm", []byte(name+"\n"), 0o644)
	}
	os.WriteFile(m.pidDir(id.PID)+"/stat", []byte(stat), 0o644)
}

// fork adds processes to the group.
func (m *machine) fork(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		id := proc.ID{PID: noPID + 100 + len(m.others), Start: uint64(m.Now() / (10 * time.Millisecond))}
		m.show(id, "child", 0)
		m.others[id.PID] = true
	}
}

func (m *machine) populated() bool { return len(m.others) > 0 || m.lives && !m.away }

// exit ends the leader.
func (m *machine) exit(e proc.Exit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(&e, false)
}

// end ends the leader, if e is not nil, and the others. The lock is held.
func (m *machine) end(e *proc.Exit, others bool) {
	was := m.populated()
	if e != nil && m.lives {
		m.lives = false
		os.Remove(m.pidDir(m.leader.PID) + "/stat")
		e.Time = m.Now()
		if m.held != nil && !m.orphans {
			m.held.Exit = e
			m.worker.Tell(Exited(m.id.Run, e))
		}
	}
	if others {
		clear(m.others)
	}
	if was && !m.populated() {
		m.count()
		m.notify()
	}
}

// notify tells that cgroup.events may read differently. The lock is held.
func (m *machine) notify() {
	if m.worker.changed != nil {
		m.worker.changed()
	}
}

// kill is SIGKILL to the tree. The lock is held.
func (m *machine) kill() {
	m.doomed = true
	if m.immortal {
		return
	}
	var e *proc.Exit
	if !m.away {
		e = &proc.Exit{Signal: unix.SIGKILL}
	}
	m.end(e, true)
}

// relent has nothing be immortal, immune, slow or failing any more.
func (m *machine) relent() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.immortal, m.immune, m.fail = false, false, nil
	if m.doomed {
		m.kill()
	}
	if m.doomedLeader {
		m.end(&proc.Exit{Signal: unix.SIGKILL}, false)
	}
}

// worker is one worker's half: it is the Owner of its run, and its Keeper, Output and Group
// go through [worker.step], where it can die or have a fault.
type worker struct {
	*machine
	t       testing.TB
	host    *Host
	run     *Run
	inbox   chan func()
	steps   int // were taken
	last    int // at which it dies or has its fault; 0: at none
	panics  bool
	at      Point // at which it dies; empty: at none
	dead    atomic.Bool
	open    []*os.File // by its pumps
	changed func()
	memory  func()
	pids    func()
	watches int
	pumps   int
	lines   []string // that a run has written, the last
	told    []lifecycle.Event
	points  []Point
	ended   bool // RunEnded was told
	faults  int
}

type fault struct{}

func (m *machine) newWorker(t testing.TB) *worker {
	w := &worker{machine: m, t: t, inbox: make(chan func(), 1<<12)}
	w.host = &Host{
		Group: func(string) Group { return fakeGroup{w} },
		Watch: func(_ Group, changed func()) (func(), error) {
			if err := w.step("watch"); err != nil {
				return nil, err
			}
			return w.watch(&w.changed, changed), nil
		},
		WatchMemory: func(_ Group, changed func()) (func(), error) {
			if err := w.step("watch memory"); err != nil {
				return nil, err
			}
			return w.watch(&w.memory, changed), nil
		},
		WatchPids: func(_ Group, changed func()) (func(), error) {
			if err := w.step("watch pids"); err != nil {
				return nil, err
			}
			return w.watch(&w.pids, changed), nil
		},
		Keeper: fakeKeeper{w}, Clock: m, Memory: m, Procfs: m.dir, FIFOs: m.dir, Log: log.New(&m.log, "", 0),
		Admit: func(string) error { return w.step("admit") },
		Ask: func(ctx context.Context, p process.Probe, limit time.Duration, _ func(context.Context, string) error) error {
			if err := w.step("ask"); err != nil {
				return err
			}
			m.mu.Lock()
			m.probes = append(m.probes, m.Now())
			answer := m.answer
			m.mu.Unlock()
			if answer == nil {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			return answer(ctx, p)
		},
		Reached: func(p Point) {
			w.mu.Lock()
			w.points = append(w.points, p)
			w.mu.Unlock()
			w.step("point " + string(p))
		},
	}
	m.mu.Lock()
	m.worker = w
	m.workers = append(m.workers, w)
	m.mu.Unlock()
	go func() {
		for do := range w.inbox {
			if !w.dead.Load() {
				w.guarded(do)
			}
		}
	}()
	return w
}

// plan is of a run whose end takes 10 s at the most before SIGKILL.
func (w *worker) plan(ending process.Ending) Plan {
	return Plan{ID: w.id, JobID: "job", Spec: process.Spec{Command: "true", Ending: ending, Limits: w.limited, Probing: w.probing}, Output: fakeOutput{w}}
}

func (w *worker) begin(ending process.Ending) *worker {
	w.do(func() {
		w.run = w.host.New(w.plan(ending), w)
		w.run.Begin()
	})
	return w
}

// busy reports whether the keeper is at a spawn.
func (m *machine) busy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spawns
}

// adopt has a new worker take over from one that has died; its run is nil when there is
// none. The keeper does first what the former one has asked for.
func (m *machine) adopt(t testing.TB, ending process.Ending) *worker {
	for m.busy() {
		time.Sleep(time.Second)
	}
	w := m.newWorker(t)
	w.do(func() {
		found := Found{}
		w.mu.Lock()
		if m.exists {
			found.Group = fakeGroup{w}
		}
		if m.held != nil {
			held := *m.held
			if m.orphans {
				held = keeper.Held{Run: m.id}
			}
			found.Held = &held
		}
		w.mu.Unlock()
		if w.run = w.host.Adopt(w.plan(ending), found, w); w.run != nil {
			w.run.ReadOutput()
			w.inbox <- w.run.Resume
		}
	})
	synctest.Wait()
	return w
}

func (w *worker) guarded(do func()) {
	defer func() {
		if r := recover(); r == (fault{}) {
			w.faults++
			w.hear(w.run.Recover())
		} else if r != nil {
			panic(r)
		}
	}()
	w.order()
	do()
}

// order has what the test did before happen before what the run does now: that time has
// passed does not.
func (m *machine) order() {
	m.mu.Lock()
	defer m.mu.Unlock()
}

// do has the owner's goroutine do something, and waits until nothing is under way.
func (w *worker) do(f func()) {
	w.inbox <- f
	synctest.Wait()
}

// pass lets time pass.
func (w *worker) pass(d time.Duration) {
	w.order()
	time.Sleep(d)
	synctest.Wait()
}

func (w *worker) end(cause process.Cause) {
	w.do(func() {
		w.run.Follow(lifecycle.ThenStop, "", process.Asked{})
		w.hear(w.run.End(cause))
	})
}

// die has the worker be no more. The lock is held.
func (w *worker) die() {
	w.dead.Store(true)
	w.changed, w.memory = nil, nil
}

// close has all goroutines end.
func (m *machine) close() {
	m.relent() // what still tries, fails no more
	m.mu.Lock()
	for _, w := range m.workers {
		w.die()
		close(w.inbox)
	}
	m.mu.Unlock()
	time.Sleep(time.Hour)
	synctest.Wait()
	for _, w := range m.workers {
		for _, f := range w.open {
			f.Close()
		}
		if w.run != nil && w.run.orphan != nil {
			w.run.orphan.close()
		}
	}
}

// hear is what the process does with what it is told.
func (w *worker) hear(events []lifecycle.Event) {
	for _, e := range events {
		if w.ended {
			w.t.Errorf("after its end the process was told %+v", e)
		}
		for _, before := range w.told {
			if before.Kind == e.Kind && e.Kind != lifecycle.RunStuck && e.Kind != lifecycle.RunUnhealthy && e.Kind != lifecycle.RunHealthy && e.Kind != lifecycle.RunLimited && !ofPause(e.Kind) {
				w.t.Errorf("the process was told twice: %+v", e)
			}
		}
		w.told = append(w.told, e)
		if e.Kind == lifecycle.RunEnded {
			w.ended = true
			w.mu.Lock()
			w.last = 0
			if w.watches != 0 || w.pumps != 0 && w.faults == 0 {
				w.t.Errorf("%d watches, %d pumps are left", w.watches, w.pumps)
			}
			if w.populated() || w.lives && !w.orphans && w.run.Result().Cause != process.CauseStart {
				w.t.Errorf("it is over while somebody lives")
			}
			w.mu.Unlock()
			w.run.Release()
			w.mu.Lock()
			if w.exists || !w.dropped {
				w.t.Errorf("what it had stays: group %v, held %v", w.exists, !w.dropped)
			}
			w.mu.Unlock()
			if _, err := os.Lstat(w.host.fifo(w.id)); !errors.Is(err, fs.ErrNotExist) {
				w.t.Errorf("its FIFO stays: %v", err)
			}
		}
	}
}

// ofPause reports whether an event is about standing still, which a run can do again and again.
func ofPause(k lifecycle.EventKind) bool {
	return lifecycle.RunPaused <= k && k <= lifecycle.RunNotResumed
}

// Tell and Aside: a worker is an [Owner].
func (w *worker) Tell(e Event) {
	w.put(func() { w.hear(w.run.Handle(e)) })
}

func (w *worker) put(do func()) {
	if !w.dead.Load() {
		w.inbox <- do
	}
}

func (w *worker) Aside(work func() Event) {
	go func() {
		defer func() {
			if r := recover(); r == (fault{}) {
				w.put(func() { panic(fault{}) })
			} else if r != nil {
				panic(r)
			}
		}()
		w.Tell(work())
	}()
}

// step is taken before anything that a worker does outside of itself. A worker that is
// dead takes none.
func (w *worker) step(op string) error {
	w.mu.Lock()
	w.steps++
	if w.steps == w.last || w.at != "" && op == "point "+string(w.at) {
		if w.panics {
			w.mu.Unlock()
			panic(fault{})
		}
		w.die()
	}
	fail := w.fail
	w.mu.Unlock()
	if w.dead.Load() {
		runtime.Goexit()
	}
	if fail != nil {
		return fail(op)
	}
	return nil
}

func (w *worker) watch(where *func(), changed func()) (unwatch func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*where = changed
	w.watches++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watches--
		*where = nil
	}
}

// fakeGroup is the machine's group, as a worker sees it.
type fakeGroup struct{ w *worker }

// do is one operation on a group that must be there.
func (g fakeGroup) do(op string, f func(m *machine) error) error {
	if err := g.w.step(op); err != nil {
		return err
	}
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if !g.w.exists && op != "make" && op != "remove" {
		return fs.ErrNotExist
	}
	return f(g.w.machine)
}

func (g fakeGroup) Make() error {
	return g.do("make", func(m *machine) error { m.exists = true; return nil })
}

func (g fakeGroup) Remove() error {
	return g.do("remove", func(m *machine) error {
		if m.populated() {
			return cgroup.ErrNotEmpty
		}
		m.exists, m.attrs = false, map[string][]byte{}
		return nil
	})
}

func (g fakeGroup) Dir() (f *os.File, err error) {
	err = g.do("dir", func(m *machine) error { f, err = os.Open(m.dir); return err })
	return f, err
}

func (g fakeGroup) Pids() (pids []int, err error) {
	err = g.do("pids", func(m *machine) error {
		if m.lives && !m.away {
			pids = append(pids, m.leader.PID)
		}
		pids = append(pids, slices.Sorted(maps.Keys(m.others))...)
		return nil
	})
	return pids, err
}

func (g fakeGroup) Holds(pid int) (in bool, err error) {
	err = g.do("holds", func(m *machine) error { in = m.lives && pid == m.leader.PID || m.others[pid]; return nil })
	return in, err
}

func (g fakeGroup) Events() (e cgroup.Events, err error) {
	err = g.do("events", func(m *machine) error {
		e = cgroup.Events{Populated: m.populated(), Frozen: m.frozen}
		return nil
	})
	return e, err
}

func (g fakeGroup) Usage(cgroup.Figures) (u cgroup.Usage, err error) {
	err = g.do("usage", func(m *machine) error {
		u = cgroup.Usage{CPU: time.Second, Known: cgroup.FigureMemoryEvents}
		u.MemoryEvents.OOMKill = m.ooms
		u.PidsRefused, u.CPUThrottled, u.CPUThrottledPeriods = m.refused, m.throttled, uint64(m.throttled/time.Millisecond)
		u.IOPressure.Some.Total = m.stalled
		u.Known |= cgroup.FigurePidsRefused | cgroup.FigureThrottled | cgroup.FigureIOPressure
		return nil
	})
	return u, err
}

func (g fakeGroup) Devices() ([]cgroup.Device, error) { return nil, nil }

func (g fakeGroup) Reclaim(uint64) error { return nil }

func (g fakeGroup) MemoryEvents() (e cgroup.MemoryEvents, err error) {
	err = g.do("memory events", func(m *machine) error {
		e = m.events
		e.OOMKill = m.ooms
		return nil
	})
	return e, err
}

// Kills, Blame: a machine is a [Memory].
func (m *machine) Kills(_ Group, _ time.Duration, behind uint64) (kills []Kill) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.kernelLog {
		if k.Number > behind {
			kills = append(kills, k)
		}
	}
	return kills
}

func (m *machine) Blame(_ Group, own bool) (process.OOMLimit, uint64) {
	if own {
		return process.OOMRun, 64 << 20
	}
	return process.OOMMachine, 0
}

func (g fakeGroup) Limit(l cgroup.Limits) error {
	return g.do("limit", func(m *machine) error { m.limits = append(m.limits, l); return nil })
}

func (g fakeGroup) Freeze() error {
	return g.do("freeze", func(m *machine) error {
		if !m.frozen && !m.warm {
			if m.frozen = true; m.attrs[attrEnd] == nil {
				m.since = m.Now()
			}
		}
		return nil
	})
}

func (g fakeGroup) Unfreeze() error {
	return g.do("unfreeze", func(m *machine) error { m.thaw(); return m.act() })
}

func (g fakeGroup) Thaw() error {
	return g.do("thaw", func(m *machine) error { m.thaw(); return m.act() })
}

// thaw has the tree go on. The lock is held.
func (m *machine) thaw() {
	m.early = m.early || m.frozen && m.attrs[attrEnd] != nil && len(m.signals) == 0
	m.count()
	m.frozen = false
}

// count takes note of how long the tree has stood still. The lock is held.
func (m *machine) count() {
	if m.since != 0 {
		m.stood += m.Now() - m.since
	}
	m.since = 0
}

func (g fakeGroup) Signal(s unix.Signal) (sent int, err error) {
	err = g.do("signal", func(m *machine) error {
		if sent = len(m.others); m.lives && !m.away {
			sent++
		}
		m.signals = append(m.signals, s)
		return m.act()
	})
	return sent, err
}

// act has the tree act on the stop signal, when it is not frozen.
func (m *machine) act() error {
	if !m.frozen && !m.deaf && !m.immortal && slices.Contains(m.signals, unix.SIGTERM) {
		var e *proc.Exit
		if !m.away {
			e = &proc.Exit{Code: 3}
		}
		m.end(e, true)
	}
	return nil
}

func (g fakeGroup) Kill() error {
	return g.do("kill", func(m *machine) error { m.killed = append(m.killed, m.Now()); m.kill(); return nil })
}

func (g fakeGroup) Attr(name string) (value []byte, err error) {
	err = g.do("attr", func(m *machine) error {
		var ok bool
		if value, ok = m.attrs[name]; !ok {
			return cgroup.ErrNoAttr
		}
		return nil
	})
	return value, err
}

func (g fakeGroup) Attrs() (names []string, err error) {
	err = g.do("attrs", func(m *machine) error { names = slices.Collect(maps.Keys(m.attrs)); return nil })
	return names, err
}

func (g fakeGroup) SetAttr(name string, value []byte) error {
	return g.do("set "+name, func(m *machine) error {
		if m.attrs[name] = value; name == attrEnd {
			m.count()
		}
		return nil
	})
}

// fakeKeeper is the machine's keeper. What it was asked for it does, though the worker dies.
type fakeKeeper struct{ w *worker }

func (k fakeKeeper) Spawn(_ context.Context, id keeper.RunID, c proc.Command, notify *os.File) (proc.ID, error) {
	if err := k.w.step("spawn"); err != nil {
		return proc.ID{}, err
	}
	m := k.w.machine
	m.mu.Lock()
	m.spawns = true
	m.mu.Unlock()
	time.Sleep(m.spawn[0])
	m.mu.Lock()
	m.spawns = false
	m.held = &keeper.Held{Run: id, SpawnErr: m.spawnErr}
	if m.spawnErr == nil {
		m.leader = proc.ID{PID: noPID + 1, Start: uint64(m.Now() / (10 * time.Millisecond))}
		m.held.ID, m.lives = m.leader, true
		m.show(m.leader, "sh", 0)
	}
	m.mu.Unlock()
	time.Sleep(m.spawn[1])
	if k.w.dead.Load() {
		runtime.Goexit()
	}
	return m.leader, m.spawnErr
}

func (k fakeKeeper) Keep(keeper.RunID, *os.File) error { return k.w.step("keep") }

func (k fakeKeeper) Help(context.Context, proc.Command) (proc.Exit, error) {
	return proc.Exit{}, k.w.step("help")
}

func (k fakeKeeper) Kill(keeper.RunID) error {
	if err := k.w.step("kill leader"); err != nil {
		return err
	}
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	k.w.killed = append(k.w.killed, k.w.Now())
	if k.w.doomedLeader = true; !k.w.immune {
		k.w.machine.end(&proc.Exit{Signal: unix.SIGKILL}, false)
	}
	return nil
}

func (k fakeKeeper) Drop(keeper.RunID) error {
	err := k.w.step("drop")
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	k.w.held, k.w.dropped = nil, true
	return err
}

// fakeOutput counts what is open.
type fakeOutput struct{ w *worker }

func (o fakeOutput) Begin(uint64) { o.w.step("begin output") }

func (o fakeOutput) Move(_ uint64, fifo *os.File) (Pump, error) {
	if err := o.w.step("move"); err != nil {
		fifo.Close()
		return nil, err
	}
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.w.pumps++
	o.w.open = append(o.w.open, fifo)
	return &fakePump{w: o.w, fifo: fifo}, nil
}

func (o fakeOutput) LastLine(uint64) string {
	if n := len(o.w.lines); n > 0 {
		return o.w.lines[n-1]
	}
	return ""
}

// Await asks every second whether a line matches.
func (o fakeOutput) Await(ctx context.Context, _ uint64, line *regexp.Regexp) error {
	for ctx.Err() == nil {
		o.w.step("await")
		o.w.mu.Lock()
		found := slices.ContainsFunc(o.w.lines, line.MatchString)
		o.w.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return ctx.Err()
}

type fakePump struct {
	w    *worker
	fifo *os.File
}

func (p *fakePump) Finish() {
	p.w.step("finish")
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.fifo.Close() == nil {
		p.w.pumps--
	}
}
