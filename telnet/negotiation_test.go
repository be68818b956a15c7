package telnet

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	iac  = "\xff"
	will = iac + "\xfb"
	wont = iac + "\xfc"
	do   = iac + "\xfd"
	dont = iac + "\xfe"
	sb   = iac + "\xfa"
	se   = iac + "\xf0"
	ip   = iac + "\xf4"

	echo   = "\x01"
	sga    = "\x03"
	timing = "\x06"
	naws   = "\x1f"
	ttype  = "\x18"
)

func TestDecoder(t *testing.T) {
	for _, test := range []struct {
		name, in, text, reply string
		tcp                   bool
	}{
		{"plain bytes", "a\r\n\x00\r", "a\r\n\x00\r", "", false},
		{"line ends", "a\r\nb\r\x00c\nd\re\r\r\n", "a\nb\nc\nd\ne\n\n", "", true},
		{"CR, command, LF", "a\r" + iac + "\xf1\nb", "a\nb", "", true},
		{"doubled", "a" + iac + iac + "b", "a\xffb", "", true},
		{"no command", "a" + iac + "bc", "a\xffbc", "", false},
		{"a command ends plain bytes", "a\r\n" + iac + "\xf1b\r\n", "a\r\nb\n", "", false},
		{"refuses", will + "\x20" + do + "\x22" + "x", "x", dont + "\x20" + wont + "\x22", true},
		{"agrees once", do + echo + do + echo + will + naws + will + naws, "", will + echo + do + naws, true},
		{"leaves once", do + echo + dont + echo + dont + echo, "", will + echo + wont + echo, true},
		{"each timing mark", do + timing + do + timing, "", will + timing + will + timing, true},
		{"says nothing to a refusal", wont + naws + dont + echo, "", "", true},
		{"unfinished sub-negotiation", "a" + sb + "\x18\x00" + do + "\x22" + "b", "ab", wont + "\x22", true},
		{"long sub-negotiation", "a" + sb + strings.Repeat("x", 10000) + se + "b", "ab", "", true},
		{"end of file", iac + "\xec", "\x04", "", true},
		{"interrupt", "a" + ip + "b", "a^b", "", true},
	} {
		for _, step := range []int{1, 2, 1000} {
			d := decoder{negotiated: test.tcp, opts: serverOptions()}
			var text []byte
			for in := []byte(test.in); len(in) > 0; {
				piece := in[:min(step, len(in))]
				in = in[len(piece):]
				for len(piece) > 0 {
					var n int
					var interrupt bool
					text, n, interrupt = d.decode(text, piece)
					if interrupt {
						text = append(text, '^')
					}
					piece = piece[n:]
				}
			}
			if string(text) != test.text || string(d.reply) != test.reply {
				t.Errorf("%s, in steps of %d: got %q, reply %q; want %q, %q", test.name, step, text, d.reply, test.text, test.reply)
			}
		}
	}
}

// The name of a terminal's type is asked for once it is agreed that it may be, and is taken as
// a name only.
func TestTerminalType(t *testing.T) {
	for sent, want := range map[string]string{"XTERM-256COLOR": "xterm-256color", "vt100": "vt100", "a\x1b[2J": "", "": "", "a b": ""} {
		d := decoder{opts: serverOptions()}
		d.decode(nil, []byte(will+ttype+sb+ttype+"\x00"+sent+se))
		if d.terminal != want || string(d.reply) != do+ttype+sb+ttype+"\x01"+se {
			t.Errorf("%q is %q, and the answer %q", sent, d.terminal, d.reply)
		}
	}
	d := decoder{payload: true, opts: clientOptions()}
	d.decode(nil, []byte(sb+ttype+"\x00xterm"+se))
	if d.terminal != "" {
		t.Errorf("a client takes %q", d.terminal)
	}
}

func TestWindowSize(t *testing.T) {
	d := decoder{opts: serverOptions()}
	for _, c := range []byte(sb + naws + "\x00" + iac + iac + "\x00\x20" + se) {
		d.decode(nil, []byte{c})
	}
	if d.width != 255 || d.height != 32 {
		t.Errorf("got %d x %d", d.width, d.height)
	}
}

func startTCP(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, s, l)
	return l.Addr().String()
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestPlainTCPGetsLines(t *testing.T) {
	addr := startTCP(t, &Server{})
	want := will + echo + crlf(welcome) + wont + echo + crlf(frame("!!a\n"))
	if got := talk(t, addr, "secret\r\n!!a\r\n\r\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A client in line mode sends Ctrl-D by itself, at once; in a quote, and within a line,
// the byte is data.
func TestCtrlDInLineModeEndsTheInput(t *testing.T) {
	addr := startTCP(t, &Server{})
	greeting := will + echo + crlf(welcome) + wont + echo
	for _, c := range []struct {
		pieces  []string
		answers string
	}{
		{[]string{"!!a\r\n\x04"}, frame("!!a\n")},
		{[]string{"!!a\r\n", "\x04"}, frame("!!a\n")},
		{[]string{"\x04"}, ""},
		{[]string{"!!a x:'\r\n", "\x04", "\r\n'\r\n\r\n!!quit\r\n"}, frame("!!a x:'\n\x04\n'\n") + " ** Goodbye.\n"},
		{[]string{"!!a \x04\r\n\r\n!!quit\r\n"}, frame("!!a \x04\n") + " ** Goodbye.\n"},
	} {
		conn := dial(t, addr)
		io.WriteString(conn, "secret\r\n")
		readString(t, conn, greeting)
		for _, piece := range c.pieces {
			io.WriteString(conn, piece)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != crlf(c.answers) {
			t.Errorf("%q: got %q, %v, want %q", c.pieces, got, err, crlf(c.answers))
		}
	}
}

func TestClientOverTCP(t *testing.T) {
	addr := startTCP(t, &Server{Handler: handler{func(context.Context, string) Reply {
		return text("", "a\r\nb\rc\xff\n**x\n")
	}}})
	c := NewClient(dial(t, addr))
	if err := c.Authenticate(t.Context(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, got, err := c.Do(t.Context(), "!!a"); err != nil || string(got) != "a\r\nb\rc\xff\n**x\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestUnixSocketSeesNoCommandUntilItSendsOne(t *testing.T) {
	path, _ := start(t, &Server{})
	if got := talk(t, path, "secret\n!!a\n"); strings.Contains(got, iac) || strings.Contains(got, "\r") {
		t.Errorf("got %q", got)
	}
	want := bannerAsk + "\n" + will + echo + crlf(bannerOK+"\n") + wont + echo + crlf(frame("!!a\n"))
	conn := dial(t, path)
	readString(t, conn, bannerAsk+"\n")
	io.WriteString(conn, iac+"\xf1secret\r\n!!a\r\n")
	conn.(*net.UnixConn).CloseWrite()
	if got, _ := io.ReadAll(conn); bannerAsk+"\n"+string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPersonGetsAnEditingSession(t *testing.T) {
	addr := startTCP(t, &Server{Edit: func(_ context.Context, s *Session) error {
		<-s.Resized()
		w, h := s.Size()
		if w != 100 || h != 40 {
			t.Errorf("size %d x %d", w, h)
		}
		io.WriteString(s, "edit: ")
		buf := make([]byte, 100)
		for {
			n, err := s.Read(buf)
			if err != nil {
				return nil
			}
			s.Write(buf[:n])
		}
	}})
	conn := dial(t, addr)
	readString(t, conn, will+echo+bannerAsk+"\r\n")
	io.WriteString(conn, do+echo+"sexx\x7f\bcret\r\x00")
	readString(t, conn, "\r\n"+bannerOK+"\r\n"+will+sga+do+naws+do+ttype)
	io.WriteString(conn, do+sga+will+naws+sb+naws+"\x00\x64\x00\x28"+se)
	readString(t, conn, "edit: ")
	io.WriteString(conn, "a\r\n")
	readString(t, conn, "a\n") // an interrupt drops what nobody has read yet
	io.WriteString(conn, ip+do+timing)
	got := make([]byte, len("\x03"+will+timing))
	io.ReadFull(conn, got)
	if s := string(got); !strings.Contains(s, will+timing) || strings.ReplaceAll(s, will+timing, "") != "\x03" {
		t.Errorf("got %q", got)
	}
}

func TestClientThatRefusesSGAGetsLines(t *testing.T) {
	addr := startTCP(t, &Server{Edit: func(context.Context, *Session) error {
		t.Error("an editing session")
		return nil
	}})
	conn := dial(t, addr)
	readString(t, conn, will+echo+bannerAsk+"\r\n")
	io.WriteString(conn, do+echo+"secret\r\n")
	readString(t, conn, "\r\n"+bannerOK+"\r\n"+will+sga+do+naws+do+ttype)
	io.WriteString(conn, dont+sga)
	readString(t, conn, wont+echo)
	io.WriteString(conn, dont+echo+"!!a x:'\r\n"+ip+do+timing)
	readString(t, conn, will+timing)
	io.WriteString(conn, "!!b\r\n\r\n")
	readString(t, conn, crlf(frame("!!b\n")))
}

func TestInterruptEndsAStream(t *testing.T) {
	addr := startTCP(t, &Server{Handler: handler{func(ctx context.Context, _ string) Reply {
		return Reply{Body: func(w io.Writer) error {
			io.WriteString(w, "line\n")
			<-ctx.Done()
			return ctx.Err()
		}}
	}}})
	conn := dial(t, addr)
	readString(t, conn, will+echo+bannerAsk+"\r\n")
	io.WriteString(conn, "secret\n!!follow\n\n")
	readString(t, conn, crlf(bannerOK+"\n")+wont+echo+crlf("**RESULT** \nline\n"))
	io.WriteString(conn, ip)
	readString(t, conn, crlf("**ENDRESULT**\n"))
}

// What was typed ahead is dropped also where it arrived in one piece with what runs.
func TestInterruptDropsWhatWasTypedAhead(t *testing.T) {
	addr := startTCP(t, &Server{Handler: handler{func(ctx context.Context, script string) Reply {
		return Reply{Body: func(w io.Writer) error {
			io.WriteString(w, script)
			if script == "!!follow\n" {
				<-ctx.Done()
			}
			return nil
		}}
	}}})
	conn := dial(t, addr)
	readString(t, conn, will+echo+bannerAsk+"\r\n")
	io.WriteString(conn, "secret\r\n")
	readString(t, conn, crlf(bannerOK+"\n")+wont+echo)
	for _, ahead := range []string{"\r\n!!dropped\r\n\r\n!!too", "!!help\r\n", "\r\n"} {
		io.WriteString(conn, "!!follow\r\n"+ahead)
		readString(t, conn, crlf("**RESULT** \n!!follow\n"))
		io.WriteString(conn, ip+"!!kept\r\n\r\n")
		readString(t, conn, crlf("**ENDRESULT**\n"+frame("!!kept\n")))
	}
}

// FuzzSession throws bytes at a server from before the secret on.
func FuzzSession(f *testing.F) {
	f.Add([]byte("secret\r\n!!a\r\n\r\n"), true)
	f.Add([]byte(do+echo+"secret\r\n"+do+sga+will+naws+sb+naws+"\x00\x10\x00\x10"+se+"!!a\r"+ip), true)
	f.Add([]byte("secret\n!!a x:'\n"), false)
	f.Fuzz(func(t *testing.T, input []byte, tcp bool) {
		before := runtime.NumGoroutine()
		ours, theirs := net.Pipe()
		if tcp {
			theirs = asTCP{theirs}
		}
		s := &Server{Secret: []byte("secret"), Handler: handler{}, Edit: func(_ context.Context, s *Session) error {
			_, err := io.Copy(s, s)
			return err
		}}
		ctx, cancel := context.WithCancel(t.Context())
		p := &pipes{make(chan net.Conn, 1), make(chan struct{})}
		p.conns <- theirs
		served := make(chan struct{})
		go func() {
			s.Serve(ctx, p)
			close(served)
		}()
		read := make(chan struct{})
		go func() {
			io.Copy(io.Discard, ours)
			close(read)
		}()
		ours.SetWriteDeadline(time.Now().Add(patience))
		ours.Write(input)
		cancel()
		ours.Close()
		<-read
		select {
		case <-served:
		case <-time.After(patience):
			t.Fatal("the session hangs")
		}
		noneLeft(t, before)
	})
}
