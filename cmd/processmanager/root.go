package main

import (
	"os"
	"strings"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// source is where the delegated root comes from.
type source string

const (
	fromFlag   source = "-cgroup"
	fromRecord source = "an earlier start"
	fromScope  source = "systemd" // a new scope
	fromOwn    source = "our own group"
)

// situation is what the choice of the delegated root depends on.
type situation struct {
	given    bool // -cgroup
	systemd  bool // a service manager that we may ask answers for the group that we are in
	own      bool // and that is delegated to us: a scope, or the group of an ordinary user's service
	recorded bool // the root of an earlier start is there, seen from here
	scope    bool // that is a scope of ours
	unit     bool // it is in the group of another unit of systemd's
	alive    bool // a process is in it: in the whole scope, else in the instance's group
}

// source makes the choice. What is alive is never left behind. A scope without a process is
// about to be removed. In the group of a unit no root is taken: the next start of that would
// fail.
func (s situation) source() source {
	switch {
	case s.given:
		return fromFlag
	case s.recorded && s.alive:
		return fromRecord
	case s.recorded && !s.scope && !(s.systemd && s.unit):
		return fromRecord
	case s.systemd && !s.own:
		return fromScope
	}
	return fromOwn
}

// hostOf is the instance of systemd that we ask, from a group.
func hostOf(group string) systemd.Manager { return systemd.For("/run", os.Geteuid(), group) }

// scopeGiver is the instance of systemd that gives a scope to a daemon that starts here for the
// first time. ok is false where none is asked.
func scopeGiver() (host systemd.Manager, ok bool) {
	h, err := cgroup.Find("/proc")
	if err != nil {
		return host, false
	}
	own, err := h.Self(0)
	if err != nil {
		return host, false
	}
	host = hostOf(own)
	s, err := situationOf(h, &places{}, instance{}, cgroup.Group{}, false, own, host)
	return host, err == nil && s.source() == fromScope
}

// situationOf looks at what there is. recorded is the root of an earlier start, if usable.
func situationOf(h *cgroup.Hierarchy, p *places, in instance, recorded cgroup.Group, usable bool, origin string, host systemd.Manager) (s situation, err error) {
	s = situation{
		given:    p.Cgroup != "",
		systemd:  host.Booted() && systemd.InTree(origin),
		recorded: usable,
	}
	s.own = s.systemd && isOwn(h.Group(origin), origin, host)
	if !usable {
		return s, nil
	}
	s.scope = in.Scope != "" && recorded.Name() == in.Scope
	s.unit = systemd.UnitOf(recorded.Path()) != ""
	living := recorded
	if !s.scope {
		living = recorded.Child(instancePrefix + in.ID)
	}
	there, err := living.Exists()
	if err != nil || !there {
		return s, err
	}
	events, err := living.Events()
	s.alive = err == nil && events.Populated
	return s, err
}

// isOwn reports whether systemd has delegated a group to us in which a daemon can work. In a
// unit's own group it cannot start again after SIGKILL, so of those only scopes are taken, and
// the service that the system's instance runs as an ordinary user: he is given no scope that
// could take its processes in.
func isOwn(g cgroup.Group, path string, host systemd.Manager) bool {
	if host.User != "" && host.UnitOf(path) == "" {
		return g.MayMove(g) == nil
	}
	return strings.HasSuffix(path, ".scope") && g.Delegated()
}
