package telnet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Errors of a Client.
var (
	// ErrNotAuthenticated says that the server refused the secret.
	ErrNotAuthenticated = errors.New("not authenticated")
	// ErrBusy says that the server takes no connection, or no secret, for now.
	ErrBusy = errors.New("the server is busy")
	// ErrBroken says that an earlier request was given up in the middle, so
	// that the connection cannot be used any more.
	ErrBroken = errors.New("connection is unusable after a request that was given up")
	// ErrNotOneAction says that a script holds none or several actions, or a
	// quote that is never closed. Nothing was sent.
	ErrNotOneAction = errors.New("not exactly one action")

	errNotOurs = errors.New("the server does not speak this protocol")
)

// A Client is the other end of a [Server]'s connection. Requests of one Client
// run one after another; it may be used from several goroutines.
type Client struct {
	conn   net.Conn
	r      *bufio.Reader
	tcp    bool
	turn   chan struct{} // holds one token: whose turn it is
	asked  bool          // the banner was read; owned, as is broken, by whose turn it is
	broken error
}

// NewClient returns a client on a connection, which it owns from now on.
func NewClient(conn net.Conn) *Client {
	c := &Client{conn: conn, turn: make(chan struct{}, 1)}
	_, c.tcp = conn.LocalAddr().(*net.TCPAddr)
	var r io.Reader = conn
	if c.tcp {
		r = &clientReader{conn: conn, decoder: decoder{negotiated: true, payload: true, opts: clientOptions()}}
	}
	c.r = bufio.NewReaderSize(r, 32<<10)
	c.turn <- struct{}{}
	return c
}

// Authenticate waits for the banner and sends the secret. On a Unix socket it
// first asks the kernel who listens there, and sends nothing to anybody but
// root and ourselves: [ErrUntrustedServer]. A wrong secret is
// [ErrNotAuthenticated]; the server takes two more attempts.
func (c *Client) Authenticate(ctx context.Context, secret []byte) error {
	if err := CheckSecret(secret); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAuthenticated, err)
	}
	if err := checkServer(c.conn); err != nil {
		return err
	}
	return c.do(ctx, "authenticate", func() error {
		// After a refusal there is no second banner.
		if !c.asked {
			line, err := readShortLine(c.r)
			if err != nil {
				return err
			}
			if string(line) != bannerAsk {
				return notTheAnswer(line)
			}
			c.asked = true
		}
		return c.sendSecret(secret)
	})
}

func (c *Client) sendSecret(secret []byte) error {
	if err := c.send(append(bytes.Clone(secret), '\n')); err != nil {
		return err
	}
	line, err := readShortLine(c.r)
	if err != nil {
		return err
	}
	switch string(line) {
	case bannerOK:
		return nil
	case bannerWrong:
		return ErrNotAuthenticated
	}
	return notTheAnswer(line)
}

// notTheAnswer is the error of a line that lets nobody in.
func notTheAnswer(line []byte) error {
	switch text := string(line); text {
	case bannerMany, bannerTries:
		return fmt.Errorf("%w:%s", ErrBusy, strings.TrimPrefix(text, " **"))
	}
	return errNotOurs
}

// Do sends one action and returns the jobid of the answer and its payload,
// which ends with a line end unless it is empty.
//
// If ctx ends first, the action goes on at the server (hanging up cancels
// nothing), the error is that of ctx, and the connection is unusable:
// [ErrBroken].
func (c *Client) Do(ctx context.Context, script string) (jobID string, payload []byte, err error) {
	var b bytes.Buffer
	jobID, err = c.request(ctx, script, &b)
	return jobID, b.Bytes(), err
}

// Stream sends one action and writes the payload to w as it arrives. See
// [Client.Do]; the end of ctx is the way to end an answer that has none. If w
// fails, the rest of the answer is read and dropped and the error returned.
func (c *Client) Stream(ctx context.Context, script string, w io.Writer) error {
	_, err := c.request(ctx, script, w)
	return err
}

// HungUp reports, without a wait, whether the server has hung up, or ended its
// output: it would answer no further request.
func (c *Client) HungUp() bool { return isHungUp(c.conn, pollRDHup) }

// Close hangs up. A request under way ends with an error; its action goes on.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) request(ctx context.Context, script string, w io.Writer) (jobID string, err error) {
	if err := oneAction(script); err != nil {
		return "", err
	}
	err = c.do(ctx, "request", func() error {
		// The empty line has the action carried out.
		if err := c.send([]byte(script + "\n\n")); err != nil {
			return err
		}
		keep := &onlyWriter{w: w}
		jobID, err = readFrame(c.r, keep)
		if err != nil && err == keep.err {
			// The frame was read to its end.
			return &writerError{err}
		}
		return err
	})
	return jobID, err
}

// oneAction makes sure that a script gets one answer.
func oneAction(script string) error {
	var f Framer
	n := 0
	for line := range strings.Lines(script + "\n") {
		n += len(f.Line(line))
	}
	_, pending, err := f.End()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotOneAction, err)
	}
	if pending {
		n++
	}
	if n != 1 {
		return fmt.Errorf("%w: %d", ErrNotOneAction, n)
	}
	return nil
}

// do waits for its turn and carries out one exchange, which the end of ctx
// breaks off.
func (c *Client) do(ctx context.Context, what string, exchange func() error) error {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if c.broken != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrBroken, c.broken)
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(time.Unix(1, 0))
		close(cut)
	})
	err := exchange()
	if !stop() {
		// The deadline is set, or about to be: no later request can be
		// trusted to get through.
		<-cut
		c.broken = context.Cause(ctx)
		if err != nil && !errors.Is(err, ErrNotAuthenticated) {
			err = context.Cause(ctx)
		}
	}
	var local *writerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &local):
		return local.err
	case errors.Is(err, ErrNotAuthenticated):
	case c.broken == nil:
		c.broken = err
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (c *Client) send(p []byte) error {
	if c.tcp {
		p = encode(nil, p)
	}
	_, err := c.conn.Write(p)
	return err
}

// onlyWriter remembers the error of the caller's writer, to tell it from one
// of the connection.
type onlyWriter struct {
	w   io.Writer
	err error
}

func (o *onlyWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// A writerError is one of the caller's writer; the connection is well.
type writerError struct{ err error }

func (e *writerError) Error() string { return e.err.Error() }

// A clientReader decodes what a server sends over TCP and refuses all options.
type clientReader struct {
	conn    net.Conn
	decoder decoder
	buf     [4 << 10]byte
	text    []byte // all that was decoded last
	left    []byte // the part of it not read yet
}

func (r *clientReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		k, err := r.conn.Read(r.buf[:])
		r.text = r.text[:0]
		for src := r.buf[:k]; len(src) > 0; {
			var n int
			r.text, n, _ = r.decoder.decode(r.text, src)
			src = src[n:]
		}
		r.left = r.text
		if reply := r.decoder.reply; len(reply) > 0 && err == nil {
			r.decoder.reply = nil
			_, err = r.conn.Write(reply)
		}
		if err != nil && len(r.left) == 0 {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
