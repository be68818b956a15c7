package lineedit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// failingReader panics when what it has is read.
type failingReader struct{ text io.Reader }

func (f failingReader) Read(p []byte) (int, error) {
	n, err := f.text.Read(p)
	if err == io.EOF {
		panic("reading")
	}
	return n, err
}

// A fault ends the session it is in, wherever it is: the Terminal's lock is let go of, and
// no goroutine of its own takes the process with it.
func TestAFaultEndsItsSessionOnly(t *testing.T) {
	quiet := func(context.Context, string, io.Writer) error { return nil }
	for what, test := range map[string]struct {
		keys io.Reader
		Options
	}{
		"reading":    {failingReader{strings.NewReader("!!a")}, Options{Execute: quiet}},
		"completing": {strings.NewReader("!!a\t\r!!b\r"), Options{Execute: quiet, Complete: func(string, int) []string { panic("completing") }}},
		"executing":  {strings.NewReader("!!a\r!!b\r"), Options{Execute: func(context.Context, string, io.Writer) error { panic("executing") }}},
		"measuring":  {strings.NewReader("!!a\r"), Options{Execute: quiet, Size: func() (int, int) { panic("measuring") }}},
	} {
		t.Run(what, func(t *testing.T) {
			var screen bytes.Buffer
			err := Run(t.Context(), struct {
				io.Reader
				io.Writer
			}{test.keys, &screen}, test.Options)
			var fault *border.Panic
			if !errors.As(err, &fault) || fault.Value != what {
				t.Fatalf("it ended with %v", err)
			}
			if !strings.Contains(fault.Stack, "fault_test.go") {
				t.Errorf("the stack does not show the place: %s", fault.Stack)
			}
		})
	}
}

// One person's fault ends one session, and is told to that person.
func TestAFaultInAServedSessionIsToldAndClosesIt(t *testing.T) {
	book := &logBook{}
	p, stop := sitDown(t, &telnet.Server{Edit: Serve(func(string, int) []string { panic("completing") }, nil), Log: book.printf})
	p.types("!!a\t")
	if all := p.leaves(); !strings.Contains(all, "A fault of ours ends this session") {
		t.Errorf("the screen has %q", all)
	}
	stop()
	if said := book.text.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "panic: completing, at lineedit.") {
		t.Errorf("the log says %q", said)
	}
}
