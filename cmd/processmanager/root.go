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
	own      bool // and has delegated that, a scope, to us
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

// givesScope reports whether a daemon that starts here for the first time gets a scope.
func givesScope() bool {
	h, err := cgroup.Find("/proc")
	if err != nil {
		return false
	}
	own, err := h.Self(0)
	if err != nil {
		return false
	}
	s, err := situationOf(h, &places{}, instance{}, cgroup.Group{}, false, own, os.Geteuid())
	return err == nil && s.source() == fromScope
}

// situationOf looks at what there is. recorded is the root of an earlier start, if usable.
func situationOf(h *cgroup.Hierarchy, p *places, in instance, recorded cgroup.Group, usable bool, origin string, euid int) (s situation, err error) {
	s = situation{
		given:    p.Cgroup != "",
		systemd:  euid == 0 && host.Runs() && systemd.InTree(origin),
		recorded: usable,
	}
	s.own = s.systemd && strings.HasSuffix(origin, ".scope") && h.Group(origin).Delegated()
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
