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
	id            keeper.RunID
	jobID         string
	group         cgroup.Group
	begun         bool       // its number is on disk, and what follows is under way or done
	made          bool       // the group is there
	unwatch       func()     // nil: not watched
	unwatchMemory func()     // nil: not watched
	pump          *logs.Pump // moves its output; nil: the FIFO is gone, or see moveErr
	meter         *meter
	unkilled      bool    // SIGKILL could not be sent to the tree yet
	orphan        *orphan // a leader that the keeper cannot wait for; nil: it can
	leader        proc.ID
	start         time.Time     // by the wall clock, which can be stepped; zero: it has not started
	boot          time.Duration // the same by proc.BootTime
	noted         endAttr       // what attrEnd says
	ended         bool          // the leader
	exit          *proc.Exit    // how; nil: nobody could see it
	left          *process.LeftBehind
	refused       error // why the leader cannot be ended, which has left its group
	error         string

	kills    uint64 // for lack of memory in its tree, as were counted last
	outlived uint64 // that its leader has outlived

	moveErr   error         // why its output is not moved; nil: it is
	moveDelay time.Duration // until it was tried again last
	result    process.Run   // when it is over
	drained   bool          // once, and that met a fault of ours
}

// spawn begins the next run. Its number is on disk before anything is made.
func (p *managed) spawn() {
	p.rec.Run++
	p.rec.Origin, p.rec.Owed, p.rec.Missed = p.s.origin, false, time.Time{}
	p.rec.JobID, p.jobID = p.nextJobID(), ""
	id := keeper.RunID{Name: p.rec.Spec.Name, Run: p.rec.Run}
	r := &run{id: id, jobID: p.rec.JobID, group: p.s.groups.Child(groupName(id))}
	p.run = r
	p.save()
	p.disk.after(func(err error) {
		switch {
		case p.run != r || !p.state.spawning: // it was cancelled
		case err != nil:
			p.startErr = err
			p.handle(evSpawnFailed)
		case p.invalid != nil:
			p.began(r, p.invalid)
		default:
			r.begun = true
			fresh := *r
			p.job(func() (then func()) {
				p.s.at(PointNumbered)
				err := fresh.begin(p)
				return func() { p.began(&fresh, err) }
			})
		}
	})
}

// cancel leaves a run that waits for its number to be on disk.
func (p *managed) cancel() {
	if !p.run.begun {
		p.run.error = "it was ended before it was started"
		p.handle(evSpawnFailed)
	}
}

// began goes on with a run that was spawned, or could not be.
func (p *managed) began(r *run, err error) {
	p.run = r
	if err != nil {
		r.error = err.Error()
		p.startErr = process.Errorf(process.CodeStart, "process '%s' could not be started: %v", r.id.Name, err)
		p.handle(evSpawnFailed)
	} else {
		if limit := p.rec.Spec.Deadline; limit > 0 {
			p.deadline.set(r.boot + limit)
		}
		p.handle(evSpawned)
		p.lookAgain()
	}
	if x := p.early; x != nil {
		p.early = nil
		p.exited(*x)
	}
}

// begin makes the group and the FIFO and has the keeper spawn the leader. What it
// has made when it fails is cleaned up by finish.
func (r *run) begin(p *managed) error {
	if !proc.Roomy() {
		p.s.mover.Release()
	}
	if !proc.Roomy() {
		return &proc.NoRoomError{Runs: p.s.underWay(), Limit: proc.FileLimit()}
	}
	if err := p.s.awaitStray(r.group.Name()); err != nil {
		return err
	}
	err := r.group.Make()
	if errors.Is(err, fs.ErrNotExist) { // somebody has removed the one above, which was empty
		if err = makeRuns(p.s.groups); err == nil {
			err = r.group.Make()
		}
	}
	if err != nil {
		return err
	}
	r.made = true
	p.s.at(PointMade)
	if err := r.attr(attrRun, runAttr{r.id.Name, r.id.Run, r.jobID}); err != nil {
		return err
	}
	p.s.at(PointMarked)
	if r.unwatch, err = p.s.watch.Add(r.group, p.lookAgain); err != nil {
		return err
	}
	r.watchMemory(p)
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

// killLeader ends a leader that has left its group.
func (p *managed) killLeader() {
	r := p.run
	// Where it is not known whether it has ended, SIGKILL does no harm: it is sent to
	// a process that cannot be taken for another.
	if alive, err := r.leader.Alive(p.s.proc); err == nil && !alive {
		return // it has ended, and on a busy machine its exit is late to be told
	}
	r.error = "the leader had left its group"
	if r.refused = r.killLeader(p.s.keeper); r.refused != nil {
		p.s.log.Printf("process '%s': its leader has left its group and cannot be ended: %v", r.id.Name, r.refused)
	}
}

// killLeader sends SIGKILL to the leader alone.
func (r *run) killLeader(k Keeper) error {
	if r.orphan == nil {
		// The keeper has our rights, and does not say how that went.
		if err := unix.Kill(r.leader.PID, 0); err == unix.EPERM {
			return err
		}
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
	p.sendKill()
	p.s.at(PointKilled)
	p.startPhase(killLimit, evGiveUp)
}

// sendKill sends SIGKILL to the whole tree. For want of a descriptor that may not be
// possible: then it is tried again until it is, whatever was answered meanwhile.
func (p *managed) sendKill() {
	r := p.run
	err := insist(r.group.Kill)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !r.unkilled {
		p.s.log.Printf("process '%s': %v", p.rec.Spec.Name, err)
	}
	if r.unkilled = proc.Passing(err); r.unkilled {
		p.look.Reset(mostLookAgain)
	}
}

// stuck is the error of a tree that SIGKILL does not end.
func (p *managed) stuck() error {
	who, why := "pids unknown", "uninterruptible sleep?"
	if r := p.run; r != nil && p.state.empty {
		who = fmt.Sprintf("its main process %d, which has left its cgroup,", r.leader.PID)
		if r.refused != nil {
			why = r.refused.Error()
		}
	} else if r != nil {
		if list, err := r.group.Pids(); err == nil {
			who = "pids " + strings.Trim(fmt.Sprint(list[:min(len(list), 16)]), "[]")
			if len(list) > 16 {
				who += " …"
			}
		}
	}
	return process.Errorf(process.CodeStuck, "process '%s' is stuck: SIGKILL has not ended %s within %v (%s); it stays 'stopping', try stop again later",
		p.rec.Spec.Name, who, killLimit, why)
}

// drain finds out the result of a run of which nobody is left.
func (p *managed) drain(cause process.Cause) {
	p.phase.Stop()
	p.deadline.Stop()
	p.move.Stop()
	r, over := *p.run, proc.BootTime()
	p.job(func() (then func()) {
		if r.moveErr != nil { // the last chance
			if err := insist(func() error { return r.takeUpOutput(p, nil) }); err != nil {
				p.s.log.Printf("%v: the last of its output is lost: %v", r.id, err)
			}
		}
		if r.pump != nil {
			r.pump.Finish()
		}
		if r.orphan != nil {
			r.orphan.close()
		}
		result := r.summary(cause, over, p)
		p.s.at(PointDrained)
		return func() {
			p.run.result = result
			p.handle(evDrained)
		}
	})
}

// finish records a run that is over. What it had is removed when that is on disk.
func (p *managed) finish() {
	r := p.run
	p.rec.Last = &r.result
	if p.state.at == process.Starting {
		p.rec.At, p.rec.Owed, p.rec.JobID = process.Stopped, true, p.nextJobID()
	}
	p.rec.Removed = p.state.removing
	r.noteOver(p.s.log) // the group and the keeper remember how it ended until that is on disk
	if r.unwatch != nil {
		r.unwatch()
	}
	if r.unwatchMemory != nil {
		r.unwatchMemory()
	}
	p.unkept = append(p.unkept, r)
	p.run = nil
	p.save()
	p.disk.finished = p.disk.begun
}

// letGo removes what is left of runs whose results are on disk.
func (p *managed) letGo(runs []*run) {
	for _, r := range runs {
		if err := os.Remove(p.s.fifoPath(r.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.s.log.Printf("%v: %v", r.id, err)
		}
		if r.made {
			if err := r.group.Remove(); err != nil {
				p.s.log.Printf("%v: its group stays: %v", r.id, err)
			}
		}
		p.s.at(PointRemoved)
		p.drop(r.id)
		p.s.at(PointDropped)
	}
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

// summary is the run as it ended, and when.
func (r *run) summary(cause process.Cause, end time.Duration, p *managed) process.Run {
	res := r.describe()
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
			if isOOM(r.exit, r.kills, r.outlived) {
				cause = process.CauseOOM
			}
		}
	}
	res.Cause = cause
	if res.Error == "" {
		res.Error = explain(res, &p.rec.Spec, oomKills, p.output)
	}
	return res
}

// endsInCR is said of a command that a shell may have read otherwise than it was meant. A
// value arrives exactly as it was written, so that the command is not changed.
const endsInCR = " (the command has lines that end in CR LF, and the shell takes the CR for a part of the line: save the script with LF alone)"

// explain says in one line why a run failed, and how many of its tree were ended for lack
// of memory; nothing if it did not.
func explain(r process.Run, spec *process.Spec, oomKills uint64, o output) string {
	var others string
	switch {
	case oomKills == 1:
		others = "; one of its processes was killed for lack of memory"
	case oomKills > 1:
		others = fmt.Sprintf("; %d of its processes were killed for lack of memory", oomKills)
	}
	switch {
	case r.Cause == process.CauseDeadline:
		return fmt.Sprintf("the deadline of %v passed", spec.Deadline)
	case r.Cause == process.CauseOOM:
		return "ended by the kernel's out-of-memory killer"
	case r.Cause == process.CauseSignal:
		return fmt.Sprintf("ended by SIG%s", r.Signal) + others
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
	text += others
	if last := o.lastLine(r.Number); last != "" {
		text += ": " + last
	}
	if strings.Contains(spec.Command, "\r\n") {
		text += endsInCR
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
