package heroscript

// A Stream follows a text that arrives in pieces and says whether a quote is
// open at its end, so that a reader of lines knows where an action ends. It
// reads by the rules of [Parse], and how the text is cut makes no difference.
// The package comment says what it does with a text that does not parse. The
// zero value stands at the beginning of a text.
type Stream struct {
	scan scanner
}

// Write takes the next piece of the text. It never fails.
func (s *Stream) Write(p []byte) (int, error) {
	for _, c := range p {
		s.scan.step(c)
	}
	return len(p), nil
}

// InQuote reports whether the text so far ends within a quoted value.
func (s *Stream) InQuote() bool { return s.scan.inQuote() }

// QuotePos returns where the open quote began, counted from the beginning of
// the text, or the zero Pos if none is open.
func (s *Stream) QuotePos() Pos {
	if !s.InQuote() {
		return Pos{}
	}
	return s.scan.quotePos
}

// Reset goes back to the beginning of a new text.
func (s *Stream) Reset() { *s = Stream{} }
