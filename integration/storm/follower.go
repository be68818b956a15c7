package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// follower reads the events for as long as the storm lasts, comes back with its number after
// each death of the daemon, and wants them without a gap.
type follower struct {
	storm *storm
	told  []process.Event // one behind the other, without a gap
	last  atomic.Uint64   // the number of the last

	begun  map[key]bool // runs of which starting was told
	ended  map[key]bool
	lives  map[string]int // processes that had the name
	failed error
}

type key struct {
	name string
	life int
	run  uint64
}

// follow reads until ctx ends.
func (f *follower) follow(ctx context.Context) {
	f.begun, f.ended, f.lives = map[key]bool{}, map[key]bool{}, map[string]int{}
	for ctx.Err() == nil {
		pm, err := f.storm.daemon.dial(ctx)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		err = pm.Events(ctx, process.EventQuery{Since: f.last.Load(), Follow: true}, f.take)
		pm.Close()
		if f.failed != nil || err != nil && ctx.Err() == nil && !errors.Is(err, client.ErrNoDaemon) && !errors.Is(err, client.ErrConnectionLost) && !errors.Is(err, client.ErrNotAuthenticated) {
			if f.failed == nil {
				f.failed = fmt.Errorf("the events cannot be read behind %d: %w", f.last.Load(), err)
			}
			f.storm.journal.stop(f.failed)
			return
		}
	}
}

// take judges one event.
func (f *follower) take(e process.Event) error {
	if f.failed = f.judge(e); f.failed != nil {
		return f.failed
	}
	f.told = append(f.told, e)
	f.last.Store(e.Seq)
	return nil
}

// judge wants each event to be the next, and each run to begin and to end once.
func (f *follower) judge(e process.Event) error {
	if e.Seq != f.last.Load()+1 {
		return fmt.Errorf("event %d follows %d: %+v", e.Seq, f.last.Load(), e)
	}
	k := key{e.Name, f.lives[e.Name], e.Run}
	switch e.Kind {
	case process.EventStarting:
		if f.begun[k] {
			return fmt.Errorf("event %d: run %d of %s begins twice", e.Seq, e.Run, e.Name)
		}
		f.begun[k] = true
	case process.EventEnded:
		if !f.begun[k] || f.ended[k] {
			return fmt.Errorf("event %d: run %d of %s ends, it had begun: %v, it had ended: %v", e.Seq, e.Run, e.Name, f.begun[k], f.ended[k])
		}
		f.ended[k] = true
	case process.EventDeleted:
		f.lives[e.Name]++
	}
	return nil
}

// check reads all events again, at the end, and wants those that were told, then the others; and
// each run of the histories told of.
func (f *follower) check(ctx context.Context, pm *client.Client) error {
	if f.failed != nil {
		return f.failed
	}
	if len(f.told) == 0 {
		return errors.New("no event was told all the time")
	}
	listed, err := pm.Runs(ctx, process.RunQuery{All: true})
	if err != nil {
		return err
	}
	runs := slices.Collect(listed) // before the events: what is in the history is told
	i := 0
	err = pm.Events(ctx, process.EventQuery{}, func(e process.Event) error {
		if e.Kind == process.EventGone {
			i = int(e.Gone)
			return nil
		}
		if i == 0 && e.Seq > 1 { // more than are kept
			i = int(e.Seq) - 1
		}
		if i < len(f.told) {
			if is := f.told[i]; is.Seq != e.Seq || is.Name != e.Name || is.Kind != e.Kind || is.Run != e.Run {
				return fmt.Errorf("event %d was %+v and is %+v", is.Seq, is, e)
			}
			i++
			return nil
		}
		i++
		return f.take(e)
	})
	if err != nil {
		return err
	}
	n := 0
	for _, r := range runs {
		if k := (key{r.Name, f.lives[r.Name], r.Number}); !f.begun[k] || !f.ended[k] {
			return fmt.Errorf("run %d of %s is in the history, and the events told that it began: %v, that it ended: %v", r.Number, r.Name, f.begun[k], f.ended[k])
		}
		n++
	}
	f.storm.journal.notef("%d events without a gap, %d runs in the history", len(f.told), n)
	return nil
}
