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
func (a access) letIn(path string, ours ...string) error {
	return a.through(path, func(dir string, info fs.FileInfo, gid int, everybody bool) error {
		mode := info.Mode().Perm()
		switch {
		case !slices.Contains(ours, dir):
			return a.closed(path, dir, mode, gid, everybody)
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
func (a access) examine(path string, ours ...string) error {
	return a.through(path, func(dir string, info fs.FileInfo, gid int, everybody bool) error {
		if slices.Contains(ours, dir) {
			return nil
		}
		return a.closed(path, dir, info.Mode().Perm(), gid, everybody)
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
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			mode := info.Mode().Perm()
			if passes := mode&0o001 != 0 || !everybody && mode&0o010 != 0 && groupOf(info) == gid; !passes {
				err = shut(dir, info, gid, everybody)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return err
		}
	}
}

func (a access) closed(path, dir string, mode fs.FileMode, gid int, everybody bool) error {
	mend := "chmod a+x " + dir
	if !everybody {
		mend = fmt.Sprintf("chgrp %s %s && chmod g+x %[2]s", groupName(strconv.Itoa(gid)), dir)
	}
	return fmt.Errorf("%s cannot reach %s through %s (mode %04o): %s, or give another path with -socket", a.who(), path, dir, mode, mend)
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
