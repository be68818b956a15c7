package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/freeflowuniverse/processmanager/telnet/lineedit"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// output is standard output. On a terminal what others have given, a log say, is shown
// with nothing in it that the terminal would act on; anywhere else bytes go out as they
// are.
type output struct {
	io.Writer           // for what others have given
	raw       io.Writer // for what is our own: colours, the keys of an editor
	terminal  bool
	columns   int // of the window; 0: unknown
	flush     func() error
}

func newOutput(stdout io.Writer) *output {
	f, ok := stdout.(*os.File)
	o := &output{raw: stdout, terminal: ok && term.IsTerminal(int(f.Fd())), columns: lineedit.Columns(stdout)}
	o.Writer, o.flush = o.shown(stdout)
	return o
}

// shown is a Writer to w for one stream of what others have given. flush is for its end.
func (o *output) shown(w io.Writer) (_ io.Writer, flush func() error) {
	if !o.terminal {
		return w, func() error { return nil }
	}
	v := screen.NewWriter(w)
	return v, v.Flush
}
