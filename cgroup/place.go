package cgroup

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Exists reports whether the group is there. An error means that this is not known: who
// took it for no would lose what is in it.
func (g Group) Exists() (bool, error) {
	err := unix.Access(g.path, unix.F_OK)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, &Error{Op: "look at", Path: g.path, Err: err}
	}
	return true, nil
}

// Parent returns the group above; there is none above the topmost of the mount.
func (g Group) Parent() (parent Group, ok bool) {
	if g.path == g.h.Mount || g.path == "/" {
		return Group{}, false
	}
	return Group{g.h, path.Dir(g.path)}, true
}

// Contained reports whether there are groups above the mount, which cannot be seen, as in
// a container. The topmost group of a host has no cgroup.type.
func (h *Hierarchy) Contained() bool { return h.Group("/").has("cgroup.type") }

// CanKill reports whether the group can be killed as a whole (Linux 5.14).
func (g Group) CanKill() bool { return g.has("cgroup.kill") }

func (g Group) has(file string) bool { return unix.Access(g.file(file), unix.F_OK) == nil }

// Own returns the processes of the group itself, without those of nested groups.
func (g Group) Own() ([]int, error) {
	pids, err := readPids(nil, unix.AT_FDCWD, g.file("cgroup.procs"))
	if err != nil {
		return nil, &Error{Op: "read", Path: g.file("cgroup.procs"), Err: err}
	}
	return pids, nil
}

// PidsMax returns the limit on the number of processes; ok is false if there is none.
func (g Group) PidsMax() (limit int, ok bool) {
	var buf [32]byte
	data, err := g.read("pids.max", buf[:])
	if err != nil {
		return 0, false
	}
	limit, err = strconv.Atoi(strings.TrimSpace(string(data))) // "max" is no number
	return limit, err == nil
}

// MayMove says why we may not move a process from a group into one that we make below g:
// that takes write access to g and to what both have in common.
func (g Group) MayMove(from Group) error {
	common := from
	for !common.above(g) {
		common.path = path.Dir(common.path)
	}
	for _, file := range []string{common.file("cgroup.procs"), g.file("cgroup.procs"), g.file("cgroup.subtree_control")} {
		if err := unix.Access(file, unix.W_OK); err != nil {
			return &fs.PathError{Op: "write to", Path: file, Err: err}
		}
	}
	return nil
}

// above reports whether g is other or a group above it.
func (g Group) above(other Group) bool {
	_, ok := below(g.path, other.path)
	return ok
}

// RemoveAlone removes a group in which there is nothing.
//
// Errors: ErrNotEmpty if there are processes or nested groups.
func (g Group) RemoveAlone() error {
	err := unix.Rmdir(g.path)
	if err == nil || err == unix.ENOENT {
		g.h.forget(g.path)
		return nil
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) {
		err = ErrNotEmpty
	}
	return &Error{Op: "remove", Path: g.path, Err: err}
}

// Delegated reports whether systemd has given the group away for others to make groups in:
// it marks such a group with an attribute, called otherwise before version 251.
func (g Group) Delegated() bool {
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		var value [1]byte
		if n, err := unix.Getxattr(g.path, name, value[:]); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}
