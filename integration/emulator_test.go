package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// emulator is what a terminal shows of all that was sent to it: the sequences that top uses,
// and no others.
type emulator struct {
	t             testing.TB
	width, height int
	cells         [][]string // "": the right half of the one before
	x, y          int
	other         bool // the alternate screen
	cursor        bool
	clears        int // of all the screen, since it was entered
}

func newEmulator(t testing.TB, width, height int) *emulator {
	e := &emulator{t: t, width: width, height: height, cursor: true}
	e.clear()
	return e
}

func (e *emulator) clear() {
	e.cells = make([][]string, e.height)
	for y := range e.cells {
		e.cells[y] = strings.Split(strings.Repeat(" ", e.width), "")
	}
}

// show takes what is sent.
func (e *emulator) show(sent string) {
	for sent != "" && sent != "\x1b" && utf8.FullRuneInString(sent) { // the rest may be on its way
		if rest, found := strings.CutPrefix(sent, "\x1b["); found {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				return
			}
			e.sequence(rest[:end], rest[end])
			sent = rest[end+1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(sent)
		e.put(sent[:size], r)
		sent = sent[size:]
	}
}

func (e *emulator) sequence(param string, final byte) {
	switch {
	case final == 'H':
		row, column, _ := strings.Cut(param, ";")
		e.y, e.x = coordinate(row)-1, coordinate(column)-1
	case final == 'J' && param == "2":
		e.clears++
		e.clear()
	case param == "?1049" && (final == 'h' || final == 'l'):
		e.other, e.clears = final == 'h', -1 // one belongs to it
	case param == "?25":
		e.cursor = final == 'h'
	case final == 'm', param == "?2004":
	case e.other:
		e.t.Errorf("the sequence %q is sent", "\x1b["+param+string(final))
	}
}

func coordinate(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1
	}
	return n
}

func (e *emulator) put(text string, r rune) {
	switch {
	case r == '\r':
		e.x = 0
	case r == '\n':
		e.y = min(e.y+1, e.height-1)
	case r == '\b':
		e.x = max(e.x-1, 0)
	case r < ' ' || r == 0x7f:
		if e.other {
			e.t.Errorf("the character %q is sent", r)
		}
	case e.y >= e.height || e.x >= e.width:
		if e.other {
			e.t.Errorf("%q is written at %d,%d of a screen of %d by %d", text, e.x, e.y, e.width, e.height)
		}
	default:
		n := screen.Cells(text)
		if n == 0 && e.x > 0 {
			e.cells[e.y][e.x-1] += text
			return
		}
		e.cells[e.y][e.x] = text
		if n == 2 && e.x+1 < e.width {
			e.cells[e.y][e.x+1] = ""
		}
		e.x += n
	}
}

// lines are what stands there.
func (e *emulator) lines() (lines []string) {
	for _, row := range e.cells {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return lines
}

// anyWidth and anyHeight are larger than any that a test has.
const anyWidth, anyHeight = 320, 120

// emulated is what the terminal shows, whatever the size of its window was.
func (p *terminal) emulated() *emulator {
	e := newEmulator(p.t, anyWidth, anyHeight)
	e.show(p.screen.since(0))
	return e
}

// shows waits until the screen shows something, and is its lines.
func (p *terminal) shows(what string, is func(lines []string) bool) []string {
	p.t.Helper()
	end := time.Now().Add(patience)
	for {
		lines := p.emulated().lines()
		if is(lines) {
			return lines
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s is not shown in %v, but\n%s", what, patience, strings.TrimSpace(strings.Join(lines, "\n")))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// showsText waits for a text anywhere on the screen.
func (p *terminal) showsText(text string) []string {
	p.t.Helper()
	return p.shows(fmt.Sprintf("%q", text), func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), text) })
}
