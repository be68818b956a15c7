package doctor

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

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
	kill    bool   // groups have cgroup.kill

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

func look(c Config, find func(proc string) (*cgroup.Hierarchy, error)) (t tree) {
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
	if err != nil && (c.Root == "" || errors.Is(err, cgroup.ErrOutside)) {
		t.rootErr = err
		return t
	}
	t.root = root.Path()
	nearest := h.Group(existing(t.root)) // the daemon makes a root that is not there
	runs, parent := nearest, nearest
	if c.Runs != "" {
		runs = h.Group(c.Runs)
		parent = h.Group(path.Dir(runs.Path())) // not among the runs, where each group is one
	}
	t.kill, t.rootErr = try(parent)
	if t.rootErr == nil && c.Runs == "" {
		t.rootErr = mayEnter(h.Group(own).Path(), nearest.Path())
	}
	t.controllers, t.missing = split(runs, c.Proc, h.Mount)
	t.pidsMax, t.pidsMaxAt = smallestPidsMax(nearest.Path(), h.Mount)
	return t
}

// existing is dir, or the nearest directory above it that is there.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = path.Dir(dir)
	}
	return dir
}

// try makes a group below parent and removes it, and says whether it had cgroup.kill.
func try(parent cgroup.Group) (kill bool, err error) {
	g := parent.Child("doctor-" + rand.Text())
	if err := g.Make(); err != nil {
		return false, err
	}
	_, err = os.Stat(g.Path() + "/cgroup.kill")
	return err == nil, g.Remove()
}

// mayEnter says why a process of the group own cannot move below root: that takes
// write access to both, and to what they have in common. Both are directories.
func mayEnter(own, root string) error {
	common := own
	for !below(common, root) {
		common = path.Dir(common)
	}
	for _, file := range []string{common + "/cgroup.procs", root + "/cgroup.procs", root + "/cgroup.subtree_control"} {
		if err := unix.Access(file, unix.W_OK); err != nil {
			return &fs.PathError{Op: "write to", Path: file, Err: err}
		}
	}
	return nil
}

// below reports whether dir is top or a directory below it.
func below(top, dir string) bool {
	return top == "/" || dir == top || strings.HasPrefix(dir, top+"/")
}

// split tells the controllers that the group has from those that it lacks.
func split(g cgroup.Group, proc, mount string) (have []string, missing []lack) {
	for _, m := range g.Missing() {
		l := lack{Missing: m}
		l.why, l.at = whyMissing(m.Name, g.Path(), proc, mount)
		missing = append(missing, l)
	}
	for _, u := range uses {
		if !slices.ContainsFunc(missing, func(l lack) bool { return l.Name == u.controller }) {
			have = append(have, u.controller)
		}
	}
	return have, missing
}

func whyMissing(name, dir, proc, mount string) (why, string) {
	if _, err := os.Stat(dir + "/cgroup.controllers"); err != nil {
		return unknown, ""
	}
	if inV1(name, proc) {
		return boundV1, ""
	}
	for dir != mount && dir != "/" {
		dir = path.Dir(dir)
		if data, err := os.ReadFile(dir + "/cgroup.controllers"); err == nil && slices.Contains(strings.Fields(string(data)), name) {
			return notEnabled, dir
		}
	}
	// The topmost group of a host has no cgroup.type.
	if _, err := os.Stat(mount + "/cgroup.type"); err == nil {
		return outside, ""
	}
	return noKernel, ""
}

// inV1 reports whether a v1 hierarchy has the controller. Source: /proc/cgroups.
func inV1(name, proc string) bool {
	if name == "io" {
		name = "blkio"
	}
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return false
	}
	all, err := fs.CgroupSummarys()
	return err == nil && slices.ContainsFunc(all, func(s procfs.CgroupSummary) bool {
		return s.SubsysName == name && s.Hierarchy != 0
	})
}

// smallestPidsMax is the smallest pids.max from dir up to the mount.
func smallestPidsMax(dir, mount string) (smallest int, at string) {
	for ; below(mount, dir); dir = path.Dir(dir) {
		data, err := os.ReadFile(dir + "/pids.max")
		if err == nil {
			n, err := strconv.Atoi(strings.TrimSpace(string(data))) // "max" is no number
			if err == nil && (at == "" || n < smallest) {
				smallest, at = n, dir
			}
		}
		if dir == mount {
			break
		}
	}
	return smallest, at
}
