package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// asked asks a probe once, for a second at the most.
func asked(t *testing.T, text string) error {
	t.Helper()
	p, err := process.ParseProbe(text)
	if err != nil {
		t.Fatal(err)
	}
	return NewTurns().Ask(t.Context(), p, time.Second, nil)
}

// serve accepts connections and has each handled.
func serve(t *testing.T, network, address string, handle func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
	return l
}

func TestConnect(t *testing.T) {
	var connections atomic.Int32
	tcp := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { connections.Add(1); io.Copy(io.Discard, c) })
	path := filepath.Join(t.TempDir(), "s")
	unix := serve(t, "unix", path, func(net.Conn) {})
	if err := asked(t, "tcp:"+tcp.Addr().String()); err != nil {
		t.Error(err)
	}
	if err := asked(t, "unix:"+path); err != nil {
		t.Error(err)
	}
	tcp.Close()
	unix.Close()
	for text, want := range map[string]string{
		"tcp:" + tcp.Addr().String(): "tcp " + tcp.Addr().String() + ": connection refused",
		"unix:" + path:               "unix " + path + ": no such file or directory",
		"unix:/etc/passwd":           "unix /etc/passwd: connection refused",
	} {
		if err := asked(t, text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// One answer for each request: what a server may say, and what that means.
func TestGet(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                                           "",
		"HTTP/1.0 204 No Content\n\n":                                                            "",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n":                            "", // is not followed
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n": "",
		"HTTP/1.1 399\r\n\r\n":                                                                   "",
		"HTTP/1.1 404 Not Found\r\n\r\n":                                                         "status 404 Not Found",
		"HTTP/1.1 503 \x1b[31mgone\r\n\r\n":                                                      `status 503 \x1b[31mgone`,
		"HTTP/1.1 503 " + strings.Repeat("long ", 500) + "\r\n\r\n":                              "status 503 long",
		"HTTP/1.1 600 x\r\n\r\n":                                                                 "status 600",
		"HTTP/1.1 99 x\r\n\r\n":                                                                  "is not HTTP",
		"HTTP/1.1 2000 x\r\n\r\n":                                                                "is not HTTP",
		"HTTP/2 200\r\n\r\n":                                                                     "is not HTTP",
		"SSH-2.0-OpenSSH_9.2\r\n":                                                                "is not HTTP",
		strings.Repeat("x", 70<<10):                                                              "is not HTTP",
		"":                                                                                       "closed without an answer",
		"HTTP/1.1 100 x\r\n" + strings.Repeat("a: b\r\n", 20<<10):                                "closed without an answer", // more than 64 KiB
	} {
		var request atomic.Value
		l := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
			buf := make([]byte, 4096)
			n, _ := c.Read(buf)
			request.Store(string(buf[:n]))
			io.WriteString(c, answer)
		})
		err := asked(t, "http://"+l.Addr().String()+"/health?a=b#c")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", answer, err, want)
		}
		if err != nil && (len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x1b\n\r")) {
			t.Errorf("%.60q: the words are long, or act on a terminal: %q", answer, err)
		}
		if got, _ := request.Load().(string); !strings.HasPrefix(got, "GET /health?a=b HTTP/1.1\r\nHost: "+l.Addr().String()+"\r\n") {
			t.Errorf("asked %q", got)
		}
	}
}

// A server that answers and never ends its answer has answered.
func TestAnAnswerWithoutEndIsOne(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := c.Write(make([]byte, 4096)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	if err := asked(t, "http://"+l.Addr().String()); err != nil {
		t.Error(err)
	}
}

// A server that accepts and says nothing is waited for no longer than the limit.
func TestSilenceIsNoAnswer(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { io.Copy(io.Discard, c) })
	p, _ := process.ParseProbe("http://" + l.Addr().String())
	err := NewTurns().Ask(t.Context(), p, 50*time.Millisecond, nil)
	if err == nil || !strings.HasSuffix(err.Error(), ": no answer within 50ms") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if began := time.Now(); NewTurns().Ask(ctx, p, time.Hour, nil) == nil || time.Since(began) > 10*time.Second {
		t.Error("it did not end with its context")
	}
}

func TestCommands(t *testing.T) {
	p, _ := process.ParseProbe("exec:check it")
	turns := NewTurns()
	exec := func(err error) func(context.Context, string) error {
		return func(_ context.Context, command string) error {
			if command != "check it" {
				t.Errorf("command %q", command)
			}
			return err
		}
	}
	if err := turns.Ask(t.Context(), p, time.Second, exec(nil)); err != nil {
		t.Error(err)
	}
	if err := turns.Ask(t.Context(), p, time.Second, exec(errors.New("exit code 3: no\x1b[2J"))); err == nil || err.Error() != `exec "check it": exit code 3: no\x1b[2J` {
		t.Error(err)
	}
	err := turns.Ask(t.Context(), p, 10*time.Millisecond, func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return fmt.Errorf("killed: %w", ctx.Err())
	})
	if err == nil || !strings.HasSuffix(err.Error(), "no answer within 10ms") {
		t.Error(err)
	}
}

// More probes than turns that all hang: each has its whole time, and none fails for having
// waited; and commands leave the turns of connections alone.
func TestWaitingForATurnIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := process.ParseProbe("exec:x")
		turns := NewTurns()
		var under, most, ended atomic.Int32
		for range 3 * commands {
			go turns.Ask(t.Context(), p, 10*time.Second, func(ctx context.Context, _ string) error {
				for n := under.Add(1); ; {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				time.Sleep(9 * time.Second)
				under.Add(-1)
				if ctx.Err() == nil {
					ended.Add(1)
				}
				return nil
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := make(chan error, 1)
		synctest.Wait()
		go func() { waits <- turns.Ask(ctx, p, time.Second, nil) }()
		synctest.Wait()
		cancel()
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Errorf("who gives up before its turn: %v", err)
		}
		time.Sleep(time.Minute)
		if most.Load() != commands || ended.Load() != 3*commands {
			t.Errorf("%d at once, %d had their time", most.Load(), ended.Load())
		}
	})
}

// The probes of a thousand processes with like names come one by one, always at the same
// moments, and one of each in every period.
func TestProbesAreSpread(t *testing.T) {
	const period, n = 10 * time.Second, 1000
	var tenths [100]int
	for i := range n {
		name := fmt.Sprintf("web-%d", i)
		first := Next(name, period, 0)
		if first <= 0 || first > period {
			t.Fatalf("%s: first at %v", name, first)
		}
		if again := Next(name, period, first); again != first+period {
			t.Fatalf("%s: at %v, then at %v", name, first, again)
		}
		if late := Next(name, period, first+25*period+period/2); late != first+26*period {
			t.Fatalf("%s: at %v, and later at %v", name, first, late)
		}
		tenths[int(first-1)*len(tenths)/int(period)]++
	}
	for i, k := range tenths {
		if k > 30 { // 10 on the average
			t.Errorf("%d probes between %d and %d tenths", k, i, i+1)
		}
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	l := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) { c.Read(make([]byte, 100)); io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") })
	before := runtime.NumGoroutine()
	for range 20 {
		if err := errors.Join(asked(t, "tcp:"+l.Addr().String()), asked(t, "http://"+l.Addr().String())); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d now", before, runtime.NumGoroutine())
		}
	}
}
