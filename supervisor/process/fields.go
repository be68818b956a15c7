package process

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Fields is the table: all fields of a spec but its name and job id, which are not
// part of what is compared and changed.
var Fields = slices.Concat([]Field{
	{Name: "command", JSON: "command", Group: GroupRun, Value: "COMMAND", Must: true, Always: true,
		Help: "run by /bin/sh -c; may span lines",
		in:   func(s *Spec) any { return &s.Command }, check: func(v any) error { return ValidateCommand(v.(string)) }},
	{Name: "dir", JSON: "dir", Group: GroupRun, Value: "DIRECTORY",
		Help: "working directory; without it, that of the daemon when the process was defined",
		in:   func(s *Spec) any { return &s.Dir }, check: func(v any) error { return validateDir(v.(string)) }},
}, environmentFields(), limitFields(), scheduleFields(), []Field{
	{Name: "ready", JSON: "ready_probe", Group: GroupReady, Value: "PROBE",
		Help: "when a run is ready: notify (sd_notify), log:REGEXP (in its log: needs log:true), tcp:HOST:PORT, unix:PATH, http:URL (2xx and 3xx), exec:COMMAND, delay:TIME; without it, when it is spawned",
		in:   func(s *Spec) any { return &s.Ready }, clean: cleanReady},
	{Name: "ready_timeout", JSON: "ready_timeout_seconds", Group: GroupReady, Value: "TIME", Default: "60",
		Help: "a run that is not ready so long after its start has failed",
		in:   func(s *Spec) any { return &s.ReadyTimeout }},
	{Name: "health", JSON: "health_probe", Group: GroupReady, Value: "PROBE", Live: true,
		Help: "whether a run that is ready is well: tcp:HOST:PORT, unix:PATH, http:URL or exec:COMMAND",
		in:   func(s *Spec) any { return &s.Health }, clean: cleanHealth},
	{Name: "health_period", JSON: "health_period_seconds", Group: GroupReady, Value: "TIME", Default: "10", Live: true,
		Help: "time from one health probe to the next",
		in:   func(s *Spec) any { return &s.HealthPeriod }, check: func(v any) error { return longEnough(v.(time.Duration), MinHealthPeriod) }},
	{Name: "health_timeout", JSON: "health_timeout_seconds", Group: GroupReady, Value: "TIME", Default: "1", Live: true,
		Help: "a health probe that takes longer has failed",
		in:   func(s *Spec) any { return &s.HealthTimeout }, check: func(v any) error { return longEnough(v.(time.Duration), MinHealthTimeout) }},
	{Name: "health_failures", JSON: "health_failures", Group: GroupReady, Value: "NUMBER", Default: "3", Live: true,
		Help: "so many health probes that fail, one behind the other, make a run unhealthy",
		in:   func(s *Spec) any { return &s.HealthFailures }, check: func(v any) error { return atMost(v.(int), MaxHealthFailures) }},
	{Name: "health_action", JSON: "health_action", Group: GroupReady, Value: "WHAT", Default: HealthRestart, Choices: []string{HealthRestart, HealthNone}, Live: true,
		Help: "an unhealthy run ends, and what restart says follows (restart), or that is shown (none)",
		in:   func(s *Spec) any { return &s.HealthAction }},
	{Name: "watchdog", JSON: "watchdog_seconds", Group: GroupReady, Value: "TIME",
		Help: "a run that is ready says at least so often, by sd_notify, that it is alive, or is unhealthy",
		in:   func(s *Spec) any { return &s.Watchdog }, check: func(v any) error { return longEnough(v.(time.Duration), MinWatchdog) }},
	{Name: "needs", JSON: "needs", Group: GroupOrder, Value: "NAMES", Live: true,
		Help: "others that are started first, and that it waits for until they are ready; NAME:completed is a job that must have succeeded",
		in:   func(s *Spec) any { return &s.Needs }, clean: cleanNeeds},
	{Name: "after", JSON: "after", Group: GroupOrder, Value: "NAMES", Live: true,
		Help: "others that it comes after where they are started too",
		in:   func(s *Spec) any { return &s.After }, clean: cleanNames},
	{Name: "restart", JSON: "restart", Group: GroupRestart, Value: "WHEN", Default: "no", Choices: []string{string(RestartNo), string(RestartOnFailure), string(RestartAlways)}, Live: true,
		Help: "start it again when a run has ended by itself: no, on-failure, always",
		in:   func(s *Spec) any { return (*string)(&s.Restart) }},
	{Name: "restart_delay", JSON: "restart_delay_seconds", Group: GroupRestart, Value: "TIME", Default: "1", Live: true,
		Help: "before the first restart, doubled with each that follows; less than 1s counts as 1s",
		in:   func(s *Spec) any { return &s.RestartDelay }},
	{Name: "restart_max_delay", JSON: "restart_max_delay_seconds", Group: GroupRestart, Value: "TIME", Default: "60", Live: true,
		Help: "the longest delay; a run that lasts so long has the next delay be the first again",
		in:   func(s *Spec) any { return &s.RestartMaxDelay }},
	{Name: "restart_limit", JSON: "restart_limit", Group: GroupRestart, Value: "NUMBER", Live: true,
		Help: "give up after so many restarts within restart_window or, without that, in a row; 0: never",
		in:   func(s *Spec) any { return &s.RestartLimit }, check: func(v any) error { return atMost(v.(int), MaxRestartLimit) }},
	{Name: "restart_window", JSON: "restart_window_seconds", Group: GroupRestart, Value: "TIME", Live: true,
		Help: "the time in which restart_limit counts; without it, restarts in a row count, until a run lasts restart_max_delay",
		in:   func(s *Spec) any { return &s.RestartWindow }},
	{Name: "success_codes", JSON: "success_codes", Group: GroupRestart, Value: "CODES", Default: "0", Live: true,
		Help: "all exit codes that count as success: 0,143",
		in:   func(s *Spec) any { return &s.SuccessCodes }, clean: cleanCodes},
	{Name: "autostart", JSON: "autostart", Group: GroupRestart, Live: true,
		Help: "start it when the daemon starts, unless it was stopped by request",
		in:   func(s *Spec) any { return &s.Autostart }},
	{Name: "deadline", JSON: "deadline_seconds", Group: GroupStop, Value: "TIME", Live: true,
		Help: "end the tree this long after the start of a run: 30, 1.5, 90s, 10m, 2h, 1d",
		in:   func(s *Spec) any { return &s.Deadline }},
	{Name: "stop_signal", JSON: "stop_signal", Group: GroupStop, Value: "SIGNAL", Default: "TERM", Live: true,
		Help: "asks the tree to end",
		in:   func(s *Spec) any { return &s.StopSignal }},
	{Name: "stop_timeout", JSON: "stop_timeout_seconds", Group: GroupStop, Value: "TIME", Default: "10", Live: true,
		Help: "grace between the stop signal and SIGKILL; 0: SIGKILL at once",
		in:   func(s *Spec) any { return &s.StopTimeout }},
	{Name: "log", JSON: "log_enabled", Group: GroupLog, Always: true,
		Help: "keep the output in a file",
		in:   func(s *Spec) any { return &s.Log }},
	{Name: "log_max_size", JSON: "log_max_size", Group: GroupLog, Value: "SIZE", Default: "10M", Live: true,
		Help: "begin the next log file at this size, 4K or more: bytes, or with K, M, G",
		in:   func(s *Spec) any { return &s.LogMaxSize }, check: func(v any) error { return enoughBytes(v.(int64), MinLogSize) }},
	{Name: "log_max_files", JSON: "log_max_files", Group: GroupLog, Value: "NUMBER", Default: "5", Live: true,
		Help: "log files that are kept",
		in:   func(s *Spec) any { return &s.LogMaxFiles }, check: func(v any) error { return atMost(v.(int), MaxLogFiles) }},
	{Name: "log_max_age", JSON: "log_max_age", Group: GroupLog, Value: "TIME", Live: true,
		Help: "begin the next log file when this one is so old",
		in:   func(s *Spec) any { return &s.LogMaxAge }, check: func(v any) error { return longEnough(v.(time.Duration), MinLogAge) }},
	{Name: "log_max_total", JSON: "log_max_total", Group: GroupLog, Value: "SIZE", Live: true,
		Help: "all log files together, each a quarter at the most; without it, what size and number come to",
		in:   func(s *Spec) any { return &s.LogMaxTotal }, check: func(v any) error { return enoughBytes(v.(int64), MinLogTotal) }},
	{Name: "log_full", JSON: "log_full", Group: GroupLog, Value: "WHAT", Default: "drop", Choices: []string{"drop", "block"}, Live: true,
		Help: "on a full disk: drop (and count) what is written, or block the writers",
		in:   func(s *Spec) any { return &s.LogBlock }},
	{Name: "history", JSON: "history", Group: GroupPast, Value: "NUMBER", Default: strconv.Itoa(DefaultHistory), Live: true,
		Help: fmt.Sprintf("how many ended runs are kept, at most %d; where there are thousands of processes each keeps fewer", MaxHistory),
		in:   func(s *Spec) any { return &s.History }, check: func(v any) error { return atMost(v.(int), MaxHistory) }},
	{Name: "on_failure", JSON: "on_failure", Group: GroupPast, Value: "COMMAND", Live: true,
		Help: "run by /bin/sh -c when a run has failed and no attempt follows by itself: to tell somebody; at most 60s, the facts are in PROCESSMANAGER_* variables",
		in:   func(s *Spec) any { return &s.OnFailure }, check: func(v any) error { return validateOnFailure(v.(string)) }},
})

// FieldNamed finds a field by its name.
func FieldNamed(name string) *Field {
	for i := range Fields {
		if Fields[i].Name == name {
			return &Fields[i]
		}
	}
	return nil
}

// Differences are the fields that a and b do not mean the same by.
func Differences(a, b Spec) (fields []*Field) {
	for i := range Fields {
		if f := &Fields[i]; f.differs(&a, &b) {
			fields = append(fields, f)
		}
	}
	return fields
}
