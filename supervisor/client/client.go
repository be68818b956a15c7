package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"sync"
	"syscall"

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

	mu     sync.Mutex
	conn   *telnet.Client // nil: to be made
	closed bool
}

var _ verbs.Manager = (*Client)(nil)

// Dial connects and authenticates. Errors: ErrNoDaemon, ErrNotAuthenticated, and
// telnet.ErrUntrustedServer when the socket is another user's.
func Dial(ctx context.Context, config Config) (*Client, error) {
	if config.Socket == "" {
		config.Socket = DefaultSocket()
	}
	c := &Client{config: config}
	_, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}

// connection is the one there is, or a new one.
func (c *Client) connection(ctx context.Context) (*telnet.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if c.conn != nil {
		return c.conn, nil
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", c.config.Socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: nobody listens on %s", ErrNoDaemon, c.config.Socket)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s is another user's", ErrNotAuthenticated, c.config.Socket)
	case err != nil:
		return nil, fmt.Errorf("connect to %s: %w", c.config.Socket, err)
	}
	conn := telnet.NewClient(raw)
	secret := c.config.Secret
	if secret == nil {
		if secret, err = FindSecret(c.config.Socket); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%w: %w", ErrNotAuthenticated, err)
		}
	}
	if err := conn.Authenticate(ctx, secret); err != nil {
		conn.Close()
		if errors.Is(err, telnet.ErrNotAuthenticated) {
			err = fmt.Errorf("%w: the daemon on %s refused the secret", ErrNotAuthenticated, c.config.Socket)
		}
		return nil, err
	}
	c.conn = conn
	return conn, nil
}

// drop forgets a connection that is of no more use.
func (c *Client) drop(conn *telnet.Client) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == conn {
		c.conn = nil
	}
}

// change asks for something that changes the daemon's state, once.
func (c *Client) change(ctx context.Context, a heroscript.Action, result any) error {
	conn, err := c.connection(ctx)
	if err != nil {
		return err
	}
	err = c.exchange(ctx, conn, a, result)
	if lost(err) && ctx.Err() == nil {
		return fmt.Errorf("%w before the answer to %s came; whether it was done, status tells (%w)", ErrConnectionLost, a.Verb(), err)
	}
	return err
}

// read asks for something that changes nothing, again if the connection is lost.
func (c *Client) read(ctx context.Context, a heroscript.Action, result any) error {
	for try := 0; ; try++ {
		conn, err := c.connection(ctx)
		if err != nil {
			return err
		}
		err = c.exchange(ctx, conn, a, result)
		if !lost(err) || ctx.Err() != nil {
			return err
		}
		if try == 2 {
			return fmt.Errorf("%w before the answer to %s came (%w)", ErrConnectionLost, a.Verb(), err)
		}
	}
}

// lostError is an exchange that did not come to its end.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

func lost(err error) bool { return errors.As(err, new(lostError)) }

// exchange sends an action and reads its result.
func (c *Client) exchange(ctx context.Context, conn *telnet.Client, a heroscript.Action, result any) error {
	a.Params = append(a.Params[:len(a.Params):len(a.Params)], heroscript.Param{Key: "format", Value: "json"})
	_, payload, err := conn.Do(ctx, heroscript.Format(heroscript.Script{a}))
	if err != nil {
		c.drop(conn)
		return lostError{err}
	}
	return decode(payload, result)
}

// decode reads a result, or the error that stands in its place.
func decode(payload []byte, result any) error {
	var failure verbs.Failure
	if err := json.Unmarshal(payload, &failure); err == nil && failure.Code != "" {
		return failure.Err()
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(payload, result); err != nil {
		return fmt.Errorf("the daemon's answer is not what was expected: %w", err)
	}
	return nil
}

// Start registers a process and starts it; with an empty command it starts the
// one that has the name. See verbs.Manager.
func (c *Client) Start(ctx context.Context, spec process.Spec) (s process.Status, err error) {
	err = c.change(ctx, verbs.StartAction(spec), &s)
	return s, err
}

// Stop ends the whole tree and answers when nobody is left.
func (c *Client) Stop(ctx context.Context, name string) (s process.Status, err error) {
	err = c.change(ctx, verbs.NewAction("process.stop", "name", name), &s)
	return s, err
}

// Restart ends the whole tree and starts the next run, with a job id or "".
func (c *Client) Restart(ctx context.Context, name, jobID string) (s process.Status, err error) {
	a := verbs.NewAction("process.restart", "name", name)
	if jobID != "" {
		a = verbs.NewAction("process.restart", "name", name, "jobid", jobID)
	}
	err = c.change(ctx, a, &s)
	return s, err
}

// Delete ends the whole tree and forgets the process, its history and its logs.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.change(ctx, verbs.NewAction("process.delete", "name", name), nil)
}

// Status is what is known of one process.
func (c *Client) Status(ctx context.Context, name string) (s process.Status, err error) {
	err = c.read(ctx, verbs.NewAction("process.status", "name", name), &s)
	return s, err
}

// List is all processes, sorted by name.
func (c *Client) List(ctx context.Context) (all []process.Status, err error) {
	err = c.read(ctx, verbs.NewAction("process.list"), &all)
	return all, err
}

// Log is the last lines of a process's output, byte for byte; lines 0 means the
// last 100.
func (c *Client) Log(ctx context.Context, name string, lines int) ([]byte, error) {
	a := verbs.NewAction("process.log", "name", name)
	if lines != 0 {
		a = verbs.NewAction("process.log", "name", name, "limit", strconv.Itoa(lines))
	}
	var b verbs.Bytes
	if err := c.read(ctx, a, &b); err != nil {
		return nil, err
	}
	return b.Decode()
}
