package lineedit

import (
	"bytes"
	"io"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// visible shows text on a terminal, with nothing that the terminal would act on (see
// package screen). Errors are folded and, with colours, red. Prose is folded
// as a whole; all else, and what is longer than maxFold, is left to the terminal, so
// that it can be copied from there as it is.
type visible struct {
	w      io.Writer
	color  bool
	prose  bool
	width  int    // to fold at
	rest   []byte // what cannot be shown yet
	within bool   // a line
	red    bool   // the line is
	fold   bool   // the line is kept until its end, to be folded
	line   []byte
}

// maxFold is how many bytes of a line are kept to be folded. A line that is followed
// may have no end.
const maxFold = 4 << 10

const (
	red   = "\x1b[31m"
	reset = "\x1b[0m"
)

func (v *visible) Write(p []byte) (int, error) {
	if err := v.write(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// close shows what was held back and ends the last line.
func (v *visible) close() {
	v.write(nil, true)
	if v.within {
		v.w.Write(v.end(nil))
	}
}

func (v *visible) write(p []byte, last bool) (err error) {
	text, rest := screen.AppendVisible(nil, append(v.rest, p...), last)
	v.rest = rest
	var out []byte
	for len(text) > 0 {
		if !v.within {
			out = v.begin(out, text)
		}
		line, after, ended := bytes.Cut(text, []byte("\n"))
		switch {
		case !v.fold:
			out = append(out, line...)
		case len(v.line)+len(line) > maxFold:
			out = append(append(out, v.line...), line...)
			v.line, v.fold = v.line[:0], false
		default:
			v.line = append(v.line, line...)
		}
		if ended {
			out = v.end(out)
		}
		text = after
	}
	if len(out) > 0 {
		_, err = v.w.Write(out)
	}
	return err
}

// begin starts a line.
func (v *visible) begin(out, text []byte) []byte {
	v.within = true
	isError := bytes.HasPrefix(text, []byte("Error: "))
	v.fold = v.width > 0 && (v.prose || isError)
	v.red = v.color && isError
	if v.red {
		return append(out, red...)
	}
	return out
}

// end ends a line.
func (v *visible) end(out []byte) []byte {
	if v.fold {
		out = append(out, screen.Fold(string(v.line), v.width)...)
		v.line = v.line[:0]
	}
	if v.red {
		out = append(out, reset...)
	}
	v.within = false
	return append(out, '\n')
}
