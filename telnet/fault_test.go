package telnet

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// saidBook is what a server had to say.
type saidBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *saidBook) printf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

// one is the one line about a fault, which names the place.
func (b *saidBook) one(t *testing.T, what string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) != 1 || !strings.Contains(b.lines[0], "panic: "+what) || !strings.Contains(b.lines[0], "fault_test.go") || strings.Contains(b.lines[0], "\n") {
		t.Errorf("the log says %q", b.lines)
	}
	b.lines = nil
}

// A fault in a request is answered, with the code internal, and the next request of
// the same connection is carried out.
func TestAFaultIsTheAnswerToItsRequest(t *testing.T) {
	book := &saidBook{}
	path, _ := start(t, &Server{Log: book.printf, Handler: handler{func(ctx context.Context, script string) Reply {
		switch Word(script) {
		case "handle":
			panic("handle")
		case "body":
			return Reply{JobID: "j", Body: func(io.Writer) error { panic("body") }}
		case "late":
			return Reply{Body: func(w io.Writer) error {
				io.WriteString(w, "first\n")
				var none []int
				_ = none[len(script)]
				return nil
			}}
		}
		return text("", "well\n")
	}}})
	c := client(t, path)
	for script, want := range map[string]string{
		"!!handle": "Error: internal: " + errFault.Error() + "\n",
		"!!body":   "Error: internal: " + errFault.Error() + "\n",
		"!!late":   "first\n\nError: " + errFault.Error() + "\n",
	} {
		_, payload, err := c.Do(t.Context(), script)
		if err != nil || string(payload) != want {
			t.Errorf("%s: %q, %v", script, payload, err)
		}
		what := Word(script)
		if what == "late" {
			what = "runtime error: index out of range"
		}
		book.one(t, what)
		if _, payload, err := c.Do(t.Context(), "!!next"); err != nil || string(payload) != "well\n" {
			t.Errorf("behind %s: %q, %v", script, payload, err)
		}
	}
}

// failingConn panics when something is done with it for the given time.
type failingConn struct {
	net.Conn
	reads, writes int
}

func (c *failingConn) Read(p []byte) (int, error) {
	if c.reads--; c.reads == 0 {
		panic("read")
	}
	return c.Conn.Read(p)
}

func (c *failingConn) Write(p []byte) (int, error) {
	if c.writes--; c.writes == 0 {
		panic("write")
	}
	return c.Conn.Write(p)
}

// failingListener makes such connections of the first ones.
type failingListener struct {
	net.Listener
	conns []*failingConn
}

func (l *failingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && len(l.conns) > 0 {
		l.conns[0].Conn, conn = conn, l.conns[0]
		l.conns = l.conns[1:]
	}
	return conn, err
}

// A fault elsewhere in a session, in whichever of its goroutines, closes that connection;
// all others are served.
func TestAFaultClosesItsConnectionOnly(t *testing.T) {
	for what, conn := range map[string]*failingConn{
		"read":  {reads: 2},
		"write": {writes: 3}, // the banner, the welcome, an answer: that is written by the timer
	} {
		t.Run(what, func(t *testing.T) {
			book := &saidBook{}
			path := t.TempDir() + "/sock"
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			stop := startOn(t, &Server{Log: book.printf, Handler: handler{func(ctx context.Context, script string) Reply {
				return Reply{Body: func(w io.Writer) error {
					io.WriteString(w, "well\n")
					if Word(script) == "follow" {
						<-ctx.Done()
						_, err := io.WriteString(w, "more\n")
						return err
					}
					return nil
				}}
			}}}, &failingListener{l, []*failingConn{conn}})
			failing := dial(t, path)
			io.WriteString(failing, "secret\n!!follow\n\n")
			if what == "read" {
				io.WriteString(failing, "!!more\n")
			}
			seen := ""
			other := client(t, path)
			if _, payload, err := other.Do(t.Context(), "!!a"); err != nil || string(payload) != "well\n" {
				t.Errorf("another session: %q, %v", payload, err)
			}
			for !strings.Contains(seen, bannerOK) {
				var buf [256]byte
				n, err := failing.Read(buf[:])
				if seen += string(buf[:n]); err != nil {
					break
				}
			}
			failing.Close()
			stop()
			for _, line := range book.lines {
				if !strings.Contains(line, "panic: "+what+", at telnet.(*failingConn)") {
					t.Errorf("the log says %q", line)
				}
			}
			if len(book.lines) == 0 {
				t.Error("the log says nothing of it")
			}
		})
	}
}
