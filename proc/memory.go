package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Memory returns how many bytes the given processes hold together: the sum of
// their PSS from /proc/PID/smaps_rollup, in which a page that several share counts
// in parts. A process whose smaps_rollup may not be read counts with its RSS, from
// /proc/PID/statm. Pids that are gone, and zombies, are skipped.
//
// An error means that a file that is there could not be read or understood.
func Memory(procDir string, pids []int) (pss uint64, err error) {
	var buf [2048]byte // about 30 lines of at most 40 bytes, in every kernel that has the file
	for _, pid := range pids {
		n, err := processMemory(procDir, pid, buf[:])
		if err != nil && !Gone(err) {
			return 0, err
		}
		pss += n
	}
	return pss, nil
}

func processMemory(procDir string, pid int, buf []byte) (uint64, error) {
	path, parse := pidFile(procDir, pid, "smaps_rollup"), parsePSS
	data, err := readInto(path, buf)
	if err != nil && !errors.Is(err, unix.ESRCH) { // ENOENT is also a kernel without the file
		path, parse = pidFile(procDir, pid, "statm"), parseRSS
		data, err = readInto(path, buf)
	}
	if err != nil {
		return 0, err
	}
	n, err := parse(data)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// Gone reports whether err, from a read in /proc, says that the process has ended.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// parsePSS reads the line "Pss:      1234 kB" of a smaps_rollup.
func parsePSS(data []byte) (uint64, error) {
	_, rest, ok := bytes.Cut(data, []byte("\nPss:"))
	number, _, unit := bytes.Cut(rest, []byte(" kB"))
	if !ok || !unit {
		return 0, fmt.Errorf("no Pss in %q", data)
	}
	kib, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 54)
	return kib << 10, err
}

// parseRSS reads the second number of a statm, which counts pages.
func parseRSS(data []byte) (uint64, error) {
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0, fmt.Errorf("no RSS in %q", data)
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 48)
	return pages * uint64(os.Getpagesize()), err
}
