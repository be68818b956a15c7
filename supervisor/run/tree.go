package run

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// How many bytes of a command are told: those of many processes together may be much.
const (
	maxCommand       = 4 << 10
	manyProcesses    = 1000
	maxCommandOfMany = 256
)

// treeLimit is how long a look at all processes of a tree may take. There may be very many.
const treeLimit = 10 * time.Second

// Tree is every kernel process of the run, nested groups included, and the zombies that
// its processes have not waited for. leader is 0 where it has ended. keeper is who gets those
// whose parent ends. It is read from a tree that lives: one that ends meanwhile is left out,
// and a group that is gone has none.
//
// It does not wait for long for a process that cannot be looked at: see looks.
func (m *Meter) Tree(leader, keeper int) ([]process.KernelProcess, error) {
	all, err := m.trees.at("", treeLimit, func() ([]process.KernelProcess, error) { return m.tree(leader, keeper) })
	if err == errNoAnswer {
		err = fmt.Errorf("one of its processes cannot be looked at for %v: it waits for a file system that hangs, perhaps", treeLimit)
	}
	return all, err
}

func (m *Meter) tree(leader, keeper int) ([]process.KernelProcess, error) {
	pids, err := m.group.Pids()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	looks, err := m.see(pids)
	if err != nil {
		return nil, err
	}
	dead, err := m.zombies(looks)
	if err != nil {
		return nil, err
	}
	// A pid that is not listed any more may have been another's when it was looked at.
	if pids, err = m.group.Pids(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listed := make(map[int]bool, len(pids))
	for _, pid := range pids {
		listed[pid] = true
	}
	looks = slices.DeleteFunc(looks, func(l proc.Look) bool { return !listed[l.PID] })
	dead = slices.DeleteFunc(dead, func(l proc.Look) bool { return !listed[l.Parent] }) // or it is another's by now
	looks = append(looks, dead...)

	now := proc.BootTime()
	reapers := []int{1, keeper}
	for _, l := range looks {
		if l.PID == leader { // the keeper may have been another one
			reapers = append(reapers, l.Parent)
		}
	}
	all := make([]process.KernelProcess, 0, len(looks))
	for _, l := range looks {
		all = append(all, process.KernelProcess{
			PID: l.PID, ParentPID: l.Parent, Main: l.PID == leader, Group: l.Group, Session: l.Session,
			Reparented: l.PID != leader && m.reparented(l, reapers),
			State:      process.KernelStateOf(l.State), Age: max(now-l.Boot(), 0).Seconds(), CPU: l.CPU.Microseconds(),
			RSS: l.RSS, Threads: l.Threads, Command: l.Command,
		})
	}
	return process.Arrange(all), nil
}

// see looks at those that are there.
func (m *Meter) see(pids []int) (looks []proc.Look, err error) {
	most := maxCommand
	if len(pids) > manyProcesses {
		most = maxCommandOfMany
	}
	for _, pid := range pids {
		look, err := proc.See(m.proc, pid, most)
		switch {
		case err == nil:
			looks = append(looks, look)
		case !proc.Gone(err):
			return nil, err
		}
	}
	return looks, nil
}

// zombies are the children of processes of the tree that have ended and were not waited for:
// no group lists those.
func (m *Meter) zombies(parents []proc.Look) (dead []proc.Look, err error) {
	known := make(map[int]bool, len(parents))
	for _, l := range parents {
		known[l.PID] = true
	}
	for _, parent := range parents {
		children, err := proc.Children(m.proc, parent.PID)
		if err != nil && !proc.Gone(err) {
			return nil, err
		}
		children = slices.DeleteFunc(children, func(pid int) bool { return known[pid] })
		looks, err := m.see(children)
		if err != nil {
			return nil, err
		}
		for _, l := range looks {
			if l.State != 'Z' || l.Parent != parent.PID {
				continue
			}
			if ours, err := m.group.Holds(l.PID); ours && err == nil {
				dead = append(dead, l)
			}
		}
	}
	return dead, nil
}

// reparented reports whether who made a process has ended.
func (m *Meter) reparented(l proc.Look, reapers []int) bool {
	if slices.Contains(reapers, l.Parent) {
		return true
	}
	if l.Parent == 0 { // it is in another pid namespace
		return false
	}
	parent, err := proc.See(m.proc, l.Parent, 0)
	return proc.Gone(err) || parent.State == 'Z' // it has ended since
}
