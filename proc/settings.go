package proc

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Settings are what a child is to have that a clone cannot give it. A field that is nil
// or empty leaves things as they are for any other child. They travel as JSON.
type Settings struct {
	Umask           *int     `json:",omitempty"`
	Limits          []Rlimit `json:",omitempty"`
	OOMScoreAdj     *int     `json:",omitempty"`
	Nice            *int     `json:",omitempty"`
	User            *uint32  `json:",omitempty"` // real, effective, saved
	Group           *uint32  `json:",omitempty"`
	Groups          []uint32 `json:",omitempty"` // supplementary ones; nil: those of this process
	NoNewPrivileges bool     `json:",omitempty"`

	// Input is a file for stdin, opened as User; empty: /dev/null. It is UTF-8. A FIFO
	// without a writer does not make the start wait: it reads as an empty file.
	Input string `json:",omitempty"`
}

// Rlimit is a resource limit, in the unit of setrlimit.
type Rlimit struct {
	Resource   string // as in ulimit's manual, in lower case: "nofile"
	Soft, Hard uint64 // Unlimited: none
}

// Unlimited is no limit.
const Unlimited = unix.RLIM_INFINITY

// resources are the limits by their names.
var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// The steps of settings, in their order; chdir and exec follow. Which limit it was
// stands behind StepLimit.
const (
	StepOOMScore     Step = "oom_score_adj"
	StepUmask        Step = "umask"
	StepLimit        Step = "rlimit_"
	StepNice         Step = "nice"
	StepGroups       Step = "supplementary groups"
	StepGroup        Step = "group"
	StepUser         Step = "user"
	StepInput        Step = "stdin"
	StepNoPrivileges Step = "no_new_privileges"
)

const (
	settingsProgram = "/proc/self/exe" // whatever has become of its file
	maxStatus       = 256              // bytes that a child says at most
)

// needs is the capability that a step lacks which is not permitted; empty: it is not known.
func (s Step) needs() string {
	switch {
	case s == StepOOMScore, strings.HasPrefix(string(s), string(StepLimit)):
		return "CAP_SYS_RESOURCE"
	case s == StepNice:
		return "CAP_SYS_NICE"
	case s == StepGroups, s == StepGroup:
		return "CAP_SETGID"
	case s == StepUser:
		return "CAP_SETUID"
	}
	return ""
}

// Permitted is the first of the settings that this process knows it may not make, as a
// *SpawnError; nil: there is none. The kernel may refuse others.
func (s *Settings) Permitted() error {
	refuse := func(step Step, err error) error { return &SpawnError{Step: step, Err: err} }
	for _, l := range s.Limits {
		var now unix.Rlimit
		number, ok := resources[l.Resource]
		if !ok {
			return refuse(StepLimit+Step(l.Resource), unix.EINVAL)
		}
		if err := unix.Getrlimit(number, &now); err == nil && l.Hard > now.Max && !capable(unix.CAP_SYS_RESOURCE) {
			return refuse(StepLimit+Step(l.Resource), unix.EPERM)
		}
	}
	if s.Nice != nil && !capable(unix.CAP_SYS_NICE) && !mayRenice(*s.Nice) {
		return refuse(StepNice, unix.EACCES)
	}
	if s.User != nil && int(*s.User) != os.Geteuid() && !capable(unix.CAP_SETUID) {
		return refuse(StepUser, unix.EPERM)
	}
	if s.Group != nil && int(*s.Group) != os.Getegid() && !capable(unix.CAP_SETGID) {
		return refuse(StepGroup, unix.EPERM)
	}
	if s.Groups != nil && !capable(unix.CAP_SETGID) {
		return refuse(StepGroups, unix.EPERM)
	}
	return nil
}

// mayRenice reports whether a process without a capability may have this nice value: it
// is not less than that of this process, or RLIMIT_NICE allows it.
func mayRenice(nice int) bool {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // the system call gives 20 - nice
	if err != nil || nice >= 20-now {
		return true
	}
	var limit unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_NICE, &limit) == nil && uint64(20-nice) <= limit.Cur
}

// capable reports whether this process has a capability in effect.
func capable(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return true // the kernel will say
	}
	return data[number/32].Effective&(1<<(number%32)) != 0
}

// MaySetGroups reports whether this process may give a child other groups than its own.
func MaySetGroups() bool { return capable(unix.CAP_SETGID) }

// Starting is a child whose settings are being made. It is in its group, and has its pid
// and start time already.
type Starting struct {
	ID
	command Command
	status  *os.File
	pidfd   int
}

// settingsTime is how long the settings and the exec may take; a file system that hangs
// can make it long. After SIGKILL the child has killTime to be gone.
const (
	settingsTime = 10 * time.Second
	killTime     = 2 * time.Second
)

// Begin starts c by way of this very program, which makes the settings that c has and
// executes c's program: see [Settle]. It returns when the child is there; Wait says how it
// went. An error is that of Spawn, and then no child is left. After that the child must be
// waited for however it went.
func Begin(c Command) (*Starting, error) {
	if len(c.Argv) == 0 || c.Settings == nil {
		return nil, &SpawnError{StepPrepare, "", unix.EINVAL}
	}
	if err := withoutNUL(c); err != nil {
		return nil, err
	}
	order, err := c.order()
	if err != nil {
		return nil, &SpawnError{StepPrepare, "", err}
	}
	defer order.Close()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, &SpawnError{StepPrepare, "pipe", err}
	}
	defer unix.Close(pipe[1])
	s := &Starting{command: c, status: os.NewFile(uintptr(pipe[0]), "settings"), pidfd: -1}
	through := Command{
		Argv:   []string{settingsProgram, SettingsArg},
		Env:    settingsEnv,
		Group:  c.Group,
		Output: c.Output,
	}
	s.ID, s.pidfd, err = clone(through, order.Fd(), uintptr(pipe[1]))
	if err != nil {
		s.status.Close()
		if failed, ok := errors.AsType[*SpawnError](err); ok && failed.Step == StepExec {
			failed.Step = StepPrepare
		}
		return nil, err
	}
	return s, nil
}

// Cancel ends a Wait, and leaves the child alone.
func (s *Starting) Cancel() { s.status.Close() }

// Wait waits until the program of the command has been executed, or could not be: then
// the error is a *SpawnError, and the child has ended, is about to, or was sent SIGKILL.
// A child that takes too long is killed; one that SIGKILL does not end counts as executed.
// It must be called, once, and may be by another goroutine than the one that waits for
// children.
func (s *Starting) Wait() error {
	defer unix.Close(s.pidfd)
	defer s.status.Close()
	said, err := s.read(settingsTime)
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late {
		unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0)
		var more []byte
		more, err = s.read(killTime)
		said = append(said, more...)
	}
	switch {
	case errors.Is(err, os.ErrClosed):
		return &SpawnError{StepPrepare, "", err}
	case late && errors.Is(err, os.ErrDeadlineExceeded):
		return nil // it is there, and whoever ends it will find out
	}
	failed := s.failure(string(said))
	if failed == nil {
		return nil
	}
	if late && failed.Step == StepPrepare {
		failed.Err = unix.ETIMEDOUT
	}
	unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0)
	return failed
}

// read reads the status up to its end.
func (s *Starting) read(limit time.Duration) (said []byte, err error) {
	s.status.SetReadDeadline(time.Now().Add(limit))
	buf := make([]byte, maxStatus)
	for {
		n, err := s.status.Read(buf[len(said):])
		said = buf[:len(said)+n]
		if err != nil || len(said) == len(buf) {
			return said, err
		}
	}
}

// errUnsettled is why a child that ended before its exec has no errno.
var errUnsettled = errors.New("it was ended before its program was executed, or the program that makes its settings could not run")

// failure reads what the child has said: a dot when all is made, and where something
// failed the step and the errno.
func (s *Starting) failure(said string) *SpawnError {
	said, executed := strings.CutPrefix(said, settled)
	at := strings.LastIndexByte(said, ' ')
	if at < 0 {
		if executed {
			return nil
		}
		return &SpawnError{StepPrepare, "", errUnsettled}
	}
	number, _ := strconv.Atoi(said[at+1:])
	failed := &SpawnError{Step: Step(said[:at]), Err: unix.Errno(number)}
	switch failed.Step {
	case StepChdir:
		failed.Path = s.command.Dir
	case StepInput:
		failed.Path = s.command.Settings.Input
	case StepExec:
		failed.Path = s.command.Argv[0]
	}
	return failed
}

// settingsOrder is what a child reads that makes its settings itself. Its program, its
// environment and its directory need not be text.
type settingsOrder struct {
	Settings
	Argv, Env [][]byte
	Dir       []byte
}

// order is c for the child, as a file without a name.
func (c *Command) order() (*os.File, error) {
	o := settingsOrder{Settings: *c.Settings, Dir: []byte(c.Dir)}
	for _, s := range c.Argv {
		o.Argv = append(o.Argv, []byte(s))
	}
	for _, s := range c.Env {
		o.Env = append(o.Env, []byte(s))
	}
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("settings", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "settings")
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
