package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// state is all that a keeper knows, for the program that it replaces itself by. The
// process stays, with its children and these descriptors. It is JSON, for the other
// program may be older or newer; what is not surely text is []byte.
type state struct {
	Path      []byte
	Env       [][]byte
	Hello     []byte
	Exe       int // the accepted program
	New       int // the one that has its trial; 0 on the way back
	Listeners []int
	Locks     []int
	Runs      []runState
	Upgrade   Upgrade
	Shutdown  bool
	Code      int `json:",omitempty"`
}

type runState struct {
	Name   []byte
	Run    uint64
	ID     proc.ID
	Failed *failedState `json:",omitempty"`
	Output int          // 0: none
	Notify int          `json:",omitempty"` // the same
	Exit   *proc.Exit   `json:",omitempty"`
}

type failedState struct {
	Step  proc.Step
	Path  []byte
	Errno unix.Errno
	Text  string
}

// become replaces the program of this process by u's, or, where u is nil, goes back
// to the accepted one. It returns only if that fails, and then nothing has changed.
//
// Until the other program listens, for a few milliseconds, a SIGTERM ends the keeper as
// SIGKILL does, and trees live on: Go unblocks it before it has a handler, whatever mask
// an exec hands down. A SIGHUP does nothing: it could not begin a second upgrade anyway, and a
// terminal that is closed just then leaves the daemon alive. What is to be passed on is lost
// meanwhile.
func (k *keeper) become(u *upgrade) error {
	deliver() // what is on its way now would be lost by Ignore
	signal.Ignore(unix.SIGHUP)
	if k.Passes != "" {
		signal.Ignore(passed...)
	}
	if k.Terminal.Quits {
		signal.Ignore(unix.SIGQUIT)
	}
	defer signal.Notify(k.signals, taken(k.Passes != "", k.Terminal)...)
	s := state{
		Path: []byte(k.Path), Hello: k.Hello, Exe: int(k.program.exe.Fd()),
		Upgrade: k.last, Shutdown: k.shutdown, Code: k.code,
	}
	exe := k.program.exe
	if u != nil {
		exe, s.New = u.exe, int(u.exe.Fd())
	}
	for _, v := range k.Env {
		s.Env = append(s.Env, []byte(v))
	}
	for _, f := range k.Listeners {
		s.Listeners = append(s.Listeners, int(f.Fd()))
	}
	for _, f := range k.Locks {
		s.Locks = append(s.Locks, int(f.Fd()))
	}
	for _, r := range k.runs {
		s.Runs = append(s.Runs, r.state())
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	memory, err := memoryFile(data)
	if err != nil {
		return err
	}
	defer memory.Close()

	k.Flush()
	syscall.ForkLock.Lock() // no child gets what is open across exec
	defer syscall.ForkLock.Unlock()
	fds := append(s.descriptors(), int(memory.Fd()))
	for _, fd := range fds {
		if _, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			err = fmt.Errorf("keep descriptor %d: %w", fd, err)
			break
		}
	}
	deliver()
	if err == nil && len(k.signals) > 0 {
		err = errSignal
	}
	if err == nil {
		err = syscall.Exec(descriptorPath(exe), []string{argv0, ResumeArg, strconv.Itoa(int(memory.Fd()))}, k.Env)
		err = fmt.Errorf("execute %s: %w", exe.Name(), err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return err
}

// errSignal is why the keeper does not replace itself at the moment.
var errSignal = errors.New("a signal is to be handled first")

// descriptors are those that must stay open.
func (s *state) descriptors() []int {
	fds := append([]int{s.Exe}, s.Listeners...)
	fds = append(fds, s.Locks...)
	if s.New != 0 {
		fds = append(fds, s.New)
	}
	for _, r := range s.Runs {
		for _, fd := range []int{r.Output, r.Notify} {
			if fd != 0 {
				fds = append(fds, fd)
			}
		}
	}
	return fds
}

func (r *run) state() runState {
	s := runState{Name: []byte(r.Name), Run: r.Run, ID: r.id, Exit: r.exit}
	var failed *proc.SpawnError
	if errors.As(r.err, &failed) {
		s.Failed = &failedState{Step: failed.Step, Path: []byte(failed.Path), Text: failed.Err.Error()}
		errors.As(failed.Err, &s.Failed.Errno)
	}
	if r.output != nil {
		s.Output = int(r.output.Fd())
	}
	if r.notify != nil {
		s.Notify = int(r.notify.Fd())
	}
	return s
}

func (s *runState) run() *run {
	r := &run{RunID: RunID{string(s.Name), s.Run}, outcome: outcome{id: s.ID}, exit: s.Exit}
	if f := s.Failed; f != nil {
		failed := &proc.SpawnError{Step: f.Step, Path: string(f.Path), Err: f.Errno}
		if f.Errno == 0 {
			failed.Err = errors.New(f.Text)
		}
		r.err = failed
	}
	if s.Output != 0 {
		r.output = os.NewFile(uintptr(s.Output), "")
	}
	if s.Notify != 0 {
		r.notify = os.NewFile(uintptr(s.Notify), "")
	}
	return r
}

// Resume returns the Config that the keeper had which this program has replaced.
// Args, Log and Flush are the caller's to fill in. descriptor is what stands behind
// ResumeArg. Call it after proc.Prepare.
func Resume(descriptor string) (c Config, err error) {
	fd, s, err := readState(descriptor)
	if err != nil {
		return c, err
	}
	unix.Close(fd)
	c = Config{
		Exe: os.NewFile(uintptr(s.Exe), string(s.Path)), Path: string(s.Path), Hello: s.Hello,
		resumed: &s,
	}
	for _, v := range s.Env {
		c.Env = append(c.Env, string(v))
	}
	for _, fd := range s.Listeners {
		c.Listeners = append(c.Listeners, os.NewFile(uintptr(fd), "listener"))
	}
	for _, fd := range s.Locks {
		c.Locks = append(c.Locks, os.NewFile(uintptr(fd), "lock"))
	}
	return c, nil
}

// Handed are the descriptors that the replaced program has handed to this one.
func Handed(descriptor string) []int {
	fd, s, err := readState(descriptor)
	if err != nil {
		return nil // Resume says it
	}
	return append(s.descriptors(), fd)
}

// readState reads what become has written to a memory file.
func readState(descriptor string) (fd int, s state, err error) {
	fd, err = strconv.Atoi(descriptor)
	if err != nil || fd <= 2 {
		return fd, s, fmt.Errorf("%s %q is no descriptor", ResumeArg, descriptor)
	}
	memory := io.NewSectionReader(preader(fd), 0, math.MaxInt64)
	if err := json.NewDecoder(memory).Decode(&s); err != nil {
		return fd, s, fmt.Errorf("%s %s is for the daemon itself: %w", ResumeArg, descriptor, err)
	}
	return fd, s, nil
}

// preader reads a descriptor that it does not own.
type preader int

func (fd preader) ReadAt(p []byte, off int64) (int, error) {
	n, err := unix.Pread(int(fd), p, off)
	switch {
	case err != nil:
		return 0, os.NewSyscallError("pread", err)
	case n < len(p): // no more for now, and for ever
		return n, io.EOF
	}
	return n, nil
}

// resume takes up what the former program of this process knew.
func (k *keeper) resume(s *state) {
	k.last, k.shutdown, k.code, k.proven = s.Upgrade, s.Shutdown, s.Code, true
	for i := range s.Runs {
		r := s.Runs[i].run()
		k.runs[r.RunID] = r
		if r.err == nil && r.exit == nil && r.id.PID != 0 {
			k.leaders[r.id.PID] = r
		}
	}
	if s.New != 0 {
		k.away = true
		k.upgrade = &upgrade{exe: os.NewFile(uintptr(s.New), k.Path)}
	}
}
