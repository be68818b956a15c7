package telnet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// The limits of the wire.
const (
	MaxPending       = 1 << 20          // bytes of one action; more is too_long
	authTime         = 30 * time.Second // until authenticated
	authBytes        = 4 * MaxSecret    // until authenticated
	authCommands     = 1 << 20          // bytes of telnet commands until authenticated: they are not kept
	authTries        = 3
	wrongSecretDelay = time.Second
	writeTime        = 30 * time.Second       // for a reader that takes nothing
	hurryTime        = time.Second            // the same, of a patient answer at the shutdown
	lookTime         = time.Second            // between looks for a hang-up that cannot be read
	lingerTime       = time.Second            // for the other end to close after us
	shutdownInput    = 100 * time.Millisecond // to read what was sent before the shutdown
	agreeTime        = 2 * time.Second        // for a telnet client to agree to editing
	turnAwayTime     = 10 * time.Millisecond  // for a connection without a place to hear of it

	// DefaultIdle is how long a person may be silent.
	DefaultIdle = 30 * time.Minute
	// NoIdle lets a person be silent for ever.
	NoIdle time.Duration = -1
	// DefaultDrain is how long a shutdown waits for running requests.
	DefaultDrain = 30 * time.Second
)

// Lines that clients compare.
const (
	bannerAsk   = " ** Welcome: you are not authenticated, provide secret."
	bannerOK    = " ** Welcome: you are authenticated."
	bannerWrong = "Invalid secret. Try again or disconnect."
	bannerMany  = " ** Too many connections: try again later."
	bannerTries = " ** Too many wrong secrets came from your address: try again later."
)

// Codes of the errors that the wire itself has to report.
const (
	CodeTooLong      = "too_long"      // over MaxPending without an end
	CodeSyntax       = "syntax"        // input ended within a quote
	CodeInternal     = "internal"      // the body of a reply failed
	CodeShuttingDown = "shutting_down" // came too late
)

// ErrShuttingDown is why an answer ends that had more to say.
var ErrShuttingDown = errors.New("the daemon is shutting down")

// A Handler knows what the actions mean.
type Handler interface {
	// Handle carries out one action, and comes back when it is done. The
	// script is what the client sent, up to MaxPending bytes. It is meant to
	// be one action; whether it is, and whether it is text at all, is for
	// the Handler's parser to find out. !!help comes here too.
	//
	// ctx does not end when the client hangs up, nor at the shutdown, so
	// that an action once begun is finished. It ends [Server.Drain] after
	// the shutdown began.
	//
	// From the return of Handle on, while the Body of the reply runs, ctx
	// also ends when the client hangs up, when a person presses Ctrl-C, and
	// at the shutdown, then with the cause [ErrShuttingDown]. So a body without an end (logs that are followed)
	// waits for ctx, and what must be done to its end is done before Handle
	// returns. After Body ctx always ends.
	Handle(ctx context.Context, script string, session SessionInfo) Reply

	// Error is the reply for a script that the wire itself refuses, in the
	// format the script asks for, if that can be told. The code is one of
	// the constants of this package.
	Error(script, code, message string) Reply
}

// A Reply is the answer to one action.
type Reply struct {
	// JobID is echoed; empty if none was given. A line end has no place in it.
	JobID string
	// Body writes the payload, nil for none. The payload is text: it is sent
	// with a line end if its last line has none, and bytes that must arrive
	// exactly have an encoding inside of it. What is written arrives within
	// some 10 ms, without a flush. A write fails once the client is gone.
	// The error of Body is reported to the client, unless its ctx has ended.
	Body func(w io.Writer) error
	// Patient is that the client may take nothing for as long as it likes: who works for
	// it waits. Others are disconnected after a while.
	Patient bool
}

// SessionInfo is what a Handler may want to know about the other end.
type SessionInfo struct {
	Remote      string // for a log: address, or user and pid on a Unix socket
	UID         *int   // of the user at the other end of a Unix socket; nil: nobody knows
	TCP         bool   // it came over TCP, which tells of no user
	Interactive bool   // a person in an editing session, or after !!interactive
	Color       bool   // wants colours in the payload; an editing session has its own and shows escape codes as text
	Width       int    // columns of the window; 0 is unknown
	Height      int    // rows; 0 is unknown
}

// A Server speaks the protocol on any number of listeners. Its fields must not
// change once Serve was called.
type Server struct {
	// Secret is what a client must send first. An empty one lets nobody in.
	Secret []byte
	// Handler carries out the actions.
	Handler Handler
	// Idle is how long a session over TCP, or one that negotiated, may send
	// nothing while no request runs; 0 is DefaultIdle, NoIdle is no limit.
	// Plain sessions on a Unix socket are programs and may wait for ever.
	Idle time.Duration
	// Drain is how long a shutdown waits for running requests; 0 is
	// DefaultDrain. Then the context of their Handle ends, and connections
	// are cut.
	Drain time.Duration
	// Log takes one line about what a client did wrong; nil for none. It is
	// never given a secret, right or wrong.
	Log func(format string, args ...any)
	// Edit runs an editing session on a connection whose client agreed to
	// ECHO and SGA; lineedit provides one. It returns when the person is
	// done, or ctx ends at the shutdown. Without it every session has plain
	// lines.
	Edit func(ctx context.Context, s *Session) error

	door door
}

// Serve takes connections from l until ctx ends, which is the shutdown: running
// requests are answered, waiting ones get shutting_down, connections without
// either are closed. It returns when all its connections are done, at most
// Drain and some seconds later, and closes l. The error is nil after a
// shutdown, otherwise the listener's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	// What has begun outlives ctx by Drain.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	stopListening := context.AfterFunc(ctx, func() { l.Close() })
	defer stopListening()
	defer l.Close()
	s.door.tally.open(s.Log)
	defer s.door.tally.close()

	var sessions sync.WaitGroup
	err := s.accept(ctx, l, func(conn net.Conn) {
		p, evicted := s.door.enter(conn, boundsFor(descriptorLimit()))
		if p == nil {
			turnAway(conn)
			return
		}
		if evicted != nil {
			<-evicted.past // its connection is closed, so it does not last
		}
		sessions.Go(func() {
			defer s.door.leave(p)
			defer border.Catch(func(fault *border.Panic) {
				conn.Close()
				s.logf("%s: the session was ended by a fault of ours: %v", conn.RemoteAddr(), fault)
			})
			newSession(s, p).serve(ctx, work)
		})
	})
	// Without a listener the sessions go on, until ctx ends.
	stopDrain := context.AfterFunc(ctx, func() {
		drain := time.NewTimer(cmp.Or(s.Drain, DefaultDrain))
		defer drain.Stop()
		select {
		case <-drain.C:
			endWork()
		case <-work.Done():
		}
	})
	defer stopDrain()
	sessions.Wait()
	return err
}

// accept starts a session for each connection until the listener is closed.
func (s *Server) accept(ctx context.Context, l net.Listener, start func(net.Conn)) error {
	delay := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			delay = 0
			start(conn)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case errors.Is(err, syscall.EINVAL):
			// It was shut down, for a daemon that is about to end ctx.
			<-ctx.Done()
			return nil
		}
		// Out of descriptors, most likely: others will be closed.
		s.door.makeRoom()
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		s.door.tally.note(fmt.Sprintf("accept: %v", err), acceptError)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
	}
}

// turnAway says why a connection gets no place, without a wait: what it sends now
// finds room in the kernel, or is lost.
func turnAway(conn net.Conn) {
	conn.SetWriteDeadline(time.Now().Add(turnAwayTime))
	end := "\n"
	if _, tcp := conn.LocalAddr().(*net.TCPAddr); tcp {
		end = "\r\n"
	}
	io.WriteString(conn, bannerMany+end)
	conn.Close()
}

func (s *Server) logf(format string, args ...any) {
	if s.Log != nil {
		s.Log(format, args...)
	}
}

// isSecret compares in a time that tells nothing, not even the length. A file that is
// sent may begin with a byte order mark.
func (s *Server) isSecret(line []byte) bool {
	if mark := []byte(heroscript.ByteOrderMark); !bytes.HasPrefix(s.Secret, mark) {
		line = bytes.TrimPrefix(line, mark)
	}
	want, got := sha256.Sum256(s.Secret), sha256.Sum256(line)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && len(s.Secret) > 0
}

func (s *Server) idle() time.Duration {
	return cmp.Or(s.Idle, DefaultIdle)
}
