package logs

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// reader writes one answer.
type reader struct {
	q    Query
	w    io.Writer
	view *view
	off  int64 // to read next
	next int64 // behind what was written

	buf  []byte
	out  []byte
	line []byte    // of a line, what was read of it
	time time.Time // of the line
	open bool      // the beginning of a line is written, and its rest is not read yet
}

// copy goes on to the offset to, or to the end if that comes first.
func (r *reader) copy(ctx context.Context, to int64) error {
	if r.buf == nil {
		r.buf = make([]byte, readBlock)
		if r.q.Follow && r.q.Grep != nil { // many may wait for a line at once
			r.buf = make([]byte, readBlock/8)
		}
		if r.q.Times { // an empty line becomes 26 bytes
			r.buf = make([]byte, readBlock/8)
		}
	}
	for r.off < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, at, err := r.view.read(r.buf, r.off)
		if err != nil || n == 0 {
			return err
		}
		if at > r.off {
			r.out = r.out[:0]
			r.endLine()
			if err := r.write(r.out, 0); err != nil {
				return err
			}
			r.miss(r.off, min(at, to))
			r.off = at
			continue
		}
		n = int(min(int64(n), to-at))
		r.off += int64(n)
		if err := r.block(r.buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// jump goes on at another offset.
func (r *reader) jump(off int64) error {
	if off == r.off {
		return nil
	}
	r.out = r.out[:0]
	if r.endLine(); len(r.out) > 0 {
		if err := r.write(r.out, 0); err != nil {
			return err
		}
	}
	r.off, r.next = off, off
	return nil
}

// block writes what was read before r.off. Where a run begins it ends the line of the
// run before.
func (r *reader) block(p []byte) error {
	off := r.off - int64(len(p))
	starts := r.view.runStarts(off, r.off)
	if len(starts) == 0 && r.plain() {
		r.open = p[len(p)-1] != '\n'
		return r.write(p, 0)
	}
	r.out = r.out[:0]
	for _, start := range starts {
		n := start - off
		r.lines(p[:n], off)
		r.endLine()
		p, off = p[n:], start
	}
	r.lines(p, off)
	return r.write(r.out, len(r.line))
}

// plain is that bytes are written as they are read, lines begun or not.
func (r *reader) plain() bool { return r.q.Grep == nil && !r.q.Times }

func (r *reader) miss(from, to int64) {
	if r.q.Missing != nil {
		r.q.Missing(from, to)
	}
}

// lines puts out the lines that end in p, which begins at off.
func (r *reader) lines(p []byte, off int64) {
	if r.plain() && len(p) > 0 {
		r.out = append(r.out, p...)
		r.open = p[len(p)-1] != '\n'
		return
	}
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n') + 1
		if r.open {
			r.open = n == 0
			if n == 0 {
				n = len(p)
			}
			r.out = append(r.out, p[:n]...)
			p, off = p[n:], off+int64(n)
			continue
		}
		if len(r.line) == 0 && r.q.Times {
			r.time = time.Unix(0, r.view.entryAt(off).at)
		}
		switch {
		case n == 0 && len(r.line)+len(p) < maxLine:
			n = len(p)
			r.line = append(r.line, p...)
		case len(r.line) == 0 && n > 0:
			r.emit(p[:n])
		default:
			if n == 0 {
				n = len(p)
			}
			r.line = append(r.line, p[:n]...)
			whole := len(r.line) - screen.Unfinished(r.line) // a line that is too long is not cut within a character
			r.emit(r.line[:whole])
			r.line = append(r.line[:0], r.line[whole:]...)
		}
		p, off = p[n:], off+int64(n)
	}
}

// endLine ends a line that has no end of its own.
func (r *reader) endLine() {
	switch {
	case r.open:
		r.out = append(r.out, '\n')
	case len(r.line) > 0:
		r.line = append(r.line, '\n')
		r.emit(r.line)
		r.line = r.line[:0]
	}
	r.open = false
}

// wanted is whether a line is asked for.
func (r *reader) wanted(line []byte) bool {
	return r.q.Grep == nil || r.q.Grep.Match(trimEnd(line))
}

// emit puts a line out if it is asked for.
func (r *reader) emit(line []byte) {
	if !r.wanted(line) {
		return
	}
	if r.q.Times {
		if r.time.UnixNano() == 0 {
			r.out = append(r.out, "0000-00-00T00:00:00.000Z"...)
		} else {
			r.out = r.time.UTC().AppendFormat(r.out, TimeLayout)
		}
		r.out = append(r.out, ' ')
	}
	r.out = append(r.out, line...)
}

// flush writes a last line that has no end.
func (r *reader) flush() error {
	if len(r.line) == 0 {
		return nil
	}
	r.out = r.out[:0]
	r.emit(r.line)
	r.line = r.line[:0]
	return r.write(r.out, 0)
}

// flushOpen writes the beginning of a line whose rest may come later, if it is asked for
// as it is.
func (r *reader) flushOpen() error {
	if len(r.line) == 0 || !r.wanted(r.line) {
		return nil
	}
	r.open = true
	return r.flush()
}

// write writes all that was read but the last held bytes.
func (r *reader) write(p []byte, held int) error {
	if len(p) > 0 {
		if _, err := r.w.Write(p); err != nil {
			return err
		}
	}
	r.next = r.off - int64(held)
	if r.q.Progress != nil {
		r.q.Progress(r.next)
	}
	return nil
}
