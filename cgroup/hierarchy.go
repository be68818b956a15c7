package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cgroups "github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"
)

// Kind says how cgroup v2 is mounted on this host.
type Kind int

const (
	// Unified: v1 holds no controller, all of them are in this hierarchy.
	Unified Kind = iota
	// Hybrid: v1 hierarchies hold some or all controllers.
	Hybrid
	// Private: nobody else had mounted cgroup v2; FindOrMount did.
	Private
)

func (k Kind) String() string {
	switch k {
	case Unified:
		return "unified"
	case Hybrid:
		return "hybrid"
	case Private:
		return "private"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Hierarchy is a mounted cgroup v2 hierarchy. Its methods may be called from
// several goroutines.
type Hierarchy struct {
	Mount string // the mount point: the directory of the topmost group that can be seen
	Kind  Kind

	procDir string  // where procfs is mounted
	root    string  // the group that is mounted, as /proc/PID/cgroup would name it
	v1      []mount // v1 hierarchies, for what they hold

	mu    sync.Mutex
	files map[string]Figures // accounting files of the groups below one directory
}

// Find looks for cgroup v2 among the mounts of <proc>/self/mountinfo; proc is
// normally "/proc". Of several mounts it takes a writable one in which our own
// group can be seen, and the first of those. The mount is asked for its type
// (statfs), so one that is hidden below another is not taken.
//
// Errors: ErrNoHierarchy, and ErrReadOnly if every mount is read-only.
func Find(procDir string) (*Hierarchy, error) {
	mounts, self, err := readProc(procDir)
	if err != nil {
		return nil, err
	}
	return choose(procDir, mounts, self, statMount)
}

// FindOrMount is Find; where cgroup v2 is not mounted, it mounts it on the
// directory mountpoint, which is made if it is missing. That needs CAP_SYS_ADMIN.
// The mount stays for the next call, which finds it there; its Kind is Private.
func FindOrMount(procDir, mountpoint string) (*Hierarchy, error) {
	mountpoint = path.Clean(mountpoint)
	mounts, self, err := readProc(procDir)
	if err != nil {
		return nil, err
	}
	h, err := choose(procDir, mounts, self, statMount)
	switch {
	case err == nil && h.Mount == mountpoint:
		h.Kind = Private
		return h, nil
	case !errors.Is(err, ErrNoHierarchy):
		return h, err
	}
	if err := os.MkdirAll(mountpoint, 0o755); err != nil {
		return nil, fmt.Errorf("%w, and none can be mounted: %w", ErrNoHierarchy, err)
	}
	if err := unix.Mount("cgroup2", mountpoint, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("%w, and mounting one on %s failed: %w", ErrNoHierarchy, mountpoint, err)
	}
	// A fresh mount shows the root of our cgroup namespace.
	return &Hierarchy{Mount: mountpoint, Kind: Private, procDir: procDir, root: "/", v1: version1(mounts)}, nil
}

// readProc reads what there is to choose from: the mounts and our own group.
func readProc(procDir string) (mounts []mount, self string, err error) {
	f, err := os.Open(procDir + "/self/mountinfo")
	if err != nil {
		return nil, "", fmt.Errorf("cgroup: %w", err)
	}
	defer f.Close()
	if mounts, err = parseMountinfo(f); err != nil {
		return nil, "", fmt.Errorf("cgroup: %w", err)
	}
	_, self, err = readCgroup(procDir, 0)
	return mounts, self, err
}

// readCgroup reads /proc/PID/cgroup: the v2 group, and the v1 controllers with
// their groups. Pid 0 is ourselves.
func readCgroup(procDir string, pid int) (v1 map[string]string, v2 string, err error) {
	who := "self"
	if pid != 0 {
		who = strconv.Itoa(pid)
	}
	f, err := os.Open(procDir + "/" + who + "/cgroup")
	if err != nil {
		return nil, "", fmt.Errorf("cgroup: %w", err)
	}
	defer f.Close()
	v1, v2, err = cgroups.ParseCgroupFromReaderUnified(f)
	if errors.Is(err, unix.ESRCH) { // it ended between open and read
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, "", fmt.Errorf("cgroup: %s: %w", f.Name(), err)
	}
	return v1, v2, nil
}

// statMount answers whether path is a cgroup2 file system and can be written. One that we
// may not look at is of no use. A shortage does not say that: it is asked again, for a second.
func statMount(path string) (cgroup2, readOnly bool) {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	for try := 0; try < 100 && (err == unix.EINTR || err == unix.ENOMEM); try++ {
		time.Sleep(10 * time.Millisecond)
		err = unix.Statfs(path, &st)
	}
	if err != nil {
		return false, false
	}
	return st.Type == unix.CGROUP2_SUPER_MAGIC, st.Flags&unix.ST_RDONLY != 0
}

func choose(procDir string, mounts []mount, self string, stat func(string) (cgroup2, readOnly bool)) (*Hierarchy, error) {
	v1 := version1(mounts)
	kind := Unified
	if slices.ContainsFunc(v1, func(m mount) bool { return len(held(m)) > 0 }) {
		kind = Hybrid
	}
	var found *Hierarchy
	var readOnly string
	for _, m := range mounts {
		if m.fsType != "cgroup2" {
			continue
		}
		is2, ro := stat(m.point)
		if !is2 {
			continue
		}
		if ro {
			readOnly = m.point
			continue
		}
		h := &Hierarchy{Mount: m.point, Kind: kind, procDir: procDir, root: m.root, v1: v1}
		if _, ok := below(m.root, self); ok {
			return h, nil
		}
		if found == nil {
			found = h
		}
	}
	switch {
	case found != nil:
		return found, nil
	case readOnly != "":
		return nil, fmt.Errorf("cgroup: %s: %w", readOnly, ErrReadOnly)
	}
	return nil, fmt.Errorf("cgroup: %w", ErrNoHierarchy)
}

func version1(mounts []mount) []mount {
	return slices.DeleteFunc(slices.Clone(mounts), func(m mount) bool { return m.fsType != "cgroup" })
}

// held returns those of the wanted controllers that a v1 hierarchy holds, by
// their v2 names.
func held(v1 mount) (names []string) {
	for _, c := range wanted {
		if slices.Contains(v1.super, c.v1) {
			names = append(names, c.name)
		}
	}
	return names
}

// Self returns the group of the process pid (0: our own) relative to the mount,
// "/" for the topmost one. Source: /proc/PID/cgroup.
//
// Errors: fs.ErrNotExist if there is no such process, or if its group has been
// removed (a zombie's can be); ErrOutside if the mount does not show the group,
// as in a container that sees only a part of the hierarchy.
func (h *Hierarchy) Self(pid int) (string, error) {
	_, full, err := readCgroup(h.procDir, pid)
	if err != nil {
		return "", err
	}
	rel, ok := below(h.root, full)
	if full == "" || !ok {
		return "", fmt.Errorf("cgroup: group %q of process %d, mount %s: %w", full, pid, h.Mount, ErrOutside)
	}
	// The kernel marks a removed group so; a group may also be called so.
	if strings.HasSuffix(rel, " (deleted)") {
		if _, err := os.Lstat(h.Mount + rel); err != nil {
			return "", fmt.Errorf("cgroup: group %q of process %d: %w", full, pid, err)
		}
	}
	return rel, nil
}

// View is where a hierarchy is seen from. The path of a group leads to the same group
// in the same view only.
type View struct {
	// Namespace is the inode of the cgroup namespace, /proc/self/ns/cgroup. The host's
	// has the same number always, that of another one can be used again after it.
	Namespace uint64
	Top       string // the group that is mounted
}

// hostNamespace is the first cgroup namespace, PROC_CGROUP_INIT_INO of the kernel.
const hostNamespace = 0xEFFFFFFB

// IsHost reports whether it is a view from the host, outside containers.
func (v View) IsHost() bool { return v.Namespace == hostNamespace }

// View is how this process sees the hierarchy.
func (h *Hierarchy) View() (View, error) {
	path := h.procDir + "/self/ns/cgroup"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return View{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return View{st.Ino, h.root}, nil
}

// GroupAt is Group for a path that somebody gave, who may have meant another file
// system: one below /sys/fs/cgroup, or one that is there, is taken only if it leads
// into the mount; any other is relative to the mount. "/" is the topmost group.
func (h *Hierarchy) GroupAt(p string) (Group, error) {
	if !path.IsAbs(p) {
		return h.Group(p), nil
	}
	p = path.Clean(p)
	real, err := filepath.EvalSymlinks(p)
	if err != nil { // it is not there
		real = p
	}
	if _, ok := below(h.Mount, real); ok || p == "/" {
		return h.Group(real), nil
	}
	if _, ok := below("/sys/fs/cgroup", p); ok || err == nil {
		return Group{}, fmt.Errorf("%s is not below cgroup v2, which is mounted at %s", p, h.Mount)
	}
	return h.Group(p), nil
}

// Group returns the group at path, which is relative to the mount ("a/b", "/a/b")
// or absolute and below it ("/sys/fs/cgroup/a/b"). It never leads out of the
// mount: ".." stops at the top.
func (h *Hierarchy) Group(p string) Group {
	p = path.Clean("/" + p)
	if rest, ok := below(h.Mount, p); ok {
		p = rest
	}
	if p == "/" {
		return Group{h, h.Mount}
	}
	return Group{h, strings.TrimSuffix(h.Mount, "/") + p}
}
