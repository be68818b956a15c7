package process

import (
	"cmp"
	"slices"
)

// Tree is the kernel processes of the runs of a process that are under way.
type Tree struct {
	Name  string
	State State
	Runs  []RunTree // the oldest first
	Err   error     // why there is nothing to tell
}

// RunTree is the kernel processes of one run.
type RunTree struct {
	Run       uint64          `json:"run"`
	State     State           `json:"status"`
	PID       int             `json:"pid"`       // of the leader; 0 without one
	Processes []KernelProcess `json:"processes"` // each behind the one that it stands below
}

// KernelProcess is a process as the kernel has it: with all its threads, at one moment.
type KernelProcess struct {
	PID       int `json:"pid"`
	ParentPID int `json:"parent_pid"`      // as the kernel has it; 0: outside of our pid namespace
	Under     int `json:"under,omitempty"` // pid of the one that it stands below; 0: below none
	Level     int `json:"level"`           // how many stand above it

	// Reparented says that who made it has ended. It stands below the first process of its
	// process group or else of its session, if that is in the tree.
	Reparented bool `json:"reparented,omitempty"`
	Main       bool `json:"main,omitempty"` // it is the leader of the run

	Group   int `json:"process_group"` // pid of its first process, which may have ended
	Session int `json:"session"`       // the same

	State   KernelState `json:"state"`
	Age     float64     `json:"age_seconds"`
	CPU     int64       `json:"cpu_usec"`  // user and system, to 10 ms, of itself alone
	RSS     uint64      `json:"rss_bytes"` // what it shares with others counts in each
	Threads int         `json:"threads"`
	Command string      `json:"command"` // its arguments, or its [name] where it shows none
}

// KernelState is what the kernel says that a process does.
type KernelState string

// The states.
const (
	KernelRunning  KernelState = "running"
	KernelSleeping KernelState = "sleeping"
	KernelDisk     KernelState = "uninterruptible" // waits in the kernel, most often for a disk, and no signal ends it
	KernelStopped  KernelState = "stopped"         // by a signal
	KernelTraced   KernelState = "traced"          // stopped by a debugger
	KernelZombie   KernelState = "zombie"          // has ended, and its parent has not taken notice
	KernelIdle     KernelState = "idle"
)

// KernelStateOf is the state that /proc/PID/stat has a letter for.
func KernelStateOf(letter byte) KernelState {
	switch letter {
	case 'R':
		return KernelRunning
	case 'D':
		return KernelDisk
	case 'T':
		return KernelStopped
	case 't':
		return KernelTraced
	case 'Z', 'X':
		return KernelZombie
	case 'I':
		return KernelIdle
	}
	return KernelSleeping
}

// Arrange sorts the kernel processes of a run so that each stands behind the one that it
// belongs below, the older ones first, and sets Under and Level. The leader is the first.
//
// Who made a process that was reparented is not known any more. What it still has in common
// with others is its process group and its session, whose first processes are older than it.
func Arrange(all []KernelProcess) []KernelProcess {
	at := make(map[int]int, len(all))
	for i, p := range all {
		at[p.PID] = i
	}
	older := func(pid int, than *KernelProcess) bool { // else it is another one of that pid
		i, there := at[pid]
		return there && pid != than.PID && all[i].Age >= than.Age
	}
	below := map[int][]int{}
	for i := range all {
		p := &all[i]
		p.Under = 0
		switch {
		case p.Main:
		case older(p.ParentPID, p):
			p.Under = p.ParentPID
		case p.Reparented && older(p.Group, p):
			p.Under = p.Group
		case p.Reparented && older(p.Session, p):
			p.Under = p.Session
		}
		below[p.Under] = append(below[p.Under], i)
	}
	for _, same := range below {
		slices.SortFunc(same, func(a, b int) int {
			p, q := &all[a], &all[b]
			switch {
			case p.Main:
				return -1
			case q.Main:
				return 1
			}
			return cmp.Or(cmp.Compare(q.Age, p.Age), cmp.Compare(p.PID, q.PID))
		})
	}
	sorted := make([]KernelProcess, 0, len(all))
	var put func(i, level int)
	put = func(i, level int) {
		if _, left := at[all[i].PID]; !left {
			return
		}
		delete(at, all[i].PID)
		p := all[i]
		p.Level = level
		sorted = append(sorted, p)
		for _, child := range below[p.PID] {
			put(child, level+1)
		}
	}
	for _, i := range below[0] {
		put(i, 0)
	}
	for i := range all { // a ring cannot be, but what was read at several moments could have one
		if _, left := at[all[i].PID]; left {
			all[i].Under = 0
			put(i, 0)
		}
	}
	return sorted
}

// tree is a Tree that could be told, in JSON.
type tree struct {
	Name  string    `json:"name"`
	State State     `json:"status"`
	Runs  []RunTree `json:"runs"`
}

// MarshalJSON writes the tree, or the failure.
func (t Tree) MarshalJSON() ([]byte, error) {
	return marshalOr(t.Name, t.Err, tree{t.Name, t.State, t.Runs})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Tree) UnmarshalJSON(data []byte) error {
	var is tree
	name, failed, err := unmarshalOr(data, &is)
	*t = Tree{Name: name, State: is.State, Runs: is.Runs, Err: failed}
	return err
}
