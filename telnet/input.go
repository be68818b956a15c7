package telnet

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

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

// How much is read at once, before the secret was given and behind it.
const (
	smallRead = 512
	largeRead = 4 << 10
)

func (s *Session) readInput() (err error) {
	defer border.Catch(func(p *border.Panic) {
		s.server.logf("%s: a fault of ours ended the connection: %v", s.remote, p)
		err = errCut
	})
	buf := make([]byte, smallRead)
	commands := 0 // bytes of input that were no text
	for {
		if len(buf) == smallRead && s.isAuthenticated() {
			buf = make([]byte, largeRead)
		}
		n, err := s.conn.Read(buf)
		for src := buf[:n]; len(src) > 0; {
			text, k, interrupt := s.decode(src)
			src = src[k:]
			commands += k - len(text)
			if commands > authCommands && !s.isAuthenticated() {
				s.note(tooLong)
				s.conn.Close()
				return errTooLong
			}
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
	reply, began := []byte(nil), false
	func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d := &s.decoder
		negotiated, width, height := d.negotiated, d.width, d.height
		text, n, interrupt = d.decode(nil, src)
		reply, d.reply = d.reply, nil
		began = d.negotiated && !negotiated
		if began && !s.authenticated {
			// A telnet client on a Unix socket: hide its secret too.
			reply = append(reply, d.opts.ask(cmdWill, optEcho)...)
		}
		if d.width != width || d.height != height {
			token(s.resized)
		}
	}()
	if began || len(reply) > 0 {
		func() {
			s.writeMu.Lock()
			defer s.writeMu.Unlock()
			s.negotiated = true
			s.send(reply)
		}()
	}
	token(s.changed)
	return text, n, interrupt
}

// interrupt ends an answer that has no end, and drops what was typed ahead.
// The goroutine that carries out may have a part of that already: the count tells it,
// before the answer ends and it goes on.
func (s *Session) interrupt() bool {
	s.interrupts.Add(1)
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

// interrupted reports whether an interrupt came behind the last chunk: what is left
// of that is dropped.
func (s *Session) interrupted() bool { return s.after != s.interrupts.Load() }

// put hands input over. While the queue is full nothing is read that could tell of
// a hang-up, so it is looked for: an answer without an end would keep the queue full.
// What was sent is carried out all the same.
func (s *Session) put(c chunk) bool {
	c.after = s.interrupts.Load()
	select {
	case s.in <- c:
		return true
	default:
	}
	look := time.NewTicker(lookTime)
	defer look.Stop()
	for {
		select {
		case s.in <- c:
			return true
		case <-s.done:
			return false
		case <-look.C:
			if isHungUp(s.conn, 0) {
				s.hangUp()
			}
		}
	}
}

// readLine returns the next line with its line end. At the end of input, with
// io.EOF or errCut, it returns what has come of it, and so it does with errTime
// and errTooLong.
// After errShutdown the same line can be read on.
func (s *Session) readLine(limit int, closing <-chan struct{}, expired <-chan time.Time) (string, error) {
	for {
		if s.interrupted() {
			s.left = nil
		}
		if s.endOfLines() {
			return "", io.EOF
		}
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
			s.left, s.after = c.text, c.after
		case <-expired:
			return s.takeLine(), errTime
		case <-closing:
			return "", errShutdown
		}
	}
}

func (s *Session) takeLine() string {
	line := string(s.line)
	if s.line = s.line[:0]; cap(s.line) > largeRead { // few lines are so long
		s.line = nil
	}
	return line
}

// endOfLines reports whether what has come is how a telnet client in line mode tells
// of Ctrl-D: the key where a line could begin, and nothing behind it.
func (s *Session) endOfLines() bool {
	return len(s.left) == 1 && s.left[0] == ctrlD && len(s.line) == 0 && !s.quoted && s.understands()
}

// keyPressed finds a control key of a client that sends every key. In lines
// sent as a whole the byte is data.
func (s *Session) keyPressed(text []byte, key byte) bool {
	return bytes.IndexByte(text, key) >= 0 && s.ours(optEcho) == optionYes
}
