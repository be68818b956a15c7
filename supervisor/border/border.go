// Package border keeps a fault of ours where it happened.
//
// A panic ends the process that it is not caught in: in the worker that would be one
// session's fault for all. So whatever works for one of many has a border around it,
// which catches the panic, says it with its stack on one line, and goes on:
//
//	a request, its answer           telnet: the answer is the error "internal"
//	a connection, both goroutines   telnet: it is closed
//	a key, a Tab, a resize          telnet/lineedit: the session ends
//	an event of a process's loop    supervisor: who waits is answered, the loop goes on
//	its work on the disk            supervisor: it is the loop's panic
//	a tree that is nobody's         supervisor: tried again
//	a figure in a list              supervisor: it is the request's panic
//	one of several logs             heroscript/verbs: it is the answer's panic
//	a log's bytes, its archives     supervisor/logs: tried again, then dropped and counted
//	a file that is made again       cmd/processmanager, in the keeper: tried again
//
// A goroutine that works for somebody else hands its panic to them: they go on with
// [Panic] as the value. What works for all (the store's, the group watch's, the link's
// goroutine) has no border on purpose. Nobody could say what state it leaves; the keeper
// starts another worker, which takes up every tree. So does a fault that no border can
// catch, such as a stack that overflows.
package border

import (
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Panic is a panic that was caught.
type Panic struct {
	Value any
	Stack string // from the place outwards, on one line, at most maxFrames
}

// Error is one line.
func (p *Panic) Error() string {
	return fmt.Sprintf("panic: %s, at %s", screen.Cut(screen.Line(fmt.Sprint(p.Value)), 400), p.Stack)
}

// Catch is to be deferred. It hands a panic to caught; without one it does nothing. The
// value may be a *Panic, from another goroutine: it keeps its stack.
func Catch(caught func(*Panic)) {
	switch v := recover().(type) {
	case nil:
	case *Panic:
		caught(v)
	default:
		caught(&Panic{v, stack()})
	}
}

const maxFrames = 16

// stack is where the panic under way began, and who had called that.
func stack() string {
	var pcs [maxFrames + 16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])]) // without Callers, stack and Catch
	var places []string
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") && f.Function != "" {
			places = append(places, fmt.Sprintf("%s %s:%d", path.Base(f.Function), path.Base(f.File), f.Line))
		}
		if !more || len(places) == maxFrames {
			return strings.Join(places, " < ")
		}
	}
}
