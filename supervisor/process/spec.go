package process

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// What a spec says by default.
const (
	DefaultStopSignal  = TERM
	DefaultStopTimeout = 10 * time.Second
)

// Limits on what a spec may hold.
const (
	MaxName    = 128                        // bytes
	MaxJobID   = 128                        // bytes
	MaxCommand = 128<<10 - 1                // bytes: Linux passes at most 128 KiB with a NUL in one argument (MAX_ARG_STRLEN)
	MaxTime    = 100 * 365 * 24 * time.Hour // for every length of time

	// A log file that holds less, or is begun more often, costs more than it keeps.
	MinLogSize  = 4 << 10 // bytes
	MinLogTotal = 4 * MinLogSize
	MinLogAge   = 100 * time.Millisecond
	MaxLogFiles = 10_000
)

// Spec is what was asked for: the definition of a process. The zero value of every
// field but Name and Command means the default. [Fields] is the table of them.
type Spec struct {
	Name    string // [A-Za-z0-9_][A-Za-z0-9._@:-]{0,127}
	Command string // run by /bin/sh -c, byte for byte
	Dir     string // working directory; empty: the daemon's own when the process is defined
	JobID   string // recorded on the runs that it starts; in JSON it belongs to a run
	Environment
	Limits
	Schedule
	Restarting
	Probing
	Ordering
	Ending
	Logging
	Retention
	Telling
}

// Ending says how a tree is ended.
type Ending struct {
	Deadline    time.Duration  // from the start of each run; 0: none
	StopSignal  Signal         // 0: DefaultStopSignal
	StopTimeout *time.Duration // between the stop signal and SIGKILL; nil: DefaultStopTimeout, 0: SIGKILL at once
}

// Logging says what is kept of the output.
type Logging struct {
	Log         bool          // in a file; otherwise the last lines, in memory
	LogMaxSize  int64         // bytes of a log file before the next is begun; 0: 10 MiB
	LogMaxFiles int           // log files that are kept; 0: 5
	LogMaxAge   time.Duration // of a log file before the next is begun; 0: any
	LogMaxTotal int64         // bytes that all log files may take, each a quarter at the most; 0: what size and files come to
	LogBlock    bool          // on a full disk the writers wait; otherwise bytes are dropped and counted
}

// EndSignal is the signal that asks the tree to end.
func (s *Spec) EndSignal() Signal {
	if s.StopSignal == 0 {
		return DefaultStopSignal
	}
	return s.StopSignal
}

// Grace is the time the tree has between the stop signal and SIGKILL.
func (s *Spec) Grace() time.Duration {
	if s.StopTimeout == nil {
		return DefaultStopTimeout
	}
	return *s.StopTimeout
}

// Validate reports the first thing in s that cannot be, as an [Error] with code
// invalid. What a schedule means is for the daemon to say, which has the zones.
func (s *Spec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return err
	}
	if err := ValidateJobID(s.JobID); err != nil {
		return err
	}
	for i := range Fields {
		if err := Fields[i].validate(s); err != nil {
			return named(Fields[i].Name, err)
		}
	}
	if s.Name != "" && slices.Contains(s.Before(), s.Name) {
		field := "after"
		if slices.ContainsFunc(s.AllNeeds(), func(n Need) bool { return n.Name == s.Name }) {
			field = "needs"
		}
		return Errorf(CodeInvalid, "%s: %s cannot come before itself", field, s.Name)
	}
	if err := s.without("restart_limit", "restart_window"); err != nil {
		return err
	}
	for _, err := range []error{s.Restarting.validate(), s.Overlapping.validate()} {
		if err != nil {
			return err
		}
	}
	if err := s.Limits.validate(); err != nil {
		return err
	}
	if err := s.validateProbing(); err != nil {
		return err
	}
	if s.Log {
		return nil
	}
	for i := range Fields {
		if f := &Fields[i]; f.Group == GroupLog && f.text(s) != "" {
			return Errorf(CodeInvalid, "%s: it is of a log in a file: give log:true too, or %[1]s:'' to be without it", f.Name)
		}
	}
	return nil
}

// without reports the first of fields that is given without the one that it is about.
func (s *Spec) without(about string, fields ...string) error {
	if FieldNamed(about).text(s) != "" {
		return nil
	}
	for _, name := range fields {
		if FieldNamed(name).text(s) != "" {
			return Errorf(CodeInvalid, "%s: there is no %s that it could be of: give that too, or %[1]s:'' to be without it", name, about)
		}
	}
	return nil
}

// named is err as an [Error] about a field, which err may name already.
func named(field string, err error) error {
	return Errorf(CodeInvalid, "%s: %s", field, strings.TrimPrefix(err.Error(), field+": "))
}

// ValidateName reports why name cannot be the name of a process.
func ValidateName(name string) error {
	bad := func(format string, args ...any) error {
		return Errorf(CodeInvalid, "name: %s: a name is 1 to %d of A-Z a-z 0-9 . _ @ : -, the first a letter, digit or _",
			fmt.Sprintf(format, args...), MaxName)
	}
	if name == "" {
		return bad("is empty")
	}
	if len(name) > MaxName {
		return bad("%s has %d bytes", Printable(name), len(name))
	}
	for i := 0; i < len(name); i++ {
		if c := rune(name[i]); !isNameRune(c) || i == 0 && strings.ContainsRune(".@:-", c) {
			r, size := utf8.DecodeRuneInString(name[i:])
			if r == utf8.RuneError && size == 1 {
				return bad("%s: byte %#02x cannot stand at %d", Printable(name), name[i], i+1)
			}
			return bad("%s: %q cannot stand at %d", Printable(name), r, i+1)
		}
	}
	return nil
}

// isNameRune reports whether r may stand in a name, behind the first character.
func isNameRune(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || strings.ContainsRune(".@:-", r)
}

// ValidateCommand reports why command cannot be run.
func ValidateCommand(command string) error {
	switch {
	case strings.TrimSpace(command) == "":
		return Errorf(CodeInvalid, "command: is empty")
	case len(command) > MaxCommand:
		return Errorf(CodeInvalid, "command: has %d bytes, the kernel passes at most %d in one argument: put it in a file and run that", len(command), MaxCommand)
	case strings.IndexByte(command, 0) >= 0:
		return Errorf(CodeInvalid, "command: holds a NUL byte at %d", strings.IndexByte(command, 0)+1)
	case !utf8.ValidString(command):
		return Errorf(CodeInvalid, "command: is not UTF-8: put it in a file and run that")
	}
	return nil
}

// ValidateJobID reports why id cannot be a job id; empty is none.
func ValidateJobID(id string) error {
	if len(id) > MaxJobID {
		return Errorf(CodeInvalid, "jobid: has %d bytes, at most %d", len(id), MaxJobID)
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("._:-", c) >= 0) {
			return Errorf(CodeInvalid, "jobid: %s: a job id is of A-Z a-z 0-9 . _ : -", Printable(id))
		}
	}
	return nil
}

// Printable is text quoted so that it stands on one line of a terminal.
func Printable(text string) string {
	cut := screen.Cut(text, 64)
	if cut == text {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.TrimSuffix(cut, "…")) + "…"
}
