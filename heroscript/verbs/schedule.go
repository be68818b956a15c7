package verbs

import (
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func schedulePauseForm(time.Time) *form {
	return operation(func(*form) process.Operation { return process.SchedulePause{} }, schedulePaused)
}

func scheduleResumeForm(time.Time) *form {
	return operation(func(*form) process.Operation { return process.ScheduleResume{} }, scheduleResumed)
}

func skipNextForm(time.Time) *form {
	return operation(func(*form) process.Operation { return process.SkipNext{} }, nextSkipped)
}

func schedulePaused(o process.Outcome) string {
	return fmt.Sprintf("process '%s': its schedule is paused: times pass without a run until schedule_resume", o.Name)
}

func scheduleResumed(o process.Outcome) string {
	return fmt.Sprintf("process '%s': its schedule goes on, next run %s", o.Name, nextRun(o.Status))
}

func nextSkipped(o process.Outcome) string {
	return fmt.Sprintf("process '%s': the time %s is skipped, next run %s", o.Name, ZonedTime(o.Status.SkipTime), nextRun(o.Status))
}

// nextRun is when the schedule of a process has its next run, behind "next run".
func nextRun(s process.Status) string {
	switch {
	case s.SchedulePaused:
		return "when its schedule is resumed"
	case s.NextTime.IsZero():
		return "never: no time of its schedule comes within 40 years"
	}
	return "at " + ZonedTime(s.NextTime)
}

// catchup is what becomes of times that are missed; nothing where nothing does.
func catchup(s process.Schedule) string {
	text := ""
	switch s.Catchup {
	case process.CatchupLatest:
		text = "the latest time that was missed"
	case process.CatchupAll:
		text = "all times that were missed"
	default:
		return ""
	}
	if s.CatchupWindow > 0 {
		text += ", up to " + Seconds(s.CatchupWindow.Seconds()) + " ago"
	}
	return text
}
