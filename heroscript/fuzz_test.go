package heroscript

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse holds Parse and Stream to what they promise for any text.
func FuzzParse(f *testing.F) {
	for _, cases := range readTestdata(f) {
		for _, c := range cases {
			f.Add(c.input, uint(len(c.input)/2))
		}
	}
	f.Add("\ufeff!!a b:'\n\ufeff'\n\ufeff# x\n\ufefe", uint(2))
	f.Fuzz(func(t *testing.T, text string, cut uint) {
		n := int(cut % uint(len(text)+1))
		script, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v is no *SyntaxError", err)
			}
			if lines := strings.Split(text, "\n"); syntax.Pos.Line < 1 || syntax.Pos.Line > len(lines) ||
				syntax.Pos.Column < 1 || syntax.Pos.Column > utf8.RuneCountInString(lines[syntax.Pos.Line-1])+1 {
				t.Errorf("%q: %v lies outside the text", text, err)
			}
			if script != nil {
				t.Errorf("%q: a script beside %v", text, err)
			}
			if *streamOf(text[:n], text[n:]) != *streamOf(text) {
				t.Errorf("%q: cut at %d the stream differs", text, n)
			}
			return
		}
		if again, err := Parse(Format(script)); err != nil || !same(again, script) {
			t.Errorf("%q: Format gives %q, which reads as %v, %v", text, Format(script), again, err)
		}
		checkStream(t, text, n)
		if streamOf(text).InQuote() {
			t.Errorf("%q parses, but its stream has a quote open", text)
		}
	})
}

// FuzzFormat makes scripts of any values and expects them back.
func FuzzFormat(f *testing.F) {
	for _, value := range []string{"", "x", "it's", `\`, `\'`, "a\r\n\tb\n", "**ENDRESULT**", "// #", "\"'", "ü😀"} {
		f.Add("process", "start", "command", value, value, true)
		f.Add("", "help", "key_1", value, "true", false)
	}
	f.Fuzz(func(t *testing.T, actor, name, key, value, value2 string, flag bool) {
		actor, name, key = toWord(actor), "n"+toWord(name), strings.ToLower("k"+toWord(key))
		value, value2 = toValue(value), toValue(value2)
		first := Param{Key: key, Value: value}
		if flag {
			first = Param{Key: key, Value: "true", Flag: true}
		}
		second := Param{Key: "2", Value: value2}
		x := Script{
			{Actor: actor, Name: name, Params: []Param{first, second, first}},
			{Actor: actor, Name: name},
			{Actor: actor, Name: name, Params: []Param{second, first}},
		}
		text := Format(x)
		got, err := Parse(text)
		if err != nil || !same(got, x) {
			t.Errorf("%q reads as %v, %v, want %v", text, got, err, x)
		}
		if Format(got) != text {
			t.Errorf("%q formats as %q", text, Format(got))
		}
	})
}

// toWord returns the nearest text that may be part of a name or key.
func toWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && isWord(byte(r)) {
			return r
		}
		return -1
	}, s)
}

// toValue returns the nearest text that may be a value.
func toValue(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
