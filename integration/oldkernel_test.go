package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// oldKernel is how a program sees this kernel that is to take it for an older one: a filter
// of its system calls (seccomp) refuses those that came later, and has us answer those that
// open or look for a file that the older one does not have, or ask for its release. Everything that the
// program starts sees the same.
type oldKernel struct {
	release string
	calls   uintptr  // the first system call that came later
	hidden  []string // files that came later
}

var (
	linux514 = oldKernel{"5.14.0-427.13.1.el9_4.x86_64", 448, []string{
		"cgroup.pressure", "irq.pressure", "cpu.idle", "cpu.max.burst", "cpu.stat.local", "cpuset.cpus.exclusive", "cpuset.cpus.isolated",
		"memory.peak", "memory.reclaim", "memory.swap.peak", "memory.zswap.current", "memory.zswap.max", "memory.zswap.writeback",
		"misc.events", "misc.peak", "pids.peak", "pids.events.local", "ksm_stat", "ksm_merging_pages",
	}}
	linux510 = oldKernel{"5.10.0-30-amd64", 441, append([]string{"cgroup.kill", "misc.max", "misc.current"}, linux514.hidden...)}
)

// asOnLinux514 has every daemon of the tests see Linux 5.14.
var asOnLinux514 = flag.Bool("linux-5.14", false, "have daemons take this kernel for Linux 5.14")

// wrap is what executes a daemon that sees the older kernel.
func (k oldKernel) wrap(t testing.TB) []string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers of the system calls are those of amd64")
	}
	dir, err := os.MkdirTemp("", "pm-old-")
	if err != nil {
		t.Fatal(err)
	}
	socket := dir + "/s"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go k.serve(l)
	return []string{programs.self, "role", "old", socket, strconv.Itoa(int(k.calls))}
}

// serve takes the listeners of those who start.
func (k oldKernel) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var data [1]byte
			oob := make([]byte, unix.CmsgSpace(4))
			_, n, _, _, err := c.(*net.UnixConn).ReadMsgUnix(data[:], oob)
			if err != nil {
				return
			}
			messages, err := unix.ParseSocketControlMessage(oob[:n])
			if err != nil || len(messages) != 1 {
				return
			}
			if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
				k.answer(fds[0])
			}
		}()
	}
}

// notification and response are the kernel's struct seccomp_notif and seccomp_notif_resp,
// injection is its seccomp_notif_addfd.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type response struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

type injection struct {
	id                          uint64
	flags, from, to, descriptor uint32
}

// pathArgument is where the calls that we answer have the path.
var pathArgument = map[int32]int{
	unix.SYS_OPEN: 0, unix.SYS_ACCESS: 0, unix.SYS_OPENAT: 1, unix.SYS_OPENAT2: 1, unix.SYS_FACCESSAT: 1, unix.SYS_FACCESSAT2: 1,
}

// answer answers until all who see the older kernel have ended.
func (k oldKernel) answer(listener int) {
	defer unix.Close(listener)
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err == unix.EINTR {
			continue
		} else if err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return
		}
		var n notification
		if control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) != 0 { // it has been killed meanwhile
			continue
		}
		r := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if argument, ok := pathArgument[n.nr]; ok {
			switch name := textAt(n.pid, n.args[argument]); {
			case slices.Contains(k.hidden, path.Base(name)):
				r = response{id: n.id, err: -int32(unix.ENOENT)}
			case name == "/proc/sys/kernel/osrelease" && isOpen(n.nr) && k.inject(listener, n.id) == nil:
				continue // that was the answer
			}
		} else if n.nr == unix.SYS_UNAME && k.name(n.pid, n.args[0]) == nil {
			r = response{id: n.id}
		}
		control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
	}
}

func isOpen(nr int32) bool {
	return nr == unix.SYS_OPEN || nr == unix.SYS_OPENAT || nr == unix.SYS_OPENAT2
}

func control(fd int, request uintptr, value unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(value))
	return errno
}

// textAt is the text in the memory of a process; empty if it cannot be read.
func textAt(pid uint32, at uint64) string {
	var text []byte
	for len(text) < unix.PathMax {
		var page [256]byte
		size := len(page) - int(at%uint64(len(page))) // not into the next page, which may not be there
		local, remote := []unix.Iovec{{Base: &page[0]}}, []unix.RemoteIovec{{Base: uintptr(at), Len: size}}
		local[0].SetLen(size)
		n, err := unix.ProcessVMReadv(int(pid), local, remote, 0)
		if err != nil {
			return ""
		}
		if end := slices.Index(page[:n], 0); end >= 0 {
			return string(append(text, page[:end]...))
		}
		text, at = append(text, page[:n]...), at+uint64(n)
	}
	return ""
}

// name answers uname.
func (k oldKernel) name(pid uint32, at uint64) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	name.Release = [65]byte{}
	copy(name.Release[:], k.release)
	data := unsafe.Slice((*byte)(unsafe.Pointer(&name)), unsafe.Sizeof(name))
	local, remote := []unix.Iovec{{Base: &data[0]}}, []unix.RemoteIovec{{Base: uintptr(at), Len: len(data)}}
	local[0].SetLen(len(data))
	_, err := unix.ProcessVMWritev(int(pid), local, remote, 0)
	return err
}

// inject answers an open with a file in which the release stands.
func (k oldKernel) inject(listener int, id uint64) error {
	fd, err := unix.MemfdCreate("osrelease", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "osrelease")
	defer f.Close()
	if _, err := io.WriteString(f, k.release+"\n"); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := injection{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, from: uint32(fd), descriptor: unix.O_CLOEXEC}
	if errno := control(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&in)); errno != 0 {
		return errno
	}
	return nil
}

func init() { roles["old"] = old }

// old executes a command that sees an older kernel. Who answers is at the other end of a
// socket.
func old(args []string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	later, err := strconv.ParseUint(args[1], 10, 32)
	check(err)
	command := args[2:]
	c, err := net.Dial("unix", args[0])
	check(err)
	raw, err := c.(*net.UnixConn).SyscallConn()
	check(err)
	socket := -1
	check(raw.Control(func(fd uintptr) { socket, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }))
	check(err)
	check(unix.SetNonblock(socket, false))
	filter := filterOf(uint32(later))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	path, argv, envv := pointers(command)
	oob, data := make([]byte, unix.CmsgSpace(4)), []byte{0}
	runtime.LockOSThread() // the filter is this thread's, and with it that of what it executes
	// Go interrupts its threads with signals; a wait for our answer is not to begin again for each.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	seccomp := func() (uintptr, unix.Errno) {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		return fd, errno
	}
	fd, errno := seccomp()
	if errno == unix.EACCES { // an ordinary user
		check(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd, errno = seccomp()
	}
	if errno != 0 {
		panic(errno)
	}
	oob = append(oob[:0], unix.UnixRights(int(fd))...)
	check(unix.Sendmsg(socket, data, oob, nil, 0))
	_, _, errno = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])))
	panic(errno)
}

// pointers are a command and our environment as execve reads them.
func pointers(command []string) (path *byte, argv, envv []*byte) {
	list := func(words []string) (p []*byte) {
		for _, w := range words {
			c, err := unix.BytePtrFromString(w)
			if err != nil {
				panic(err)
			}
			p = append(p, c)
		}
		return append(p, nil)
	}
	argv = list(command)
	return argv[0], argv, list(os.Environ())
}

// filterOf is the program that sorts the system calls.
func filterOf(later uint32) []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		answer  = unix.BPF_RET | unix.BPF_K

		number, architecture, flagsOfPidfdOpen = 0, 4, 24 // in struct seccomp_data
	)
	filter := []unix.SockFilter{
		{Code: load, K: architecture},
		{Code: equal, K: unix.AUDIT_ARCH_X86_64, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: number},
		{Code: atLeast, K: later, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
	for nr := range pathArgument {
		filter = append(filter, unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1}, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(filter,
		unix.SockFilter{Code: equal, K: unix.SYS_UNAME, Jf: 1},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF},
		// PIDFD_THREAD came with 6.9.
		unix.SockFilter{Code: equal, K: unix.SYS_PIDFD_OPEN, Jf: 4},
		unix.SockFilter{Code: load, K: flagsOfPidfdOpen},
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^uint32(unix.PIDFD_NONBLOCK)},
		unix.SockFilter{Code: equal, K: 0, Jt: 1},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	)
}

// What 5.14 does not tell is left out, not said to be zero; all else works.
func TestLinux514LacksFiguresAndNothingElse(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Wrap: linux514.wrap(t)})
	d.start(process.Spec{Name: "p", Command: `sleep 1000 & exec sleep 1000`})
	eventually(t, "the tree has two processes", func() bool { return len(pidsIn(d.group("p", 1))) == 2 })
	var status map[string]any
	text := d.mustClient("status", "p", "-format", "json")
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"memory_peak_bytes", "memory_peak_source"} {
		if value, ok := status[absent]; ok {
			t.Errorf("%s is %v", absent, value)
		}
	}
	for _, there := range []string{"memory_bytes", "pids", "cpu_usec"} {
		if value, ok := status[there].(float64); !ok || value == 0 {
			t.Errorf("%s is %v in %s", there, status[there], text)
		}
	}
	if hasController(t, "memory") && status["memory_source"] != "cgroup" {
		t.Errorf("memory is from %v", status["memory_source"])
	}
	// The release is what this test says, so the daemon does see another kernel.
	var report process.Report
	if err := json.Unmarshal([]byte(d.mustClient("doctor", "-format", "json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Kernel != linux514.release || !report.OK() {
		t.Errorf("%+v", report)
	}
	for _, f := range report.Findings {
		if f.Subject == "kernel" && (f.Level != process.LevelNote || !strings.Contains(f.Found, "5.19 the peak of memory, 6.1 the peak of processes")) {
			t.Errorf("%+v", f)
		}
	}
	pids := pidsIn(d.group("p", 1))
	// Its end, and that of a worker, do not rest on later kernels either.
	d.killWorker()
	if s := d.stop("p"); s.State != process.Stopped {
		t.Errorf("%+v", s)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("%d lives", pid)
		}
	}
	if s := d.status("p"); s.LastRun == nil || s.LastRun.MemoryPeak != nil {
		t.Errorf("the run that ended: %+v", s.LastRun)
	}
}

// An older kernel is refused before anything is made, by one line.
func TestOlderKernelsAreRefusedWithOneLine(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Wrap: linux510.wrap(t)})
	want := fmt.Sprintf("processmanager: kernel %s has no cgroup.kill, without which trees cannot be ended: Linux 5.14 or later is needed\n", linux510.release)
	if said := d.refuse(); said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	if !gone(d.state) || !gone(d.cgroup) {
		t.Error("it has made something")
	}
	// -check has the same line among others.
	command := append(slices.Clone(d.setup.Wrap), programs.daemon, "-check", "-state", d.state, "-cgroup", d.cgroup)
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if text := strings.Join(strings.Fields(string(out)), " "); err == nil || !strings.Contains(text, "problem kernel kernel "+linux510.release) || !strings.Contains(text, "5.14 or later is needed") {
		t.Errorf("%v: %s", err, out)
	}
}
