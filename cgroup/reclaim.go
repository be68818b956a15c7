package cgroup

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrReclaimedLess: the kernel found less to take away than it was asked for.
var ErrReclaimedLess = errors.New("there is not so much memory that can be taken away")

// Reclaim has the kernel take so many bytes of memory away from the group and all nested ones:
// caches of files and, where there is swap, what is used least. It waits until that is done,
// which can mean that disks write. Source: memory.reclaim, Linux 5.19.
//
// Errors: ErrReclaimedLess, after it took away what it could; errors.ErrUnsupported without a
// memory controller, or with an older kernel.
func (g Group) Reclaim(bytes uint64) error {
	err := g.write("memory.reclaim", strconv.FormatUint(bytes, 10))
	if e, ok := errors.AsType[*Error](err); ok && e.Err == unix.EAGAIN {
		e.Err = ErrReclaimedLess
	}
	return err
}
