package proc

import "golang.org/x/sys/unix"

// usualPriority gives this thread the policy and the nice value that processes usually
// have, for a child takes them over at the clone, and returns what puts them back. The
// daemon may be less urgent than others, or more; that is no wish for what it runs. Where
// it is not permitted nothing changes. Lock the thread.
func usualPriority() (restore func()) {
	const self = 0
	was, err := unix.SchedGetAttr(self, 0)
	usual := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if err != nil || was.Policy == usual.Policy && was.Nice == 0 {
		return func() {}
	}
	if unix.SchedSetAttr(self, &usual, 0) != nil {
		return func() {}
	}
	return func() { unix.SchedSetAttr(self, was, 0) }
}
