package lineedit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet"
)

// echoHandler answers with the script, and waits for the end of !!follow.
type echoHandler struct{}

func (echoHandler) Handle(ctx context.Context, script string, s telnet.SessionInfo) telnet.Reply {
	return telnet.Reply{JobID: "j", Body: func(w io.Writer) error {
		fmt.Fprintf(w, "did %q, window %dx%d\n**\n", script, s.Width, s.Height)
		if telnet.Word(script) == "follow" {
			<-ctx.Done()
		}
		return nil
	}}
}

func (echoHandler) Error(_, code, message string) telnet.Reply {
	return telnet.Reply{Body: func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Error: %s: %s\n", code, message)
		return err
	}}
}

// A logBook is what the server had to say.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

// person is one at a telnet client.
type person struct {
	t      *testing.T
	conn   net.Conn
	screen bytes.Buffer
}

// sitDown starts a server and is in an editing session of it, in a window of 100
// by 40.
func sitDown(t *testing.T, s *telnet.Server) (p *person, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Secret, s.Handler = []byte("secret"), echoHandler{}
	if s.Edit == nil {
		s.Edit = Serve(nil, nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	t.Cleanup(stop)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	p = &person{t: t, conn: conn}
	p.sees("provide secret")
	p.types("\xff\xfd\x01secret\r\x00") // DO ECHO
	p.sees("\xff\xfb\x03")              // WILL SGA
	p.resizes(100, 40)
	p.types("\xff\xfd\x03") // DO SGA
	p.sees(defaultPrompt)
	return p, stop
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) resizes(width, height byte) {
	p.t.Helper()
	p.types("\xff\xfb\x1f" + "\xff\xfa\x1f\x00" + string([]byte{width}) + "\x00" + string([]byte{height}) + "\xff\xf0")
}

// sees reads until text stands on the screen, and what was before it is gone.
func (p *person) sees(text string) (before string) {
	p.t.Helper()
	buf := make([]byte, 1000)
	for {
		if before, after, ok := strings.Cut(p.screen.String(), text); ok {
			p.screen.Reset()
			p.screen.WriteString(after)
			return before
		}
		n, err := p.conn.Read(buf)
		p.screen.Write(buf[:n])
		if err != nil {
			p.t.Fatalf("wait for %q: %v; the screen has %q", text, err, p.screen.String())
		}
	}
}

// leaves reads to the end.
func (p *person) leaves() string {
	p.t.Helper()
	if _, err := io.Copy(&p.screen, p.conn); err != nil {
		p.t.Fatal(err)
	}
	return p.screen.String()
}

func TestServedSession(t *testing.T) {
	p, _ := sitDown(t, &telnet.Server{})
	p.types("!!a\r")
	p.sees(`did "!!a\n", window 100x40` + "\r\n**\r\n")
	p.sees(defaultPrompt)
	p.resizes(30, 10)
	p.types("!!b\r")
	p.sees("window 30x10")
	p.types("!!follow\r")
	p.sees("did")
	p.types("\xff\xf4\xff\xfd\x06") // IP, DO TIMING-MARK
	p.sees("\xff\xfb\x06")          // WILL TIMING-MARK
	p.sees(defaultPrompt)
	p.types("!!c x:'\r")
	p.sees(morePrompt)
	p.types("\xff\xf4")
	p.sees("^C\r\n")
	p.types("!!d\r")
	if all := p.sees(`did "!!d\n"`); strings.Contains(all, "!!c") {
		t.Errorf("what was dropped is there: %q", all)
	}
	p.types("\x04")
	if all := p.leaves(); strings.Contains(all, "RESULT") {
		t.Errorf("a frame is shown: %q", all)
	}
}

func TestServedSessionEndsWhenNothingIsTyped(t *testing.T) {
	var log logBook
	p, stop := sitDown(t, &telnet.Server{Idle: 50 * time.Millisecond, Log: log.printf})
	if all := p.leaves(); !strings.Contains(all, "Nothing was typed for 50ms. Goodbye.\r\n") {
		t.Errorf("got %q", all)
	}
	stop()
	if !strings.Contains(log.text.String(), ErrIdle.Error()) {
		t.Errorf("logged: %q", log.text.String())
	}
}

func TestServedSessionEndsAtTheShutdown(t *testing.T) {
	p, stop := sitDown(t, &telnet.Server{})
	p.types("!!follow\r")
	p.sees("did")
	stop()
	if all := p.leaves(); !strings.Contains(all, "Shutting down. Goodbye.\r\n") {
		t.Errorf("got %q", all)
	}
}
