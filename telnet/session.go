package telnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
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
	place   *place
	conn    net.Conn
	remote  string
	uid     *int // of the other end; nil: nobody knows
	tcp     bool
	closing context.Context // ends at the shutdown
	work    context.Context // ends when the shutdown has waited long enough
	gone    context.Context // ends when the client has hung up
	hangUp  context.CancelFunc

	in    chan chunk    // decoded input; closed at its end
	done  chan struct{} // closed when nobody takes from in any more
	eof   bool          // set before in is closed: the input ended cleanly
	left  []byte        // of the last chunk
	after int32         // how many interrupts the last chunk came
	line  []byte        // what has come of the next line

	interrupts atomic.Int32 // that have come

	quoted bool // the next line begins within a quote

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
	patient    bool // see [Reply]

	endEdit chan struct{} // closed by StopReading
}

// A chunk is decoded text, or an interrupt.
type chunk struct {
	text      []byte
	interrupt bool
	after     int32 // how many interrupts it came behind
}

// Reasons why no line comes, besides io.EOF.
var (
	errInterrupt = errors.New("interrupted")
	errTooLong   = errors.New("too long without an end")
	errShutdown  = errors.New("shutting down")
	errTime      = errors.New("nothing came in time")
	errCut       = errors.New("connection lost")
)

func newSession(server *Server, p *place) *Session {
	conn := p.conn
	s := &Session{
		server:  server,
		place:   p,
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
		s.remote, s.uid = fmt.Sprintf("uid %d pid %d", cred.Uid, cred.Pid), new(int(cred.Uid))
	}
	if _, s.tcp = conn.LocalAddr().(*net.TCPAddr); s.tcp {
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
// make the other end lose it. A stranger's input is not read for so long.
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
	stranger := !s.isAuthenticated()
	for read := 0; !stranger || read < authBytes; {
		select {
		case c, ok := <-s.in:
			if !ok {
				return
			}
			read += len(c.text)
		case <-timer.C:
			return
		}
	}
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
// writeTime is cut off, unless the answer is patient and no shutdown waits; one
// that takes a little has until the next full writeTime.
func (s *Session) send(p []byte) error {
	for s.writeErr == nil && len(p) > 0 {
		s.setWriteLimit()
		n, err := s.conn.Write(p)
		p = p[n:]
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err == nil || late && n > 0 {
			continue
		}
		s.writeErr = err
		if late && s.patient {
			s.conn.Close()
		} else if late {
			s.server.logf("%s: took nothing for %v, disconnected", s.remote, writeTime)
			s.conn.Close()
		}
	}
	return s.writeErr
}

// setWriteLimit bounds the next write.
func (s *Session) setWriteLimit() {
	limit := time.Now().Add(writeTime)
	if s.patient {
		limit = time.Time{}
	}
	s.conn.SetWriteDeadline(limit)
	if s.patient && s.closing.Err() != nil {
		s.conn.SetWriteDeadline(time.Now().Add(hurryTime))
	}
}

// bePatient is for an answer whose client may take its time, until end is called or the
// shutdown begins.
func (s *Session) bePatient() (end func()) {
	set := func(patient bool) {
		s.writeMu.Lock()
		defer s.writeMu.Unlock()
		s.patient = patient
	}
	set(true)
	stop := context.AfterFunc(s.closing, func() { s.conn.SetWriteDeadline(time.Now().Add(hurryTime)) })
	return func() { stop(); set(false) }
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
