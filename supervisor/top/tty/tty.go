// Package tty draws the pages of package top on a terminal: pmclient's own, or the one at
// the other end of a session.
//
// The library tcell keeps what the screen shows and sends the cells that have changed: no
// frame clears the screen, and one in which nothing has changed is a few bytes. It is told the
// few sequences that every terminal of today takes, so that no data base of terminals is
// looked at, and nothing but text and cursor has to be put right at the end. Keys are not
// its business: see top.Decoder.
package tty

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/top"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// The size of a window that does not tell it, and the largest part of one that is used.
const (
	defaultWidth, defaultHeight = 80, 24
	maxWidth, maxHeight         = 300, 100
)

// sequences are what a screen is drawn with.
var sequences = terminfo.Terminfo{
	Name: "processmanager", Columns: defaultWidth, Lines: defaultHeight, Colors: 8, AutoMargin: true,
	EnterCA: "\x1b[?1049h", ExitCA: "\x1b[?1049l", Clear: "\x1b[H\x1b[2J", SetCursor: "\x1b[%i%p1%d;%p2%dH",
	ShowCursor: "\x1b[?25h", HideCursor: "\x1b[?25l",
	AttrOff: "\x1b[m", Bold: "\x1b[1m", Dim: "\x1b[2m", Reverse: "\x1b[7m",
	SetFg: "\x1b[3%p1%dm", SetBg: "\x1b[4%p1%dm", SetFgBg: "\x1b[3%p1%d;4%p2%dm", ResetFgBg: "\x1b[39;49m",
}

func init() { // whatever the locale of the daemon is
	tcell.RegisterEncoding("US-ASCII", tcell.GetEncoding("UTF-8"))
	tcell.SetEncodingFallback(tcell.EncodingFallbackUTF8)
}

// ErrDumb is that a terminal cannot place its cursor.
var ErrDumb = errors.New("this terminal (TERM=dumb) cannot show a view that fills the screen")

// Watch shows all processes on a terminal, see top.Run. The terminal is as it was when it
// returns.
func Watch(ctx context.Context, m verbs.Manager, t screen.Terminal, o top.Options) error {
	s, err := Open(t)
	if err != nil {
		return err
	}
	err = top.Run(ctx, m, s, o)
	return errors.Join(err, s.Close())
}

// Screen is a top.Display.
type Screen struct {
	terminal screen.Terminal
	screen   tcell.Screen
	styles   map[top.Style]tcell.Style
	keys     chan top.Key
	closing  chan struct{}
	reader   sync.WaitGroup
	fault    *border.Panic // of the reader
	broken   bool          // a fault has left the library's screen locked
}

// Open begins a view on a terminal. It must be closed.
func Open(t screen.Terminal) (*Screen, error) {
	if t.Type == "dumb" {
		return nil, ErrDumb
	}
	s := &Screen{terminal: t, keys: make(chan top.Key, 64), closing: make(chan struct{})}
	ti := sequences
	drawn, err := tcell.NewTerminfoScreenFromTtyTerminfo(&wire{s: s}, &ti)
	if err != nil {
		return nil, err
	}
	if err := drawn.Init(); err != nil {
		return nil, err
	}
	s.screen = drawn
	s.styles = styles(!t.NoColor && !strings.HasPrefix(t.Type, "vt") && drawn.Colors() > 0)
	s.reader.Go(s.read)
	return s, nil
}

// Close ends the view: the terminal shows what it showed before.
func (s *Screen) Close() error {
	close(s.closing)
	s.reader.Wait()
	if s.broken {
		io.WriteString(s.terminal.Out, sequences.ShowCursor+sequences.AttrOff+sequences.Clear+sequences.ExitCA)
	} else {
		s.screen.Fini()
	}
	if s.fault != nil {
		return s.fault
	}
	return nil
}

// styles are how each style looks.
func styles(colors bool) map[top.Style]tcell.Style {
	plain := tcell.StyleDefault
	all := map[top.Style]tcell.Style{
		top.Plain: plain, top.Strong: plain.Bold(true), top.Heading: plain.Reverse(true).Bold(true), top.Chosen: plain.Reverse(true),
		top.Good: plain, top.Warn: plain.Bold(true), top.Bad: plain.Bold(true), top.Faint: plain.Dim(true),
	}
	if colors {
		all[top.Good] = plain.Foreground(tcell.ColorGreen)
		all[top.Warn] = plain.Foreground(tcell.ColorOlive)
		all[top.Bad] = plain.Foreground(tcell.ColorMaroon).Bold(true)
	}
	return all
}

// Size is that of the part of the window which is used.
func (s *Screen) Size() (width, height int) {
	if s.terminal.Size != nil {
		width, height = s.terminal.Size()
	}
	if width <= 0 || height <= 0 {
		width, height = defaultWidth, defaultHeight
	}
	return min(width, maxWidth), min(height, maxHeight)
}

// Show draws a page. What others have given in it was made harmless before.
func (s *Screen) Show(p top.Page) {
	s.broken = true                  // until it has come back
	for s.screen.HasPendingEvent() { // they tell of the size alone
		s.screen.PollEvent()
	}
	width, height := s.Size()
	for y := range height {
		x := 0
		if y < len(p.Lines) {
			for _, span := range p.Lines[y] {
				for text := span.Text; text != "" && x < width; {
					rest, cells := s.screen.Put(x, y, text, s.styles[span.Style])
					if cells == 0 {
						break
					}
					text, x = rest, x+cells
				}
			}
		}
		for ; x < width; x++ {
			s.screen.Put(x, y, " ", tcell.StyleDefault)
		}
	}
	s.screen.HideCursor()
	if p.Cursor >= 0 {
		s.screen.ShowCursor(p.Cursor, height-1)
	}
	s.screen.Show()
	s.broken = false
}

// Repaint has the whole screen drawn.
func (s *Screen) Repaint() { s.screen.Sync() }

// Keys are what is typed; closed when nobody is there any more.
func (s *Screen) Keys() <-chan top.Key { return s.keys }

// Resized has a token when the window may have changed.
func (s *Screen) Resized() <-chan struct{} { return s.terminal.Resized }

// ErrNoSuspend is that there is no shell to go back to.
var ErrNoSuspend = errors.New("Ctrl-Z: there is no shell here to go back to; q ends this")

// Suspend gives the terminal back, and takes it again when it is this program's turn.
func (s *Screen) Suspend() error {
	if s.terminal.Suspend == nil {
		return ErrNoSuspend
	}
	if err := s.screen.Suspend(); err != nil {
		return err
	}
	return errors.Join(s.terminal.Suspend(), s.screen.Resume())
}

// read makes keys of what is typed.
func (s *Screen) read() {
	defer close(s.keys)
	defer border.Catch(func(p *border.Panic) { s.fault = p })
	var d top.Decoder
	var alone <-chan time.Time
	for {
		var keys []top.Key
		select {
		case typed, ok := <-s.terminal.Keys:
			if !ok {
				return
			}
			keys = d.Keys(typed)
		case <-alone:
			keys = d.Alone()
		case <-s.closing:
			return
		}
		alone = nil
		if d.Waits() {
			alone = time.After(top.EscapeTime * time.Millisecond)
		}
		for _, k := range keys {
			select {
			case s.keys <- k:
			case <-s.closing:
				return
			}
		}
	}
}

// wire is the terminal as tcell has it: its screen alone.
type wire struct {
	s       *Screen
	mu      sync.Mutex
	drained chan struct{} // closed when Read is to return
}

func (w *wire) Start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drained = make(chan struct{})
	return nil
}

func (w *wire) Drain() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.drained)
	return nil
}

// Read gives nothing: keys are read elsewhere.
func (w *wire) Read([]byte) (int, error) {
	w.mu.Lock()
	drained := w.drained
	w.mu.Unlock()
	<-drained
	return 0, io.EOF
}

func (w *wire) WindowSize() (tcell.WindowSize, error) {
	width, height := w.s.Size()
	return tcell.WindowSize{Width: width, Height: height}, nil
}

func (w *wire) Write(p []byte) (int, error) { return w.s.terminal.Out.Write(p) }
func (w *wire) Stop() error                 { return nil }
func (w *wire) Close() error                { return nil }
func (w *wire) NotifyResize(func())         {} // Show looks
