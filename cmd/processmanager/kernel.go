package main

import (
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
)

// checkKernel refuses a kernel that is too old, before anything of it is used that it may
// not have.
func checkKernel() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	release := unix.ByteSliceToString(name.Release[:])
	if doctor.CheckKernel(release, doctor.KillUnknown) == nil {
		return nil
	}
	return doctor.CheckKernel(release, killOfGroups())
}

// killOfGroups looks at the groups that there are. A hierarchy that is not mounted yet, or
// in which there is none, tells nothing.
func killOfGroups() doctor.Kill {
	h, err := cgroup.Find("/proc")
	if err != nil {
		return doctor.KillUnknown
	}
	top := h.Group("/")
	groups, err := top.Children()
	if h.Contained() { // so has the topmost
		groups = append(groups, top)
	} else if err != nil {
		return doctor.KillUnknown
	}
	for _, g := range groups {
		if g.CanKill() {
			return doctor.KillThere
		}
		if there, err := g.Exists(); there && err == nil {
			return doctor.KillMissing
		}
	}
	return doctor.KillUnknown
}
