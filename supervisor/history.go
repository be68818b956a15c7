package supervisor

import (
	"context"
	"iter"
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// How many events and runs are read together: nobody may hold up the store's writer.
const (
	eventsAtATime = 256
	runsAtATime   = 256
)

// Runs gives the runs that have ended and that q asks for. See [verbs.Historian].
func (s *Supervisor) Runs(ctx context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	if q.All {
		found, err := s.store.EndedRuns(q)
		if err != nil {
			return nil, process.Errorf(process.CodeStore, "the runs cannot be read: %v", err)
		}
		return func(yield func(process.RunRecord) bool) { s.yieldFound(ctx, found, q, yield) }, nil
	}
	list, err := s.each(q.Name, 1, nil, func(*managed, *process.Outcome) {})
	if err != nil {
		return nil, err
	}
	return func(yield func(process.RunRecord) bool) {
		for _, o := range list {
			runs, err := []process.Run(nil), o.Err
			if err == nil {
				if runs, err = s.store.MatchingRuns(o.Name, q); err != nil {
					err = process.Errorf(process.CodeStore, "the runs of '%s' cannot be read: %v", o.Name, err)
				}
			}
			if err != nil && !yield(process.RunRecord{Name: o.Name, Err: err}) {
				return
			}
			for _, r := range runs {
				if !yield(process.RunRecord{Name: o.Name, Run: r.In(q.Detail())}) {
					return
				}
			}
		}
	}, nil
}

// yieldFound gives runs that were found, a few at a time.
func (s *Supervisor) yieldFound(ctx context.Context, found []store.Ended, q process.RunQuery, yield func(process.RunRecord) bool) {
	for some := range slices.Chunk(found, runsAtATime) {
		records, err := s.store.Records(some)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			yield(process.RunRecord{Name: some[0].Name, Err: process.Errorf(process.CodeStore, "the runs cannot be read: %v", err)})
			return
		}
		for _, r := range records {
			r.Run = r.Run.In(q.Detail())
			if !yield(r) {
				return
			}
		}
	}
}

// Events tells what q asks for, in order. See [verbs.Historian].
func (s *Supervisor) Events(ctx context.Context, q process.EventQuery, tell func(process.Event) error) error {
	r := eventReader{store: s.store, tell: tell}
	more := s.store.Told()
	if err := r.begin(q); err != nil {
		return err
	}
	for {
		done, err := r.read()
		switch {
		case err != nil:
			return err
		case !done:
		case !q.Follow:
			return nil
		default:
			select {
			case <-more:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if more = s.store.Told(); !done && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// eventReader tells events to somebody who may be slow: what is not kept any more when he
// comes to it is told as so many that are gone.
type eventReader struct {
	store *store.Store
	tell  func(process.Event) error
	q     process.EventQuery
	quiet bool // nothing was read yet, and nobody misses what is not kept
}

// begin finds where to begin.
func (r *eventReader) begin(q process.EventQuery) error {
	oldest, last, err := r.store.KeptEvents()
	if err != nil {
		return unreadEvents(err)
	}
	if q.Since > last {
		return process.Errorf(process.CodeInvalid, "since: there was no event %d, the last one is %d: the number is of another store; begin again without it, or with a time", q.Since, last)
	}
	if r.q = q; !q.Time.IsZero() {
		first, err := r.store.EventsFrom(q.Time)
		if err != nil {
			return unreadEvents(err)
		}
		if r.q.Since = first - 1; first <= oldest { // who knows how old the others were
			r.q.Since = 0
		}
	}
	r.quiet = r.q.Since == 0 && q.Time.IsZero()
	if q.Last > 0 {
		return r.skipTo(q.Last, last)
	}
	return nil
}

// skipTo leaves out all but the last of those that there are.
func (r *eventReader) skipTo(most int, last uint64) error {
	behind := r.q.Since
	for before := last + 1; ; {
		events, err := r.store.EventsBefore(before, eventsAtATime)
		if err != nil {
			return unreadEvents(err)
		}
		for _, e := range events {
			if e.Seq <= behind {
				return nil
			}
			if before = e.Seq; r.q.Has(&e) {
				if most--; most == 0 {
					r.q.Since, r.quiet = e.Seq-1, false
					return nil
				}
			}
		}
		if len(events) < eventsAtATime {
			return nil
		}
	}
}

// read tells some, and reports whether there are no more now.
func (r *eventReader) read() (done bool, err error) {
	events, err := r.store.Events(r.q.Since, eventsAtATime)
	if err != nil {
		return false, unreadEvents(err)
	}
	for _, e := range events {
		if gone := e.Seq - r.q.Since - 1; gone > 0 && !r.quiet {
			if err := r.tell(process.Event{Kind: process.EventGone, Gone: gone}); err != nil {
				return false, err
			}
		}
		if r.q.Since, r.quiet = e.Seq, false; r.q.Has(&e) {
			if err := r.tell(e); err != nil {
				return false, err
			}
		}
	}
	return len(events) < eventsAtATime, nil
}

func unreadEvents(err error) error {
	return process.Errorf(process.CodeStore, "the events cannot be read: %v", err)
}
