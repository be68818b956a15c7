package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
)

// controllers are those that accounting and limits can use.
var controllers = []string{"cpu", "memory", "pids", "io"}

// groups is the daemon's part of the cgroup tree:
//
//	<delegated root>/processmanager-<id>/daemon   the manager itself
//	<delegated root>/processmanager-<id>/p        one group per run
type groups struct {
	hierarchy *cgroup.Hierarchy
	origin    string       // where this process came from
	root      cgroup.Group // the delegated root
	madeRoot  bool
	shared    bool // with processes of others, so that no controllers can be had
	instance  cgroup.Group
	made      []cgroup.Group // by this start
	locks     []*os.File
}

// openGroups finds the hierarchy, makes and locks the instance's group, and moves
// this process into it.
func openGroups(p *places) (g *groups, err error) {
	in, err := loadInstance(p.State)
	if err != nil {
		return nil, err
	}
	h, err := cgroup.FindOrMount("/proc", p.Runtime+"/cgroup")
	if err != nil {
		return nil, err
	}
	g = &groups{hierarchy: h}
	if g.origin, err = h.Self(0); err != nil {
		return nil, err
	}
	if g.root, err = g.chooseRoot(p.Cgroup, in.Root); err != nil {
		return nil, err
	}
	g.instance = g.root.Child("processmanager-" + in.ID)
	p.Cgroup = g.root.Path()
	if err := g.take(); err != nil {
		g.leave(false)
		if errors.Is(err, cgroup.ErrLocked) {
			pids, _ := g.daemon().Pids()
			return nil, fmt.Errorf("the group %s is in use by the daemon with pids %v; if %s is a copy of that daemon's state directory, remove instance.json from it",
				g.instance.Path(), pids, p.State)
		}
		return nil, fmt.Errorf("no group can be made below %s: %w; give a directory of cgroup v2 that belongs to you with -cgroup", g.root.Path(), err)
	}
	// A daemon of this instance that was killed has left it to us.
	g.madeRoot = g.madeRoot || in.MadeRoot && in.Root == g.root.Path()
	in.Root, in.MadeRoot = g.root.Path(), g.madeRoot
	return g, in.save(p.State)
}

// take makes and locks the instance's group and moves this process into it.
func (g *groups) take() (err error) {
	if g.madeRoot, err = makeRoot(g.root); err != nil {
		return err
	}
	for _, group := range []cgroup.Group{g.instance, g.daemon(), g.runs()} {
		switch err := group.Make(); {
		case err == nil:
			g.made = append(g.made, group)
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	if err := g.hold(); err != nil {
		return err
	}
	if err := g.daemon().Enter(os.Getpid()); err != nil {
		return err
	}
	return g.enable()
}

// hold locks the instance's group, or finds that another daemon holds it, whose state
// directory was copied. Former versions hold the lock of the directory. Anybody can do
// that, so it counts only if one of the processes in our own group does.
func (g *groups) hold() error {
	lock, err := g.instance.Lock()
	if err != nil {
		return err
	}
	g.locks = append(g.locks, lock)
	dir, err := g.instance.LockDir()
	switch {
	case errors.Is(err, cgroup.ErrLocked):
		defer dir.Close()
		holders, _ := proc.LockHolders("/proc", dir)
		daemon, _ := g.daemon().Pids()
		if slices.ContainsFunc(holders, func(pid int) bool { return slices.Contains(daemon, pid) }) {
			return err
		}
	case err == nil: // a former version finds us
		g.locks = append(g.locks, dir)
	}
	return nil
}

func (g *groups) daemon() cgroup.Group { return g.instance.Child("daemon") }
func (g *groups) runs() cgroup.Group   { return g.instance.Child("p") }

// chooseRoot is the root that was asked for, else the one of the first start if it
// is still there, else the group that this process is in.
func (g *groups) chooseRoot(asked, recorded string) (cgroup.Group, error) {
	if asked != "" {
		root, err := g.hierarchy.GroupAt(asked)
		if err != nil {
			return root, fmt.Errorf("-cgroup %w: give a directory there, or a path relative to it", err)
		}
		return root, nil
	}
	if recorded != "" {
		if root := g.hierarchy.Group(recorded); exists(root) {
			return root, nil
		}
	}
	return g.hierarchy.Group(g.origin), nil
}

func exists(g cgroup.Group) bool {
	_, err := os.Stat(g.Path())
	return err == nil
}

// makeRoot makes the delegated root, but none above it: a path that was meant for
// another file system would grow a tree here. It says whether it was not there.
func makeRoot(g cgroup.Group) (made bool, err error) {
	if exists(g) {
		return false, nil
	}
	if err = g.Make(); errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is no directory of cgroup v2: %w", filepath.Dir(g.Path()), err)
	}
	return err == nil, err
}

// enable has the kernel account for each run by itself, with the controllers that
// are there. A group that has processes of its own cannot. In a container those are
// the first processes, in the root that is handed to us: they move to our leaf. In a
// session or the like they are somebody else's: then it works without controllers.
func (g *groups) enable() error {
	err := g.root.Enable(controllers...)
	if g.root == g.hierarchy.Group("/") {
		for try := 0; errors.Is(err, cgroup.ErrInternalProcesses) && try < 100; try++ { // they may fork meanwhile
			if err = g.moveOthers(); err == nil {
				err = g.root.Enable(controllers...)
			}
		}
	}
	if errors.Is(err, cgroup.ErrInternalProcesses) {
		g.shared, err = true, nil
	}
	if err != nil {
		return err
	}
	if err := g.instance.Enable(controllers...); err != nil {
		return err
	}
	return g.runs().Enable(controllers...)
}

// moveOthers moves the processes that are in the delegated root itself.
func (g *groups) moveOthers() error {
	data, err := os.ReadFile(g.root.Path() + "/cgroup.procs")
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(data)) {
		n, err := strconv.Atoi(pid)
		if err == nil {
			err = g.daemon().Enter(n)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// leave moves this process back to where it came from and removes the instance's
// group if all runs were ended, else only what this start has made. Where processes of
// others were moved in, it stays.
func (g *groups) leave(ended bool) error {
	back := g.hierarchy.Group(g.origin).Enter(os.Getpid())
	if !ended {
		for _, group := range slices.Backward(g.made) {
			os.Remove(group.Path())
		}
	} else if err := g.instance.Remove(); err != nil {
		if back != nil && errors.Is(err, cgroup.ErrNotEmpty) {
			return nil // only we are left in it, and have nowhere to go
		}
		return err
	}
	if !g.madeRoot {
		return nil
	}
	err := os.Remove(g.root.Path()) // only if nobody else has made a group in it
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}
