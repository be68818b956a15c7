package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lines returns a pipe's writing end for children and a channel of what they
// write, closed when the last of them has ended.
func lines(t *testing.T) (*os.File, <-chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := make(chan string, 10_000)
	go func() {
		defer close(c)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			c <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		w.Close()
		r.SetReadDeadline(time.Now())
		for range c {
		}
		r.Close()
	})
	return w, c
}

func next(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s, ok := <-c:
		if !ok {
			t.Fatal("nobody is left to write a line")
		}
		return s
	case <-time.After(deadline):
		t.Fatal("no line came")
	}
	return ""
}

// killed says whether a waited-for child was ended by SIGKILL.
func killed(cmd *exec.Cmd) bool {
	cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

func TestKillEndsAForkBombUnderWay(t *testing.T) {
	g := newGroup(t)
	w, out := lines(t)
	// Every shell starts two more, each in a session of its own, 2^12 at most.
	const bomb = `[ $1 -gt 0 ] && { setsid sh -c "$0" "$0" $(($1-1)) & setsid sh -c "$0" "$0" $(($1-1)) & }; echo; sleep 1000`
	cmd := spawn(t, g, w, "sh", "-c", bomb, bomb, "11")
	w.Close()
	for range 100 {
		next(t, out)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, g, func(e Events) bool { return !e.Populated })
	if !killed(cmd) {
		t.Errorf("the leader ended: %v", cmd.ProcessState)
	}
	for range out { // ends only when nobody holds the pipe
	}
	if pids, err := g.Pids(); err != nil || len(pids) > 0 {
		t.Errorf("left: %v, %v", pids, err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("an empty group cannot be removed: %v", err)
	}
}

func TestKillEndsStoppedAndFrozenAndNested(t *testing.T) {
	g := newGroup(t)
	top := makeChild(t, g, "top")
	deep := makeChild(t, makeChild(t, top, "a"), "b")
	frozen := makeChild(t, top, "frozen")
	cmds := []*exec.Cmd{
		spawn(t, top, nil, "sleep", "1000"),
		spawn(t, deep, nil, "sleep", "1000"),
		spawn(t, frozen, nil, "sleep", "1000"),
	}
	if err := cmds[1].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := frozen.Freeze(); err != nil {
		t.Fatal(err)
	}
	await(t, frozen, func(e Events) bool { return e.Frozen })
	if err := top.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, top, func(e Events) bool { return !e.Populated })
	for i, cmd := range cmds {
		if !killed(cmd) {
			t.Errorf("process %d ended: %v", i, cmd.ProcessState)
		}
	}
	if err := top.Remove(); err != nil {
		t.Error(err)
	}
}

func TestThawReachesGroupsTheTreeFroze(t *testing.T) {
	g := newGroup(t)
	inner := makeChild(t, g, "inner")
	spawn(t, inner, nil, "sleep", "1000")
	for _, f := range []Group{inner, g} {
		if err := f.Freeze(); err != nil {
			t.Fatal(err)
		}
		await(t, f, func(e Events) bool { return e.Frozen && e.Populated })
	}
	if err := g.Thaw(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Group{inner, g} {
		await(t, f, func(e Events) bool { return !e.Frozen })
	}
}

// More processes than one batch holds, over nested groups, some of them stopped,
// in a frozen tree: each gets the signal once, and a neighbour none.
func TestSignalReachesEveryProcessOnce(t *testing.T) {
	g := newGroup(t)
	top := makeChild(t, g, "top")
	groups := []Group{top, makeChild(t, top, "a"), makeChild(t, makeChild(t, top, "b"), "c")}
	neighbour := makeChild(t, g, "neighbour")
	w, out := lines(t)
	stay, hold, err := os.Pipe() // nobody writes: reading it waits for the signal
	if err != nil {
		t.Fatal(err)
	}
	defer stay.Close()
	defer hold.Close()

	const script = `trap 'echo TERM $$' TERM; echo ready $$; while :; do read x; done`
	start := func(g Group) int {
		dir, err := g.Dir()
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cmd := exec.Command("sh", "-c", script)
		cmd.Stdin, cmd.Stdout = stay, w
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return cmd.Process.Pid
	}
	var want []string
	for _, g := range groups {
		for range signalBatch/2 + 10 {
			pid := start(g)
			want = append(want, fmt.Sprint("TERM ", pid))
		}
	}
	start(neighbour)
	for range len(want) + 1 {
		if s := next(t, out); !strings.HasPrefix(s, "ready ") {
			t.Fatalf("unexpected %q", s)
		}
	}
	var pid int
	for i := 0; i < len(want); i += 10 {
		fmt.Sscanf(want[i], "TERM %d", &pid)
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil { // a child of ours, not yet waited for
			t.Fatal(err)
		}
	}
	if err := top.Freeze(); err != nil {
		t.Fatal(err)
	}
	await(t, top, func(e Events) bool { return e.Frozen })
	sent, err := top.Signal(unix.SIGTERM)
	if sent != len(want) || err != nil {
		t.Errorf("%d of %d were sent the signal, %v", sent, len(want), err)
	}
	if err := top.Thaw(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range want {
		got = append(got, next(t, out))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the signal was seen by\n%q, want\n%q", got, want)
	}
	empty(t, g)
	w.Close()
	for s := range out {
		t.Errorf("and once more: %q", s)
	}
}

func TestSignalOfAnEmptyGroup(t *testing.T) {
	g := newGroup(t)
	cmd := spawn(t, g, io.Discard, "true")
	await(t, g, func(e Events) bool { return !e.Populated })
	if sent, err := g.Signal(unix.SIGTERM); sent != 0 || err != nil { // a zombie counts for nothing
		t.Errorf("%d, %v", sent, err)
	}
	cmd.Wait()
}

func TestStopSignalIsNotUndone(t *testing.T) {
	g := newGroup(t)
	cmd := spawn(t, g, nil, "sleep", "1000")
	if sent, err := g.Signal(unix.SIGSTOP); sent != 1 || err != nil {
		t.Fatalf("%d, %v", sent, err)
	}
	var info unix.Siginfo
	// Without WNOHANG it would wait for ever if SIGCONT came after the stop.
	done := make(chan error, 1)
	go func() { done <- unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WSTOPPED|unix.WNOWAIT, nil) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Error("it did not stop")
	}
	if sent, err := g.Signal(unix.SIGTERM); sent != 1 || err != nil {
		t.Fatalf("%d, %v", sent, err)
	}
	if err := cmd.Wait(); !errors.As(err, new(*exec.ExitError)) || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended: %v", err)
	}
}

func TestUnfreezeLeavesAloneWhatTheTreeFroze(t *testing.T) {
	g := newGroup(t)
	inner := makeChild(t, g, "inner")
	spawn(t, inner, nil, "sleep", "1000")
	spawn(t, g, nil, "sleep", "1000")
	for _, f := range []Group{inner, g} {
		if err := f.Freeze(); err != nil {
			t.Fatal(err)
		}
		await(t, f, func(e Events) bool { return e.Frozen && e.Populated })
	}
	if err := g.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	await(t, g, func(e Events) bool { return !e.Frozen })
	if e, err := inner.Events(); err != nil || !e.Frozen {
		t.Errorf("%+v, %v", e, err)
	}
}
