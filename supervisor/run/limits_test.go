package run

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var errLimited = errors.New("device is gone")

// limit has the run take up limits, and notes in told when it says that it follows them.
func (w *worker) limit(l process.Limits, told *[]error) {
	w.do(func() {
		w.run.Change(process.Spec{Limits: l})
		w.run.WhenLimited(func(err error) { *told = append(*told, err) })
	})
}

// peaks are the memory_max that the group had, one after the other.
func (m *machine) peaks() (all []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.limits {
		all = append(all, l.MemoryMax)
	}
	return all
}

// The first instruction of a run is limited already.
func TestLimitsHoldBeforeTheLeaderIsBorn(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.limited = process.Limits{MemoryMax: 1 << 20, CPUMax: 150_000, OOMKill: true}
		born := true
		m.fail = func(op string) error {
			if op == "limit" {
				born = m.lives
			}
			return nil
		}
		m.newWorker(t).begin(process.Ending{})
		if want := []cgroup.Limits{{MemoryMax: 1 << 20, CPUMax: 150_000, OOMKill: true}}; born || !reflect.DeepEqual(m.limits, want) {
			t.Errorf("born before: %v; %+v", born, m.limits)
		}
	})
}

// A run that cannot be limited is not started, and says why.
func TestARunThatCannotBeLimitedIsNotStarted(t *testing.T) {
	for _, refused := range []bool{true, false} { // before its group is made, or by that
		bubble(t, func(t *testing.T, m *machine) {
			m.limited = process.Limits{MemoryMax: 1 << 20}
			w := m.newWorker(t)
			m.fail = func(op string) error {
				if op == "limit" {
					return errLimited
				}
				return nil
			}
			if refused {
				w.host.CanLimit = func(process.Limits) error { return errLimited }
			}
			w.begin(process.Ending{})
			w.is("ending ended", process.CauseStart, errLimited.Error())
			if m.held != nil || slices.Contains(w.points, PointMade) == refused {
				t.Errorf("held %v, %v", m.held, w.points)
			}
		})
	}
}

// What has no limits costs no look at the files that would say so.
func TestARunWithoutLimitsIsNotLookedAt(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.kill9()
		w = m.adopt(t, process.Ending{})
		var told []error
		w.limit(process.Limits{}, &told)
		if len(m.limits) > 0 || !reflect.DeepEqual(told, []error{nil}) {
			t.Errorf("%+v, told %v", m.limits, told)
		}
	})
}

// A tree follows limits that change, those that change while others are being written too,
// and who waits is told when it does.
func TestATreeFollowsItsLimits(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.limited = process.Limits{MemoryMax: 1 << 20}
		w := m.newWorker(t).begin(process.Ending{})
		m.fail = func(op string) error {
			if op == "limit" {
				time.Sleep(time.Second)
			}
			return nil
		}
		var told, later []error
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		w.limit(process.Limits{MemoryMax: 3 << 20}, &told)
		w.limit(process.Limits{}, &later)
		w.pass(1500 * time.Millisecond)
		if len(told)+len(later) > 0 {
			t.Error("told before it follows the last of them")
		}
		w.pass(time.Second)
		if want := []uint64{1 << 20, 2 << 20, 0}; !slices.Equal(m.peaks(), want) || !reflect.DeepEqual(told, []error{nil, nil}) || !reflect.DeepEqual(later, []error{nil}) {
			t.Errorf("%v, told %v and %v", m.peaks(), told, later)
		}
	})
}

// What could not be written is told, and tried again by the next who asks for it.
func TestLimitsThatCannotBeWrittenAreTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.fail = func(op string) error {
			if op == "limit" {
				return errLimited
			}
			return nil
		}
		var told []error
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		if len(told) != 1 || !errors.Is(told[0], errLimited) || !strings.Contains(m.log.String(), errLimited.Error()) {
			t.Errorf("told %v, logged %s", told, &m.log)
		}
		m.relent()
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		if len(told) != 2 || told[1] != nil || !slices.Equal(m.peaks(), []uint64{2 << 20}) {
			t.Errorf("told %v, %v", told, m.peaks())
		}
		// What it had before may hold or not: it is written.
		m.fail = func(op string) error {
			if op == "limit" {
				return errLimited
			}
			return nil
		}
		w.limit(process.Limits{MemoryMax: 4 << 20}, &told)
		m.relent()
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		if !slices.Equal(m.peaks(), []uint64{2 << 20, 2 << 20}) {
			t.Errorf("%v", m.peaks())
		}
	})
}

// Nobody waits for ever: neither for a kernel that takes memory away, nor for a run that ends
// meanwhile.
func TestWhoWaitsForLimitsIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		m.fail = func(op string) error {
			if op == "limit" {
				time.Sleep(time.Minute)
			}
			return nil
		}
		var told []error
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		w.pass(limitsLimit - 1)
		if len(told) > 0 {
			t.Errorf("told %v at once", told)
		}
		w.pass(1)
		if len(told) != 1 || told[0] == nil {
			t.Fatalf("told %v", told)
		}
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told) // it waits too
		w.end(process.CauseStop)
		w.pass(30 * time.Second)
		if len(told) != 2 || told[1] == nil && !w.ended {
			t.Errorf("told %v, ended %v", told, w.ended)
		}
	})
}

// A worker that dies before it has written what the definition says leaves that to the next.
func TestTheNextWorkerHasLimitsHold(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		w.kill9()
		m.limited = process.Limits{MemoryMax: 1 << 20}
		m.adopt(t, process.Ending{})
		if !slices.Equal(m.peaks(), []uint64{1 << 20}) {
			t.Errorf("%v", m.peaks())
		}
	})
}

// Limits that nobody asks for do not stay on a tree: a worker may die before the definition that
// has them is on disk, or before it has taken them back.
func TestTheNextWorkerTakesBackLimitsThatNobodyAsksFor(t *testing.T) {
	for name, begun := range map[string]process.Limits{"set while it ran": {}, "taken back while it ran": {MemoryMax: 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, m *machine) {
				m.limited = begun
				w := m.newWorker(t).begin(process.Ending{})
				if begun == (process.Limits{}) {
					var told []error
					w.limit(process.Limits{MemoryMax: 1 << 20}, &told)
				}
				w.kill9()
				m.limited = process.Limits{}
				w = m.adopt(t, process.Ending{})
				if want := []uint64{1 << 20, 0}; !slices.Equal(m.peaks(), want) {
					t.Errorf("%v, want %v", m.peaks(), want)
				}
				w.kill9()
				m.adopt(t, process.Ending{})
				if got := m.peaks(); got[len(got)-1] != 0 {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// A path that leads to no disk any more is told, and is not taken for a group that is gone.
func TestADiskThatIsGoneIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		w := m.newWorker(t).begin(process.Ending{})
		var told []error
		w.limit(process.Limits{IOMax: m.dir + "/gone rbps=1"}, &told)
		if len(told) != 1 || !errors.Is(told[0], os.ErrNotExist) {
			t.Errorf("told %v", told)
		}
	})
}

// Limits that change while the leader is being born hold as soon as it is.
func TestLimitsThatChangeDuringABirth(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.limited = process.Limits{MemoryMax: 1 << 20}
		m.spawn[1] = time.Second
		w := m.newWorker(t).begin(process.Ending{})
		var told []error
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		early := len(told)
		w.pass(2 * time.Second)
		if !slices.Equal(m.peaks(), []uint64{1 << 20, 2 << 20}) || early > 0 || !reflect.DeepEqual(told, []error{nil}) {
			t.Errorf("%v, told %v, %d of them early", m.peaks(), told, early)
		}
	})
}

// Who waits for a run that is long in being born is told so, and the limits hold when it is.
func TestLimitsOfARunThatIsLongInBeingBorn(t *testing.T) {
	bubble(t, func(t *testing.T, m *machine) {
		m.spawn[1] = time.Minute
		w := m.newWorker(t).begin(process.Ending{})
		var told []error
		w.limit(process.Limits{MemoryMax: 2 << 20}, &told)
		w.pass(limitsLimit)
		if len(told) != 1 || told[0] == nil || !strings.Contains(told[0].Error(), "not started") {
			t.Errorf("told %v", told)
		}
		w.pass(time.Minute)
		if !slices.Equal(m.peaks(), []uint64{2 << 20}) {
			t.Errorf("%v", m.peaks())
		}
	})
}

func TestDevicesAreDisks(t *testing.T) {
	memory := t.TempDir()
	if _, err := KernelLimits(process.Limits{IOMax: "/proc rbps=1"}, "/proc"); !errors.Is(err, cgroup.ErrNoDisk) || !strings.HasPrefix(err.Error(), "io_max: /proc is on a file system of type proc") {
		t.Errorf("procfs: %v", err)
	}
	if _, err := KernelLimits(process.Limits{IOMax: "/dev/null rbps=1"}, "/proc"); !errors.Is(err, cgroup.ErrNoDisk) {
		t.Errorf("a character device: %v", err)
	}
	if _, err := KernelLimits(process.Limits{IOMax: memory + "/no rbps=1"}, "/proc"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	disk, err := cgroup.DiskOf("/proc", "/sys", memory)
	if err != nil {
		t.Skip("the directory for tests is on no disk:", err)
	}
	dir := filepath.Join(memory, "a b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := KernelLimits(process.Limits{IOMax: dir + " rbps=7 wiops=9"}, "/proc")
	if want := []cgroup.DiskMax{{Disk: disk, ReadBytes: 7, WriteOperations: 9}}; err != nil || !reflect.DeepEqual(l.IOMax, want) {
		t.Errorf("%+v, %v", l.IOMax, err)
	}
	if _, err := KernelLimits(process.Limits{IOMax: dir + " rbps=7\n" + memory + " rbps=8"}, "/proc"); err == nil || !strings.Contains(err.Error(), "on the same disk") {
		t.Errorf("two of one disk: %v", err)
	}
}

// A path whose file system hangs holds nobody up for long, and takes one thread however often it
// is asked for.
func TestAPathThatHangsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		answers := make(chan struct{})
		defer func(was func(string, string, string) (cgroup.Disk, error)) { diskOf = was }(diskOf)
		diskOf = func(_, _, path string) (cgroup.Disk, error) {
			if path == "/hung" {
				asked.Add(1)
				<-answers
			}
			return cgroup.Disk{Major: 8}, nil
		}
		began := time.Now()
		for range 3 {
			if _, err := KernelLimits(process.Limits{IOMax: "/hung rbps=1"}, "/proc"); err == nil || !strings.HasPrefix(err.Error(), "io_max: /hung does not answer for") {
				t.Errorf("it hangs: %v", err)
			}
		}
		if passed := time.Since(began); passed != diskLimit || asked.Load() != 1 {
			t.Errorf("%v passed, it was asked %d times", passed, asked.Load())
		}
		if _, err := KernelLimits(process.Limits{IOMax: "/srv rbps=1"}, "/proc"); err != nil {
			t.Errorf("another path: %v", err)
		}
		close(answers)
		synctest.Wait()
		l, err := KernelLimits(process.Limits{IOMax: "/hung rbps=1"}, "/proc")
		if err != nil || len(l.IOMax) != 1 || asked.Load() != 2 || len(disks.under) > 0 {
			t.Errorf("it answers again: %+v, %v, asked %d times, %v", l, err, asked.Load(), disks.under)
		}
	})
}
