package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/logs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxLast is how much output an answer in one piece holds at the most.
const maxLast = 16 << 20

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
		Report: func(err error) { s.log.Printf("process '%s': %v", spec.Name, err) },
	})
	return output{log: log}, err
}

// move begins to move what a run writes from its FIFO.
func (s *Supervisor) move(o output, id keeper.RunID, fifo *os.File) (*logs.Pump, error) {
	if o.log != nil {
		return o.log.Move(fifo, id.Run)
	}
	return s.mover.Copy(fifo, o.tail, func(err error) { s.log.Printf("%v: %v", id, err) })
}

// last is the last lines that are kept, all for 0.
func (o output) last(lines int) ([]byte, error) {
	if o.log != nil {
		return o.log.Last(lines, maxLast)
	}
	return o.tail.Last(lines), nil
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
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0) // os.OpenFile makes it non-blocking
	if err != nil {
		os.Remove(path)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openFIFO is an end to read from, an open description of its own: that it does not
// block must not show in the tree's. f is opened by its descriptor, so that it is
// found when its name is gone.
func openFIFO(f *os.File) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK, 0)
}
