// Package run is one execution of a process, from spawn until nobody is left.
//
// # Model
//
// A [Run] owns what belongs to one execution: its cgroup, its FIFO, the attributes on the
// group, its timers and figures. [lifecycle.Run] says what is to be done; the Run does it.
// A [Host] is what all runs of a daemon share: the groups, the keeper, the clock.
//
// A Run belongs to the goroutine of its process, which is its [Owner]. Whatever happens to
// the run (the leader is born or ends, the group is empty, a timer fires) reaches that
// goroutine as an [Event], through Owner.Tell; [Run.Handle] takes it and returns what the
// process must be told. What can wait for a disk or for the keeper is done beside the
// goroutine, through Owner.Aside, and comes back as an Event too: so signals wait for nobody.
//
// # The life of a run
//
//	New, Begin    the group is made and says whose run it is, the FIFO is made and read, the
//	              keeper clones the leader into the group. RunStarted is told. Should one of
//	              these fail, the run ends with the cause start.
//	it runs       Send signals the leader or the tree, Pause has it stand still and GoOn go on, Change takes up another deadline or
//	              another way to end
//	it ends       because End was called, its deadline has passed, or its leader has ended and
//	              has left others behind. RunEnding is told.
//	nobody left   the last output is moved, the figures are read. RunEnded is told, once, and
//	              nothing after it. Result says how it went.
//	Release       when the result is on disk: FIFO and group are removed, the keeper forgets
//	              the run. It also removes what a failed start has made.
//
// [Host.Adopt] stands in place of New and Begin when a former worker has begun the run, and
// [Run.Resume] goes on with an end that one has begun. Each [Point] is a moment at which a
// worker may have died.
//
// # Ready and healthy
//
// With a probe of its readiness a run is Starting until that says yes: then it is noted on
// the group, RunReady is told, and it is asked again and again how it is, if it is to be.
// What is not ready in time ends with the cause start, what is not well with unhealthy;
// both with the probe's last words, which stand on the group as well. Probes work beside the
// goroutine of the process, end when the run begins to, and none is counted as failed that
// could not be asked.
//
// # Paused
//
// A run can be paused and go on: its group is frozen, and what a tree has frozen itself is left
// alone. That it is to stand still stands on the group before it does, so that the next worker
// goes on with it, or undoes what was half done. The clocks of its deadline, its readiness and its
// watchdog stand still meanwhile, and nobody asks how it is. What ends a tree ends a paused one:
// it is sent its signal first, and then goes on to act on it.
//
// # Limits
//
// What the tree may use is written to its group before the leader is born, and again when the
// definition changes: beside the goroutine of the process, for the kernel may have to take memory
// away first. Who waits for that is told when the tree follows, or why it does not. A worker that
// takes over has them hold again, should its predecessor have died before it had written them.
//
// # What stands on the group
//
// The attributes of a group live and die with it, so they are never stale: whose run it is,
// its leader, since when it is ready, what it has said of itself, and, before the first signal
// is sent, why it is being ended, what is to follow, and what is known of the leader's exit.
// They are kept up as that changes.
//
// # What a run says of itself
//
// A run that asks for it has a socket (sd_notify, see package notify). Its ear looks at a
// message, sees whether a process of the tree has sent it, and hands it to the owner's
// goroutine; when that has dealt with it, and it stands on the group, the ear takes it out of
// the socket, which the keeper holds. A worker that dies in between leaves it to the next.
//
// # Helpers
//
// A command that probes a run is not a run: it has a group beside the run's, and the keeper
// clones it and forgets it. The next worker ends what it finds in such a group.
//
// # Ending a tree
//
// It is frozen (at most 100 ms), every process in it is sent the stop signal, it is thawed;
// after the grace period cgroup.kill ends the rest. A tree that is still there 5 s later is
// stuck: RunStuck is told, and End kills it again. A group that is empty for a second while
// the leader's exit is not known has a leader elsewhere; that is ended by the keeper, or by
// its pidfd, within the same bounds.
//
// # What is not known
//
// "Nobody is left" is an empty or a missing group. Any other answer says nothing: the group
// is looked at again, less and less often, up to once a second. SIGKILL that could not be
// sent for want of a descriptor is sent when there is one; output that cannot be opened is
// tried again. An exit code is never made up: a leader that nobody could see end is lost.
//
// # Faults of ours
//
// After a panic in what was being done about a run, [Run.Recover] does again what was done in
// part, by what the machine says is under way. Work beside the goroutine says itself whether
// a fault has ended it; if not, it goes on, and is not begun a second time.
//
// # Implementation
//
// run.go takes events and carries out actions; shown.go is what others see of a run, recover.go
// what is done after a fault. spawn.go brings a run about, end.go ends its tree, result.go says
// how it went; pause.go has it stand still; limits.go says what its tree may use; look.go bounds what may not answer; adopt.go takes
// over one that goes on, and orphan.go watches a leader that the keeper does not know. probing.go finds out whether a run is ready and how it is, and helper.go
// runs a probe's command. sockets.go has the sockets of all runs, ear.go listens at that of one,
// and said.go takes what it hears. environ.go says what a run gets beside its command, with the
// users and groups of account.go and the files of variables of envfile.go. oom.go tells whom the
// kernel ended for lack of memory, met.go which other limits a tree has met,
// with notices no more often than notice.go passes them on, attr.go has the attributes, and fifo.go the FIFOs.
// meter.go reads what a tree uses, figures.go has the names for that, and devices.go the disks.
//
// The tests make up a machine (fake_test.go): one group, a keeper and a clock, in which each
// step can fail, take long, meet a fault, or be the last of a worker.
package run
