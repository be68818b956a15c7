package telnet

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript"
)

// A Framer cuts the lines of a connection into actions. Within an open quote
// nothing ends an action. Outside, the pending action is complete at a line
// that starts with "!!" (it begins the next one) or "#", at an empty line
// (blanks count as nothing), and at the end of input. The lines !!help, !!quit,
// !!exit and !!interactive are complete by themselves. Comments with nothing
// pending are dropped. The zero value is ready for use.
type Framer struct {
	pending strings.Builder
	stream  heroscript.Stream
}

// Line takes one line, with its line end unless the input ended without one,
// and returns the actions that are complete now: none, one or two.
func (f *Framer) Line(line string) []string {
	if f.stream.InQuote() {
		f.add(line)
		return nil
	}
	line = strings.TrimLeft(line, heroscript.ByteOrderMark)
	text := strings.TrimSpace(line)
	var done []string
	switch {
	case text == "", strings.HasPrefix(line, "#"):
		return f.take(done)
	case strings.HasPrefix(line, "!!"):
		done = f.take(done)
		f.add(line)
		if actsAtLineEnd(Word(line)) && !f.stream.InQuote() {
			done = f.take(done)
		}
	case f.pending.Len() == 0 && strings.HasPrefix(text, "//"):
	default:
		f.add(line)
	}
	return done
}

// End returns the pending action, if there is one, at the end of input or at
// Enter. A quote that is still open is an error that names its place; the text
// is returned all the same.
func (f *Framer) End() (action string, pending bool, err error) {
	action = f.pending.String()
	if f.stream.InQuote() {
		err = fmt.Errorf("%v: quote opened here is never closed", f.stream.QuotePos())
	}
	f.Drop()
	return action, action != "", err
}

// Drop forgets what is pending.
func (f *Framer) Drop() {
	f.pending.Reset()
	f.stream.Reset()
}

// Len returns the number of bytes pending.
func (f *Framer) Len() int { return f.pending.Len() }

// InQuote reports whether a quote is open.
func (f *Framer) InQuote() bool { return f.stream.InQuote() }

// InQuoteAfter reports whether a quote would be open behind more text.
func (f *Framer) InQuoteAfter(text string) bool {
	stream := f.stream
	stream.Write([]byte(text))
	return stream.InQuote()
}

func (f *Framer) add(line string) {
	f.pending.WriteString(line)
	f.stream.Write([]byte(line))
}

func (f *Framer) take(done []string) []string {
	if f.pending.Len() > 0 {
		done = append(done, f.pending.String())
	}
	f.Drop()
	return done
}

// Word returns the verb of an action: "help" for "!!help process.start".
func Word(action string) string {
	rest, ok := strings.CutPrefix(action, "!!")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, " \t\r\n"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func actsAtLineEnd(word string) bool {
	switch word {
	case "help", "quit", "exit", "interactive":
		return true
	}
	return false
}
