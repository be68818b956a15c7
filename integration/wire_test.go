package integration

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Lines that the earlier implementation's clients compare.
const (
	bannerAsk   = " ** Welcome: you are not authenticated, provide secret."
	bannerOK    = " ** Welcome: you are authenticated."
	bannerWrong = "Invalid secret. Try again or disconnect."
)

// wire is a connection as nc -U makes one: bytes, and nothing done for anybody.
type wire struct {
	t    testing.TB
	conn *net.UnixConn
	r    *bufio.Reader
}

// connect is a connection on which nothing was said.
func (d *daemon) connect(t testing.TB) *wire {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: d.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * patience))
	return &wire{t, conn, bufio.NewReader(conn)}
}

// session is a connection that is authenticated.
func (d *daemon) session(t testing.TB) *wire {
	t.Helper()
	w := d.connect(t)
	w.expect(bannerAsk)
	w.send(theSecret + "\n")
	w.expect(bannerOK)
	return w
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatal(err)
	}
}

// line is the next line without its end; io.EOF's absence is a failure.
func (w *wire) line() string {
	w.t.Helper()
	line, err := w.r.ReadString('\n')
	if err != nil {
		w.t.Fatalf("read a line: %v, after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (w *wire) expect(line string) {
	w.t.Helper()
	if got := w.line(); got != line {
		w.t.Fatalf("got %q, want %q", got, line)
	}
}

// answer is the next frame: the jobid of its first line, and the payload.
func (w *wire) answer() (jobID, payload string) {
	w.t.Helper()
	first := w.line()
	jobID, ok := strings.CutPrefix(first, "**RESULT** ")
	if !ok {
		w.t.Fatalf("got %q, want **RESULT**", first)
	}
	for {
		line := w.line()
		if line == "**ENDRESULT**" {
			return jobID, payload
		}
		payload += line + "\n"
	}
}

// ask sends an action and an empty line, and is the payload of the answer.
func (w *wire) ask(action string) string {
	w.t.Helper()
	w.send(action + "\n\n")
	_, payload := w.answer()
	return payload
}

// rest half-closes and is all that still comes.
func (w *wire) rest() string {
	w.t.Helper()
	if err := w.conn.CloseWrite(); err != nil {
		w.t.Fatal(err)
	}
	data, err := io.ReadAll(w.r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}
