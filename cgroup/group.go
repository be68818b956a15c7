package cgroup

import (
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Group is one directory of a hierarchy. It is a small value that can be compared
// and be the key of a map. The zero Group is one that does not exist.
type Group struct {
	h    *Hierarchy
	path string
}

// Path returns the absolute directory.
func (g Group) Path() string { return g.path }

// Name returns the last element of the path.
func (g Group) Name() string { return path.Base(g.path) }

func (g Group) String() string { return g.path }

func (g Group) file(name string) string { return g.path + "/" + name }

// Child returns the nested group called name. A name that is not one element of a
// path (empty, "..", with a slash) must never reach another group: every
// operation on the result fails with EINVAL.
func (g Group) Child(name string) Group {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		name = strconv.Quote(name) + "\x00" // the one byte that no system call accepts
	}
	return Group{g.h, g.path + "/" + name}
}

// Children returns the groups directly below, by name.
func (g Group) Children() ([]Group, error) {
	entries, err := os.ReadDir(g.path)
	if err != nil {
		return nil, asError("read", g.path, err)
	}
	var children []Group
	for _, e := range entries {
		if e.IsDir() {
			children = append(children, Group{g.h, g.file(e.Name())})
		}
	}
	return children, nil
}

// Make makes the directory, whose parent must exist. Its mode is 0755, less the
// umask: runtimes that fit themselves to their limits (Go, the JVM) read the files
// of their own group as whatever user they are.
//
// Errors: fs.ErrExist, fs.ErrNotExist (no parent), fs.ErrPermission, ErrReadOnly.
func (g Group) Make() error {
	if err := unix.Mkdir(g.path, 0o755); err != nil {
		return &Error{Op: "mkdir", Path: g.path, Err: err}
	}
	return nil
}

// Dir opens the directory, for clone3 (CLONE_INTO_CGROUP). The descriptor is
// closed on exec. It does not keep the group from being removed.
func (g Group) Dir() (*os.File, error) {
	fd, err := openAt(unix.AT_FDCWD, g.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, &Error{Op: "open", Path: g.path, Err: err}
	}
	return os.NewFile(uintptr(fd), g.path), nil
}

// lockFile is what Lock locks: the one file of a group that nobody but the group's
// owner and root can open. The directory anybody could lock.
const lockFile = "cgroup.kill"

// Lock locks the group until the file is closed, by us or with our last descriptor of
// it. It does not wait. It locks (flock) a file that only the owner of the group and
// root can open, so nobody else can hold it. With ErrLocked comes the open file, to
// tell who does.
//
// Errors: ErrLocked; fs.ErrNotExist, also if the group was removed meanwhile;
// errors.ErrUnsupported before Linux 5.14.
func (g Group) Lock() (*os.File, error) {
	path := g.file(lockFile)
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_WRONLY)
	if err != nil {
		return nil, &Error{Op: "lock", Path: g.path, Err: g.absent(err)}
	}
	return g.lock(os.NewFile(uintptr(fd), path))
}

// LockDir locks the directory itself, as Lock did formerly. Anybody can hold that lock.
func (g Group) LockDir() (*os.File, error) {
	dir, err := g.Dir()
	if err != nil {
		return nil, err
	}
	return g.lock(dir)
}

func (g Group) lock(f *os.File) (*os.File, error) {
	switch err := flock(f); err {
	case nil:
		return f, nil
	case ErrLocked:
		return f, &Error{Op: "lock", Path: g.path, Err: err}
	default:
		f.Close()
		return nil, &Error{Op: "lock", Path: g.path, Err: err}
	}
}

// flock locks f, which was opened by its name.
func flock(f *os.File) error {
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
	case unix.EWOULDBLOCK:
		return ErrLocked
	default:
		return err
	}
	// The lock is worth nothing if the file is no longer the one at path.
	var locked, there unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &locked); err != nil {
		return err
	}
	if err := unix.Stat(f.Name(), &there); err != nil {
		return err
	}
	if locked.Ino != there.Ino {
		return unix.ENOENT
	}
	return nil
}

// Enter moves the process pid (0: ourselves, all threads) into the group. Its
// children up to now stay where they are.
//
// Errors: ErrInternalProcesses if controllers are enabled for the group's
// children; unix.ESRCH; fs.ErrPermission (it takes write access to the
// cgroup.procs of the nearest common ancestor too).
func (g Group) Enter(pid int) error {
	return internalProcesses(g.write("cgroup.procs", strconv.Itoa(pid)))
}

// Pids returns every process of the group and all nested ones, in no order and
// each once. It is a picture of a moment: what forks meanwhile may be missing.
// Processes of other pid namespaces, which have no pid here, are left out.
func (g Group) Pids() ([]int, error) {
	pids := []int{}
	groups := 0
	err := g.walk(func(parent int, name, path string) (err error) {
		groups++
		pids, err = readPids(pids, parent, name+"/cgroup.procs")
		switch {
		// The processes of a threaded group stand in the domain group above it.
		case err == unix.EOPNOTSUPP && path != g.path:
			return nil
		case err != nil:
			return &Error{Op: "read", Path: path + "/cgroup.procs", Err: err}
		}
		return nil
	})
	if groups > 1 { // a process that moved while we walked was seen twice
		slices.Sort(pids)
		pids = slices.Compact(pids)
	}
	return pids, err
}

// Holds reports whether the process pid is in the group or in a nested one.
//
// Errors: fs.ErrNotExist as of [Hierarchy.Self].
func (g Group) Holds(pid int) (bool, error) {
	rel, err := g.h.Self(pid)
	if errors.Is(err, ErrOutside) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return g.above(Group{g.h, strings.TrimSuffix(g.h.Mount+rel, "/")}), nil
}

func readPids(pids []int, dir int, name string) ([]int, error) {
	var buf [4096]byte
	data, err := readListAt(dir, name, buf[:])
	if err != nil {
		return pids, err
	}
	return parsePids(pids, data)
}

// Events is what the kernel says in cgroup.events, nested groups included.
type Events struct {
	Populated bool // there is a process that is not a zombie
	Frozen    bool // all processes have stopped after Freeze
}

// Events reads cgroup.events. The topmost group of a host has none
// (errors.ErrUnsupported).
func (g Group) Events() (Events, error) {
	var buf [128]byte
	data, err := g.read("cgroup.events", buf[:])
	if err != nil {
		return Events{}, err
	}
	populated, ok := flatKey(data, "populated")
	if !ok {
		return Events{}, &Error{Op: "read", Path: g.file("cgroup.events"), Err: unix.EBADMSG}
	}
	frozen, _ := flatKey(data, "frozen")
	return Events{populated == 1, frozen == 1}, nil
}

// Remove removes the nested groups from the bottom up, then the group. A group
// that is not there is fine.
//
// Errors: ErrNotEmpty if there are still processes; some nested groups may be
// gone by then.
func (g Group) Remove() error {
	err := g.walk(func(parent int, name, path string) error {
		err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		switch err {
		case nil:
			return nil
		case unix.EBUSY:
			err = ErrNotEmpty
		}
		return &Error{Op: "remove", Path: path, Err: err}
	})
	if err != nil && !gone(err) {
		return err
	}
	g.h.forget(g.path)
	return nil
}
