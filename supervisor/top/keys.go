package top

import "unicode/utf8"

// Decoder makes keys of what a terminal sends. The zero value is ready.
type Decoder struct {
	rest []byte // the beginning of a key
	cr   bool   // an LF that follows belongs to the Enter before
}

// maxSequence is the longest escape sequence that is not thrown away, in bytes.
const maxSequence = 16

// EscapeTime, in milliseconds, is how soon the rest of a sequence follows an escape: one
// without is the key itself.
const EscapeTime = 50

// sequences are what stands behind ESC [ or ESC O.
var sequences = map[string]Key{
	"A": Up, "B": Down, "C": Right, "D": Left, "H": Home, "F": End,
	"1~": Home, "4~": End, "5~": PageUp, "6~": PageDown, "7~": Home, "8~": End,
}

// Keys takes what was typed.
func (d *Decoder) Keys(typed []byte) (keys []Key) {
	for _, c := range typed {
		if len(d.rest) > 0 && d.rest[0] == byte(Escape) {
			keys = append(keys, d.sequence(c)...)
			continue
		}
		if len(d.rest) > 0 && utf8.RuneStart(c) {
			d.rest = d.rest[:0] // the character before was cut short
		}
		cr := d.cr
		d.cr = c == '\r'
		switch {
		case c == '\n' && cr, c == 0:
		case c == '\n':
			keys = append(keys, Enter)
		case c == '\b':
			keys = append(keys, Backspace)
		case c == byte(Escape):
			d.rest = append(d.rest, c)
		case c < utf8.RuneSelf:
			keys = append(keys, Key(c))
		default:
			if d.rest = append(d.rest, c); utf8.FullRune(d.rest) {
				if r, _ := utf8.DecodeRune(d.rest); r != utf8.RuneError {
					keys = append(keys, Key(r))
				}
				d.rest = d.rest[:0]
			}
		}
	}
	return keys
}

// sequence takes one more byte behind an escape.
func (d *Decoder) sequence(c byte) (keys []Key) {
	switch n := len(d.rest); {
	case n == 1 && (c == '[' || c == 'O'):
		d.rest = append(d.rest, c)
	case n == 1: // Alt and a key, or two keys
		d.rest = d.rest[:0]
		return append([]Key{Escape}, d.Keys([]byte{c})...)
	case c < ' ' || c > '~': // it has no end
		d.rest = d.rest[:0]
		return d.Keys([]byte{c})
	case c >= '@':
		if k, known := sequences[string(append(d.rest[2:n:n], c))]; known {
			keys = []Key{k}
		}
		d.rest = d.rest[:0]
	case n < maxSequence:
		d.rest = append(d.rest, c)
	}
	return keys
}

// Waits reports whether an escape waits for the rest of its sequence.
func (d *Decoder) Waits() bool { return len(d.rest) == 1 && d.rest[0] == byte(Escape) }

// Alone says that nothing follows the escape: it is the key.
func (d *Decoder) Alone() (keys []Key) {
	if d.Waits() {
		d.rest = d.rest[:0]
		keys = []Key{Escape}
	}
	return keys
}
