package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// What a program that a keeper is upgraded to must understand, whatever else has
// changed: older programs use it.
const (
	// CheckArg alone: WriteCheck to stdout, and exit with status 0.
	CheckArg = "-keeper-check"

	// ResumeArg, with a number behind it: be the keeper, with the Config of Resume.
	ResumeArg = "-keeper-resume"
)

// HandOverTime is how long a worker that hands over may take to answer what is in
// flight.
const HandOverTime = 5 * time.Second

const (
	checkLimit    = 5 * time.Second
	handOverLimit = HandOverTime + 2*time.Second
	readyLimit    = 5 * time.Second // of the first worker of a new program
	lingerLimit   = time.Second     // of a worker without its link
	killLimit     = 5 * time.Second // of a worker that was sent SIGKILL
)

// Upgrade is how the last upgrade of a keeper went.
type Upgrade struct {
	Number uint64 // 1, 2 … as long as the keeper lives; 0: there was none
	Err    string // why it was not done; empty if it was
}

// RefusedError is why an upgrade was not even begun.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

var (
	errShutdown = errors.New("the daemon is shutting down")
	errUpgrade  = errors.New("another upgrade is under way")
)

// checkFormat is what WriteCheck writes: what a keeper looks for in a new program.
const checkFormat = "processmanager keeper protocol %d\n"

// WriteCheck says that this program can be a keeper, and which protocol it speaks.
func WriteCheck(w io.Writer) error {
	_, err := fmt.Fprintf(w, checkFormat, protocol)
	return err
}

// upgrade is one that is under way. The program is checked while the old worker goes
// on. Then that hands over, the keeper replaces itself if it must, and the new
// program's worker has its trial, which ends with READY.
type upgrade struct {
	exe     *os.File
	asker   *worker // nil if nobody waits for an answer
	check   *check  // nil once it has been passed
	foreign bool    // the program speaks another protocol than this one
}

// beginUpgrade has the program that is now on disk checked.
func (k *keeper) beginUpgrade(asker *worker) {
	err := error(nil)
	switch {
	case k.ending():
		err = errShutdown
	case k.upgrade != nil || k.away: // away: it has failed, and the former program is not back yet
		err = errUpgrade
	}
	if err != nil {
		k.refuse(asker, err)
		return
	}
	k.last.Number++
	k.upgrade = &upgrade{asker: asker}
	k.tell(PhaseReloading)
	k.upgrade.exe, err = openProgram(k.Path, k.program.exe)
	if err == nil {
		k.upgrade.check, err = startCheck(k.upgrade.exe, k.Env)
	}
	if err != nil {
		k.refuse(asker, err)
		k.endUpgrade(err)
	}
}

// refuse answers the worker that asked for an upgrade, if it is still there.
func (k *keeper) refuse(asker *worker, why error) {
	if asker == nil {
		k.Log("no upgrade: %v", why)
		return
	}
	if asker == k.worker {
		var e encoder
		e.string(why.Error())
		asker.out.put(packet{kind: kindRefused, body: e})
	}
}

// checked goes on with the upgrade when its check has ended.
func (k *keeper) checked(exit proc.Exit, restart *time.Timer) {
	u := k.upgrade
	number, err := u.check.result(exit)
	u.check.close()
	u.check = nil
	if k.ending() {
		err = errShutdown
	}
	if err != nil {
		err = fmt.Errorf("%s is not accepted: %w", k.Path, err)
		k.refuse(u.asker, err)
		k.endUpgrade(err)
		return
	}
	u.foreign = number != int(protocol)
	w := k.worker
	if w == nil {
		restart.Reset(0)
		return
	}
	k.handOver(w)
}

// endUpgrade notes how the upgrade went.
func (k *keeper) endUpgrade(err error) {
	u := k.upgrade
	k.upgrade = nil
	if err != nil {
		k.last.Err = err.Error()
		if u.exe != nil {
			u.exe.Close()
		}
		k.Log("the upgrade was not done: %v", err)
		k.tellReady()
		return
	}
	k.last.Err = ""
	k.program.exe.Close()
	k.program.exe, k.away = u.exe, false
	k.Note("upgraded to what is now %s", k.Path)
}

// openProgram opens the file that is to be executed in the place of the running one. A
// FIFO does not make it wait.
func openProgram(path string, running *os.File) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a program", path)
	}
	if err := trusted(f, running); err != nil {
		return nil, err
	}
	return aboveLink(f)
}

// trusted makes sure that nobody has put a program in the place of ours, or can write to
// it, but root, this user, and the owner of the program that runs.
func trusted(f, running *os.File) error {
	var st, now unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	if err := unix.Fstat(int(running.Fd()), &now); err != nil {
		return &os.PathError{Op: "fstat", Path: running.Name(), Err: err}
	}
	if us := uint32(os.Geteuid()); st.Uid != 0 && st.Uid != us && st.Uid != now.Uid {
		return fmt.Errorf("%s belongs to user %d: if it can be trusted, chown %d %s", f.Name(), st.Uid, us, f.Name())
	}
	others := uint32(0o022)
	if st.Gid == st.Uid { // the group of that user alone
		others = 0o002
	}
	if st.Mode&others != 0 {
		return fmt.Errorf("%s can be written to by others (mode %04o): chmod go-w %s", f.Name(), st.Mode&0o777, f.Name())
	}
	return nil
}

// check is a run of a new program with CheckArg. It is waited for by its pid.
type check struct {
	pid   int
	out   int // reads what it says, and never waits
	limit *time.Timer
	late  bool
}

func startCheck(exe *os.File, env []string) (*check, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[1])
	c := &check{out: pipe[0]}
	err := unix.SetNonblock(pipe[1], false) // each end has its own mode
	if err == nil {
		c.pid, err = execute(exe, nil, []string{CheckArg}, env, uintptr(pipe[1]), 2)
	}
	if err != nil {
		unix.Close(pipe[0])
		return nil, err
	}
	c.limit = time.NewTimer(checkLimit)
	return c, nil
}

// kill ends a check that has not been waited for, and what it has started.
func (c *check) kill() {
	unix.Kill(-c.pid, unix.SIGKILL)
}

func (c *check) close() {
	c.limit.Stop()
	unix.Close(c.out)
}

// result is the protocol number that the program has said.
func (c *check) result(exit proc.Exit) (number int, err error) {
	switch {
	case c.late:
		return 0, fmt.Errorf("%s took longer than %v", CheckArg, checkLimit)
	case exit.Code != 0 || exit.Signal != 0:
		return 0, fmt.Errorf("%s ended with %v", CheckArg, exit)
	}
	buf := make([]byte, 256)
	n, _ := unix.Read(c.out, buf)
	said := string(buf[:max(n, 0)])
	if _, err := fmt.Sscanf(said, checkFormat, &number); err != nil || said != fmt.Sprintf(checkFormat, number) {
		return 0, fmt.Errorf("%s said %.80q and not %q", CheckArg, said, strings.Replace(checkFormat, "%d", "N", 1))
	}
	return number, nil
}

// execute runs an open program in a session of its own, as "processmanager". files
// are its descriptors from 1 on; it reads nothing. group is the cgroup that it is cloned
// into; nil is that of this process.
func execute(exe, group *os.File, args, env []string, files ...uintptr) (int, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer unix.Close(null)
	sys := &syscall.SysProcAttr{Setsid: true}
	if group != nil {
		sys.UseCgroupFD, sys.CgroupFD = true, int(group.Fd())
	}
	pid, err := proc.ForkExec(descriptorPath(exe), append([]string{argv0}, args...), &syscall.ProcAttr{
		Env:   env,
		Files: append([]uintptr{uintptr(null)}, files...),
		Sys:   sys,
	})
	if err != nil {
		return 0, fmt.Errorf("execute %s: %w", exe.Name(), err)
	}
	return pid, nil
}

// argv0 is the name that keepers and workers go by.
const argv0 = "processmanager"

func descriptorPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// takeName undoes what execution by descriptor has made of this process's name in
// ps: the number of the descriptor. Without it nothing is lost.
func takeName() { os.WriteFile("/proc/self/comm", []byte(argv0), 0) }
