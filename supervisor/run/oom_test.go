package run

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestOnlyAKillThatTheLeaderHasNotOutlivedIsItsOwn(t *testing.T) {
	killed, ended := &proc.Exit{Signal: 9}, &proc.Exit{Code: 137}
	for _, c := range []struct {
		exit            *proc.Exit
		kills, outlived uint64
		named           uint64 // of the kills
		leader          bool   // is one of these
		want            bool
	}{
		{killed, 0, 0, 0, false, false}, // somebody else's SIGKILL
		{killed, 1, 0, 0, false, true},
		{killed, 1, 1, 0, false, false}, // a child's, and then somebody else's SIGKILL
		{killed, 3, 2, 0, false, true},
		{killed, 3, 2, 2, false, true},
		{killed, 3, 2, 3, false, false}, // the log says whom: only others
		{killed, 3, 2, 3, true, true},
		{ended, 1, 0, 0, false, false},                  // a child's, which the shell passes on
		{&proc.Exit{Signal: 15}, 1, 0, 0, false, false}, // SIGTERM
		{nil, 1, 0, 0, false, false},
	} {
		o := oomAttr{OOM: process.OOM{Kills: c.kills}, Named: c.named, Leader: c.leader}
		if got := isOOM(c.exit, o, c.outlived); got != c.want {
			t.Errorf("%v after %+v, %d outlived: %v", c.exit, o, c.outlived, got)
		}
	}
}

func TestKillsForLackOfMemoryAreSaid(t *testing.T) {
	o := silent{}
	run := func(cause process.Cause, code int) process.Run {
		r := process.Run{Number: 1, Cause: cause, Signal: 9}
		if code > 0 {
			r.ExitCode, r.Signal = &code, 0
		}
		return r
	}
	kills := func(n uint64) *process.OOM { return &process.OOM{Kills: n, Limit: process.OOMRun, MaxBytes: 64 << 20} }
	tree := kills(4)
	tree.Tree = true
	for _, c := range []struct {
		run  process.Run
		oom  *process.OOM
		want string
	}{
		{run(process.CauseExit, 137), nil, "exit code 137"},
		{run(process.CauseExit, 137), kills(1), "exit code 137; one of its processes was killed for lack of memory (its own memory_max of 64M)"},
		{run(process.CauseExit, 1), kills(2), "exit code 1; 2 of its processes were killed for lack of memory (its own memory_max of 64M)"},
		{run(process.CauseSignal, 0), &process.OOM{Kills: 1}, "ended by SIGKILL; one of its processes was killed for lack of memory"},
		{run(process.CauseOOM, 0), kills(1), "killed for lack of memory: its own memory_max of 64M"},
		{run(process.CauseOOM, 0), tree, "killed for lack of memory with all its processes: its own memory_max of 64M"},
		{run(process.CauseOOM, 0), nil, "killed for lack of memory"},
	} {
		c.run.OOM = c.oom
		if got := explain(c.run, &process.Spec{}, o); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// silent is the output of runs that say nothing.
type silent struct{}

func (silent) Begin(uint64)                                        {}
func (silent) Move(uint64, *os.File) (Pump, error)                 { return nil, nil }
func (silent) LastLine(uint64) string                              { return "" }
func (silent) Await(context.Context, uint64, *regexp.Regexp) error { return nil }

// starve has the kernel end processes of the tree for lack of memory; its log names some.
func (m *machine) starve(kills uint64, named ...Kill) {
	m.mu.Lock()
	m.ooms += kills
	m.kernelLog = append(m.kernelLog, named...)
	changed := m.worker.memory
	m.mu.Unlock()
	if changed != nil {
		changed()
	}
	synctest.Wait()
}

// Whom the kernel has ended, and whose limit it was, outlives the worker, and what was said of
// it when the kernel's log has dropped that.
func TestVictimsAreKeptAcrossWorkers(t *testing.T) {
	victim := func(n uint64, pid int, limit process.OOMLimit) Kill {
		return Kill{Number: n, Victim: process.Victim{PID: pid, Name: "child"}, Limit: limit, MaxBytes: 1 << 20}
	}
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.starve(2, victim(11, 100, process.OOMMachine), victim(12, 101, process.OOMRun))
		m.starve(1) // that the log does not name
		w.kill9()
		m.mu.Lock()
		m.kernelLog = []Kill{victim(40, 102, process.OOMAll)}
		m.ooms++ // while nobody is there
		m.mu.Unlock()
		w = m.adopt(t, process.Ending{})
		w.pass(time.Second)
		want := &process.OOM{Kills: 4, Victims: []process.Victim{{PID: 100, Name: "child"}, {PID: 101, Name: "child"}, {PID: 102, Name: "child"}},
			Limit: process.OOMAll, MaxBytes: 1 << 20}
		if got := w.run.Describe().OOM; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		for i := range uint64(20) {
			m.starve(1, victim(50+i, 200+int(i), process.OOMRun))
		}
		m.exit(proc.Exit{Code: 3})
		synctest.Wait()
		got := w.run.Result().OOM
		if got.Kills != 24 || len(got.Victims) != process.MaxVictims || got.Victims[process.MaxVictims-1].PID != 219 || got.Limit != process.OOMRun {
			t.Errorf("%+v", got)
		}
		if w.run.Result().Cause != process.CauseExit {
			t.Error(w.run.Result().Cause)
		}
	})
}

// The log tells the leader's own end from that of others, however close.
func TestTheKernelsLogSaysWhetherTheLeaderWasMeant(t *testing.T) {
	for _, meant := range []bool{false, true} {
		bubble(t, func(t *testing.T, m *machine) {
			w := m.newWorker(t).begin(process.Ending{})
			k := Kill{Number: 1, Victim: process.Victim{PID: 7, Name: "child"}, Limit: process.OOMRun}
			want := process.CauseSignal
			if meant {
				k.PID, want = m.leader.PID, process.CauseOOM
			}
			m.starve(1, k)
			m.exit(proc.Exit{Signal: unix.SIGKILL})
			synctest.Wait()
			if got := w.run.Result().Cause; got != want {
				t.Errorf("cause %v, want %v", got, want)
			}
		})
	}
}

// A run that had the name before may have left its kills in the log.
func TestKillsOfAnEarlierRunAreNotThisOnes(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		var all []Kill
		for i := range 3 {
			all = append(all, Kill{Number: 1 + uint64(i), Victim: process.Victim{PID: i + 1, Name: "x"}})
		}
		m.starve(1, all...)
		if got := w.run.Describe().OOM.Victims; len(got) != 1 || got[0].PID != 3 {
			t.Errorf("%v", got)
		}
	})
}

// The kernel names a kill before it counts it: that the next one of the tree is named already
// does not hide that the leader was the first.
func TestAKillThatIsNotCountedYetDoesNotHideTheLeaders(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.starve(1, Kill{Number: 1, Victim: process.Victim{PID: m.leader.PID, Name: "leader"}}, Kill{Number: 2, Victim: process.Victim{PID: 7, Name: "child"}})
		m.exit(proc.Exit{Signal: unix.SIGKILL})
		synctest.Wait()
		r := w.run.Result()
		if r.Cause != process.CauseOOM || len(r.OOM.Victims) != 2 || r.OOM.Victims[0].Name != "leader" {
			t.Errorf("cause %v, %+v", r.Cause, r.OOM)
		}
	})
}

// Without a log counters say whose limit it was.
func TestCountersSayWhoseLimitItWas(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		for i, want := range []process.OOMLimit{process.OOMMachine, process.OOMRun, process.OOMMachine} {
			if want == process.OOMRun {
				m.events.OOM++
			}
			m.starve(1)
			w.pass(noticePause)
			if got := w.run.Describe().OOM; got.Limit != want || got.Kills != uint64(i+1) || got.Victims != nil {
				t.Errorf("%+v, want %s", got, want)
			}
		}
	})
}

// The kernel counts members of a tree that it ends as a whole one by one, and the reason once.
func TestATreeThatIsEndedAsAWholeHasOneReason(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.events.OOM = 1
		m.starve(1)
		m.events.OOMGroupKill = 1
		m.starve(1) // the one that was chosen, again
		m.starve(1, Kill{Number: 1, Victim: process.Victim{PID: 99, Name: "sleep"}})
		m.starve(1)
		m.exit(proc.Exit{Signal: unix.SIGKILL})
		synctest.Wait()
		want := &process.OOM{Kills: 4, Victims: []process.Victim{{PID: 99, Name: "sleep"}}, Limit: process.OOMRun, MaxBytes: 64 << 20, Tree: true}
		if r := w.run.Result(); !reflect.DeepEqual(r.OOM, want) || r.Cause != process.CauseOOM {
			t.Errorf("cause %v, %+v, want %+v", r.Cause, r.OOM, want)
		}
	})
}
