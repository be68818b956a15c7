package proc

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// hostPids is the first pid namespace, PROC_PID_INIT_INO of the kernel.
const hostPids = 0xEFFFFFFC

// HasHostPids reports whether our pids are those that the kernel itself writes, in its log:
// those of the first pid namespace, outside containers. Source: <procDir>/self/ns/pid.
func HasHostPids(procDir string) (bool, error) {
	path := procDir + "/self/ns/pid"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino == hostPids, nil
}
