package telnet

import (
	"bytes"
	"context"
	"io"
	"time"
)

// What follows is for [Server.Edit]: the person's keys and screen.

// Execute carries out one action and writes the answer to w: the payload as it
// is, without the frame, which tells a person nothing. The end of ctx ends an
// answer that has no end; the action itself is not cancelled. After the shutdown
// began the answer is shutting_down.
func (s *Session) Execute(ctx context.Context, script string, w io.Writer) error {
	return s.execute(ctx, script, func(string) *frameWriter { return newBareWriter(w) })
}

// Read returns what was typed: each key as it is pressed, every line end as LF,
// an interrupt as Ctrl-C (0x03). It returns io.EOF when the client has hung up
// or after StopReading.
func (s *Session) Read(p []byte) (int, error) {
	for len(s.left) == 0 {
		select {
		case c, ok := <-s.in:
			switch {
			case !ok:
				return 0, io.EOF
			case c.interrupt:
				s.left = []byte{ctrlC}
			default:
				s.left = c.text
			}
		case <-s.endEdit:
			return 0, io.EOF
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// StopReading makes a Read under way, and all that follow, return. It may be
// called once.
func (s *Session) StopReading() { close(s.endEdit) }

// Write shows text. The terminal at the other end is in raw mode: a line ends
// in CR LF.
func (s *Session) Write(p []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	text := p
	if bytes.IndexByte(p, cmdIAC) >= 0 {
		text = bytes.ReplaceAll(p, []byte{cmdIAC}, []byte{cmdIAC, cmdIAC})
	}
	if err := s.send(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Size returns the window in columns and rows; 0 is unknown.
func (s *Session) Size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoder.width, s.decoder.height
}

// Resized returns a channel that has a token when Size may have changed.
func (s *Session) Resized() <-chan struct{} { return s.resized }

// Terminal returns the type of the other end's terminal, as TERM has it; empty is unknown.
func (s *Session) Terminal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoder.terminal
}

// Idle returns how long the other end may be silent, 0 for ever.
func (s *Session) Idle() time.Duration {
	if !s.understands() {
		return 0
	}
	return max(0, s.server.idle())
}

// Info returns what Handlers are told about the other end.
func (s *Session) Info() SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SessionInfo{
		Remote:      s.remote,
		UID:         s.uid,
		TCP:         s.tcp,
		Interactive: s.editing || s.color,
		Color:       s.color && !s.editing,
		Width:       s.decoder.width,
		Height:      s.decoder.height,
	}
}
