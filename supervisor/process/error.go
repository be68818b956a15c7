package process

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an [Error] is. It travels as JSON "code".
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"       // a parameter or a spec cannot be
	CodeSyntax       Code = "syntax"        // not heroscript
	CodeNotFound     Code = "not_found"     // no process of that name
	CodeExists       Code = "exists"        // there is one of that name
	CodeStart        Code = "start_failed"  // the run could not be started
	CodeNotRunning   Code = "not_running"   // it has no run to act on
	CodeOverlap      Code = "overlap"       // a run goes on, and overlap lets no other begin
	CodeNeeded       Code = "needed"        // others need it
	CodeNeeds        Code = "needs"         // what it needs will not come by itself
	CodeFreeze       Code = "freeze"        // the tree could not be paused or resumed
	CodeLimit        Code = "limit"         // this host cannot enforce a limit, or the tree does not follow it
	CodeStuck        Code = "stuck"         // SIGKILL did not end the tree
	CodeSuperseded   Code = "superseded"    // a later request took its place
	CodeTimeOver     Code = "time_over"     // what was waited for did not come in time
	CodeShuttingDown Code = "shutting_down" // the daemon is ending
	CodeTooLong      Code = "too_long"      // more than the wire takes
	CodeStore        Code = "store"         // it could not be put on disk
	CodeUpgrade      Code = "upgrade"       // the program on disk was not taken
	CodeInternal     Code = "internal"      // our fault
)

// Error is a failure that a client can tell from others by its code:
//
//	errors.Is(err, process.ErrNotFound)
type Error struct {
	Code    Code
	Message string // for people: one line
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// CodeOf is the code of err. What is not an [Error] is our fault.
func CodeOf(err error) Code {
	var e *Error
	if !errors.As(err, &e) {
		return CodeInternal
	}
	return e.Code
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Targets for errors.Is: any Error of the same code matches.
var (
	ErrInvalid      = &Error{CodeInvalid, "invalid"}
	ErrSyntax       = &Error{CodeSyntax, "syntax error"}
	ErrNotFound     = &Error{CodeNotFound, "no such process"}
	ErrExists       = &Error{CodeExists, "process exists"}
	ErrStart        = &Error{CodeStart, "could not be started"}
	ErrNotRunning   = &Error{CodeNotRunning, "not running"}
	ErrOverlap      = &Error{CodeOverlap, "a run goes on"}
	ErrNeeded       = &Error{CodeNeeded, "others need it"}
	ErrNeeds        = &Error{CodeNeeds, "what it needs will not come"}
	ErrFreeze       = &Error{CodeFreeze, "the tree could not be paused or resumed"}
	ErrLimit        = &Error{CodeLimit, "a limit cannot be enforced"}
	ErrStuck        = &Error{CodeStuck, "the tree could not be ended"}
	ErrSuperseded   = &Error{CodeSuperseded, "superseded by a later request"}
	ErrTimeOver     = &Error{CodeTimeOver, "did not come in time"}
	ErrShuttingDown = &Error{CodeShuttingDown, "the daemon is shutting down"}
	ErrTooLong      = &Error{CodeTooLong, "request too long"}
	ErrStore        = &Error{CodeStore, "could not be stored"}
	ErrUpgrade      = &Error{CodeUpgrade, "not upgraded"}
	ErrInternal     = &Error{CodeInternal, "internal error"}
)

// NewFailure is err in its JSON form. What is not an [Error] is our fault.
func NewFailure(err error) Failure {
	return Failure{Error: err.Error(), Code: CodeOf(err)}
}
