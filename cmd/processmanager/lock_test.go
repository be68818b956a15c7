package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/store"
)

// nobody is a user who owns nothing.
const nobody = 65534

// holdVar names, in the environment, what this test binary locks as another process.
const holdVar = "PM_TEST_HOLD"

// leaveVar says that it leaves the lock to a child, and ends.
const leaveVar = "PM_TEST_LEAVE"

// hold locks a file or a directory until its standard input ends, and says so. Where
// there is nothing it makes a socket and listens.
func hold(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = net.Listen("unix", path)
	} else if err == nil {
		err = flock(f)
	}
	if err != nil {
		return err
	}
	if os.Getenv(leaveVar) != "" { // to a child
		cat := exec.Command("cat")
		cat.Stdin, cat.ExtraFiles = os.Stdin, []*os.File{f}
		err := cat.Start()
		fmt.Println("held")
		return err
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// holdAs has a process of the user uid lock path until the test ends.
func holdAs(t *testing.T, uid uint32, path string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 && int(uid) != os.Geteuid() {
		t.Skip("only root can be another user")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdVar+"="+path)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, NoSetGroups: os.Geteuid() != 0}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("user %d cannot lock %s", uid, path)
	}
	return cmd
}

// listenAs has a process of the user uid listen at path until the test ends.
func listenAs(t *testing.T, uid uint32, path string) { holdAs(t, uid, path) }

// openToAll is a directory that everybody can enter.
func openToAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm-lock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whoever opened a lock while its mode let them keeps no daemon from starting, now or
// after a crash. A daemon that holds it still does.
func TestALockThatOthersCouldOpenIsReplaced(t *testing.T) {
	for _, kind := range []dirKind{stateKind, runtimeKind} {
		dir := openToAll(t)
		path := dir + "/" + kind.lock
		os.WriteFile(path, nil, 0o644)
		opened, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		holdAs(t, nobody, path)
		lock, err := kind.lockIn(dir)
		if err != nil {
			t.Fatalf("%s: %v", kind.lock, err)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", kind.lock, info.Mode())
		}
		if _, err := kind.lockIn(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d;", os.Getpid())) {
			t.Errorf("a second one: %v", err)
		}
		if isAt(opened, path) {
			t.Error("it is the file that others have open")
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("left behind: %v", entries)
		}

		// Its mode was changed under the living daemon: it is in use nevertheless.
		os.Chmod(path, 0o644)
		if _, err := kind.lockIn(dir); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("of a living daemon: %v", err)
		}
		lock.Close()
		// And when it has ended others may have the file open.
		os.Chmod(path, 0o644)
		late, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		lock, err = kind.lockIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		if isAt(late, path) {
			t.Error("it is the file that others have open")
		}
		late.Close()
		lock.Close()
	}
}

func TestALockOfThisUserCounts(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/lock", []byte("4711\n"), 0o600)
	holdAs(t, uint32(os.Geteuid()), dir+"/lock")
	if _, err := stateKind.lockIn(dir); err == nil || !strings.Contains(err.Error(), "in use by the daemon with pid 4711;") {
		t.Errorf("got %v", err)
	}
}

// A daemon that was killed may have threads that end after it, or a child that has yet to
// execute its program.
func TestALockOfADeadProcessIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/lock"
	os.WriteFile(path, []byte("4711\n"), 0o600)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdVar+"="+path, leaveVar+"=1")
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	err = cmd.Run()
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := flock(f); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Fatalf("it is not locked: %v", err)
	}
	f.Close()
	time.AfterFunc(100*time.Millisecond, func() { w.Close() })
	lock, err := stateKind.lockIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

func TestAStoreThatOthersHaveLockedIsReplaced(t *testing.T) {
	dir := openToAll(t)
	if _, err := supervisor.ResetStore(dir); err != nil { // makes one
		t.Fatal(err)
	}
	path := store.In(dir)
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o644)
	holdAs(t, nobody, path)
	o := options{Places: places{State: dir}}
	if err := prepareStore(&o, log.New(io.Discard, "", 0)); err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(path)
	if err != nil || string(is) != string(was) {
		t.Errorf("it is another store: %v", err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("got %v", info.Mode())
	}
}

// Everybody can open the directories of groups and lock them.
func TestLocksOfOthersOnGroupsDoNotMatter(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	o := options{Places: places{State: t.TempDir(), Cgroup: ground(t)}, Secret: "x"}
	p, err := openPlace(o, quiet)
	if err != nil {
		t.Fatal(err)
	}
	instance := p.groups.instance
	if err := p.leave(false); err != nil {
		t.Fatal(err)
	}
	// As a daemon that was killed leaves them.
	for _, g := range []cgroup.Group{instance, instance.Child("daemon"), instance.Child("p")} {
		if err := g.Make(); err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatal(err)
		}
		uid := uint32(os.Geteuid())
		if uid == 0 {
			uid = nobody
		}
		holdAs(t, uid, g.Path())
	}
	if p, err = openPlace(o, quiet); err != nil {
		t.Fatal(err)
	}
	if err := p.leave(true); err != nil {
		t.Error(err)
	}
}

// A former version locks the directory of the group, and nothing else of it.
func TestADaemonOfAFormerVersionIsFound(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	o := options{Places: places{State: t.TempDir(), Cgroup: ground(t)}, Secret: "x"}
	p, err := openPlace(o, quiet)
	if err != nil {
		t.Fatal(err)
	}
	instance := p.groups.instance
	if err := p.leave(false); err != nil {
		t.Fatal(err)
	}
	for _, g := range []cgroup.Group{instance, instance.Child("daemon")} {
		if err := g.Make(); err != nil && !errors.Is(err, unix.EEXIST) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // after it has ended
		if err := instance.Remove(); err != nil {
			t.Error(err)
		}
	})
	former := holdAs(t, uint32(os.Geteuid()), instance.Path())
	if err := instance.Child("daemon").Enter(former.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_, err = openPlace(o, quiet)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by the daemon with pids [%d]", former.Process.Pid)) {
		t.Errorf("got %v", err)
	}
}

func TestAStartThatFailsLeavesNoGroup(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	root := ground(t)
	for what, o := range map[string]options{
		"the group":      {Places: places{Cgroup: root + "/" + strings.Repeat("x", unix.PathMax)}},
		"the socket":     {Places: places{Cgroup: root, Socket: "/" + strings.Repeat("x", 200)}},
		"the secret":     {Places: places{Cgroup: root}, SecretFile: "/none"},
		"the TCP socket": {Places: places{Cgroup: root, Listen: "nowhere"}, Secret: "x"},
	} {
		o.State = t.TempDir()
		if _, err := openPlace(o, quiet); err == nil {
			t.Errorf("%s: it has started", what)
		}
		h, err := cgroup.Find("/proc")
		if err != nil {
			t.Fatal(err)
		}
		if left, _ := h.Group(root).Children(); len(left) > 0 {
			t.Errorf("%s: left behind: %v", what, left)
		}
	}
}

// What an earlier daemon has left tells how its runs ended.
func TestAStartThatFailsLeavesTheGroupsOfAnEarlierDaemon(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	o := options{Places: places{State: t.TempDir(), Cgroup: ground(t)}, Secret: "x"}
	p, err := openPlace(o, quiet)
	if err != nil {
		t.Fatal(err)
	}
	run, instance := p.groups.runs().Child("web.1"), p.groups.instance
	if err := run.Make(); err != nil {
		t.Fatal(err)
	}
	if err := p.leave(false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Remove() })
	o.Listen = "nowhere"
	if _, err := openPlace(o, quiet); err == nil {
		t.Fatal("it has started")
	}
	if _, err := os.Stat(run.Path()); err != nil {
		t.Error(err)
	}
}

// A unit that is stopped ends what its own daemon has left, and nothing of one that lives: a
// configuration that cannot be read any more leads to the state directory of another.
func TestAUnitThatIsStoppedLeavesALivingDaemonAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	in := newInstance()
	in.Root, in.Scope = "/processmanager-test.scope", "processmanager-test.scope"
	if err := in.save(dir); err != nil {
		t.Fatal(err)
	}
	lock, err := stateKind.lockIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	var o options
	o.State = dir
	if err := unitStopped(o); err == nil || !strings.Contains(err.Error(), dir+" is in use by the daemon with pid "+fmt.Sprint(os.Getpid())) {
		t.Errorf("it is stopped: %v", err)
	}
	lock.Close()
	if err := stateKind.inUse(dir); err != nil {
		t.Errorf("nobody uses it: %v", err)
	}
}
