package lineedit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// A view has the keys, what was typed ahead among them, and the window; when it is done the
// editor goes on as before.
func TestAViewHasTheTerminalUntilItIsDone(t *testing.T) {
	ours, theirs := net.Pipe()
	ours.SetDeadline(time.Now().Add(patience))
	var views, actions []string
	resized := make(chan struct{}, 1)
	ran := make(chan error, 1)
	go func() {
		ran <- Run(t.Context(), theirs, Options{
			Execute: func(_ context.Context, action string, out io.Writer) error {
				actions = append(actions, action)
				return nil
			},
			Views: map[string]View{"look": func(ctx context.Context, s screen.Terminal) error {
				fmt.Fprint(s.Out, "[view]")
				typed := ""
				for b := range s.Keys {
					if typed += string(b); strings.HasSuffix(typed, "q") {
						break
					}
				}
				width, height := s.Size()
				views = append(views, fmt.Sprintf("%q %dx%d %s %v", typed, width, height, s.Type, s.NoColor))
				if strings.Contains(typed, "bad") {
					return errors.New("it failed")
				}
				return ctx.Err()
			}},
			Terminal:    func() string { return "xterm" },
			Size:        func() (int, int) { return 90, 30 },
			Resized:     resized,
			StopReading: func() { theirs.SetReadDeadline(time.Unix(1, 0)) },
		})
		theirs.Close()
	}()
	reader := make(chan string)
	go func() {
		out, _ := io.ReadAll(ours)
		reader <- string(out)
	}()
	for _, typed := range []string{"look\rahead", "q", "!!a\r", "\x1b[A\r", "!!interactive\r", "!!look\r", "bad\x03q", "look x:'\r", "\x03", "!!b\r", "\x04"} {
		if _, err := io.WriteString(ours, typed); err != nil {
			t.Fatal(err)
		}
	}
	all := <-reader
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%q", views), `["\"aheadq\" 90x30 xterm false" "\"bad\\x03q\" 90x30 xterm true"]`; got != want {
		t.Errorf("the views had %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", actions), `["!!a\n" "!!a\n" "!!b\n"]`; got != want {
		t.Errorf("carried out were %s, want %s", got, want)
	}
	if strings.Count(all, "[view]") != 2 || !strings.Contains(all, "Error: it failed") {
		t.Errorf("the screen has %q", all)
	}
	// Pasted text is bracketed for the editor alone.
	for _, part := range strings.Split(all, "[view]")[1:] {
		before, _, _ := strings.Cut(part, "\x1b[?2004h")
		if before == part {
			t.Errorf("the bracketed paste does not come back: %q", part)
		}
	}
}
