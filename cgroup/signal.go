package cgroup

import (
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process of the group and all nested ones, to those
// that are being forked too, and to frozen and stopped ones. It does not wait:
// see Events. Source: cgroup.kill, Linux 5.14 (errors.ErrUnsupported before).
func (g Group) Kill() error { return g.write("cgroup.kill", "1") }

// Freeze stops every process of the group and all nested ones where it stands. It
// does not wait: Events says Frozen when all have stopped.
func (g Group) Freeze() error { return g.write("cgroup.freeze", "1") }

// Unfreeze undoes Freeze, and leaves nested groups alone that the tree has frozen by itself.
func (g Group) Unfreeze() error { return g.write("cgroup.freeze", "0") }

// Thaw undoes Freeze, and thaws nested groups that the tree has frozen by itself.
func (g Group) Thaw() error {
	return g.walk(func(parent int, name, path string) error {
		file := "/cgroup.freeze"
		if err := writeAt(parent, name+file, "0"); err != nil {
			return &Error{Op: "write", Path: path + file, Value: "0", Err: err}
		}
		return nil
	})
}

// signalBatch is how many pidfds Signal holds at once, far below the usual soft
// limit of 1,024 descriptors.
const signalBatch = 128

// Signal sends sig to every process of the group and all nested ones, and SIGCONT
// after it, so that a stopped process can act on it (not after SIGKILL, nor after
// a signal that stops or continues). It returns how many were sent sig.
//
// Processes are signalled through a pidfd that was still listed in the group after
// it was opened, so a pid that was used again elsewhere is never hit. A tree that
// forks meanwhile can be ahead of it; freeze it first, and end with Kill.
//
// Of errors for single processes (fs.ErrPermission) the first is returned; the
// others are signalled all the same.
func (g Group) Signal(sig unix.Signal) (sent int, err error) {
	pids, err := g.Pids()
	if err != nil {
		return 0, err
	}
	for len(pids) > 0 {
		var batch []handle
		var refused error
		batch, pids, refused = g.open(pids)
		n, e := g.signal(batch, sig)
		sent += n
		if err == nil {
			err = refused
		}
		if err == nil {
			err = e
		}
	}
	return sent, err
}

// handle is a process that cannot be mistaken for another one.
type handle struct{ pid, fd int }

// open takes pids off the list and opens them, until the batch is full or there
// are no descriptors left. Processes that have ended are left out.
func (g Group) open(pids []int) (batch []handle, rest []int, err error) {
	for len(pids) > 0 && len(batch) < signalBatch {
		fd, e := unix.PidfdOpen(pids[0], 0)
		switch e {
		case nil:
			batch = append(batch, handle{pids[0], fd})
		case unix.ESRCH:
		case unix.EMFILE, unix.ENFILE:
			if len(batch) > 0 {
				return batch, pids, err
			}
			fallthrough
		default:
			if err == nil {
				err = &Error{Op: "pidfd_open", Path: g.process(pids[0]), Err: e}
			}
		}
		pids = pids[1:]
	}
	return batch, pids, err
}

// signal signals those of the batch that are still in the group, and closes all.
func (g Group) signal(batch []handle, sig unix.Signal) (sent int, err error) {
	listed, err := g.Pids()
	slices.Sort(listed)
	for _, p := range batch {
		if _, ok := slices.BinarySearch(listed, p.pid); ok {
			switch e := signalOne(p.fd, sig); {
			case e == nil:
				sent++
			case e != unix.ESRCH && err == nil:
				err = &Error{Op: "signal", Path: g.process(p.pid), Value: unix.SignalName(sig), Err: e}
			}
		}
		unix.Close(p.fd)
	}
	return sent, err
}

func signalOne(pidfd int, sig unix.Signal) error {
	if err := unix.PidfdSendSignal(pidfd, sig, nil, 0); err != nil {
		return err
	}
	switch sig {
	case unix.SIGKILL, unix.SIGCONT, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return nil
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGCONT, nil, 0); err != unix.ESRCH {
		return err
	}
	return nil
}

// process names a process of the group in errors.
func (g Group) process(pid int) string { return g.path + ", process " + strconv.Itoa(pid) }
