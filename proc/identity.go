package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ID tells a process from every other since the machine was started. Pids are used
// again; a pid with its start time is not.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
}

// Boot is when it was started, by BootTime, to a clock tick.
func (id ID) Boot() time.Duration {
	const tick = time.Second / 100 // USER_HZ, on every machine that Go runs on
	return time.Duration(id.Start) * tick
}

// Identify reads the start time of pid from /proc/PID/stat. A zombie has one too.
//
// Errors: fs.ErrNotExist or unix.ESRCH when there is no such process.
func Identify(procDir string, pid int) (ID, error) {
	s, err := readStat(procDir, pid)
	return s.id, err
}

// Alive reports whether the process that id names still runs. A zombie does not. Only
// two things say that it has ended: no process has its pid, or one with another start
// time has. An error means that this is not known: /proc cannot be read, for want of a
// descriptor, say, or hides the process (hidepid).
func (id ID) Alive(procDir string) (bool, error) {
	s, err := readStat(procDir, id.PID)
	switch {
	case err == nil:
		return s.id == id && s.state != 'Z' && s.state != 'X', nil
	case Gone(err):
		return false, nil
	}
	return false, err
}

// Doomed reports whether the process that id names has ended, is just ending, or has
// SIGKILL on its way. An error means that this is not known.
func (id ID) Doomed(procDir string) (bool, error) {
	s, err := readStat(procDir, id.PID)
	switch {
	case err == nil:
		return s.id != id || s.state == 'Z' || s.state == 'X' || s.doomed, nil
	case Gone(err):
		return true, nil
	}
	return false, err
}

type stat struct {
	id       ID
	state    byte
	terminal int  // the number of its controlling terminal; 0: none
	doomed   bool // it is exiting, or has SIGKILL on its way
}

func readStat(procDir string, pid int) (stat, error) {
	path := pidFile(procDir, pid, "stat")
	var buf [1024]byte // 52 numbers and a name of at most 64 bytes
	data, err := readInto(path, buf[:])
	if Gone(err) && pid > 0 && unix.Kill(pid, 0) != unix.ESRCH {
		return stat{}, fmt.Errorf("process %d is there, and %s does not show it", pid, procDir)
	}
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(data)
	if err != nil {
		return stat{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// parseStat reads a /proc/PID/stat. The name, field 2, may hold blanks and
// parentheses: the fields are counted from the last closing one.
func parseStat(data []byte) (stat, error) {
	const start = 22 - 3 // from the state, which is field 3
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return stat{}, fmt.Errorf("no name in %q", data)
	}
	pid, err := strconv.Atoi(string(data[:open-1]))
	if err != nil {
		return stat{}, fmt.Errorf("pid: %w", err)
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) <= start {
		return stat{}, fmt.Errorf("%d fields, want %d: %w", len(fields)+2, start+3, unix.EINVAL)
	}
	ticks, err := strconv.ParseUint(string(fields[start]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time: %w", err)
	}
	s := stat{id: ID{pid, ticks}, state: fields[0][0]}
	if s.terminal, err = strconv.Atoi(string(fields[7-3])); err != nil {
		return stat{}, fmt.Errorf("terminal: %w", err)
	}
	const exiting = 0x4 // PF_EXITING
	flags, err := strconv.ParseUint(string(fields[9-3]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("flags: %w", err)
	}
	s.doomed = flags&exiting != 0
	if len(fields) > 31-3 { // pending signals
		pending, err := strconv.ParseUint(string(fields[31-3]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("pending signals: %w", err)
		}
		s.doomed = s.doomed || pending&(1<<(unix.SIGKILL-1)) != 0
	}
	return s, nil
}
