package process

import (
	"fmt"
	"math"
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
	MaxTime    = 100 * 365 * 24 * time.Hour // for deadline and stop_timeout

	// A log file that holds less, or is begun more often, costs more than it keeps.
	MinLogSize  = 4 << 10 // bytes
	MinLogTotal = 4 * MinLogSize
	MinLogAge   = 100 * time.Millisecond
	MaxLogFiles = 10_000
)

// Spec is what was asked for. The zero value of every field but Name and
// Command means the default, and is left out of its JSON.
type Spec struct {
	Name        string         // [A-Za-z0-9_][A-Za-z0-9._@:-]{0,127}
	Command     string         // run by /bin/sh -c, byte for byte
	Dir         string         `json:",omitzero"` // working directory; the daemon's own at registration
	Log         bool           `json:",omitzero"` // keep output in a file
	Deadline    time.Duration  `json:",omitzero"` // from the start of each run; 0: none
	Cron        string         `json:",omitzero"` // five fields, @every or @daily forms; empty: runs at once, once
	JobID       string         `json:",omitzero"` // recorded on the runs it starts
	StopSignal  Signal         `json:",omitzero"` // 0: DefaultStopSignal
	LogMaxSize  int64          `json:",omitzero"` // bytes of a log file before the next is begun; 0: 10 MiB
	LogMaxFiles int            `json:",omitzero"` // log files that are kept; 0: 5
	LogMaxAge   time.Duration  `json:",omitzero"` // of a log file before the next is begun; 0: any
	LogMaxTotal int64          `json:",omitzero"` // bytes that all log files may take, each a quarter at the most; 0: what size and files come to
	LogBlock    bool           `json:",omitzero"` // on a full disk the writers wait; otherwise bytes are dropped and counted
	StopTimeout *time.Duration `json:",omitzero"` // between the stop signal and SIGKILL; nil: DefaultStopTimeout, 0: SIGKILL at once
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

// Validate reports the first thing in s that cannot be, as an [Error] with
// code invalid. It does not look at Cron: that does package schedule.
func (s *Spec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return err
	}
	if err := ValidateCommand(s.Command); err != nil {
		return err
	}
	if err := ValidateJobID(s.JobID); err != nil {
		return err
	}
	if err := validateTime("deadline", s.Deadline); err != nil {
		return err
	}
	if s.StopTimeout != nil {
		if err := validateTime("stop_timeout", *s.StopTimeout); err != nil {
			return err
		}
	}
	if err := validateTime("log_max_age", s.LogMaxAge); err != nil {
		return err
	}
	switch {
	case s.LogMaxSize < 0 || s.LogMaxFiles < 0 || s.LogMaxTotal < 0:
		return Errorf(CodeInvalid, "log_max_size, log_max_files, log_max_total: less than nothing cannot be kept")
	case s.Log && s.LogMaxSize != 0 && s.LogMaxSize < MinLogSize:
		return Errorf(CodeInvalid, "log_max_size: %d bytes are too few for a log file: at least %d (4K); %dM are megabytes", s.LogMaxSize, MinLogSize, s.LogMaxSize)
	case s.Log && s.LogMaxTotal != 0 && s.LogMaxTotal < MinLogTotal:
		return Errorf(CodeInvalid, "log_max_total: %d bytes are too few for log files: at least %d (16K); %dM are megabytes", s.LogMaxTotal, MinLogTotal, s.LogMaxTotal)
	case s.Log && s.LogMaxAge != 0 && s.LogMaxAge < MinLogAge:
		return Errorf(CodeInvalid, "log_max_age: %v is too short for a log file: at least %v", s.LogMaxAge, MinLogAge)
	case s.LogMaxFiles > MaxLogFiles:
		return Errorf(CodeInvalid, "log_max_files: %d are too many: at most %d", s.LogMaxFiles, MaxLogFiles)
	}
	if !s.Log && (s.LogMaxSize != 0 || s.LogMaxFiles != 0 || s.LogMaxAge != 0 || s.LogMaxTotal != 0 || s.LogBlock) {
		return Errorf(CodeInvalid, "log_max_size, log_max_files, log_max_age, log_max_total, log_full: they are of a log in a file: give log:true too")
	}
	if s.StopSignal != 0 && !s.StopSignal.valid() {
		return Errorf(CodeInvalid, "stop_signal: no signal %d: 1 to 64", s.StopSignal)
	}
	return nil
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
		c := name[i]
		word := c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !word && (i == 0 || !strings.ContainsRune(".@:-", rune(c))) {
			r, _ := utf8.DecodeRuneInString(name[i:])
			return bad("%s: %q cannot stand at %d", Printable(name), r, i+1)
		}
	}
	return nil
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

func validateTime(what string, d time.Duration) error {
	if d < 0 || d > MaxTime {
		return Errorf(CodeInvalid, "%s: %v is not between 0 and 100 years", what, d)
	}
	return nil
}

// ParseSeconds reads a number of seconds, fractions allowed ("0.5", "30").
func ParseSeconds(text string) (time.Duration, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) {
		return 0, fmt.Errorf("%s is not a number of seconds", Printable(text))
	}
	if f < 0 || f > MaxTime.Seconds() {
		return 0, fmt.Errorf("%s seconds are not between 0 and 100 years", Printable(text))
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}

// ParseSize reads a number of bytes, with K, M or G for powers of 1024.
func ParseSize(text string) (int64, error) {
	number, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMG", text[n-1]&^0x20); i >= 0 {
			number, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%s is not a size: a number of bytes from 1, with K, M or G behind it", Printable(text))
	}
	return n << shift, nil
}

// Printable is text quoted so that it stands on one line of a terminal.
func Printable(text string) string {
	cut := screen.Cut(text, 64)
	if cut == text {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.TrimSuffix(cut, "…")) + "…"
}
