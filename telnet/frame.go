package telnet

import (
	"bufio"
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

const (
	resultMark = "**RESULT**"
	endMark    = "**ENDRESULT**"
)

// blanks is a supply for lines that begin with many of them.
var blanks = bytes.Repeat([]byte{' '}, 256)

func writeBlanks(w io.Writer, n int) {
	for n > 0 {
		k := min(n, len(blanks))
		w.Write(blanks[:k])
		n -= k
	}
}

// A lineStart recognises "^ *\*\*" in a text that comes in pieces. It needs no
// buffer, only the number of blanks and stars at the beginning of a line.
type lineStart struct {
	within bool // past the beginning: nothing to look for until the next LF
	blanks int
	stars  int
}

// held is written out when the beginning turned out to be ordinary.
func (l *lineStart) release(w io.Writer) {
	writeBlanks(w, l.blanks)
	for range l.stars {
		w.Write([]byte{'*'})
	}
	l.blanks, l.stars = 0, 0
}

// step takes a byte at the beginning of a line. It reports whether the byte is
// kept back, and whether it was the second star.
func (l *lineStart) step(c byte) (kept, match bool) {
	switch {
	case c == ' ' && l.stars == 0:
		l.blanks++
		return true, false
	case c == '*' && l.stars == 0:
		l.stars = 1
		return true, false
	case c == '*':
		return false, true
	}
	return false, false
}

// A frameWriter writes one answer: the result line, the payload with its lines
// stuffed, the end line. What is written arrives within flushDelay, so a body
// may write in small pieces and pause as long as it likes.
type frameWriter struct {
	mu    sync.Mutex
	w     *bufio.Writer // of buffers; nil: the answer is closed
	timer *time.Timer
	start lineStart
	bare  bool // the payload alone, as it is
	wrote bool // some payload

	fault *border.Panic // of w, in the timer's goroutine: the next write goes on with it
}

const flushDelay = 10 * time.Millisecond

// buffers are for one answer after another: most are much shorter.
var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 16<<10) }}

func newFrameWriter(w io.Writer, jobID string) *frameWriter {
	f := newBareWriter(w)
	f.begin(jobID)
	return f
}

// begin writes the result line. The timer starts with it, and no sooner: where
// something is in the buffer and no timer runs, nothing that is written later
// starts one.
func (f *frameWriter) begin(jobID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bare = false
	f.timer.Reset(flushDelay)
	f.w.WriteString(resultMark + " " + jobID + "\n")
}

// newBareWriter writes an answer without its frame.
func newBareWriter(w io.Writer) *frameWriter {
	f := &frameWriter{w: buffers.Get().(*bufio.Writer), bare: true}
	f.w.Reset(w)
	f.timer = time.AfterFunc(time.Hour, f.flush)
	f.timer.Stop() // until something is written
	return f
}

func (f *frameWriter) flush() {
	if !f.mu.TryLock() {
		// A write is under way, and may take long. It may also leave
		// something behind.
		f.timer.Reset(flushDelay)
		return
	}
	defer f.mu.Unlock()
	defer border.Catch(func(p *border.Panic) { f.fault = p })
	if f.w != nil {
		f.w.Flush()
	}
}

// checkFault goes on with a panic of the timer's in the goroutine that writes.
func (f *frameWriter) checkFault() {
	if f.fault != nil {
		panic(f.fault)
	}
}

// Write takes payload. It fails once the client cannot be written to.
func (f *frameWriter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkFault()
	if len(p) > 0 && f.w.Buffered() == 0 {
		f.timer.Reset(flushDelay)
	}
	n := len(p)
	for len(p) > 0 {
		f.wrote = true
		if f.bare {
			f.w.Write(p)
			break
		}
		if f.start.within {
			end := bytes.IndexByte(p, '\n') + 1
			if end == 0 {
				f.w.Write(p)
				break
			}
			f.w.Write(p[:end])
			f.start.within = false
			p = p[end:]
			continue
		}
		kept, match := f.start.step(p[0])
		if kept {
			p = p[1:]
			continue
		}
		if match {
			f.start.blanks++
		}
		f.start.release(f.w)
		f.start.within = true
	}
	// A bufio.Writer keeps its first error; an empty Write asks for it.
	if _, err := f.w.Write(nil); err != nil {
		return 0, err
	}
	return n, nil
}

// close ends the payload, with a line end if it has none, and the frame.
func (f *frameWriter) close() error {
	f.timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkFault()
	defer func() {
		f.w.Reset(nil)
		buffers.Put(f.w)
		f.w = nil
	}()
	if f.bare {
		return f.w.Flush()
	}
	if f.start.within || f.start.blanks > 0 || f.start.stars > 0 {
		f.start.release(f.w)
		f.w.WriteByte('\n')
	}
	f.w.WriteString(endMark + "\n")
	return f.w.Flush()
}

// readFrame reads one answer and writes its payload to w. Lines before the
// result line are skipped. An error of w does not end the frame: it is
// returned when all of it is read, so that the connection stays usable.
func readFrame(r *bufio.Reader, w io.Writer) (jobID string, err error) {
	for {
		line, err := readShortLine(r)
		if err != nil {
			return "", err
		}
		if rest, ok := bytes.CutPrefix(line, []byte(resultMark)); ok {
			jobID = string(bytes.TrimSpace(rest))
			break
		}
	}
	keep := &keepError{w: w}
	for {
		ended, err := readPayloadLine(r, keep)
		if err != nil {
			return jobID, err
		}
		if ended {
			keep.flush()
			return jobID, keep.err
		}
	}
}

// readPayloadLine reads one line to w, or the end line.
func readPayloadLine(r *bufio.Reader, w *keepError) (ended bool, err error) {
	var start lineStart
	for {
		if r.Buffered() == 0 {
			w.flush()
		}
		c, err := r.ReadByte()
		if err != nil {
			return false, unexpected(err)
		}
		kept, match := start.step(c)
		if kept {
			continue
		}
		r.UnreadByte()
		if match && start.blanks == 0 {
			// Only the end line looks like this; a line that does not is
			// handed on as it is.
			rest, err := peekLine(r, len(endMark)) // from the second star
			if err != nil {
				return false, unexpected(err)
			}
			if string(rest) == endMark[1:]+"\n" {
				r.Discard(len(rest))
				return true, nil
			}
		} else if match {
			start.blanks--
		}
		start.release(w)
		break
	}
	for {
		if r.Buffered() == 0 {
			w.flush()
			if _, err := r.Peek(1); err != nil {
				return false, unexpected(err)
			}
		}
		piece, _ := r.Peek(r.Buffered())
		end := bytes.IndexByte(piece, '\n') + 1
		if end > 0 {
			piece = piece[:end]
		}
		w.Write(piece)
		r.Discard(len(piece))
		if end > 0 {
			return false, nil
		}
	}
}

// peekLine looks at the next n bytes, or fewer if a line ends before.
func peekLine(r *bufio.Reader, n int) ([]byte, error) {
	for k := 1; ; k++ {
		p, err := r.Peek(k)
		if err != nil {
			return nil, err
		}
		if k == n || p[k-1] == '\n' {
			return p, nil
		}
	}
}

// readShortLine reads a line that the protocol itself writes. What does not
// fit the buffer is no such line.
func readShortLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return nil, errNotOurs
	}
	if err != nil {
		return nil, unexpected(err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// keepError writes in larger pieces and remembers the first error.
type keepError struct {
	w   io.Writer
	buf []byte
	err error
}

func (k *keepError) Write(p []byte) (int, error) {
	k.buf = append(k.buf, p...)
	if len(k.buf) >= 16<<10 {
		k.flush()
	}
	return len(p), nil
}

func (k *keepError) flush() {
	if len(k.buf) > 0 && k.err == nil {
		_, k.err = k.w.Write(k.buf)
	}
	k.buf = k.buf[:0]
}
