package verbs

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// exitWords are what exit codes mean to a shell and by sysexits.h.
var exitWords = map[int]string{
	0: "success",
	1: "a failure in general",
	2: "often a wrong option, or a builtin of the shell that failed",

	64: "wrong usage (EX_USAGE)", 65: "wrong input (EX_DATAERR)", 66: "no input file (EX_NOINPUT)", 67: "no such user (EX_NOUSER)",
	68: "no such host (EX_NOHOST)", 69: "a service is not there (EX_UNAVAILABLE)", 70: "a fault of the program (EX_SOFTWARE)",
	71: "a fault of the system (EX_OSERR)", 72: "a file of the system is missing (EX_OSFILE)", 73: "an output file cannot be made (EX_CANTCREAT)",
	74: "input or output failed (EX_IOERR)", 75: "it failed for now, and may be tried again (EX_TEMPFAIL)", 76: "a wrong answer of another program (EX_PROTOCOL)",
	77: "no permission (EX_NOPERM)", 78: "a wrong configuration (EX_CONFIG)",

	125: "often said by a program that runs another one, of itself",
	126: "the shell has found the command and cannot execute it: it is no program, or may not be executed",
	127: "the shell has not found the command: look at its spelling, at PATH and at the directory",
	128: "often a wrong argument of exit",
	255: "often -1: a failure that the program has no code for",
}

// exitInWords is what an exit code means, as far as that can be told.
func exitInWords(code int) string {
	if words := exitWords[code]; words != "" {
		return words
	}
	if s := process.Signal(code - process.ExitSignal); s >= 1 && s <= 64 {
		return fmt.Sprintf("a shell says so of a program that SIG%s has ended (%s)", s, signalInWords(s))
	}
	return "the program's own: its manual says what it means"
}

// signalWords are why a signal is sent, most often.
var signalWords = map[string]string{
	"HUP": "its terminal is gone, or it was to read its configuration and does not know that", "INT": "as Ctrl-C sends it",
	"QUIT": "as Ctrl-\\ sends it", "ILL": "an instruction that this CPU does not have", "TRAP": "a debugger's",
	"ABRT": "it has ended itself: an assertion, or a fault that it has found", "BUS": "memory of a file that is not there any more, or a wrong address",
	"FPE": "a division by zero", "KILL": "nothing can be done about it", "SEGV": "memory that is not its own: a fault of the program",
	"PIPE": "nobody reads any more what it writes", "ALRM": "a timer of its own", "TERM": "a request to end",
	"XCPU": "its limit of CPU time (ulimit -t) is used up", "XFSZ": "a file has reached its limit (ulimit -f)", "SYS": "a system call that it may not use (seccomp)",
}

// isSent reports whether a signal comes from somebody else as a rule, and not from what the
// program itself has done.
func isSent(s process.Signal) bool {
	switch s.String() {
	case "ILL", "TRAP", "ABRT", "BUS", "FPE", "SEGV", "PIPE", "ALRM", "XCPU", "XFSZ", "SYS":
		return false
	}
	return true
}

// times is how often something has happened.
func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// signalInWords is why a signal is sent, most often.
func signalInWords(s process.Signal) string {
	if words := signalWords[s.String()]; words != "" {
		return words
	}
	return "the program's own"
}
