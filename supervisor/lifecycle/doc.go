// Package lifecycle decides what becomes of a process and of its runs.
//
// It is two machines, one for a process and one for a run. Both are pure: a step
// takes a state and an event and gives the next state and the actions that follow
// from it, in order. There is no clock and no I/O in here. Whoever carries out the
// actions tells the machine what came of them by further events.
//
// # The machine of a process
//
// A [Process] decides what should run: its target, what a request waits for, what
// follows the end of a run. It sees each run only as starting, running, ending or
// stuck. Without a run it is at rest (stopped, completed, failed) or scheduled.
//
//	            at rest      scheduled  starting, running  ending           stuck
//	start       starts *)    done       done               queued           refused
//	stop        done         stopped    ends               drops a queued   kills again
//	                                                       start; joins
//	restart     = start      done       ends, then starts  queued           refused
//	delete      removes      removes    ends, removes      joins, removes   kills again, removes
//	schedule    arms *)      arms anew  arms               arms             arms
//	is changed
//	due         –            starts     skips              skips            skips
//	shutdown    –            –          ends               drops a queued   –
//	                                                       start; joins
//	run started –            –          answers start      –                –
//	run ending  –            –          ending             –                –
//	run stuck   –            –          –                  tells all        –
//	run ended   –            –          by its outcome     what was queued  by its outcome
//
//	*) with a schedule it becomes scheduled; if it is to be up
//
// While a process is being deleted a start is refused, and nothing but the end of
// its runs changes that. A request that a later one drops is answered superseded.
//
// # The machine of a run
//
// A [Run] decides how one execution goes, from spawn until nobody is left, and why
// it ended. Nobody is left when its cgroup is empty and its leader's exit is known (or
// known to be unknowable), in either order. Then its last output is moved, and it is over.
//
//	             starting          running            stopping
//	spawned      running           –                  signals **)
//	spawn failed drains: start       –                  drains
//	end          stops: grace      stops: grace,      stuck: kills again
//	                               signal
//	leader gone  –                 empty: drains      empty: drains
//	                               else ends the rest
//	empty        –                 awaits the leader  awaits the leader, or drains
//	leader late  –                 –                  kills the leader
//	grace over   –                 –                  kills the tree
//	kill over    –                 –                  stuck
//	drained      –                 –                  –
//
//	**) it was asked to end before its leader was there
//
// The first reason why a run ends is the one that counts: [Run.Cause].
package lifecycle
