package cgroup

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// wanted are the controllers that accounting and limits rest on.
var wanted = []struct{ name, v1 string }{
	{"cpu", "cpu"},
	{"memory", "memory"},
	{"pids", "pids"},
	{"io", "blkio"},
	{"cpuset", "cpuset"},
}

// Missing is a controller that cannot be used, and why.
type Missing struct {
	Name   string // cpu, memory, pids, io or cpuset
	Reason string // for people
	InV1   bool   // a v1 hierarchy has it
}

// Controllers returns the controllers of the topmost group.
func (h *Hierarchy) Controllers() ([]string, error) { return h.Group("/").Controllers() }

// Missing says which of cpu, memory, pids, io and cpuset the hierarchy does not offer.
func (h *Hierarchy) Missing() []Missing { return h.Group("/").Missing() }

// Controllers returns the controllers that are available in the group and can be
// enabled for its children. Source: cgroup.controllers.
func (g Group) Controllers() ([]string, error) { return g.words("cgroup.controllers") }

// Enabled returns the controllers that are enabled for the group's children.
// Source: cgroup.subtree_control.
func (g Group) Enabled() ([]string, error) { return g.words("cgroup.subtree_control") }

func (g Group) words(file string) ([]string, error) {
	var buf [512]byte
	data, err := g.read(file, buf[:])
	return strings.Fields(string(data)), err
}

// Enable enables those of the controllers that are available and not yet enabled
// for the group's children; the others are passed over, see Missing. They are
// written one by one, so that one refused does not keep out the rest.
//
// Errors: ErrInternalProcesses if the group has processes of its own; they have
// to move to a child first.
func (g Group) Enable(controllers ...string) error {
	available, err := g.Controllers()
	if err != nil {
		return err
	}
	enabled, err := g.Enabled()
	if err != nil {
		return err
	}
	// No look at the children's files may fall between the write and forgetting.
	g.h.mu.Lock()
	defer g.h.mu.Unlock()
	delete(g.h.files, g.path)
	var errs []error
	for _, c := range controllers {
		if slices.Contains(available, c) && !slices.Contains(enabled, c) {
			errs = append(errs, internalProcesses(g.write("cgroup.subtree_control", "+"+c)))
		}
	}
	return errors.Join(errs...)
}

func internalProcesses(err error) error {
	if e, ok := err.(*Error); ok && e.Err == unix.EBUSY {
		e.Err = ErrInternalProcesses
	}
	return err
}

// Missing says which of cpu, memory, pids, io and cpuset are not available in the group,
// in this order, and why.
func (g Group) Missing() []Missing {
	var missing []Missing
	available, err := g.Controllers()
	for _, c := range wanted {
		switch {
		case err != nil:
			missing = append(missing, Missing{Name: c.name, Reason: err.Error()})
		case !slices.Contains(available, c.name):
			reason, inV1 := g.whyMissing(c.name, c.v1)
			missing = append(missing, Missing{c.name, reason, inV1})
		}
	}
	return missing
}

func (g Group) whyMissing(name, v1 string) (reason string, inV1 bool) {
	for _, m := range g.h.v1 {
		if slices.Contains(m.super, v1) {
			return "bound to the v1 hierarchy at " + m.point, true
		}
	}
	if bound, _, err := readCgroup(g.h.procDir, 0); err == nil {
		if _, ok := bound[v1]; ok {
			return "bound to a v1 hierarchy that is not mounted here", true
		}
	}
	// Go up to the group that has it and does not pass it on.
	for g.path != g.h.Mount {
		g.path = path.Dir(g.path)
		if have, err := g.Controllers(); err == nil && slices.Contains(have, name) {
			return "not enabled in " + g.file("cgroup.subtree_control"), false
		}
	}
	// Only the root of all groups has no cgroup.type.
	if _, err := g.read("cgroup.type", make([]byte, 32)); err == nil {
		return "not enabled above " + g.h.Mount + ", outside of this container", false
	}
	return "not in this kernel, or disabled on its command line", false
}
