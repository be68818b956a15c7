package supervisor

import (
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/lifecycle"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// takeOver goes on where a former worker was stopped, from what it has left: the store, the
// groups with their attributes, and what the keeper holds. Nothing is written and nobody's
// loop runs before TookOver: the former program may have to go on.
//
// A run that the store calls the latest and that has not ended is adopted. A group of any
// other run is ended and reported. What the keeper holds beyond that is dropped: its result
// is on disk, or it was never started. Where the daemon is about to end (ending) nothing
// comes up with it.
func (s *Supervisor) takeOver(contents store.Contents, held []keeper.Held, ending bool) error {
	groups, err := s.groupsByRun()
	if err != nil {
		return err
	}
	alive, err := anyAlive(groups)
	if err != nil {
		return err
	}
	holds := map[keeper.RunID]*keeper.Held{}
	for i := range held {
		holds[held[i].Run] = &held[i]
	}
	tails := s.handedOver()
	for _, kept := range contents.Processes {
		if kept.Removed { // a former worker was about to forget it
			s.condemned = append(s.condemned, kept.Spec.Name)
			continue
		}
		s.resume(kept, nil, groups, holds, tails)
	}
	for _, u := range contents.Unreadable {
		if err := process.ValidateName(u.Name); err != nil {
			s.log.Printf("the store has a record that belongs to no process, and keeps it: %v", err)
			continue
		}
		kept := store.Process{}
		kept.Spec.Name = u.Name
		kept.Target.Run = latest(u.Name, groups, holds) // its tree lives on, and is ended when that is asked for
		s.resume(kept, u.Err, groups, holds, tails)
	}
	for id, h := range holds {
		for _, f := range []*os.File{h.Output, h.Notify} {
			if f != nil {
				f.Close()
			}
		}
		if err := s.keeper.Drop(id); err != nil {
			return err
		}
	}
	for _, group := range groups { // TookOver ends them
		// One in which nobody is left takes no time, and who is told that its process is at
		// rest or gone does not find it any more.
		if empty, err := run.IsEmpty(*group); err == nil && empty && group.Remove() == nil {
			continue
		}
		s.strays[group.Name()] = newStray(*group)
	}
	if err := errors.Join(s.sweepFIFOs(), s.sweepSockets()); err != nil {
		s.log.Print(err)
	}
	if s.former = contents.Daemon; ending {
		s.former = store.Daemon{Origin: s.origin, Done: true}
	}
	s.toStart = s.toBoot(s.former, alive)
	for _, p := range s.names {
		p.publish()
	}
	s.at(PointTaken)
	return nil
}

// resume takes up a process that was defined before. A definition that cannot be carried
// out is kept: what runs of it goes on, and nothing of it is started.
func (s *Supervisor) resume(kept store.Process, unreadable error, groups map[keeper.RunID]*cgroup.Group, holds map[keeper.RunID]*keeper.Held, tails map[string]keptTail) {
	name := kept.Spec.Name
	if unreadable != nil {
		_, err := os.Stat(s.logDir(name))
		kept.Spec.Log = err == nil
	}
	spec := kept.LastSpec(kept.Changed)
	out, outputErr := s.openOutput(&spec)
	if outputErr != nil { // its limits cannot be; the defaults can
		out, _ = s.openOutput(&process.Spec{Name: name, Logging: process.Logging{Log: true}})
	}
	p := s.newManaged(kept, nil, out)
	p.stored, p.unread = true, unreadable != nil
	p.hold(0) // before anything more comes: nobody knows how far its watcher is
	times, invalid := p.judgeStored(unreadable)
	if p.invalid = cmp.Or(invalid, outputErr); p.invalid != nil {
		s.log.Print(p.invalid)
	}
	p.times, p.machine.Scheduled, p.machine.Rest = times, times != nil, p.rest()
	p.resumeAttempts()
	s.mu.Lock() // the clock may be set meanwhile
	s.names[name] = p
	s.mu.Unlock()
	s.ordering.restore(name, kept.Spec.Ordering)
	if k := tails[name]; out.tail != nil && k.Run == kept.Target.Run {
		out.tail.resume(k)
	}
	if p.ran = p.hasRun(); kept.Waiting {
		p.machine.Asked = kept.Target.Asked
	}
	if q := kept.Queued; q != nil {
		p.machine.Queue, p.jobID = occasion(&q.LedgerEntry, q.Asked), q.JobID
	}
	under := kept.UnderWay()
	var gone []store.Beside
	for _, left := range under {
		id := keeper.RunID{Name: name, Run: left.Run}
		if p.adopt(left, groups[id], holds[id]) {
			delete(groups, id)
			delete(holds, id)
		} else {
			gone = append(gone, left)
		}
	}
	for _, left := range gone { // when it is known what goes on
		if unreadable == nil {
			p.lose(left)
		}
	}
	if n := len(under); (n == 0 || under[n-1].Run != kept.Target.Run) && kept.Owed && kept.Origin.Boot == s.origin.Boot {
		p.owed, p.jobID, p.machine.Asked = true, kept.Target.JobID, kept.Target.Asked
	}
	p.resumeBacklog()
	p.inbox.put(p.goOn)
	if p.times != nil && p.machine.Up { // behind what is in line or owed already
		p.resumeSchedule(p.scheduleTime())
	}
}

// goOn is the first that the loop of a process does that was taken over.
func (p *managed) goOn() {
	for _, r := range p.runs {
		if !p.unread && r.Born() {
			p.tellStarted(r) // the former worker may have died before it could
			p.tellReady(r)
			p.tellPaused(r)
		}
		r.Resume()
	}
	for _, f := range p.kept.Failures {
		p.queueFailure(f)
	}
	if !p.owed {
		p.goOnWaiting()
		p.checkNeeds()
	}
	p.startOwed()
	p.goOnInLine()
	p.awaitWatcher()
	p.workOff()
}

// adopt takes up a run that is under way. It reports false when there is none: it was never
// started.
func (p *managed) adopt(left store.Beside, group *cgroup.Group, held *keeper.Held) bool {
	id := keeper.RunID{Name: p.name, Run: left.Run}
	found := run.Found{Held: held}
	if group != nil {
		found.Group = *group
	}
	r := p.s.host.Adopt(run.Plan{ID: id, JobID: left.JobID, Asked: left.Asked, Spec: p.kept.LastSpec(left.Changed), Output: p.output}, found, p)
	if r == nil {
		return false
	}
	if p.runs[id.Run] = r; id.Run != p.kept.Target.Run {
		p.others[id.Run] = left
	}
	if held == nil { // then there is a group
		if empty, err := run.IsEmpty(found.Group); err == nil && empty {
			p.past = id.Run
		}
	}
	phase := lifecycle.Running
	if r.Ends() {
		phase = lifecycle.Stopping
		if then, jobID, by := r.Followed(); then >= p.machine.Then {
			p.machine.Then = then
			if then == lifecycle.ThenStart || p.machine.Queue == nil {
				p.jobID, p.machine.Asked = jobID, by
			}
		}
		if then := p.machine.Then; then == lifecycle.ThenStop || then == lifecycle.ThenRemove { // it may not have come to disk
			p.machine.Up, p.machine.Stopped = false, true
		}
	}
	p.machine.Insert(lifecycle.Execution{Number: id.Run, Phase: phase, Started: r.Born(), Ready: r.Ready(), Asked: r.Asked, Paused: r.Pauses(), Still: r.Still()})
	return true
}

// lose records a run that left no trace, unless it never was: the keeper that was to start
// it would know. Then the next one is owed.
func (p *managed) lose(left store.Beside) {
	was, is := left.Origin, p.s.origin
	reason := run.Unseen
	switch {
	case was.Boot != is.Boot:
		reason = "machine restarted"
	case was.Keeper == is.Keeper:
		if left.Run == p.kept.Target.Run {
			p.owed, p.jobID, p.machine.Asked = p.kept.Up, left.JobID, left.Asked
			p.neverWas()
		}
		p.giveTimeBack(left)
		return
	}
	lost := process.Run{Number: left.Run, JobID: left.JobID, Asked: left.Asked, End: time.Now().UTC(), Cause: process.CauseLost, Error: reason}
	ended := lifecycle.Event{Kind: lifecycle.RunEnded, Run: lost.Number, Cause: lost.Cause, Now: p.s.clock.Now(), Random: rand.Float64()}
	if was.Boot != is.Boot { // it may have lasted long, and the machine was restarted anyway
		ended.Lasted = p.kept.Spec.LongestDelay()
	}
	p.keepLast(lost)
	p.kept.State = process.Failed
	p.machine.Insert(lifecycle.Execution{Number: lost.Number, Phase: lifecycle.Running})
	inLine := p.machine.Queue // goOn says what becomes of that
	p.machine.Queue = nil
	var actions []lifecycle.Action
	p.machine, actions = p.machine.Step(ended)
	if p.machine.Queue = inLine; p.machine.Rest == process.Backoff {
		p.attempt = time.Now().Add(p.machine.Attempts.Delay).UTC().Truncate(time.Millisecond)
	}
	p.inbox.put(func() {
		p.disk.lost = append(p.disk.lost, lost)
		p.disk.dirty = true
		p.afterSave(func(error) {}) // it is shown already: its history is to tell of it soon
		p.tell(process.Event{Kind: process.EventEnded, Run: lost.Number, JobID: lost.JobID, Cause: lost.Cause, Error: lost.Error})
		for _, a := range actions {
			if a.Do == lifecycle.AwaitRetry || a.Do == lifecycle.GiveUp || a.Do == lifecycle.TellFailed { // its schedule goes on by itself, and nobody waits
				p.carryOut(a)
			}
		}
	})
}

// neverWas has it noted that the last run never was: when this keeper has died as well nobody
// could tell any more, and would call it lost. Until that is on disk nobody is told that the
// process is at rest.
func (p *managed) neverWas() {
	p.kept.Never = p.kept.Target.Run
	p.settling = !p.owed
	p.inbox.put(func() {
		p.disk.dirty = true
		p.afterSave(func(error) { p.settling = false })
	})
}

// originOf is who starts runs now.
func originOf(procfs string) (store.Origin, error) {
	boot, err := proc.BootID(procfs)
	if err != nil {
		return store.Origin{}, err
	}
	keeper, err := proc.Identify(procfs, os.Getppid())
	return store.Origin{Boot: boot, Keeper: strconv.Itoa(keeper.PID) + ":" + strconv.FormatUint(keeper.Start, 10)}, err
}

// latest is the number of the latest run that has a group or is held by the keeper.
func latest(name string, groups map[keeper.RunID]*cgroup.Group, holds map[keeper.RunID]*keeper.Held) (number uint64) {
	for id := range groups {
		if id.Name == name {
			number = max(number, id.Run)
		}
	}
	for id := range holds {
		if id.Name == name {
			number = max(number, id.Run)
		}
	}
	return number
}

// finishDeletes destroys what is kept of processes that a former worker was about to
// forget. Their names are free from now on: what is written for others comes later.
func (s *Supervisor) finishDeletes() {
	for _, name := range s.condemned {
		if err := os.RemoveAll(s.logDir(name)); err != nil {
			s.log.Printf("process '%s': its log stays: %v", name, err)
		}
		s.store.Write(forgotten(name, func(err error) {
			if err != nil { // the next daemon does it
				s.log.Print(err)
			}
		}))
	}
	s.condemned = nil
}

func forgotten(name string, done func(error)) store.Change {
	return store.Change{Name: name, Remove: true, Events: []process.Event{{Kind: process.EventDeleted}}, Done: done}
}

// erase destroys what is kept of a process, the log first: without a definition nobody
// would look for it.
func (s *Supervisor) erase(name string, out output) {
	err := out.remove()
	if err == nil {
		err = os.RemoveAll(s.logDir(name)) // of a time when it had one
	}
	if err != nil {
		s.log.Printf("process '%s': its log stays: %v", name, err)
	}
	s.at(PointCleared)
	done := make(chan error, 1)
	s.store.Write(forgotten(name, func(err error) { done <- err }))
	if err := <-done; err != nil { // the next daemon does it
		s.log.Print(err)
	}
	s.at(PointForgotten)
}

// Former are the runs that a daemon has left alive, with their FIFOs. Held by the keeper
// these keep what is written to them, whoever dies. A run without one is among them: what
// the keeper holds was alive when it began.
// They are counted before anything is opened: it is a *proc.NoRoomError if there are
// more than this process has descriptors for.
func Former(runtime string, groups cgroup.Group) (list []keeper.Held, err error) {
	alive, err := populated(groups)
	if err != nil {
		return nil, err
	}
	for _, g := range alive {
		if id, ok := run.ParseName(g.Name()); ok {
			list = append(list, keeper.Held{Run: id})
		}
	}
	if err := proc.Room(len(list)); err != nil {
		return nil, err
	}
	for i, h := range list { // where there is none the worker tries again
		name := run.Name(h.Run)
		list[i].Output, _ = run.FindFIFO(fifoDir(runtime)+"/"+name, groups.Child(name))
	}
	return list, nil
}

// populated are the groups of runs in which somebody is left; none if the group that holds
// them is not there. Those of helpers are left out: they go with their worker.
func populated(runs cgroup.Group) (list []cgroup.Group, err error) {
	children, err := runs.Children()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, g := range children {
		empty, err := run.IsEmpty(g)
		if err != nil {
			return nil, err
		}
		if !empty && !run.IsHelper(g.Name()) {
			list = append(list, g)
		}
	}
	return list, nil
}

// anyAlive reports whether somebody is left in the group of a run. It asks no more than it
// must: there may be thousands.
func anyAlive(groups map[keeper.RunID]*cgroup.Group) (bool, error) {
	for _, g := range groups {
		if run.IsHelper(g.Name()) {
			continue
		}
		if empty, err := run.IsEmpty(*g); err != nil || !empty {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *Supervisor) groupsByRun() (map[keeper.RunID]*cgroup.Group, error) {
	children, err := s.groups.Children()
	if err != nil {
		return nil, err
	}
	groups := map[keeper.RunID]*cgroup.Group{}
	for _, g := range children {
		id, ok := run.ParseName(g.Name())
		if !ok {
			id = keeper.RunID{Name: g.Name()} // somebody else's; runs count from 1
		}
		groups[id] = &g
	}
	return groups, nil
}

// sweepFIFOs removes those of runs that are no more.
func (s *Supervisor) sweepFIFOs() error {
	return removeFIFOs(s.fifoDir(), func(name string) bool {
		id, _ := run.ParseName(name)
		p := s.names[id.Name]
		return p != nil && p.runs[id.Run] != nil
	})
}

// sweepSockets removes those of runs that are no more.
func (s *Supervisor) sweepSockets() error {
	used := map[string]bool{}
	for _, p := range s.names {
		for _, r := range p.runs {
			used[r.Socket()] = true
		}
	}
	return s.host.Sockets.Sweep(func(path string) bool { return used[path] })
}

// RemoveFIFOs removes the FIFOs and the sockets of all runs, which have ended, with their
// directories.
func RemoveFIFOs(runtime string) error {
	sockets := run.Sockets{Dir: socketDir(runtime)}
	if err := sockets.Sweep(func(string) bool { return false }); err != nil {
		return err
	}
	os.Remove(sockets.Dir)
	dir := fifoDir(runtime)
	if err := removeFIFOs(dir, func(string) bool { return false }); err != nil {
		return err
	}
	os.Remove(dir) // unless something else is in it
	return nil
}

// removeFIFOs removes the FIFOs in a directory but for those to keep, and nothing else.
func removeFIFOs(dir string, keep func(name string) bool) error {
	err := private.CheckBelow(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is made with the first
	}
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type() == fs.ModeNamedPipe && !keep(e.Name()) {
			err = errors.Join(err, os.Remove(dir+"/"+e.Name()))
		}
	}
	return err
}
