package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// Events tells what q asks for, in order, over a connection of its own. With q.Follow it
// goes on until ctx ends, tell fails or Close is called. When the connection is lost it is
// made again, and the next event is the one behind the last that was told. Who follows waits
// for a daemon that has died to come back, for AwayLimit.
func (c *Client) Events(ctx context.Context, q process.EventQuery, tell func(process.Event) error) error {
	ctx, release := c.untilClosed(ctx)
	defer release()
	var away time.Time        // since when no daemon is there; zero: one is
	for idle := 1; ; idle++ { // tries without an event
		var own error // of tell, or of an answer that makes no sense
		err := c.stream(ctx, verbs.EventsAction(q), func(line []byte) error {
			var e process.Event
			if err := json.Unmarshal(line, &e); err != nil {
				own = notExpected(err)
			} else if own = tell(e); own == nil {
				q.GoOn(&e)
				idle = 0
			}
			return own
		})
		if !errors.Is(err, ErrNoDaemon) {
			away = time.Time{}
		} else if away.IsZero() {
			away = time.Now()
		}
		switch {
		case err == nil || ctx.Err() != nil || own != nil:
			return err
		case q.Follow && !away.IsZero() && time.Since(away) < AwayLimit: // it was here when c was made
		case !errors.Is(err, ErrConnectionLost) || idle == readTries && !q.Follow:
			return err
		}
		if err := pauseBefore(ctx, idle); err != nil {
			return err
		}
	}
}

// AwayLimit is how long who follows events waits for a daemon that is not there.
const AwayLimit = 10 * time.Second

// pauseBefore waits before a further try.
func pauseBefore(ctx context.Context, try int) error {
	select {
	case <-time.After(min(time.Duration(try)*10*time.Millisecond, time.Second)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stream gives each line of the answer to one request, which is in JSON. An error of take
// breaks the answer off, which may have no end.
func (c *Client) stream(ctx context.Context, a heroscript.Action, take func(line []byte) error) error {
	own, err := Dial(ctx, c.config)
	if err != nil {
		return err
	}
	defer own.Close()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	r := &lineReader{take: take, giveUp: giveUp}
	a.Params = append([]heroscript.Param{{Key: "format", Value: "json"}}, a.Params...)
	err = own.conn.Stream(ctx, heroscript.Format(heroscript.Script{a}), r)
	switch {
	case r.err != nil:
		return r.err
	case errors.Is(r.failed, process.ErrShuttingDown): // another worker may take over
		return fmt.Errorf("%w: %w", ErrConnectionLost, r.failed)
	case r.failed != nil:
		return r.failed
	case err != nil && ctx.Err() == nil && !errors.Is(err, telnet.ErrNotOneAction):
		return fmt.Errorf("%w while %s was read (%w)", ErrConnectionLost, a.Verb(), err)
	}
	return err
}

// lineReader takes an answer of one JSON object a line to pieces.
type lineReader struct {
	take    func(line []byte) error
	giveUp  func()
	partial bytes.Buffer
	failed  error // what the daemon said
	err     error // of take
}

func (r *lineReader) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		r.partial.Write(line)
		if !found {
			return n, nil
		}
		if r.err = r.line(r.partial.Bytes()); r.err != nil {
			r.giveUp()
			return 0, r.err
		}
		r.partial.Reset()
		p = rest
	}
}

// maxFailure is more than a failure may have, in bytes of JSON. To look into long lines takes
// time.
const maxFailure = 16 << 10

// line takes a line, unless it says that the daemon failed.
func (r *lineReader) line(line []byte) error {
	var failure process.Failure
	if len(line) < maxFailure && json.Unmarshal(line, &failure) == nil && failure.Code != "" {
		r.failed = failure.Err()
		return nil
	}
	return r.take(line)
}

func notExpected(err error) error {
	return fmt.Errorf("the daemon's answer is not what was expected: %w", err)
}
