package process

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Environment says what a run gets beside its command.
type Environment struct {
	Env             string // lines NAME=VALUE, in the order of the names
	EnvFile         string // a file of such lines, as systemd reads them; "-" before it: it may be missing
	User            string // a name or a number; empty: the daemon's
	Group           string // a name or a number; empty: the user's own
	Umask           string // octal, four digits; empty: 0022
	Nice            int
	OOMScoreAdj     int
	NoNewPrivileges bool
	Rlimits         Rlimits
	Stdin           string // "file:" and a path; empty or "null": /dev/null
}

// Limits on what an environment may hold.
const (
	MaxEnv     = 128 << 10 // bytes
	MaxAccount = 256       // bytes of the name of a user or a group
)

// Rlimits are the limits of setrlimit, in the order of [Resources], as text: one number,
// or soft:hard; empty: that of the daemon.
type Rlimits [16]string

// Resource is what a limit of setrlimit is of.
type Resource struct {
	Name string // as the field has it behind "rlimit_"
	unit unit
	help string
}

// unit is what a limit is counted in.
type unit string

const (
	unitCount   unit = "number"
	unitBytes   unit = "bytes"
	unitSeconds unit = "seconds"      // setrlimit takes whole ones
	unitMicros  unit = "microseconds" // setrlimit takes these
	unitNice    unit = "nice"         // 20 - the nice value that may be reached
	unitRT      unit = "priority"
)

// Resources are all limits of Linux.
var Resources = [len(Rlimits{})]Resource{
	{"as", unitBytes, "address space of a process"},
	{"core", unitBytes, "size of a core file"},
	{"cpu", unitSeconds, "CPU time of a process"},
	{"data", unitBytes, "data segment of a process"},
	{"fsize", unitBytes, "size of a file that it writes"},
	{"locks", unitCount, "file locks"},
	{"memlock", unitBytes, "locked memory"},
	{"msgqueue", unitBytes, "message queues of the user"},
	{"nice", unitNice, "20 less the nice value that may be reached, 0 to 40"},
	{"nofile", unitCount, "open files of a process"},
	{"nproc", unitCount, "processes of the user"},
	{"rss", unitBytes, "resident memory (Linux takes no notice)"},
	{"rtprio", unitRT, "realtime priority, 0 to 99"},
	{"rttime", unitMicros, "CPU time of a realtime process between two waits"},
	{"sigpending", unitCount, "signals that wait, of the user"},
	{"stack", unitBytes, "stack of a process"},
}

// Unlimited is no limit.
const Unlimited = math.MaxUint64

// Rlimit is a limit as setrlimit takes it: in bytes, seconds, microseconds (rttime) or a
// number.
type Rlimit struct {
	Resource   string
	Soft, Hard uint64
}

// ResourceLimits are those of setrlimit that are set. The spec must be valid.
func (e *Environment) ResourceLimits() (all []Rlimit) {
	for i, text := range e.Rlimits {
		if text == "" {
			continue
		}
		r := &Resources[i]
		if soft, hard, err := r.parse(text); err == nil {
			all = append(all, Rlimit{r.Name, soft, hard})
		}
	}
	return all
}

// Input is the file that stdin is read from; empty: /dev/null.
func (e *Environment) Input() string {
	path, _ := strings.CutPrefix(e.Stdin, stdinFile)
	if path == stdinNull {
		return ""
	}
	return path
}

// Mask is the umask; nil: the usual one.
func (e *Environment) Mask() *int {
	if n, err := strconv.ParseUint(e.Umask, 8, 9); err == nil && e.Umask != "" && e.Umask != defaultUmask {
		return new(int(n))
	}
	return nil
}

const (
	defaultUmask = "0022"
	stdinNull    = "null"
	stdinFile    = "file:"
)

// environmentFields are the rows of the table that belong to an Environment.
func environmentFields() []Field {
	fields := []Field{
		{Name: "env", JSON: "env", Group: GroupRun, Value: "NAME=VALUE", hidden: true, Lines: true,
			Help: "environment: lines NAME=VALUE; of these, only the names are shown",
			in:   func(s *Spec) any { return &s.Env }, clean: cleanEnv},
		{Name: "env_file", JSON: "env_file", Group: GroupRun, Value: "PATH",
			Help: "a file of such lines, in the syntax of systemd, read at each start; env wins over it; with - before the path it may be missing",
			in:   func(s *Spec) any { return &s.EnvFile }, check: func(v any) error { return validateDir(strings.TrimPrefix(v.(string), "-")) }},
		{Name: "user", JSON: "user", Group: GroupRun, Value: "USER",
			Help: "run as this user, a name or a number, with HOME, USER, LOGNAME, SHELL and groups of that user",
			in:   func(s *Spec) any { return &s.User }, check: func(v any) error { return validateAccount(v.(string)) }},
		{Name: "group", JSON: "group", Group: GroupRun, Value: "GROUP",
			Help: "run in this group, a name or a number, and not in the user's own",
			in:   func(s *Spec) any { return &s.Group }, check: func(v any) error { return validateAccount(v.(string)) }},
		{Name: "umask", JSON: "umask", Group: GroupRun, Value: "OCTAL", Default: defaultUmask,
			Help: "permissions that new files do not get",
			in:   func(s *Spec) any { return &s.Umask }, clean: cleanUmask},
		{Name: "nice", JSON: "nice", Group: GroupRun, Value: "NUMBER", Default: "0", least: -20,
			Help: "-20 (urgent) to 19 (not)",
			in:   func(s *Spec) any { return &s.Nice }, check: func(v any) error { return within(v.(int), -20, 19) }},
		{Name: "oom_score_adj", JSON: "oom_score_adj", Group: GroupRun, Value: "NUMBER", Default: "0", least: -1000,
			Help: "-1000 (never ended for lack of memory) to 1000 (first of all)",
			in:   func(s *Spec) any { return &s.OOMScoreAdj }, check: func(v any) error { return within(v.(int), -1000, 1000) }},
		{Name: "no_new_privileges", JSON: "no_new_privileges", Group: GroupRun,
			Help: "no program that it executes gets privileges by it (set-user-ID)",
			in:   func(s *Spec) any { return &s.NoNewPrivileges }},
		{Name: "stdin", JSON: "stdin", Group: GroupRun, Value: "FROM", Default: stdinNull,
			Help: "null, or file:PATH, opened as the user",
			in:   func(s *Spec) any { return &s.Stdin }, check: func(v any) error { return validateStdin(v.(string)) }},
	}
	for i := range Resources {
		r := &Resources[i]
		fields = append(fields, Field{Name: "rlimit_" + r.Name, JSON: "rlimit_" + r.Name, Group: GroupRun, Value: "SOFT:HARD",
			Help: r.help + ": one value for both, or unlimited",
			in:   func(s *Spec) any { return &s.Rlimits[i] }, clean: r.clean})
	}
	return fields
}

// clean is a limit as it is kept.
func (r *Resource) clean(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	soft, hard, err := r.parse(text)
	switch {
	case err != nil:
		return text, err
	case soft > hard:
		return text, fmt.Errorf("%s: the soft limit is above the hard one", Printable(text))
	case soft == hard:
		return r.text(soft), nil
	}
	return r.text(soft) + ":" + r.text(hard), nil
}

// parse reads one value, or soft:hard.
func (r *Resource) parse(text string) (soft, hard uint64, err error) {
	low, high, two := strings.Cut(text, ":")
	if soft, err = r.value(low); err == nil {
		hard = soft
		if two {
			hard, err = r.value(high)
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s is not a limit: SOFT:HARD, one value for both, or unlimited; a value is %s", Printable(text), r.Takes())
	}
	return soft, hard, nil
}

var errLimit = errors.New("not a limit")

// value reads one side of a limit, in the unit of setrlimit.
func (r *Resource) value(text string) (uint64, error) {
	switch text {
	case "unlimited", "infinity":
		return Unlimited, nil
	}
	switch r.unit {
	case unitBytes:
		n, err := ParseSize(text)
		return uint64(n), err
	case unitSeconds, unitMicros:
		d, err := ParseDuration(text)
		step := time.Second
		if r.unit == unitMicros {
			step = time.Microsecond
		}
		if err == nil && d%step != 0 {
			err = errLimit
		}
		return uint64(d / step), err
	}
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, errLimit
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if r.unit == unitNice && n > 40 || r.unit == unitRT && n > 99 {
		err = errLimit
	}
	return n, err
}

// text is what value reads back.
func (r *Resource) text(n uint64) string {
	switch {
	case n == Unlimited:
		return "unlimited"
	case r.unit == unitMicros:
		return FormatDuration(time.Duration(n) * time.Microsecond)
	}
	return strconv.FormatUint(n, 10)
}

// Takes is what one side of the limit may be, in its unit.
func (r *Resource) Takes() string {
	switch r.unit {
	case unitBytes:
		return "a number of bytes, or one with K, M, G or T"
	case unitSeconds:
		return "a time of whole seconds, such as 30, 10m or 2h"
	case unitMicros:
		return "a time of whole microseconds, such as 0.5, 200ms or 10s"
	case unitNice:
		return "a number from 0 to 40"
	case unitRT:
		return "a number from 0 to 99"
	}
	return "a number"
}

// The variables that tell a run which it is. The daemon sets them.
const (
	VariableName  = "PROCESSMANAGER_NAME"
	VariableRun   = "PROCESSMANAGER_RUN"
	VariableJobID = "PROCESSMANAGER_JOBID"
)

// cleanEnv is an environment as it is kept: without empty lines and without blanks before
// a name, in the order of the names. What a variable holds is told by no error, and
// neither is a line that has no name: it may be a part of a secret.
func cleanEnv(text string) (string, error) {
	if len(text) > MaxEnv {
		return text, fmt.Errorf("has %d bytes, at most %d: put them in a file and give env_file", len(text), MaxEnv)
	}
	var lines []string
	seen := map[string]bool{}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if line = strings.TrimLeft(line, " \t"); line == "" || line == "\r" {
			continue
		}
		name, _, found := strings.Cut(line, "=")
		switch {
		case !found:
			return text, fmt.Errorf("line %d has no '=': lines NAME=VALUE are expected", number)
		case !IsVariable(name):
			return text, fmt.Errorf("line %d does not begin with a name: letters, digits and _, the first no digit, and then '='", number)
		case name == VariableName || name == VariableRun || name == VariableJobID:
			return text, fmt.Errorf("%s is set by the daemon", name)
		case seen[name]:
			return text, fmt.Errorf("%s is given twice", Printable(name))
		case strings.IndexByte(line, 0) >= 0, !utf8.ValidString(line):
			return text, fmt.Errorf("%s holds what is not UTF-8 without NUL", Printable(name))
		}
		seen[name] = true
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(variable(a), variable(b)) })
	return strings.Join(lines, "\n"), nil
}

// variable is the name in a line NAME=VALUE.
func variable(line string) string {
	name, _, _ := strings.Cut(line, "=")
	return name
}

// variables are the names in lines NAME=VALUE, or of names alone.
func variables(text string) []string {
	names := []string{}
	for line := range strings.SplitSeq(text, "\n") {
		if name := variable(line); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// IsVariable reports whether name can be that of an environment variable.
func IsVariable(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return name != ""
}

func cleanUmask(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(text, 8, 9)
	if err != nil || len(text) > 4 {
		return text, fmt.Errorf("%s is not an octal number from 000 to 777", Printable(text))
	}
	return fmt.Sprintf("%04o", n), nil
}

func validateStdin(text string) error {
	if text == stdinNull {
		return nil
	}
	path, isFile := strings.CutPrefix(text, stdinFile)
	if !isFile {
		return fmt.Errorf("%s is neither null nor file:PATH", Printable(text))
	}
	return validateDir(path)
}

// validateAccount reports why text can be neither a name nor a number of a user or group.
func validateAccount(text string) error {
	if strings.Trim(text, "0123456789") == "" {
		if n, err := strconv.ParseUint(text, 10, 32); err != nil || n == math.MaxUint32 {
			return fmt.Errorf("%s is not a number from 0 to %d", Printable(text), uint32(math.MaxUint32-1))
		}
		return nil
	}
	bad := func(r rune) bool {
		return r == ':' || r == ',' || r == '/' || r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}
	if len(text) > MaxAccount || strings.ContainsFunc(text, bad) || strings.ContainsAny(text[:1], "-+~") {
		return fmt.Errorf("%s is neither a name nor a number", Printable(text))
	}
	return nil
}

func within(n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%d is not between %d and %d", n, least, most)
	}
	return nil
}
