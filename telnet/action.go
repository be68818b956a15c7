package telnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

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
		s.quoted = f.InQuote()
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
			if s.interrupted() {
				break
			}
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
		return s.answer(to, s.server.Handler.Error(script, CodeShuttingDown, ErrShuttingDown.Error()), nil)
	}
	request, end := context.WithCancelCause(s.work)
	cancel := func() { end(nil) }
	defer cancel()
	reply := s.handle(request, script)
	if reply.Patient {
		defer s.bePatient()()
	}

	// From here on nothing is left to do but to answer.
	defer context.AfterFunc(ctx, cancel)()
	defer context.AfterFunc(s.gone, cancel)()
	defer context.AfterFunc(s.closing, func() { end(ErrShuttingDown) })()
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

// handle has a script carried out. A fault of ours in that is this request's alone.
func (s *Session) handle(ctx context.Context, script string) (reply Reply) {
	defer border.Catch(func(p *border.Panic) {
		s.server.logf("%s: a request failed by a fault of ours: %v", s.remote, p)
		reply = s.server.Handler.Error(script, CodeInternal, errFault.Error())
	})
	return s.server.Handler.Handle(ctx, script, s.Info())
}

// errFault is what is said of a panic to whom it has cost an answer.
var errFault = errors.New("the daemon has a fault, and did not finish this; its log says where")

// write has a body written.
func (s *Session) write(body func(io.Writer) error, w io.Writer) (err error) {
	defer border.Catch(func(p *border.Panic) {
		s.server.logf("%s: an answer failed by a fault of ours: %v", s.remote, p)
		err = errFault
	})
	return body(w)
}

// answer writes a reply. A body that fails without a word is replaced by what
// failed returns; what has begun can only be followed by the error as text.
func (s *Session) answer(to writerFor, reply Reply, failed func(error) func(io.Writer) error) error {
	f := to(strings.Map(oneLine, reply.JobID))
	if reply.Body != nil {
		err := s.write(reply.Body, f)
		if err != nil && failed != nil {
			if body := failed(err); body != nil && !f.wrote {
				s.write(body, f)
			} else if body != nil {
				fmt.Fprintf(f, "\nError: %s\n", screen.Line(err.Error()))
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
