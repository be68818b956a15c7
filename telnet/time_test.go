package telnet

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener for connections in memory, whose time can be faked.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// asTCP makes a connection in memory count as TCP.
type asTCP struct{ net.Conn }

func (asTCP) LocalAddr() net.Addr { return &net.TCPAddr{} }

func inBubble(t *testing.T, s *Server, f func(t *testing.T, dial func() net.Conn, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		if s.Handler == nil {
			s.Handler = handler{}
		}
		s.Secret = []byte("secret")
		ctx, stop := context.WithCancel(t.Context())
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		served := make(chan struct{})
		go func() {
			s.Serve(ctx, p)
			close(served)
		}()
		f(t, p.dial, stop)
		stop()
		<-served
	})
}

func readString(t *testing.T, r io.Reader, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != want {
		t.Fatalf("got %q, %v; want %q", buf, err, want)
	}
}

func TestWrongSecretCostsASecondAndTheThirdTheConnection(t *testing.T) {
	inBubble(t, &Server{}, func(t *testing.T, dial func() net.Conn, _ func()) {
		conn, other := dial(), dial()
		begin := time.Now()
		readString(t, conn, bannerAsk+"\n")
		for n := 1; n <= authTries; n++ {
			io.WriteString(conn, "wrong\n")
			if n == 1 {
				readString(t, other, bannerAsk+"\n")
				io.WriteString(other, "secret\n")
				readString(t, other, bannerOK+"\n")
				if time.Since(begin) > 0 {
					t.Error("others were kept waiting")
				}
				other.Close()
			}
			readString(t, conn, bannerWrong+"\n")
			if got := time.Since(begin); got != time.Duration(n)*time.Second {
				t.Errorf("answer %d came after %v", n, got)
			}
		}
		if rest, _ := io.ReadAll(conn); len(rest) > 0 {
			t.Errorf("then got %q", rest)
		}
	})
}

func TestSilenceBeforeTheSecretEndsAfter30Seconds(t *testing.T) {
	inBubble(t, &Server{}, func(t *testing.T, dial func() net.Conn, _ func()) {
		conn := dial()
		begin := time.Now()
		go io.WriteString(conn, "half a sec")
		io.ReadAll(conn)
		if got := time.Since(begin); got != authTime {
			t.Errorf("closed after %v", got)
		}
	})
}

func TestReaderThatTakesNothingIsDisconnected(t *testing.T) {
	var wrote time.Duration
	h := handler{func(context.Context, string) Reply {
		return Reply{Body: func(w io.Writer) error {
			begin := time.Now()
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
					wrote = time.Since(begin)
					return err
				}
			}
		}}
	}}
	inBubble(t, &Server{Handler: h}, func(t *testing.T, dial func() net.Conn, _ func()) {
		conn := dial()
		readString(t, conn, bannerAsk+"\n")
		io.WriteString(conn, "secret\n!!a\n!!b\n")
		readString(t, conn, bannerOK+"\n")
		// A slow reader is not one that takes nothing.
		for range 5 {
			time.Sleep(writeTime - time.Second)
			conn.Read(make([]byte, 1))
		}
		begin := wrote
		time.Sleep(2 * writeTime)
		synctest.Wait()
		if begin != 0 || wrote == 0 {
			t.Errorf("disconnected after %v", wrote)
		}
	})
}

// A patient answer waits for a reader that takes nothing, until the shutdown. The next answer
// is not patient.
func TestPatientAnswerWaitsForItsReader(t *testing.T) {
	var failed time.Time
	h := handler{func(_ context.Context, script string) Reply {
		return Reply{Patient: strings.HasPrefix(script, "!!a"), Body: func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("x", 100_000))
			if err != nil {
				failed = time.Now()
			}
			return err
		}}
	}}
	for _, next := range []string{"shutdown", "!!b"} {
		failed = time.Time{}
		inBubble(t, &Server{Handler: h}, func(t *testing.T, dial func() net.Conn, stop func()) {
			conn := dial()
			readString(t, conn, bannerAsk+"\n")
			io.WriteString(conn, "secret\n!!a\n!!b\n\n")
			readString(t, conn, bannerOK+"\n")
			time.Sleep(100 * writeTime)
			synctest.Wait()
			if !failed.IsZero() {
				t.Errorf("disconnected at %v", failed)
			}
			begin, limit := time.Now(), hurryTime
			if next == "shutdown" {
				stop()
			} else {
				readString(t, conn, resultMark+" \n"+strings.Repeat("x", 100_000)+"\n"+endMark+"\n")
				begin, limit = time.Now(), writeTime
			}
			time.Sleep(2 * limit)
			synctest.Wait()
			if took := failed.Sub(begin); took < limit || took > limit+time.Second {
				t.Errorf("%s: disconnected after %v", next, took)
			}
			conn.Close()
		})
	}
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	h := handler{func(ctx context.Context, _ string) Reply {
		<-ctx.Done()
		return Reply{}
	}}
	inBubble(t, &Server{Handler: h, Drain: time.Minute}, func(t *testing.T, dial func() net.Conn, stop func()) {
		conn := dial()
		readString(t, conn, bannerAsk+"\n")
		io.WriteString(conn, "secret\n!!a\n\n")
		readString(t, conn, bannerOK+"\n")
		synctest.Wait()
		begin := time.Now()
		stop()
		io.ReadAll(conn)
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("closed after %v", got)
		}
	})
}

func TestIdleLimitIsForNegotiatedSessions(t *testing.T) {
	inBubble(t, &Server{Idle: time.Hour}, func(t *testing.T, dial func() net.Conn, _ func()) {
		plain, telnet := dial(), dial()
		for _, conn := range []net.Conn{plain, telnet} {
			readString(t, conn, bannerAsk+"\n")
			io.WriteString(conn, "secret\n")
			readString(t, conn, bannerOK+"\n")
		}
		io.WriteString(telnet, "\xff\xf1") // NOP
		io.WriteString(telnet, "\n")
		begin := time.Now()
		io.ReadAll(telnet)
		if got := time.Since(begin); got != time.Hour {
			t.Errorf("closed after %v", got)
		}
		time.Sleep(24 * time.Hour)
		io.WriteString(plain, "!!a\n\n")
		readString(t, plain, frame("!!a\n"))
		plain.Close()
	})
}

func TestWithoutAnIdleLimitAPersonMayBeSilent(t *testing.T) {
	inBubble(t, &Server{Idle: NoIdle}, func(t *testing.T, dial func() net.Conn, _ func()) {
		conn := dial()
		readString(t, conn, bannerAsk+"\n")
		io.WriteString(conn, "secret\n")
		readString(t, conn, bannerOK+"\n")
		io.WriteString(conn, "\xff\xf1") // NOP
		time.Sleep(365 * 24 * time.Hour)
		io.WriteString(conn, "!!quit\n")
		readString(t, conn, " ** Goodbye.\r\n")
		conn.Close()
	})
}

// TestWhatABodyWritesArrivesSoon also where the answer begins long after its writer
// was made, as it can on a busy host.
func TestWhatABodyWritesArrivesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		f := newBareWriter(&b)
		arrives := func(want string) {
			t.Helper()
			time.Sleep(2 * flushDelay)
			synctest.Wait()
			if b.String() != want {
				t.Errorf("%q has arrived, not %q", b.String(), want)
			}
		}
		time.Sleep(2 * flushDelay)
		f.begin("j")
		arrives("**RESULT** j\n")
		io.WriteString(f, "one\n")
		io.WriteString(f, "two\n")
		arrives("**RESULT** j\none\ntwo\n")
		io.WriteString(f, "three\n")
		arrives("**RESULT** j\none\ntwo\nthree\n")
		if err := f.close(); err != nil {
			t.Error(err)
		}
		arrives("**RESULT** j\none\ntwo\nthree\n**ENDRESULT**\n")
	})
}

// shutDown is a listening socket after shutdown(2).
type shutDown struct{ net.Listener }

func (shutDown) Accept() (net.Conn, error) { return nil, syscall.EINVAL }

// A listening socket that is shut down is no trouble: the shutdown follows.
func TestShutdownOfTheSocketIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Secret: []byte("secret"), Handler: handler{}, Log: func(format string, args ...any) {
			t.Errorf("logged: "+format, args...)
		}}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		go func() { served <- s.Serve(ctx, shutDown{p}) }()
		time.Sleep(24 * time.Hour)
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
