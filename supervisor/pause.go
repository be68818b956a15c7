package supervisor

import (
	"slices"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
)

// tellPaused tells once that a run stands still, and that it goes on.
func (p *managed) tellPaused(r *run.Run) {
	number, told := r.ID.Run, slices.Contains(p.kept.PausedRuns, r.ID.Run)
	if r.Still() == told || r.Pauses() && told {
		return
	}
	kind := process.EventResumed
	p.kept.PausedRuns = slices.DeleteFunc(slices.Clone(p.kept.PausedRuns), func(n uint64) bool { return n == number })
	if r.Still() {
		kind = process.EventPaused
		p.kept.PausedRuns = append(p.kept.PausedRuns, number)
	}
	p.disk.dirty = true
	p.tell(process.Event{Kind: kind, Run: number, PID: r.PID(), JobID: r.JobID})
}

// pauseFailure is why what runs could not be paused or resumed.
func (p *managed) pauseFailure(g lifecycle.Goal, code process.Code) error {
	done := "paused"
	if g == lifecycle.UntilResumed {
		done = "resumed"
	}
	switch code {
	case "":
		return nil
	case process.CodeFreeze:
		for _, r := range p.runs {
			if err := r.PauseError(); err != nil {
				return process.Errorf(code, "process '%s' could not be %s: %v", p.name, done, err)
			}
		}
		return process.Errorf(code, "process '%s' could not be paused: its tree did not stand still within %v, and goes on (uninterruptible sleep?)", p.name, run.FreezeTime)
	case process.CodeSuperseded:
		return process.Errorf(code, "process '%s' was not %s: a later request took its place, or it ended", p.name, done)
	}
	return process.Errorf(code, "process '%s' could not be %s: %s", p.name, done, code)
}

// endPauses answers, after a fault of ours, those whose pause or resume nothing tells of any
// more.
func (p *managed) endPauses() {
	p.settle(lifecycle.UntilResumed, 0, process.CodeInternal)
	if !slices.ContainsFunc(p.machine.Runs, func(r lifecycle.Execution) bool { return r.Paused && !r.Still }) {
		p.settle(lifecycle.UntilPaused, 0, process.CodeInternal)
	}
}
