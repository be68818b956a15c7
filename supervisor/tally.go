package supervisor

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// What the runs of a process have used, all together, is what the store has counted, and what
// is not counted there yet: results on their way to the disk, and runs that go on. A run moves
// from one to the next in one step that all readers see, while its group is still there, so
// that the sum never falls. Neither does it when the worker dies: the next one finds what was
// not stored in the groups. Why a run ended is counted when that is stored, and not before:
// the next worker may see it otherwise.

// tally is what the sum consists of at one moment. It is never changed once published.
type tally struct {
	over  process.Totals // what is stored, and what runs have used whose results are not
	going []*spending    // the oldest first
}

// spending is what a run that goes on has used. It does not fall: where the group cannot be
// read just now, it is what it was.
type spending struct {
	run       uint64
	meter     *run.Meter
	restarted bool // the restart policy began it

	mu   sync.Mutex
	last process.Usage
}

// figuresAge is how old the figures of a tree may be that stands still: nothing of it grows.
const figuresAge = time.Minute

// count shows others what the runs have come to.
func (p *managed) count() {
	t := &tally{over: p.totals}
	for _, w := range p.disk.writes {
		if !w.landed || w.err != nil {
			t.add(w.runs, w.lost)
		}
	}
	t.add(p.disk.unkept, p.disk.lost)
	before := p.tally.Load()
	for number, r := range p.runs {
		if r.Meter() != nil {
			t.going = append(t.going, before.spendingOf(number, r))
		}
	}
	slices.SortFunc(t.going, func(a, b *spending) int { return cmp.Compare(a.run, b.run) })
	p.tally.Store(t)
}

// add counts what runs have used that are over.
func (t *tally) add(runs []*run.Run, lost []process.Run) {
	for _, r := range runs {
		if r.Meter() != nil { // else it was not counted while it went on
			t.spent(r.Result())
		}
	}
	for _, r := range lost {
		t.spent(r)
	}
}

func (t *tally) spent(r process.Run) {
	t.over.AddUsage(&r.Usage)
	if r.Asked.By == process.ByRestart {
		t.over.Restarts++
	}
}

// spendingOf is what a run has used; that of before, if there was one.
func (t *tally) spendingOf(number uint64, r *run.Run) *spending {
	if t != nil {
		for _, s := range t.going {
			if s.run == number {
				return s
			}
		}
	}
	return &spending{run: number, meter: r.Meter(), restarted: r.Asked.By == process.ByRestart}
}

// now is what the run has used until now. It is false when that could not be read: then it is
// what it was when it was read last.
func (s *spending) now() (process.Usage, bool) {
	s.mu.Lock() // before it is read: an earlier reading must not take the place of a later one
	defer s.mu.Unlock()
	now, err := s.meter.Full(figuresAge)
	if err == nil {
		s.last = now.Usage
	}
	return s.last, err == nil
}

// addTo adds all of it to a sample. It is false when what a run has used could not be read.
func (t *tally) addTo(to *process.Sample) (ok bool) {
	to.Totals, ok = t.over, true
	for _, s := range t.going {
		u, read := s.now()
		to.Add(&u)
		if s.restarted {
			to.Restarts++
		}
		ok = ok && read
	}
	return ok
}
