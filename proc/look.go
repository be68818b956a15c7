package proc

import (
	"bytes"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Look is what /proc says of a process at one moment.
type Look struct {
	ID
	Parent  int           // its pid; 0: outside of our pid namespace
	Group   int           // pid of the first process of its process group, which may have ended
	Session int           // and of its session
	State   byte          // as in /proc/PID/stat: R, S, D, Z, T, t, I, X
	CPU     time.Duration // user and system, of all its threads, to a clock tick
	RSS     uint64        // bytes of memory that it has mapped and that are there; pages that several share count in each
	Threads int
	Command string // its arguments with blanks between them, or its [name] where it shows none; valid UTF-8
}

// See looks at a process. Its command is cut to so many bytes, with a sign that more follows.
//
// Errors: fs.ErrNotExist or unix.ESRCH when there is no such process, see [Gone].
func See(procDir string, pid, most int) (Look, error) {
	host, err := procfs.NewFS(procDir)
	if err != nil {
		return Look{}, err
	}
	p, err := host.Proc(pid)
	if err != nil {
		return Look{}, err
	}
	s, err := p.Stat()
	if err != nil {
		return Look{}, err
	}
	const tick = time.Second / 100 // USER_HZ, on every machine that Go runs on
	look := Look{
		ID: ID{pid, s.Starttime}, Parent: s.PPID, Group: s.PGRP, Session: s.Session, State: s.State[0],
		CPU: time.Duration(s.UTime+s.STime) * tick, RSS: uint64(max(s.ResidentMemory(), 0)), Threads: s.NumThreads,
	}
	line, err := readInto(pidFile(procDir, pid, "cmdline"), make([]byte, most+1))
	if err != nil && !Gone(err) { // a zombie has none
		return Look{}, err
	}
	if look.Command = shown(line, most); look.Command == "" {
		look.Command = "[" + strings.ToValidUTF8(s.Comm, "�") + "]"
	}
	return look, nil
}

// shown is a cmdline as one text of at most so many bytes.
func shown(line []byte, most int) string {
	whole := len(line) <= most
	line = bytes.TrimRight(line[:min(len(line), most)], "\x00")
	text := strings.ToValidUTF8(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})), "�")
	if !whole {
		text += "…"
	}
	return text
}

// Children are the pids of those whose parent a process is. One that begins or ends meanwhile
// may be missing. Source: <procDir>/PID/task/TID/children of all its threads; a kernel without
// CONFIG_PROC_CHILDREN has none.
func Children(procDir string, pid int) (pids []int, err error) {
	tasks := pidFile(procDir, pid, "task")
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return nil, err
	}
	for _, t := range threads {
		data, err := os.ReadFile(tasks + "/" + t.Name() + "/children")
		if Gone(err) {
			continue
		}
		if err != nil {
			return pids, err
		}
		for word := range bytes.FieldsSeq(data) {
			child, err := strconv.Atoi(string(word))
			if err != nil {
				return pids, &fs.PathError{Op: "read", Path: tasks + "/" + t.Name() + "/children", Err: unix.EINVAL}
			}
			pids = append(pids, child)
		}
	}
	return pids, nil
}
