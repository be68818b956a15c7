package process

import (
	"fmt"
	"strconv"
	"strings"
)

// Signal is a Linux signal number, written by name without SIG ("TERM"); as
// real-time signals have none, those are written as numbers.
type Signal int

// Signals that the program itself names.
const (
	KILL Signal = 9
	TERM Signal = 15
)

// signalNames are those of signal(7), the same on every architecture that Go
// runs Linux on but mips.
var signalNames = [...]string{
	1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
	"STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// SignalNames are the names of all signals that have one, in the order of their numbers.
func SignalNames() []string { return signalNames[1:] }

func (s Signal) valid() bool { return s >= 1 && s <= 64 }

func (s Signal) String() string {
	if s >= 1 && int(s) < len(signalNames) {
		return signalNames[s]
	}
	return strconv.Itoa(int(s))
}

// ParseSignal reads "TERM", "SIGTERM", "term" or "15".
func ParseSignal(text string) (Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && Signal(n).valid() {
		return Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	for n, known := range signalNames {
		if known != "" && known == name {
			return Signal(n), nil
		}
	}
	return 0, fmt.Errorf("%s is not a signal: a name such as TERM or INT, or a number from 1 to 64", Printable(text))
}

func (s Signal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Signal) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSignal(string(b))
	return err
}
