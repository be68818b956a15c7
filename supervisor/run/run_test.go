package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// kinds are what a process was told of its run.
func kinds(events []lifecycle.Event) (text string) {
	names := map[lifecycle.EventKind]string{lifecycle.RunStarted: "started ", lifecycle.RunReady: "", lifecycle.RunEnding: "ending ", lifecycle.RunStuck: "stuck ", lifecycle.RunEnded: "ended "}
	for _, e := range events {
		text += names[e.Kind]
	}
	return strings.TrimSpace(text)
}

// is checks what a process was told, and how its run went.
func (w *worker) is(told string, cause process.Cause, text string) {
	w.t.Helper()
	if got := kinds(w.told); got != told {
		w.t.Errorf("the process was told %q, want %q; log:\n%s", got, told, &w.log)
	}
	if r := w.run.Result(); r.Cause != cause || !strings.Contains(r.Error, text) {
		w.t.Errorf("result: %v, %q; want %v, %q", r.Cause, r.Error, cause, text)
	}
}

// always has some operations fail.
func always(err error, ops ...string) func(string) error {
	return func(op string) error {
		if slices.Contains(ops, op) {
			return err
		}
		return nil
	}
}

// until has some operations fail until a time.
func (m *machine) until(at time.Duration, err error, ops ...string) {
	at += m.Now()
	m.fail = func(op string) error {
		if m.Now() < at {
			return always(err, ops...)(op)
		}
		return nil
	}
}

const aWhile = 3 * time.Second

func TestRunThatEndsByItself(t *testing.T) {
	for _, c := range []struct {
		exit  proc.Exit
		cause process.Cause
		text  string
	}{
		{proc.Exit{}, process.CauseExit, ""},
		{proc.Exit{Code: 127}, process.CauseExit, "command not found): no such thing"},
		{proc.Exit{Signal: unix.SIGSEGV}, process.CauseSignal, "SIGSEGV"},
	} {
		bubble(t, func(t *testing.T, m *machine) {
			w := m.newWorker(t).begin(process.Ending{})
			w.lines = []string{"no such thing"}
			if w.run.State() != process.Running || w.run.PID() != m.leader.PID || w.run.Waits() || w.run.Meter() == nil {
				t.Errorf("it is %v, pid %d", w.run.State(), w.run.PID())
			}
			w.pass(aWhile)
			m.exit(c.exit)
			synctest.Wait()
			w.is("started ending ended", c.cause, c.text)
			if r := w.run.Result(); r.Uptime != aWhile.Seconds() || r.LeftBehind != nil {
				t.Errorf("result %+v", r)
			}
			if want := c.exit.Code == 0 && c.exit.Signal == 0; w.told[2].Success != want {
				t.Errorf("success %v", !want)
			}
			if m.attrs[attrEnd] != nil || len(m.signals) > 0 || len(m.killed) > 0 {
				t.Error("it was ended")
			}
		})
	}
}

// Whatever step of a spawn fails, the error says so, and what was made is removed.
func TestSpawnThatFails(t *testing.T) {
	trouble := errors.New("trouble")
	for _, op := range []string{"admit", "make", "set " + attrRun, "watch", "dir", "move", "spawn"} {
		for _, ended := range []bool{false, true} {
			bubble(t, func(t *testing.T, m *machine) {
				m.fail = always(trouble, op)
				w := m.newWorker(t)
				w.do(func() {
					w.run = w.host.New(w.plan(process.Ending{}), w)
					w.run.Begin()
					if ended {
						w.hear(w.run.End(process.CauseStop))
					}
				})
				if ended {
					w.is("ending ended", process.CauseStop, "trouble")
				} else {
					w.is("ending ended", process.CauseStart, "trouble")
				}
				if w.run.Failed() != trouble || w.run.Result().ExitCode != nil || !w.run.Result().Start.IsZero() {
					t.Errorf("%s: %v, %+v", op, w.run.Failed(), w.run.Result())
				}
			})
		}
	}
	bubble(t, func(t *testing.T, m *machine) { // the keeper could not
		m.spawnErr = &proc.SpawnError{Step: "exec", Path: "/bin/sh", Err: fs.ErrNotExist}
		m.newWorker(t).begin(process.Ending{}).is("ending ended", process.CauseStart, "exec /bin/sh")
	})
	bubble(t, func(t *testing.T, m *machine) { // there is a FIFO of that name
		w := m.newWorker(t)
		if err := unix.Mkfifo(w.host.fifo(m.id), 0o600); err != nil {
			t.Fatal(err)
		}
		w.begin(process.Ending{}).is("ending ended", process.CauseStart, "mkfifo")
	})
	bubble(t, func(t *testing.T, m *machine) { // its number did not come to disk
		w := m.newWorker(t)
		w.do(func() {
			w.run = w.host.New(w.plan(process.Ending{}), w)
			w.hear(w.run.Cancel(trouble))
			w.run.Begin() // is too late
		})
		w.is("ending ended", process.CauseStart, "trouble")
		if w.run.Failed() != trouble {
			t.Error(w.run.Failed())
		}
	})
}

// What is not needed for a run does not keep it from starting.
func TestSpawnGoesOnWithoutWhatItCanDoWithout(t *testing.T) {
	for _, op := range []string{"watch memory", "set " + attrLeader} {
		bubble(t, func(t *testing.T, m *machine) {
			m.fail = always(errors.New("trouble"), op)
			w := m.newWorker(t).begin(process.Ending{})
			m.exit(proc.Exit{})
			synctest.Wait()
			w.is("started ending ended", process.CauseExit, "")
			if !strings.Contains(m.log.String(), "trouble") {
				t.Errorf("%s: nobody was told", op)
			}
		})
	}
}

func TestKeeperThatIsGoneTakesTheSpawnWithIt(t *testing.T) {
	reached := make(chan bool)
	b := &birth{Plan: Plan{ID: keeper.RunID{Name: "web", Run: 7}}, changed: func() {}, memory: func() {}}
	// Nobody knows whether the leader runs, so the spawn neither fails nor succeeds. That
	// would be a goroutine that hangs in a bubble.
	m := newMachine(t.TempDir())
	w := m.newWorker(t)
	m.fail = func(op string) error {
		if op == "spawn" {
			close(reached)
			return keeper.ErrKeeperGone
		}
		return nil
	}
	b.host, b.group, b.Output = w.host, fakeGroup{w}, fakeOutput{w}
	done := make(chan error)
	go func() { done <- b.spawn() }()
	<-reached
	select {
	case err := <-done:
		t.Errorf("it has come back: %v", err)
	default:
	}
	w.open[0].Close()
}

// The leader's exit can be told before the answer to its spawn.
func TestExitBeforeTheBirthIsKnown(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.spawn[1] = time.Second
		w := m.newWorker(t).begin(process.Ending{})
		m.exit(proc.Exit{Code: 4})
		synctest.Wait()
		w.is("", 0, "")
		if w.run.State() != process.Starting || !w.run.Waits() {
			t.Errorf("it is %v", w.run.State())
		}
		w.pass(time.Second)
		w.is("started ending ended", process.CauseExit, "exit code 4")
	})
}

// A run that is asked to end while it is spawned is ended as soon as it is there, by what
// is left of its grace period. That stands on its group before.
func TestEndBeforeBirth(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.spawn, m.deaf = [2]time.Duration{2 * time.Second, time.Second}, true
		w := m.newWorker(t).begin(process.Ending{})
		w.end(process.CauseStop)
		if w.run.State() != process.Stopping || m.attrs[attrEnd] == nil {
			t.Errorf("it is %v; on its group: %s", w.run.State(), m.attrs[attrEnd])
		}
		w.pass(3 * time.Second)
		if !slices.Equal(m.signals, []unix.Signal{unix.SIGTERM}) {
			t.Errorf("it was sent %v", m.signals)
		}
		w.pass(7 * time.Second)
		w.is("ending ended", process.CauseStop, "")
		if !slices.Equal(m.killed, []time.Duration{time.Hour + process.DefaultStopTimeout}) {
			t.Errorf("SIGKILL at %v", m.killed)
		}
	})
	bubble(t, func(t *testing.T, m *machine) { // before there is a group: it is noted when there is
		m.until(time.Second, unix.EAGAIN, "none")
		w := m.newWorker(t)
		w.do(func() {
			w.run = w.host.New(w.plan(process.Ending{}), w)
			w.hear(w.run.End(process.CauseStop))
			w.run.Begin()
		})
		w.is("ending ended", process.CauseStop, "it was ended before it was started")
		if m.log.Len() > 0 || w.run.Failed() != nil {
			t.Errorf("log: %s", &m.log)
		}
	})
	bubble(t, func(t *testing.T, m *machine) { // the keeper is late: it is stuck, and killed when it is there
		m.spawn[0] = time.Minute
		w := m.newWorker(t).begin(process.Ending{})
		w.end(process.CauseStop)
		w.pass(15 * time.Second)
		w.is("ending stuck", 0, "")
		w.pass(time.Minute)
		w.is("ending stuck ended", process.CauseStop, "")
	})
}

func TestGraceAndSIGKILLAreExact(t *testing.T) {
	second, none := time.Second, time.Duration(0)
	for _, c := range []struct {
		ending process.Ending
		deaf   bool
		sent   []unix.Signal
		killed []time.Duration
	}{
		{process.Ending{}, false, []unix.Signal{unix.SIGTERM}, nil},
		{process.Ending{}, true, []unix.Signal{unix.SIGTERM}, []time.Duration{process.DefaultStopTimeout}},
		{process.Ending{StopTimeout: &second, StopSignal: process.Signal(unix.SIGINT)}, true, []unix.Signal{unix.SIGINT}, []time.Duration{time.Second}},
		{process.Ending{StopTimeout: &none}, true, nil, []time.Duration{0}},
		{process.Ending{StopTimeout: &second, StopSignal: process.KILL}, true, nil, []time.Duration{0}},
	} {
		bubble(t, func(t *testing.T, m *machine) {
			m.deaf = c.deaf
			w := m.newWorker(t).begin(c.ending)
			m.fork(3)
			w.pass(time.Minute)
			began := m.Now()
			w.end(process.CauseStop)
			for i := range c.killed {
				c.killed[i] += began
			}
			if len(c.killed) > 0 {
				w.pass(c.killed[0] - began)
			}
			w.is("started ending ended", process.CauseStop, "")
			if !slices.Equal(m.signals, c.sent) || !slices.Equal(m.killed, c.killed) || m.frozen {
				t.Errorf("%+v: sent %v, SIGKILL at %v, began at %v", c.ending, m.signals, m.killed, began)
			}
			for _, p := range []Point{PointNoted, PointFrozen, PointSignalled, PointThawed, PointAsked, PointExited, PointDrained, PointRemoved, PointDropped} {
				if !slices.Contains(w.points, p) && p != PointExited {
					t.Errorf("it did not come by %q", p)
				}
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{Deadline: time.Minute})
		w.pass(time.Minute - 1)
		w.is("started", 0, "")
		w.pass(1)
		w.is("started ending ended", process.CauseDeadline, "the deadline of 1m0s passed")
	})
	bubble(t, func(t *testing.T, m *machine) { // it counts from the start, whenever it is set
		m.deaf = true
		w := m.newWorker(t).begin(process.Ending{Deadline: time.Minute})
		w.pass(30 * time.Second)
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{Deadline: 2 * time.Minute}}) })
		w.pass(time.Minute)
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{}}) })
		w.pass(time.Hour)
		w.is("started", 0, "")
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{Deadline: 2 * time.Hour}}) })
		w.pass(30*time.Minute - 1)
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{Deadline: time.Hour}}) }) // that has passed
		w.is("started ending", 0, "")
		w.do(func() { w.run.Change(process.Spec{Ending: process.Ending{}}) })
		w.pass(process.DefaultStopTimeout)
		w.is("started ending ended", process.CauseDeadline, "the deadline of 1h0m0s passed")
	})
}

func TestLeaderLeavesOthersBehind(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.deaf = true
		w := m.newWorker(t).begin(process.Ending{})
		m.fork(2)
		m.exit(proc.Exit{})
		synctest.Wait()
		w.is("started ending", 0, "")
		if w.run.State() != process.Stopping || w.run.PID() != 0 {
			t.Errorf("it is %v, pid %d", w.run.State(), w.run.PID())
		}
		w.end(process.CauseStop) // the first cause counts
		w.pass(process.DefaultStopTimeout)
		w.is("started ending ended", process.CauseExit, "")
		left := w.run.Result().LeftBehind
		if left == nil || left.Count != 2 || !slices.Equal(left.Names, []string{"child"}) || !w.told[2].Success {
			t.Errorf("left behind: %+v; told %+v", left, w.told[2])
		}
	})
}

func TestLeaderThatLeftItsGroup(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.mu.Lock()
		m.away, m.immune = true, true
		m.notify()
		m.mu.Unlock()
		w.pass(leaderGrace - 1)
		if len(m.killed) > 0 || w.run.State() != process.Running {
			t.Errorf("SIGKILL at %v, before %v; it is %v", m.killed, m.Now(), w.run.State())
		}
		w.pass(1)
		if !slices.Equal(m.killed, []time.Duration{m.Now()}) {
			t.Errorf("SIGKILL at %v", m.killed)
		}
		w.end(process.CauseStop)
		w.pass(killLimit)
		w.is("started ending stuck", 0, "")
		if err := w.run.StuckError(); !strings.Contains(err.Error(), fmt.Sprintf("its main process %d, which has left its cgroup", m.leader.PID)) {
			t.Error(err)
		}
		m.mu.Lock()
		m.immune = false
		m.mu.Unlock()
		w.end(process.CauseStop)
		w.is("started ending stuck ended", process.CauseStop, "the leader had left its group")
	})
	bubble(t, func(t *testing.T, m *machine) { // and is found to have by the end of the grace period
		m.deaf = true
		w := m.newWorker(t).begin(process.Ending{})
		w.end(process.CauseStop)
		m.mu.Lock()
		m.away = true // and nobody tells of the empty group
		m.mu.Unlock()
		w.pass(process.DefaultStopTimeout + leaderGrace - 1)
		if len(m.killed) > 0 {
			t.Errorf("SIGKILL at %v, before %v", m.killed, m.Now())
		}
		w.pass(1)
		w.is("started ending ended", process.CauseStop, "the leader had left its group")
	})
	bubble(t, func(t *testing.T, m *machine) { // it has ended, and its exit is late
		w := m.newWorker(t).begin(process.Ending{})
		m.mu.Lock()
		m.away = true
		m.notify()
		m.mu.Unlock()
		w.end(process.CauseStop)
		m.exit(proc.Exit{})
		synctest.Wait()
		w.is("started ending ended", process.CauseStop, "")
	})
}

func TestStuck(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.immortal = true
		w := m.newWorker(t).begin(process.Ending{})
		m.fork(20)
		w.end(process.CauseStop)
		w.pass(process.DefaultStopTimeout + killLimit - 1)
		w.is("started ending", 0, "")
		w.pass(1)
		w.is("started ending stuck", 0, "")
		if err := w.run.StuckError(); !w.run.Stuck() || !strings.Contains(err.Error(), "is stuck: SIGKILL has not ended pids 4194305 4194404") || !strings.Contains(err.Error(), " … ") {
			t.Error(err)
		}
		w.end(process.CauseStop)
		w.pass(killLimit)
		w.is("started ending stuck stuck", 0, "")
		if len(m.killed) != 2 {
			t.Errorf("SIGKILL at %v", m.killed)
		}
		m.relent() // SIGKILL was waiting
		synctest.Wait()
		w.is("started ending stuck stuck ended", process.CauseStop, "")
	})
}

// What fails for want of a descriptor is tried until it does not.
func TestShortage(t *testing.T) {
	for _, op := range []string{"kill", "events", "freeze", "signal", "thaw", "pids", "memory events", "usage", "set " + attrEnd} {
		for _, short := range []time.Duration{500 * time.Millisecond, 20 * time.Second} {
			bubble(t, func(t *testing.T, m *machine) {
				m.deaf = true
				w := m.newWorker(t).begin(process.Ending{})
				m.until(process.DefaultStopTimeout+short, unix.EMFILE, op)
				w.end(process.CauseStop)
				w.pass(process.DefaultStopTimeout + short + killLimit)
				if !w.ended || w.run.Result().Cause != process.CauseStop {
					t.Errorf("%s is short for %v: it does not end; log:\n%s", op, short, &m.log)
				}
			})
		}
	}
}

// A group that cannot be read is looked at again, less and less often.
func TestGroupThatCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		var looks []time.Duration
		m.mu.Lock()
		m.fail = func(op string) error {
			if op == "events" {
				looks = append(looks, m.Now())
				return fs.ErrPermission
			}
			return nil
		}
		m.mu.Unlock()
		m.exit(proc.Exit{})
		w.pass(time.Minute)
		var pauses []time.Duration
		for i := range looks[1:] {
			if d := looks[i+1] - looks[i]; d > 0 && d != time.Millisecond/2 {
				pauses = append(pauses, d)
			}
		}
		if n := len(pauses); n < 55 || n > 80 || !slices.Contains(pauses, 8*firstPause) || !slices.Contains(pauses, mostPause) {
			t.Errorf("pauses %v", pauses)
		}
		if n := strings.Count(m.log.String(), "it is not known whether anybody is left"); n != 1 {
			t.Errorf("told %d times: %s", n, &m.log)
		}
		m.mu.Lock()
		m.fail = nil
		m.mu.Unlock()
		w.pass(mostPause)
		if !w.ended {
			t.Error("its end is not seen")
		}
	})
}

func TestOOM(t *testing.T) {
	oomKill := func(m *machine, w *worker, n uint64) {
		m.mu.Lock()
		m.ooms += n
		changed := w.memory
		m.mu.Unlock()
		if changed != nil {
			changed()
		}
		synctest.Wait()
	}
	kill := proc.Exit{Signal: unix.SIGKILL}
	bubble(t, func(t *testing.T, m *machine) { // the leader's own
		w := m.newWorker(t).begin(process.Ending{})
		oomKill(m, w, 1)
		m.exit(kill)
		synctest.Wait()
		w.is("started ending ended", process.CauseOOM, "killed for lack of memory: the machine had no more")
	})
	bubble(t, func(t *testing.T, m *machine) { // others', which it outlives, and then somebody's SIGKILL
		w := m.newWorker(t).begin(process.Ending{})
		oomKill(m, w, 2)
		w.pass(outliveTime)
		if string(m.attrs[attrOutlived]) != "2" {
			t.Errorf("on the group: %s", m.attrs[attrOutlived])
		}
		w.mu.Lock()
		w.die()
		w.mu.Unlock()
		w = m.adopt(t, process.Ending{}) // knows it too
		m.exit(kill)
		synctest.Wait()
		w.is("ending ended", process.CauseSignal, "2 of its processes were killed for lack of memory")
	})
	bubble(t, func(t *testing.T, m *machine) { // it has SIGKILL on its way
		w := m.newWorker(t).begin(process.Ending{})
		m.show(m.leader, "sh", 1<<8)
		oomKill(m, w, 1)
		w.pass(time.Second)
		m.exit(kill)
		synctest.Wait()
		w.is("started ending ended", process.CauseOOM, "")
	})
	bubble(t, func(t *testing.T, m *machine) { // whether it lives is not known at first
		w := m.newWorker(t).begin(process.Ending{})
		stat := m.pidDir(m.leader.PID) + "/stat"
		unix.Rename(stat, stat+"x")
		unix.Mkdir(stat, 0o700)
		oomKill(m, w, 1)
		w.pass(time.Second)
		unix.Rmdir(stat)
		unix.Rename(stat+"x", stat)
		w.pass(mostPause)
		m.exit(kill)
		synctest.Wait()
		w.is("started ending ended", process.CauseSignal, "")
	})
	bubble(t, func(t *testing.T, m *machine) { // a child's before the birth is known
		m.spawn[1] = time.Second
		w := m.newWorker(t).begin(process.Ending{})
		oomKill(m, w, 1)
		w.pass(time.Second + outliveTime)
		m.exit(kill)
		synctest.Wait()
		w.is("started ending ended", process.CauseSignal, "")
	})
}

func TestSend(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.spawn[0] = time.Second
		w := m.newWorker(t).begin(process.Ending{})
		send := func(tree bool, sent int, text string) {
			t.Helper()
			w.do(func() {
				n, err := w.run.Send(process.Signal(unix.SIGHUP), tree)
				if n != sent || fmt.Sprint(err) != text {
					t.Errorf("sent to %d: %v; want %d, %s", n, err, sent, text)
				}
			})
		}
		send(true, 0, "no process of it is there")
		w.pass(time.Second)
		m.deaf = true
		m.fork(2)
		send(true, 3, "<nil>")
		send(false, 0, errEnded.Error()) // no kernel has this pid
		m.exit(proc.Exit{})
		synctest.Wait()
		send(false, 0, "its main process has ended")
		send(true, 2, "<nil>")
		w.pass(time.Minute)
		send(true, 0, "no process of it is there")
	})
}

// note is what stands on the group.
func (m *machine) note(t *testing.T) (n endAttr) {
	if err := json.Unmarshal(m.attrs[attrEnd], &n); err != nil {
		t.Error(err)
	}
	return n
}

// What is known of the leader's exit, and of what is to follow, stands on the group as soon
// as it is known: the keeper can die too.
func TestNoteKeepsUp(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.deaf = true
		w := m.newWorker(t).begin(process.Ending{})
		m.fork(1)
		w.end(process.CauseDeadline)
		if n := m.note(t); n.Cause != process.CauseDeadline || n.Then != lifecycle.ThenStop || !n.Sent || n.Boot != m.Now() {
			t.Errorf("note %+v", n)
		}
		w.do(func() { w.run.Follow(lifecycle.ThenStart, "next", process.Asked{By: process.ByRequest, UID: new(7)}) })
		m.exit(proc.Exit{})
		synctest.Wait()
		if n := m.note(t); n.Exit == nil || n.Then != lifecycle.ThenStart || n.JobID != "next" {
			t.Errorf("note %+v", n)
		}
		w.mu.Lock()
		w.die()
		m.orphans = true
		w.mu.Unlock()
		w = m.adopt(t, process.Ending{})
		if then, id, asked := w.run.Followed(); then != lifecycle.ThenStart || id != "next" || asked.By != process.ByRequest || *asked.UID != 7 || !w.run.Ends() {
			t.Errorf("it goes on with %v, %q", then, id)
		}
		w.pass(process.DefaultStopTimeout)
		w.is("ended", process.CauseDeadline, "deadline")
		if r := w.run.Result(); r.ExitCode == nil || *r.ExitCode != 0 || w.told[0].Success {
			t.Errorf("result %+v, told %+v", r, w.told[0])
		}
	})
}
