package lifecycle

import "github.com/freeflowuniverse/processmanager/supervisor/process"

// pause has the trees stand still that run.
func (p *Process) pause() []Action {
	if p.Then == ThenRemove || p.Removing {
		return []Action{{Do: Refuse, Code: process.CodeNotFound}}
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
		return []Action{{Do: Refuse, Code: process.CodeNotRunning}}
	case !p.pausing():
		actions = append(actions, answer(UntilPaused))
	}
	return actions
}

// resume has them go on.
func (p *Process) resume() []Action {
	if p.Then == ThenRemove || p.Removing {
		return []Action{{Do: Refuse, Code: process.CodeNotFound}}
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
		return []Action{{Do: Refuse, Code: process.CodeNotRunning}}
	case len(actions) == 0:
		actions = append(actions, answer(UntilResumed))
	}
	return actions
}

// runPaused is a tree that stands still.
func (p *Process) runPaused(run uint64) []Action {
	i := p.find(run)
	if i < 0 || p.Runs[i].Phase != Running || p.Runs[i].Still {
		return nil
	}
	p.Runs[i].Paused, p.Runs[i].Still = true, true
	if p.pausing() {
		return nil
	}
	return []Action{answer(UntilPaused)}
}

// runResumed is a tree that goes on: by request, or because it could not be paused.
func (p *Process) runResumed(run uint64) []Action {
	i := p.find(run)
	if i < 0 || p.Runs[i].Phase != Running {
		return nil
	}
	p.Runs[i].Paused, p.Runs[i].Still = false, false
	for _, r := range p.Runs {
		if r.Phase == Running && r.Paused {
			return nil
		}
	}
	return []Action{answer(UntilResumed)}
}

// pausing reports whether a tree is to stand still and does not yet.
func (p *Process) pausing() bool {
	for _, r := range p.Runs {
		if r.Phase == Running && r.Paused && !r.Still {
			return true
		}
	}
	return false
}

// notPaused tells those who wait for a pause that something else came in between.
func (p *Process) notPaused(next *Process, e EventKind) []Action {
	if !p.pausing() || next.pausing() || e == RunPaused || e == RunNotPaused {
		return nil
	}
	return []Action{fail(UntilPaused, process.CodeSuperseded)}
}
