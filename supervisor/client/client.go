package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// Errors that are not the daemon's answer; that is a [process.Error].
var (
	// ErrNoDaemon: nobody listens on the socket.
	ErrNoDaemon = errors.New("no daemon there")
	// ErrNotAuthenticated: there is no secret, or it is not the daemon's.
	ErrNotAuthenticated = errors.New("not authenticated")
	// ErrConnectionLost: the connection ended before the answer came. What
	// was asked for may have been done.
	ErrConnectionLost = errors.New("connection lost")
)

// Config is which daemon to call.
type Config struct {
	Socket string // default: DefaultSocket()
	Secret []byte // default: found by FindSecret
}

// Client calls a daemon. Its methods may be called from several goroutines; the
// daemon carries them out one after another.
type Client struct {
	config Config
	named  string         // who has named the socket, behind it in an error; empty: the caller, or nobody
	turn   chan struct{}  // holds one token: whose turn it is
	conn   *telnet.Client // owned by whose turn it is; nil: to be made

	closed context.Context // ends with Close
	close  context.CancelFunc
}

var _ verbs.Manager = (*Client)(nil)

// Dial connects and authenticates. Errors: ErrNoDaemon, ErrNotAuthenticated, and
// telnet.ErrUntrustedServer when the socket is another user's.
func Dial(ctx context.Context, config Config) (*Client, error) {
	named := ""
	if config.Socket == "" {
		if config.Socket = DefaultSocket(); os.Getenv(SocketEnv) != "" {
			named = ", which " + SocketEnv + " names"
		}
	}
	c := &Client{config: config, named: named, turn: make(chan struct{}, 1)}
	c.closed, c.close = context.WithCancel(context.Background())
	c.turn <- struct{}{}
	if err := c.connect(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// greetTime is how long a daemon may take to answer a connection, which waits while
// one worker takes over from another. It is long enough for the start of a daemon with
// very many processes.
var greetTime = time.Minute

// Close ends the connection. Calls under way end with net.ErrClosed; what they
// asked for goes on in the daemon.
func (c *Client) Close() error {
	c.close()
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	return c.hangUp()
}

// hangUp ends the connection, if there is one.
func (c *Client) hangUp() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

// connect makes the connection, unless there is one. Nothing has been asked for
// yet, so it tries again when the daemon is replaced meanwhile. A connection that
// the daemon has ended since the last call is found now: once a request is sent,
// nobody knows whether it was read.
func (c *Client) connect(ctx context.Context) (err error) {
	if c.conn != nil && c.conn.HungUp() {
		c.hangUp()
	}
	for range 10 {
		if c.conn != nil {
			return nil
		}
		if err = c.connectOnce(ctx); !hungUp(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, err)
}

// hungUp reports whether the other side has ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// queueTime is how long a client waits for a place in the queue of a socket.
const queueTime = 5 * time.Second

func (c *Client) connectOnce(ctx context.Context) error {
	if err := telnet.CheckSocketPath(c.config.Socket); err != nil {
		return err
	}
	path := c.config.Socket
	if path[0] == '@' { // that would be a name without a file, where no daemon is
		path = "./" + path
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	// A full queue is somebody who listens, and is busy.
	for end := time.Now().Add(queueTime); errors.Is(err, syscall.EAGAIN) && ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		raw, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens on %s%s", ErrNoDaemon, c.config.Socket, c.named)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s is another user's", ErrNotAuthenticated, c.config.Socket)
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("connect to %s: %w", c.config.Socket, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("connect to %s: %w", c.config.Socket, err)
	}
	conn := telnet.NewClient(raw)
	secret := c.config.Secret
	if secret == nil {
		if secret, err = FindSecret(c.config.Socket); err != nil {
			conn.Close()
			return fmt.Errorf("%w: %w", ErrNotAuthenticated, err)
		}
	}
	if err := telnet.CheckSecret(secret); err != nil {
		conn.Close()
		return fmt.Errorf("%w: %w", ErrNotAuthenticated, err)
	}
	wait, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if err := conn.Authenticate(wait, secret); err != nil {
		conn.Close()
		if wait.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("the daemon on %s has not answered in %v: it may be stopped", c.config.Socket, greetTime)
		}
		if errors.Is(err, telnet.ErrNotAuthenticated) {
			err = fmt.Errorf("%w: the daemon on %s refused the secret: give the one that it was started with", ErrNotAuthenticated, c.config.Socket)
		}
		return err
	}
	c.conn = conn
	return nil
}

// change asks for something that changes the daemon's state, once.
func (c *Client) change(ctx context.Context, a heroscript.Action, result any) error {
	err := c.call(ctx, a, result, 1)
	if errors.Is(err, ErrConnectionLost) {
		return fmt.Errorf("%w; status tells whether it was done", err)
	}
	return err
}

// readTries is how often something is asked for that changes nothing, while the
// connection is lost each time.
const readTries = 3

// read asks for something that changes nothing, again if the connection is lost.
func (c *Client) read(ctx context.Context, a heroscript.Action, result any) error {
	return c.call(ctx, a, result, readTries)
}

// untilClosed is ctx, which Close ends too, with net.ErrClosed.
func (c *Client) untilClosed(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if c.closed.Err() != nil {
		cancel(net.ErrClosed)
	}
	stop := context.AfterFunc(c.closed, func() { cancel(net.ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// call waits for its turn, sends an action and reads its result. It tries again,
// up to the given number of times, while the connection is lost.
func (c *Client) call(ctx context.Context, a heroscript.Action, result any, tries int) error {
	ctx, release := c.untilClosed(ctx)
	defer release()
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", a.Verb(), context.Cause(ctx))
	}
	// The format stands first, so that the daemon knows it even of a script
	// that it cannot read to its end.
	a.Params = append([]heroscript.Param{{Key: "format", Value: "json"}}, a.Params...)
	script := heroscript.Format(heroscript.Script{a})
	if len(script) > telnet.MaxPending {
		return process.Errorf(process.CodeTooLong, "%s: has %d bytes, the daemon takes %d", a.Verb(), len(script), telnet.MaxPending)
	}
	handedOver := false
	for {
		if c.closed.Err() != nil {
			return fmt.Errorf("%s: %w", a.Verb(), net.ErrClosed)
		}
		if err := c.connect(ctx); err != nil {
			return err
		}
		_, payload, err := c.conn.Do(ctx, script)
		if err == nil {
			err := decode(payload, result)
			if !errors.Is(err, process.ErrShuttingDown) || handedOver {
				return err
			}
			// It was not begun. If another worker takes over it can do it.
			c.hangUp()
			if c.connect(ctx) != nil {
				return err
			}
			handedOver = true
			continue
		}
		c.hangUp()
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", a.Verb(), context.Cause(ctx))
		}
		if tries--; tries == 0 {
			return fmt.Errorf("%w before the answer to %s came (%w)", ErrConnectionLost, a.Verb(), err)
		}
	}
}

// decode reads a result, or the error that stands in its place.
func decode(payload []byte, result any) error {
	var failure process.Failure
	if err := json.Unmarshal(payload, &failure); err == nil && failure.Code != "" {
		return failure.Err()
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(payload, result); err != nil {
		return notExpected(err)
	}
	return nil
}
