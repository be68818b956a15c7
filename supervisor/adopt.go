package supervisor

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// takeOver goes on where a former worker was stopped, from what it has left: the
// store, the groups with their attributes, and what the keeper holds.
//
// A run that the store calls the latest and that has not ended is adopted. A group
// of any other run is ended and reported. What the keeper holds beyond that is
// dropped: its result is on disk, or it was never started.
func (s *Supervisor) takeOver(records []record, held []keeper.Held) error {
	groups, err := s.groupsByRun()
	if err != nil {
		return err
	}
	holds := map[keeper.RunID]*keeper.Held{}
	for i := range held {
		holds[held[i].Run] = &held[i]
	}
	tails := s.handedOver()
	for _, rec := range records {
		if rec.unreadable != nil {
			if err := process.ValidateName(rec.Spec.Name); err != nil {
				s.log.Printf("the store has a record that belongs to no process, and keeps it: %v", err)
				continue
			}
			rec.Run = latest(rec.Spec.Name, groups, holds) // its tree lives on, and is ended when that is asked for
		}
		if rec.Removed && s.erase(&rec) {
			continue
		}
		id := keeper.RunID{Name: rec.Spec.Name, Run: rec.Run}
		p := s.resume(rec)
		if k := tails[rec.Spec.Name]; p.output.tail != nil && k.Run == rec.Run {
			p.output.tail.resume(k)
		}
		if rec.Run > 0 && (rec.Last == nil || rec.Last.Number < rec.Run) {
			if p.adopt(id, groups[id], holds[id]) {
				delete(groups, id)
				delete(holds, id)
			} else if rec.unreadable == nil {
				p.lose()
			}
		} else {
			if p.owed = rec.Owed && rec.Origin.Boot == s.origin.Boot; p.owed {
				p.jobID = rec.JobID
			}
		}
		if p.schedule != nil && p.state.up {
			p.resumeSchedule(time.Now())
		}
		s.names[rec.Spec.Name] = p
	}
	for id, h := range holds {
		if h.Output != nil {
			h.Output.Close()
		}
		if err := s.keeper.Drop(id); err != nil {
			return err
		}
	}
	for _, group := range groups { // TookOver ends them
		// One in which nobody is left takes no time, and who is told that its process is at
		// rest or gone does not find it any more.
		if events, err := group.Events(); err == nil && !events.Populated && group.Remove() == nil {
			continue
		}
		s.strays[group.Name()] = newStray(*group)
	}
	if err := s.sweepFIFOs(); err != nil {
		s.log.Print(err)
	}
	for _, p := range s.names {
		p.publish()
		s.loops.Go(p.loop)
	}
	return nil
}

// latest is the number of the latest run that has a group or is held by the keeper.
func latest(name string, groups map[keeper.RunID]*cgroup.Group, holds map[keeper.RunID]*keeper.Held) (run uint64) {
	for id := range groups {
		if id.Name == name {
			run = max(run, id.Run)
		}
	}
	for id := range holds {
		if id.Name == name {
			run = max(run, id.Run)
		}
	}
	return run
}

// erase forgets a process that a former worker was about to forget: its run has ended.
func (s *Supervisor) erase(rec *record) (done bool) {
	err := os.RemoveAll(s.logDir(rec.Spec.Name))
	if err == nil {
		err = s.store.remove(rec.Spec.Name)
	}
	if err != nil {
		s.log.Printf("process '%s' was to be deleted: %v", rec.Spec.Name, err)
		rec.Removed = false
	}
	return err == nil
}

// Former are the runs that a daemon has left alive, by their FIFOs. Held by the keeper
// these keep what is written to them, whoever dies.
// They are counted before anything is opened: it is a *proc.NoRoomError if there are
// more than this process has descriptors for.
func Former(runtime string, groups cgroup.Group) (list []keeper.Held, err error) {
	if err := private.CheckBelow(fifoDir(runtime)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	alive, err := populated(groups)
	if err != nil {
		return nil, err
	}
	for _, g := range alive {
		if id, ok := parseGroupName(g.Name()); ok {
			list = append(list, keeper.Held{Run: id})
		}
	}
	if err := proc.Room(len(list)); err != nil {
		return nil, err
	}
	for i, h := range list { // where there is none the worker tries again
		name := groupName(h.Run)
		list[i].Output, _ = findFIFO(fifoDir(runtime)+"/"+name, groups.Child(name))
	}
	return slices.DeleteFunc(list, func(h keeper.Held) bool { return h.Output == nil }), nil
}

// populated are the groups of runs in which somebody is left. None if the one that holds
// them is not there.
func populated(runs cgroup.Group) (list []cgroup.Group, err error) {
	children, err := runs.Children()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, g := range children {
		empty, err := isEmpty(g)
		if err != nil {
			return nil, err
		}
		if !empty {
			list = append(list, g)
		}
	}
	return list, nil
}

// isEmpty reports whether nobody is left in a group. An error means that this is not
// known, and no more.
func isEmpty(g cgroup.Group) (empty bool, err error) {
	var events cgroup.Events
	err = insist(func() (err error) {
		events, err = g.Events()
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !events.Populated, err
}

// Pauses between two looks at a group of which it is not known whether anybody is left.
const (
	firstLookAgain = 10 * time.Millisecond
	mostLookAgain  = time.Second
)

// nobodyLeft reports whether the tree has ended. Where that is not known, or nobody will
// tell of it, the loop looks again.
func (p *managed) nobodyLeft() bool {
	empty, err := isEmpty(p.run.group)
	if err == nil && (empty || p.run.unwatch != nil && !p.run.unkilled) {
		p.look.Stop()
		p.lookDelay = 0
		return empty
	}
	if err != nil && p.lookDelay < mostLookAgain && 2*p.lookDelay >= mostLookAgain { // once
		p.s.log.Printf("%v: it is not known whether anybody is left: %v", p.run.id, err)
	}
	p.lookDelay = min(max(2*p.lookDelay, firstLookAgain), mostLookAgain)
	p.look.Reset(p.lookDelay)
	return false
}

func (s *Supervisor) groupsByRun() (map[keeper.RunID]*cgroup.Group, error) {
	children, err := s.groups.Children()
	if err != nil {
		return nil, err
	}
	groups := map[keeper.RunID]*cgroup.Group{}
	for _, g := range children {
		id, ok := parseGroupName(g.Name())
		if !ok {
			id = keeper.RunID{Name: g.Name()} // somebody else's; runs count from 1
		}
		groups[id] = &g
	}
	return groups, nil
}

// resume takes up a process that was registered before; its loop does not run yet. A
// definition that cannot be carried out is kept: what runs of it goes on, and nothing
// of it is started.
func (s *Supervisor) resume(rec record) *managed {
	if rec.unreadable != nil {
		_, err := os.Stat(s.logDir(rec.Spec.Name))
		rec.Spec.Log = err == nil
	}
	times, invalid := rec.judge()
	out, err := s.openOutput(&rec.Spec)
	if err != nil { // its limits cannot be; the defaults can
		invalid = cmp.Or(invalid, err)
		out, _ = s.openOutput(&process.Spec{Name: rec.Spec.Name, Log: true})
	}
	if invalid != nil {
		s.log.Print(invalid)
	}
	p := s.newManaged(rec, times, out)
	p.stored, p.invalid = true, invalid
	p.state.at = p.atRest()
	return p
}

// judge is [judge] of a definition that was stored.
func (r *record) judge() (*schedule.Schedule, error) {
	name := r.Spec.Name
	if r.unreadable != nil {
		return nil, process.Errorf(process.CodeInvalid, "process '%s' cannot be started: what the store has of it cannot be read: %v", name, r.unreadable)
	}
	spec := r.Spec
	// One that was stored before there was a least limit of a log holds as that.
	spec.LogMaxSize, spec.LogMaxTotal = min(spec.LogMaxSize, 0), min(spec.LogMaxTotal, 0)
	spec.LogMaxAge, spec.LogMaxFiles = min(spec.LogMaxAge, 0), min(spec.LogMaxFiles, 0)
	times, err := judge(&spec)
	if err != nil {
		err = process.Errorf(process.CodeInvalid, "process '%s' cannot be started: %v", name, err)
	}
	return times, err
}

// mend judges an invalid definition anew: zone data may have been installed.
func (p *managed) mend() error {
	if p.invalid == nil {
		return nil
	}
	times, err := p.rec.judge()
	if err != nil {
		return err
	}
	p.schedule, p.state.cron, p.invalid = times, times != nil, nil
	return nil
}

// atRest is where the process is without a run. Others see an invalid one as failed.
func (p *managed) atRest() process.State {
	at := atRest(p.rec)
	if p.invalid != nil && at == process.Scheduled {
		return process.Stopped
	}
	return at
}

// resumeSchedule goes on from the wall clock, and from the time that was next.
func (p *managed) resumeSchedule(now time.Time) {
	next, missed := p.schedule.Resume(p.rec.Next, now, p.run != nil)
	p.next = next
	switch {
	case next.IsZero():
	case !next.After(now): // it runs late
		p.rec.Missed = time.Time{}
		p.alarm.Reset(0)
	default:
		if !missed.IsZero() {
			p.rec.Missed = missed
		}
		p.alarm.Reset(schedule.Nap(next, now))
	}
}

// lose records a run that left no trace, unless it never was: the keeper that was
// to start it would know. Then the next one is owed.
func (p *managed) lose() {
	was, is := p.rec.Origin, p.s.origin
	reason := unseen
	switch {
	case was.Boot != is.Boot:
		reason = "machine restarted"
	case was.Keeper == is.Keeper:
		p.owed, p.jobID = p.rec.Up, p.rec.JobID
		return
	}
	p.rec.Last = &process.Run{Number: p.rec.Run, JobID: p.rec.JobID, End: time.Now().UTC(), Cause: process.CauseLost, Error: reason}
	p.rec.At = process.Failed
	p.state.at = p.atRest()
	p.put()
}

// adopt makes a run that is under way the process's current one. It reports false
// when there is none: it was never started.
func (p *managed) adopt(id keeper.RunID, group *cgroup.Group, held *keeper.Held) bool {
	s := p.s
	var output *os.File
	if held != nil {
		output = held.Output
		if held.SpawnErr == nil && held.ID == (proc.ID{}) { // a former keeper started it
			held = nil
		}
	}
	var leader leaderAttr
	known, unread := false, false
	if group != nil {
		var err error
		if known, err = readAttr(*group, attrLeader, &leader); err != nil {
			s.log.Printf("%v: %v", id, err)
			unread = true
		}
	}
	nobody := group == nil
	if !nobody { // where that is not known, there may be somebody
		nobody, _ = isEmpty(*group)
	}
	switch {
	case held != nil && held.SpawnErr != nil:
		return false
	case held == nil && !known && nobody:
		return false
	case group == nil: // somebody removed it; the keeper knows how the leader ended
		g := s.groups.Child(groupName(id))
		group = &g
	}
	r := &run{id: id, group: *group, made: true, jobID: p.rec.JobID, leader: leader.ID, start: leader.Started, boot: leader.Boot}
	if held != nil {
		r.leader = held.ID
	}
	if !known { // the worker was stopped between the spawn and the attribute
		if held == nil { // and the keeper too
			r.leader, _ = s.oldest(*group) // where it is not known, the orphan's watch asks again
		}
		leader = leaderAttr{r.leader, time.Now(), proc.BootTime()}
		if age := leader.Boot - r.leader.Boot(); r.leader.PID != 0 {
			leader.Started, leader.Boot = leader.Started.Add(-age), leader.Boot-age
		}
		r.start, r.boot = leader.Started, leader.Boot
		if !unread && r.leader.PID != 0 {
			if err := r.attr(attrLeader, leader); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.log.Printf("%v: %v", id, err)
			}
		}
	}
	p.run = r
	p.state = state{at: process.Running, cron: p.schedule != nil, up: p.rec.Up}
	var err error
	if r.unwatch, err = s.watch.Add(r.group, p.lookAgain); err != nil {
		s.log.Printf("%v: %v", id, err)
	}
	r.watchMemory(p)
	if _, err := readAttr(r.group, attrOutlived, &r.outlived); err != nil {
		s.log.Printf("%v: %v", id, err)
	}
	p.lookAtMemory()
	p.adoptAttrs(leader)
	p.adoptOutput(output)
	r.meter = newMeter(s.proc, r.group, r.age())
	p.lookAgain()
	switch {
	case held == nil && r.noted.Exit != nil: // the former keeper saw it
		p.exits <- leaderExit{id.Run, r.noted.Exit}
	case held == nil:
		p.watchOrphan()
	case held.Exit != nil:
		p.exits <- leaderExit{id.Run, held.Exit}
	}
	return true
}

// oldest is the process of a group that was started first: the leader, unless that
// has ended. It is zero when nobody is there; an error means that it is not known.
func (s *Supervisor) oldest(g cgroup.Group) (first proc.ID, err error) {
	pids, err := g.Pids()
	if errors.Is(err, fs.ErrNotExist) {
		return first, nil
	}
	if err != nil {
		return first, err
	}
	for _, pid := range pids {
		id, err := proc.Identify(s.proc, pid)
		switch {
		case proc.Gone(err):
		case err != nil:
			return proc.ID{}, err
		case first.PID == 0 || id.Start < first.Start || id.Start == first.Start && id.PID < first.PID:
			first = id
		}
	}
	return first, nil
}

// adoptAttrs takes up what the group says about its run.
func (p *managed) adoptAttrs(leader leaderAttr) {
	r := p.run
	now := proc.BootTime()
	var of runAttr
	if ok, err := readAttr(r.group, attrRun, &of); err != nil {
		p.s.log.Printf("%v: %v", r.id, err)
	} else if ok {
		r.jobID = of.JobID
	}
	if limit := p.rec.Spec.Deadline; limit > 0 {
		p.deadline.set(leader.Boot + limit)
	}
	ending, err := readAttr(r.group, attrEnd, &r.noted)
	if err != nil {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	if !ending {
		return
	}
	if err := r.group.Thaw(); err != nil { // it may have been about to be signalled
		p.s.log.Printf("%v: %v", r.id, err)
	}
	p.state.at, p.state.ending = process.Stopping, asked
	p.state.cause, p.state.then = r.noted.Cause, r.noted.Then
	p.state.completed = r.noted.Cause == process.CauseExit && leaderExit{exit: r.noted.Exit}.event() == evCompleted
	r.left = r.noted.Left
	switch p.state.then { // the target may not have come to disk
	case thenStart:
		p.state.up, p.jobID = true, r.noted.JobID
	case thenStop, thenRemove:
		p.state.up = false
	}
	left := max(r.noted.Boot+p.rec.Spec.Grace()-now, 0)
	if p.rec.Spec.EndSignal() == process.KILL {
		left = 0
	}
	if r.noted.Sent {
		p.startPhase(left, evGraceOver)
	} else {
		p.askToEnd(left)
	}
}

// Times between two tries to read the output of a run.
const (
	moveDelay    = 100 * time.Millisecond // after the first
	moveDelayMax = 2 * time.Second        // each is twice as long as the one before
)

// adoptOutput goes on moving where the former worker stopped: from the end that the
// keeper holds, or from the FIFO by its name. What cannot be opened, because there are
// too few descriptors, say, is tried again: the tree stands still when its pipe is full.
func (p *managed) adoptOutput(output *os.File) {
	r := p.run
	err := r.takeUpOutput(p, output)
	if err == nil {
		if r.moveErr != nil {
			p.s.log.Printf("%v: its output is read again", r.id)
		}
		r.moveErr = nil
		return
	}
	if r.moveErr == nil {
		p.s.log.Printf("%v: its output cannot be read, and is tried again: %v", r.id, err)
	}
	r.moveErr = err
	r.moveDelay = min(max(2*r.moveDelay, moveDelay), moveDelayMax)
	p.move.Reset(r.moveDelay)
}

// takeUpOutput begins to move the output of an adopted run, from output if the keeper
// held that. Of a run that has ended there may be no FIFO: a worker that came as far as
// finish has moved it all.
func (r *run) takeUpOutput(p *managed, output *os.File) (err error) {
	if output != nil {
		defer output.Close()
		err = r.moveFrom(p, output)
	} else {
		var fifo *os.File
		if fifo, err = findFIFO(p.s.fifoPath(r.id), r.group); err == nil {
			r.pump, err = p.s.move(p.output, r.id, fifo)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if empty, _ := isEmpty(r.group); empty {
			return nil
		}
	}
	return err
}

// watchOrphan waits for a leader that is not the keeper's child, because an
// earlier keeper started it. How it ends cannot be known.
func (p *managed) watchOrphan() {
	group, leader, gone := p.run.group, p.run.leader, leaderExit{p.run.id.Run, nil}
	p.run.orphan = &orphan{procfs: p.s.proc, stop: make(chan struct{}), leader: func() (proc.ID, error) {
		if leader.PID == 0 { // it was not known when the run was taken over
			return p.s.oldest(group)
		}
		return leader, nil
	}}
	go p.run.orphan.watch(func() { p.exits <- gone }) // until the leader ends, or finish closes it
}

// sweepFIFOs removes those of runs that are no more.
func (s *Supervisor) sweepFIFOs() error {
	return removeFIFOs(s.fifoDir(), func(name string) bool {
		id, _ := parseGroupName(name)
		p := s.names[id.Name]
		return p != nil && p.run != nil && p.run.id == id
	})
}

// RemoveFIFOs removes the FIFOs of all runs, which have ended, with their directory.
func RemoveFIFOs(runtime string) error {
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
