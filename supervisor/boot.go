package supervisor

import (
	"sync/atomic"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// A daemon that starts brings up what is to be up: what has autostart, unless it was stopped
// by request, and what had its target up and a restart policy. It does so once: when it finds
// no living trees, and after each boot of the machine. A worker that takes over from another
// does not, for what has run once must not run again; but it finishes what one before it had
// begun.

// bootPace is how long a start takes up its place at least, so that the machine stays usable
// while hundreds come up.
const bootPace = 100 * time.Millisecond

// toBoot are the processes that may have to be started with the daemon, in their order.
// former is what the store has of the last daemon's start, alive whether a tree lives.
func (s *Supervisor) toBoot(former store.Daemon, alive bool) (list []*managed) {
	var names []string
	sameBoot := former.Boot == s.origin.Boot
	begins := !sameBoot || former.Keeper != s.origin.Keeper && !alive
	if !begins && former.Done {
		return nil
	}
	for name, p := range s.names {
		done := !begins && (p.kept.Origin == former.Origin || p.kept.Origin == s.origin)
		if !done {
			names = append(names, name)
		}
	}
	for _, name := range s.startOrder(names) {
		list = append(list, s.names[name])
	}
	return list
}

// startOrder is the order in which processes are started together.
func (s *Supervisor) startOrder(names []string) []string { return s.ordering.graph().Sort(names) }

// comesUp reports whether a process is to be started with the daemon. What it is to be has
// been read from its file by then, and somebody may have started it.
func (p *managed) comesUp() bool {
	switch m := p.machine; {
	case p.kept.Origin == p.s.origin, p.invalid != nil, p.owed, m.Busy(), m.Rest == process.Scheduled:
		return false
	case m.Rest == process.Backoff: // within a boot it waits on
		return p.kept.Origin.Boot != p.s.origin.Boot
	case m.Policy.Autostart && !m.Stopped:
		return true
	case !m.Up:
		return false
	case m.Policy.Restart == process.RestartOnFailure:
		return m.Rest != process.Completed // it has done what it was started for
	default:
		return m.Policy.Restart == process.RestartAlways
	}
}

// boot starts those of toBoot that come up, side by side within bounds.
func (s *Supervisor) boot(list []*managed, former store.Daemon) {
	begun := store.Daemon{Origin: s.origin, Done: len(list) == 0}
	// One that goes on with what another has begun leaves what is kept of that as it is: by it
	// the next one knows what was started.
	if begun != former && (begun.Done || former.Done || former.Boot != s.origin.Boot) {
		s.store.Write(store.Change{Daemon: &begun, Company: store.Company})
	}
	var left atomic.Int64
	left.Store(int64(len(list)))
	done := func() {
		if left.Add(-1) == 0 {
			s.store.Write(store.Change{Daemon: &store.Daemon{Origin: s.origin, Done: true}, Company: store.Company})
		}
	}
	for _, p := range list {
		s.gate.enter(func(leave func()) {
			from := s.clock.Now()
			paced := func() { s.clock.At(from+bootPace, leave) }
			begins := p.inbox.put(func() {
				if p.comesUp() {
					p.begin(lifecycle.Event{Kind: lifecycle.Autostart, Asked: process.Asked{By: process.ByBoot}}, paced)
				} else {
					leave()
				}
				p.inbox.put(done) // behind the write that has its number
			})
			if !begins {
				leave()
				done()
			}
		})
	}
}
