package screen

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AppendVisible appends text to dst as a terminal can be shown it: what a terminal
// would act on, what turns the direction of text or breaks a line, and bytes that are
// not UTF-8 are escaped as in Go strings. Line ends and tabs stay, a CR before a line
// end is dropped. What text ends with and cannot be told yet, the beginning of a
// character or a CR, is the rest; at the end of all text there is none.
func AppendVisible(dst, text []byte, end bool) (out, rest []byte) {
	for len(text) > 0 {
		if !end && (!utf8.FullRune(text) || len(text) == 1 && text[0] == '\r') {
			return dst, text
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = fmt.Appendf(dst, `\x%02x`, text[0])
		case r == '\r' && size < len(text) && text[size] == '\n':
		case r == '\n', r == '\t', unicode.IsGraphic(r):
			dst = append(dst, text[:size]...)
		case r < utf8.RuneSelf:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
		text = text[size:]
	}
	return dst, nil
}

// Text is text as a terminal can be shown it, see [AppendVisible].
func Text(text string) string {
	out, _ := AppendVisible(nil, []byte(text), true)
	return string(out)
}

// Line is text as a terminal can be shown it on one line: lines become parts of it.
func Line(text string) string {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.ReplaceAll(Text(strings.Join(parts, "; ")), "\t", " ")
}

// LineWriter makes each Write one line on w, see [Line]: a line of a log.
func LineWriter(w io.Writer) io.Writer { return lineWriter{w} }

type lineWriter struct{ w io.Writer }

func (l lineWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.w, Line(string(p))+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writer shows what is written to it on a terminal, see [AppendVisible].
type Writer struct {
	w    io.Writer
	rest []byte
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

func (v *Writer) Write(p []byte) (int, error) {
	if err := v.write(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush shows what was held back because it was not complete.
func (v *Writer) Flush() error { return v.write(nil, true) }

func (v *Writer) write(p []byte, end bool) (err error) {
	out, rest := AppendVisible(nil, append(v.rest, p...), end)
	v.rest = rest
	if len(out) > 0 {
		_, err = v.w.Write(out)
	}
	return err
}
