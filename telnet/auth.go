package telnet

import (
	"io"
	"slices"
	"strings"
	"time"
)

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
		return slices.Concat(o.ask(cmdWill, optSGA), o.ask(cmdDo, optWindowSize), o.ask(cmdDo, optTerminal))
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
			switch err {
			case errTime:
				s.note(noSecret)
			case errTooLong:
				s.note(tooLong)
			}
			return false
		}
		budget -= len(line)
		secret := strings.TrimRight(line, "\r\n")
		if s.ours(optEcho) == optionYes {
			secret = erase(secret)
			s.print("") // the client did not show the Enter either
		}
		right := s.server.isSecret([]byte(secret))
		wait, ok := s.server.door.guess(s.place.origin, right, time.Now())
		if !ok {
			s.note(refusedTry)
			s.print(bannerTries)
			s.conn.Close() // at once: it gives its place to others
			return false
		}
		if !s.pause(wait) {
			return false
		}
		if right {
			return s.letIn()
		}
		s.note(wrongSecret)
		if !s.pause(wrongSecretDelay) {
			return false
		}
		s.print(bannerWrong)
	}
	return false
}

// letIn tells the client that it is in, unless too many are.
func (s *Session) letIn() bool {
	if !s.server.door.letIn(s.place, boundsFor(descriptorLimit())) {
		s.print(bannerMany)
		return false
	}
	s.mu.Lock()
	s.authenticated = true
	s.mu.Unlock()
	s.print(bannerOK)
	return true
}

func (s *Session) isAuthenticated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authenticated
}

// note counts what the other end did wrong.
func (s *Session) note(what event) { s.server.door.tally.note(s.place.origin.name, what) }

// pause lets time go by, and reports whether the session still goes on.
func (s *Session) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing.Done():
	case <-s.gone.Done():
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
