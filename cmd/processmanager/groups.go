package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// controllers are those that accounting and limits can use.
var controllers = []string{"cpu", "memory", "pids", "io", "cpuset"}

// instancePrefix is how the name of an instance's group begins.
const instancePrefix = "processmanager-"

// groups is the daemon's part of the cgroup tree:
//
//	<delegated root>/processmanager-<id>/daemon   the worker, a scope's holder, and the keeper unless it is a unit's
//	<delegated root>/processmanager-<id>/p        one group per run
type groups struct {
	hierarchy *cgroup.Hierarchy
	id        string // of the instance
	from      view
	origin    string // where this process came from
	host      systemd.Manager
	unit      string       // of systemd whose main process this is, in whose group it stays; empty: it moves
	scope     string       // the name of the root, if that is a scope of ours
	holder    proc.ID      // of that
	madeScope bool         // by this start, while it may fail
	root      cgroup.Group // the delegated root
	madeRoot  bool
	shared    bool  // with processes of others, so that no controllers can be had
	foreign   error // who else can change the delegated root
	instance  cgroup.Group
	made      []cgroup.Group // by this start
	locks     []*os.File
}

// openGroups finds the hierarchy, makes and locks the instance's group, and moves
// this process into it.
func openGroups(p *places, logger *log.Logger) (g *groups, err error) {
	h, err := cgroup.FindOrMount("/proc", p.Runtime+"/cgroup")
	if err != nil {
		return nil, err
	}
	in, err := loadInstance(p.State)
	stored := err == nil
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		in, err = recoverInstance(p, h, err, logger)
	}
	if err != nil {
		return nil, err
	}
	g = &groups{hierarchy: h, id: in.ID}
	if g.origin, err = h.Self(0); err != nil {
		return nil, err
	}
	g.host = hostOf(g.origin)
	if g.from, err = viewOf(h); err != nil {
		return nil, err
	}
	recorded, ok, err := in.root(h, g.from)
	if err != nil && p.Cgroup == "" {
		return nil, err
	}
	s, err := situationOf(h, p, in, recorded, ok, g.origin, g.host)
	if err != nil {
		return nil, err
	}
	if s.systemd {
		g.unit = g.host.MainOf(g.origin, os.Getpid(), os.Getenv)
	}
	opened := g
	defer func() {
		if err != nil {
			opened.dropScope()
		}
	}()
	switch s.source() {
	case fromFlag:
		if g.root, err = h.GroupAt(p.Cgroup); err != nil {
			return nil, fmt.Errorf("-cgroup %w: give a directory there, or a path relative to it", err)
		}
	case fromRecord:
		if g.root = recorded; s.scope {
			g.scope, g.holder = in.Scope, in.Holder
		}
	case fromScope:
		if err := g.askScope(); err != nil {
			return nil, err
		}
		g.tellScope(logger)
	default:
		g.root = h.Group(g.origin)
		if recorded != (cgroup.Group{}) {
			logger.Printf("an earlier daemon worked in %s of another cgroup namespace; this one works in %s here", in.Root, g.root)
		}
	}
	if g.root == h.Group(g.origin) {
		g.unit = "" // it makes way for groups below
	}
	if g.foreign = private.CheckUpTo(h.Mount, g.root.Path()); g.foreign != nil && p.Cgroup != "" {
		return nil, fmt.Errorf("the group of -cgroup cannot be trusted: %w; or give another one", g.foreign)
	}
	g.instance = g.root.Child(instancePrefix + in.ID)
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
	g.madeRoot = g.madeRoot || in.MadeRoot && ok && recorded == g.root
	if err := g.identity().save(p.State); err != nil && !(stored && unwritable(err)) {
		return g, err
	} else if err != nil {
		warning(logger).Printf("the next daemon may not find its cgroup: %v; it is tried again", err)
	}
	return g, nil
}

// identity is what the state directory remembers of it.
func (g *groups) identity() instance {
	return instance{g.id, g.root.Path(), g.madeRoot, g.from, g.scope, g.holder}
}

// recoverInstance is for a state directory that has lost its instance, as why says. The
// trees that live on are those of the group whose runs its store knows; without such a
// group a new instance harms nobody.
func recoverInstance(p *places, h *cgroup.Hierarchy, why error, logger *log.Logger) (in instance, err error) {
	damaged := errors.Is(why, errDamaged)
	storeless := store.IsNew(store.In(p.State))
	if storeless && !damaged { // the first start
		return newInstance(), nil
	}
	top := h.Group("/")
	if p.Cgroup != "" {
		if top, err = h.GroupAt(p.Cgroup); err != nil {
			top = h.Group("/") // openGroups says what is wrong
		}
	}
	var living, own []cgroup.Group
	for _, g := range instancesBelow(top) {
		knows, err := supervisor.Knows(p.State, g.Child("p"))
		switch {
		case err != nil:
			return in, err
		case knows == supervisor.NoneAlive || isLocked(g):
			continue
		case knows == supervisor.AllKnown:
			own = append(own, g)
		}
		living = append(living, g)
	}
	switch {
	case len(own) == 1:
		in.ID = strings.TrimPrefix(own[0].Name(), instancePrefix)
		in.Root = filepath.Dir(own[0].Path())
		warning(logger).Printf("%v: taken from the group %s, whose processes the store knows", why, own[0])
		return in, nil
	case len(own) > 1:
		living = own
	case !storeless || len(living) == 0:
		if damaged {
			warning(logger).Printf("%v: none of its processes is alive, and it begins anew", why)
		}
		return newInstance(), nil
	}
	return in, fmt.Errorf(`%v, and processes are alive in %v: write {"ID":"…","Root":"…"} with the end of the name and the directory of the group that belongs to this state directory, or remove the file if none does`,
		why, living)
}

// instancesBelow are the groups of all instances in a hierarchy.
func instancesBelow(top cgroup.Group) (list []cgroup.Group) {
	children, _ := top.Children() // some may not be read, some are gone by now
	for _, g := range children {
		if strings.HasPrefix(g.Name(), instancePrefix) {
			list = append(list, g)
		} else {
			list = append(list, instancesBelow(g)...)
		}
	}
	return list
}

// isLocked reports whether a daemon lives in the group of an instance.
func isLocked(g cgroup.Group) bool {
	locks, err := holdInstance(g)
	for _, lock := range locks {
		lock.Close()
	}
	return errors.Is(err, cgroup.ErrLocked)
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
		if err := private.CheckBelow(group.Path()); err != nil { // what it says of runs is believed
			return err
		}
	}
	if err := g.hold(); err != nil {
		return err
	}
	if g.unit == "" {
		if err := g.enter(); err != nil {
			return err
		}
	}
	if err := g.holdScope(); err != nil {
		return err
	}
	return g.enable()
}

// hold locks the instance's group, or finds that another daemon holds it, whose state
// directory was copied.
func (g *groups) hold() (err error) {
	g.locks, err = holdInstance(g.instance)
	return err
}

// holdInstance locks the group of an instance. Former versions hold the lock of the
// directory. Anybody can do that, so it counts only if a process of the daemon does.
func holdInstance(instance cgroup.Group) (locks []*os.File, err error) {
	lock, err := lockGroup(instance.Lock)
	if err != nil {
		return nil, err
	}
	locks = append(locks, lock)
	dir, err := instance.LockDir()
	switch {
	case errors.Is(err, cgroup.ErrLocked):
		defer dir.Close()
		holders, _ := proc.LockHolders("/proc", dir)
		daemon, _ := instance.Child("daemon").Pids()
		if slices.ContainsFunc(holders, func(pid int) bool { return slices.Contains(daemon, pid) }) {
			lock.Close()
			return nil, err
		}
	case err == nil: // a former version finds us
		locks = append(locks, dir)
	}
	return locks, nil
}

// lockGroup calls lock, again while nobody who is alive holds it.
func lockGroup(lock func() (*os.File, error)) (*os.File, error) {
	for limit := time.Now().Add(dyingLimit); ; time.Sleep(dyingPause) {
		f, err := lock()
		if !errors.Is(err, cgroup.ErrLocked) {
			return f, err
		}
		living := proc.LockedByLiving("/proc", f)
		f.Close()
		if living || time.Now().After(limit) {
			return nil, err
		}
	}
}

func (g *groups) daemon() cgroup.Group { return g.instance.Child("daemon") }
func (g *groups) runs() cgroup.Group   { return g.instance.Child("p") }

// makeRoot makes the delegated root, but none above it: a path that was meant for
// another file system would grow a tree here. It says whether it was not there.
func makeRoot(g cgroup.Group) (made bool, err error) {
	if there, err := g.Exists(); there || err != nil {
		return false, err
	}
	if err = g.Make(); errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is no directory of cgroup v2: %w", filepath.Dir(g.Path()), err)
	}
	return err == nil, err
}

// enable has the kernel account for each run by itself, with the controllers that
// are there. A group that has processes of its own cannot. In a container those are
// the first processes, in the group that is handed to us: they move to our leaf, as does who
// is in a scope of ours. In a
// session or the like they are somebody else's: then it works without controllers.
func (g *groups) enable() error {
	err := g.root.Enable(controllers...)
	if g.root == g.hierarchy.Group("/") || g.scope != "" || g.ofContainer() {
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

// ofContainer reports whether the delegated root is the group of a container that sees the groups
// of its host: the first process there is, as we see them, is in it.
func (g *groups) ofContainer() bool {
	pids, err := g.root.Own()
	return err == nil && slices.Contains(pids, 1)
}

// moveOthers moves the processes that are in the delegated root itself.
func (g *groups) moveOthers() error {
	pids, err := g.root.Own()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := g.daemon().Enter(pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// leave moves this process back to where it came from and removes the instance's
// group if all runs were ended, else only what this start has made. Where processes of
// others were moved in, it stays.
func (g *groups) leave(ended bool) error {
	var back error
	if g.unit == "" {
		back = g.hierarchy.Group(g.origin).Enter(os.Getpid())
	}
	if ended && g.scope != "" {
		if err := g.endScope(back != nil); err != nil {
			return err
		}
	}
	if !ended {
		for _, group := range slices.Backward(g.made) {
			group.RemoveAlone()
		}
		g.dropScope()
	} else if err := g.instance.Remove(); err != nil {
		if back != nil && errors.Is(err, cgroup.ErrNotEmpty) {
			return nil // only we are left in it, and have nowhere to go
		}
		return err
	}
	if !g.madeRoot {
		return nil
	}
	err := g.root.RemoveAlone()
	if errors.Is(err, cgroup.ErrNotEmpty) { // somebody else has made a group in it
		return nil
	}
	return err
}
