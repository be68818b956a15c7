package lineedit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/telnet"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// Options are what a session needs to know.
type Options struct {
	// Execute carries out one action and writes its answer to out. ctx ends
	// when the person presses Ctrl-C or is gone. An error is shown.
	Execute func(ctx context.Context, action string, out io.Writer) error
	// Complete returns what the word could become that ends at byte pos of
	// the line; a word is what lies between blanks. May be nil.
	Complete func(line string, pos int) []string
	// Views are opened by these words, with or without !!.
	Views map[string]View
	// Terminal is the terminal's type, as TERM has it; nil or empty: unknown.
	Terminal func() string
	// Suspend stands still in the background; nil: there is none.
	Suspend func() error
	// Prompt is shown before a line; empty is "pm> ".
	Prompt string
	// Size returns the window in columns and rows, 0 if unknown; Resized has
	// a token when it changed. Nil is 80 by 24 for ever.
	Size    func() (width, height int)
	Resized <-chan struct{}
	// Idle is how long nothing may be typed; 0 is for ever.
	Idle time.Duration
	// NoColor begins without colours.
	NoColor bool
	// StopReading makes a Read under way return; Run calls it at its end and
	// waits for its reader. If it is nil, the last Read may still be under
	// way when Run returns.
	StopReading func()
}

// ErrIdle says that nothing was typed for Options.Idle.
var ErrIdle = errors.New("nothing was typed for too long")

// Serve returns a [telnet.Server.Edit] with a completion, and with views of a session; both
// may be nil.
func Serve(complete func(line string, pos int) []string, views func(*telnet.Session) map[string]View) func(context.Context, *telnet.Session) error {
	return func(ctx context.Context, s *telnet.Session) error {
		o := Options{
			Execute:     s.Execute,
			Complete:    complete,
			Size:        s.Size,
			Resized:     s.Resized(),
			Idle:        s.Idle(),
			StopReading: s.StopReading,
			Terminal:    s.Terminal,
		}
		if views != nil {
			o.Views = views(s)
		}
		return Run(ctx, s, o)
	}
}

// maxLine is where x/term stops taking keys without a word.
const maxLine = 4096

const (
	defaultPrompt = "pm> "
	morePrompt    = "... "
)

// Run talks to the person at rw, which must send single keys and echo nothing,
// until the person is done, rw is at its end, or ctx ends: all nil. Other ways out are
// [ErrIdle] and a fault of ours, a [*border.Panic].
func Run(ctx context.Context, rw io.ReadWriter, o Options) (err error) {
	defer border.Catch(func(p *border.Panic) { err = p })
	if o.Prompt == "" {
		o.Prompt = defaultPrompt
	}
	e := &editor{Options: o, ctx: ctx, screen: rw, in: make(chan []byte), color: !o.NoColor, width: 80}
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(e.in)
		defer border.Catch(func(p *border.Panic) { e.inFault = p })
		pump(rw, e.in, done)
	})
	defer func() {
		close(done)
		if o.StopReading != nil {
			o.StopReading()
			reader.Wait()
		}
	}()

	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e, rw}, o.Prompt)
	e.term.AutoCompleteCallback = e.complete
	e.term.History = &history{editor: e}
	e.resize()
	e.term.SetBracketedPasteMode(true)
	defer e.term.SetBracketedPasteMode(false)
	e.say("!!help lists the commands, Tab completes them, Ctrl-D ends the session.")
	return e.run()
}

// pump reads until rw is at its end or nobody wants more.
func pump(r io.Reader, in chan<- []byte, done <-chan struct{}) {
	for {
		buf := make([]byte, 1024)
		n, err := r.Read(buf)
		if n > 0 {
			select {
			case in <- buf[:n]:
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type editor struct {
	Options
	ctx    context.Context
	screen io.Writer
	term   *term.Terminal
	framer telnet.Framer
	color  bool
	width  int // of the window

	in          chan []byte   // closed when nothing more comes
	inFault     *border.Panic // of the goroutine that reads; set before in is closed
	fault       *border.Panic // of what the Terminal calls, or of watch: the next Read ends the session
	keys        keys
	interrupted bool // the line that ends now was dropped
}

func (e *editor) run() error {
	for {
		e.term.SetPrompt(e.Prompt)
		if e.framer.Len() > 0 {
			e.term.SetPrompt(morePrompt)
		}
		line, err := e.term.ReadLine()
		pasted := err == term.ErrPasteIndicator
		switch {
		case pasted:
		case errors.Is(err, ErrIdle):
			e.leave(fmt.Sprintf("Nothing was typed for %v. Goodbye.", e.Idle))
			return err
		case e.ctx.Err() != nil:
			e.leave("Shutting down. Goodbye.")
			return nil
		case errors.As(err, new(*border.Panic)):
			e.leave("A fault of ours ends this session. Goodbye.")
			return err
		case err != nil:
			e.leave("")
			return nil
		}
		if e.interrupted {
			e.interrupted = false
			e.framer.Drop()
			continue
		}
		if utf8.RuneCountInString(line) >= maxLine {
			e.framer.Drop()
			e.say("Error: a typed line may have %d characters; nothing was carried out", maxLine-1)
			continue
		}
		if e.framer.Len() == 0 && !pasted {
			if line = e.bang(line); strayText(line) {
				e.say("Error: an action begins with !!%s; !!help lists them all", e.meant(line))
				continue
			}
		}
		actions := e.framer.Line(line + "\n")
		if !pasted && !e.framer.InQuote() {
			if action, pending, _ := e.framer.End(); pending {
				actions = append(actions, action)
			}
		}
		if e.framer.Len() > telnet.MaxPending {
			e.framer.Drop()
			e.say("Error: an action may have %d bytes; nothing was carried out", telnet.MaxPending)
		}
		for _, action := range actions {
			if !e.act(action) {
				return nil
			}
		}
	}
}

// leave shows a last line below what was being typed. The Terminal would show
// that again.
func (e *editor) leave(text string) {
	if text != "" {
		text += "\r\n"
	}
	io.WriteString(e.screen, "\r\n"+text)
}

// bang is a typed line as it was meant: without blanks in front, and with the !!
// of a word that acts by itself.
func (e *editor) bang(line string) string {
	line = strings.TrimLeft(line, " \t"+heroscript.ByteOrderMark) // that may have been pasted
	word := telnet.Word("!!" + line)
	switch word {
	case "help", "quit", "exit", "interactive":
		return "!!" + line
	}
	if e.Views[word] != nil {
		return "!!" + line
	}
	return line
}

// strayText reports whether a line begins no action, and is no comment.
func strayText(line string) bool {
	for _, begin := range []string{"!!", "//", "#"} {
		if strings.HasPrefix(line, begin) {
			return false
		}
	}
	return strings.TrimSpace(line) != ""
}

// meant is a hint at the action that a line without its !! was probably meant to be.
func (e *editor) meant(line string) string {
	word, _, _ := strings.Cut(line, " ")
	if e.Complete != nil {
		if words := e.Complete(word, len(word)); len(words) == 1 {
			return ": did you mean " + strings.TrimSpace(words[0]) + "?"
		}
	}
	return ", as !!process.list does"
}

// act carries out one action and reports whether the session goes on.
func (e *editor) act(action string) bool {
	switch telnet.Word(action) {
	case "quit", "exit":
		e.say(" ** Goodbye.")
		return false
	case "interactive":
		e.color = !e.color
		if e.color {
			e.say("colours on")
		} else {
			e.say("colours off")
		}
		return true
	}
	if view := e.Views[telnet.Word(action)]; view != nil {
		e.view(view)
		return true
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	finished := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		defer border.Catch(func(p *border.Panic) { e.fault = p; cancel() })
		e.watch(cancel, finished)
	})
	out := &visible{w: e.term, color: e.color, width: e.width, prose: telnet.Word(action) == "help"}
	err := func() error {
		defer watch.Wait()
		defer close(finished)
		return e.Execute(ctx, action, out)
	}()
	out.close()
	if err != nil && e.ctx.Err() == nil {
		e.say("Error: %v", err)
	}
	return true
}

// watch reads ahead while an action runs, and ends it at Ctrl-C and when the
// person is gone. What was typed before a Ctrl-C is dropped. An action that goes
// on all the same is not hidden from the person who waits.
func (e *editor) watch(cancel func(), finished <-chan struct{}) {
	var late <-chan time.Time
	for {
		in := e.in
		if len(e.keys.typed) > telnet.MaxPending {
			in = nil
		}
		select {
		case b, ok := <-in:
			if !ok {
				cancel()
				return
			}
			if i := bytes.LastIndexByte(b, ctrlC); i >= 0 {
				cancel()
				late = time.After(lateTime)
				e.keys.typed = nil
				b = b[i+1:]
			}
			e.keys.typed = append(e.keys.typed, b...)
		case <-late:
			e.say("^C: what was asked for has begun, and is not called back; waiting for its end")
		case <-finished:
			return
		}
	}
}

// lateTime is how soon after Ctrl-C a prompt is expected.
const lateTime = 500 * time.Millisecond

// Read gives the Terminal its next keys. The Terminal has let go of its lock meanwhile,
// as it has in complete, and takes it up again: no panic may pass it there.
func (e *editor) Read(p []byte) (n int, err error) {
	defer border.Catch(func(fault *border.Panic) { n, err = 0, fault })
	if e.fault != nil {
		return 0, e.fault
	}
	var idle <-chan time.Time
	if e.Idle > 0 {
		timer := time.NewTimer(e.Idle)
		defer timer.Stop()
		idle = timer.C
	}
	for {
		n, interrupted := e.keys.next(p)
		if interrupted {
			e.interrupted = true
		}
		if n > 0 {
			return n, nil
		}
		select {
		case b, ok := <-e.in:
			switch {
			case ok:
				e.keys.typed = b
			case e.inFault != nil:
				return 0, e.inFault
			default:
				return 0, io.EOF
			}
		case <-e.Resized:
			e.resize()
		case <-idle:
			return 0, ErrIdle
		case <-e.ctx.Done():
			return 0, e.ctx.Err()
		}
	}
}

// resize tells the Terminal a size it can work with.
func (e *editor) resize() {
	if e.Size == nil {
		return
	}
	if width, height := e.Size(); width > 0 && height > 0 {
		e.width = screen.Columns(width)
		e.term.SetSize(e.width, min(max(height, 2), screen.MaxColumns))
	}
}

func (e *editor) say(format string, args ...any) {
	out := &visible{w: e.term, color: e.color, prose: true, width: e.width}
	fmt.Fprintf(out, format+"\n", args...)
	out.close()
}
