package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/notify"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// sayings is what a run says of itself by sd_notify, and what that keeps waiting.
type sayings struct {
	notifyAttr
	ear      *ear     // nil: nobody listens
	former   []*ear   // at sockets that have lost their name
	held     *os.File // the socket of an adopted run that nobody listens at yet; nil: the keeper held none
	watchdog timer    // of the time in which it must be fed
	due      time.Duration
	spared   bool // it was given time because something it has sent is not read yet
	starved  bool // it was not fed in time
	refused  bool // a MAINPID, which is said once
}

// notifyAttr stands on the group of a run that has a socket.
type notifyAttr struct {
	Path     string                // of the socket
	UID      int                   // who can send to it, besides root
	Status   string                `json:",omitempty"`
	State    process.NotifiedState `json:",omitempty"`
	Watchdog time.Duration         `json:",omitzero"` // how often it feeds from now on, if not as often as its definition says
}

// Times of a watchdog.
const (
	// lateTime is how much later than it was due a watchdog can ring because the machine is
	// busy. If it is more, the machine has slept, and the run with it.
	lateTime = time.Second
	// spareTime is for reading what a run has sent already.
	spareTime = time.Second
)

// saying is a message on its way from the ear to the owner's goroutine.
type saying struct {
	message notify.Message
	dealt   chan<- struct{} // closed when all that it brings about stands on the group
}

// said takes what the run says. It may have been taken before, by a former worker.
func (r *Run) said(s *saying) (told []lifecycle.Event) {
	defer close(s.dealt)
	r.host.at(PointHeard)
	m, was := s.message, r.says.notifyAttr
	a := &r.says.notifyAttr
	if m.HasStatus {
		a.Status = m.Status
	}
	if m.Errno != 0 {
		a.Status = fmt.Sprintf("%s (%v)", a.Status, unix.Errno(m.Errno))
	}
	switch {
	case m.Stopping:
		a.State = process.NotifiedStopping
	case m.Ready:
		a.State = ""
	case m.Reloading && r.machine.Ready:
		a.State = process.NotifiedReloading
	}
	if m.Watchdog > 0 {
		a.Watchdog = max(m.Watchdog, process.MinWatchdog)
	}
	if *a != was {
		r.putSaid()
	}
	if m.MainPID != "" && !r.says.refused {
		r.says.refused = true
		r.host.Log.Printf("%v: it says MAINPID=%q, which is refused: its main process is the one that was started; run it in the foreground", r.ID, m.MainPID)
	}
	if m.Ready && r.probing.spec.Ready == string(process.ProbeNotify) {
		told = r.ready()
	}
	switch {
	case m.Trigger:
		r.says.starved = true
		return append(told, r.unhealthy("watchdog: it asked to be ended (WATCHDOG=trigger)")...)
	case m.Fed, m.Watchdog > 0:
		told = append(told, r.fed()...)
	}
	return told
}

// putSaid puts what the run says on its group.
func (r *Run) putSaid() {
	err := RetryPassing(func() error { return setAttr(r.group, attrNotify, r.says.notifyAttr) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.host.Log.Printf("%v: record what it says: %v", r.ID, err)
	}
}

// every is how often the run must feed its watchdog; 0: it need not.
func (r *Run) every() time.Duration {
	if every := r.says.Watchdog; every > 0 && r.probing.spec.Watchdog > 0 {
		return every
	}
	return r.probing.spec.Watchdog
}

// fed is when the run has fed its watchdog.
func (r *Run) fed() []lifecycle.Event {
	b := &r.probing
	r.watch()
	if b.spec.Watchdog == 0 || !r.machine.Ready {
		return nil
	}
	if b.spec.Health == "" {
		b.well = true
	}
	if !r.says.starved {
		return nil
	}
	r.says.starved, b.unwell, b.words = false, false, ""
	return r.tell(lifecycle.RunHealthy)
}

// watch has the watchdog ring when it is not fed in time from now on. That a worker was not
// there to be told is not the run's fault: the next one counts anew.
func (r *Run) watch() {
	s := &r.says
	s.watchdog.stop()
	s.spared = false
	if every := r.every(); every > 0 && r.machine.Ready && !r.machine.Paused && r.machine.Phase == lifecycle.Running {
		s.due = r.host.Clock.Now() + every
		s.watchdog.set(s.due, 0)
	}
}

// unfed is when the watchdog rings.
func (r *Run) unfed() []lifecycle.Event {
	s := &r.says
	switch now := r.host.Clock.Now(); {
	case now-s.due > lateTime:
		r.watch()
		return nil
	case !s.spared && s.ear != nil && s.ear.waits():
		s.spared = true
		s.due = now + spareTime
		s.watchdog.set(s.due, 0)
		return nil
	}
	s.starved = true
	return r.unhealthy(fmt.Sprintf("watchdog: not fed for %v", r.every()))
}

// Socket is the path of the one at which it says how it is; empty: it has none.
func (r *Run) Socket() string { return r.says.Path }

// Notified is what the run has said of itself last: in which state it is, and in words.
func (r *Run) Notified() (state process.NotifiedState, status string) {
	return r.says.State, r.says.Status
}
