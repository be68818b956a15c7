// Command storm kills a daemon again and again while processes start, run, log, end
// by themselves, are stopped, restarted and deleted, and checks that nothing is lost.
//
//	go run ./integration/storm -duration 10m
//	go run ./integration/storm -seed 42 -kill worker=1
//	go run ./integration/storm -files 100            // it may open few files (ulimit -n)
//	go run ./integration/storm -disk fills           // the state directory's, for moments
//	go run ./integration/storm -disk freezes         // writes hang for seconds
//
// # Model
//
// A [player] owns one name: it asks for one thing after another and knows what must
// be so after each answer, and what may be so when the answer was lost. The [killer]
// sends SIGKILL to the worker at any moment, has it die at one of the points between two
// steps (supervisor.Points), or sends it to the keeper, or to both, and then starts the
// daemon anew.
//
// What really happened is told by the trees, not by the daemon: each command appends
// to a file of its own what only it can know (see [facts]): that run n has started,
// with which pid, with which code it is about to exit, how much it has written. The
// judge compares what the daemon says of a run with that.
//
// The first thing that is wrong ends the storm: the seed, the last events and the
// daemon's log are printed and the exit code is 1. A seed repeats the choices of the
// players and the killer, not the moments at which the kernel lets them act.
//
// With -files and -disk the daemon may refuse to start or to store something; what it then
// says of a process must be so all the same. The disk is a small file of ext4, in a mount
// namespace of its own.
//
// A [follower] reads the events all the time, and wants them without a gap, whoever dies; at the
// end it holds the histories against them.
//
// At the end the daemon gets SIGTERM while its worker is still being killed, is
// started once more, must know every process, and gets SIGTERM again. Each time no
// process, group, FIFO or socket may be left.
package main
