package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/probe"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Times of the probes of a run that is not ready yet.
const (
	firstTry = 50 * time.Millisecond // before the second; the first is at once
	mostTry  = time.Second           // each pause is twice as long as the one before
	tryLimit = 5 * time.Second       // for one
)

// probing finds out whether a run is ready, and then how it is. Whatever is under way ends
// when the run begins to end.
type probing struct {
	spec   process.Probing // as it holds: what is about health may change
	next   timer           // of the next probe, or of what has to pass
	late   timer           // of the time in which it must be ready
	gen    uint64          // of the probe under way
	cancel func()          // ends it; nil: there is none
	ended  chan struct{}   // closed when it has ended; nil: there was none
	pause  time.Duration   // before the next try
	words  string          // of the last probe, if that failed
	failed int             // one behind the other
	unwell bool            // as it was told last
	well   bool            // it was, when it was asked: at least once
	noted  healthAttr      // what stands on the group
	since  readyAttr       // when it was ready; zero: it is not, or it was not waited for
}

// readyAttr is when a run was ready.
type readyAttr struct {
	Time time.Time
	Boot time.Duration
}

// healthAttr is what was found out about a run that is not well, or may not be: the next
// worker counts on.
type healthAttr struct {
	Failed int
	Unwell bool
	Words  string
}

// putHealth puts what is known of a run's health on its group, if that has changed.
func (r *Run) putHealth() {
	b := &r.probing
	now := healthAttr{b.failed, b.unwell, b.words}
	if b.failed == 0 {
		now.Words = ""
	}
	if now == b.noted {
		return
	}
	if err := RetryPassing(func() error { return setAttr(r.group, attrHealth, now) }); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.host.Log.Printf("%v: %v", r.ID, err)
		}
		return
	}
	b.noted = now
}

// takeUpHealth takes up what a former worker has found out.
func (r *Run) takeUpHealth(says attrs) {
	b := &r.probing
	if _, err := readAttr(says, attrHealth, &b.noted); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	b.failed, b.unwell, b.words = b.noted.Failed, b.noted.Unwell, b.noted.Words
}

// awaitReady begins to find out whether the run is ready. A former worker may have begun
// before.
func (r *Run) awaitReady() {
	b := &r.probing
	if r.machine.Paused {
		return
	}
	since := r.boot + r.still.Total // its clock stood still
	b.late.set(since+b.spec.ReadyLimit(), lifecycle.ReadyLate)
	p, err := process.ParseProbe(b.spec.Ready)
	switch {
	case err != nil:
		b.words = err.Error()
	case p.Kind == process.ProbeDelay:
		b.next.set(since+p.Delay, lifecycle.Readied)
	case p.Kind == process.ProbeLog:
		b.words = p.String() + ": no line matches"
		r.probe(func(ctx context.Context) error { return r.Output.Await(ctx, r.ID.Run, p.Pattern) })
	case p.Kind == process.ProbeNotify:
		b.words = "it has not sent READY=1"
	default:
		r.ask(p, tryLimit)
	}
}

// lookAfter begins to find out how a run is that is ready, or goes on.
func (r *Run) lookAfter() {
	b := &r.probing
	r.stopProbes()
	if b.spec.Health != "" && !r.machine.Paused {
		b.next.set(probe.Next(r.ID.Name, b.spec.Period(), r.host.Clock.Now()), 0)
	}
}

// resumeProbes goes on with what is to be found out about an adopted run, or begins again.
func (r *Run) resumeProbes() {
	switch {
	case r.machine.Phase != lifecycle.Running:
	case !r.machine.Ready:
		r.stopProbes()
		r.awaitReady()
	default:
		r.lookAfter()
		r.watch()
	}
}

// stopProbes ends what is under way.
func (r *Run) stopProbes() {
	b := &r.probing
	b.next.stop()
	b.late.stop()
	r.dropProbe()
}

func (r *Run) dropProbe() {
	if b := &r.probing; b.cancel != nil {
		b.cancel()
		b.cancel = nil
	}
}

// ask asks a probe once.
func (r *Run) ask(p process.Probe, limit time.Duration) {
	host, plan := r.host, r.Plan
	r.probe(func(ctx context.Context) error {
		return host.Ask(ctx, p, limit, func(ctx context.Context, command string) error { return host.Probe(ctx, plan, command) })
	})
}

// probe does work beside the loop, until its context ends, and takes what it gives. It is
// not [Owner.Aside], whose work is never given up.
func (r *Run) probe(work func(ctx context.Context) error) {
	b := &r.probing
	r.dropProbe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	b.cancel, b.ended = cancel, ended
	b.gen++
	e, owner := Event{Run: r.ID.Run, kind: eventProbed, gen: b.gen}, r.owner
	r.host.probes.Go(func() {
		defer close(ended)
		defer cancel()
		defer border.Catch(func(fault *border.Panic) {
			e.err = fault
			owner.Tell(e)
		})
		e.err = work(ctx)
		if ctx.Err() == nil {
			owner.Tell(e)
		}
	})
}

// endLimit is how long the end of a run waits for that of its probe.
const endLimit = time.Second

// awaitProbe waits until the command of a probe is gone that was under way when the run began
// to end, with its group; that of a former worker too. Who is told that a run is over finds
// nothing of it any more.
func (r *Run) awaitProbe() {
	b := &r.probing
	if !strings.HasPrefix(b.spec.Ready, "exec:") && !strings.HasPrefix(b.spec.Health, "exec:") {
		return
	}
	if b.ended != nil {
		select {
		case <-b.ended:
		case <-time.After(endLimit):
		}
	}
	if r.host.Admit != nil {
		r.host.Admit(Name(r.ID) + helperProbe) // what is in the way stays there, and is told of
	}
}

// probeDue is for the time of the next probe, or for one that had to pass.
func (r *Run) probeDue() []lifecycle.Event {
	b := &r.probing
	switch {
	case r.machine.Phase != lifecycle.Running:
	case r.machine.Ready:
		if p, err := process.ParseProbe(b.spec.Health); err == nil {
			r.ask(p, b.spec.Timeout())
		}
	case b.next.what == lifecycle.Readied:
		return r.ready()
	default:
		r.awaitReady()
	}
	return nil
}

// probed takes what a probe gave.
func (r *Run) probed(e Event) []lifecycle.Event {
	b := &r.probing
	if b.cancel == nil || e.gen != b.gen || r.machine.Phase != lifecycle.Running {
		return nil
	}
	b.cancel = nil
	switch {
	case r.machine.Ready:
		return r.health(e.err)
	case e.err == nil:
		return r.ready()
	}
	b.words = e.err.Error()
	b.pause = min(max(2*b.pause, firstTry), mostTry)
	b.next.after(b.pause, 0)
	return nil
}

// ready is when the run is ready. It stands on the group before anybody is told.
func (r *Run) ready() []lifecycle.Event {
	if r.machine.Phase != lifecycle.Running || r.machine.Ready {
		return nil
	}
	r.stopProbes()
	r.probing.words = ""
	r.probing.since = readyAttr{time.Now(), r.host.Clock.Now()}
	if err := RetryPassing(func() error { return setAttr(r.group, attrReady, r.probing.since) }); err != nil {
		r.host.Log.Printf("%v: %v", r.ID, err)
	}
	r.host.at(PointReady)
	return r.step(lifecycle.RunEvent{Kind: lifecycle.Readied})
}

// readyLate is when the time has passed in which it must be ready.
func (r *Run) readyLate() []lifecycle.Event {
	if r.machine.Phase != lifecycle.Running || r.machine.Ready {
		return nil
	}
	r.endFor(fmt.Sprintf("not ready within %v: %s", r.probing.spec.ReadyLimit(), cmp.Or(r.probing.words, "no probe came back")))
	return r.step(lifecycle.RunEvent{Kind: lifecycle.ReadyLate})
}

// health takes what a probe of a run gave that is ready.
func (r *Run) health(err error) []lifecycle.Event {
	b := &r.probing
	b.next.set(probe.Next(r.ID.Name, b.spec.Period(), r.host.Clock.Now()), 0)
	defer r.putHealth()
	if err == nil {
		b.well, b.failed, b.words = true, 0, ""
		if b.unwell {
			b.unwell = false
			return r.tell(lifecycle.RunHealthy)
		}
		return nil
	}
	b.words = err.Error()
	if _, not := errors.AsType[*probe.NotAsked](err); not { // that is not its fault
		return nil
	}
	b.failed++
	if b.failed < b.spec.Failures() {
		return nil
	}
	return r.unhealthy(b.words)
}

// unhealthy is when a run is not well, and why.
func (r *Run) unhealthy(why string) (told []lifecycle.Event) {
	b := &r.probing
	if r.machine.Phase != lifecycle.Running || !r.machine.Ready {
		return nil
	}
	b.words = why
	if !b.unwell {
		b.unwell = true
		told = r.tell(lifecycle.RunUnhealthy)
	}
	if b.spec.HealthAction == process.HealthNone {
		return told
	}
	r.endFor(why)
	return append(told, r.step(lifecycle.RunEvent{Kind: lifecycle.Unhealthy})...)
}

// endFor has why a run ends stand on the group with its cause.
func (r *Run) endFor(why string) {
	r.error, r.note.Error = why, why
}

func (r *Run) tell(k lifecycle.EventKind) []lifecycle.Event {
	return []lifecycle.Event{{Kind: k, Run: r.ID.Run}}
}

// changeProbing takes up what has changed about the health of a run.
func (r *Run) changeProbing(p process.Probing) {
	was := r.probing.spec
	p.Ready, p.ReadyTimeout, p.Watchdog = was.Ready, was.ReadyTimeout, was.Watchdog // from the next run on
	if p == was {
		return
	}
	r.probing.spec = p
	if r.machine.Phase == lifecycle.Running && r.machine.Ready {
		r.probing.unwell, r.probing.well, r.probing.failed, r.probing.words = false, false, 0, ""
		r.putHealth()
		r.lookAfter()
	}
}

// ReadyTime is when it was ready; zero: it is not yet, or it was not waited for.
func (r *Run) ReadyTime() time.Time { return r.probing.since.Time }

// ReadyError is why it is not ready yet: the last words of its probe.
func (r *Run) ReadyError() string {
	if r.machine.Ready || r.machine.Phase != lifecycle.Running {
		return ""
	}
	return r.probing.words
}

// Health is how it is; nil: nobody looks, or it is not ready.
func (r *Run) Health() *process.Health {
	b := &r.probing
	if b.spec.Health == "" && b.spec.Watchdog == 0 || !r.machine.Ready || r.machine.Phase != lifecycle.Running && !b.unwell {
		return nil
	}
	h := &process.Health{State: process.HealthUnknown, Failures: b.failed, Error: b.words}
	switch {
	case b.unwell:
		h.State = process.HealthUnhealthy
	case b.well:
		h.State = process.HealthHealthy
	}
	return h
}
