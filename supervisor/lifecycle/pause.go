package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// pause has the trees stand still that run.
func (p Process) pause() (Process, []Action) {
	if p.Then == ThenRemove || p.Removing {
		return p, []Action{{Do: Refuse, Code: process.CodeNotFound}}
	}
	var actions []Action
	runs := false
	for i := range p.Runs {
		r := &p.Runs[i]
		if r.Phase != Running {
			continue
		}
		if runs = true; !r.Paused {
			r.Paused = true
			actions = append(actions, Action{Do: PauseRun, Run: r.Number})
		}
	}
	switch {
	case !runs:
		return p, []Action{{Do: Refuse, Code: process.CodeNotRunning}}
	case !p.pausing():
		actions = append(actions, answer(UntilPaused))
	}
	return p, actions
}

// resume has them go on.
func (p Process) resume() (Process, []Action) {
	if p.Then == ThenRemove || p.Removing {
		return p, []Action{{Do: Refuse, Code: process.CodeNotFound}}
	}
	var actions []Action
	runs := false
	for _, r := range p.Runs {
		if r.Phase != Running {
			continue
		}
		if runs = true; r.Paused {
			actions = append(actions, Action{Do: ResumeRun, Run: r.Number})
		}
	}
	switch {
	case !runs:
		return p, []Action{{Do: Refuse, Code: process.CodeNotRunning}}
	case len(actions) == 0:
		actions = append(actions, answer(UntilResumed))
	}
	return p, actions
}

// runPaused is a tree that stands still.
func (p Process) runPaused(run uint64) (Process, []Action) {
	i := p.find(run)
	if i < 0 || p.Runs[i].Phase != Running || p.Runs[i].Still {
		return p, nil
	}
	p.Runs[i].Paused, p.Runs[i].Still = true, true
	if p.pausing() {
		return p, nil
	}
	return p, []Action{answer(UntilPaused)}
}

// runResumed is a tree that goes on: by request, or because it could not be paused.
func (p Process) runResumed(run uint64) (Process, []Action) {
	i := p.find(run)
	if i < 0 || p.Runs[i].Phase != Running {
		return p, nil
	}
	p.Runs[i].Paused, p.Runs[i].Still = false, false
	for _, r := range p.Runs {
		if r.Phase == Running && r.Paused {
			return p, nil
		}
	}
	return p, []Action{answer(UntilResumed)}
}

// pausing reports whether a tree is to stand still and does not yet.
func (p Process) pausing() bool {
	for _, r := range p.Runs {
		if r.Phase == Running && r.Paused && !r.Still {
			return true
		}
	}
	return false
}

// notPaused tells those who wait for a pause that something else came in between.
func (p Process) notPaused(next Process, e EventKind) []Action {
	if !p.pausing() || next.pausing() || e == RunPaused || e == RunNotPaused {
		return nil
	}
	return []Action{fail(UntilPaused, process.CodeSuperseded)}
}
