package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What the kernel's own selftests of cgroups (tools/testing/selftests/cgroup) do to groups is
// done here to processes under management, and what the daemon tells is held against what the
// kernel promises there. Names follow theirs: test_cgkill_tree is TestSelftestKillTree.
// Left out is what no process under management meets: writes to subtree_control, resets of
// peaks, and freezing of groups without a process.

// selftestTree has its leader and groups within its own:
//
//	   A
//	/ / \ \
//	B E  I K     with a process in C and in H, and three in K
//	/\ |
//	C D F-G-H
func selftestTree(t *testing.T) string {
	return ownGroup(t) + `
		mkdir -p "$g/B/C" "$g/B/D" "$g/E/F/G/H" "$g/I" "$g/K"
		for in in B/C E/F/G/H K K K; do
			sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 1000' sh "$g/$in" &
		done
		exec sleep 1000`
}

const (
	aHundred   = `i=1; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; exec sleep 1000`
	aForkBomb  = `export chain='setsid sh -c "$chain" & exit'; for i in 1 2 3 4; do sh -c "$chain" & done; exec sleep 1000`
	selftested = "x" // the name of what is under test
)

// selftest starts a process, and waits until so many kernel processes are in its group.
func selftest(t *testing.T, command string, pids int) (d *daemon, group string) {
	t.Helper()
	d = startDaemon(t, setup{})
	d.start(process.Spec{Name: selftested, Command: command, Ending: process.Ending{StopSignal: process.KILL}})
	group = d.group(selftested, 1)
	eventually(t, fmt.Sprintf("%d processes are there", pids), func() bool { return len(pidsIn(group)) >= pids })
	return d, group
}

// killed ends the process and looks for what is left of it.
func (d *daemon) killed(name string, pids int) {
	d.t.Helper()
	if s := d.status(name); pids > 0 && (s.Pids == nil || *s.Pids != pids) {
		d.t.Errorf("it has %v pids, not %d", show(s.Pids), pids)
	}
	if s := d.stop(name); s.State != process.Stopped || s.Run.Signal != process.KILL {
		d.t.Errorf("%+v", s.Run)
	}
	d.nobodyLeft(name, 1)
}

func TestSelftestKillSimple(t *testing.T) {
	t.Parallel()
	d, _ := selftest(t, aHundred, 100)
	d.killed(selftested, 100)
}

func TestSelftestKillTree(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, selftestTree(t), 6)
	inPlace(t, group)
	d.killed(selftested, 6)
}

func TestSelftestKillForkbomb(t *testing.T) {
	t.Parallel()
	d, _ := selftest(t, aForkBomb, 3)
	time.Sleep(100 * time.Millisecond) // as the kernel's
	d.killed(selftested, 0)
}

// inPlace waits until the processes of selftestTree are in their groups.
func inPlace(t *testing.T, group string) {
	t.Helper()
	for in, count := range map[string]int{"B/C": 1, "E/F/G/H": 1, "K": 3} {
		eventually(t, in+" is complete", func() bool { return len(pidsIn(group+"/"+in)) == count })
	}
}

// standsStill fails the test if the kernel says otherwise of a group.
func standsStill(t *testing.T, group string, want bool) {
	t.Helper()
	if frozen(group) != want {
		t.Errorf("%s: frozen %v, want %v", filepath.Base(group), !want, want)
	}
}

func freeze(t *testing.T, group string, on bool) {
	t.Helper()
	text := "0"
	if on {
		text = "1"
	}
	if err := os.WriteFile(group+"/cgroup.freeze", []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// freezeWait is freeze, and the kernel's word that it is so.
func freezeWait(t *testing.T, group string, on bool) {
	t.Helper()
	freeze(t, group, on)
	eventually(t, fmt.Sprintf("%s: frozen %v", filepath.Base(group), on), func() bool { return frozen(group) == on })
}

// into moves a kernel process to a group.
func into(t *testing.T, group string, pid int) {
	t.Helper()
	if err := os.WriteFile(group+"/cgroup.procs", fmt.Append(nil, pid), 0); err != nil {
		t.Fatal(err)
	}
}

func TestSelftestFreezerSimple(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, aHundred, 100)
	standsStill(t, group, false)
	d.pause(selftested)
	if s := d.status(selftested); s.State != process.Paused || s.Pids == nil || *s.Pids != 100 {
		t.Errorf("paused: %v, %v pids", s.State, show(s.Pids))
	}
	d.resume(selftested)
	standsStill(t, group, false)
	d.killed(selftested, 100)
}

// What the tree has frozen itself stays so when its pause is over, and is frozen in it
// whoever thaws it meanwhile.
func TestSelftestFreezerTree(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, selftestTree(t), 6)
	inPlace(t, group)
	for _, in := range []string{"B", "E/F", "E/F/G"} {
		freezeWait(t, group+"/"+in, true)
	}
	standsStill(t, group, false)
	standsStill(t, group+"/E", false) // all that it has is below F
	d.pause(selftested)
	for _, in := range []string{"B", "E"} {
		standsStill(t, group+"/"+in, true)
	}
	for _, in := range []string{"B", "E/F", "E/F/G"} {
		freeze(t, group+"/"+in, false)
	}
	for _, in := range []string{"B/C", "E/F/G/H"} {
		standsStill(t, group+"/"+in, true)
	}
	if s := d.status(selftested); s.State != process.Paused {
		t.Errorf("it is %v", s.State)
	}
	d.resume(selftested)
	for _, in := range []string{"", "B/C", "K"} {
		standsStill(t, group+"/"+in, false)
	}
	d.killed(selftested, 6)
}

func TestSelftestFreezerForkbomb(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, aForkBomb, 3)
	time.Sleep(100 * time.Millisecond) // as the kernel's
	d.pause(selftested)
	before := pidsIn(group)
	time.Sleep(100 * time.Millisecond)
	if after := pidsIn(group); !slices.Equal(before, after) {
		t.Errorf("it forks while it is frozen: %v, then %v", before, after)
	}
	d.killed(selftested, 0)
}

// sleeper is a process of the tests', in no group of the daemon's.
func sleeper(t *testing.T) (pid int) {
	t.Helper()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return c.Process.Pid
}

func TestSelftestFreezerMkdir(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, "exec sleep 1000", 1)
	d.pause(selftested)
	child := group + "/child"
	if err := os.Mkdir(child, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := sleeper(t)
	into(t, child, pid)
	eventually(t, "who comes is frozen", func() bool { return frozen(child) && frozen(group) })
	if s := d.status(selftested); s.State != process.Paused {
		t.Errorf("it is %v", s.State)
	}
	d.resume(selftested)
	standsStill(t, child, false)
	d.killed(selftested, 2)
}

func TestSelftestFreezerRmdir(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, ownGroup(t)+`mkdir "$g/child"; exec sleep 1000`, 1)
	child := group + "/child"
	eventually(t, "the child is made", func() bool { return !gone(child) })
	d.pause(selftested)
	if err := unix.Rmdir(child); err != nil {
		t.Fatal(err)
	}
	standsStill(t, group, true)
	if err := os.Mkdir(child, 0o755); err != nil {
		t.Fatal(err)
	}
	standsStill(t, child, true)
	d.resume(selftested)
	standsStill(t, child, false)
	d.killed(selftested, 1)
}

// A kernel process goes from a tree that runs to one that is paused, and back; then between
// two that are paused. Each stays what it is.
func TestSelftestFreezerMigrate(t *testing.T) {
	t.Parallel()
	d, a := selftest(t, "sleep 1000 & exec sleep 1000", 2)
	d.start(process.Spec{Name: "b", Command: "exec sleep 1000", Ending: process.Ending{StopSignal: process.KILL}})
	b := d.group("b", 1)
	leader := d.status(selftested).PID
	others := slices.DeleteFunc(pidsIn(a), func(pid int) bool { return pid == leader })
	if len(others) != 1 {
		t.Fatalf("pids %v, leader %d", pidsIn(a), leader)
	}
	are := func(of, ofB process.State) {
		t.Helper()
		eventually(t, fmt.Sprintf("frozen %v and %v", of, ofB), func() bool {
			return frozen(a) == (of == process.Paused) && frozen(b) == (ofB == process.Paused)
		})
		if s := d.status(selftested); s.State != of {
			t.Errorf("a is %v, want %v", s.State, of)
		}
		if s := d.status("b"); s.State != ofB {
			t.Errorf("b is %v, want %v", s.State, ofB)
		}
	}
	d.pause("b")
	into(t, b, others[0])
	are(process.Running, process.Paused)
	into(t, a, others[0])
	are(process.Running, process.Paused)
	d.pause(selftested)
	into(t, b, others[0])
	are(process.Paused, process.Paused)
	d.resume(selftested)
	are(process.Running, process.Paused)
	d.killed("b", 2)
	d.killed(selftested, 1)
}

// traced seizes a process and has it stop, runs do and lets it go. The thread is its tracer.
func traced(t *testing.T, pid int, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ptrace := func(request, data uintptr) error {
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, request, uintptr(pid), 0, data, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	if err := ptrace(unix.PTRACE_SEIZE, 0); errors.Is(err, unix.EPERM) {
		cannot(t, "no process may be traced here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := ptrace(unix.PTRACE_INTERRUPT, 0); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG|unix.WALL, nil)
		if got == pid {
			break
		}
		if err != nil && err != unix.EINTR || time.Now().After(end) {
			t.Fatalf("it does not stop for its tracer: %v", err)
		}
	}
	do()
	if err := ptrace(unix.PTRACE_DETACH, 0); err != nil {
		t.Fatal(err)
	}
}

func TestSelftestFreezerPtrace(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, "exec sleep 1000", 1)
	pid := d.pause(selftested).PID
	traced(t, pid, func() { standsStill(t, group, true) })
	eventually(t, "it is frozen when its tracer has gone", func() bool { return frozen(group) })
	if s := d.resume(selftested); s.State != process.Running {
		t.Errorf("it is %v", s.State)
	}
	d.killed(selftested, 1)
}

func TestSelftestFreezerPtraced(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, "exec sleep 1000", 1)
	traced(t, d.status(selftested).PID, func() {
		standsStill(t, group, false)
		d.pause(selftested)
		d.resume(selftested)
		standsStill(t, group, false)
	})
	d.killed(selftested, 1)
}

func TestSelftestFreezerStopped(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, "exec sleep 1000", 1)
	pid := d.status(selftested).PID
	d.mustClient("signal", selftested, "-signal", "STOP")
	stopped := func() bool { stat := procStat(pid); return len(stat) > 0 && stat[0] == "T" }
	eventually(t, "it is stopped", stopped)
	standsStill(t, group, false)
	d.pause(selftested)
	d.resume(selftested)
	if !stopped() {
		t.Errorf("after the pause it is %v", procStat(pid)[:1])
	}
	d.mustClient("signal", selftested, "-signal", "CONT")
	eventually(t, "it goes on", func() bool { return !stopped() })
	d.killed(selftested, 1)
}

func init() { roles["vfork"] = vforked }

// vforked waits for a child that neither executes anything nor ends.
func vforked([]string) {
	runtime.LockOSThread()
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	for errno == 0 && pid == 0 { // the child, with this thread alone: nothing but system calls
		unix.RawSyscall(unix.SYS_PPOLL, 0, 0, 0)
	}
	panic(fmt.Sprint("nobody waits: ", pid, errno))
}

func TestSelftestFreezerVfork(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, roleCommand("vfork"), 2)
	eventually(t, "the parent waits, as nobody can interrupt it", func() bool {
		return slices.ContainsFunc(pidsIn(group), func(pid int) bool { return waitsForVfork(pid) })
	})
	d.pause(selftested)
	d.resume(selftested)
	d.killed(selftested, 2)
}

// waitsForVfork reports whether a thread of the process stands in vfork.
func waitsForVfork(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return slices.ContainsFunc(threads, func(path string) bool {
		data, _ := os.ReadFile(path)
		_, after, _ := strings.Cut(string(data), ") ")
		return strings.HasPrefix(after, "D")
	})
}

// What the kernel counts of a pause is what the daemon tells, where it counts (Linux 6.18).
func TestSelftestFreezerTime(t *testing.T) {
	t.Parallel()
	d, group := selftest(t, "exec sleep 1000", 1)
	if gone(group + "/cgroup.stat.local") {
		t.Skip("this kernel does not count the time that groups are frozen")
	}
	if s := d.status(selftested); s.Frozen == nil || *s.Frozen != 0 {
		t.Errorf("before any pause: frozen for %v µs", show(s.Frozen))
	}
	d.pause(selftested)
	time.Sleep(100 * time.Millisecond)
	paused := d.status(selftested)
	if paused.Frozen == nil || *paused.Frozen < 100_000 {
		t.Errorf("after 100 ms: frozen for %v µs", show(paused.Frozen))
	}
	d.resume(selftested)
	resumed := d.status(selftested)
	time.Sleep(10 * time.Millisecond)
	if after := d.status(selftested); resumed.Frozen == nil || *resumed.Frozen <= *paused.Frozen || *after.Frozen != *resumed.Frozen {
		t.Errorf("frozen for %v µs in the pause, %v behind it, %v later", show(paused.Frozen), show(resumed.Frozen), show(after.Frozen))
	}
	last := d.stop(selftested).LastRun
	if last == nil || last.Frozen == nil || *last.Frozen < *resumed.Frozen { // its signals were sent to a frozen tree
		t.Errorf("its record: %+v", last)
	}
}
