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
}

// copy goes on to the offset to, or to the end if that comes first.
func (r *reader) copy(ctx context.Context, to int64) error {
	if r.buf == nil {
		r.buf = make([]byte, readBlock)
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
			if err := r.flush(); err != nil {
				return err
			}
			r.miss(r.off, min(at, to))
			r.off = at
			continue
		}
		n = int(min(int64(n), to-at))
		r.off += int64(n)
		if r.q.Grep == nil && !r.q.Times {
			err = r.write(r.buf[:n], 0)
		} else {
			err = r.lines(r.buf[:n])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) miss(from, to int64) {
	if r.q.Missing != nil {
		r.q.Missing(from, to)
	}
}

// lines writes the lines that end in p, which was read before r.off.
func (r *reader) lines(p []byte) error {
	r.out = r.out[:0]
	for len(p) > 0 {
		if len(r.line) == 0 && r.q.Times {
			r.time = time.Unix(0, r.view.entryAt(r.off-int64(len(p))).at)
		}
		n := bytes.IndexByte(p, '\n') + 1
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
		p = p[n:]
	}
	return r.write(r.out, len(r.line))
}

// emit puts a line out if it is asked for.
func (r *reader) emit(line []byte) {
	if r.q.Grep != nil && !r.q.Grep.Match(trimEnd(line)) {
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
