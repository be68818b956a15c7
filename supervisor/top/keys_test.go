package top

import (
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	for typed, want := range map[string][]Key{
		"a\r\nb\n\b\x7f":                           {'a', Enter, 'b', Enter, Backspace, Backspace},
		"\x1b[A\x1bOB\x1b[C":                       {Up, Down, Right},
		"\x1b[5~\x1b[6~\x1b[H\x1b[4~\x1b[1~\x1bOF": {PageUp, PageDown, Home, End, Home, End},
		"\x1b[1;5A\x1b[200~x\x1b[?1;2cy":           {'x', 'y'},
		"äx日\xffy\xc3z":                            {'ä', 'x', '日', 'y', 'z'},
		"\x1bq":                                    {Escape, 'q'},
		"\x1b[\x03":                                {CtrlC},
		"\x1b[12345678901234567890123456789~a\x03\x1a\x0c\x00": {'a', CtrlC, CtrlZ, CtrlL},
		"\x1b\x1b[A": {Escape, Up},
	} {
		for step := 1; step <= len(typed); step++ {
			var d Decoder
			var got []Key
			for piece := range slices.Chunk([]byte(typed), step) {
				got = append(got, d.Keys(piece)...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q in steps of %d: %q, want %q", typed, step, got, want)
			}
		}
	}
	var d Decoder
	if got := d.Keys([]byte("\x1b")); len(got) != 0 || !d.Waits() {
		t.Errorf("an escape alone: %q", got)
	}
	if got := d.Alone(); !slices.Equal(got, []Key{Escape}) || d.Waits() {
		t.Errorf("nothing follows it: %q", got)
	}
	if got := d.Alone(); got != nil {
		t.Errorf("once: %q", got)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[1;5A\x1b\x1b[\xff日\r\n"))
	f.Fuzz(func(t *testing.T, typed []byte) {
		var d Decoder
		if keys := d.Keys(typed); len(keys) > len(typed) || len(d.rest) > maxSequence {
			t.Errorf("%q gives %q and keeps %q", typed, keys, d.rest)
		}
	})
}
