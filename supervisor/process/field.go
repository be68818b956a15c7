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
	Must    bool     // there is no default: it is given
	Live    bool     // a change acts on a tree that runs
	Always  bool     // JSON has it in any case
	Lines   bool     // a text of lines, which may be given one by one
	Help    string   // one line

	in    func(*Spec) any                   // points to the field
	clean func(text string) (string, error) // of a text: as it is kept; nil: as it was given
	check func(value any) error
	least int // of a number that may be negative

	noZero bool // 0 is not taken for the default: somebody may mean nothing at all by it

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
	GroupLimit    Group = "limit"
	GroupLog      Group = "log"
	GroupPast     Group = "past"
)

// IsFlag reports whether the field stands for true when it has no value.
func (f *Field) IsFlag() bool { return f.Value == "" }

// Set reads text into the field of s. Empty text is the default. The error does not
// name the field.
func (f *Field) Set(s *Spec, text string) (err error) {
	at := f.in(s)
	if text == "" && !f.Must {
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
	case **int64:
		n, parseErr := ParseSize(text)
		*v, err = &n, parseErr
	case *CPUQuota:
		*v, err = ParseCPUQuota(text)
	case *int:
		*v, err = parseCount(text, f.least)
	case *Signal:
		*v, err = ParseSignal(text)
	default:
		panic(fmt.Sprintf("field %s: no way to read a %T", f.Name, at))
	}
	if err == nil && f.noZero && f.text(s) == "" {
		err = fmt.Errorf("0 would let it do nothing; without the limit it is %s:''", f.Name)
		if f.Default != "" {
			err = fmt.Errorf("0 is too little: at least 1; %s:'' is the default, %s", f.Name, f.Default)
		}
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
	case **int64:
		*v = nil
	case *CPUQuota:
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
	case **int64:
		if *v != nil {
			return strconv.FormatInt(**v, 10)
		}
	case *CPUQuota:
		if *v != 0 {
			return v.String()
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
	case **int64:
		if *v != nil && **v < 0 {
			return fmt.Errorf("%d bytes are less than none", **v)
		}
	case *CPUQuota:
		if *v != 0 && (*v < MinCPUQuota || *v > MaxCPUQuota) {
			return fmt.Errorf("%v is not between 1%% and 10000 cores", *v)
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
	if f.check == nil || f.text(s) == "" && !f.Must {
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
	if len(f.Choices) == 2 {
		return fmt.Errorf("%s is neither %s nor %s", Printable(text), f.Choices[0], f.Choices[1])
	}
	return fmt.Errorf("%s is not one of %s", Printable(text), strings.Join(f.Choices, ", "))
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
	if err == nil && least <= n && n <= math.MaxInt32 {
		return n, nil
	}
	if least >= 0 { // 0 is the default
		least = 1
	}
	return 0, fmt.Errorf("%s is not a whole number: %d or more, at most %d", Printable(text), least, math.MaxInt32)
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
