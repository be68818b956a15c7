package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// output is where what a process writes is kept: in its log or, without one, in a
// tail in memory. One of the two is nil.
type output struct {
	log  *logs.Log
	tail *tail

	mover  *logs.Mover // of a tail
	report func(format string, args ...any)

	shared bool // with a run that goes on already
}

// of is the output for a run; shared: others go on that write there too.
func (o output) of(shared bool) output {
	o.shared = shared
	return o
}

func (s *Supervisor) openOutput(spec *process.Spec) (output, error) {
	if !spec.Log {
		return output{tail: s.tails.add(), mover: s.mover, report: s.log.Printf}, nil
	}
	log, err := s.mover.Open(s.logDir(spec.Name), s.logOptions(spec))
	return output{log: log}, err
}

// logOptions are the limits of a log.
func (s *Supervisor) logOptions(spec *process.Spec) logs.Options {
	name := spec.Name
	return logs.Options{
		MaxSize:  orLeast(spec.LogMaxSize, process.MinLogSize),
		MaxFiles: spec.LogMaxFiles,
		MaxAge:   orLeast(spec.LogMaxAge, process.MinLogAge),
		MaxTotal: orLeast(spec.LogMaxTotal, process.MinLogTotal),
		Block:    spec.LogBlock,
		Report:   func(err error) { s.log.Printf("process '%s': %v", name, err) },
	}
}

// reopenOutput has the next run's output kept as the definition says, if the one before
// had it otherwise.
func (p *managed) reopenOutput() error {
	if p.kept.Spec.Log == (p.output.log != nil) {
		return nil
	}
	out, err := p.s.openOutput(&p.kept.Spec)
	if err != nil {
		return err
	}
	if p.output.tail != nil {
		p.output.tail.Remove()
	}
	p.output = out
	return nil
}

// setOptions has a log follow its limits when they have changed.
func (o output) setOptions(s *Supervisor, spec *process.Spec) {
	if o.log == nil || !spec.Log {
		return
	}
	if err := o.log.SetOptions(s.logOptions(spec)); err != nil {
		s.log.Printf("process '%s': %v", spec.Name, err)
	}
}

// orLeast is a limit as it holds: definitions that were stored before there was a least
// one may have less. 0 is the default.
func orLeast[T int64 | time.Duration](limit, least T) T {
	if limit == 0 {
		return 0
	}
	return max(limit, least)
}

// Begin is called before anything of a new run is moved. A tail is that of one run, or of
// those that go on side by side.
func (o output) Begin(run uint64) {
	if o.tail != nil && !o.shared {
		o.tail.Begin(run)
	}
}

// Move begins to move what a run writes from its FIFO.
func (o output) Move(number uint64, fifo *os.File) (run.Pump, error) {
	if o.log != nil {
		pump, err := o.log.Move(fifo, number)
		if err != nil {
			return nil, err
		}
		return pump, nil
	}
	pump, err := o.mover.Copy(fifo, o.tail, func(err error) { o.report("the last lines of a run: %v", err) })
	if err != nil {
		return nil, err
	}
	o.tail.pump.Store(pump)
	return pump, nil
}

// shownLine is how many cells of a run's last line are shown with its result.
const shownLine = 200

// LastLine is the last line that a run wrote, or its beginning.
func (o output) LastLine(run uint64) string {
	line := head{left: 16 * shownLine} // more than is shown, whatever the characters are
	if o.log != nil {
		o.log.Read(context.Background(), logs.Query{Run: run, Lines: 1}, &line) // what came before an error will do
	} else {
		line.Write(o.tail.Last(1))
	}
	data := line.data
	if line.more {
		data = data[:len(data)-screen.Unfinished(data)]
	}
	text := strings.ToValidUTF8(string(bytes.TrimSpace(data)), "�")
	shown := screen.Cut(text, shownLine)
	if line.more && shown == text {
		shown += "…"
	}
	return shown
}

// errMatched ends the reading of a log: the line is there.
var errMatched = errors.New("a line matches")

// Await returns when the run has written a line that matches.
func (o output) Await(ctx context.Context, run uint64, line *regexp.Regexp) error {
	if o.log == nil {
		return errors.New("there is no log to look for lines in")
	}
	_, err := o.log.Read(ctx, logs.Query{Run: run, Grep: line, Follow: true}, matched{})
	switch {
	case errors.Is(err, errMatched):
		return nil
	case err == nil:
		return errors.New("no line of the run matches")
	}
	return err
}

// matched takes nothing but the news that there is something.
type matched struct{}

func (matched) Write([]byte) (int, error) { return 0, errMatched }

// head takes the first bytes that are written to it, then no more.
type head struct {
	data []byte
	left int
	more bool // was written
}

func (h *head) Write(p []byte) (n int, err error) {
	n = min(len(p), h.left)
	h.data, h.left = append(h.data, p[:n]...), h.left-n
	if n < len(p) {
		h.more, err = true, io.ErrShortWrite
	}
	return n, err
}

// read writes what q asks for.
func (o output) read(ctx context.Context, q process.LogQuery, w io.Writer) (next int64, err error) {
	if o.log == nil {
		if err := q.WithoutFile(); err != nil {
			return 0, err
		}
		if pump := o.tail.pump.Load(); pump != nil {
			pump.Flush() // what it says now, not 200 ms ago
		}
		_, err := w.Write(o.tail.Last(q.Lines))
		return 0, err
	}
	query := logs.Query{Lines: q.Lines, From: q.From, Since: q.Since, Until: q.Until, Run: q.Run, Times: q.Times, Follow: q.Follow}
	if q.Grep != "" {
		if query.Grep, err = process.CompileGrep(q.Grep); err != nil {
			return 0, err
		}
	}
	if told, ok := w.(interface{ Offset(next int64) }); ok {
		query.Progress = told.Offset
	}
	query.Missing = func(from, to int64) { // an error shows at the next write
		fmt.Fprintf(w, "processmanager: %d bytes of output are missing here: they were removed before they were read\n", to-from)
	}
	return o.log.Read(ctx, query, w)
}

// dropped is how many bytes could not be written.
func (o output) dropped() uint64 {
	if o.log == nil {
		return 0
	}
	bytes, _ := o.log.Dropped()
	return bytes
}

// trouble is why it cannot be kept just now; empty: it can.
func (o output) trouble() string {
	if o.log == nil {
		return ""
	}
	t := o.log.Trouble()
	if t == nil {
		return ""
	}
	return fmt.Sprintf("since %s %v", t.Since.UTC().Format(time.RFC3339), t.Err)
}

// remove forgets all of it.
func (o output) remove() error {
	if o.log != nil {
		return o.log.Remove()
	}
	o.tail.Remove()
	return nil
}
