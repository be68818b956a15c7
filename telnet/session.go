package telnet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Control characters that people type.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	del       = 0x7f
)

// A Session is one connection of a [Server]. Two goroutines work for it: one
// reads and decodes, a little ahead of the other, which carries out one action
// after another.
type Session struct {
	server  *Server
	conn    net.Conn
	remote  string
	closing context.Context // ends at the shutdown
	work    context.Context // ends when the shutdown has waited long enough
	gone    context.Context // ends when the client has hung up
	hangUp  context.CancelFunc

	in   chan chunk    // decoded input; closed at its end
	done chan struct{} // closed when nobody takes from in any more
	eof  bool          // set before in is closed: the input ended cleanly
	left []byte        // of the last chunk
	line []byte        // what has come of the next line

	mu            sync.Mutex // guards the next group
	decoder       decoder
	authenticated bool
	editing       bool
	color         bool
	endBody       context.CancelFunc // of the answer on its way

	changed chan struct{} // holds a token if the options may have changed
	resized chan struct{} // holds a token if the window may have changed

	writeMu    sync.Mutex // guards the next group
	negotiated bool
	writeErr   error

	endEdit chan struct{} // closed by StopReading
}

// A chunk is decoded text, or an interrupt.
type chunk struct {
	text      []byte
	interrupt bool
}

// Reasons why no line comes, besides io.EOF.
var (
	errInterrupt = errors.New("interrupted")
	errTooLong   = errors.New("too long without an end")
	errShutdown  = errors.New("shutting down")
	errTime      = errors.New("nothing came in time")
	errCut       = errors.New("connection lost")
)

func newSession(server *Server, conn net.Conn) *Session {
	s := &Session{
		server:  server,
		conn:    conn,
		in:      make(chan chunk, 16),
		done:    make(chan struct{}),
		decoder: decoder{opts: serverOptions()},
		changed: make(chan struct{}, 1),
		resized: make(chan struct{}, 1),
		endEdit: make(chan struct{}),
	}
	s.remote = conn.RemoteAddr().String()
	if cred, err := peer(conn); err == nil {
		s.remote = fmt.Sprintf("uid %d pid %d", cred.Uid, cred.Pid)
	}
	if _, tcp := conn.LocalAddr().(*net.TCPAddr); tcp {
		s.decoder.negotiated, s.negotiated = true, true
	}
	return s
}

// serve is the life of a session. closing ends at the shutdown, work when the
// shutdown has waited long enough.
func (s *Session) serve(closing, work context.Context) {
	s.closing, s.work = closing, work
	s.gone, s.hangUp = context.WithCancel(context.Background())
	defer s.hangUp()
	defer context.AfterFunc(work, func() { s.conn.Close() })()

	var reader sync.WaitGroup
	reader.Go(s.read)
	defer reader.Wait()
	defer s.conn.Close()
	defer close(s.done)

	if s.authenticate() {
		s.talk()
	}
	s.linger()
}

// talk carries out actions until either side has enough.
func (s *Session) talk() {
	if s.server.Edit == nil || !s.agreeToEdit() {
		s.negotiate(func(o *options) []byte { return o.leave(optEcho) })
		s.lines()
		return
	}
	s.mu.Lock()
	s.editing = true
	s.mu.Unlock()
	if err := s.server.Edit(s.closing, s); err != nil && s.gone.Err() == nil {
		s.server.logf("%s: editing session: %v", s.remote, err)
	}
}

// linger lets the last answer arrive: closing at once, with input unread, may
// make the other end lose it.
func (s *Session) linger() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	wait := lingerTime
	if s.closing.Err() != nil {
		wait = shutdownInput // idle clients must not hold up the shutdown
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-s.in:
			if !ok {
				return
			}
		case <-timer.C:
			return
		}
	}
}

// read is the reading goroutine. It ends when the client is gone or the session
// closes the connection.
func (s *Session) read() {
	defer s.hangUp()
	err := s.readInput()
	s.eof = err == io.EOF
	close(s.in)
	if s.eof {
		awaitHangup(s.conn)
	}
}

func (s *Session) readInput() error {
	buf := make([]byte, 4<<10)
	for {
		n, err := s.conn.Read(buf)
		for src := buf[:n]; len(src) > 0; {
			text, k, interrupt := s.decode(src)
			src = src[k:]
			if len(text) > 0 && !s.put(chunk{text: text}) {
				return net.ErrClosed
			}
			if !interrupt {
				continue
			}
			// A client that asks for a timing mark behind its interrupt shows
			// nothing until that has come: it goes before the prompt.
			if mark := []byte{cmdIAC, cmdDo, optTimingMark}; bytes.HasPrefix(src, mark) {
				s.decode(mark)
				src = src[len(mark):]
			}
			if !s.interrupt() {
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}

// decode decodes a piece of input and answers what it negotiates.
func (s *Session) decode(src []byte) (text []byte, n int, interrupt bool) {
	s.mu.Lock()
	d := &s.decoder
	negotiated, width, height := d.negotiated, d.width, d.height
	text, n, interrupt = d.decode(nil, src)
	reply := d.reply
	d.reply = nil
	began := d.negotiated && !negotiated
	if began && !s.authenticated {
		// A telnet client on a Unix socket: hide its secret too.
		reply = append(reply, d.opts.ask(cmdWill, optEcho)...)
	}
	resized := d.width != width || d.height != height
	s.mu.Unlock()

	if resized {
		token(s.resized)
	}
	if began || len(reply) > 0 {
		s.writeMu.Lock()
		s.negotiated = true
		s.send(reply)
		s.writeMu.Unlock()
	}
	token(s.changed)
	return text, n, interrupt
}

// interrupt ends an answer that has no end, and drops what was typed ahead.
func (s *Session) interrupt() bool {
	s.mu.Lock()
	if s.endBody != nil {
		s.endBody()
	}
	s.mu.Unlock()
	for {
		select {
		case <-s.in:
			continue
		default:
		}
		return s.put(chunk{interrupt: true})
	}
}

func (s *Session) put(c chunk) bool {
	select {
	case s.in <- c:
		return true
	case <-s.done:
		return false
	}
}

// negotiate sends what change returns.
func (s *Session) negotiate(change func(*options) []byte) {
	s.mu.Lock()
	request := change(&s.decoder.opts)
	s.mu.Unlock()
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.send(request)
}

// understands reports whether the client is known to understand telnet commands.
func (s *Session) understands() bool {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return s.negotiated
}

// ours returns the state of an option on our side.
func (s *Session) ours(opt byte) optionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoder.opts.us[opt]
}

// agreeToEdit reports whether the client is one for people. That it let us hide
// the secret is the sign; an editor also needs every key at once.
func (s *Session) agreeToEdit() bool {
	if s.ours(optEcho) != optionYes {
		return false
	}
	s.negotiate(func(o *options) []byte {
		return append(o.ask(cmdWill, optSGA), o.ask(cmdDo, optWindowSize)...)
	})
	timer := time.NewTimer(agreeTime)
	defer timer.Stop()
	for {
		switch s.ours(optSGA) {
		case optionYes:
			return true
		case optionAsked:
		default:
			return false
		}
		select {
		case <-s.changed:
		case <-timer.C:
			return false
		case <-s.gone.Done():
			return false
		case <-s.closing.Done():
			return false
		}
	}
}

// authenticate lets nobody in but those who know the secret.
func (s *Session) authenticate() bool {
	timer := time.NewTimer(authTime)
	defer timer.Stop()
	if s.understands() {
		s.negotiate(func(o *options) []byte { return o.ask(cmdWill, optEcho) })
	}
	s.print(bannerAsk)
	for try, budget := 1, authBytes; try <= authTries; try++ {
		line, err := s.readLine(budget, s.closing.Done(), timer.C)
		if err != nil && (err != io.EOF || line == "") {
			if err == errTime || err == errTooLong {
				s.server.logf("%s: not authenticated: %v", s.remote, err)
			}
			return false
		}
		budget -= len(line)
		secret := strings.TrimRight(line, "\r\n")
		if s.ours(optEcho) == optionYes {
			secret = erase(secret)
			s.print("") // the client did not show the Enter either
		}
		if s.server.isSecret([]byte(secret)) {
			s.mu.Lock()
			s.authenticated = true
			s.mu.Unlock()
			s.print(bannerOK)
			return true
		}
		s.server.logf("%s: wrong secret, attempt %d of %d", s.remote, try, authTries)
		select {
		case <-time.After(wrongSecretDelay):
		case <-s.closing.Done():
			return false
		case <-s.gone.Done():
			return false
		}
		s.print(bannerWrong)
	}
	return false
}

// erase carries out the backspaces of a client that sends every key.
func erase(line string) string {
	var out []rune
	for _, c := range line {
		switch {
		case c == ctrlU:
			out = out[:0]
		case c != backspace && c != del:
			out = append(out, c)
		case len(out) > 0:
			out = out[:len(out)-1]
		}
	}
	return string(out)
}

// lines is a session of plain lines.
func (s *Session) lines() {
	var f Framer
	closing := s.closing.Done()
	var last <-chan time.Time // when reading ends, after the shutdown
	for {
		idle := last
		stop := func() bool { return true }
		if limit := s.Idle(); limit > 0 && last == nil {
			timer := time.NewTimer(limit)
			idle, stop = timer.C, timer.Stop
		}
		line, err := s.readLine(MaxPending-f.Len()+len("\r\n"), closing, idle)
		stop()
		switch err {
		case nil:
		case errInterrupt:
			f.Drop()
			continue
		case errShutdown:
			// What was sent before is answered, if only that it came too late.
			closing, last = nil, time.After(shutdownInput)
			continue
		case errTooLong:
			s.tooLong(&f, line)
			return
		case errTime:
			if last == nil {
				s.server.logf("%s: %v", s.remote, err)
				return
			}
			s.end(&f, line)
			return
		case errCut:
			// The last line may have lost its end, the ones before not.
			if line == "" {
				s.end(&f, line)
			}
			return
		default:
			s.end(&f, line)
			return
		}
		for _, action := range f.Line(line) {
			if !s.act(action) {
				return
			}
		}
	}
}

// tooLong answers what has no end. The line is the beginning of one.
func (s *Session) tooLong(f *Framer, line string) {
	s.server.logf("%s: over %d bytes without an end", s.remote, MaxPending)
	quoted := f.InQuote()
	script, pending, _ := f.End()
	switch {
	case quoted || !strings.HasPrefix(line, "!!"):
		script += line
	case pending && !s.act(script):
		return
	default: // the one before was complete
		script = line
	}
	s.refuse(script, CodeTooLong, fmt.Sprintf("an action may have %d bytes", MaxPending))
}

// end carries out what the input ended with.
func (s *Session) end(f *Framer, line string) {
	for _, action := range f.Line(line) {
		if !s.act(action) {
			return
		}
	}
	action, pending, err := f.End()
	switch {
	case err != nil && s.closing.Err() == nil:
		s.refuse(action, CodeSyntax, err.Error())
	case pending:
		s.act(action)
	}
}

// act carries out one action and reports whether the session goes on.
func (s *Session) act(action string) bool {
	switch Word(action) {
	case "quit", "exit":
		s.print(" ** Goodbye.")
		return false
	case "interactive":
		s.mu.Lock()
		s.color = !s.color
		answer := "colours off\n"
		if s.color {
			answer = "colours on\n"
		}
		s.mu.Unlock()
		s.answer(s.framed(), Reply{Body: func(w io.Writer) error {
			_, err := io.WriteString(w, answer)
			return err
		}}, nil)
		return true
	}
	s.execute(context.Background(), action, s.framed())
	// A client that has hung up gets no answers, but what it sent is done; one
	// that takes no answers is cut off.
	return !errors.Is(s.writeError(), os.ErrDeadlineExceeded)
}

// A writerFor makes the writer of one answer.
type writerFor func(jobID string) *frameWriter

// framed is for programs.
func (s *Session) framed() writerFor {
	return func(jobID string) *frameWriter { return newFrameWriter(s.text(), jobID) }
}

func (s *Session) execute(ctx context.Context, script string, to writerFor) error {
	if s.closing.Err() != nil {
		return s.answer(to, s.server.Handler.Error(script, CodeShuttingDown, "the daemon is shutting down"), nil)
	}
	request, cancel := context.WithCancel(s.work)
	defer cancel()
	reply := s.server.Handler.Handle(request, script, s.Info())

	// From here on nothing is left to do but to answer.
	for _, end := range []context.Context{ctx, s.closing, s.gone} {
		defer context.AfterFunc(end, cancel)()
	}
	s.mu.Lock()
	s.endBody = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.endBody = nil
		s.mu.Unlock()
	}()
	return s.answer(to, reply, func(err error) func(io.Writer) error {
		if request.Err() != nil {
			return nil
		}
		return s.server.Handler.Error(script, CodeInternal, err.Error()).Body
	})
}

// answer writes a reply. A body that fails without a word is replaced by what
// failed returns; what has begun can only be followed by the error as text.
func (s *Session) answer(to writerFor, reply Reply, failed func(error) func(io.Writer) error) error {
	f := to(strings.Map(oneLine, reply.JobID))
	if reply.Body != nil {
		err := reply.Body(f)
		if err != nil && failed != nil {
			if body := failed(err); body != nil && !f.wrote {
				body(f)
			} else if body != nil {
				fmt.Fprintf(f, "\nError: %v\n", err)
			}
		}
	}
	return f.close()
}

func oneLine(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// refuse answers what is not carried out.
func (s *Session) refuse(script, code, message string) {
	s.answer(s.framed(), s.server.Handler.Error(script, code, message), nil)
}

// readLine returns the next line with its line end. At the end of input, with
// io.EOF or errCut, it returns what has come of it, and so it does with errTime
// and errTooLong.
// After errShutdown the same line can be read on.
func (s *Session) readLine(limit int, closing <-chan struct{}, expired <-chan time.Time) (string, error) {
	for {
		end := bytes.IndexByte(s.left, '\n') + 1
		took := cmp.Or(end, len(s.left))
		s.line = append(s.line, s.left[:took]...)
		s.left = s.left[took:]
		if len(s.line) > limit {
			return s.takeLine(), errTooLong
		}
		if end > 0 {
			return s.takeLine(), nil
		}
		select {
		case c, ok := <-s.in:
			switch {
			case !ok && s.eof:
				return s.takeLine(), io.EOF
			case !ok:
				return s.takeLine(), errCut
			case c.interrupt, s.keyPressed(c.text, ctrlC):
				s.takeLine()
				return "", errInterrupt
			case s.keyPressed(c.text, ctrlD):
				s.takeLine()
				return "", io.EOF
			}
			s.left = c.text
		case <-expired:
			return s.takeLine(), errTime
		case <-closing:
			return "", errShutdown
		}
	}
}

func (s *Session) takeLine() string {
	line := string(s.line)
	s.line = s.line[:0]
	return line
}

// keyPressed finds a control key of a client that sends every key. In lines
// sent as a whole the byte is data.
func (s *Session) keyPressed(text []byte, key byte) bool {
	return bytes.IndexByte(text, key) >= 0 && s.ours(optEcho) == optionYes
}

// print writes one line of the protocol.
func (s *Session) print(line string) {
	io.WriteString(s.text(), line+"\n")
}

// text returns the writer for plain lines.
func (s *Session) text() io.Writer { return textWriter{s} }

type textWriter struct{ s *Session }

func (w textWriter) Write(p []byte) (int, error) {
	w.s.writeMu.Lock()
	defer w.s.writeMu.Unlock()
	text := p
	if w.s.negotiated {
		text = encode(nil, p)
	}
	if err := w.s.send(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send writes to the connection, under writeMu. A client that takes nothing for
// writeTime is cut off; one that takes a little has until the next full
// writeTime.
func (s *Session) send(p []byte) error {
	for s.writeErr == nil && len(p) > 0 {
		s.conn.SetWriteDeadline(time.Now().Add(writeTime))
		n, err := s.conn.Write(p)
		p = p[n:]
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err == nil || late && n > 0 {
			continue
		}
		s.writeErr = err
		if late {
			s.server.logf("%s: took nothing for %v, disconnected", s.remote, writeTime)
			s.conn.Close()
		}
	}
	return s.writeErr
}

func (s *Session) writeError() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return s.writeErr
}

// token leaves a token in a channel that holds one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
