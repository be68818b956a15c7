package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// Log writes what q asks for of a process's output to w, over a connection of its own,
// and returns the offset to go on From. The bytes are those that were written, with a
// line end where a run has left its last line without one and the next run goes on. With
// q.Follow it goes on until ctx ends, w fails or Close is called. When the connection is
// lost it is made again, and reading goes on behind the last byte that was written to w,
// so none is missing or doubled. A w with a method Offset(int64) is told the offset after
// each piece.
func (c *Client) Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (next int64, err error) {
	ctx, release := c.untilClosed(ctx)
	defer release()
	for idle := 1; ; idle++ { // tries without a byte
		r := &logReader{w: w, next: q.From}
		err := c.readLog(ctx, verbs.LogAction(name, q), r)
		switch {
		case err == nil || ctx.Err() != nil || r.err != nil:
			return r.next, err
		case !errors.Is(err, ErrConnectionLost) || r.written && r.next == q.From:
			return r.next, err // what was read has no offset: it cannot be gone on from
		}
		if r.next > q.From {
			idle = 0
		}
		if r.begun { // where the last lines began is settled, also if there were none
			q.From, q.Lines = r.next, 0
		}
		if idle == readTries && !q.Follow {
			return r.next, err
		}
		select {
		case <-time.After(min(time.Duration(idle)*10*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return r.next, context.Cause(ctx)
		}
	}
}

// readLog streams the answer to one request.
func (c *Client) readLog(ctx context.Context, a heroscript.Action, r *logReader) error {
	own, err := Dial(ctx, c.config)
	if err != nil {
		return err
	}
	defer own.Close()
	ctx, r.giveUp = context.WithCancel(ctx)
	defer r.giveUp()
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
		return fmt.Errorf("%w while the log was read (%w)", ErrConnectionLost, err)
	}
	return err
}

// logReader takes an answer of one JSON object a line to pieces.
type logReader struct {
	w       io.Writer
	giveUp  func() // breaks the answer off, which may have no end
	partial bytes.Buffer
	next    int64
	begun   bool // the daemon has said where next is
	written bool
	failed  error // what the daemon said
	err     error // of w, or of an answer that makes no sense
}

func (r *logReader) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		r.partial.Write(line)
		if !found {
			return n, nil
		}
		if err := r.line(r.partial.Bytes()); err != nil {
			r.giveUp()
			return 0, err
		}
		r.partial.Reset()
		p = rest
	}
}

func (r *logReader) line(line []byte) error {
	var piece struct {
		verbs.Bytes
		verbs.Failure
	}
	if r.err = json.Unmarshal(line, &piece); r.err != nil {
		r.err = fmt.Errorf("the daemon's answer is not what was expected: %w", r.err)
		return r.err
	}
	if piece.Code != "" {
		r.failed = piece.Failure.Err()
		return nil
	}
	data, err := piece.Decode()
	if err == nil && len(data) > 0 {
		_, err = r.w.Write(data)
	}
	r.begun, r.written = true, r.written || len(data) > 0
	r.next, r.err = max(r.next, piece.Next), err
	if told, ok := r.w.(interface{ Offset(next int64) }); ok && err == nil {
		told.Offset(r.next)
	}
	return err
}

// LogLines is the last lines of a process's output, in one piece.
func (c *Client) LogLines(ctx context.Context, name string, lines int) ([]byte, error) {
	var data bytes.Buffer
	_, err := c.Log(ctx, name, process.LogQuery{Lines: lines}, &data)
	return data.Bytes(), err
}
