// Package proc is about one kernel process: starting it into a group, telling it
// from every other, how it ended, and what /proc says of it.
//
// # Model
//
//	CloseInherited ─── once, first of all: what this process was started with is let go
//	Prepare ─── once, before the first Spawn: what a child would inherit is put right
//	   │
//	Command ─── Spawn ──▶ ID      pid and start time: no other process has both
//	   │        Begin     │       until the machine is restarted
//	   ▼                  ▼
//	*SpawnError          Exit     from wait4: code or signal, time, CPU
//
// A group arrives as an open directory and a pid leaves as a number: this package
// knows nothing of cgroups, or of who manages what.
//
// # What a child inherits
//
// A session of its own; /dev/null as its input, Command.Output as its output, and
// no other descriptor; default dispositions and an empty mask for all signals;
// umask 022; the soft limit of open files that this process was started with
// (Go raises its own and restores it for children); oom_score_adj 0 and the usual
// scheduling (SCHED_OTHER, nice 0) where they are permitted; Command.Env and nothing
// else. Other limits and the CPU affinity are those of this process. It never gets a
// parent-death signal: that fires when the thread that cloned ends, and Go ends threads
// as it likes.
//
// # Settings
//
// A child gets what ForkExec has no field for, limits or another user, say, by way of a
// second exec: Begin clones this very program, which makes the settings and executes the
// command ([Settle]). Pid, start time and group stay, nothing of the first program is left,
// and a step that fails is told with its errno. It costs the start of a Go program, some 2
// ms and 3 MB for that time; a command without settings pays nothing.
//
// # Roots
//
// Functions that read /proc take its mount point, so that tests can hand in a tree
// of their own. Spawn and Prepare speak of this very process and use the real one.
package proc
