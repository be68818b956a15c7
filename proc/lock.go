package proc

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
)

// LockHolders are the processes that have locked (flock) what f is open on. A lock
// that a process took stays its own on every descriptor of it that others got.
// Source: <procDir>/locks, where processes of outer pid namespaces are missing.
func LockHolders(procDir string, f *os.File) ([]int, error) {
	name, err := lockName(procDir, f)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(procDir + "/locks")
	if err != nil {
		return nil, err
	}
	return parseLocks(data, name), nil
}

// lockName is how /proc/locks names what f is open on: the device of the file system
// and the inode, which on btrfs and overlayfs are not those of fstat. Source: mnt_id
// and ino in /proc/self/fdinfo (Linux 5.14), and /proc/self/mountinfo.
func lockName(procDir string, f *os.File) (string, error) {
	path := fmt.Sprintf("%s/self/fdinfo/%d", procDir, f.Fd())
	info, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	mount, inode := field(info, "mnt_id:"), field(info, "ino:")
	mounts, err := os.ReadFile(procDir + "/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(mounts) {
		var id string
		var major, minor uint32
		if n, _ := fmt.Sscanf(string(line), "%s %d %d:%d", &id, new(int), &major, &minor); n == 4 && id == mount {
			return fmt.Sprintf("%02x:%02x:%s", major, minor, inode), nil
		}
	}
	return "", fmt.Errorf("%s: no mount %q", path, mount)
}

// field is the word behind key in a file with a key and a word on each line.
func field(data []byte, key string) string {
	for line := range bytes.Lines(data) {
		if words := bytes.Fields(line); len(words) == 2 && string(words[0]) == key {
			return string(words[1])
		}
	}
	return ""
}

// parseLocks reads /proc/locks: number, kind, mode, access, pid, file, range. A line of
// one who waits has "->" behind the number.
func parseLocks(data []byte, file string) (pids []int) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 6 || string(fields[1]) != "FLOCK" || string(fields[5]) != file {
			continue
		}
		if pid, err := strconv.Atoi(string(fields[4])); err == nil && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// LockedByOthers reports whether f is locked, and only by processes of other users than
// this one and root. One that cannot be seen may be anybody's: then it is false.
func LockedByOthers(procDir string, f *os.File) bool {
	pids, err := LockHolders(procDir, f)
	if err != nil || len(pids) == 0 {
		return false
	}
	return !slices.ContainsFunc(pids, func(pid int) bool {
		uid, err := realUser(procDir, pid)
		return err != nil || uid == 0 || uid == os.Getuid() || uid == os.Geteuid()
	})
}

// LockedByLiving reports whether a process that is alive has locked f. One that is not
// may hold the lock a moment longer: its other threads, or a child that has yet to
// execute its program, have f open still.
func LockedByLiving(procDir string, f *os.File) bool {
	pids, _ := LockHolders(procDir, f)
	return slices.ContainsFunc(pids, func(pid int) bool {
		s, err := readStat(procDir, pid)
		return err == nil && s.state != 'Z' && s.state != 'X'
	})
}

// realUser is the user who started a process, whatever a set-user-ID program made of
// it. Source: Uid in /proc/PID/status.
func realUser(procDir string, pid int) (int, error) {
	fs, err := procfs.NewFS(procDir)
	if err != nil {
		return 0, err
	}
	p, err := fs.Proc(pid)
	if err != nil {
		return 0, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return 0, err
	}
	return int(status.UIDs[0]), nil
}
