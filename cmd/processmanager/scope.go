package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// scopeName is that of the scope of an instance.
func scopeName(id string) string { return instancePrefix + id + ".scope" }

// scopeCommand starts a daemon in a scope that somebody else asks for.
func scopeCommand(host systemd.Manager) string {
	command := "systemd-run --scope -p Delegate=yes -p TasksMax=infinity processmanager"
	if host.User != "" {
		command = strings.Replace(command, " ", " --user ", 1)
	}
	return command
}

// askScope has systemd make a scope, which becomes the root, with a holder in it.
func (g *groups) askScope() (err error) {
	g.scope = scopeName(g.id)
	g.root, g.holder, err = newScope(g.hierarchy, g.scope, g.host, g.unit)
	if err != nil {
		return fmt.Errorf("no scope for the processes: %w; start the daemon in one: %s", err, scopeCommand(g.host))
	}
	g.madeScope = true
	return nil
}

// tellScope says where the processes are, and to an ordinary user when they end.
func (g *groups) tellScope(logger *log.Logger) {
	if g.host.User == "" {
		logger.Printf("systemd has made %[1]s for all processes: systemd-cgls -u %[1]s", g.scope)
		return
	}
	logger.Printf("systemd has made %[1]s for all processes: systemd-cgls --user-unit %[1]s", g.scope)
	if name := userName(); !lingers(name) {
		logger.Printf("the daemon and all processes end soon after the last session of %[1]s; as root, loginctl enable-linger %[1]s has them live on", name)
	}
}

// enter moves this process into the daemon's group. From a login session an ordinary user may
// not leave for another place by himself: systemd does that.
func (g *groups) enter() error {
	err := g.daemon().Enter(os.Getpid())
	if g.host.User == "" || g.scope == "" || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return attachSelf(g.host, g.scope, strings.TrimPrefix(g.daemon().Path(), g.root.Path()))
}

// holdScope makes sure that a holder is in the daemon's group of the scope, and none in the
// scope's own, which would keep controllers from the runs.
func (g *groups) holdScope() error {
	if g.scope == "" {
		return nil
	}
	if alive, err := g.holder.Alive("/proc"); err != nil {
		return err
	} else if alive {
		if err := g.daemon().Enter(g.holder.PID); !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	var err error
	g.holder, err = startHolder(g.daemon(), g.scope)
	return err
}

// dropScope has a start that fails leave no scope that it has made. One that was there before
// keeps its holder: what stands on the groups in it is of an earlier daemon.
func (g *groups) dropScope() {
	if !g.madeScope {
		return
	}
	g.madeScope = false
	g.killHolder()
}

// killHolder ends the holder, if there is one.
func (g *groups) killHolder() {
	if g.scope == "" {
		return
	}
	if alive, err := g.holder.Alive("/proc"); alive && err == nil {
		unix.Kill(g.holder.PID, unix.SIGKILL)
		unix.Wait4(g.holder.PID, nil, 0, nil) // it may not be a child of ours
	}
}

// scopeEmptyLimit is how long those that were sent SIGKILL may take.
const scopeEmptyLimit = 5 * time.Second

// endScope ends the holder, and whoever else is left in the daemon's group: holders of earlier
// starts whose names could not be written down. systemd removes the scope then. inside says
// that this process cannot leave the group.
func (g *groups) endScope(inside bool) error {
	for limit := time.Now().Add(scopeEmptyLimit); ; time.Sleep(2 * time.Millisecond) {
		events, err := g.daemon().Events() // the pids of those that are ending stand nowhere
		if errors.Is(err, fs.ErrNotExist) || err == nil && !events.Populated {
			return nil
		}
		pids, err := g.daemon().Pids()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == os.Getpid() })
		if inside && err == nil && len(pids) == 0 {
			return nil
		}
		if time.Now().After(limit) {
			return errors.Join(err, fmt.Errorf("processes %v do not end on SIGKILL: %s stays", pids, g.scope))
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// jobLimit is how long systemd may take to say what it does.
const jobLimit = 5 * time.Second

// staysFor reports whether systemd stops the unit only to start it again. Where it cannot be
// asked, the unit is stopped for good: that loses no process that somebody wants ended.
func staysFor(host systemd.Manager, unit string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), jobLimit)
	defer cancel()
	job, err := host.Job(ctx, unit)
	return err == nil && systemd.StartsAgain(job)
}

// leftGrace is the time between SIGTERM and SIGKILL for what a daemon that was killed has left.
const leftGrace = 10 * time.Second

// unitStopped is what a unit does after each of its ends: where systemd stops it for good, it
// ends what a daemon that was killed has left. Then also a stop whose daemon was killed
// in the middle leaves nobody.
func unitStopped(o options) error {
	if err := o.Fill(); err != nil {
		return err
	}
	in, err := loadInstance(o.State)
	if err != nil || in.Scope == "" {
		return nil // there was no scope
	}
	// The unit's own daemon has ended. One that lives is another's, whose directory this one was
	// told by mistake, or by a configuration with mistakes.
	if err := stateKind.inUse(o.State); err != nil {
		return err
	}
	h, err := cgroup.Find("/proc")
	if err != nil {
		return err
	}
	own, err := h.Self(0)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scopeLimit)
	defer cancel()
	host := hostOf(own) // it has made the scope
	owner, unit := host, host.UnitOf(own)
	if unit == "" { // the system's runs the unit for an ordinary user
		owner = systemd.Manager{Run: host.Run}
		unit = owner.UnitOf(own)
	}
	job, err := owner.Job(ctx, unit)
	if err != nil || job != "stop" {
		return err
	}
	scope := h.Group(in.Root)
	if there, err := scope.Exists(); err != nil || !there {
		return err
	}
	killer := time.AfterFunc(leftGrace, func() { scope.Kill() })
	defer killer.Stop()
	return host.StopUnit(ctx, in.Scope)
}
