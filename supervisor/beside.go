package supervisor

import (
	"maps"
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// Where overlap allows it several runs of a process go on side by side. What the store has of
// a process is about the last of them; of each other one it has a [store.Beside], until its
// result is on disk.

// setBeside has what is kept say which runs go on beside the last, but for those whose results
// are written with it.
func (p *managed) setBeside(ended []*run.Run) {
	p.kept.Beside = nil
	for _, number := range slices.Sorted(maps.Keys(p.others)) {
		if slices.ContainsFunc(ended, func(r *run.Run) bool { return r.ID.Run == number }) {
			continue
		}
		b := p.others[number]
		if r := p.runs[number]; r != nil {
			b.Changed = p.unfollowed(r)
		}
		p.kept.Beside = append(p.kept.Beside, b)
	}
}

// noteBeside notes the run that was the last until now, if it goes on or its result is not on
// disk yet.
func (p *managed) noteBeside() {
	number := p.kept.Target.Run
	is := func(r *run.Run) bool { return r.ID.Run == number }
	if p.runs[number] != nil || slices.ContainsFunc(p.disk.unkept, is) ||
		slices.ContainsFunc(p.disk.writes, func(w *write) bool { return slices.ContainsFunc(w.runs, is) }) {
		p.others[number] = p.kept.Latest()
	}
}

// resultsStored forgets runs beside the last whose results are on disk.
func (p *managed) resultsStored(runs []*run.Run) {
	for _, r := range runs {
		delete(p.others, r.ID.Run)
	}
}

// unwritten is the result of a run that may not be on disk yet; nil: it is, or there is none.
func (p *managed) unwritten(number uint64) *process.Run {
	runs, lost := slices.Clone(p.disk.unkept), slices.Clone(p.disk.lost)
	for _, w := range p.disk.writes {
		runs, lost = append(runs, w.runs...), append(lost, w.lost...)
	}
	for _, r := range runs {
		if r.ID.Run == number {
			return new(r.Result())
		}
	}
	for _, r := range lost {
		if r.Number == number {
			return &r
		}
	}
	return nil
}

// keepLast keeps the result of a run, if no later one has ended.
func (p *managed) keepLast(result process.Run) {
	if p.kept.Last == nil || p.kept.Last.Number < result.Number {
		p.kept.Last = &result
	}
}

// unfollowed is what a run does not follow of the definition, with what it is for it.
func (p *managed) unfollowed(r *run.Run) (list []process.Setting) {
	for _, f := range process.Differences(r.Spec, p.kept.NextSpec()) {
		if !f.Live {
			list = append(list, process.Setting{Field: f.Name, Value: f.Text(r.Spec)})
		}
	}
	return list
}

// isNews reports whether something of a run was not told before, which is told now: it was not
// if the run is later than the last of which it was. Of one beside the last a mark says it.
func (p *managed) isNews(r *run.Run, last uint64, mark func(*store.Beside) *bool) bool {
	b, beside := p.others[r.ID.Run]
	if !beside {
		return r.ID.Run > last
	}
	news := !*mark(&b)
	*mark(&b) = true
	p.others[r.ID.Run] = b
	return news
}
