package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Times of the end of a run.
const (
	freezeLimit = 100 * time.Millisecond // for a tree to be frozen before it is signalled
	killLimit   = 5 * time.Second        // for a tree to be gone after SIGKILL
	leaderGrace = time.Second            // for the leader's exit to be seen when its group is empty
)

// unseen is the error of a run that is lost. Its end is when that was noticed, and how
// long it lasted is not known.
const unseen = "it ended while no daemon was there to see it"

// run is the execution under way. It belongs to its process's goroutine.
type run struct {
	id      keeper.RunID
	jobID   string
	group   cgroup.Group
	made    bool       // the group is there
	unwatch func()     // nil: not watched
	pump    *logs.Pump // moves its output; nil: the FIFO is gone, or see moveErr
	meter   *meter
	orphan  *orphan // a leader that the keeper cannot wait for; nil: it can
	leader  proc.ID
	start   time.Time     // by the wall clock, which can be stepped; zero: it has not started
	boot    time.Duration // the same by proc.BootTime
	noted   endAttr       // what attrEnd says
	ended   bool          // the leader
	exit    *proc.Exit    // how; nil: nobody could see it
	left    *process.LeftBehind
	error   string

	moveErr   error         // why its output is not moved; nil: it is
	moveDelay time.Duration // until it was tried again last
}

// spawn begins the next run. Its number is on disk before anything is made.
func (p *managed) spawn() event {
	p.rec.Run++
	p.rec.Origin, p.rec.Owed, p.rec.Missed = p.s.origin, false, time.Time{}
	spec := &p.rec.Spec
	id := keeper.RunID{Name: spec.Name, Run: p.rec.Run}
	p.run = &run{id: id, jobID: spec.JobID, group: p.s.groups.Child(groupName(id))}
	if p.jobID != "" {
		p.run.jobID, p.jobID = p.jobID, ""
	}
	p.rec.JobID = p.run.jobID
	if err := p.save(); err != nil {
		p.startErr = err
		return evSpawnFailed
	}
	p.s.at(PointNumbered)
	err := p.invalid
	if err == nil {
		err = p.run.begin(p)
	}
	if err != nil {
		p.run.error = err.Error()
		p.startErr = process.Errorf(process.CodeStart, "process '%s' could not be started: %v", spec.Name, err)
		return evSpawnFailed
	}
	if spec.Deadline > 0 {
		p.deadline.set(p.run.boot + spec.Deadline)
	}
	return evSpawned
}

// begin makes the group and the FIFO and has the keeper spawn the leader. What it
// has made when it fails is cleaned up by finish.
func (r *run) begin(p *managed) error {
	if !proc.Roomy() {
		return &proc.NoRoomError{Runs: p.s.underWay(), Limit: proc.FileLimit()}
	}
	if err := p.s.awaitStray(r.group.Name()); err != nil {
		return err
	}
	if err := r.group.Make(); err != nil {
		return err
	}
	r.made = true
	p.s.at(PointMade)
	if err := r.attr(attrRun, runAttr{r.id.Name, r.id.Run, r.jobID}); err != nil {
		return err
	}
	p.s.at(PointMarked)
	var err error
	if r.unwatch, err = p.s.watch.Add(r.group, p.lookAgain); err != nil {
		return err
	}
	dir, err := r.group.Dir()
	if err != nil {
		return err
	}
	defer dir.Close()
	output, err := makeFIFO(p.s.fifoPath(r.id))
	if err != nil {
		return err
	}
	defer output.Close()
	p.output.begin(r.id.Run)
	if err := r.moveFrom(p, output); err != nil {
		return err
	}
	p.s.at(PointPiped)
	spec := &p.rec.Spec
	r.start, r.boot = time.Now(), proc.BootTime()
	r.leader, err = p.s.keeper.Spawn(p.s.life, r.id, proc.Command{
		Argv:   []string{"/bin/sh", "-c", spec.Command},
		Env:    proc.Environment(p.s.environ, r.environ()...),
		Dir:    spec.Dir,
		Group:  dir,
		Output: output,
	})
	if errors.Is(err, keeper.ErrKeeperGone) {
		select {} // this worker ends; whether the leader runs is for the next one to find out
	}
	if err != nil {
		r.start = time.Time{}
		return err
	}
	p.s.at(PointSpawned)
	r.meter = newMeter(p.s.proc, r.group, r.age())
	if err := r.attr(attrLeader, leaderAttr{r.leader, r.start, r.boot}); err != nil {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	p.s.at(PointRecorded)
	return nil
}

// environ tells a run which it is.
func (r *run) environ() []string {
	env := []string{"PROCESSMANAGER_NAME=" + r.id.Name, "PROCESSMANAGER_RUN=" + strconv.FormatUint(r.id.Run, 10)}
	if r.jobID != "" {
		env = append(env, "PROCESSMANAGER_JOBID="+r.jobID)
	}
	return env
}

// killLeader sends SIGKILL to the leader alone.
func (r *run) killLeader(k Keeper) error {
	if r.orphan == nil {
		return k.Kill(r.id)
	}
	return insist(r.orphan.kill)
}

// moveFrom begins to move what comes out of a FIFO.
func (r *run) moveFrom(p *managed, fifo *os.File) error {
	reader, err := openFIFO(fifo)
	if err != nil {
		return err
	}
	r.pump, err = p.s.move(p.output, r.id, reader)
	return err
}

// askToEnd sends the stop signal to the whole tree and starts the grace period.
// The tree is frozen meanwhile, so that it cannot fork ahead of the signals.
func (p *managed) askToEnd(grace time.Duration) {
	r := p.run
	if p.rec.Spec.EndSignal() == process.KILL {
		grace = 0
	}
	p.startPhase(grace, evGraceOver)
	note := func(what string, err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.s.log.Printf("%v: %s: %v", r.id, what, err)
		}
	}
	pids, err := r.group.Pids()
	if err == nil && len(pids) == 0 {
		p.lookAgain()
		return
	}
	note("freeze", insist(r.group.Freeze))
	p.awaitFrozen()
	p.s.at(PointFrozen)
	if r.ended || r.noted.Exit != nil {
		r.noteLeftBehind(p.s.proc)
		r.noted.Left = r.left
	}
	if grace > 0 {
		note("signal", insist(func() error {
			sent, err := r.group.Signal(unix.Signal(p.rec.Spec.EndSignal()))
			if sent > 0 && proc.Passing(err) {
				p.s.log.Printf("%v: signal: only %d were sent it: %v", r.id, sent, err)
				return nil // nobody is sent it twice
			}
			return err
		}))
	}
	p.s.at(PointSignalled)
	note("thaw", insist(r.group.Thaw))
	p.s.at(PointThawed)
	r.noted.Sent = true
	note("record that it was asked", r.attr(attrEnd, r.noted))
	p.s.at(PointAsked)
}

// awaitFrozen waits until the tree stands still, or is gone, or for freezeLimit.
func (p *managed) awaitFrozen() {
	limit := time.NewTimer(freezeLimit)
	defer limit.Stop()
	for {
		events, err := p.run.group.Events()
		if err != nil || events.Frozen || !events.Populated {
			break
		}
		select {
		case <-p.changed:
			continue
		case <-limit.C:
		}
		break
	}
	p.lookAgain() // what was taken here
}

// lookAgain has the loop read the group's events.
func (p *managed) lookAgain() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// noteLeftBehind keeps who was there without the leader.
func (r *run) noteLeftBehind(procfs string) {
	var pids []int
	err := insist(func() (err error) {
		pids, err = r.group.Pids()
		return err
	})
	if err != nil || len(pids) == 0 {
		return
	}
	r.left = &process.LeftBehind{Count: len(pids), Names: someNames(proc.Names(procfs, pids))}
}

// someNames are at most 16 of names, each once, sorted; the last is "…" if there are
// more. The kernel cuts them at 15 bytes, and not between characters.
func someNames(names []string) []string {
	for i, name := range names {
		if n := screen.Unfinished([]byte(name)); n > 0 {
			names[i] = name[:len(name)-n] + "…"
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 16 {
		names = append(names[:15], "…")
	}
	return names
}

// insist tries f again while something is short: when many trees are ended at once, the
// others give their descriptors back in a moment.
func insist(f func() error) error {
	err := f()
	for try := 0; try < 100 && proc.Passing(err); try++ {
		time.Sleep(10 * time.Millisecond)
		err = f()
	}
	return err
}

func (p *managed) kill() {
	if err := insist(p.run.group.Kill); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.s.log.Printf("process '%s': %v", p.rec.Spec.Name, err)
	}
	p.s.at(PointKilled)
	p.startPhase(killLimit, evGiveUp)
}

// stuck is the error of a tree that SIGKILL does not end.
func (p *managed) stuck() error {
	pids := "unknown"
	if p.run != nil {
		if list, err := p.run.group.Pids(); err == nil {
			pids = strings.Trim(fmt.Sprint(list[:min(len(list), 16)]), "[]")
			if len(list) > 16 {
				pids += " …"
			}
		}
	}
	return process.Errorf(process.CodeStuck, "process '%s' is stuck: SIGKILL has not ended pids %s within %v (uninterruptible sleep?); it stays 'stopping', try stop again later",
		p.rec.Spec.Name, pids, killLimit)
}

// finish records a run of which nobody is left, and removes what it had.
func (p *managed) finish(cause process.Cause) {
	r := p.run
	p.phase.Stop()
	p.deadline.Stop()
	p.move.Stop()
	if r.moveErr != nil { // the last chance
		if err := insist(func() error { return r.takeUpOutput(p, nil) }); err != nil {
			p.s.log.Printf("%v: the last of its output is lost: %v", r.id, err)
		}
	}
	if r.pump != nil {
		r.pump.Finish()
	}
	if err := os.Remove(p.s.fifoPath(r.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.s.log.Printf("%v: %v", r.id, err)
	}
	if r.orphan != nil {
		r.orphan.close()
	}
	p.s.at(PointDrained)
	result := r.result(cause, p)
	p.rec.Last = &result
	if p.state.at == process.Starting {
		p.rec.At, p.rec.Owed, p.rec.JobID = process.Stopped, true, p.jobID
	}
	p.rec.Removed = r.noted.Then == thenRemove
	kept := true
	if p.stored { // a process that could not be stored is none
		kept = p.save() == nil
	}
	p.s.at(PointStored)
	if r.unwatch != nil {
		r.unwatch()
	}
	if kept {
		p.letGo(r)
	} else { // the group and the keeper remember how it ended until that is on disk
		r.noteOver(p.s.log)
		p.unkept = append(p.unkept, r)
	}
	p.run = nil
}

// letGo removes what is left of a run whose result is on disk.
func (p *managed) letGo(r *run) {
	if r.made {
		if err := r.group.Remove(); err != nil {
			p.s.log.Printf("%v: its group stays: %v", r.id, err)
		}
	}
	p.s.at(PointRemoved)
	p.drop(r.id)
	p.s.at(PointDropped)
}

// drop tells the keeper to forget a run.
func (p *managed) drop(id keeper.RunID) {
	if err := p.s.keeper.Drop(id); err != nil {
		p.s.log.Printf("%v: %v", id, err)
	}
}

// describe is what is known of the run while it lasts.
func (r *run) describe() process.Run {
	return process.Run{Number: r.id.Run, JobID: r.jobID, Start: r.start.UTC(), LeftBehind: r.left}
}

// age is how long ago it started.
func (r *run) age() time.Duration { return proc.BootTime() - r.boot }

// result is the run as it ended.
func (r *run) result(cause process.Cause, p *managed) process.Run {
	res := r.describe()
	end := proc.BootTime()
	switch {
	case r.noted.Over != 0: // a former worker saw it
		end = r.noted.Over
	case r.exit != nil && r.left == nil && !r.noted.Sent: // it ended with its leader, before we looked
		end = max(min(end, r.exit.Time), r.boot)
	}
	res.End, res.Error = time.Now().Add(end-proc.BootTime()).UTC(), r.error
	switch {
	case cause == process.CauseLost:
		res.Error = cmp.Or(res.Error, unseen)
	case !r.start.IsZero():
		res.Uptime = (end - r.boot).Seconds()
	}
	var oomKills uint64
	if r.meter != nil {
		err := insist(func() (err error) {
			res.Usage, oomKills, err = r.meter.total()
			return err
		})
		if err != nil {
			p.s.log.Printf("%v: %v", r.id, err)
		}
	}
	if r.exit != nil {
		if r.exit.Signal != 0 {
			res.Signal = process.Signal(r.exit.Signal)
		} else {
			res.ExitCode = &r.exit.Code
		}
		if cause == process.CauseExit && r.exit.Signal != 0 {
			cause = process.CauseSignal
			if r.exit.Signal == unix.SIGKILL && oomKills > 0 {
				cause = process.CauseOOM
			}
		}
	}
	res.Cause = cause
	if res.Error == "" {
		res.Error = explain(res, &p.rec.Spec, p.output)
	}
	return res
}

// explain says in one line why a run failed; nothing if it did not.
func explain(r process.Run, spec *process.Spec, o output) string {
	switch {
	case r.Cause == process.CauseDeadline:
		return fmt.Sprintf("the deadline of %v passed", spec.Deadline)
	case r.Cause == process.CauseOOM:
		return "ended by the kernel's out-of-memory killer"
	case r.Cause == process.CauseSignal:
		return fmt.Sprintf("ended by SIG%s", r.Signal)
	case r.Cause != process.CauseExit || r.ExitCode == nil || *r.ExitCode == 0:
		return ""
	}
	text := fmt.Sprintf("exit code %d", *r.ExitCode)
	switch *r.ExitCode {
	case 126:
		text += " (found, but cannot be executed)"
	case 127:
		text += " (command not found)"
	}
	if last := o.lastLine(r.Number); last != "" {
		text += ": " + last
	}
	return text
}

// groupName is the directory of a run's group, and the name of its FIFO.
func groupName(id keeper.RunID) string {
	return id.Name + "." + strconv.FormatUint(id.Run, 10)
}

// parseGroupName undoes groupName: the last dot separates.
func parseGroupName(name string) (id keeper.RunID, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return id, false
	}
	n, err := strconv.ParseUint(name[dot+1:], 10, 64)
	return keeper.RunID{Name: name[:dot], Run: n}, err == nil
}
