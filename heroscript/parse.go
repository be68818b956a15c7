package heroscript

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxParams is how many parameters an action may have.
const MaxParams = 256

// Parse reads a whole text. It returns all of its actions, or none and a
// [*SyntaxError] for the first fault. Values share the memory of the text.
func Parse(text string) (Script, error) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return nil, &SyntaxError{Pos{1, 1}, "expected UTF-8, found the byte order mark of " + isUTF16}
	}
	p := parser{text: text}
	good := validPrefix(text)
	for i := range good {
		if m := p.scan.step(text[i]); m != nothing {
			if err := p.take(m, i); err != nil {
				return nil, err
			}
		}
	}
	if good < len(text) {
		return nil, p.badByte(good)
	}
	if p.scan.inQuote() {
		return nil, &SyntaxError{p.scan.quotePos, "quote opened here is never closed"}
	}
	// The end of the text ends a line.
	if err := p.take(p.scan.step('\n'), len(text)); err != nil {
		return nil, err
	}
	return p.script, nil
}

// A parser cuts the text where the scanner's marks are.
type parser struct {
	text   string
	scan   scanner
	script Script
	start  int // where the word or value in hand begins
}

// take handles the mark at byte i of the text.
func (p *parser) take(m mark, i int) error {
	switch m {
	case nothing:
		return nil
	case faultMark:
		for i < len(p.text) && !utf8.RuneStart(p.text[i]) {
			i-- // it was not the byte order mark that it began as
		}
		return &SyntaxError{p.scan.faultPos, p.scan.expected + ", found " + found(p.text[i:])}
	case actionMark:
		p.start = i + len("!!")
		p.script = append(p.script, Action{Pos: p.scan.pos()})
		return nil
	}

	action := &p.script[len(p.script)-1]
	switch m {
	case verbEnd:
		actor, name, ok := strings.Cut(p.word(i), ".")
		if !ok {
			actor, name = "", actor
		}
		action.Actor, action.Name = actor, name
		return nil
	case keyMark:
		if len(action.Params) == MaxParams {
			return &SyntaxError{p.scan.pos(), "expected the end of the action, which may have " + strconv.Itoa(MaxParams) + " parameters"}
		}
		p.start = i
		action.Params = append(action.Params, Param{Pos: p.scan.pos()})
		return nil
	}

	param := &action.Params[len(action.Params)-1]
	switch m {
	case flagEnd:
		param.Key = strings.ToLower(p.word(i))
		param.Flag = true
		param.Value = "true"
		param.ValuePos = param.Pos
	case keyEnd:
		param.Key = strings.ToLower(p.word(i))
		param.ValuePos = p.scan.pos()
		param.ValuePos.Column++
	case valueMark:
		p.start = i
		param.ValuePos = p.scan.pos()
	case valueEnd:
		param.Value = p.word(i)
	case quoteMark:
		p.start = i + 1
		param.ValuePos = p.scan.pos()
	case quoteEnd:
		param.Value = unescape(p.text[p.start:i], p.scan.quote)
	}
	return nil
}

// word returns the text in hand, which ends before byte i or the CR before it.
func (p *parser) word(i int) string {
	return strings.TrimSuffix(p.text[p.start:i], "\r")
}

const isUTF16 = "UTF-16: save the text as UTF-8"

// badByte is the error for byte i, which no text may hold.
func (p *parser) badByte(i int) error {
	pos := p.scan.pos()
	pos.Column++
	if p.text[i] == 0 {
		msg := "expected text, found a NUL byte"
		if i < 2 { // every other byte is one
			msg += "; perhaps it is " + isUTF16
		}
		return &SyntaxError{pos, msg}
	}
	return &SyntaxError{pos, "expected UTF-8, found the byte 0x" + strconv.FormatUint(uint64(p.text[i]), 16)}
}

// validPrefix returns the length of the part of the text that is UTF-8 without NUL.
func validPrefix(text string) int {
	if i := strings.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	if utf8.ValidString(text) {
		return len(text)
	}
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}

// found names what the text begins with.
func found(text string) string {
	switch {
	case text == "":
		return "the end of the text"
	case text[0] == '\n', strings.HasPrefix(text, "\r\n"):
		return "the end of the line"
	}
	r, _ := utf8.DecodeRuneInString(text)
	return strconv.Quote(string(r))
}

// unescape returns the value of a text within quotes of the given kind.
func unescape(text string, quote byte) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	value := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (text[i+1] == '\\' || text[i+1] == quote) {
			i++
		}
		value = append(value, text[i])
	}
	return string(value)
}
