package process

import (
	"crypto/rand"
	"io"
	"strings"
)

// Exec is a command in the foreground of who asks for it: its output goes there as it comes,
// and when nobody is there any more the tree is ended.
type Exec struct {
	// Spec is the process that runs once, now. Its output is kept in a log, and its writers
	// wait for who reads it. Its name must be free, or be that of an earlier Exec with the
	// same definition.
	Spec Spec

	// Remove has the process deleted when it has ended, with its history and its log; also
	// when who asked for it has died, and after the next start of a daemon that has.
	Remove bool

	// Run goes on with this run of the process of that name, whose connection was lost; 0
	// begins one. From is the offset behind the output that has come.
	Run  uint64
	From int64
}

// Watcher is told of an [Exec]. Its Write takes the output, byte for byte. An error of it ends
// the tree: nobody watches any more.
type Watcher interface {
	Begun(run uint64) error // before any output
	io.Writer
	Offset(next int64)    // behind the output that was written
	Ended(w Waited) error // the last; before the process is removed
}

// Foreground is what becomes of the process of an [Exec] behind its run.
type Foreground string

// What can.
const (
	ForegroundKeep   Foreground = "keep"
	ForegroundRemove Foreground = "remove"
)

// ExecName is a name for the process of an Exec that has none.
func ExecName() string { return "exec-" + strings.ToLower(rand.Text()[:12]) }

// Again reports whether the field is about runs by themselves, at a time or again. An Exec has
// none of these.
func (f *Field) Again() bool {
	return f.Group == GroupSchedule || f.Group == GroupRestart && f.Name != "success_codes"
}

// Once is the definition of an Exec, or why it cannot be.
func (e Exec) Once() (Spec, error) {
	s := e.Spec
	for i := range Fields {
		if f := &Fields[i]; f.Again() && f.differs(&s, &Spec{}) {
			return s, Errorf(CodeInvalid, "%s: a command in the foreground runs once, now: leave it away, or start a process and wait for it", f.Name)
		}
	}
	s.Log, s.LogBlock = true, true
	return s, s.Validate()
}
