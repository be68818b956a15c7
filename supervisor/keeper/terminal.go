package keeper

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminal says what the signals of the terminal that the keeper was started from mean to it.
// The zero value is a keeper that was started from none.
type Terminal struct {
	Hangup Hangup `json:",omitempty"`
	Quits  bool   `json:",omitempty"` // SIGQUIT kills all at once; otherwise it is not taken
}

// Hangup is what SIGHUP means.
type Hangup string

const (
	HangupUpgrades Hangup = ""        // as for a service: it brings in the program now on disk
	HangupEnds     Hangup = "ends"    // the terminal was closed: it ends all trees, as SIGTERM
	HangupIgnored  Hangup = "ignored" // whoever has started the keeper wants it so, as nohup does
)

// hangUp does what SIGHUP means. A terminal that is closed sends it more than once, by way
// of the shell and when that has ended: the second time nobody is in more of a hurry.
func (k *keeper) hangUp() (ends bool) {
	switch k.Terminal.Hangup {
	case HangupIgnored:
		return false
	case HangupEnds:
		if k.ending() {
			return false
		}
		k.Log("the terminal was closed: ending all processes in order")
		return true
	}
	k.beginUpgrade(nil)
	return false
}

// taken are the signals that mean something to this keeper, besides SIGCHLD.
func taken(passes bool, t Terminal) []os.Signal {
	signals := []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}
	if passes {
		return append(signals, passed...)
	}
	if t.Quits {
		signals = append(signals, unix.SIGQUIT)
	}
	return signals
}
