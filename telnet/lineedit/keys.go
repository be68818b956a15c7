package lineedit

import (
	"unicode/utf8"
)

const (
	ctrlC  = 0x03
	escape = 0x1b
)

// keys cuts what was typed into whole keys. The Terminal would wait for ever
// behind a byte that is not UTF-8 or an escape sequence without an end, and
// tells nobody of Ctrl-C.
type keys struct {
	typed []byte // not given to the Terminal yet
	rest  []byte // the beginning of a key
	cr    bool   // an LF that follows belongs to the Enter before
}

// maxSequence is the longest escape sequence that is not thrown away. The
// longest that means anything has six bytes.
const maxSequence = 16

// dropLine ends a paste that is under way, shows ^C and ends the line.
const dropLine = "\x1b[201~^C\r"

// next writes keys to p, up to and with the first Enter. It reports whether
// that Enter stands for Ctrl-C. No keys means that more must be typed.
func (k *keys) next(p []byte) (n int, interrupted bool) {
	for len(k.typed) > 0 && len(p)-n >= maxSequence {
		c := k.typed[0]
		if c == ctrlC {
			k.typed, k.rest, k.cr = k.typed[1:], nil, false
			return n + copy(p[n:], dropLine), true
		}
		if len(k.rest) > 0 && k.rest[0] == escape {
			n += k.sequence(p[n:], c)
			continue
		}
		if len(k.rest) > 0 && utf8.RuneStart(c) {
			// The character before was cut short.
			k.rest = nil
			p[n] = '?'
			n++
			continue
		}
		k.typed = k.typed[1:]
		cr := k.cr
		k.cr = c == '\r'
		switch {
		case c == '\n' && cr, c == 0:
		case c == '\r' || c == '\n':
			p[n] = '\r'
			return n + 1, false
		case c == escape:
			k.rest = append(k.rest, c)
		case c < utf8.RuneSelf:
			p[n] = c
			n++
		default:
			k.rest = append(k.rest, c)
			if !utf8.FullRune(k.rest) {
				continue
			}
			if r, _ := utf8.DecodeRune(k.rest); r == utf8.RuneError {
				n += copy(p[n:], "?")
			} else {
				n += copy(p[n:], k.rest)
			}
			k.rest = k.rest[:0]
		}
	}
	return n, false
}

// sequence takes one more byte of an escape sequence and writes the sequence to
// p when it is whole. A byte that cannot belong to it is left.
func (k *keys) sequence(p []byte, c byte) (n int) {
	switch {
	case c < ' ' || c > '~':
		k.rest = k.rest[:0]
		return 0
	case len(k.rest) == 1 && (c == '[' || c == 'O'):
	case len(k.rest) == 1: // Alt and a key
		k.typed, k.rest = k.typed[1:], k.rest[:0]
		return 0
	case k.rest[1] == 'O' || c >= '@':
		// ESC O A is how some send ESC [ A.
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '~'; letter && len(k.rest) < maxSequence {
			k.rest[1] = '['
			n = copy(p, append(k.rest, c))
		}
		k.typed, k.rest = k.typed[1:], k.rest[:0]
		return n
	}
	k.typed = k.typed[1:]
	if len(k.rest) < maxSequence {
		k.rest = append(k.rest, c)
	}
	return 0
}
