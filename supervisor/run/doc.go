// Package run is one execution of a process, from spawn until nobody is left.
//
// # Model
//
// A [Run] owns what belongs to one execution: its cgroup, its FIFO, the attributes on the
// group, its timers and figures. [lifecycle.Run] says what is to be done; the Run does it.
// A [Host] is what all runs of a daemon share.
//
// A Run belongs to the goroutine of its process. Whatever happens to the run (the leader
// is born or ends, the group is empty, a timer fires) reaches that goroutine as an [Event],
// through [Owner.Tell]; [Run.Handle] takes it and returns what the process must be told.
// What can wait for a disk or for the keeper is done beside the goroutine, through
// [Owner.Aside], and comes back as an Event too: so signals wait for nobody.
//
// # What stands on the group
//
// The attributes of a group live and die with it, so they are never stale: whose run it is,
// its leader, and, before the first signal is sent, why it is being ended and what is to
// follow. A new worker goes on from them ([Host.Adopt]).
//
// # Ending a tree
//
// It is frozen (at most 100 ms), every process in it is sent the stop signal, it is thawed;
// after the grace period cgroup.kill ends the rest. A tree that is still there 5 s later is
// stuck. A leader that left its group is ended by the keeper, or by its pidfd.
//
// # Implementation
//
// run.go takes events and carries out actions, spawn.go brings a run about, end.go ends its
// tree, result.go says how it went, adopt.go takes over one that goes on, attr.go has the
// attributes, meter.go the figures.
package run
