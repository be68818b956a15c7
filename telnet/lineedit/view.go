package lineedit

import (
	"context"
	"sync"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// View is what fills the screen. It returns when the person has enough of it, or ctx ends; its
// error is shown.
type View func(ctx context.Context, t screen.Terminal) error

// view gives the terminal to a view, with what was typed ahead, and takes it back.
func (e *editor) view(open View) {
	ctx, cancel := context.WithCancel(e.ctx)
	keys, done := make(chan []byte), make(chan struct{})
	var relay sync.WaitGroup
	relay.Go(func() {
		defer close(keys)
		e.relay(keys, done)
	})
	t := screen.Terminal{Keys: keys, Out: e.screen, Size: e.Size, Resized: e.Resized, NoColor: !e.color, Suspend: e.Suspend}
	if e.Terminal != nil {
		t.Type = e.Terminal()
	}
	e.term.SetBracketedPasteMode(false)
	err := func() error {
		defer relay.Wait()
		defer close(done)
		defer cancel()
		return open(ctx, t)
	}()
	e.term.SetBracketedPasteMode(true)
	e.resize()
	if err != nil && e.ctx.Err() == nil {
		e.say("Error: %v", err)
	}
}

// relay hands on what is typed until the view is done. What that does not take is typed to
// the editor.
func (e *editor) relay(keys chan<- []byte, done <-chan struct{}) {
	for {
		for len(e.keys.typed) > 0 {
			select {
			case keys <- e.keys.typed:
				e.keys.typed = nil
			case <-done:
				return
			}
		}
		select {
		case b, ok := <-e.in:
			if !ok {
				return
			}
			e.keys.typed = b
		case <-done:
			return
		}
	}
}
