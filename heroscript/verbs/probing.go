package verbs

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// readyRow says when a run counts as ready, and whether it is.
func readyRow(s *process.Status) string {
	if s.Spec.Ready == "" {
		return ""
	}
	text := fmt.Sprintf("%s, within %s", firstLine(s.Spec.Ready, 100), Seconds(s.ReadyLimit().Seconds()))
	switch {
	case !s.ReadyTime.IsZero():
		text += "; since " + Time(s.ReadyTime)
	case s.Condition.Ready != nil && !*s.Condition.Ready && s.ReadyError != "":
		text += "; not yet: " + screen.Line(s.ReadyError)
	case s.Condition.Ready != nil && !*s.Condition.Ready:
		text += "; not yet"
	}
	return text
}

// healthRow says how it is found out how a run is, and what is known of that.
func healthRow(s *process.Status) string {
	var text string
	switch {
	case s.Spec.Health != "":
		text = fmt.Sprintf("%s, every %s", firstLine(s.Spec.Health, 100), Seconds(s.Period().Seconds()))
	case s.Watchdog > 0:
		text = "watchdog, at least every " + Seconds(s.Watchdog.Seconds())
	default:
		return ""
	}
	h := s.Condition.Health
	switch {
	case h == nil:
		return text
	case h.State == process.HealthUnknown && h.Failures == 0:
		return text + "; not asked yet"
	}
	text += "; " + string(h.State)
	if h.Failures > 0 {
		text += fmt.Sprintf(", failed %d times", h.Failures)
	}
	if h.Error != "" {
		text += ": " + screen.Line(h.Error)
	}
	return text
}

// unwell says that a run under way is not well.
func unwell(s process.Status) string {
	if h := s.Condition.Health; h != nil && h.State == process.HealthUnhealthy {
		return string(h.State)
	}
	return ""
}
