package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/freeflowuniverse/processmanager/supervisor/config"
)

// access says who may connect to the socket. It travels to the keeper of an upgrade, which
// makes the socket again when somebody has deleted it.
type access struct {
	Mode  fs.FileMode `json:",omitempty"` // of the socket; zero: a former version gives it to this user alone
	Group string      `json:",omitempty"` // the number of its group; empty: our own
}

// accessOf is what the flags say.
func accessOf(o *options) (a access, err error) {
	if a.Mode, err = o.Access(); err != nil {
		return a, fmt.Errorf("socket-mode: %w", err)
	}
	if o.SocketGroup != "" {
		gid, err := config.GroupID(o.SocketGroup)
		if err != nil {
			return a, fmt.Errorf("socket-group: %w", err)
		}
		a.Group = strconv.Itoa(gid)
	}
	return a, nil
}

// accessTo is what a socket that is there has.
func accessTo(path string) (a access, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return a, err
	}
	return access{info.Mode().Perm(), strconv.Itoa(groupOf(info))}, nil
}

// mode is that of the socket.
func (a access) mode() fs.FileMode { return cmp.Or(a.Mode, config.ModeOwner) }

// others reports whether anybody besides this user and root may connect.
func (a access) others() bool { return a.mode()&0o022 != 0 }

// who are those others, in words; empty: nobody.
func (a access) who() string {
	switch {
	case !a.others():
		return ""
	case a.mode()&0o002 != 0:
		return "every user of this machine"
	case a.Group == "":
		return "group " + groupName(strconv.Itoa(os.Getegid()))
	}
	return "group " + groupName(a.Group)
}

func groupName(gid string) string {
	if g, err := user.LookupGroupId(gid); err == nil {
		return g.Name
	}
	return gid
}

// give gives the socket at path its group and its mode. Nobody listens on it yet.
func (a access) give(path string) error {
	if a.Group != "" {
		gid, err := strconv.Atoi(a.Group)
		if err == nil {
			err = os.Lchown(path, -1, gid)
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("the socket cannot be given to group %s, of which this user is no member: %w; name another one with -socket-group", groupName(a.Group), err)
		}
		if err != nil {
			return err
		}
	}
	return os.Chmod(path, a.mode())
}

// letIn makes sure that those who may connect come through to the socket at path. It opens
// directories on the way that are ours to open: what is in them has modes of its own.
func (a access) letIn(flag, path string, ours ...string) error {
	return a.through(path, func(dir string, info fs.FileInfo, gid int, everybody bool) error {
		mode := info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		switch {
		case !slices.ContainsFunc(ours, func(dir string) bool { return isDir(info, dir) }):
			return a.closed(flag, path, dir, mode.Perm(), gid, everybody)
		case everybody:
			return os.Chmod(dir, mode|0o011)
		case groupOf(info) == gid:
			return os.Chmod(dir, mode|0o010)
		}
		mode &^= 0o070 // what another group could was not for this one
		if err := errors.Join(os.Chmod(dir, mode), os.Chown(dir, -1, gid)); err != nil {
			return err
		}
		return os.Chmod(dir, mode|0o010)
	})
}

// examine says what letIn would, and opens nothing. Directories that are not there yet will
// be ours.
func (a access) examine(flag, path string, ours ...string) error {
	return a.through(path, func(dir string, info fs.FileInfo, gid int, everybody bool) error {
		if slices.ContainsFunc(ours, func(dir string) bool { return isDir(info, dir) }) {
			return nil
		}
		return a.closed(flag, path, dir, info.Mode().Perm(), gid, everybody)
	})
}

// through calls shut for each directory on the way to path that keeps out those who may
// connect, and ends with its error.
func (a access) through(path string, shut func(dir string, info fs.FileInfo, gid int, everybody bool) error) error {
	if !a.others() {
		return nil
	}
	gid := os.Getegid()
	if a.Group != "" {
		gid, _ = strconv.Atoi(a.Group)
	}
	everybody := a.mode()&0o002 != 0
	for _, dir := range way(filepath.Dir(path)) {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			// The kernel looks at one part of the mode alone: who is of the directory's group is
			// not one of the others.
			mode, need := info.Mode().Perm(), fs.FileMode(0o001)
			switch {
			case everybody:
				need = 0o011
			case groupOf(info) == gid:
				need = 0o010
			}
			if mode&need != need {
				err = shut(dir, info, gid, everybody)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mostLinks is how many links the kernel follows.
const mostLinks = 40

// way is each directory that somebody passes on the way to dir and in it, from there upwards:
// those of the path as it stands, and where one of them is a link, those that it leads to.
func way(dir string) (dirs []string) {
	next := []string{dir}
	for links := 0; len(next) > 0; {
		dir, next = next[0], next[1:]
		for ; !slices.Contains(dirs, dir); dir = filepath.Dir(dir) {
			if to, err := os.Readlink(dir); err == nil && links < mostLinks {
				links++
				if !filepath.IsAbs(to) {
					to = filepath.Join(filepath.Dir(dir), to)
				}
				next = append(next, filepath.Clean(to))
			}
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// isDir reports whether info is of the directory at path.
func isDir(info fs.FileInfo, path string) bool {
	is, err := os.Stat(path)
	return err == nil && os.SameFile(info, is)
}

func (a access) closed(flag, path, dir string, mode fs.FileMode, gid int, everybody bool) error {
	mend := "chmod a+x " + dir
	if !everybody {
		mend = fmt.Sprintf("chgrp %s %s && chmod g+x %[2]s", groupName(strconv.Itoa(gid)), dir)
	}
	return fmt.Errorf("%s cannot reach %s through %s (mode %04o): %s, or give another path with -%s", a.who(), path, dir, mode, mend, flag)
}

// bares reports whether every user can read a file of definitions in dir, for which only the directories
// above it that letIn opens were shut.
func (a access) bares(dir string, ours ...string) bool {
	if a.mode()&0o002 == 0 || !slices.Contains(ours, filepath.Dir(dir)) {
		return false
	}
	if info, err := os.Lstat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
		return false
	}
	files, _ := os.ReadDir(dir)
	return slices.ContainsFunc(files, func(file fs.DirEntry) bool {
		info, err := file.Info()
		return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
	})
}

func groupOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Gid) }
