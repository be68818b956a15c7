package keeper

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// wanted are the signals that mean something to a keeper, besides SIGCHLD.
var wanted = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}

// sameSignal is within which a signal is the one before, told again: timeout(1), sudo
// and others send what they get to the process and to its group. A busy machine can
// take its time between the two; a person takes longer.
const sameSignal = 100 * time.Millisecond

// Listen begins to take the signals that mean something to a keeper.
func Listen() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, wanted...)
	return signals
}

func (k *keeper) listen() { signal.Notify(k.signals, wanted...) }

// deliver waits until each signal that this process has taken is in the channel of
// Listen, which is one of those that take SIGTERM.
func deliver() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM)
	signal.Stop(c) // waits for those on their way to any channel
}
