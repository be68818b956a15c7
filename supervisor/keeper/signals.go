package keeper

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// passed are the signals that are another process's where the keeper stands for that.
var passed = []os.Signal{unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGWINCH}

// sameSignal is within which a signal is the one before, told again: timeout(1), sudo
// and others send what they get to the process and to its group. A busy machine can
// take its time between the two; a person takes longer.
const sameSignal = 100 * time.Millisecond

// Listen begins to take the signals that mean something to a keeper, and those that are to be
// passed on if it stands for another process.
func Listen(passes bool, t Terminal) chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, taken(passes, t)...)
	return signals
}

// pass sends a signal to the leader of the process that the keeper stands for.
func (k *keeper) pass(s os.Signal) {
	sent := false
	for pid, r := range k.leaders {
		if r.Name == k.Passes && r.starting == nil { // else it is not that program yet
			sent = unix.Kill(pid, s.(unix.Signal)) == nil || sent
		}
	}
	if !sent && s != unix.SIGWINCH { // a terminal tells of each change of its size, to whoever is there
		k.Log("%s is passed on to nobody: %s has no main process that this daemon has started", unix.SignalName(s.(unix.Signal)), k.Passes)
	}
}

// deliver waits until each signal that this process has taken is in the channel of
// Listen, which is one of those that take SIGTERM.
func deliver() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM)
	signal.Stop(c) // waits for those on their way to any channel
}
