package doctor

import (
	"crypto/rand"
	"errors"
	"slices"

	"github.com/prometheus/procfs"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// tree is what there is of the cgroup tree.
type tree struct {
	kind  process.Hierarchy
	mount string
	err   error // why there is none to be used

	root    string // directory
	rootErr error  // why none can be chosen, or no group be made below it
	scope   bool   // there is none yet: systemd makes it
	runs    string // directory of the group whose controllers the runs can have
	kill    Kill   // of the groups below it

	controllers []string // that the runs can have
	missing     []lack
	pidsMax     int    // the smallest pids.max of root and the groups above it; 0: none
	pidsMaxAt   string // the directory where it is
}

// lack is a controller that is missing.
type lack struct {
	cgroup.Missing
	why why
	at  string // notEnabled: the group that has it and does not pass it on
}

// why is where the mending of a lack begins.
type why int

const (
	boundV1    why = iota // a v1 hierarchy has it
	notEnabled            // a group that we see does not pass it on
	outside               // a group above the mount does not pass it on
	noKernel              // the kernel has none
	unknown               // it cannot be read
)

func look(c Config, find func(procDir string) (*cgroup.Hierarchy, error)) (t tree) {
	t.kind = process.HierarchyNone
	h, err := find(c.Proc)
	if err != nil {
		t.err = err
		return t
	}
	t.mount = h.Mount
	switch {
	case c.Runtime != "" && h.Mount == c.Runtime+"/cgroup": // where the daemon mounts its own
		t.kind = process.HierarchyPrivate
	case h.Kind == cgroup.Hybrid:
		t.kind = process.HierarchyHybrid
	default:
		t.kind = process.HierarchyUnified
	}

	own, err := h.Self(0)
	root := h.Group(own)
	if c.Root != "" {
		var wrong error
		if root, wrong = h.GroupAt(c.Root); wrong != nil {
			t.root, t.rootErr = c.Root, wrong
			return t
		}
	}
	if c.Scope != "" && c.Root == "" { // it is given all controllers that this systemd has
		giver := h.Group(c.Scope)
		t.scope, t.kill, t.runs = true, killIn(h.Group(own)), giver.Path()
		if c.User == nil || c.User.Runs { // else there is no such group
			t.controllers, t.missing = split(giver, c.Proc, h.Contained())
			t.pidsMax, t.pidsMaxAt = smallestPidsMax(giver)
		}
		return t
	}
	if err != nil && (c.Root == "" || errors.Is(err, cgroup.ErrOutside)) {
		t.rootErr = err
		return t
	}
	t.root = root.Path()
	nearest := existing(root) // the daemon makes a root that is not there
	runs, parent := nearest, nearest
	if c.Runs != "" {
		runs = h.Group(c.Runs)
		parent, _ = runs.Parent() // not among the runs, where each group is one
	}
	t.runs = runs.Path()
	t.kill, t.rootErr = try(parent)
	if t.rootErr == nil && c.Runs == "" && c.User == nil { // where there is a user's systemd, that moves us
		t.rootErr = nearest.MayMove(h.Group(own))
	}
	t.controllers, t.missing = split(runs, c.Proc, h.Contained())
	t.pidsMax, t.pidsMaxAt = smallestPidsMax(nearest)
	return t
}

// existing is g, or the nearest group above it that is there.
func existing(g cgroup.Group) cgroup.Group {
	for {
		there, err := g.Exists()
		parent, ok := g.Parent()
		if there || err != nil || !ok {
			return g
		}
		g = parent
	}
}

// try makes a group below parent and removes it, and says whether it could be killed.
func try(parent cgroup.Group) (kill Kill, err error) {
	g := parent.Child("doctor-" + rand.Text())
	if err := g.Make(); err != nil {
		return KillUnknown, err
	}
	return killIn(g), g.Remove()
}

func killIn(g cgroup.Group) Kill {
	if g.CanKill() {
		return KillThere
	}
	return KillMissing
}

// split tells the controllers that the group has from those that it lacks.
func split(g cgroup.Group, procDir string, contained bool) (have []string, missing []lack) {
	for _, m := range g.Missing() {
		l := lack{Missing: m}
		l.why, l.at = whyMissing(m.Name, g, procDir, contained)
		missing = append(missing, l)
	}
	for _, u := range uses {
		if !slices.ContainsFunc(missing, func(l lack) bool { return l.Name == u.controller }) {
			have = append(have, u.controller)
		}
	}
	return have, missing
}

func whyMissing(name string, g cgroup.Group, procDir string, contained bool) (why, string) {
	if _, err := g.Controllers(); err != nil {
		return unknown, ""
	}
	if inV1(name, procDir) {
		return boundV1, ""
	}
	for above, ok := g.Parent(); ok; above, ok = above.Parent() {
		if has, err := above.Controllers(); err == nil && slices.Contains(has, name) {
			return notEnabled, above.Path()
		}
	}
	if contained {
		return outside, ""
	}
	return noKernel, ""
}

// inV1 reports whether a v1 hierarchy has the controller. Source: /proc/cgroups.
func inV1(name, procDir string) bool {
	if name == "io" {
		name = "blkio"
	}
	fs, err := procfs.NewFS(procDir)
	if err != nil {
		return false
	}
	all, err := fs.CgroupSummarys()
	return err == nil && slices.ContainsFunc(all, func(s procfs.CgroupSummary) bool {
		return s.SubsysName == name && s.Hierarchy != 0
	})
}

// smallestPidsMax is the smallest limit on processes of g and the groups above it.
func smallestPidsMax(g cgroup.Group) (smallest int, at string) {
	for ok := true; ok; g, ok = g.Parent() {
		if n, limited := g.PidsMax(); limited && (at == "" || n < smallest) {
			smallest, at = n, g.Path()
		}
	}
	return smallest, at
}
