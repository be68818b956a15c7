package cgroup

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays its own children; a role is named in this variable.
const roleVar = "CGROUP_TEST_ROLE"

var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// playRole runs a role in a new process and fails the test with what it says.
func playRole(t *testing.T, role string, attr *syscall.SysProcAttr, env ...string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, roleVar+"="+role)...)
	cmd.SysProcAttr = attr
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", role, err, out)
	}
}

// deadline is for what must happen soon, on a machine that may be very busy.
const deadline = time.Minute

// cannot skips a test that needs more than this host gives, and fails it where the
// run says that it must be possible.
func cannot(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" && os.Getuid() == 0 {
		t.Fatalf("as root with CI=true this must work: %v", err)
	}
	t.Skipf("needs a cgroup v2 hierarchy that can be written: %v", err)
}

// newGroup makes a group for one test, below our own, and empties and removes it
// at the end.
func newGroup(t testing.TB) Group {
	t.Helper()
	h, err := Find("/proc")
	if err != nil {
		cannot(t, err)
	}
	self, err := h.Self(0)
	if err != nil {
		cannot(t, err)
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	g := h.Group(self).Child(fmt.Sprintf("pm-test-cgroup-%d-%s", os.Getpid(), name))
	if err := g.Make(); err != nil {
		cannot(t, err)
	}
	t.Cleanup(func() {
		empty(t, g)
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func makeChild(t testing.TB, g Group, name string) Group {
	t.Helper()
	c := g.Child(name)
	if err := c.Make(); err != nil {
		t.Fatal(err)
	}
	return c
}

// spawn clones a process into the group. If the test does not wait for it, it is
// ended and waited for when the test is over.
func spawn(t testing.TB, g Group, out io.Writer, argv ...string) *exec.Cmd {
	t.Helper()
	dir, err := g.Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	return spawnAt(t, dir, out, argv...)
}

func spawnAt(t testing.TB, dir *os.File, out io.Writer, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd
}

func empty(t testing.TB, g Group) {
	t.Helper()
	if err := g.Kill(); err != nil {
		if !gone(err) {
			t.Error(err)
		}
		return
	}
	await(t, g, func(e Events) bool { return !e.Populated })
}

// await waits until what the group's events say is right.
func await(t testing.TB, g Group, right func(Events) bool) {
	t.Helper()
	w, err := NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	changed := make(chan struct{}, 1)
	remove, err := w.Add(g, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	late := time.After(deadline)
	for {
		e, err := g.Events()
		if err != nil {
			t.Fatal(err)
		}
		if right(e) {
			return
		}
		select {
		case <-changed:
		case <-late:
			pids, _ := g.Pids()
			t.Fatalf("%s: still %+v after %v, pids %v", g, e, deadline, pids)
		}
	}
}
