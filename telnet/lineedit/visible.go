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
// line end is dropped. With colours, the lines of a frame are dim and errors red.
type visible struct {
	w       io.Writer
	color   bool
	rest    []byte // an unfinished character, or a CR
	within  bool   // a line
	colored bool   // the line is
}

const (
	dim   = "\x1b[2m"
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
			if v.colored {
				out = append(out, reset...)
			}
			out = append(out, '\n')
			v.within, v.colored = false, false
		case r == '\r' && text[1] == '\n':
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
		case r == '\t' || unicode.IsGraphic(r):
			out = append(out, text[:size]...)
		case r < utf8.RuneSelf:
			out = fmt.Appendf(out, `\x%02x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
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

// begin starts a line in its colour.
func (v *visible) begin(out, text []byte) []byte {
	v.within = true
	if !v.color {
		return out
	}
	for _, mark := range []struct{ prefix, color string }{{"**RESULT**", dim}, {"**ENDRESULT**", dim}, {"Error: ", red}} {
		if bytes.HasPrefix(text, []byte(mark.prefix)) {
			v.colored = true
			return append(out, mark.color...)
		}
	}
	return out
}

// close shows what was held back and ends the last line.
func (v *visible) close() {
	for _, c := range v.rest {
		fmt.Fprintf(v.w, `\x%02x`, c)
	}
	if v.colored {
		io.WriteString(v.w, reset)
	}
	if v.within {
		io.WriteString(v.w, "\n")
	}
}
