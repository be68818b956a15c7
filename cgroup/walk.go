package cgroup

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// walk calls visit for all nested groups, each after those nested in it, and last
// for the group itself. The group is named by a directory descriptor and a name,
// because a tree can nest groups deeper than a path may be long; the path is for
// messages. Nested groups that vanish meanwhile are passed over. After an error
// walk goes on, and returns the first.
func (g Group) walk(visit func(parent int, name, path string) error) error {
	return walk(unix.AT_FDCWD, g.path, g.path, visit)
}

func walk(parent int, name, path string, visit func(parent int, name, path string) error) error {
	var first error
	names, dir, err := nested(parent, name)
	if err != nil {
		first = asError("read", path, err)
	}
	if gone(first) { // visit will meet it too, if it is still so
		first = nil
	}
	for _, n := range names {
		err := walk(int(dir.Fd()), n, path+"/"+n, visit)
		if err != nil && !gone(err) && first == nil {
			first = err
		}
	}
	dir.Close() // before visit, which may remove it; nil if nothing is nested
	if err := visit(parent, name, path); first == nil {
		first = err
	}
	return first
}

// nested returns the names of the groups directly below a directory and the open
// directory, or nothing at all if there are none, as for nearly every run: the
// link count of a directory of cgroupfs is 2 and one for each nested group.
func nested(parent int, name string) (names []string, dir *os.File, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Nlink <= 2 {
		return nil, nil, err
	}
	fd, err := openAt(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, nil, err
	}
	dir = os.NewFile(uintptr(fd), name)
	entries, err := dir.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, dir, err
}

// asError turns an error of package os into one of ours.
func asError(op, path string, err error) error {
	if e, ok := err.(*fs.PathError); ok {
		err = e.Err
	}
	return &Error{Op: op, Path: path, Err: err}
}
