package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Disk is a whole block device, as io.max and io.stat name it.
type Disk struct{ Major, Minor uint32 }

func (d Disk) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// ErrNoDisk: a file system is on no disk that can be limited.
var ErrNoDisk = errors.New("no disk")

// DiskOf is the disk that path is of: a block device itself, or a file or a directory of a
// file system on one. Of a partition it is the whole disk, for the kernel limits no less.
// procDir and sysDir are where procfs and sysfs are mounted.
//
// Errors: ErrNoDisk for a file system that is in memory, on the network, or on several
// layers; those of stat.
func DiskOf(procDir, sysDir, path string) (Disk, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Disk{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	device := st.Dev
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		device = st.Rdev
	case unix.S_IFCHR:
		return Disk{}, fmt.Errorf("%s is a character device: %w", path, ErrNoDisk)
	}
	if d, err := wholeDisk(sysDir, device); err == nil {
		return d, nil
	}
	// Some (btrfs) have a number of their own, and name the device that they are mounted from.
	source, fsType := mountedFrom(procDir, device)
	if unix.Stat(source, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK {
		if d, err := wholeDisk(sysDir, st.Rdev); err == nil {
			return d, nil
		}
	}
	if fsType == "" {
		return Disk{}, fmt.Errorf("%s is on no disk of this host: %w", path, ErrNoDisk)
	}
	return Disk{}, fmt.Errorf("%s is on a file system of type %s, which is on no disk of its own: %w", path, fsType, ErrNoDisk)
}

// wholeDisk is the disk that a block device is, or is a partition of.
// Source: <sys>/dev/block/MAJOR:MINOR.
func wholeDisk(sysDir string, device uint64) (Disk, error) {
	d := Disk{unix.Major(device), unix.Minor(device)}
	dir, err := filepath.EvalSymlinks(sysDir + "/dev/block/" + d.String())
	if err != nil {
		return Disk{}, err
	}
	if _, err := os.Stat(dir + "/partition"); err != nil {
		return d, nil
	}
	text, err := os.ReadFile(filepath.Dir(dir) + "/dev")
	if err != nil {
		return Disk{}, err
	}
	return parseDisk(strings.TrimSpace(string(text)))
}

func parseDisk(text string) (d Disk, err error) {
	major, minor, _ := strings.Cut(text, ":")
	for _, n := range []struct {
		text string
		at   *uint32
	}{{major, &d.Major}, {minor, &d.Minor}} {
		v, err := strconv.ParseUint(n.text, 10, 32)
		if err != nil {
			return d, fmt.Errorf("%q is no number of a device", text)
		}
		*n.at = uint32(v)
	}
	return d, nil
}

// mountedFrom is what the file system with this number is mounted from, and its type.
// Source: <proc>/self/mountinfo.
func mountedFrom(procDir string, device uint64) (source, fsType string) {
	data, _ := os.ReadFile(procDir + "/self/mountinfo")
	number := fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) > 2 && len(right) > 1 && left[2] == number {
			return unescape(right[1]), right[0]
		}
	}
	return "", ""
}

// diskKeys are the keys of a line of io.max, in the kernel's order.
var diskKeys = []struct {
	name string
	in   func(*DiskMax) uint64
}{
	{"rbps", func(d *DiskMax) uint64 { return d.ReadBytes }},
	{"wbps", func(d *DiskMax) uint64 { return d.WriteBytes }},
	{"riops", func(d *DiskMax) uint64 { return d.ReadOperations }},
	{"wiops", func(d *DiskMax) uint64 { return d.WriteOperations }},
}

// diskLines is what io.max says, in the order of the lines.
func diskLines(l *Limits) string {
	var lines []string
	for _, d := range l.IOMax {
		line := d.Disk.String()
		for _, k := range diskKeys {
			value := "max"
			if n := k.in(&d); n != 0 {
				value = strconv.FormatUint(n, 10)
			}
			line += " " + k.name + "=" + value
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func sortedDisks(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// changedDisks are the lines that have io.max say want: those that differ, and those of disks
// that are not limited any more.
func changedDisks(is, want string) (writes []string) {
	wanted := map[string]bool{}
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		disk, _, _ := strings.Cut(line, " ")
		wanted[disk] = true
		if !slices.Contains(strings.Split(is, "\n"), line) {
			writes = append(writes, line)
		}
	}
	for line := range strings.Lines(is) {
		if disk, _, _ := strings.Cut(strings.TrimSpace(line), " "); disk != "" && !wanted[disk] {
			line := disk
			for _, k := range diskKeys {
				line += " " + k.name + "=max"
			}
			writes = append(writes, line)
		}
	}
	return writes
}
