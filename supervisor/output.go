package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// output is where what a process writes is kept: in its log or, without one, in a
// tail in memory. One of the two is nil.
type output struct {
	log  *logs.Log
	tail *tail
}

func (s *Supervisor) openOutput(spec *process.Spec) (output, error) {
	if !spec.Log {
		return output{tail: s.tails.add()}, nil
	}
	log, err := s.mover.Open(s.logDir(spec.Name), logs.Options{
		MaxSize:  orLeast(spec.LogMaxSize, process.MinLogSize),
		MaxFiles: spec.LogMaxFiles,
		MaxAge:   orLeast(spec.LogMaxAge, process.MinLogAge),
		MaxTotal: orLeast(spec.LogMaxTotal, process.MinLogTotal),
		Block:    spec.LogBlock,
		Report:   func(err error) { s.log.Printf("process '%s': %v", spec.Name, err) },
	})
	return output{log: log}, err
}

// orLeast is a limit as it holds: definitions that were stored before there was a least
// one may have less. 0 is the default.
func orLeast[T int64 | time.Duration](limit, least T) T {
	if limit == 0 {
		return 0
	}
	return max(limit, least)
}

// begin is called before anything of a new run is moved. A tail is that of one run.
func (o output) begin(run uint64) {
	if o.tail != nil {
		o.tail.Begin(run)
	}
}

// move begins to move what a run writes from its FIFO.
func (s *Supervisor) move(o output, id keeper.RunID, fifo *os.File) (*logs.Pump, error) {
	if o.log != nil {
		return o.log.Move(fifo, id.Run)
	}
	pump, err := s.mover.Copy(fifo, o.tail, func(err error) { s.log.Printf("%v: %v", id, err) })
	o.tail.pump.Store(pump)
	return pump, err
}

// shownLine is how many cells of a run's last line are shown with its result.
const shownLine = 200

// lastLine is the last line that a run wrote, or its beginning.
func (o output) lastLine(run uint64) string {
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

// makeFIFO makes the FIFO of a run. It has a name, so that a daemon that comes later
// finds it. The end that the tree gets is open for reading too: for it there is no
// broken pipe as long as it lives.
func makeFIFO(path string) (tree *os.File, err error) {
	err = unix.Mkfifo(path, 0o600)
	if err == unix.ENOENT { // somebody has deleted the directory
		if _, err := private.MakeDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
		err = unix.Mkfifo(path, 0o600)
	}
	if err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) // os.OpenFile makes it non-blocking
	if err != nil {
		os.Remove(path)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openNamedFIFO is an end of a FIFO that a former worker has made.
func openNamedFIFO(path string) (*os.File, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no FIFO", path))
	}
	return f, nil
}

// openFIFO is an end to read from, an open description of its own: that it does not
// block must not show in the tree's. f is opened by its descriptor, so that it is
// found when its name is gone.
func openFIFO(f *os.File) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

// findFIFO opens the FIFO of a run to read from: by its name or, when somebody has
// deleted or moved that, as the output of a process of the tree. Nobody can give it its
// name again. The error is of the name.
func findFIFO(path string, tree cgroup.Group) (*os.File, error) {
	f, err := openNamedFIFO(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	pids, _ := tree.Pids()
	for _, pid := range pids {
		for _, fd := range []int{1, 2} {
			link := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
			name, _ := os.Readlink(link)
			info, statErr := os.Stat(link)
			if statErr != nil || info.Mode().Type() != fs.ModeNamedPipe || filepath.Base(strings.TrimSuffix(name, " (deleted)")) != filepath.Base(path) {
				continue
			}
			if f, err := os.OpenFile(link, unix.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
				return f, nil
			}
		}
	}
	return nil, err
}
