package lineedit

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// visible shows text on a terminal: control bytes, and bytes that are not
// UTF-8, are escaped as in Go strings. Line ends and tabs stay, a CR before a
// line end is dropped. Errors are folded and, with colours, red. Prose is folded
// as a whole; all else, and what is longer than maxFold, is left to the terminal, so
// that it can be copied from there as it is.
type visible struct {
	w      io.Writer
	color  bool
	prose  bool
	width  int    // to fold at
	rest   []byte // an unfinished character, or a CR
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
	text := append(v.rest, p...)
	v.rest = nil
	var out []byte
	for len(text) > 0 {
		if !v.within {
			out = v.begin(out, text)
		}
		if !utf8.FullRune(text) || len(text) == 1 && text[0] == '\r' {
			v.rest = text
			break
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n':
			out = v.end(out)
		case r == '\r' && text[1] == '\n':
		case v.fold:
			if v.line = appendVisible(v.line, r, text[:size]); len(v.line) > maxFold {
				out = append(out, v.line...)
				v.line, v.fold = v.line[:0], false
			}
		default:
			out = appendVisible(out, r, text[:size])
		}
		text = text[size:]
	}
	if len(out) > 0 {
		if _, err := v.w.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// appendVisible appends a character, which is raw in the text, to dst.
func appendVisible(dst []byte, r rune, raw []byte) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Appendf(dst, `\x%02x`, raw[0])
	case r == '\t' || unicode.IsGraphic(r):
		return append(dst, raw...)
	case r < utf8.RuneSelf:
		return fmt.Appendf(dst, `\x%02x`, r)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
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
		out = append(out, fold(string(v.line), v.width)...)
		v.line = v.line[:0]
	}
	if v.red {
		out = append(out, reset...)
	}
	v.within = false
	return append(out, '\n')
}

// close shows what was held back and ends the last line.
func (v *visible) close() {
	var out []byte
	for _, c := range v.rest {
		out = fmt.Appendf(out, `\x%02x`, c)
	}
	v.rest = nil
	if v.fold {
		v.line = append(v.line, out...)
		out = nil
	}
	if v.within {
		v.w.Write(v.end(out))
	}
}
