// Package keeper is the parent that never changes its mind, and its link to the
// worker that does the thinking.
//
// # Model
//
// The daemon is two kernel processes of one program. The keeper is what the user
// started. It clones every leader, so that each is its own child and it alone
// waits; it holds what must outlive the worker: locks, listening sockets, one end of
// every run's output, the notify sockets, and the exit of every run until that is stored.
// It starts the worker, and starts it again whenever it dies. All that needs a decision is
// the worker's.
//
//	keeper (Run)                              worker (Connect)
//	   │  ── HELLO, HELD … ───────────────▶      │   what there is
//	   │  ◀─────────────────────── READY ──      │   or FAILED
//	   │  ◀─────────────────────── SPAWN ──      │   + the group, the FIFO end, the notify socket
//	 clone                                       │
//	   │  ── SPAWNED ─────────────────────▶      │   pid and start time, or the errno
//	 wait4                                       │
//	   │  ── EXITED ──────────────────────▶      │   stores the result
//	   │  ◀──────────────────────── DROP ──      │
//	   │  ◀──────────────────────── KEEP ──      │   another notify socket for a run
//	   │  ◀──────────────────────── KILL ──      │   a leader that has left its group
//	   │  ◀──────────────────────── HELP ──      │   what is no run: a probe, say
//	   │  ── HELPED ──────────────────────▶      │   how it ended
//	   │  ── LISTEN ──────────────────────▶      │   a socket that takes the place of one
//	   │  ── ASK ─────────────────────────▶      │   for the host's watchdog
//	   │  ◀──────────────────────── WELL ──      │   + one line of what there is
//	   │  ◀───────────────────────── END ──      │   all is to end, and how the keeper exits
//	   │  ── SHUTDOWN ────────────────────▶    exit 0
//
// # Promises
//
//   - A run that is held is not started again. Whether one was started is decided
//     exactly: it is in the next HELLO, or it never was.
//   - All that a dead worker had sent is carried out before the next one starts.
//   - A run and its exit are held until DROP, a failed start too.
//   - Of helpers nothing is held: they go with the worker that asked for them.
//   - SPAWNED comes before EXITED, and each exit comes once to each worker.
//   - The keeper never waits for the worker, and the worker's reader never for the
//     worker: neither can make the other stand still.
//   - When the keeper dies the worker reads EOF, and no signal reaches any tree.
//
// # Settings
//
// A command with settings (limits, nice, another user …) is executed by way of the
// keeper's own program, which makes them: see proc.Begin. Its SPAWNED comes when the
// command has been executed, at the latest after 12 s; meanwhile the keeper goes on. No
// worker is started before all such starts are decided.
//
// # Restarts
//
// Starts of a worker are 100 ms apart. After a death before READY the pause
// doubles, from 100 ms to 5 s, until one is ready. A worker that says FAILED
// before any was ready ends the keeper.
//
// # The end
//
// SIGTERM and SIGINT end all trees, as does END of a worker, whose exit code the keeper's
// caller is given. Where the service manager stops the keeper only to start it again
// (Host.Stays), SIGTERM ends the keeper and its worker, and trees live on as if both had been
// killed: the next keeper takes them over.
//
// Where the keeper stands for one process (Passes), as the first process of a container does,
// the leader of that is sent what else it gets: SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM and
// SIGWINCH.
//
// Where it was started from a terminal (Terminal), SIGHUP says that this was closed: it ends all
// trees too, unless it was ignored when the keeper was started. SIGQUIT kills them at once.
//
// # Upgrades
//
// UPGRADE from the worker, or SIGHUP that is neither passed on nor of a terminal, brings in the
// program that is now on disk.
// Until its worker is ready each failure leads back to the old program:
//
//  1. The new file is opened and run with CheckArg, for at most 5 s. The old worker
//     works on. A program that does not name its protocol is refused (REFUSED).
//  2. HANDOVER: the old worker answers what is in flight and ends; after 7 s it is
//     killed, which costs connections and no tree.
//  3. Where the protocol number differs the keeper replaces its own program by exec:
//     pid, children and descriptors stay, the rest travels in a memory file (state).
//  4. The new program's worker has 5 s for READY. It must not change the format of
//     anything on disk before. Else it is killed, and the old program takes over
//     again, by another exec where there was one.
//
// How it went is in every later HELLO.
//
// # Implementation
//
// One packet of a SOCK_SEQPACKET pair is one message; descriptors travel beside it.
// The keeper is one goroutine that clones, reaps and looks up, so that no exit can be
// seen before its pid is known, with one reader and, while the worker does not take what
// it is sent, one writer; a start with settings has a goroutine until it is decided. A held
// run costs a table entry and a descriptor: no goroutine, no thread.
package keeper
