// Package lifecycle decides what becomes of a process and of its runs.
//
// It is two machines, one for a process and one for a run. Both are pure: a step
// takes a state and an event and gives the next state and the actions that follow
// from it, in order. There is no clock and no I/O in here. Whoever carries out the
// actions tells the machine what came of them by further events.
//
// # The machine of a process
//
// A [Process] decides what should run: its target (Up), what follows the end of a run
// ([Then], and the restart policy), and which requests are answered when ([Goal]). It sees
// each run only as starting, running, ending or stuck. Without a run it is at rest (stopped,
// completed, failed), scheduled, in backoff, or waiting for what it needs. It holds none or
// one run, or several where its overlap lets them go on side by side.
//
//	             at rest    scheduled  waiting  backoff           starting        running        ending           stuck
//	start        starts *)  done       starts   starts            waits with the  done           queued           refused
//	                                                              first one
//	stop         done       stopped    stopped  stopped           ends            ends           drops a queued   kills again
//	                                                                                             start; joins
//	restart      = start    done       starts   starts            ends, then      ends, then     queued           refused
//	                                                              starts          starts
//	delete       removes    removes    removes  removes           ends, removes   ends, removes  joins, removes   kills again,
//	                                                                                                              removes
//	pause        refused    refused    refused  refused           refused until    pauses what     refused          refused
//	                                                              the leader is    runs
//	                                                              there, pauses
//	resume       refused    refused    refused  refused           the same, or     the same, or    refused          refused
//	                                                              done             done
//	schedule     arms *)    arms anew  arms     arms              arms            arms           arms             arms
//	is changed
//	policy       –          –          –        waits anew, or    –               –              –                –
//	is changed                                  rests
//	due          –          starts     skips    starts            by overlap      by overlap     by overlap       by overlap
//	trigger      starts     starts     waits    starts            by overlap      by overlap     by overlap       by overlap
//	retry        –          –          –        starts, if it is  –               –              –                –
//	                                            time
//	autostart    starts *)  –          starts   starts            –               –              –                –
//	owed         starts     starts     starts   starts            –               –              –                –
//	needs        –          –          starts   –                 –               –              –                –
//	changed
//	close        –          –          –        –                 –               –              drops a queued   –
//	                                                                                             start
//	shutdown     –          –          –        –                 ends            ends           drops a queued   –
//	                                                                                             start
//	run started                                                   answers start   –              –                –
//	run ready                                                     running         –              –                –
//	run paused                                                    paused           paused          –                –
//	run resumed                                                   as before        running         –                –
//	run ending                                                    ending          ending         –                –
//	run stuck                                                     tells all       tells all      tells all        –
//	run ended                                                     by its outcome  by its         what was queued  by its outcome
//	                                                                              outcome
//	run                                                           as before it    –              as before it     as before it
//	unstored
//
//	*) with a schedule it becomes scheduled; if it is to be up
//
// A run whose leader lives is starting until it is ready. A start can be waited for in three
// ways: until the leader is there, until the run is ready, until the run has ended. The last
// two are about one run, the one under way or the next: [Process.Awaits] says which when the
// request comes, and the answer names it.
//
// While something that it needs is not there (Held) every "starts" of the table, whoever asks
// for it, comes to waiting: also that of waiting itself. What is missing, and who is asked for
// it, [Needs] says. What is needed may come (needs changed), or be lost: then who waits for the
// start is told. A scheduled time that waits goes on waiting when somebody asks for a start:
// that is done. Owed is a start that a former worker was about to make.
//
// Who joins an end waits for it, and gives it a cause if it has none. While a process is
// being deleted a start is refused, and nothing but the end of its runs changes that. A
// request that a later one drops is answered superseded. Stuck tells everybody who waits, and
// drops what was to follow.
//
// # Paused
//
// A run whose leader is there can be paused: it stands still, and goes on, as a whole
// ([Execution.Paused], [Execution.Still]). Who asks for a pause is answered when every run stands
// still, or told when one does not and goes on. Whatever ends a run ends a paused one. A
// scheduled time that comes meanwhile finds a run that goes on.
//
// # Times of the schedule
//
// Each time that comes has exactly one [Account] say what becomes of it; one that says more of
// it later (a run has come of it, or none will) takes the place of that. While something
// runs the overlap decides, for a time and for a trigger alike: nothing begins; one is in line
// ([Process.Queue]) and begins when nothing runs any more; the same, and what runs is ended;
// or it begins beside the others, up to the most. Who has failed and is followed by what is
// in line is not tried again. A stop drops what is in line, the daemon's end leaves it to the
// next one. A trigger runs what is armed, and leaves a stopped schedule stopped.
//
// # Restarts
//
// A run that ended by itself is followed by another one where the policy says so
// ([Restarts]): after a failure, or after a success too. Never after one that was stopped,
// ended by the daemon's end, or replaced, and not where a stop or a delete is under way. In
// between the process is in backoff, and [Attempts] says when the next run comes: after a
// delay that is doubled each time, up to a longest one, and is the first again when a run has
// lasted as long as that. When a limit is reached the policy gives up ([Process.Reason]). A
// process with a schedule is tried until its next time comes. Whoever asks for a start, and a
// scheduled time, has the count begin anew.
//
// A run that failed, with no other to follow it by itself, has failed for good: that is told
// (TellFailed). The next time of a schedule is no attempt. Where the next daemon goes on with
// the attempts nothing is told yet.
//
// # Times that were missed
//
// Times of the schedule at which nobody could begin anything are missed, or are to be caught up:
// these stand in the backlog ([Process.Backlog]), from which runs begin one after another in the
// order of their times, when nothing goes on and nothing is queued, or side by side as far as
// Overlap allows. They go before another attempt of the restart policy. A stop, a pause of the
// schedule, another schedule and another way to catch up empty the backlog. While a schedule is
// paused its times pass, and so does the one to be skipped. What became of each is told (Account).
//
// # Runs that never were
//
// A start makes the target up when its run begins, and the run's number goes to disk first. If
// that cannot be, the run never was: its number is given again, and all is as before the start,
// which is what the next worker finds. Who asked is told so. An attempt of a policy comes once
// more after its delay, what is caught up is tried again, and a schedule goes on with its next
// time.
//
// # The machine of a run
//
// A [Run] decides how one execution goes, from spawn until nobody is left, and why it ended.
// Nobody is left when its cgroup is empty and its leader's exit is known (or known to be
// unknowable), in either order. Then its last output is moved, and it is over.
//
// [Phase] says how far the run has come, [Asked] how far its end has. A run that is asked to
// end before its leader is there goes through the same steps by the same clock; the leader
// meets the last of them at its birth.
//
//	             starting             running              stopping
//	spawned      running; ready, or   –                    signals or kills, as was asked
//	             that is awaited
//	spawn failed drains: start        –                    drains
//	readied      –                    ready                –
//	ready late   –                    not ready: ends,     –
//	                                  cause start
//	unhealthy    –                    ready: ends          –
//	halt         –                    freezes              –
//	frozen       –                    paused               –
//	freeze late  –                    thaws; not paused    –
//	thawed       –                    goes on              –
//	end          stops: grace         stops: grace,        gives a cause; stuck: kills again
//	                                  signal **)
//	leader gone  –                    empty: drains        empty: drains
//	                                  else ends the rest
//	empty        –                    awaits the leader    awaits the leader, or drains
//	leader late  –                    kills the leader     kills the leader
//	grace over   –                    –                    kills the tree
//	kill over    –                    –                    stuck
//
//	**) if the group is empty, only the leader is left elsewhere: it is awaited, then killed
//
// Draining takes nothing but drained, and is over then; over takes nothing.
//
// The first reason why a run ends is the one that counts: [Run.Cause]. [Run.Success] is that
// its leader ended it, and well.
package lifecycle
