package keeper

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Phase is what a service manager wants to know of a keeper.
type Phase string

const (
	PhaseReady     Phase = "ready"     // a worker answers; told again whenever another does
	PhaseReloading Phase = "reloading" // an upgrade has begun; PhaseReady ends it
	PhaseStopping  Phase = "stopping"  // a shutdown has begun, or the keeper leaves
)

// Host is the service manager that has started the keeper. Nothing in it is needed. Its
// functions but Stays are called by the keeper's one goroutine, which does nothing else
// meanwhile.
type Host struct {
	// Told is called when a phase begins.
	Told func(Phase)

	// Ask is how often the worker is asked how it is. Zero: never.
	Ask time.Duration

	// Answered is called with what the worker said to that, see Link.Asked. A worker that
	// does not answer is not asked again.
	Answered func(text string)

	// Stays is asked at SIGTERM, in a goroutine of its own, whether trees are to live on,
	// for the next keeper. Then Run hands over and returns ErrLeft. It must return soon.
	Stays func() bool
}

// ErrLeft is what Run returns when the keeper was asked to end and trees live on.
var ErrLeft = errors.New("the keeper has left its trees to the next one")

func (k *keeper) tell(p Phase) {
	if k.Host.Told != nil {
		k.Host.Told(p)
	}
}

// tellReady says, after an upgrade that changed nothing, that the worker goes on.
func (k *keeper) tellReady() {
	if w := k.worker; w != nil && w.ready && !w.handing && !k.ending() {
		k.tell(PhaseReady)
	}
}

// ask asks the worker how it is, unless it has not answered yet.
func (k *keeper) ask() {
	if w := k.worker; k.Host.Ask > 0 && w != nil && w.ready && !w.asked {
		w.asked = true
		w.out.put(packet{kind: kindAsk})
	}
}

// ending reports whether the keeper has been asked to end.
func (k *keeper) ending() bool { return k.shutdown || k.leaving || k.deciding }

// end begins what SIGTERM and SIGINT ask for: to end all trees, or to leave them to the
// next keeper.
func (k *keeper) end(s os.Signal, restart *time.Timer) {
	if s != unix.SIGTERM || k.Host.Stays == nil {
		k.beginShutdown(restart)
		return
	}
	k.deciding = true
	k.starts.Go(func() {
		stays := k.Host.Stays()
		call := func() {
			k.deciding = false
			if stays {
				k.leave(restart)
			} else {
				k.beginShutdown(restart)
			}
		}
		select {
		case k.calls <- call:
		case <-k.ended:
		}
	})
}

// leave has the worker hand over to that of the next keeper.
func (k *keeper) leave(restart *time.Timer) {
	k.leaving = true
	k.tell(PhaseStopping)
	switch w := k.worker; {
	case w == nil:
		restart.Reset(0)
	case !w.handing:
		k.handOver(w)
	}
}

// handOver has the worker answer what is in flight and end.
func (k *keeper) handOver(w *worker) {
	var e encoder
	e.uint(k.last.Number)
	w.out.put(packet{kind: kindHandOver, body: e})
	w.handing = true
	w.before(handOverLimit, "has not handed over")
}
