package proc

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SettingsArg makes a program call [Settle] and nothing else, first thing in main.
const SettingsArg = "-settings"

// settingsEnv is the environment of a child until its own program is executed. That of
// the command is not for this one: GOMEMLIMIT and the like would be taken by it. One
// processor, no collector and no preemption mean few threads.
var settingsEnv = []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOTRACEBACK=none"}

// What a child finds open, beside 0, 1 and 2.
const (
	orderFD  = 3
	statusFD = 4
)

// settled is what the child says when nothing but the exec is left to do.
const settled = "."

// setting is one thing that is left to be done.
type setting struct {
	step Step
	do   func() unix.Errno
}

// Settle is the child of [Begin]: it makes the settings and becomes the command. It says
// on a pipe at which step it fails, and does not return.
//
// All memory is taken before the first limit is set, for it may be one of memory. All is
// set by raw system calls on one thread, which then executes the program: nice,
// no_new_privs and who the user is belong to a thread, and other threads that took the
// user's name would count as processes of that user.
func Settle() {
	runtime.LockOSThread()
	unix.CloseOnExec(orderFD)
	unix.CloseOnExec(statusFD)
	var o settingsOrder
	data, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(orderFD))
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		os.Stderr.WriteString(SettingsArg + " is for the daemon itself\n")
		os.Exit(2)
	}
	unix.Close(orderFD)
	syscall.Exec("", nil, nil) // fails, and puts back the limit of open files that Go has raised

	settings := o.settings()
	path, argv, env := cString(o.Argv[0]), cStrings(o.Argv), cStrings(o.Env)
	done := []byte(settled)
	none := new(unix.Sigset_t)
	report := make([]byte, 0, maxStatus)
	for i := range settings {
		if errno := settings[i].do(); errno != 0 {
			fail(report, settings[i].step, errno)
		}
	}
	// The program gets the mask of this thread, and the C library, where there is one, blocks
	// signals while it makes a thread.
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(none)), 0, 8, 0, 0)
	say(done)
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])))
	fail(report, StepExec, errno)
}

// fail tells of a step that failed and ends this process. The report has room already.
func fail(report []byte, step Step, errno unix.Errno) {
	say(strconv.AppendInt(append(append(report, step...), ' '), int64(errno), 10))
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	}
}

// say writes to the status pipe, which has room for all that is ever said.
func say(text []byte) {
	unix.RawSyscall(unix.SYS_WRITE, statusFD, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
}

// settings are the steps in an order in which none hinders a later one: files are opened
// before their number is limited, privilege is needed before it is given up, and the
// user's own files and directories are reached as the user.
func (o *settingsOrder) settings() (all []setting) {
	add := func(step Step, do func() unix.Errno) { all = append(all, setting{step, do}) }
	call := func(step Step, number, a, b, c, d uintptr) {
		add(step, func() unix.Errno {
			_, _, errno := unix.RawSyscall6(number, a, b, c, d, 0, 0)
			return errno
		})
	}
	if o.OOMScoreAdj != nil {
		score := []byte(strconv.Itoa(*o.OOMScoreAdj))
		add(StepOOMScore, func() unix.Errno { return errnoOf(writeFile(oomScoreAdj, score)) })
	}
	if o.Umask != nil {
		call(StepUmask, unix.SYS_UMASK, uintptr(*o.Umask), 0, 0, 0)
	}
	for _, l := range o.Limits {
		limit := &unix.Rlimit{Cur: l.Soft, Max: l.Hard}
		step := StepLimit + Step(l.Resource)
		add(step, func() unix.Errno {
			_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, uintptr(resources[l.Resource]), uintptr(unsafe.Pointer(limit)), 0, 0, 0)
			return errno
		})
	}
	if o.Nice != nil {
		call(StepNice, unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(*o.Nice), 0)
	}
	if o.Groups != nil {
		groups := append(o.Groups, 0) // there may be none
		add(StepGroups, func() unix.Errno {
			_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)-1), uintptr(unsafe.Pointer(&groups[0])), 0)
			return errno
		})
	}
	if o.Group != nil {
		id := uintptr(*o.Group)
		call(StepGroup, unix.SYS_SETRESGID, id, id, id, 0)
	}
	if o.User != nil {
		id := uintptr(*o.User)
		call(StepUser, unix.SYS_SETRESUID, id, id, id, 0)
	}
	if o.Input != "" {
		path, stat := cString([]byte(o.Input)), new(unix.Stat_t)
		add(StepInput, func() unix.Errno { return openInput(path, stat) })
	}
	if len(o.Dir) > 0 {
		dir := cString(o.Dir)
		add(StepChdir, func() unix.Errno {
			_, _, errno := unix.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(dir)), 0, 0)
			return errno
		})
	}
	if o.NoNewPrivileges {
		call(StepNoPrivileges, unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0)
	}
	return all
}

// openInput opens a file as descriptor 0, in blocking mode but for the open itself. The
// lowest number is taken, so that it works whatever the limit of open files is.
func openInput(path *byte, stat *unix.Stat_t) unix.Errno {
	unix.RawSyscall(unix.SYS_CLOSE, 0, 0, 0)
	at := unix.AT_FDCWD
	_, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_FSTAT, 0, uintptr(unsafe.Pointer(stat)), 0); errno != 0 {
		return errno
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EISDIR
	}
	_, _, errno = unix.RawSyscall(unix.SYS_FCNTL, 0, unix.F_SETFL, 0)
	return errno
}

func errnoOf(err error) unix.Errno {
	if errno, ok := err.(unix.Errno); ok {
		return errno
	}
	return 0
}

// cString is text as the kernel reads it.
func cString(text []byte) *byte {
	p := append(text[:len(text):len(text)], 0)
	return &p[0]
}

// cStrings is a list as execve reads it.
func cStrings(list [][]byte) []*byte {
	pointers := make([]*byte, 0, len(list)+1)
	for _, s := range list {
		pointers = append(pointers, cString(s))
	}
	return append(pointers, nil)
}
