package heroscript

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func streamOf(pieces ...string) *Stream {
	s := new(Stream)
	for _, p := range pieces {
		s.Write([]byte(p))
	}
	return s
}

func TestStreamKnowsOpenQuotes(t *testing.T) {
	for _, c := range []struct {
		text string
		want Pos // zero: no quote is open
	}{
		{"", Pos{}},
		{"!!x a:'", Pos{1, 7}},
		{"!!x a:'b", Pos{1, 7}},
		{"!!x a:'b'", Pos{}},
		{"!!x a:'b\\", Pos{1, 7}},
		{"!!x a:'b\\'", Pos{1, 7}},
		{"!!x a:'b\\\\'", Pos{}},
		{`!!x a:"it's`, Pos{1, 7}},
		{`!!x a:"it's"`, Pos{}},
		{"!!x ä a: 'b", Pos{1, 10}},
		{"!!x a:\n  'b\n\n!!y\n", Pos{2, 3}},
		{"!!x a:\n'b", Pos{}},
		{"!!x a:\n\n  'b", Pos{}},
		{"!!x a:\r\n\t\"b\r", Pos{2, 2}},
		{"// it's", Pos{}},
		{"# a:'b", Pos{}},
		{"!!x // a:'b", Pos{}},
		{"!!x a:// b:'c", Pos{1, 12}},
		{"!!x 'a", Pos{}},
	} {
		s := streamOf(c.text)
		if got := s.QuotePos(); got != c.want || s.InQuote() != (c.want != Pos{}) {
			t.Errorf("%q: InQuote %v, QuotePos %v, want %v", c.text, s.InQuote(), got, c.want)
		}
	}
}

func TestFaultOpensNoQuoteAndHidesNone(t *testing.T) {
	for _, c := range []struct {
		text string
		open bool
	}{
		{"!!x a:it's\n", false},
		{"!!x a:it's b:'c\n!!process.delete name:y\n", true},
		{"!!x a:'it's mine'\n", false},
		{"!!x a:'it's b:'c\n", true},
		{"!!x a='b c\n", false},
		{"hello: it's me\n", false},
		{"process.start a:'b\n", true},
		{"command:'a\n", true},
		{"  a:'b\n", true},
		{"! a:'b\n", true},
		{"!!x a\rb:'c d\n", false},
		{"!!x a\rb c:'d\n", true},
		{"!!x \xff'\x00' a:'\xff", true},
	} {
		if _, err := Parse(c.text); err == nil {
			t.Errorf("%q parses", c.text)
		}
		if got := streamOf(c.text).InQuote(); got != c.open {
			t.Errorf("%q: InQuote %v, want %v", c.text, got, c.open)
		}
	}
}

func TestStreamBeginsAgainAfterReset(t *testing.T) {
	s := streamOf("!!x a:'b\n\n")
	s.Reset()
	s.Write([]byte("!!x a:'"))
	if got, want := s.QuotePos(), (Pos{1, 7}); got != want {
		t.Errorf("QuotePos %v, want %v", got, want)
	}
}

func TestStreamAgreesWithParseWhereverTheTextIsCut(t *testing.T) {
	for _, cases := range readTestdata(t) {
		for _, c := range cases {
			if _, err := Parse(c.input); err != nil {
				continue
			}
			for n := range len(c.input) + 1 {
				checkStream(t, c.input, n)
			}
		}
	}
}

// checkStream cuts a text that parses at byte n. A quote that Parse finds open
// there must be open in the stream, at the same place, and no other.
func checkStream(t *testing.T, text string, n int) {
	t.Helper()
	s := streamOf(text[:n])
	if utf8.ValidString(text[:n]) {
		_, err := Parse(text[:n])
		var syntax *SyntaxError
		unclosed := errors.As(err, &syntax) && strings.HasSuffix(syntax.Msg, "never closed")
		if s.InQuote() != unclosed || unclosed && s.QuotePos() != syntax.Pos {
			t.Errorf("%q: InQuote %v, %v, but Parse: %v", text[:n], s.InQuote(), s.QuotePos(), err)
		}
	}
	s.Write([]byte(text[n:]))
	if *s != *streamOf(text) {
		t.Errorf("%q: cut at %d the stream differs", text, n)
	}
}

func BenchmarkStreamLines(b *testing.B) {
	text := Format(Script{{Name: "x", Params: []Param{{Key: "command", Value: hardScript()}}}})
	lines := strings.SplitAfter(text, "\n")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var s Stream
		for _, line := range lines {
			s.Write([]byte(line))
		}
		if s.InQuote() {
			b.Fatal("quote open")
		}
	}
}
