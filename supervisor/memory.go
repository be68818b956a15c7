package supervisor

import (
	"errors"
	"io/fs"
	"log"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/kernellog"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// memory tells of kills for lack of memory by the kernel's log and, where that cannot be read
// or does not tell, by the counters of the groups above those of the runs. It is a [run.Memory].
type memory struct {
	kernel *kernellog.Log // nil: pids and groups in it are of other namespaces than ours
	groups cgroup.Group   // that holds those of the runs
	log    *log.Logger
	told   sync.Once // why the kernel's log cannot be read

	mu   sync.Mutex
	seen map[string]reached // by the paths of the groups that hold those of the runs
}

// reached is how often the limit of a group was reached, and when that was seen to have grown.
type reached struct {
	times uint64
	grew  time.Time
}

// reachedTime is for how long a limit that was reached may be why something is ended. It is long:
// one worker dies, the next one finds what was ended meanwhile.
const reachedTime = 30 * time.Second

// newMemory reads the kernel's log of a machine whose procfs is at procfs.
func newMemory(groups cgroup.Group, procfs string, log *log.Logger) *memory {
	m := &memory{groups: groups, log: log}
	view, viewErr := groups.View()
	pids, pidsErr := proc.HasHostPids(procfs)
	if viewErr == nil && pidsErr == nil && view.IsHost() && pids { // elsewhere nothing in it can be compared
		m.kernel = kernellog.New("/dev/kmsg")
	}
	m.last() // what was reached long ago is not taken for news later
	return m
}

func (m *memory) close() {
	if m != nil && m.kernel != nil {
		m.kernel.Close()
	}
}

// Kills are those that the kernel's log names. See [run.Memory].
func (m *memory) Kills(g run.Group, since time.Duration, behind uint64) (kills []run.Kill) {
	if m.kernel == nil {
		return nil
	}
	own := g.(cgroup.Group)
	all, err := m.kernel.Kills(own.Full())
	if err != nil {
		m.told.Do(func() {
			if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
				m.log.Printf("whom the kernel ends for lack of memory is not named: %v", err)
			}
		})
	}
	since = logTime(since)
	for _, k := range all {
		if k.Number > behind && k.Time >= since {
			one := run.Kill{Number: k.Number, Victim: process.Victim{PID: k.PID, Name: k.Name}}
			one.Limit, one.MaxBytes = m.whose(own, k)
			kills = append(kills, one)
		}
	}
	return kills
}

// logTime is the latest time by the clock of the kernel's log that is surely before a time by
// proc.BootTime. The log's clock stands still in suspend, and nobody sets it right.
func logTime(boot time.Duration) time.Duration {
	now := proc.BootTime()
	suspended := now - proc.AwakeTime()
	return boot - suspended - time.Second - now/1000
}

// whose is the limit that was reached, and how much it is where it is that of one group.
func (m *memory) whose(own cgroup.Group, k kernellog.Kill) (process.OOMLimit, uint64) {
	switch {
	case k.Machine:
		return process.OOMMachine, 0
	case k.Limit == "":
		return "", 0
	case k.Limit == own.Full():
		return process.OOMRun, limitOf(own)
	case kernellog.Holds(own.Full(), k.Limit): // the tree has limited a part of itself
		return process.OOMRun, 0
	}
	for _, g := range m.ours() {
		if k.Limit == g.Full() {
			return process.OOMAll, limitOf(g)
		}
	}
	return process.OOMAbove, 0
}

// ours are the groups that hold all runs and no process of others.
func (m *memory) ours() []cgroup.Group {
	list := []cgroup.Group{m.groups}
	if instance, ok := m.groups.Parent(); ok {
		list = append(list, instance)
	}
	return list
}

func limitOf(g cgroup.Group) uint64 {
	limit, _, _ := g.MemoryMax() // 0 without one
	return limit
}

// Blame goes by counters. See [run.Memory].
func (m *memory) Blame(g run.Group, own bool) (process.OOMLimit, uint64) {
	if own {
		tree := g.(cgroup.Group)
		if e, err := tree.OwnMemoryEvents(); err == nil && e.OOM > 0 {
			return process.OOMRun, limitOf(tree)
		}
		return process.OOMRun, 0
	}
	switch above, level := m.last(); {
	case level >= len(m.ours()):
		return process.OOMAbove, 0
	case level >= 0:
		return process.OOMAll, limitOf(above)
	}
	if m.groups.Contained() {
		return "", 0 // a group that cannot be seen, or the machine
	}
	return process.OOMMachine, 0
}

// last is the group above those of the runs whose own limit was the last to be reached, a while
// ago at most, and at which level it is; -1: none was. A group counts what was reached since it
// was made, which may be years: only what has grown counts.
func (m *memory) last() (group cgroup.Group, level int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[string]reached{}
	}
	now, when := time.Now(), time.Time{}
	level = -1
	above, ok := m.groups, true
	for i := 0; ok; i++ {
		e, err := above.OwnMemoryEvents()
		seen := m.seen[above.Path()]
		if err == nil && e.OOM != seen.times {
			if e.OOM > seen.times { // else it was made anew
				seen.grew = now
			}
			seen.times = e.OOM
			m.seen[above.Path()] = seen
		}
		if seen.grew.After(when) && now.Sub(seen.grew) < reachedTime { // of two at once the nearer one
			group, level, when = above, i, seen.grew
		}
		above, ok = above.Parent()
	}
	return group, level
}
