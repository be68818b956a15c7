package cgroup

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// What a caller may want to tell apart. A missing group is fs.ErrNotExist, one
// that is there already fs.ErrExist, a lack of rights fs.ErrPermission.
var (
	// ErrNoHierarchy: cgroup v2 is mounted nowhere that can be used.
	ErrNoHierarchy = errors.New("no cgroup v2 hierarchy is mounted")
	// ErrReadOnly: the cgroup file system is mounted read-only.
	ErrReadOnly = errors.New("the cgroup file system is read-only")
	// ErrOutside: the group of a process is not below the mount.
	ErrOutside = errors.New("the group is not visible below the mount")
	// ErrLocked: somebody else holds the lock of the group.
	ErrLocked = errors.New("the group is locked by another")
	// ErrNotEmpty: the group, or one nested in it, still has processes.
	ErrNotEmpty = errors.New("the group still has processes")
	// ErrInternalProcesses: a group has processes of its own, or controllers
	// enabled for its children, but never both.
	ErrInternalProcesses = errors.New("a group cannot have both processes and controllers enabled for its children")
	// ErrNoAttr: the group has no such attribute.
	ErrNoAttr = errors.New("no such attribute")
)

// Error is a failed operation on a file of cgroupfs.
type Error struct {
	Op    string // "write", "read", "mkdir", …
	Path  string // the file or directory
	Value string // what was to be written, if anything
	Err   error  // an errno, or one of the errors of this package
}

func (e *Error) Error() string {
	if e.Value != "" {
		return fmt.Sprintf("cgroup: %s %q to %s: %v", e.Op, e.Value, e.Path, e.Err)
	}
	return fmt.Sprintf("cgroup: %s %s: %v", e.Op, e.Path, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Is knows the two meanings that errnos have in cgroupfs only: ENODEV is the
// answer of a file whose group was removed after it was opened, and EROFS that of
// a container's read-only mount.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Err == unix.ENODEV
	case ErrReadOnly:
		return e.Err == unix.EROFS
	}
	return false
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
