package cgroup

import (
	"strings"

	"golang.org/x/sys/unix"
)

// SetAttr keeps value with the group under name, until the group is removed. It
// takes write access to the directory. Source: the extended attribute
// "user."+name; since Linux 5.7 a group may have 128 of them, of at most 64 KiB
// each and 128 KiB in all (unix.ENOSPC).
func (g Group) SetAttr(name string, value []byte) error {
	if err := unix.Setxattr(g.path, "user."+name, value, 0); err != nil {
		return &Error{Op: "set attribute " + name + " of", Path: g.path, Err: err}
	}
	return nil
}

// Attr returns what SetAttr kept under name.
//
// Errors: ErrNoAttr; fs.ErrNotExist if there is no such group.
func (g Group) Attr(name string) ([]byte, error) {
	for buf := make([]byte, 512); ; buf = make([]byte, 64<<10) {
		n, err := unix.Getxattr(g.path, "user."+name, buf)
		switch {
		case err == unix.ERANGE && len(buf) < 64<<10:
			continue
		case err == unix.ENODATA:
			err = ErrNoAttr
		case err == nil:
			return buf[:n], nil
		}
		return nil, &Error{Op: "get attribute " + name + " of", Path: g.path, Err: err}
	}
}

// Attrs are the names of all that SetAttr kept.
//
// Errors: fs.ErrNotExist if there is no such group.
func (g Group) Attrs() (names []string, err error) {
	for buf := make([]byte, 512); ; buf = make([]byte, 64<<10) {
		n, err := unix.Listxattr(g.path, buf)
		switch {
		case err == unix.ERANGE && len(buf) < 64<<10:
			continue
		case err != nil:
			return nil, &Error{Op: "list the attributes of", Path: g.path, Err: err}
		}
		for _, name := range strings.Split(string(buf[:n]), "\x00") {
			if name, ours := strings.CutPrefix(name, "user."); ours {
				names = append(names, name)
			}
		}
		return names, nil
	}
}
