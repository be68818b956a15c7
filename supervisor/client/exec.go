package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Exec runs a command in the foreground: its output, standard output and standard error as one,
// goes to w as it comes, byte for byte, and the result is how the run ended. It ends the tree
// when ctx ends, w fails or Close is called. See [Client.Execute].
func (c *Client) Exec(ctx context.Context, e process.Exec, w io.Writer) (process.Run, error) {
	to := &writerWatcher{Writer: w}
	err := c.Execute(ctx, e, to)
	return to.run, err
}

// writerWatcher watches for a writer.
type writerWatcher struct {
	io.Writer
	run process.Run
}

func (w *writerWatcher) Begun(uint64) error { return nil }
func (w *writerWatcher) Offset(int64)       {}
func (w *writerWatcher) Ended(got process.Waited) error {
	w.run = got.Run
	return nil
}

// Execute is Exec for a watcher, over a connection of its own. A daemon that is replaced, or
// dies, takes no output with it: when the next one is there within half a minute the watch goes
// on behind the last byte that was written. See verbs.Actor.
func (c *Client) Execute(ctx context.Context, e process.Exec, to process.Watcher) error {
	ctx, release := c.untilClosed(ctx)
	defer release()
	var last uint64 // run of the name, before this
	if e.Spec.Name == "" {
		e.Spec.Name = process.ExecName()
	} else if e.Run == 0 {
		var err error
		if last, err = c.lastRun(ctx, e.Spec.Name); err != nil {
			return err
		}
	}
	r := &execReader{to: to, run: e.Run, next: e.From}
	asked := false
	return c.persist(ctx, func() error {
		if asked && r.run == 0 { // the daemon was lost before it said whether it has begun
			now, err := c.lastRun(ctx, e.Spec.Name)
			if err != nil {
				return err
			}
			if now > last {
				r.run = now
			}
		}
		if r.run > 0 {
			e.Run, e.From = r.run, r.next
		}
		asked = true
		err := c.stream(ctx, verbs.ExecAction(e), r.line)
		switch {
		case r.err == nil && r.ended:
			return nil // all has come, whatever became of the connection
		case err == nil:
			return notExpected(io.ErrUnexpectedEOF)
		}
		return err
	})
}

// lastRun is the number of the last run that a process had, or has; 0: none.
func (c *Client) lastRun(ctx context.Context, name string) (uint64, error) {
	s, err := c.Status(ctx, name)
	if errors.Is(err, process.ErrNotFound) {
		return 0, nil
	}
	return max(s.Number, s.Ended().Number), err
}

// execReader takes the answer to an exec to pieces.
type execReader struct {
	to    process.Watcher
	run   uint64
	next  int64
	begun bool // that was told
	ended bool
	err   error // of the watcher
}

func (r *execReader) line(line []byte) error {
	r.err = r.take(line)
	return r.err
}

func (r *execReader) take(line []byte) error {
	if bytes.Contains(line[:min(len(line), process.MaxName+32)], []byte(`"data":`)) {
		piece, data, err := verbs.DecodeBytes(line)
		if err != nil {
			return notExpected(err)
		}
		if len(data) > 0 {
			_, err = r.to.Write(data)
		}
		if err == nil {
			r.next = max(r.next, piece.Next)
			r.to.Offset(r.next)
		}
		return err
	}
	var is process.Waited
	if err := json.Unmarshal(line, &is); err != nil {
		return notExpected(err)
	}
	if is.Cause != 0 {
		r.ended = true
		return r.to.Ended(is)
	}
	if r.run = is.Number; r.begun { // to a daemon that knew of it
		return nil
	}
	r.begun = true
	return r.to.Begun(is.Number)
}
