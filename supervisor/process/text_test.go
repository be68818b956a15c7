package process

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestSignals(t *testing.T) {
	for text, want := range map[string]Signal{
		"TERM": 15, "SIGTERM": 15, "term": 15, "sigterm": 15, "15": 15, "HUP": 1, "1": 1, "KILL": 9, "SYS": 31, "64": 64, "34": 34,
	} {
		if got, err := ParseSignal(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "65", "SIG", "SIGSIGTERM", "TERMINATE", "1.5", "99999999999999999999", " TERM"} {
		if got, err := ParseSignal(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	for s := Signal(1); s <= 64; s++ {
		if got, err := ParseSignal(s.String()); err != nil || got != s {
			t.Errorf("%d is written as %s and read as %v, %v", s, s, got, err)
		}
	}
}

// TestEnumsReadWhatTheyWrite walks all values of each, and one behind the last.
func TestEnumsReadWhatTheyWrite(t *testing.T) {
	check := func(name string, value, into any) {
		t.Helper()
		text, err := value.(encoding.TextMarshaler).MarshalText()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if err := into.(encoding.TextUnmarshaler).UnmarshalText(text); err != nil {
			t.Errorf("%s %s: %v", name, text, err)
		}
		if got := reflect.ValueOf(into).Elem().Interface(); got != value {
			t.Errorf("%s: wrote %v, read %v", name, value, got)
		}
		if len(text) > 0 && string(text) != fmt.Sprint(value) {
			t.Errorf("%s: text %s, string %v", name, text, value)
		}
	}
	for v := State(0); v <= Failed; v++ {
		check("state", v, new(State))
	}
	for v := Cause(0); v <= CauseReplaced; v++ {
		check("cause", v, new(Cause))
	}
	for v := Source(0); v <= SourceProc; v++ {
		check("source", v, new(Source))
	}
	for v := Level(0); v <= LevelProblem; v++ {
		check("level", v, new(Level))
	}
	for v := Hierarchy(0); v <= HierarchyPrivate; v++ {
		check("hierarchy", v, new(Hierarchy))
	}
	for _, v := range []encoding.TextMarshaler{LevelProblem + 1, HierarchyPrivate + 1, Failed + 1, CauseReplaced + 1, SourceProc + 1, State(255)} {
		if text, err := v.MarshalText(); err == nil {
			t.Errorf("%v is written as %q, want an error", v, text)
		}
	}
	for _, v := range []encoding.TextUnmarshaler{new(State), new(Cause), new(Source), new(Signal), new(Level), new(Hierarchy)} {
		if err := v.UnmarshalText([]byte("Nonsense")); err == nil {
			t.Errorf("%T takes nonsense", v)
		}
	}
	if got := (Failed + 1).String(); got != "state(11)" {
		t.Errorf("got %s", got)
	}
}

func TestOnlyTheLastThreeStatesAreAtRest(t *testing.T) {
	want := map[State]bool{Stopped: true, Completed: true, Failed: true}
	for s := Scheduled; s <= Failed; s++ {
		if s.AtRest() != want[s] {
			t.Errorf("%v: %v", s, s.AtRest())
		}
	}
}

func TestErrorsMatchByCode(t *testing.T) {
	all := []*Error{ErrInvalid, ErrSyntax, ErrNotFound, ErrExists, ErrStart, ErrStuck, ErrSuperseded, ErrShuttingDown, ErrTooLong, ErrStore, ErrInternal}
	for i, a := range all {
		for j, b := range all {
			wrapped := fmt.Errorf("doing it: %w", Errorf(a.Code, "for %s", "reasons"))
			if errors.Is(wrapped, b) != (i == j) {
				t.Errorf("%s and %s: %v", a.Code, b.Code, i != j)
			}
		}
	}
	if errors.Is(ErrInvalid, errors.New("invalid")) || errors.Is(errors.New("invalid"), ErrInvalid) {
		t.Error("an Error matches one of another type")
	}
}

func TestMemoryInMiBIsRoundedToThousandths(t *testing.T) {
	var u Usage
	u.SetMemory(1<<20+1<<19+1, SourceProc)
	if *u.Memory != 1572865 || *u.MemoryMB != 1.5 || u.MemorySource != SourceProc {
		t.Errorf("got %d, %v, %v", *u.Memory, *u.MemoryMB, u.MemorySource)
	}
}

func TestPrintableIsCutBetweenCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"a": `"a"`, "": `""`, "a\n\x1b\u202e\u2028\x7f\xff": `"a\n\x1b\u202e\u2028\x7f\xff"`,
		strings.Repeat("é", 64):    `"` + strings.Repeat("é", 64) + `"`,
		strings.Repeat("é", 65):    `"` + strings.Repeat("é", 63) + `"…`,
		strings.Repeat("漢", 33):    `"` + strings.Repeat("漢", 31) + `"…`,
		strings.Repeat("x", 1<<20): `"` + strings.Repeat("x", 63) + `"…`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%.40q: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{strings.Repeat("n", 200), "日本語" + strings.Repeat("x", 1<<20)} {
		if err := ValidateName(text); err == nil || len(err.Error()) > 400 {
			t.Errorf("a long name is refused with %v", err)
		}
	}
	if _, err := CompileGrep("(" + strings.Repeat("\x1b", 1<<20)); !errors.Is(err, ErrInvalid) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a pattern is refused with %.200q", err)
	}
}

func TestParseBool(t *testing.T) {
	for value, want := range map[string]bool{
		"true": true, "yes": true, "y": true, "1": true, "on": true, "TRUE": true, "On": true,
		"false": false, "no": false, "n": false, "0": false, "off": false, "No": false,
	} {
		if got, err := ParseBool(value); err != nil || got != want {
			t.Errorf("ParseBool(%q) = %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", " ", "2", "maybe", "true "} {
		if _, err := ParseBool(value); err == nil {
			t.Errorf("ParseBool(%q) took it", value)
		}
	}
}
