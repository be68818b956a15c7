package heroscript

import (
	"strings"
	"testing"
)

// A byte order mark at the beginning of a line that is no part of a value is as if it
// were not there: in front of a script, or where files were joined.
func TestAByteOrderMarkCountsForNothing(t *testing.T) {
	const bom = ByteOrderMark
	for text, plain := range map[string]string{
		bom:                                "",
		bom + "!!a b:c":                    "!!a b:c",
		bom + "# comment\n!!a":             "# comment\n!!a",
		bom + "\r\n" + bom + "!!a b:c\r\n": "\r\n!!a b:c\r\n",
		"\n\n" + bom + "!!a":               "\n\n!!a",
		"!!a b:c\n" + bom + "!!d":          "!!a b:c\n!!d",
		"!!a\n" + bom + " b:c":             "!!a\n b:c",
		"!!a b:\n" + bom + " 'c'":          "!!a b:\n 'c'",
		bom + bom + "!!a":                  "!!a",
	} {
		want, err := Parse(plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(text)
		if err != nil || !same(got, want) {
			t.Errorf("%q reads as %v, %v, want %v", text, got, err, want)
		}
		for i := range got {
			if got[i].Pos != want[i].Pos {
				t.Errorf("%q: an action is at %v, want %v", text, got[i].Pos, want[i].Pos)
			}
		}
	}
	// Within a value it is text, elsewhere a fault, and so is what only begins like it.
	if got, err := Parse("!!a b:'" + bom + "x\n" + bom + "y'"); err != nil || got[0].Params[0].Value != bom+"x\n"+bom+"y" {
		t.Errorf("within quotes: %v, %v", got, err)
	}
	for text, want := range map[string]string{
		" " + bom + "!!a":    `line 1, column 2: expected a key, found "\ufeff"`,
		"\uff01!a":           `line 1, column 1: expected an action, a comment or an indented parameter, found "！"`,
		"\n\ufefa":           `line 2, column 1: expected an action, a comment or an indented parameter, found "ﻺ"`,
		bom + "x":            `line 1, column 1: expected an action, a comment or an indented parameter, found "x"`,
		bom + "!!a b:'":      "line 1, column 7: quote opened here is never closed",
		"\xef\xbb":           "line 1, column 1: expected UTF-8, found the byte 0xef",
		"\xff\xfe!\x00!\x00": "line 1, column 1: expected UTF-8, found the byte order mark of UTF-16: save the text as UTF-8",
		"\xfe\xff\x00!\x00!": "line 1, column 1: expected UTF-8, found the byte order mark of UTF-16: save the text as UTF-8",
		"!\x00!\x00a\x00":    "line 1, column 2: expected text, found a NUL byte; perhaps it is UTF-16: save the text as UTF-8",
		"\x00!\x00!\x00a":    "line 1, column 1: expected text, found a NUL byte; perhaps it is UTF-16: save the text as UTF-8",
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	var s Stream
	for _, c := range []byte(bom + "!!a b:'\n" + bom + "'") {
		s.Write([]byte{c})
	}
	if s.InQuote() {
		t.Error("a stream takes the mark for more than it is")
	}
	if got := strings.Count(Format(Script{{Name: "a", Params: []Param{{Key: "b", Value: bom}}}}), bom); got != 1 {
		t.Errorf("a value of it is written %d times", got)
	}
}
