package tty

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/top"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// output is what was sent to a terminal.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	faulty bool
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.faulty {
		o.faulty = false
		panic("writing")
	}
	return o.text.Write(p)
}

// next is what came since the last time.
func (o *output) next() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.text.Reset()
	return o.text.String()
}

func line(text string) top.Line { return top.Line{{Text: text}} }

// open is a screen of 20 by 4.
func open(t *testing.T) (*Screen, *output, chan []byte) {
	t.Helper()
	out, keys := &output{}, make(chan []byte)
	s, err := Open(screen.Terminal{Keys: keys, Out: out, Size: func() (int, int) { return 20, 4 }})
	if err != nil {
		t.Fatal(err)
	}
	return s, out, keys
}

func TestOnlyWhatHasChangedIsSent(t *testing.T) {
	s, out, _ := open(t)
	s.Show(top.Page{Lines: []top.Line{line("first 日本語"), line("second")}, Cursor: -1})
	if got := out.next(); !strings.Contains(got, "first ") || !strings.Contains(got, "second") {
		t.Errorf("the first page is %q", got)
	}
	s.Show(top.Page{Lines: []top.Line{line("first 日本語"), line("second")}, Cursor: -1})
	if got := out.next(); got != sequences.HideCursor+sequences.HideCursor {
		t.Errorf("the same page again sends %q", got)
	}
	s.Show(top.Page{Lines: []top.Line{line("first 日本"), line("sekond")}, Cursor: 3})
	got := out.next()
	if strings.Contains(got, sequences.Clear) || strings.Contains(got, "first") || !strings.Contains(got, "\x1b[2;3Hk") || !strings.HasSuffix(got, "\x1b[4;4H"+sequences.ShowCursor) {
		t.Errorf("a letter and a character less send %q", got)
	}
	s.Repaint()
	if got := out.next(); !strings.Contains(got, sequences.Clear) || !strings.Contains(got, "sekond") {
		t.Errorf("all again is %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := out.next(); !strings.HasSuffix(got, sequences.ExitCA) || !strings.Contains(got, sequences.ShowCursor) {
		t.Errorf("the end sends %q", got)
	}
}

// A client may say that its window is of any size.
func TestWindowsAreBounded(t *testing.T) {
	for said, want := range map[[2]int][2]int{{0, 0}: {80, 24}, {0, 50}: {80, 24}, {-1, 5}: {80, 24}, {1, 1}: {1, 1}, {65535, 65535}: {300, 100}, {120, 30}: {120, 30}} {
		out := &output{}
		s, err := Open(screen.Terminal{Out: out, Size: func() (int, int) { return said[0], said[1] }})
		if err != nil {
			t.Fatal(err)
		}
		if width, height := s.Size(); [2]int{width, height} != want {
			t.Errorf("%v is %d by %d", said, width, height)
		}
		s.Show(top.Page{Lines: []top.Line{line(strings.Repeat("日", 400))}, Cursor: 500})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestKeysComeAsTheyAreTyped(t *testing.T) {
	s, _, keys := open(t)
	check := func(want top.Key) {
		t.Helper()
		if got := <-s.Keys(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	keys <- []byte("a\x1b")
	check('a')
	keys <- []byte("[A")
	check(top.Up)
	keys <- []byte("\x1b")
	check(top.Escape) // nothing follows it
	if err := s.Suspend(); !errors.Is(err, ErrNoSuspend) {
		t.Errorf("without a shell: %v", err)
	}
	close(keys)
	select {
	case _, ok := <-s.Keys():
		if ok {
			t.Error("a key of nobody")
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody is there, and it is not told")
	}
	s.Close()
}

// A fault while a page is drawn leaves the terminal as it was all the same.
func TestAFaultLeavesNoTerminalBehind(t *testing.T) {
	s, out, _ := open(t)
	out.faulty = true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no fault")
			}
		}()
		s.Show(top.Page{Lines: []top.Line{line("x")}, Cursor: -1})
	}()
	out.next()
	s.Close()
	if got := out.next(); !strings.HasSuffix(got, sequences.ExitCA) || !strings.Contains(got, sequences.ShowCursor) {
		t.Errorf("the end sends %q", got)
	}
}

func TestADumbTerminalIsRefused(t *testing.T) {
	if _, err := Open(screen.Terminal{Type: "dumb"}); !errors.Is(err, ErrDumb) {
		t.Errorf("got %v", err)
	}
}
