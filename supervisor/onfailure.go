package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// A command of on_failure tells somebody that a run has failed for good. That it is to be run is
// written with the run's result, and what came of it with the event that tells so: whoever dies
// in between, the next worker runs it, so it is run at least once. One runs at a time; the
// others wait in the order in which their results came to disk.

// How many wait, at most. More would be told long after.
const (
	maxFailures    = 1000 // of all processes
	maxOwnFailures = 10   // of one
)

// How much of what a run wrote last a command gets.
const (
	lastOutputLines = 10
	lastOutputBytes = 4 << 10
)

// failures are what is to be told, in turn.
type failures struct {
	mu      sync.Mutex
	queue   []failure
	current *managed           // whose command runs; nil: none does
	run     uint64             // for which run
	cancel  context.CancelFunc // ends it
	ended   chan struct{}      // closed when it has
	arrived chan struct{}      // holds one: the queue may have grown
}

// failure is a run that has failed, and what to run for it.
type failure struct {
	p    *managed
	plan run.Plan
	what store.Failure
}

func newFailures() *failures { return &failures{arrived: make(chan struct{}, 1)} }

// put adds one; false: too many wait.
func (f *failures) put(one failure) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) >= maxFailures {
		return false
	}
	f.queue = append(f.queue, one)
	select {
	case f.arrived <- struct{}{}:
	default:
	}
	return true
}

// take gives the next one, and a context for its command; nil: none waits.
func (f *failures) take() (*failure, context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil, nil
	}
	one := f.queue[0]
	f.queue = popped(f.queue)
	ctx, cancel := context.WithCancel(context.Background())
	f.current, f.run, f.cancel, f.ended = one.p, one.what.Number, cancel, make(chan struct{})
	return &one, ctx
}

// done takes note that the command has ended.
func (f *failures) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel()
	close(f.ended)
	f.current = nil
}

// leaveOut has nobody told of a run of a process; false: its command is under way.
func (f *failures) leaveOut(p *managed, run uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == p && f.run == run {
		return false
	}
	f.queue = slices.DeleteFunc(f.queue, func(one failure) bool { return one.p == p && one.what.Number == run })
	return true
}

// drop leaves out what is to be told of a process, which is being forgotten, and waits for the
// end of a command that is under way.
func (f *failures) drop(p *managed) {
	f.mu.Lock()
	f.queue = slices.DeleteFunc(f.queue, func(one failure) bool { return one.p == p })
	var ended chan struct{}
	if f.current == p {
		f.cancel()
		ended = f.ended
	}
	f.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// stop ends the command that is under way.
func (f *failures) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil {
		f.cancel()
	}
}

// tellFailures runs one command after another until the daemon ends. What is left then is for
// the next one.
func (s *Supervisor) tellFailures() {
	for {
		one, ctx := s.failures.take()
		if one == nil {
			select {
			case <-s.failures.arrived:
				continue
			case <-s.closing:
				return
			}
		}
		if s.isClosing() { // it may have begun before there was a command to stop
			s.failures.done()
			return
		}
		err := s.tellFailure(ctx, one)
		s.failures.done()
		if errors.Is(err, context.Canceled) {
			continue
		}
		one.p.inbox.put(func() { one.p.failureTold(one.what, err) })
	}
}

// tellFailure runs one command.
func (s *Supervisor) tellFailure(ctx context.Context, one *failure) (err error) {
	defer border.Catch(func(fault *border.Panic) {
		s.log.Printf("process '%s': a fault of ours: %v", one.p.name, fault)
		err = errors.New("the daemon has a fault, its log says where")
	})
	last := one.what.Last
	if last == "" {
		last = lastOutput(one.plan.Output.(output), one.what.Number)
	}
	s.at(PointTelling)
	err = s.host.OnFailure(ctx, process.OnFailureLimit, one.plan, run.Failure{Run: one.what.Run, Last: last})
	s.at(PointTold)
	return err
}

// failed has it told that a run has failed for good: written with its result.
func (p *managed) failed(number uint64) {
	if p.kept.Spec.OnFailure == "" || p.unread {
		return
	}
	result := p.unwritten(number)
	if result == nil {
		result = p.kept.Last
	}
	what := store.Failure{Run: *result}
	if t := p.output.tail; t != nil && t.keep().Run == number {
		what.Last = lastOutput(p.output, number)
	}
	p.kept.Failures = append(slices.Clone(p.kept.Failures), what)
	if len(p.kept.Failures) > maxOwnFailures {
		oldest := p.kept.Failures[0]
		if !p.s.failures.leaveOut(p, oldest.Number) {
			oldest = p.kept.Failures[1]
			p.s.failures.leaveOut(p, oldest.Number)
		}
		p.failureTold(oldest, fmt.Errorf("%d others wait", maxOwnFailures))
	}
	p.disk.dirty = true
	p.disk.failures = append(p.disk.failures, await{write: p.pendingWrite(), then: func(error) { p.queueFailure(what) }})
}

// queueFailure has a failure told that is on disk.
func (p *managed) queueFailure(what store.Failure) {
	if p.kept.Removed || !slices.ContainsFunc(p.kept.Failures, func(f store.Failure) bool { return f.Number == what.Number }) {
		return
	}
	plan := run.Plan{ID: keeper.RunID{Name: p.name, Run: what.Number}, JobID: what.JobID, Spec: p.kept.NextSpec(), Output: p.output}
	if plan.Spec.OnFailure == "" {
		p.failureTold(what, errors.New("on_failure was taken out of the definition"))
	} else if !p.s.failures.put(failure{p, plan, what}) {
		p.failureTold(what, fmt.Errorf("%d others wait", maxFailures))
	}
}

// failureTold notes what came of telling a failure, with the event that says so.
func (p *managed) failureTold(what store.Failure, err error) {
	was := len(p.kept.Failures)
	p.kept.Failures = slices.DeleteFunc(slices.Clone(p.kept.Failures), func(f store.Failure) bool { return f.Number == what.Number })
	if len(p.kept.Failures) == was { // it was left out when its command had just ended
		return
	}
	p.disk.dirty = true
	e := process.Event{Kind: process.EventNotified, Run: what.Number, JobID: what.JobID}
	if err != nil {
		e.Kind, e.Error = process.EventNotifyFailed, err.Error()
	}
	p.tell(e)
}

// lastOutput is what a run wrote last, as far as that is kept: some lines, without the beginning
// of the first where they are long.
func lastOutput(o output, number uint64) string {
	var w lastBytes
	if o.log != nil {
		o.log.Read(context.Background(), logs.Query{Run: number, Lines: lastOutputLines}, &w) // what came before an error will do
	} else if o.tail.keep().Run == number {
		w.Write(o.tail.Last(lastOutputLines))
	}
	return strings.ToValidUTF8(string(bytes.TrimRight(w.kept[max(0, len(w.kept)-lastOutputBytes):], "\n")), "�")
}

// lastBytes keeps the end of what is written to it: lastOutputBytes at least.
type lastBytes struct{ kept []byte }

func (w *lastBytes) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, n-lastOutputBytes):]
	if w.kept = append(w.kept, p...); len(w.kept) > 4*lastOutputBytes {
		w.kept = append(w.kept[:0], w.kept[len(w.kept)-lastOutputBytes:]...)
	}
	return n, nil
}
