package heroscript

import "unicode/utf8"

// A scanner follows a text byte by byte. Its zero value stands at the beginning
// of a text.
type scanner struct {
	state    state
	inAction bool // parameters have an action to belong to
	cr       bool // the last byte was a CR that only an LF may follow
	bom      int  // bytes of a byte order mark at the beginning of this line
	quote    byte // the kind of the quote that is or was open last
	quotePos Pos

	line   int // lines ended so far
	column int // characters of this line so far

	expected string // what the last fault expected
	faultPos Pos
}

// A state says where in the grammar the next byte stands.
type state uint8

const (
	lineStart      state = iota // at column 1
	between                     // behind a blank, where a key or comment may begin
	afterSlash                  // behind the first "/" of a comment
	inComment                   // in a comment
	afterBang                   // behind the first "!"
	afterBangs                  // behind "!!"
	inActor                     // in an actor, or a name without one
	afterDot                    // behind the dot
	inName                      // in a name behind a dot
	inKey                       // in a key
	afterColon                  // behind "key:" on its line
	nextLine                    // at column 1 of the line behind "key:"
	nextIndent                  // in the indentation of that line
	inUnquoted                  // in an unquoted value
	inQuoted                    // in a quoted value
	afterBackslash              // behind a backslash in a quoted value
	afterQuote                  // behind a closing quote
	inFault                     // in what is left of a faulty word
)

// A mark says what the byte just scanned begins or ends. No byte does both: what
// begins does so at its first byte, what ends does so at the byte behind it.
type mark uint8

const (
	nothing    mark = iota
	actionMark      // first byte of "!!"
	verbEnd         // behind the name of an action
	keyMark         // first byte of a key
	keyEnd          // colon behind a key
	flagEnd         // behind a key without a colon
	valueMark       // first byte of an unquoted value
	valueEnd        // behind an unquoted value
	quoteMark       // opening quote
	quoteEnd        // closing quote
	faultMark       // not heroscript; see expected and faultPos
)

// ByteOrderMark may stand at column 1 of any line outside of quotes: editors begin files
// with it, and files are joined. It counts for nothing.
const ByteOrderMark = "\ufeff"

// step takes the next byte of the text.
func (s *scanner) step(c byte) mark {
	if s.column == 0 && !s.cr && (s.state == lineStart || s.state == nextLine) {
		if c == ByteOrderMark[s.bom] {
			s.bom = (s.bom + 1) % len(ByteOrderMark)
			return nothing
		}
		if s.bom > 0 { // another character begins so
			s.bom, s.column = 0, 1
			return s.next(c)
		}
	}
	if utf8.RuneStart(c) {
		s.column++
	}
	m := s.crlf(c)
	if c == '\n' {
		s.line++
		s.column = 0
	}
	return m
}

// crlf makes CR LF one line end where it is one.
func (s *scanner) crlf(c byte) mark {
	switch s.state {
	case inQuoted, afterBackslash, inComment, inFault:
		return s.next(c)
	}
	if s.cr {
		s.cr = false
		if c != '\n' {
			return s.fault(c, "expected a line feed after the carriage return")
		}
	} else if c == '\r' {
		s.cr = true
		return nothing
	}
	return s.next(c)
}

// next is the grammar.
func (s *scanner) next(c byte) mark {
	switch s.state {
	case inQuoted:
		switch c {
		case s.quote:
			s.state = afterQuote
			return quoteEnd
		case '\\':
			s.state = afterBackslash
		}

	case afterBackslash:
		s.state = inQuoted

	case afterQuote:
		if !isSpace(c) {
			return s.fault(c, "expected a blank after the closing quote")
		}
		return s.space(c, nothing)

	case lineStart:
		if isSpace(c) {
			return s.space(c, nothing)
		}
		s.inAction = false
		switch c {
		case '!':
			s.state = afterBang
			return actionMark
		case '#':
			s.state = inComment
			return nothing
		}
		return s.begin(c)

	case between:
		if isSpace(c) {
			return s.space(c, nothing)
		}
		return s.begin(c)

	case afterSlash:
		if c != '/' {
			return s.fault(c, `expected "//"`)
		}
		s.state = inComment

	case inComment:
		if c == '\n' {
			s.state = lineStart
		}

	case afterBang:
		if c != '!' {
			return s.fault(c, `expected "!!"`)
		}
		s.state = afterBangs

	case afterBangs:
		if !isWord(c) {
			return s.fault(c, `expected the name of an action after "!!"`)
		}
		s.inAction = true
		s.state = inActor

	case inActor, inName:
		switch {
		case isWord(c):
		case isSpace(c):
			return s.space(c, verbEnd)
		case c == '.' && s.state == inActor:
			s.state = afterDot
		default:
			return s.fault(c, "expected a blank after the name of the action")
		}

	case afterDot:
		if !isWord(c) {
			return s.fault(c, "expected a name after the dot")
		}
		s.state = inName

	case inKey:
		switch {
		case isWord(c):
		case isSpace(c):
			return s.space(c, flagEnd)
		case c == ':':
			s.state = afterColon
			return keyEnd
		default:
			return s.fault(c, `expected ":" or a blank after the key`)
		}

	case afterColon:
		switch {
		case isQuote(c):
			return s.open(c)
		case c == '\n':
			s.state = nextLine
		case !isSpace(c):
			s.state = inUnquoted
			return valueMark
		}

	case nextLine:
		if !isSpace(c) || c == '\n' {
			s.state = lineStart // the value was empty
			return s.next(c)
		}
		s.state = nextIndent

	case nextIndent:
		switch {
		case isQuote(c):
			return s.open(c)
		case !isSpace(c) || c == '\n':
			s.state = between // the value was empty
			return s.next(c)
		}

	case inUnquoted:
		switch {
		case isSpace(c):
			return s.space(c, valueEnd)
		case isQuote(c):
			return s.fault(c, "expected a blank, as only a quoted value may hold a quote")
		}

	case inFault:
		if isSpace(c) {
			return s.space(c, nothing)
		}
	}
	return nothing
}

// space goes on behind a blank or the end of a line, and returns m.
func (s *scanner) space(c byte, m mark) mark {
	s.state = between
	if c == '\n' {
		s.state = lineStart
	}
	return m
}

// begin begins a comment or a key. A key that belongs to no action is a fault,
// but followed like any other: its value may be open at the end of the line.
func (s *scanner) begin(c byte) mark {
	stray := s.state == lineStart
	m := keyMark
	switch {
	case c == '/':
		s.state = afterSlash
		return nothing
	case stray:
		m = s.fault(c, "expected an action, a comment or an indented parameter")
	case c == '!' || c == '#':
		m = s.fault(c, "expected a key, as actions and # comments begin at column 1")
	case !isWord(c):
		m = s.fault(c, "expected a key")
	case !s.inAction:
		m = s.fault(c, `expected an action ("!!" at column 1) before its parameters`)
	}
	if isWord(c) {
		s.state = inKey
	}
	return m
}

// open opens a quoted value.
func (s *scanner) open(c byte) mark {
	s.state = inQuoted
	s.quote = c
	s.quotePos = s.pos()
	return quoteMark
}

// fault notes what was expected instead of c. The fault reaches to the next blank.
func (s *scanner) fault(c byte, expected string) mark {
	s.expected = expected
	s.faultPos = s.pos()
	s.state = inFault
	s.next(c)
	return faultMark
}

// pos returns the position of the byte just taken.
func (s *scanner) pos() Pos { return Pos{s.line + 1, s.column} }

func (s *scanner) inQuote() bool { return s.state == inQuoted || s.state == afterBackslash }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

func isQuote(c byte) bool { return c == '\'' || c == '"' }

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
