package run

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// dieAt has the worker die when it comes by a point.
func (w *worker) dieAt(p Point) *worker {
	w.mu.Lock()
	w.at = p
	w.mu.Unlock()
	return w
}

// kill9 has the worker die now.
func (w *worker) kill9() {
	w.mu.Lock()
	w.die()
	w.mu.Unlock()
	synctest.Wait()
}

// A worker dies at each point of a run, with or without the keeper. The next one goes on
// as if nothing had happened, and nobody waits longer for an end that was begun.
func TestAdoptionAtEachPoint(t *testing.T) {
	points := []Point{PointMade, PointMarked, PointPiped, PointSpawned, PointRecorded, PointNoted, PointFrozen,
		PointSignalled, PointThawed, PointAsked, PointKilled, PointExited, PointDrained, PointRemoved}
	for i, p := range points {
		for _, keeperToo := range []bool{false, true} {
			t.Run(fmt.Sprint(p, keeperToo), func(t *testing.T) {
				bubble(t, func(t *testing.T, m *machine) {
					m.deaf = true
					w := m.newWorker(t).dieAt(p).begin(process.Ending{})
					if !w.dead.Load() {
						m.fork(1)
						w.pass(time.Minute)
						w.end(process.CauseDeadline)
						w.pass(process.DefaultStopTimeout)
					}
					if !w.dead.Load() {
						t.Fatalf("it does not come by; points %v", w.points)
					}
					m.orphans = keeperToo
					died := m.Now()
					w = m.adopt(t, process.Ending{})
					switch exists := i >= slices.Index(points, PointSpawned) && (p != PointRemoved || !keeperToo); {
					case !exists && w.run != nil:
						t.Fatalf("it is adopted: %+v", w.run.machine)
					case !exists:
						return
					case w.run == nil:
						t.Fatal("it is not adopted")
					}
					ends := i >= slices.Index(points, PointNoted)
					if w.run.Ends() != ends && p != PointRemoved && (ends || !keeperToo) {
						t.Errorf("ends: %v", !ends)
					}
					if !ends {
						if keeperToo { // no kernel has the fake's pid
							w.is(kinds(w.told), 0, "")
							return
						}
						if w.run.State() != process.Running || w.run.PID() != m.leader.PID || w.pumps != 1 {
							t.Errorf("it is %v, pid %d, %d pumps", w.run.State(), w.run.PID(), w.pumps)
						}
						w.end(process.CauseDeadline)
					}
					w.pass(process.DefaultStopTimeout - 1)
					// The grace period is that of the former worker.
					if want := died + process.DefaultStopTimeout; len(m.killed) > 0 && m.killed[0] > want {
						t.Errorf("SIGKILL at %v, want by %v", m.killed, want)
					}
					w.pass(killLimit)
					if !w.ended {
						t.Fatalf("it does not end: %+v\n%s", w.run.machine, &m.log)
					}
					if r := w.run.Result(); r.Cause != process.CauseDeadline && p != PointRemoved {
						t.Errorf("result %+v", r)
					}
				})
			})
		}
	}
}

// What a former worker was about to end is ended when its grace period is over, wherever
// its leader is.
func TestAdoptedLeaderThatLeftItsGroup(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).dieAt(PointThawed).begin(process.Ending{})
		m.away = true
		m.fork(1)
		w.end(process.CauseStop)
		w = m.adopt(t, process.Ending{})
		w.pass(leaderGrace)
		w.is("ended", process.CauseStop, "the leader had left its group")
	})
}

func TestAdoptionOfWhatNeverWas(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(m *machine)
		is    bool
	}{
		{"nothing", func(m *machine) {}, false},
		{"an empty group", func(m *machine) { m.exists = true }, false},
		{"a start that failed", func(m *machine) {
			m.exists, m.held = true, &keeper.Held{Run: m.id, SpawnErr: fs.ErrNotExist}
		}, false},
		{"somebody in the group", func(m *machine) { m.exists = true; m.others[noPID+100] = true }, true},
		{"a group that cannot be read", func(m *machine) { m.exists, m.fail = true, always(fs.ErrPermission, "events") }, true},
		{"an attribute", func(m *machine) { m.exists, m.attrs[attrLeader] = true, []byte("{}") }, true},
		{"an exit, and no group", func(m *machine) {
			m.held = &keeper.Held{Run: m.id, ID: proc.ID{PID: noPID + 1}, Exit: &proc.Exit{Code: 5}}
		}, true},
	} {
		bubble(t, func(t *testing.T, m *machine) {
			m.newWorker(t).kill9()
			c.setup(m)
			w := m.adopt(t, process.Ending{})
			if (w.run != nil) != c.is {
				t.Errorf("%s: adopted: %v", c.name, !c.is)
			}
			if c.name == "an exit, and no group" {
				w.is("ending ended", process.CauseExit, "exit code 5")
			}
		})
	}
}

// That a run could not be started, or was ended before, was told: it is so for the next
// worker too, though it could not be recorded.
func TestAdoptionOfWhatHadNoLeader(t *testing.T) {
	for _, c := range []struct {
		cause process.Cause
		error string
		held  bool
	}{
		{process.CauseStart, unix.ENOSPC.Error(), false},
		{process.CauseStart, unix.ENOSPC.Error(), true},
		{process.CauseStop, "it was ended before it was started", false},
	} {
		bubble(t, func(t *testing.T, m *machine) {
			w := m.newWorker(t)
			m.spawnErr = unix.ENOSPC
			m.fail = func(op string) error {
				if op == "remove" { // its result is not on disk
					m.mu.Lock()
					w.die()
					m.mu.Unlock()
					runtime.Goexit()
				}
				return nil
			}
			if c.cause == process.CauseStop {
				w.do(func() {
					w.run = w.host.New(w.plan(process.Ending{}), w)
					w.hear(w.run.End(c.cause))
					w.run.Begin()
				})
			} else {
				w.begin(process.Ending{})
			}
			if !w.dead.Load() || w.run.Result().Cause != c.cause {
				t.Fatalf("it lives, after %+v", w.run.Result())
			}
			was := w.run.Result()
			m.relent()
			if !c.held {
				m.held = nil
			}
			time.Sleep(time.Minute)
			w = m.adopt(t, process.Ending{})
			if w.run == nil || !w.run.Known() {
				t.Fatalf("it is not adopted: %+v", w.run)
			}
			if r := w.run.Result(); r.Cause != c.cause || r.Error != c.error || !r.End.Equal(was.End) || !r.Start.IsZero() || (w.run.Failed() != nil) != (c.cause == process.CauseStart) {
				t.Errorf("was %+v\nis %+v, %v", was, r, w.run.Failed())
			}
		})
	}
}

// Of a leader that the keeper does not know, only its end is seen, and where that cannot
// be known it is looked at again.
func TestOrphans(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.newWorker(t).begin(process.Ending{}).kill9()
		m.orphans = true
		m.exit(proc.Exit{})
		w := m.adopt(t, process.Ending{})
		w.is("ending ended", process.CauseLost, Unseen)
		if w.run.Result().ExitCode != nil || w.run.Result().Uptime != 0 {
			t.Errorf("result %+v", w.run.Result())
		}
	})
	bubble(t, func(t *testing.T, m *machine) {
		m.newWorker(t).begin(process.Ending{}).kill9()
		m.orphans = true
		// A process that this /proc does not show: whether it is the leader is not known.
		m.leader.PID = os.Getpid()
		m.attrs[attrLeader] = fmt.Appendf(nil, `{"PID":%d,"Start":1}`, m.leader.PID)
		w := m.adopt(t, process.Ending{})
		w.pass(time.Minute)
		w.is("", 0, "")
		m.mu.Lock()
		m.away = true // the group is empty, its leader cannot be ended
		m.notify()
		m.mu.Unlock()
		w.pass(leaderGrace + killLimit)
		w.is("ending stuck", 0, "")
		if err := w.run.StuckError(); !strings.Contains(err.Error(), "does not show it") {
			t.Error(err)
		}
		m.show(proc.ID{PID: m.leader.PID, Start: 2}, "another", 0) // has its pid by now
		m.lives = false
		w.pass(mostLook)
		w.is("ending stuck ended", process.CauseLost, "")
	})
	bubble(t, func(t *testing.T, m *machine) { // nobody says who leads the group: its oldest process
		m.newWorker(t).begin(process.Ending{}).kill9()
		m.orphans = true
		delete(m.attrs, attrLeader)
		m.fork(2)
		m.mu.Lock()
		m.fail = always(unix.EMFILE, "pids")
		m.mu.Unlock()
		w := m.adopt(t, process.Ending{})
		if w.run.PID() != 0 {
			t.Errorf("pid %d", w.run.PID())
		}
		m.relent()
		if first, err := w.run.oldest(); first != m.leader || err != nil {
			t.Errorf("the oldest is %v, %v", first, err)
		}
		m.mu.Lock()
		m.lives = false
		m.mu.Unlock()
		w.pass(time.Minute)
		w.is("ending ended", process.CauseLost, "")
	})
}

// Output that cannot be read is tried again; should the run end before, once more.
func TestOutputThatCannotBeRead(t *testing.T) {
	for _, ends := range []bool{false, true} {
		bubble(t, func(t *testing.T, m *machine) {
			m.newWorker(t).begin(process.Ending{}).kill9()
			m.until(aWhile, unix.EMFILE, "move")
			w := m.adopt(t, process.Ending{})
			if !strings.Contains(w.run.OutputError(), "too many open files") {
				t.Error(w.run.OutputError())
			}
			if ends {
				m.until(500*time.Millisecond, unix.EMFILE, "move")
				m.exit(proc.Exit{})
				w.pass(time.Second)
			} else {
				w.pass(aWhile + mostBackoff)
				if w.run.OutputError() != "" || w.pumps != 1 || strings.Count(m.log.String(), "is tried again") != 1 {
					t.Errorf("%q, %d pumps; log:\n%s", w.run.OutputError(), w.pumps, &m.log)
				}
				m.exit(proc.Exit{})
				synctest.Wait()
			}
			w.is("ending ended", process.CauseExit, "")
			if len(w.open) != 1 || strings.Contains(m.log.String(), "is lost") {
				t.Errorf("it was opened %d times; log:\n%s", len(w.open), &m.log)
			}
		})
	}
	bubble(t, func(t *testing.T, m *machine) { // nobody can give a FIFO its name again
		w := m.newWorker(t).begin(process.Ending{})
		w.kill9()
		os.Remove(w.host.fifo(m.id))
		w = m.adopt(t, process.Ending{})
		w.pass(time.Minute)
		m.exit(proc.Exit{})
		w.pass(time.Second)
		w.is("ending ended", process.CauseExit, "")
		if strings.Contains(m.log.String(), "is lost") {
			t.Errorf("log:\n%s", &m.log)
		}
	})
}

func TestAdoptedRunThatCannotBeWatched(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.newWorker(t).begin(process.Ending{}).kill9()
		m.deaf, m.fail = true, always(unix.ENOSPC, "watch", "watch memory")
		w := m.adopt(t, process.Ending{})
		m.fork(1)
		w.end(process.CauseStop)
		m.exit(proc.Exit{})
		m.mu.Lock()
		m.end(nil, true) // nobody tells
		m.mu.Unlock()
		w.pass(mostPause)
		w.is("ending ended", process.CauseStop, "")
	})
}

// A deadline holds across workers.
func TestDeadlineOfAnAdoptedRun(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		ending := process.Ending{Deadline: time.Minute}
		w := m.newWorker(t).begin(ending)
		w.pass(time.Second)
		w.kill9()
		time.Sleep(time.Second)
		w = m.adopt(t, ending)
		w.pass(58*time.Second - 1)
		w.is("", 0, "")
		w.pass(1)
		w.is("ending ended", process.CauseDeadline, "")
		w.kill9()
	})
}

// Whatever step of a run meets a fault of ours, the run ends all the same: it is asked to,
// killed if it does not, and told of once.
func TestRecoverAtEachStep(t *testing.T) {
	ends := map[string]func(w *worker){
		"stop, the tree is deaf": func(w *worker) { w.deaf = true; w.fork(1); w.end(process.CauseStop) },
		"the leader ends":        func(w *worker) { w.exit(proc.Exit{}) },
		"and leaves others":      func(w *worker) { w.deaf = true; w.fork(1); w.exit(proc.Exit{}) },
		"the leader left": func(w *worker) {
			w.mu.Lock()
			w.away = true
			w.notify()
			w.mu.Unlock()
		},
		"for lack of memory": func(w *worker) {
			w.mu.Lock()
			w.ooms++
			memory := w.memory
			w.mu.Unlock()
			if memory != nil {
				memory()
			}
			w.pass(time.Second)
			w.end(process.CauseStop)
		},
	}
	for name, end := range ends {
		for _, early := range []bool{false, true} {
			for step, more := 1, true; more; step++ {
				more = false
				bubble(t, func(t *testing.T, m *machine) {
					w := m.newWorker(t)
					w.last, w.panics = step, true
					if early {
						m.spawn[0] = time.Second
					}
					w.begin(process.Ending{})
					if early {
						w.end(process.CauseStop)
					}
					w.pass(2 * time.Second)
					if !w.ended {
						end(w)
					}
					w.pass(process.DefaultStopTimeout + killLimit + leaderGrace)
					if more = w.faults > 0; !w.ended {
						t.Fatalf("%s, early %v, fault at step %d: it does not end: %+v, told %s; points %v", name, early, step, w.run.machine, kinds(w.told), w.points)
					}
					if w.pumps > 0 {
						t.Errorf("%s, early %v, fault at step %d: %d pumps are left", name, early, step, w.pumps)
					}
					w.kill9()
				})
				if t.Failed() {
					return
				}
			}
		}
	}
}

// Made-up lives: whatever happens to a run in whatever order, it is told of as a process
// can follow, and ends within its bounds as soon as that is possible.
func TestRandomRuns(t *testing.T) {
	dir := t.TempDir()
	lives, limit := uint64(0), time.Now().Add(2*time.Second)
	for ; time.Now().Before(limit) && !t.Failed(); lives += 100 {
		synctest.Test(t, func(t *testing.T) {
			for life := lives; life < lives+100 && !t.Failed(); life++ {
				m := newMachine(dir)
				randomLife(t, m, rand.New(rand.NewPCG(1, life)), life)
				m.close()
			}
		})
	}
	t.Logf("%d lives", lives)
}

func randomLife(t *testing.T, m *machine, r *rand.Rand, life uint64) {
	var happened []string
	defer func() {
		if t.Failed() {
			t.Errorf("life %d: %s\n%v\n%+v\nlog:\n%s", life, strings.Join(happened, ", "), m.worker.points, m.worker.run.machine, &m.log)
		}
	}()
	note := func(format string, args ...any) {
		happened = append(happened, fmt.Sprintf("%v %s", m.Now()-time.Hour, fmt.Sprintf(format, args...)))
	}
	chance := func(n int) bool { return r.IntN(n) == 0 }
	upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
	calm := true // nothing fails
	m.deaf, m.immortal, m.immune = chance(3), chance(6), chance(6)
	if chance(3) {
		m.spawn = [2]time.Duration{upTo(20 * time.Second), upTo(time.Second)}
	}
	if chance(8) {
		m.spawnErr = &proc.SpawnError{Step: "clone", Err: unix.EAGAIN}
	}
	if chance(2) {
		ops := []string{"admit", "make", "watch", "watch memory", "watch pids", "dir", "move", "events", "kill", "freeze", "thaw", "unfreeze", "set " + attrPause, "signal", "pids", "attr", "memory events", "usage",
			"kill leader", "set " + attrEnd, "set " + attrRun, "set " + attrLeader}
		op := ops[r.IntN(len(ops))]
		m.until(upTo(20*time.Second), []error{unix.EMFILE, unix.EIO}[r.IntN(2)], op)
		note("%s fails", op)
		calm = false
	}
	ending := process.Ending{}
	if chance(2) {
		m.probing = process.Probing{Ready: []string{"", "tcp:a:1", "delay:2s", "log:up", "notify"}[r.IntN(5)], ReadyTimeout: 1 + upTo(20*time.Second),
			Health: []string{"", "tcp:a:1"}[r.IntN(2)], HealthPeriod: time.Second, HealthFailures: 2, HealthAction: []string{"", process.HealthNone}[r.IntN(2)]}
		note("probes %+v", m.probing)
		answers := rand.New(rand.NewPCG(life, 2))
		m.answer = func(ctx context.Context, _ process.Probe) error {
			m.mu.Lock()
			n := answers.IntN(4)
			m.mu.Unlock()
			switch n {
			case 0:
				return errRefused
			case 1:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
	}
	if chance(4) {
		ending.Deadline = 1 + upTo(30*time.Second)
	}
	w := m.newWorker(t)
	fate := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch r.IntN(6) {
		case 0:
			w.last, w.panics = w.steps+1+r.IntN(40), true
			note("a fault at step %d", w.last)
		case 1:
			w.last, w.panics = w.steps+1+r.IntN(40), false
			note("the worker dies at step %d", w.last)
		}
	}
	fate()
	w.begin(ending)
	for range 5 + r.IntN(15) {
		if w.dead.Load() {
			note("another worker")
			if chance(8) {
				m.mu.Lock()
				m.orphans = true
				m.mu.Unlock()
			}
			w = m.adopt(t, ending)
			if w.run == nil { // it never was, or was dropped
				return
			}
			fate()
		}
		if w.ended {
			break
		}
		switch r.IntN(15) {
		case 13:
			note("pause")
			w.do(func() { w.hear(w.run.Pause()) })
		case 14:
			note("resume")
			w.do(func() { w.hear(w.run.GoOn()) })
		case 12:
			note("the run says that it is ready")
			w.Tell(w.saying(notify.Message{Ready: true}))
		case 0:
			note("end")
			w.end([]process.Cause{process.CauseStop, process.CauseShutdown}[r.IntN(2)])
		case 1:
			ending.Deadline = upTo(40 * time.Second)
			note("deadline %v", ending.Deadline)
			w.do(func() { w.run.Change(process.Spec{Ending: ending}) })
		case 2:
			note("signal")
			w.do(func() { w.run.Send(process.Signal(unix.SIGHUP), chance(2)) })
		case 3:
			m.mu.Lock()
			lives := m.lives
			m.mu.Unlock()
			if lives {
				note("exit")
				m.exit([]proc.Exit{{}, {Code: 1}, {Signal: unix.SIGKILL}, {Signal: unix.SIGSEGV}}[r.IntN(4)])
			}
		case 4:
			m.mu.Lock()
			populated := m.populated()
			m.mu.Unlock()
			if populated {
				note("fork")
				m.fork(1 + r.IntN(3))
			}
		case 5:
			if chance(3) {
				note("the leader leaves")
				m.mu.Lock()
				if was := m.populated(); m.lives {
					if m.away = true; was && !m.populated() {
						m.notify()
					}
				}
				m.mu.Unlock()
			}
		case 6:
			note("out of memory")
			m.mu.Lock()
			m.ooms++
			if w.memory != nil {
				w.memory()
			}
			m.mu.Unlock()
		case 7:
			m.mu.Lock()
			m.notify()
			m.mu.Unlock()
		case 8:
			if chance(3) {
				note("the worker is killed")
				w.kill9()
			}
		default:
			d := upTo([]time.Duration{time.Millisecond, time.Second, 15 * time.Second}[r.IntN(3)])
			note("%v pass", d)
			w.pass(d)
		}
		synctest.Wait()
		w.mu.Lock()
		if !w.dead.Load() && w.run.Still() && !m.frozen {
			t.Errorf("it is called paused, and goes on")
		}
		w.mu.Unlock()
	}
	// Now nothing stands in the way of its end any more.
	note("relent")
	w.mu.Lock()
	w.last = 0
	w.mu.Unlock()
	if w.dead.Load() {
		if w = m.adopt(t, ending); w.run == nil {
			return
		}
	}
	m.relent()
	synctest.Wait()
	if !w.ended {
		w.end(process.CauseStop)
		w.pass(m.spawn[0] + m.spawn[1] + process.DefaultStopTimeout + killLimit + 2*leaderGrace + 2*mostPause)
		if !w.ended && w.run.Stuck() { // SIGKILL could not be sent, and who asked was told so
			w.end(process.CauseStop)
			w.pass(killLimit)
		}
		if !w.ended && m.orphans && w.run.machine.Empty { // no kernel has the fake's pid
			return
		}
	}
	switch result := w.run.Result(); {
	case !w.ended:
		t.Errorf("it does not end: told %s", kinds(w.told))
	case w.pumps > 0:
		t.Errorf("%d pumps are left", w.pumps)
	case result.Cause == 0:
		t.Errorf("result %+v", result)
	case calm && !m.orphans && !m.away && math.Abs(result.Paused-m.stood.Seconds()) > .2:
		t.Errorf("it stood still for %v, and says %vs", m.stood, result.Paused)
	}
}

// Who asked for a run is what its group says. A group of an earlier program does not say it: then
// it is what is stored.
func TestWhoAskedStandsOnTheGroup(t *testing.T) {
	stored, noted := process.Asked{By: process.ByNeed, Name: "stored"}, process.Asked{By: process.ByNeed, Name: "noted"}
	for name, c := range map[string]struct {
		attr string
		want process.Asked
	}{
		"of this program":       {`{"Name":"web","Run":7,"JobID":"e1","Asked":{"by":"need","name":"noted"}}`, noted},
		"of an earlier program": {`{"Name":"web","Run":7,"JobID":"e1"}`, stored},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				w := m.newWorker(t).begin(process.Ending{})
				w.pass(time.Second)
				w.kill9()
				m.attrs[attrRun] = []byte(c.attr)
				w = m.newWorker(t)
				w.do(func() {
					plan := w.plan(process.Ending{})
					plan.Asked = stored
					w.run = w.host.Adopt(plan, Found{Group: fakeGroup{w}, Held: new(*m.held)}, w)
				})
				if got := w.run.Describe(); got.Asked != c.want || got.JobID != "e1" {
					t.Errorf("%+v", got)
				}
				w.do(w.run.Resume)
				w.do(w.run.ReadOutput)
				w.end(process.CauseStop)
				if got := w.run.Result(); got.Asked != c.want {
					t.Errorf("in the end: %+v", got)
				}
			})
		})
	}
}
