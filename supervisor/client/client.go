package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"os"
	"slices"
	"strconv"
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

// Start defines a process and starts it, or starts the one that has this definition;
// with an empty command, the one that has the name.
func (c *Client) Start(ctx context.Context, spec process.Spec) (process.Status, error) {
	if spec.Command == "" && len(process.Differences(spec, process.Spec{})) == 0 {
		return c.do(ctx, spec.Name, process.StartAgain{JobID: spec.JobID})
	}
	return c.StartSpec(ctx, spec, process.How{})
}

// StartSpec defines a process and starts it. With how.Replace, the definition takes the
// place of another one. See verbs.Actor.
func (c *Client) StartSpec(ctx context.Context, spec process.Spec, how process.How) (s process.Status, err error) {
	err = c.change(ctx, verbs.StartAction(spec, how), &s)
	return s, err
}

// Define defines a process and starts nothing. See verbs.Definer.
func (c *Client) Define(ctx context.Context, spec process.Spec) (s process.Status, err error) {
	err = c.change(ctx, verbs.DefineAction(spec), &s)
	return s, err
}

// Apply makes definitions hold that stand in files. See verbs.Definer. What is sent at
// once has a bound, telnet.MaxPending; what the daemon reads itself has none.
func (c *Client) Apply(ctx context.Context, a process.Application) (rows []process.Applied, err error) {
	err = c.change(ctx, verbs.ApplyAction(a), &rows)
	if errors.Is(err, process.ErrTooLong) {
		err = fmt.Errorf("%w: apply its files one by one, or put them into the daemon's own folder", err)
	}
	return rows, err
}

// Export gives the definitions of what is selected, or all, as heroscript.
func (c *Client) Export(ctx context.Context, of process.Selection) (all []process.Exported, err error) {
	err = c.read(ctx, verbs.ExportAction(of), &all)
	return all, err
}

// Do carries out an operation on each process that is selected, side by side. See
// verbs.Actor.
func (c *Client) Do(ctx context.Context, of process.Selection, op process.Operation) ([]process.Outcome, error) {
	return rows(of, func(result any) error { return c.change(ctx, verbs.OperationAction(of, op), result) }, failedOutcome)
}

// Show gives the processes that are selected in full, or all in brief, by name.
func (c *Client) Show(ctx context.Context, of process.Selection, d process.Detail) (all []process.Outcome, err error) {
	if len(of) == 0 {
		err = c.read(ctx, verbs.NewAction("process.list"), &all)
		return all, err
	}
	return rows(of, func(result any) error { return c.read(ctx, verbs.StatusAction(of, d), result) }, failedOutcome)
}

// do carries out an operation on one process.
func (c *Client) do(ctx context.Context, name string, op process.Operation) (process.Status, error) {
	list, err := c.Do(ctx, process.Selection{name}, op)
	if err != nil {
		return process.Status{}, err
	}
	return list[0].Status, list[0].Err
}

// Stop ends the whole tree and answers when nobody is left.
func (c *Client) Stop(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Stop{})
}

// Restart ends the whole tree and starts the next run, with a job id or "".
func (c *Client) Restart(ctx context.Context, name, jobID string) (process.Status, error) {
	return c.do(ctx, name, process.Restart{JobID: jobID})
}

// Pause has the whole tree stand still, and returns when it does.
func (c *Client) Pause(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Pause{})
}

// Resume has a paused tree go on.
func (c *Client) Resume(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.Resume{})
}

// Trigger begins a run now, with a job id or "", as far as overlap lets it. Where one goes on
// that it waits for, the status says so: [process.Condition.Queued].
func (c *Client) Trigger(ctx context.Context, name, jobID string) (process.Status, error) {
	return c.do(ctx, name, process.Trigger{JobID: jobID})
}

// Delete ends the whole tree and forgets the process, its history and its logs.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.do(ctx, name, process.Delete{})
	return err
}

// Signal sends a signal to the leader, or to the whole tree.
func (c *Client) Signal(ctx context.Context, name string, signal process.Signal, tree bool) (process.Status, error) {
	return c.do(ctx, name, process.SendSignal{Signal: signal, Tree: tree})
}

// Set changes fields of the definition.
func (c *Client) Set(ctx context.Context, name string, settings ...process.Setting) (process.Status, error) {
	return c.do(ctx, name, process.Set{Settings: settings})
}

// Status is what is known of one process.
func (c *Client) Status(ctx context.Context, name string) (process.Status, error) {
	list, err := c.Show(ctx, process.Selection{name}, process.Full)
	if err != nil {
		return process.Status{}, err
	}
	return list[0].Status, list[0].Err
}

// List is all processes, sorted by name.
func (c *Client) List(ctx context.Context) ([]process.Status, error) {
	list, err := c.Show(ctx, nil, process.Brief)
	all := make([]process.Status, len(list))
	for i := range list {
		all[i] = list[i].Status
	}
	return all, err
}

// Tree gives the kernel processes of the runs under way of what is selected. See verbs.Viewer.
func (c *Client) Tree(ctx context.Context, of process.Selection) ([]process.Tree, error) {
	return rows(of, func(result any) error { return c.read(ctx, verbs.TreeAction(of), result) },
		func(name string, err error) process.Tree { return process.Tree{Name: name, Err: err} })
}

// Reclaim has the kernel take so many bytes of memory away from the runs under way of each
// process that is selected. See verbs.Actor.
func (c *Client) Reclaim(ctx context.Context, of process.Selection, bytes uint64) ([]process.Reclaimed, error) {
	return rows(of, func(result any) error { return c.change(ctx, verbs.ReclaimAction(of, bytes), result) },
		func(name string, err error) process.Reclaimed { return process.Reclaimed{Name: name, Err: err} })
}

func failedOutcome(name string, err error) process.Outcome {
	return process.Outcome{Name: name, Err: err}
}

// rows reads an answer that is an object for one plain name, and an array for others; failed
// is the row of one of which that is the answer.
func rows[T any](of process.Selection, call func(result any) error, failed func(name string, err error) T) (list []T, err error) {
	name, plain := of.Name()
	if !plain {
		return list, call(&list)
	}
	list = []T{failed(name, nil)}
	err = call(&list[0])
	if typed := new(process.Error); errors.As(err, &typed) {
		list[0], err = failed(name, err), nil
	}
	return list, err
}

// Why says why a process is as it is.
func (c *Client) Why(ctx context.Context, name string) (e process.Explanation, err error) {
	err = c.read(ctx, verbs.WhyAction(process.Selection{name}), &e)
	return e, err
}

// Runs gives the runs that have ended and that q asks for. See verbs.Historian.
func (c *Client) Runs(ctx context.Context, q process.RunQuery) (iter.Seq[process.RunRecord], error) {
	var all []process.RunRecord
	if err := c.read(ctx, verbs.RunsAction(q), &all); err != nil {
		return nil, err
	}
	return slices.Values(all), nil
}

// Ledger gives what became of the times of the schedule of each process that is selected, the
// oldest first, from a time on; zero: all that is kept. See verbs.Historian.
func (c *Client) Ledger(ctx context.Context, of process.Selection, since time.Time) (entries []process.LedgerRecord, err error) {
	err = c.read(ctx, verbs.LedgerAction(of, since), &entries)
	return entries, err
}

// Next gives the times to come of the schedules of what is selected, or of all, in their order;
// at most so many of each. See verbs.Viewer.
func (c *Client) Next(ctx context.Context, of process.Selection, most int) (times []process.Coming, err error) {
	err = c.read(ctx, verbs.NextAction(of, most), &times)
	return times, err
}

// SchedulePause lets the times of a schedule pass without a run until ScheduleResume. What
// runs is left alone.
func (c *Client) SchedulePause(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.SchedulePause{})
}

// ScheduleResume has a schedule that was paused go on with its next time.
func (c *Client) ScheduleResume(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.ScheduleResume{})
}

// SkipNext lets the next time of a schedule pass without a run: the SkipTime of the status.
// Called twice it is the same time.
func (c *Client) SkipNext(ctx context.Context, name string) (process.Status, error) {
	return c.do(ctx, name, process.SkipNext{})
}

// Doctor examines the host that the daemon is on.
func (c *Client) Doctor(ctx context.Context) (r process.Report, err error) {
	err = c.read(ctx, verbs.NewAction("doctor"), &r)
	return r, err
}

// upgradeTime is how long an upgrade is waited for. It takes a few seconds at most.
const upgradeTime = time.Minute

// Upgrade brings in the program now on disk and waits until it answers, or with a
// number, says how that upgrade ended. The error of one that failed is
// process.ErrUpgrade: the old program goes on.
func (c *Client) Upgrade(ctx context.Context, number uint64) (u process.Upgrade, err error) {
	if number == 0 {
		if err := c.change(ctx, verbs.NewAction("upgrade"), &u); err != nil {
			return u, err
		}
		number = u.Number
	}
	ctx, cancel := context.WithTimeoutCause(ctx, upgradeTime,
		fmt.Errorf("upgrade %d has not ended in %v; upgrade with result %d tells how it ends", number, upgradeTime, number))
	defer cancel()
	for {
		err := c.read(ctx, verbs.NewAction("upgrade", "result", strconv.FormatUint(number, 10)), &u)
		switch {
		case errors.Is(err, process.ErrShuttingDown), errors.Is(err, ErrConnectionLost):
			// the old worker is on its way out
		case err != nil || u.Done:
			return u, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return u, context.Cause(ctx)
		}
	}
}
