package screen

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCells(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "äöü": 3, "e\u0301": 1, "漢字": 4, "한글": 4, "\u1112\u1161\u11ab": 2, "🙂": 2, "…": 1, "Ａ": 2, "ｶ": 1, "\u3000": 2, "\xff": 1,
	} {
		if got := Cells(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestCutAndEnd(t *testing.T) {
	marks := "x" + strings.Repeat("\u0301", 1000)
	for _, test := range []struct {
		text     string
		n        int
		cut, end string
	}{
		{"漢字か", 6, "漢字か", "漢字か"}, {"漢字か", 5, "漢字…", "字か"}, {"漢字か", 4, "漢…", "字か"}, {"漢字か", 3, "漢…", "か"}, {"漢字か", 2, "…", "か"},
		{"漢字か", 1, "…", ""}, {"漢字か", 0, "", ""}, {"漢字か", -7, "", ""},
		{"cafe\u0301s", 5, "cafe\u0301s", "cafe\u0301s"}, {"cafe\u0301s", 4, "caf…", "afe\u0301s"}, {"cafe\u0301sx", 5, "cafe\u0301…", "afe\u0301sx"},
		{"", 3, "", ""}, {"a\xffb", 2, "a…", "\xffb"},
		{marks, 1, "…", marks[len(marks)-8:]},
	} {
		if got := Cut(test.text, test.n); got != test.cut {
			t.Errorf("%q cut to %d: %q, want %q", test.text, test.n, got, test.cut)
		}
		if got := End(test.text, test.n); got != test.end {
			t.Errorf("the last %d of %q: %q, want %q", test.n, test.text, got, test.end)
		}
	}
}

func TestColumnsOfAnyWindow(t *testing.T) {
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 20, 9: 20, 20: 20, 80: 80, 1000: 1000, 65535: 1000} {
		if got := Columns(n); got != want {
			t.Errorf("%d: %d", n, got)
		}
	}
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 20, "short"},
		{"exactly twenty wide.", 20, "exactly twenty wide."},
		{"a line of words and more words", 20, "a line of words and\nmore words"},
		{"  key  what it is for and why", 20, "  key  what it is\n       for and why"},
		{"a long first column  and text", 20, "a long first column\nand text"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaabbb", 20, "aaaaaaaaaaaaaaaaaaaa\naaaaabbb"},
		{"key  aaaaaaaaaaaaaaaaaaaaaaaaa", 20, "key  aaaaaaaaaaaaaaa\n     aaaaaaaaaa"},
		{"", 20, ""},
	} {
		if got := Fold(test.in, test.width); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzLayouts(f *testing.F) {
	f.Add("  key  what it is for and why", 20)
	f.Add("漢字e\u0301\xff\x00\u202e\r\n\r", 0)
	f.Add("日本語 日本語  日本語\tb", 1)
	f.Add(strings.Repeat("\u0301", 100), 65535)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = min(max(width, -2), 500)
		if got := Fold(text, width); without(got) != without(text) {
			t.Errorf("%q became %q", text, got)
		} else if width >= 2 {
			for line := range strings.Lines(got) {
				if n := Cells(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%q takes %d cells of %d", line, n, width)
				}
			}
		}
		for _, got := range []string{Cut(text, width), End(text, width)} {
			if Cells(got) > max(width, 0) || utf8.ValidString(text) && !utf8.ValidString(got) {
				t.Errorf("%q in %d cells is %q", text, width, got)
			}
		}
		if got := Pad(text, width); Cells(got) < width {
			t.Errorf("%q is padded to %q", text, got)
		}
		line := Line(text)
		for _, r := range Text(text) + line {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("%q is shown with %q", text, r)
			}
		}
		if strings.ContainsAny(line, "\n\t") || Line(line) != line || !utf8.ValidString(line) {
			t.Errorf("%q on one line is %q", text, line)
		}
	})
}

// without is what stays of a text without its blanks and line ends.
func without(text string) string {
	var out []rune
	for _, r := range text {
		if r != ' ' && r != '\n' {
			out = append(out, r)
		}
	}
	return string(out)
}

func TestWhatATerminalWouldActOnIsEscaped(t *testing.T) {
	const in = "a\x1b[2J\x07\tü\u0085\u009b\x7f\xff\r\n\rb\u202e\u2066\u200f\u061c\u2028\u2029\ufeff\U000e0041漢🙂\xc3"
	const want = `a\x1b[2J\x07` + "\tü" + `\u0085\u009b\x7f\xff` + "\n" + `\x0db\u202e\u2066\u200f\u061c\u2028\u2029\ufeff\U000e0041漢🙂\xc3`
	if got := Text(in); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for step := 1; step < 9; step++ { // a Writer is given it in pieces
		var b bytes.Buffer
		w := NewWriter(&b)
		for p := []byte(in); len(p) > 0; {
			k := min(step, len(p))
			w.Write(p[:k])
			p = p[k:]
		}
		w.Flush()
		if b.String() != want {
			t.Errorf("in steps of %d: got %q, want %q", step, b.String(), want)
		}
	}
	if got, want := Line("first\nsecond\r\n\tthird\x1b\n"), `first; second;  third\x1b`; got != want {
		t.Errorf("on one line: %q, want %q", got, want)
	}
}

func TestWhatWasCutByBytesIsTold(t *testing.T) {
	for text, want := range map[string][2]int{
		"": {}, "abc": {}, "é": {}, "ab\xc3": {1, 0}, "\xe6\xbc": {2, 0}, "x\xf0\x9f\x99": {3, 0}, "\xa2\xad x": {0, 2}, "\x9f\x99\x82x\xe6": {1, 3}, "\xff": {}, "\x80\x80\x80\x80\x80": {0, 3},
	} {
		if got := [2]int{Unfinished([]byte(text)), Unbegun([]byte(text))}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
