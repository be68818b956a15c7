package client

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Log writes what q asks for of a process's output to w, over a connection of its own,
// and returns the offset to go on From. The bytes are those that were written, with a
// line end where a run has left its last line without one and the next run goes on. With
// q.Follow it goes on until ctx ends, w fails or Close is called. When the connection is
// lost it is made again, and reading goes on behind the last byte that was written to w,
// so none is missing or doubled. A w with a method Offset(int64) is told the offset after
// each piece.
func (c *Client) Log(ctx context.Context, name string, q process.LogQuery, w io.Writer) (next int64, err error) {
	if err := process.ValidateName(name); err != nil { // a pattern would be several
		return 0, err
	}
	ctx, release := c.untilClosed(ctx)
	defer release()
	for idle := 1; ; idle++ { // tries without a byte
		r := &logReader{w: w, next: q.From}
		err := c.stream(ctx, verbs.LogAction(name, q), r.line)
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
		if err := pauseBefore(ctx, idle); err != nil {
			return r.next, err
		}
	}
}

// logReader takes the pieces of a log.
type logReader struct {
	w       io.Writer
	next    int64
	begun   bool // the daemon has said where next is
	written bool
	err     error // of w, or of an answer that makes no sense
}

func (r *logReader) line(line []byte) error {
	piece, data, err := verbs.DecodeBytes(line)
	if err != nil {
		r.err = notExpected(err)
		return r.err
	}
	if len(data) > 0 {
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
