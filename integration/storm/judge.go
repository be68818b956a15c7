package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// newestRun is the highest run number that a status tells of.
func newestRun(s process.Status) uint64 {
	if s.LastRun != nil {
		return max(s.Number, s.LastRun.Number)
	}
	return s.Number
}

// judge compares what the daemon says with what was asked for and with what the
// trees have told.
func (p *player) judge(s process.Status) error {
	told, err := readStory(p.file)
	if err == nil {
		err = errors.Join(p.judgeDefinition(s), p.judgeNumbers(s, told))
	}
	if err == nil && s.LastRun != nil {
		err = p.judgeEnded(*s.LastRun, told)
	}
	if err == nil && s.State.AtRest() && s.LastRun != nil && !(p.unstored && saysUnstored(s)) {
		err = judgeRest(s.State, *s.LastRun)
	}
	if err == nil && p.spec.Restart != "" && !(p.unstored && saysUnstored(s)) {
		err = p.judgeRestarts(s, told)
	}
	if err == nil && s.State == process.Running && !p.kind.ends && p.spec.Deadline == 0 {
		err = p.judgeAlive(s, told)
	}
	if f := told.runs[s.Number]; err == nil && s.State == process.Running && p.spec.Ready != "" && (f == nil || !f.ready || s.ReadyTime.Before(s.Start)) {
		err = fmt.Errorf("run %d is ready, and its tree has not told so: %+v", s.Number, f)
	}
	if err == nil && p.spec.Log && !p.leaving && p.storm.options.disk != "fills" {
		err = p.judgeLog(s)
	}
	if err == nil && p.spec.Cron != "" && !p.leaving && !p.over {
		err = p.judgeLedger()
	}
	if err != nil {
		said, _ := json.Marshal(s)
		return p.fail("%w\nthe daemon says %s", err, said)
	}
	p.newest = max(p.newest, newestRun(s))
	p.lived = s.State == process.Running && !p.kind.ends && p.spec.Deadline == 0
	return nil
}

func (p *player) judgeDefinition(s process.Status) error {
	if s.Name != p.name || s.Command != p.spec.Command || s.Log != p.spec.Log || s.Cron != p.spec.Cron ||
		s.Deadline != p.spec.Deadline || s.Restart != p.spec.Restart || s.Probing != p.spec.Probing || s.Grace() != p.spec.Grace() {
		return fmt.Errorf("it is not what was asked for: %+v", p.spec)
	}
	return nil
}

func (p *player) judgeNumbers(s process.Status, told story) error {
	newest := newestRun(s)
	if newest < p.newest {
		return fmt.Errorf("run %d was known, and now run %d is the newest", p.newest, newest)
	}
	if p.halted && (newest != p.newest || !s.State.AtRest()) {
		return fmt.Errorf("it was stopped at run %d, and is %v at run %d", p.newest, s.State, newest)
	}
	if p.resting && newest != p.newest {
		return fmt.Errorf("a start behind run %d could not be stored, and it is %v at run %d", p.newest, s.State, newest)
	}
	if s.State.AtRest() && p.spec.Cron == "" {
		if p.before != nil {
			told = *p.before
		}
		for run := range told.runs {
			if run > newest {
				return fmt.Errorf("run %d has started, and run %d is the newest", run, newest)
			}
		}
	}
	return nil
}

// judgeRestarts is for what comes back by itself: it does, not too soon, and each time is
// counted.
func (p *player) judgeRestarts(s process.Status, told story) error {
	if last := s.LastRun; last != nil && s.State == process.Failed && !p.wasAsked(last.Number) {
		return fmt.Errorf("it is at rest after a run that ended by %v, and must come back", last.Cause)
	}
	if last := s.LastRun; last != nil && s.State == process.Completed && !p.wasAsked(last.Number) && (p.spec.Restart == process.RestartAlways || show(last.ExitCode) != 0) {
		return fmt.Errorf("it has completed, and must come back")
	}
	if s.State == process.Backoff && (s.NextAttempt.IsZero() || time.Until(s.NextAttempt) > p.spec.LongestDelay()) {
		return fmt.Errorf("the next attempt comes at %v", s.NextAttempt)
	}
	if p.base == 0 || p.storm.hard() || p.over {
		return nil
	}
	newest := newestRun(s)
	most := int(newest - p.base)
	if s.Number == 0 && (s.State == process.Starting || s.State == process.Stopping) { // one that is not born is not shown
		most++
	}
	least := 0 // a number that was given out may not have been used
	for run, f := range told.runs {
		if run > p.base && run <= newest && f.leader != 0 {
			least++
		}
	}
	if s.Restarts < least || s.Restarts > most {
		return fmt.Errorf("it counts %d restarts since run %d, there were %d to %d", s.Restarts, p.base, least, most)
	}
	if last := s.LastRun; last != nil && s.Number > p.base && s.Number == last.Number+1 && !s.Start.IsZero() && s.Start.Sub(last.End) < time.Second-20*time.Millisecond {
		return fmt.Errorf("run %d began %v after the end of the one before", s.Number, s.Start.Sub(last.End))
	}
	return nil
}

// wasAsked reports whether a run may have been asked to end.
func (p *player) wasAsked(run uint64) bool {
	return slices.ContainsFunc(p.asked, func(s span) bool { return s.from <= run && run <= s.to })
}

// judgeAlive is for a tree that lives until it is asked to end.
func (p *player) judgeAlive(s process.Status, told story) error {
	f := told.runs[s.Number]
	for end := time.Now().Add(patience); f == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		told, _ = readStory(p.file)
		f = told.runs[s.Number]
	}
	if f == nil {
		return fmt.Errorf("run %d is running, and its tree has not told so in %v", s.Number, patience)
	}
	if s.PID != f.leader {
		return fmt.Errorf("the leader of run %d is %d, not %d", s.Number, f.leader, s.PID)
	}
	for _, pid := range f.pids() {
		if !p.alive(pid, s.Number) {
			return fmt.Errorf("%d of run %d is dead, and nobody asked for it", pid, s.Number)
		}
	}
	return nil
}

// alive reports whether a process of a run lives. One that is just being executed
// shows no environment.
func (p *player) alive(pid int, run uint64) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if hasEnviron(pid, "TMPDIR="+p.storm.dir, "PROCESSMANAGER_NAME="+p.name, fmt.Sprintf("PROCESSMANAGER_RUN=%d", run)) {
			return true
		}
		if hasEnded(pid) {
			return false
		}
	}
	return false
}

// hasEnded reports whether nobody has the pid but, perhaps, a zombie.
func hasEnded(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, found := strings.Cut(string(stat), ") ")
	return !found || state[0] == 'Z' || state[0] == 'X'
}

// nobody checks that no run has left anything.
func (p *player) nobody() error {
	told, err := readStory(p.file)
	if err != nil {
		return p.fail("%w", err)
	}
	for run, f := range told.runs {
		for _, pid := range f.pids() {
			if hasEnviron(pid, "TMPDIR="+p.storm.dir, "PROCESSMANAGER_NAME="+p.name, fmt.Sprintf("PROCESSMANAGER_RUN=%d", run)) {
				return p.fail("%d of run %d survives", pid, run)
			}
		}
	}
	for _, dir := range p.storm.daemon.groups() {
		if strings.Contains(dir, "/p/"+p.name+".") {
			return p.fail("the group %s is left", dir)
		}
	}
	fifos, _ := os.ReadDir(p.storm.daemon.fifos())
	for _, fifo := range fifos {
		if strings.HasPrefix(fifo.Name(), p.name+".") {
			return p.fail("the FIFO %s is left", fifo.Name())
		}
	}
	return nil
}

// judgeEnded is for a run that has ended.
func (p *player) judgeEnded(r process.Run, told story) error {
	f := told.runs[r.Number]
	if f == nil {
		f = &facts{lines: -1}
	}
	asked := p.wasAsked(r.Number)
	from := r.Start
	if from.IsZero() {
		from = p.born
	}
	seen := p.storm.killer.sawAll(from, r.End)
	started := !r.Start.IsZero() || f.leader != 0 // else it was refused, or ended before it was
	bad := func(format string, args ...any) error {
		return fmt.Errorf("run %d (%v, code %v, %v): %w; told: %+v", r.Number, r.Cause, show(r.ExitCode), r.Signal, fmt.Errorf(format, args...), *f)
	}
	if (r.ExitCode != nil) && (f.exit == nil || *f.exit != *r.ExitCode) {
		return bad("the tree has told of another exit code")
	}
	if r.ExitCode != nil && r.Signal != 0 {
		return bad("it has both")
	}
	if r.ExitCode == nil && r.Signal == 0 && seen && started {
		return bad("how it ended is not known, and the keeper lived all the time")
	}
	switch r.Cause {
	case process.CauseExit:
		if r.ExitCode == nil {
			return bad("no code")
		}
	case process.CauseSignal:
		if int(r.Signal) != f.signal {
			return bad("it has not sent itself that")
		}
	case process.CauseStop:
		if !asked {
			return bad("nobody has asked for it: %v", p.asked)
		}
	case process.CauseDeadline:
		if p.spec.Deadline == 0 || r.End.Sub(r.Start) < p.spec.Deadline {
			return bad("the deadline is %v, and it lasted %v", p.spec.Deadline, r.End.Sub(r.Start))
		}
	case process.CauseStart:
		switch late := p.spec.Ready != "" && started; {
		case late && !p.storm.hard() && (f.ready || p.spec.ReadyTimeout == 0):
			return bad("it was ready")
		case late && r.End.Sub(r.Start) < p.spec.ReadyLimit():
			return bad("it has %v to be ready, and lasted %v", p.spec.ReadyLimit(), r.End.Sub(r.Start))
		case !late && (!p.storm.hard() || f.leader != 0):
			return bad("there is nothing in its way")
		}
	case process.CauseUnhealthy:
		if p.spec.Health == "" || !f.sick && !p.storm.hard() {
			return bad("nothing says that it is not well")
		}
	case process.CauseShutdown:
		if !p.over {
			return bad("the daemon was not asked to end")
		}
	case process.CauseLost:
		if seen || !p.kind.ends && !asked && f.leader != 0 {
			return bad("somebody must have seen it, or the tree lives")
		}
	default:
		return bad("it is not to be expected")
	}
	if r.Cause != process.CauseLost && r.CPU == nil && seen && started {
		return bad("its CPU time is not known")
	}
	if r.CPU == nil {
		return nil
	}
	used, burned := time.Duration(*r.CPU)*time.Microsecond, told.burned(r.Number)
	if used < burned-20*time.Millisecond {
		return bad("CPU %v, it has burned %v", used, burned)
	}
	if burned > 0 && r.ExitCode != nil && used > burned+100*time.Millisecond*time.Duration(slowdown) {
		return bad("CPU %v, it has burned no more than %v", used, burned)
	}
	return nil
}

// judgeRest is for the state in which the last run has left a process. A stop that
// comes when the tree is ending already makes it stopped too.
func judgeRest(at process.State, r process.Run) error {
	want := process.Failed
	switch {
	case at == process.Stopped || r.Cause == process.CauseStop || r.Cause == process.CauseShutdown:
		want = process.Stopped
	case r.Cause == process.CauseExit && *r.ExitCode == 0:
		want = process.Completed
	}
	if at != want {
		return fmt.Errorf("it is %v after a run that ended by %v", at, r.Cause)
	}
	return nil
}

// saysUnstored reports whether a process is shown as one whose start could not be stored.
// Only a worker that has told so shows it; the next one shows how the last run ended.
func saysUnstored(s process.Status) bool {
	return s.State == process.Failed && s.LastRun != nil && strings.Contains(s.Error, unstoredText) && s.Error != s.LastRun.Error
}

// judgeLog wants each line of each run once and in order. What is being written may
// be missing: of a run that has ended, nothing.
func (p *player) judgeLog(s process.Status) error {
	data, err := p.storm.daemon.logged(p.name)
	if err != nil {
		return err
	}
	sawAll := p.storm.killer.sawAll(p.born, time.Now())
	lines := map[uint64]int{}
	var newest uint64
	for line := range strings.Lines(string(data)) {
		if next := strings.LastIndex(line, "line "); next > 0 && !sawAll {
			line = line[next:] // the line before ends where its FIFO went with its last holder
		}
		words := strings.Fields(line)
		if !strings.HasSuffix(line, "\n") {
			break
		}
		if len(words) < 3 || words[0] != "line" {
			return fmt.Errorf("its log has a line %q", line)
		}
		run, _ := strconv.ParseUint(words[1], 10, 64)
		n, _ := strconv.Atoi(words[2])
		if run < newest || n != lines[run]+1 {
			return fmt.Errorf("its log has line %d of run %d behind line %d, and run %d was the last", n, run, lines[run], newest)
		}
		newest, lines[run] = run, n
	}
	told, err := readStory(p.file)
	if err != nil {
		return err
	}
	if !sawAll {
		return nil // what stood in a FIFO goes with its last holder, where the tree is that
	}
	for run, f := range told.runs {
		if ended := run < newestRun(s) || s.State.AtRest(); ended && f.lines >= 0 && lines[run] != f.lines && lines[run] != f.lines+1 {
			return fmt.Errorf("its log has %d lines of run %d, which has written %d", lines[run], run, f.lines)
		}
	}
	return nil
}

func show(p *int) any {
	if p == nil {
		return "none"
	}
	return *p
}
