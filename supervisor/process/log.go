package process

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"time"
)

// Limits on what may be looked for in a log.
const (
	MaxGrep      = 1 << 10 // bytes of an expression
	maxGrepSteps = 2000    // of an expression when its repetitions are written out
)

// LogQuery says which of a process's output to give. The zero value is all that is
// kept.
type LogQuery struct {
	Lines  int       // this many of the last lines at most; 0: all
	Since  time.Time // from this time on; zero: no bound
	Until  time.Time // before this time; zero: no bound
	Run    uint64    // of one run only; 0: of all
	Grep   string    // only lines that match this regular expression (RE2)
	Times  bool      // the time before each line, in UTC
	Follow bool      // go on with what is written from now on
	From   int64     // begin at this offset, as an earlier answer gave it
}

// Validate reports what in q excludes each other, as an [Error] with code invalid.
func (q LogQuery) Validate() error {
	switch bounded := !q.Until.IsZero(); {
	case bounded && q.Follow:
		return Errorf(CodeInvalid, "until and follow exclude each other")
	case bounded && !q.Since.Before(q.Until) && !q.Since.IsZero():
		return Errorf(CodeInvalid, "since is not before until, so there is nothing between them: %s and %s",
			q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	return nil
}

// CompileGrep reads a Grep, unless it would cost too much: a{1000} is short and has a
// thousand steps. The error is for people, and an [Error] with code invalid.
func CompileGrep(expr string) (*regexp.Regexp, error) {
	if len(expr) > MaxGrep {
		return nil, Errorf(CodeInvalid, "grep: has %d bytes, at most %d", len(expr), MaxGrep)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if fault := new(syntax.Error); errors.As(err, &fault) {
		return nil, Errorf(CodeInvalid, "grep: %s is not a regular expression: %s: %s", Printable(expr), fault.Code, Printable(fault.Expr))
	}
	if steps(parsed) > maxGrepSteps {
		return nil, Errorf(CodeInvalid, "grep: %s repeats too much: at most %d steps when written out", Printable(expr), maxGrepSteps)
	}
	return regexp.Compile(expr)
}

// WithoutFile is the error of a q that asks for what only a log in a file can tell.
func (q LogQuery) WithoutFile() error {
	if q == (LogQuery{Lines: q.Lines}) {
		return nil
	}
	return Errorf(CodeInvalid, "only the last lines are kept, in memory: times, runs, offsets, grep and follow need a process that was started with log:true")
}

// steps is how many steps an expression has when its repetitions are written out.
func steps(re *syntax.Regexp) int {
	n := max(1, len(re.Rune))
	if re.Op == syntax.OpCharClass || re.Op == syntax.OpRepeat {
		n = 1
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return min(n, maxGrepSteps+1) // enough to know; more could overflow
}
