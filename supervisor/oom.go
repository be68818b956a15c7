package supervisor

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// Whom the kernel ends for lack of memory it counts, in memory.events, and does not name.
// It counts before it sends SIGKILL. So a kill that the leader has outlived was another's,
// and only one that it has not outlived can have been its own: then the cause of its end
// is oom. What cannot be told apart is somebody else's SIGKILL that reaches the leader
// within outliveTime of such a kill in its tree.

// outliveTime is after which a leader that has no SIGKILL on its way has outlived a kill.
const outliveTime = 20 * time.Millisecond

// isOOM reports whether the kernel has ended a leader for lack of memory: kills were
// counted by its end, and it has outlived so many of them.
func isOOM(exit *proc.Exit, kills, outlived uint64) bool {
	return exit != nil && exit.Signal == unix.SIGKILL && kills > outlived
}

// watchMemory has the loop count the kills of a run's tree.
func (r *run) watchMemory(p *managed) {
	unwatch, err := p.s.watch.AddMemory(r.group, p.lookAtMemory)
	switch {
	case err == nil:
		r.unwatchMemory = unwatch
	case !uncounted(err):
		p.s.log.Printf("%v: why it ends may be told wrong: %v", r.id, err)
	}
}

// uncounted reports whether an error is that there is no controller, or no group any more.
func uncounted(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}

// lookAtMemory has the loop read the group's memory.events.
func (p *managed) lookAtMemory() {
	select {
	case p.memory <- struct{}{}:
	default:
	}
}

// countKills is for a change of memory.events. What is counted now has to be outlived.
func (p *managed) countKills() {
	r := p.run
	if r == nil || r.ended || p.state.onDisk() || r.kills > r.outlived {
		return
	}
	if r.kills = r.oomKills(p); r.kills > r.outlived {
		p.outlive.Reset(outliveTime)
	}
}

// outlived is for a leader that had to outlive the kills that were counted.
func (p *managed) outlived() {
	r := p.run
	if r == nil || r.ended || p.state.onDisk() {
		return
	}
	if doomed, err := r.leader.Doomed(p.s.proc); err != nil || doomed {
		return
	}
	r.outlived = r.kills
	if err := r.attr(attrOutlived, r.outlived); err != nil {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	p.countKills()
}

// oomKills is how many processes of the tree were ended for lack of memory by now; 0
// without a controller that counts them.
func (r *run) oomKills(p *managed) (kills uint64) {
	err := insist(func() (err error) {
		kills, err = r.group.OOMKills()
		return err
	})
	if err != nil && !uncounted(err) {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	return kills
}
