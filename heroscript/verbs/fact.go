package verbs

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// facts are what else there is to know about a process, the most telling first.
func (l *look) facts() []process.Fact {
	all := []process.Fact{}
	add := func(topic, text string) {
		if text != "" {
			all = append(all, process.Fact{Topic: topic, Text: text})
		}
	}
	s := &l.Status
	shown := s.Run
	if shown.Number == 0 {
		shown = l.ended
	}
	told := shown // the run whose end is told
	if told.Cause == 0 && l.ended.HasFailed() && s.Restarts > 0 {
		told = l.ended
	}
	if told.ExitCode != nil && (*told.ExitCode != 0 || told.HasFailed()) {
		text := fmt.Sprintf("%d: %s", *told.ExitCode, exitInWords(*told.ExitCode))
		if s.Succeeds(*told.ExitCode) && !told.HasFailed() {
			text = fmt.Sprintf("%d, which counts as success here", *told.ExitCode)
		}
		add("exit code", text)
	}
	if told.Signal != 0 && told.Cause == process.CauseSignal {
		add("signal", fmt.Sprintf("SIG%s: %s", told.Signal, signalInWords(told.Signal)))
	}
	switch {
	case s.ErrorCode == "" && !saysNoMore(told):
		add("error", told.Error)
	case s.ErrorCode == "":
	case s.State != process.Failed: // else it is what the process is explained with
		add("error", s.Error)
	}
	add("advice", forkedAway(told))
	for _, hit := range l.limitsHit(&shown) {
		add("limit", hit)
	}
	add("restarts", l.restartFact())
	add("ready", readyRow(s))
	add("health", healthRow(s))
	if s.Spec.Deadline > 0 && s.Cause == 0 && !s.Start.IsZero() && s.State != process.Paused {
		left := s.Spec.Deadline.Seconds() - (s.Uptime - s.Paused)
		add("deadline", fmt.Sprintf("%s of %s are left", Seconds(max(left, 0)), Seconds(s.Spec.Deadline.Seconds())))
	}
	if s.State != process.Scheduled && !s.NextTime.IsZero() {
		add("next run", l.at(s.NextTime))
	}
	if !s.SkipTime.IsZero() {
		add("skips", ZonedTime(s.SkipTime)+", on request")
	}
	if s.ToCatchUp > 0 {
		add("to catch up", fmt.Sprintf("%d of the times that were missed", s.ToCatchUp))
	}
	if !s.MissedTime.IsZero() {
		add("missed", ZonedTime(s.MissedTime)+": no daemon ran")
	}
	add("queued", queued(s))
	for _, r := range s.Runs[:max(len(s.Runs)-1, 0)] {
		add("beside", beside(r))
	}
	add("it says", said(s.Condition))
	add("output", s.OutputError)
	if s.LogDropped > 0 {
		add("output", Size(s.LogDropped)+" could not be written, and are lost")
	}
	if len(s.WaitsForRestart) > 0 {
		add("changed", strings.Join(s.WaitsForRestart, ", ")+": from the next run on")
	}
	if e := l.last(process.EventNotified, process.EventNotifyFailed); e != nil && e.Run == l.ended.Number && e.Kind == process.EventNotifyFailed {
		add("on failure", "nobody was told of it: "+e.Error)
	}
	if s.State.AtRest() || s.State == process.Backoff {
		add("needed by", strings.Join(s.NeededBy, ", "))
	}
	return all
}

// saysNoMore reports whether a run's error is its exit code, signal or kill for lack of memory,
// which are told anyhow.
func saysNoMore(r process.Run) bool {
	return r.Cause == process.CauseOOM && r.Error == r.OOM.Own() || r.ExitCode != nil && r.Error == fmt.Sprintf("exit code %d", *r.ExitCode) || r.Signal != 0 && r.Error == "ended by SIG"+r.Signal.String()
}

// restartFact is what the restart policy has done, and whether it does more.
func (l *look) restartFact() string {
	s := &l.Status
	policy := restartPolicy(s.Restarting)
	switch {
	case policy == "" && s.State == process.Failed && s.Cron == "":
		return "none: it has no restart policy"
	case policy == "":
		return ""
	case s.State == process.Backoff:
		return fmt.Sprintf("%d so far; the next attempt is at %s; %s", s.Restarts, l.at(s.NextAttempt), policy)
	case s.Restarts > 0:
		return fmt.Sprintf("%d so far; %s", s.Restarts, policy)
	}
	return policy
}

// limitsHit are the limits that the tree of a run has met.
func (l *look) limitsHit(r *process.Run) (all []string) {
	u, limits := &r.Usage, &l.Limits
	of := func(name, value string) string {
		if value == "" {
			return ""
		}
		return " (" + strings.TrimSpace(name+" "+value) + ")"
	}
	switch {
	case r.OOM != nil:
		all = append(all, r.OOM.Others())
	case some(u.OOMKills):
		all = append(all, (&process.OOM{Kills: *u.OOMKills}).Others())
	}
	if some(u.MemoryMaxEvents) {
		all = append(all, "its memory came to memory_max"+of("", sizeOrNone(limits.MemoryMax))+" "+times(*u.MemoryMaxEvents))
	}
	if some(u.MemoryHighEvents) {
		all = append(all, "it was slowed, and memory taken back, above memory_high"+of("", sizeOrNone(limits.MemoryHigh))+" "+times(*u.MemoryHighEvents))
	}
	if some(u.PidsRefused) {
		all = append(all, fmt.Sprintf("it could not make a process or thread %s%s", times(*u.PidsRefused), of("pids_max", strings.Trim(number(limits.PidsMax), "-"))))
	}
	if some(u.CPUThrottledPeriods) && u.CPUThrottled != nil {
		text := "it had to wait " + Seconds(float64(*u.CPUThrottled)/1e6) + " for CPU time"
		if u.CPUPeriods != nil {
			text += fmt.Sprintf(", in %d of %d periods", *u.CPUThrottledPeriods, *u.CPUPeriods)
		}
		if limits.CPUMax != 0 {
			text += of("cpu_max", limits.CPUMax.String())
		}
		all = append(all, text)
	}
	waited := 0.0
	for _, e := range l.events {
		if e.Kind == process.EventLimited && e.Limit == process.LimitIO && e.Run == r.Number {
			waited += e.Waited
		}
	}
	if waited > 0 {
		all = append(all, "it had to wait "+Seconds(waited)+" for its disks (io_max)")
	}
	return all
}

// sizeOrNone is a limit; nothing if there is none.
func sizeOrNone(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return Size(uint64(bytes))
}
