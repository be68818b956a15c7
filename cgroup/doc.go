// Package cgroup is the only door to cgroupfs: it finds the mounted cgroup v2
// hierarchy and reads, writes, watches and ends the groups in it.
//
// # Model
//
// A [Hierarchy] is one mount of cgroup v2. A [Group] is one directory in it, and
// only a name: making the value touches nothing, two values of one Hierarchy with
// the same path are equal, and the directory need not exist. What the kernel knows about a
// group is asked each time; nothing is remembered but which accounting files the
// groups below one parent have.
//
//	Hierarchy ── Find, FindOrMount      where cgroup v2 is, and how it is mounted
//	   │         Self                   the group of a kernel process
//	   ▼
//	 Group ───── Make, Remove, Lock     the directory
//	   │         Enter, Dir, Pids       the processes in it
//	   │         Freeze, Signal, Kill   ending or holding all of them
//	   │         Usage, Devices         what they have used, the dead included
//	   │         Limit, CanLimit        what they may use
//	   ▼         SetAttr, Attr, Attrs   notes that live and die with the group
//	 Watch ───── Add                    changes of populated and frozen
//
// A tree is everything in a group and in the groups nested below it, so Pids,
// Signal, Thaw and Remove speak for all of them, as cgroup.kill, cgroup.freeze,
// cgroup.events and the counters do in the kernel.
//
// # Ending a tree
//
// Kill is one write, free of races, and does not wait. Freeze does not wait
// either. The kernel reports both in cgroup.events: add the group to a Watch,
// then read Events, then act, and read Events again at each notification, until
// Populated is false or Frozen true. Zombies do not count as populated. A group
// that is not populated can be removed at once.
//
// # Errors
//
// An operation on a file gives an [*Error] with the operation, the path and the
// value. A group that is not there, or went away in the middle, is
// errors.Is(err, fs.ErrNotExist), whether the kernel said ENOENT or ENODEV. A file
// that an existing group does not have, because the kernel is too old or the group
// is the topmost one, is errors.ErrUnsupported.
//
// # Implementation
//
// Figures are read by openat, read and close into a buffer on the stack, which
// costs a quarter of os.ReadFile. Kill needs Linux 5.14, attributes 5.7; an
// accounting file that a kernel does not have is a figure that is not in Known.
//
// Limits are written here and not by the Resources of containerd/cgroups. Those are written in
// an order of their own, up to the first error, which names no limit. They can take no limit of a
// disk back and do not know io.weight. What comes with them (eBPF, D-Bus) makes the daemon a third
// larger.
package cgroup
