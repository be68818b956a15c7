package lineedit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const patience = 30 * time.Second

// session types the input and returns the actions carried out and the screen.
func session(t *testing.T, input string, complete func(string, int) []string) (actions []string, screen string) {
	t.Helper()
	ours, theirs := net.Pipe()
	ours.SetDeadline(time.Now().Add(patience))
	ran := make(chan error, 1)
	go func() {
		ran <- Run(t.Context(), theirs, Options{
			Complete: complete,
			Execute: func(_ context.Context, action string, out io.Writer) error {
				actions = append(actions, action)
				_, err := fmt.Fprintf(out, "did %d\n", len(actions))
				return err
			},
			StopReading: func() { theirs.SetReadDeadline(time.Unix(1, 0)) },
		})
		theirs.Close()
	}()
	go io.WriteString(ours, input)
	out, _ := io.ReadAll(ours)
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	return actions, string(out)
}

func TestKeys(t *testing.T) {
	words := func(line string, pos int) []string {
		var found []string
		for _, w := range []string{"!!process.start", "!!process.stop ", "name:", "name:web "} {
			if strings.HasPrefix(w, line[strings.LastIndex(line[:pos], " ")+1:pos]) {
				found = append(found, w)
			}
		}
		return found
	}
	script := strings.Repeat("\tline 'of' a \"script\"\n", 200)
	var many strings.Builder
	for range 200 {
		many.WriteString("!!a\r")
	}
	for _, test := range []struct{ name, in, want string }{
		{"Enter", "!!a\r!!b\n", `["!!a\n" "!!b\n"]`},
		{"backspace", "!!ax\x7f\r!!by\b\r", `["!!a\n" "!!b\n"]`},
		{"arrows", "!!b\x1b[Da\x1bOCc\r", `["!!abc\n"]`},
		{"history", "!!a\r!!b\r\x1b[A\x1b[A\r", `["!!a\n" "!!b\n" "!!a\n"]`},
		{"open quote", "!!a x:'\r\r!!b\r'\r", `["!!a x:'\n\n!!b\n'\n"]`},
		{"Ctrl-C", "!!a x:'\rmore\x03!!b\r", `["!!b\n"]`},
		{"Ctrl-D", "\x04!!a\r", `[]`},
		{"quit", "!!quit\r!!a\r", `[]`},
		{"tab", "!!process.star\tna\t\t'x'\r", `["!!process.start name:'x'\n"]`},
		{"tab in a quoted value", "!!process.stop name:'w\tx\r", `["!!process.stop name:'web' x\n"]`},
		{"bare words", "help x\r  !!a\rexit\r", `["!!help x\n" "!!a\n"]`},
		{"stray text", "list\r name:x\r!!a\r", `["!!a\n"]`},
		{"tab in a quote", "!!a x:'\r\tb'\r", `["!!a x:'\n\tb'\n"]`},
		{"paste", "\x1b[200~!!a\n  x:1\n\ty:2\n!!b\n\x1b[201~\r", `["!!a\n  x:1\n\ty:2\n" "!!b\n"]`},
		{"Ctrl-C in a paste", "\x1b[200~!!a x:'\n\x03!!b\r", `["!!b\n"]`},
		{"not UTF-8", "!!a\xff\xc3\r!!\xef\xbf\xbdb\r", `["!!a??\n" "!!?b\n"]`},
		{"endless escape", "!!a\x1b[" + strings.Repeat("1", 1000) + "m\r", `["!!a\n"]`},
		{"over-long", strings.Repeat("x", 5000) + "\r!!a\r", `["!!a\n"]`},
		{"200 lines in a quote", "!!a x:'\r" + strings.NewReplacer("'", "\\'", "\n", "\r").Replace(script) + "'\r",
			fmt.Sprintf("%q", []string{"!!a x:'\n" + strings.ReplaceAll(script, "'", "\\'") + "'\n"})},
		{"200 actions", many.String(), fmt.Sprintf("%q", strings.SplitAfter(strings.Repeat("!!a\n", 200), "\n")[:200])},
	} {
		t.Run(test.name, func(t *testing.T) {
			actions, screen := session(t, test.in+"\x04", words)
			if got := fmt.Sprintf("%q", actions); got != test.want {
				t.Errorf("got %.500s, want %.500s; screen %.500q", got, test.want, screen)
			}
		})
	}
}

func TestStrayTextHasAHint(t *testing.T) {
	known := func(line string, pos int) []string {
		if strings.HasPrefix("list", line[:pos]) {
			return []string{"!!process.list "}
		}
		return nil
	}
	for line, want := range map[string]string{
		"list":     "Error: an action begins with !!: did you mean !!process.list?; !!help lists them all",
		"list x:1": "Error: an action begins with !!: did you mean !!process.list?; !!help lists them all",
		"zfs":      "Error: an action begins with !!, as !!process.list does; !!help lists them all",
	} {
		if _, screen := session(t, line+"\r\x04", known); !strings.Contains(strings.ReplaceAll(screen, "\r\n", " "), want) {
			t.Errorf("%s: the screen shows %q", line, screen)
		}
	}
}

func TestCtrlCEndsAnAnswer(t *testing.T) {
	ours, theirs := net.Pipe()
	ours.SetDeadline(time.Now().Add(patience))
	begun := make(chan struct{})
	go func() {
		Run(t.Context(), theirs, Options{Execute: func(ctx context.Context, _ string, _ io.Writer) error {
			close(begun)
			<-ctx.Done()
			return nil
		}})
		theirs.Close()
	}()
	go func() {
		io.WriteString(ours, "!!follow\r")
		<-begun
		io.WriteString(ours, "\x03!!quit\r")
	}()
	if out, _ := io.ReadAll(ours); !strings.Contains(string(out), "Goodbye") {
		t.Errorf("got %q", out)
	}
}

// What cannot be called back is waited for, and the person is told so.
func TestCtrlCIsAnsweredWhileAnActionGoesOn(t *testing.T) {
	ours, theirs := net.Pipe()
	ours.SetDeadline(time.Now().Add(patience))
	begun, enough := make(chan struct{}), make(chan struct{})
	go func() {
		Run(t.Context(), theirs, Options{Execute: func(_ context.Context, _ string, out io.Writer) error {
			close(begun)
			<-enough
			_, err := io.WriteString(out, "stopped\n")
			return err
		}})
		theirs.Close()
	}()
	go func() {
		io.WriteString(ours, "!!stop\r")
		<-begun
		io.WriteString(ours, "\x03")
	}()
	var screen strings.Builder
	buf := make([]byte, 100)
	for !strings.Contains(screen.String(), "waiting for its end") {
		n, err := ours.Read(buf)
		if err != nil {
			t.Fatalf("%v, after %q", err, screen.String())
		}
		screen.Write(buf[:n])
	}
	close(enough)
	go io.WriteString(ours, "!!quit\r")
	if rest, _ := io.ReadAll(ours); !strings.Contains(string(rest), "stopped\r\n") || !strings.Contains(string(rest), "Goodbye") {
		t.Errorf("then %q", rest)
	}
}

func TestControlBytesAreShown(t *testing.T) {
	for step := 1; step < 5; step++ {
		var b bytes.Buffer
		v := &visible{w: &b}
		for p := []byte("a\x1b[2J\x07\tü\u0085\xff\r\n\rb\xc3"); len(p) > 0; {
			k := min(step, len(p))
			v.Write(p[:k])
			p = p[k:]
		}
		v.close()
		if want := `a\x1b[2J\x07` + "\tü" + `\u0085\xff` + "\n" + `\x0db\xc3` + "\n"; b.String() != want {
			t.Errorf("in steps of %d: got %q, want %q", step, b.String(), want)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte("!!a x:'\r\t\x1b[A\x03\x04"), "web:", 0, 0)
	f.Add([]byte("!!list\r\x1b[A\x1b[A\x1b[B\t\t!!help\r\x0c"), "日本語\xff\x1b", 1, 65535)
	f.Add([]byte("\x1b[200~!!a b:'c\n d'\x1b[201~\r\t"), "e\u0301", 65535, 1)
	f.Fuzz(func(t *testing.T, input []byte, given string, width, height int) {
		before := runtime.NumGoroutine()
		done := make(chan struct{})
		resized := make(chan struct{}, 3)
		for range cap(resized) {
			resized <- struct{}{}
		}
		looks := 0
		go func() {
			defer close(done)
			Run(t.Context(), struct {
				io.Reader
				io.Writer
			}{iotest.OneByteReader(bytes.NewReader(input)), io.Discard}, Options{
				Prompt: given,
				Execute: func(_ context.Context, _ string, out io.Writer) error {
					io.WriteString(out, "Error: "+given+" "+given+"\n"+given)
					return errors.New(given)
				},
				Complete: func(line string, pos int) []string {
					if len(line) > 200 {
						return nil // each Tab may double the line
					}
					if pos%2 == 0 {
						return []string{given, given + "x", "", line}
					}
					return []string{line[:pos] + "x", line}
				},
				Size: func() (int, int) { // of a window that changes
					looks++
					return width * (looks % 3), height / looks
				},
				Resized: resized,
			})
		}()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the session hangs")
		}
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
			}
		}
	})
}
