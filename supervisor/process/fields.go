package process

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is one field of a [Spec]: a row of the one table that says what it is called,
// what it takes and what it means. Parameters of verbs, validation, JSON, the rows of
// status and the help are read from it.
type Field struct {
	Name    string   // of the parameter, and in messages
	JSON    string   // in JSON; with the unit
	Group   Group    // what it belongs to
	Value   string   // what the value is, for the help: "SIZE"; empty for a flag
	Default string   // what holds without it, as text; empty: nothing
	Choices []string // the only values of a text; or of a bool that is no flag: for false, for true
	Live    bool     // a change acts on a tree that runs
	Always  bool     // JSON has it in any case
	Lines   bool     // a text of lines, which may be given one by one
	Help    string   // one line

	in    func(*Spec) any                   // points to the field
	clean func(text string) (string, error) // of a text: as it is kept; nil: as it was given
	check func(value any) error
	least int // of a number that may be negative

	hidden bool // lines NAME=VALUE of which the names alone are shown
}

// Group says what a field belongs to.
type Group string

// The groups, in the order in which they are shown.
const (
	GroupRun      Group = "run"
	GroupSchedule Group = "schedule"
	GroupRestart  Group = "restart"
	GroupReady    Group = "ready"
	GroupOrder    Group = "order"
	GroupStop     Group = "stop"
	GroupLog      Group = "log"
)

// Fields is the table: all fields of a spec but its name and job id, which are not
// part of what is compared and changed.
var Fields = slices.Concat([]Field{
	{Name: "command", JSON: "command", Group: GroupRun, Value: "COMMAND", Always: true,
		Help: "run by /bin/sh -c; may span lines",
		in:   func(s *Spec) any { return &s.Command }, check: func(v any) error { return ValidateCommand(v.(string)) }},
	{Name: "dir", JSON: "dir", Group: GroupRun, Value: "DIRECTORY",
		Help: "working directory; without it, that of the daemon when the process was defined",
		in:   func(s *Spec) any { return &s.Dir }, check: func(v any) error { return validateDir(v.(string)) }},
}, environmentFields(), []Field{
	{Name: "cron", JSON: "cron", Group: GroupSchedule, Value: "SCHEDULE", Live: true,
		Help: "run at these times: five fields, @every 10s, @daily …",
		in:   func(s *Spec) any { return &s.Cron }}, // package schedule says what it may be
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

// IsFlag reports whether the field stands for true when it has no value.
func (f *Field) IsFlag() bool { return f.Value == "" }

// Set reads text into the field of s. Empty text is the default. The error does not
// name the field.
func (f *Field) Set(s *Spec, text string) (err error) {
	at := f.in(s)
	if text == "" && f.Name != "command" { // which has no default
		f.reset(at)
		return nil
	}
	switch v := at.(type) {
	case *string:
		if *v = text; f.clean != nil {
			*v, err = f.clean(text)
		}
	case *bool:
		*v, err = f.parseBool(text)
	case *time.Duration:
		*v, err = ParseDuration(text)
	case **time.Duration:
		d, parseErr := ParseDuration(text)
		*v, err = &d, parseErr
	case *int64:
		*v, err = ParseSize(text)
	case *int:
		*v, err = parseCount(text, f.least)
	case *Signal:
		*v, err = ParseSignal(text)
	default:
		panic(fmt.Sprintf("field %s: no way to read a %T", f.Name, at))
	}
	if err == nil {
		err = f.validate(s)
	}
	return err
}

func (f *Field) reset(at any) {
	switch v := at.(type) {
	case *string:
		*v = ""
	case *bool:
		*v = false
	case *time.Duration:
		*v = 0
	case **time.Duration:
		*v = nil
	case *int64:
		*v = 0
	case *int:
		*v = 0
	case *Signal:
		*v = 0
	}
}

// Text is what Set reads back; empty for the default.
func (f *Field) Text(s Spec) string { return f.text(&s) }

// text is Text without a copy, which costs more than the rest where all fields are read.
func (f *Field) text(s *Spec) string {
	switch v := f.in(s).(type) {
	case *string:
		return *v
	case *bool:
		switch {
		case *v && f.Choices != nil:
			return f.Choices[1]
		case *v:
			return "true"
		}
	case *time.Duration:
		if *v != 0 {
			return FormatDuration(*v)
		}
	case **time.Duration:
		if *v != nil {
			return FormatDuration(**v)
		}
	case *int64:
		if *v != 0 {
			return strconv.FormatInt(*v, 10)
		}
	case *int:
		if *v != 0 {
			return strconv.Itoa(*v)
		}
	case *Signal:
		if *v != 0 {
			return v.String()
		}
	}
	return ""
}

// Shown is the field as it may be shown to anybody: of variables, the names alone.
func (f *Field) Shown(s Spec) string {
	if f.hidden {
		return strings.Join(variables(f.text(&s)), ", ")
	}
	return f.text(&s)
}

// hide leaves of the field of s what may be shown.
func (f *Field) hide(s *Spec) {
	if v, ok := f.in(s).(*string); ok && f.hidden {
		*v = strings.Join(variables(*v), "\n")
	}
}

// Differs reports whether two specs mean something else by the field. What is given as
// the default means the same as what is not given.
func (f *Field) Differs(a, b Spec) bool { return f.differs(&a, &b) }

func (f *Field) differs(a, b *Spec) bool {
	return f.text(a) != f.text(b) && f.effective(a) != f.effective(b)
}

func (f *Field) effective(s *Spec) string {
	if text := f.text(s); text != "" {
		return text
	}
	var held Spec
	if f.Default != "" && f.Set(&held, f.Default) == nil {
		return f.text(&held)
	}
	return ""
}

// validate reports what the field of s may not be.
func (f *Field) validate(s *Spec) error {
	switch v := f.in(s).(type) {
	case *time.Duration:
		if *v < 0 || *v > MaxTime {
			return fmt.Errorf("%v is not between 0 and 100 years", *v)
		}
	case **time.Duration:
		if *v != nil && (**v < 0 || **v > MaxTime) {
			return fmt.Errorf("%v is not between 0 and 100 years", **v)
		}
	case *Signal:
		if *v != 0 && !v.valid() {
			return fmt.Errorf("no signal %d: 1 to 64", *v)
		}
	case *string:
		if *v != "" && f.Choices != nil && !slices.Contains(f.Choices, *v) {
			return f.notAChoice(*v)
		}
		if f.clean != nil && *v != "" {
			if _, err := f.clean(*v); err != nil {
				return err
			}
		}
	}
	if f.check == nil || f.text(s) == "" && f.Name != "command" {
		return nil
	}
	switch v := f.in(s).(type) {
	case *string:
		return f.check(*v)
	case *int64:
		return f.check(*v)
	case *int:
		return f.check(*v)
	case *time.Duration:
		return f.check(*v)
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

func (f *Field) parseBool(text string) (bool, error) {
	if f.Choices == nil {
		return ParseBool(text)
	}
	i := slices.Index(f.Choices, text)
	if i < 0 {
		return false, f.notAChoice(text)
	}
	return i == 1, nil
}

func (f *Field) notAChoice(text string) error {
	return fmt.Errorf("%s is neither %s", Printable(text), strings.Join(f.Choices, " nor "))
}

// ParseBool reads what stands for true or false.
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "y", "1", "on":
		return true, nil
	case "false", "no", "n", "0", "off":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false (or yes/no, y/n, 1/0, on/off)", Printable(text))
}

func parseCount(text string, least int) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case err == nil && least <= n && n <= math.MaxInt32:
		return n, nil
	case least < 0:
		return 0, fmt.Errorf("%s is not a number: %d or more", Printable(text), least)
	}
	return 0, fmt.Errorf("%s is not a number: 1 or more", Printable(text))
}

func enoughBytes(n, least int64) error {
	if n < least {
		return fmt.Errorf("%d bytes are too few: at least %d (%dK); %dM are megabytes", n, least, least>>10, n)
	}
	return nil
}

func longEnough(d, least time.Duration) error {
	if d < least {
		return fmt.Errorf("%v is too short: at least %v", d, least)
	}
	return nil
}

func atMost(n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("%d are too many: at most %d", n, most)
	}
	return nil
}

func validateDir(dir string) error {
	switch {
	case !strings.HasPrefix(dir, "/"):
		return fmt.Errorf("%s does not begin with /", Printable(dir))
	case len(dir) > 4095 || strings.IndexByte(dir, 0) >= 0:
		return fmt.Errorf("%s is not a path: at most 4095 bytes, none of them NUL", Printable(dir))
	}
	return nil
}
