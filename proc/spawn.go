package proc

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is what Spawn starts.
type Command struct {
	// Argv is the program and its arguments. Argv[0] is a path, absolute or
	// relative to Dir; PATH is not searched.
	Argv []string

	// Env is the whole environment, "key=value" each. Nothing is added to it.
	Env []string

	// Dir is the working directory. Empty means the one of this process.
	Dir string

	// Group is the open directory of the cgroup that the child is cloned into, so
	// that it never runs an instruction outside. Nil means the group of this process.
	Group *os.File

	// Output becomes stdout and stderr. Nil means /dev/null. It must be in blocking
	// mode, for the child shares the mode and few programs expect EAGAIN.
	Output *os.File

	// Settings are what a clone cannot give the child: see [Begin]. Nil, which costs
	// nothing, means none.
	Settings *Settings
}

// Step names the part of a start that failed.
type Step string

// The steps, in their order.
const (
	StepPrepare Step = "prepare" // in this process, before anything was cloned
	StepClone   Step = "clone"   // no process was made: no pids left, no memory, no such group
	StepChdir   Step = "chdir"   // Dir is not a directory that the child may enter
	StepExec    Step = "exec"    // Argv[0] could not be executed
)

// SpawnError says at which step a start failed, and why. Err holds the errno:
// errors.Is(err, unix.EAGAIN) is true when there was no pid left.
type SpawnError struct {
	Step Step
	Path string // what the step was about: the program, the directory; empty for a clone
	Err  error
}

func (e *SpawnError) Error() string {
	text := string(e.Step)
	if e.Path != "" {
		text += " " + e.Path
	}
	text += ": " + e.Err.Error()
	if needs := e.Step.needs(); needs != "" && errors.Is(e.Err, fs.ErrPermission) {
		text += " (needs " + needs + ")"
	}
	return text
}

func (e *SpawnError) Unwrap() error { return e.Err }

// Spawn starts c and returns when its program has been executed. The child is one
// of this process: somebody must wait for its pid. Prepare must have been called.
//
// All errors are *SpawnError, and then no child is left to wait for. One caller at
// a time: oom_score_adj is changed around the clone. Where oom_score_adj cannot be
// changed the child keeps ours. A command with Settings is for [Begin].
func Spawn(c Command) (ID, error) {
	if len(c.Argv) == 0 || c.Settings != nil {
		return ID{}, &SpawnError{StepPrepare, "", unix.EINVAL}
	}
	if err := withoutNUL(c); err != nil {
		return ID{}, err
	}
	id, pidfd, err := clone(c)
	if err == nil {
		unix.Close(pidfd)
	}
	return id, err
}

// clone makes the child and has it execute c's program. The child gets more as its
// descriptors from 3 on; pidfd is the caller's to close.
func clone(c Command, more ...uintptr) (id ID, pidfd int, err error) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return ID{}, -1, &SpawnError{StepPrepare, os.DevNull, err}
	}
	defer unix.Close(null)

	output := uintptr(null)
	if c.Output != nil {
		output = c.Output.Fd()
	}
	// The pidfd tells a failed clone from a failure in the child: syscall leaves it
	// alone in the first case and sets it to -1 in the second.
	const untouched = -2
	pidfd = untouched
	sys := &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd}
	if c.Group != nil {
		sys.UseCgroupFD, sys.CgroupFD = true, int(c.Group.Fd())
	}

	runtime.LockOSThread() // it is the thread that has a priority
	defer runtime.UnlockOSThread()
	restoreScore, restorePriority := neutralOOMScore(), usualPriority()
	pid, err := ForkExec(c.Argv[0], c.Argv, &syscall.ProcAttr{
		Dir:   c.Dir,
		Env:   c.Env,
		Files: append([]uintptr{uintptr(null), output, output}, more...),
		Sys:   sys,
	})
	restorePriority()
	restoreScore()

	switch {
	case err == nil:
	case pidfd == untouched:
		return ID{}, -1, &SpawnError{StepClone, "", err}
	case c.Dir != "" && errors.Is(enterable(c.Dir), err):
		return ID{}, -1, &SpawnError{StepChdir, c.Dir, err}
	default:
		return ID{}, -1, &SpawnError{StepExec, c.Argv[0], err}
	}

	// Nobody has waited yet, so /proc has the child even if it has ended.
	// A shortage passes; if it should not, the start is undone below.
	id, err = Identify("/proc", pid)
	for try := 0; try < identifyTries && Passing(err); try++ {
		time.Sleep(10 * time.Millisecond)
		id, err = Identify("/proc", pid)
	}
	if err != nil {
		// Without a start time the run could not be told from another: undo it.
		unix.Kill(pid, unix.SIGKILL)
		waitFor(pid)
		unix.Close(pidfd)
		return ID{}, -1, &SpawnError{StepPrepare, "/proc", err}
	}
	return id, pidfd, nil
}

// identifyTries is how often the start time of a child is asked for.
const identifyTries = 100

// ForkExec is syscall.ForkExec for a child whose signal mask is empty, whatever is
// blocked here. The child gets the mask of the thread that clones it.
func ForkExec(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &before); err != nil {
		return 0, err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return syscall.ForkExec(path, argv, attr)
}

// withoutNUL finds the string that the kernel could not take over whole. What a variable
// holds is not told.
func withoutNUL(c Command) error {
	refuse := func(s string) error { return &SpawnError{StepPrepare, strconv.Quote(s), unix.EINVAL} }
	given := append([]string{c.Dir}, c.Argv...)
	if c.Settings != nil {
		given = append(given, c.Settings.Input)
	}
	for _, s := range given {
		if strings.IndexByte(s, 0) >= 0 {
			return refuse(s)
		}
	}
	for _, s := range c.Env {
		if strings.IndexByte(s, 0) >= 0 {
			name, _, _ := strings.Cut(s, "=")
			return refuse(name)
		}
	}
	return nil
}

// enterable returns the errno that a chdir would give. The dot makes the look-up
// fail where dir is no directory or may not be searched.
func enterable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir+"/.", unix.F_OK, unix.AT_EACCESS)
}
