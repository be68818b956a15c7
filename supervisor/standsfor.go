package supervisor

import (
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A daemon may stand for one process, as the first process of a container does for the program
// that the container is for: when that has ended for good the daemon ends all others in order,
// and exits as that did.
//
// It has ended for good when it is at rest after a run, and nothing follows by itself: no
// restart, no scheduled time; or when it was deleted then. A run that was over before this
// keeper began does not count: what comes up with the daemon is decided anew. The keeper is
// told before the result goes to disk, and holds the run until it is there: whichever worker
// dies, the keeper knows or is told again.

// endsDaemon has the daemon end with this process, if it stands for it and e was its end.
func (p *managed) endsDaemon(e lifecycle.Event) {
	ended := e.Kind == lifecycle.RunEnded && e.Run != p.past
	p.ran = p.ran || ended
	m := &p.machine
	switch {
	case p.name != p.s.standsFor || !p.ran || p.endTold || len(m.Runs) > 0:
		return
	case m.Closing:
		if !ended { // it was at rest when the daemon was asked to end
			return
		}
	case m.Removed, m.Rest == process.Stopped, m.Rest == process.Completed, m.Rest == process.Failed:
		p.s.note.Printf("process '%s' has ended for good (%s): the daemon ends with it, exit code %d", p.name, p.kept.Last.Cause, p.kept.Last.Exit())
	default:
		return
	}
	p.endTold = true
	p.s.endWith(p.kept.Last.Exit())
}

// hasRun reports whether its last run began under this keeper and is over.
func (p *managed) hasRun() bool {
	last := p.kept.Last
	return last != nil && last.Number == p.kept.Target.Run && last.Number != p.past && p.kept.Origin == p.s.origin
}

// sayUnknown says that nobody has the name of the process that the daemon stands for: it may
// come by command, or be misspelt.
func (s *Supervisor) sayUnknown() {
	s.mu.Lock()
	p := s.names[s.standsFor]
	s.mu.Unlock()
	if s.standsFor != "" && p == nil {
		s.note.Printf("no process '%s' is defined yet: the daemon ends with it only when it has run", s.standsFor)
	}
}
