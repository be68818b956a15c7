package telnet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

// handler answers with the script, or as the function says.
type handler struct {
	f func(ctx context.Context, script string) Reply
}

func (h handler) Handle(ctx context.Context, script string, _ SessionInfo) Reply {
	if h.f != nil {
		return h.f(ctx, script)
	}
	return text("", script)
}

func (h handler) Error(script, code, message string) Reply {
	return text("", "Error: "+code+": "+message)
}

func text(jobID, payload string) Reply {
	return Reply{JobID: jobID, Body: func(w io.Writer) error {
		_, err := io.WriteString(w, payload)
		return err
	}}
}

// start serves on a Unix socket until stop, which also reports goroutines left.
func start(t *testing.T, s *Server) (path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return path, startOn(t, s, l)
}

func startOn(t *testing.T, s *Server, l net.Listener) (stop func()) {
	t.Helper()
	if s.Secret == nil {
		s.Secret = []byte("secret")
	}
	if s.Handler == nil {
		s.Handler = handler{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			buf := make([]byte, 1<<20)
			t.Fatalf("Serve did not return:\n%s", buf[:runtime.Stack(buf, true)])
		}
	})
	t.Cleanup(stop)
	return stop
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	network := "unix"
	if !strings.HasPrefix(path, "/") {
		network = "tcp"
	}
	conn, err := net.Dial(network, path)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func client(t *testing.T, path string) *Client {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(conn)
	t.Cleanup(func() { c.Close() })
	if err := c.Authenticate(t.Context(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	return c
}

// talk sends all of input, shuts down the writing side and returns all output.
func talk(t *testing.T, path, input string) string {
	t.Helper()
	conn := dial(t, path)
	if _, err := io.WriteString(conn, input); err != nil {
		t.Fatal(err)
	}
	conn.(interface{ CloseWrite() error }).CloseWrite()
	out, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const welcome = bannerAsk + "\n" + bannerOK + "\n"

func frame(payload string) string {
	return "**RESULT** \n" + payload + "**ENDRESULT**\n"
}

func TestFramer(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []string
		rest     string
	}{
		{"empty line", "!!a\n\n", []string{"!!a\n"}, ""},
		{"next action", "!!a\n!!b\n", []string{"!!a\n"}, "!!b\n"},
		{"hash", "!!a\n# x\n", []string{"!!a\n"}, ""},
		{"blanks are an empty line", "!!a\n \t\r\n", []string{"!!a\n"}, ""},
		{"CR LF", "!!a\r\n\r\n", []string{"!!a\r\n"}, ""},
		{"continued", "!!a\n  x:1\n  y:2\n\n", []string{"!!a\n  x:1\n  y:2\n"}, ""},
		{"nothing pending", "\n\n# x\n// y\n\n", nil, ""},
		{"open quote", "!!a x:'1\n\n!!b\n# c\n'\n\n", []string{"!!a x:'1\n\n!!b\n# c\n'\n"}, ""},
		{"comment with an apostrophe", "!!a // don't\n\n", []string{"!!a // don't\n"}, ""},
		{"help acts at its line end", "!!a\n!!help b\n!!quit\n", []string{"!!a\n", "!!help b\n", "!!quit\n"}, ""},
		{"helpful is a verb", "!!helpful\n", nil, "!!helpful\n"},
		{"stray text", "list\n\n", []string{"list\n"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f Framer
			var got []string
			for line := range strings.Lines(test.in) {
				got = append(got, f.Line(line)...)
			}
			rest, _, err := f.End()
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) || rest != test.rest || err != nil {
				t.Errorf("got %q, rest %q, error %v; want %q, %q", got, rest, err, test.want, test.rest)
			}
		})
	}
}

func TestPipelinedScriptIsAnswered(t *testing.T) {
	path, _ := start(t, &Server{})
	for _, test := range []struct{ name, in, want string }{
		{"one without a line end", "secret\n!!a", frame("!!a\n")},
		{"two", "secret\n!!a\n!!b\n", frame("!!a\n") + frame("!!b\n")},
		{"CR is data", "secret\n!!a x:'\r\r\n'\n", frame("!!a x:'\r\r\n'\n")},
		{"nothing", "secret\n\n\n", ""},
		{"quit answers what was pending", "secret\n!!a\n!!quit\n!!b\n", frame("!!a\n") + " ** Goodbye.\n"},
		{"open quote", "secret\n!!a x:'b\n\n", frame("Error: syntax: line 1, column 7: quote opened here is never closed\n")},
		{"0xFF without a command", "secret\n!!a x:\xffa\n", frame("!!a x:\xffa\n")},
		{"interactive", "secret\n!!interactive\n", frame("colours on\n")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := talk(t, path, test.in); got != welcome+test.want {
				t.Errorf("got %q, want %q", got, welcome+test.want)
			}
		})
	}
}

func TestTypedActionIsAnsweredAtTheEmptyLine(t *testing.T) {
	path, _ := start(t, &Server{})
	conn := dial(t, path)
	r := bufio.NewReader(conn)
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, len(want))
		if _, err := io.ReadFull(r, buf); err != nil || string(buf) != want {
			t.Fatalf("got %q, %v; want %q", buf, err, want)
		}
	}
	expect(bannerAsk + "\n")
	for _, c := range "secret\n" {
		io.WriteString(conn, string(c))
	}
	expect(bannerOK + "\n")
	for _, c := range "!!a\n\n" {
		io.WriteString(conn, string(c))
	}
	expect(frame("!!a\n"))
	io.WriteString(conn, "!!help\n")
	expect(frame("!!help\n"))
}

func TestPayloadComesBackExactly(t *testing.T) {
	payloads := []string{
		"", "\n", "a\n", "**ENDRESULT**\n", " **ENDRESULT**\n", "   ** x\n", "*\n", " *\n", "  \n",
		"*a\n**\n***\n", "a **ENDRESULT**\n", "**RESULT** x\n**ENDRESULT**\n**ENDRESULT**\n",
		strings.Repeat(" ", 100_000) + "**\n", strings.Repeat("x", 200_000) + "\n",
		"\r\n\r**\r\n", "\xff\xfe\x00\n", "**ENDRESULT\n", "**ENDRESULT** \n", strings.Repeat("**\n", 20_000),
	}
	for _, step := range []int{1, 3, 1 << 20} {
		path, _ := start(t, &Server{Handler: handler{func(_ context.Context, script string) Reply {
			var n int
			fmt.Sscanf(script, "!!p n:%d", &n)
			return Reply{JobID: "e42", Body: func(w io.Writer) error {
				for p := []byte(payloads[n]); len(p) > 0; {
					k := min(step, len(p))
					if _, err := w.Write(p[:k]); err != nil {
						return err
					}
					p = p[k:]
				}
				return nil
			}}
		}}})
		c := client(t, path)
		for n, want := range payloads {
			jobID, got, err := c.Do(t.Context(), fmt.Sprintf("!!p n:%d", n))
			if err != nil || jobID != "e42" || string(got) != want {
				t.Errorf("in steps of %d: payload %d: got %.80q, %q, %v; want %.80q", step, n, got, jobID, err, want)
			}
		}
	}
}

func TestPayloadGetsItsLineEnd(t *testing.T) {
	for _, last := range []string{"x", " ", "*", " *", "**", "a\nb"} {
		var b bytes.Buffer
		f := newFrameWriter(&b, "")
		io.WriteString(f, last)
		f.close()
		var got bytes.Buffer
		if _, err := readFrame(bufio.NewReader(&b), &got); err != nil || got.String() != last+"\n" {
			t.Errorf("%q: got %q, %v", last, got.String(), err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("**ENDRESULT**\n"), uint8(3))
	f.Add([]byte("  * \n **\n"), uint8(1))
	f.Fuzz(func(t *testing.T, payload []byte, step uint8) {
		var b bytes.Buffer
		w := newFrameWriter(&b, "j")
		for p := payload; len(p) > 0; {
			k := min(int(step)+1, len(p))
			w.Write(p[:k])
			p = p[k:]
		}
		w.close()
		b.WriteString("next\n")
		r := bufio.NewReaderSize(&b, 16)
		var got bytes.Buffer
		jobID, err := readFrame(r, &got)
		want := payload
		if len(want) > 0 && want[len(want)-1] != '\n' {
			want = append(bytes.Clone(want), '\n')
		}
		if err != nil || jobID != "j" || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("got %q, %v; want %q", got.Bytes(), err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "next\n" {
			t.Fatalf("behind the frame: %q", rest)
		}
	})
}

func TestStreamArrivesWhileItIsWritten(t *testing.T) {
	ended := make(chan struct{})
	path, _ := start(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		return Reply{Body: func(w io.Writer) error {
			io.WriteString(w, "no line end")
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}}
	}}})
	c := client(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		buf := make([]byte, len("no line end"))
		io.ReadFull(r, buf)
		cancel()
		io.Copy(io.Discard, r)
	}()
	err := c.Stream(ctx, "!!follow", w)
	w.Close()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Stream: %v", err)
	}
	if _, _, err := c.Do(t.Context(), "!!a"); !errors.Is(err, ErrBroken) {
		t.Errorf("after it: %v, want ErrBroken", err)
	}
	c.Close()
	<-ended // the hang-up ended the body
}

func TestHalfCloseDoesNotEndAStream(t *testing.T) {
	halfClosed := make(chan struct{})
	path, _ := start(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		return Reply{Body: func(w io.Writer) error {
			select {
			case <-halfClosed:
				_, err := io.WriteString(w, "still here\n")
				return err
			case <-ctx.Done():
				return errors.New("hung up")
			}
		}}
	}}})
	conn := dial(t, path)
	io.WriteString(conn, "secret\n!!follow\n")
	conn.(*net.UnixConn).CloseWrite()
	r := bufio.NewReader(conn)
	for line := ""; !strings.HasPrefix(line, resultMark); {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(halfClosed)
	if rest, _ := io.ReadAll(r); string(rest) != "still here\n**ENDRESULT**\n" {
		t.Errorf("got %q", rest)
	}
}

// A hang-up ends a stream also where it stands behind input that nobody takes.
func TestHangingUpBehindMuchInputEndsAStream(t *testing.T) {
	before := runtime.NumGoroutine()
	begun, ended, did := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		if script != "!!follow\n" {
			close(did)
			return Reply{}
		}
		return Reply{Body: func(w io.Writer) error {
			close(begun)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}}
	}}}
	path, stop := start(t, s)
	conn := dial(t, path)
	io.WriteString(conn, "secret\n!!follow\n\n")
	<-begun
	io.WriteString(conn, strings.Repeat("// x\n", 25_000)+"!!b\n\n") // over 64 KiB read ahead
	conn.(*net.UnixConn).CloseWrite()
	select { // a client that reads on has not hung up
	case <-ended:
		t.Error("a half-closed connection has hung up")
	case <-time.After(lookTime + lookTime/2):
	}
	conn.Close()
	for _, c := range []chan struct{}{ended, did} {
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatal("it is not seen, or what was sent is not carried out")
		}
	}
	stop()
	noneLeft(t, before)
}

func TestHangingUpCancelsNothing(t *testing.T) {
	did := make(chan string, 10)
	begun, goOn := make(chan struct{}), make(chan struct{})
	path, stop := start(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		if script == "!!first\n" {
			close(begun)
			<-goOn
		}
		if ctx.Err() != nil {
			t.Errorf("%q was cancelled", script)
		}
		did <- script
		return text("", "done")
	}}})
	conn := dial(t, path)
	io.WriteString(conn, "secret\n!!first\n!!second\n!!third\n")
	<-begun
	conn.Close()
	close(goOn)
	for _, want := range []string{"!!first\n", "!!second\n", "!!third\n"} {
		if got := <-did; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	stop()
}

func TestShutdownAnswersWhatRunsAndRefusesWhatWaits(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	path, stop := start(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		close(begun)
		<-goOn
		if ctx.Err() != nil {
			t.Error("the running request was cancelled")
		}
		return text("", "done\n")
	}}})
	conn := dial(t, path)
	idle := client(t, path)
	io.WriteString(conn, "secret\n!!first\n!!second\n!!third\n")
	<-begun
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for {
		// The listener is closed once the shutdown has begun.
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		c.Close()
	}
	close(goOn)
	out, _ := io.ReadAll(conn)
	late := frame("Error: shutting_down: the daemon is shutting down\n")
	if want := welcome + frame("done\n") + late + late; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	<-stopped
	if _, _, err := idle.Do(t.Context(), "!!x"); err == nil {
		t.Error("the idle connection is still served")
	}
}

// What accept gives on a TCP socket that is shut down, which TestShutdownOfTheSocketIsNotLogged
// takes for granted. On a Unix socket it goes on waiting.
func TestAcceptOnASocketThatIsShutDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.Shutdown(int(fd), syscall.SHUT_RD) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestShutdownEndsStreams(t *testing.T) {
	begun := make(chan struct{})
	path, stop := start(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		return Reply{Body: func(w io.Writer) error {
			io.WriteString(w, "line\n")
			close(begun)
			<-ctx.Done()
			if cause := context.Cause(ctx); cause != ErrShuttingDown {
				t.Errorf("it ends because of %v", cause)
			}
			return nil
		}}
	}}})
	c := client(t, path)
	go func() { <-begun; stop() }()
	if _, got, err := c.Do(t.Context(), "!!follow"); err != nil || string(got) != "line\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNothingIsAnsweredBeforeTheSecret(t *testing.T) {
	path, _ := start(t, &Server{Handler: handler{func(context.Context, string) Reply {
		t.Error("an action was carried out")
		return Reply{}
	}}})
	if got := talk(t, path, ""); got != bannerAsk+"\n" {
		t.Errorf("got %q", got)
	}
	if got := talk(t, path, strings.Repeat("x", authBytes+1)); got != bannerAsk+"\n" {
		t.Errorf("64 KiB without a line: got %q", got)
	}
	if got := talk(t, path, "!!help"); got != bannerAsk+"\n"+bannerWrong+"\n" {
		t.Errorf("got %q", got)
	}
}

func TestWrongSecretIsTyped(t *testing.T) {
	path, _ := start(t, &Server{})
	conn := dial(t, path)
	c := NewClient(conn)
	if err := c.Authenticate(t.Context(), []byte("wrong")); !errors.Is(err, ErrNotAuthenticated) {
		t.Errorf("got %v", err)
	}
	if err := c.Authenticate(t.Context(), []byte("secret")); err != nil {
		t.Errorf("the second attempt: %v", err)
	}
}

func TestEmptySecretLetsNobodyIn(t *testing.T) {
	path, _ := start(t, &Server{Secret: []byte{}})
	if got := talk(t, path, "\n"); strings.Contains(got, bannerOK) {
		t.Errorf("got %q", got)
	}
}

func TestTooLongIsAnsweredAndEndsTheConnection(t *testing.T) {
	path, _ := start(t, &Server{})
	conn := dial(t, path)
	go io.WriteString(conn, "secret\n!!a x:'"+strings.Repeat("0123456789\n", MaxPending/10))
	out, _ := io.ReadAll(conn)
	if want := welcome + frame("Error: too_long: an action may have 1048576 bytes\n"); string(out) != want {
		t.Errorf("got %q", out)
	}
	c := client(t, path)
	script := "!!a x:'" + strings.Repeat("x", MaxPending-9) + "'"
	if _, got, err := c.Do(t.Context(), script); err != nil || string(got) != script+"\n" {
		t.Errorf("1 MiB: %d bytes, %v", len(got), err)
	}
}

// The handler tells the format from what there is of the action.
func TestTooLongIsToldWhatThereIsOfTheAction(t *testing.T) {
	long := strings.Repeat("x", MaxPending)
	for _, test := range []struct{ name, in, refused, before string }{
		{"one line", "!!a format:json y:" + long, "!!a format:json y:", ""},
		{"a line of several", "!!a format:json\n y:" + long, "!!a format:json\n y:", ""},
		{"in a quote", "!!a format:json y:'\n!!" + long, "!!a format:json y:'\n!!", ""},
		{"behind another", "!!b\n!!a format:json y:" + long, "!!a format:json y:", "!!b\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var did, refused []string
			path, stop := start(t, &Server{Handler: recorder{&did, &refused}})
			conn := dial(t, path)
			go io.WriteString(conn, "secret\n"+test.in+"\n")
			io.Copy(io.Discard, conn)
			conn.Close()
			stop()
			if len(refused) != 1 || !strings.HasPrefix(refused[0], test.refused+"xxx") {
				t.Errorf("refused %d scripts: %.40q", len(refused), refused)
			}
			if strings.Join(did, "") != test.before {
				t.Errorf("carried out %.40q", did)
			}
		})
	}
}

// recorder notes what it is given.
type recorder struct{ did, refused *[]string }

func (r recorder) Handle(_ context.Context, script string, _ SessionInfo) Reply {
	*r.did = append(*r.did, script)
	return Reply{}
}

func (r recorder) Error(script, _, _ string) Reply {
	*r.refused = append(*r.refused, script)
	return Reply{}
}

func TestClientsThatHangUpInMidLineLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	path, stop := start(t, &Server{})
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			if i%2 == 0 {
				io.WriteString(conn, "secret\n!!a\n\n!!process.st")
				return
			}
			io.WriteString(conn, "secret\n!!a\n\n!!quit\n")
			if out, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(out), frame("!!a\n")+" ** Goodbye.\n") {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	all.Wait()
	stop()
	noneLeft(t, before)
}

// noneLeft fails the test if goroutines stay that were not there before.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, now:\n%s", before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestClientRefusesWhatIsNotOneAction(t *testing.T) {
	path, _ := start(t, &Server{})
	c := client(t, path)
	for _, script := range []string{"", "\n", "# x", "!!a\n!!b", "!!a\n\n!!b", "!!a x:'"} {
		if _, _, err := c.Do(t.Context(), script); !errors.Is(err, ErrNotOneAction) {
			t.Errorf("%q: %v", script, err)
		}
	}
	for _, script := range []string{"!!a\n\n\n", "!!help", "!!a x:'\n\n!!b\n'\n // c"} {
		if _, _, err := c.Do(t.Context(), script); err != nil {
			t.Errorf("%q: %v", script, err)
		}
	}
}

// A server that lingers has ended its output only; what it said before is unread.
func TestClientSeesThatItsServerHungUp(t *testing.T) {
	path, _ := start(t, &Server{})
	for _, address := range []string{path, startTCP(t, &Server{})} {
		conn := dial(t, address)
		c := NewClient(conn)
		if err := c.Authenticate(t.Context(), []byte("secret")); err != nil {
			t.Fatal(err)
		}
		if c.HungUp() {
			t.Errorf("%s: a server that is there has hung up", address)
		}
		if err := c.send([]byte("!!quit\n")); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(patience); !c.HungUp(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: it is not seen", address)
			}
		}
		readString(t, c.r, " ** Goodbye.\n")
	}
}

func TestClientKeepsItsContext(t *testing.T) {
	release := make(chan struct{})
	path, _ := start(t, &Server{Handler: handler{func(context.Context, string) Reply {
		<-release
		return Reply{}
	}}})
	defer close(release)
	c := client(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := c.Do(ctx, "!!slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.Do(t.Context(), "!!a"); !errors.Is(err, ErrBroken) {
		t.Errorf("after it: %v", err)
	}
}

func TestFailedBodyIsReported(t *testing.T) {
	path, _ := start(t, &Server{Handler: handler{func(_ context.Context, script string) Reply {
		return Reply{Body: func(w io.Writer) error {
			if script == "!!half\n" {
				io.WriteString(w, "half\n")
			}
			return errors.New("disk gone")
		}}
	}}})
	c := client(t, path)
	if _, got, _ := c.Do(t.Context(), "!!none"); string(got) != "Error: internal: disk gone\n" {
		t.Errorf("got %q", got)
	}
	if _, got, _ := c.Do(t.Context(), "!!half"); string(got) != "half\n\nError: disk gone\n" {
		t.Errorf("got %q", got)
	}
}

func TestPeerUIDIsOurs(t *testing.T) {
	path, _ := start(t, &Server{})
	uid, err := PeerUID(dial(t, path))
	if err != nil || uid != os.Geteuid() {
		t.Errorf("got %d, %v", uid, err)
	}
}

// Somebody else who listens where a daemon is expected gets no secret.
func TestUntrustedServerGetsNoSecret(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir, err := os.MkdirTemp("", "pm-telnet-") // where another user may look
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sock")
	exe, err := os.Open("/proc/self/exe") // its path may be closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	impostor := exec.Command("/proc/self/fd/3")
	impostor.ExtraFiles = []*os.File{exe}
	impostor.Dir = "/"
	impostor.Env = []string{impostorEnv + "=" + path}
	impostor.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	impostor.Stderr = os.Stderr
	stdin, err := impostor.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := impostor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := impostor.Start(); err != nil {
		t.Fatal(err)
	}
	defer impostor.Wait()
	defer stdin.Close()
	readString(t, out, "listening\n")

	conn := dial(t, path)
	c := NewClient(conn)
	if err := c.Authenticate(t.Context(), []byte("secret")); !errors.Is(err, ErrUntrustedServer) {
		t.Errorf("got %v", err)
	}
	c.Close()
	if got, err := io.ReadAll(out); err != nil || len(got) > 0 {
		t.Errorf("the server was sent %q, %v", got, err)
	}
}

const impostorEnv = "PM_TEST_IMPOSTOR"

func TestMain(m *testing.M) {
	if path := os.Getenv(impostorEnv); path != "" {
		impostor(path)
		return
	}
	os.Exit(m.Run())
}

// impostor greets one client as a server does, and prints what it is sent.
func impostor(path string) {
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	go func() { // ends with its parent
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	conn, err := l.Accept()
	if err != nil {
		os.Exit(1)
	}
	io.WriteString(conn, bannerAsk+"\n")
	io.Copy(os.Stdout, conn)
}
