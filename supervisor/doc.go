// Package supervisor is the brain of the daemon: it knows every process, starts
// and ends their runs, keeps schedules, deadlines and output, and remembers.
//
// # Model
//
// A process has a spec, a target (up or not) and at most one run under way. Each
// process has one goroutine, its loop, which owns all that changes. The loop takes
// events: requests, the leader's exit (from the keeper), a change of the group
// (from the kernel), timers. For each it asks the lifecycle, a pure function, what
// to do, and does it. Others see a view, which is never changed once published, and
// read the figures of a live tree from its group themselves.
//
// A run ends when its group is empty and its leader's exit is known; not before. One
// that ends by itself and leaves nobody behind is never shown as stopping.
//
// The loop never waits for a disk. Writes of the record, the making of a run, what is
// left of its output and the destruction of logs go on beside it (disk.go), while it
// sends signals and answers others. A process is forgotten when the store has that it is
// to be, its log after that, its record last. A request is answered when what it changed is on
// disk or, after 5 s in which nothing came back, with an error that says so; what was
// asked for then goes on when the disk does.
//
// # Lifecycle
//
// What a request or an event does in each state. At rest is stopped, completed or
// failed.
//
//	                   at rest     scheduled  starting, running  stopping
//	start + command    exists      exists     exists             exists
//	start, name only   starts; with a schedule: scheduled
//	                               ok         ok                 queued
//	stop               ok          stopped    ends the tree      joins; drops a queued start
//	restart            = start     ok         ends, then starts  queued
//	delete             removes     removes    ends, removes      joins, removes
//	schedule           –           runs       skips              skips
//	deadline           –           –          ends the tree      –
//	leader exits       –           –          ends the rest      –
//	shutdown           –           –          ends the tree      joins; drops a queued start
//
// What ends a run that is being spawned keeps it from it, or comes as soon as it is
// there; a start by name is answered with it.
//
// A request that a later one drops answers superseded. While a process is being
// deleted its name starts nothing.
//
// Ending a tree: it is frozen (at most 100 ms), every process in it is sent the
// stop signal, it is thawed; after the grace period cgroup.kill ends the rest. A
// tree that is still there 5 s later is stuck: those who wait are told, it stays
// stopping, and a further stop or delete tries again.
//
// # What is kept where
//
// The store has specs, targets, run numbers and results; it is on disk before an
// answer is sent. What belongs to a run under way stands on its group, in
// attributes that live and die with it: whose run it is, its leader, and, before
// the first signal is sent, why it is being ended and what is to follow. A new
// worker goes on from both, and from what the keeper holds (see takeOver). A run
// that it was about to start, because of a restart too, is started then.
//
// A definition that was stored and can no longer be carried out here (its zone has
// gone) or be read at all is shown as failed, with the reason. Nothing of it is
// started; its tree goes on until somebody ends it. What the store has of one that
// cannot be read stays as it is until the process is deleted.
//
// # Clocks
//
// What is promised in seconds counts CLOCK_BOOTTIME, in which suspend counts and which
// no one can set, before and after a takeover (see timers). Schedules follow the wall
// clock, and look at it each minute, since it can be stepped.
//
// # Implementation
//
// step.go is the lifecycle, managed.go the loop, disk.go what waits for a disk, run.go a
// run from spawn to result, adopt.go what a new worker does with the runs of the one that died.
package supervisor
