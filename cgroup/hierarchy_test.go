package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	cgroups "github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"
)

// The fixture hybrid comes from a real host; the others are written after what
// systemd and container engines mount.
func TestHierarchyIsChosen(t *testing.T) {
	for _, c := range []struct {
		fixture  string
		readOnly string // the mount that is
		mount    string
		kind     Kind
		self     string
		err      error
	}{
		{fixture: "unified", mount: "/sys/fs/cgroup", kind: Unified, self: "/user.slice/user-1000.slice/user@1000.service/app.slice/processmanager.service"},
		{fixture: "unified", readOnly: "/sys/fs/cgroup", err: ErrReadOnly},
		{fixture: "hybrid", mount: "/sys/fs/cgroup/unified", kind: Hybrid, self: "/"},
		{fixture: "systemd-hybrid", mount: "/sys/fs/cgroup/unified", kind: Hybrid, self: "/system.slice/processmanager.service"},
		{fixture: "legacy", err: ErrNoHierarchy},
		{fixture: "container", readOnly: "/sys/fs/cgroup", mount: "/srv/own groups", kind: Unified, self: "/init"},
	} {
		t.Run(c.fixture+c.readOnly, func(t *testing.T) {
			proc := filepath.Join("testdata", c.fixture)
			mounts, self, err := readProc(proc)
			if err != nil {
				t.Fatal(err)
			}
			h, err := choose(proc, mounts, self, func(path string) (cgroup2, readOnly bool) {
				return true, path == c.readOnly
			})
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if h.Mount != c.mount || h.Kind != c.kind {
				t.Errorf("got %s at %s, want %s at %s", h.Kind, h.Mount, c.kind, c.mount)
			}
			if rel, err := h.Self(0); rel != c.self || err != nil {
				t.Errorf("own group %q, %v, want %q", rel, err, c.self)
			}
		})
	}
}

func TestHiddenMountIsNotTaken(t *testing.T) {
	proc := "testdata/unified"
	mounts, self, err := readProc(proc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = choose(proc, mounts, self, func(string) (cgroup2, readOnly bool) { return false, false })
	if !errors.Is(err, ErrNoHierarchy) {
		t.Errorf("got %v", err)
	}
}

// An independent reader must come to the same answer where it looks.
func TestKindAgreesWithContainerd(t *testing.T) {
	h, err := Find("/proc")
	if err != nil {
		cannot(t, err)
	}
	want := map[string]cgroups.CGMode{
		"/sys/fs/cgroup":         cgroups.Unified,
		"/sys/fs/cgroup/unified": cgroups.Hybrid,
	}[h.Mount]
	if got := cgroups.Mode(); want != cgroups.Unavailable && got != want {
		t.Errorf("%s at %s, containerd/cgroups says %v", h.Kind, h.Mount, got)
	}
}

func TestMissingControllersSayWhy(t *testing.T) {
	fake := func(v1 []mount, fixture string) *Hierarchy {
		return &Hierarchy{Mount: t.TempDir(), procDir: filepath.Join("testdata", fixture), root: "/", v1: v1}
	}
	put := func(dir, file, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	mounts, _, err := readProc("testdata/hybrid")
	if err != nil {
		t.Fatal(err)
	}
	h := fake(version1(mounts), "hybrid")
	put(h.Mount, "cgroup.controllers", "\n")
	want := []Missing{
		{"cpu", "bound to the v1 hierarchy at /sys/fs/cgroup/cpu", true},
		{"memory", "bound to the v1 hierarchy at /sys/fs/cgroup/memory", true},
		{"pids", "bound to the v1 hierarchy at /sys/fs/cgroup/pids", true},
		{"io", "bound to the v1 hierarchy at /sys/fs/cgroup/blkio", true},
		{"cpuset", "bound to the v1 hierarchy at /sys/fs/cgroup/cpuset", true},
	}
	if got := h.Missing(); !reflect.DeepEqual(got, want) {
		t.Errorf("hybrid: got %+v", got)
	}

	h = fake(nil, "hybrid")
	put(h.Mount, "cgroup.controllers", "cpu cpuset io memory\n")
	want = []Missing{{"pids", "bound to a v1 hierarchy that is not mounted here", true}}
	if got := h.Missing(); !reflect.DeepEqual(got, want) {
		t.Errorf("hidden v1: got %+v", got)
	}

	h = fake(nil, "unified")
	put(h.Mount, "cgroup.controllers", "cpu cpuset memory pids\n")
	put(h.Mount+"/a", "cgroup.controllers", "cpuset memory pids\n")
	put(h.Mount+"/a/b", "cgroup.controllers", "cpuset pids\n")
	want = []Missing{
		{"cpu", "not enabled in " + h.Mount + "/cgroup.subtree_control", false},
		{"memory", "not enabled in " + h.Mount + "/a/cgroup.subtree_control", false},
		{"io", "not in this kernel, or disabled on its command line", false},
	}
	if got := h.Group("a/b").Missing(); !reflect.DeepEqual(got, want) {
		t.Errorf("nested: got %+v", got)
	}
	put(h.Mount, "cgroup.type", "domain\n")
	if got := h.Missing(); len(got) != 1 || !strings.HasPrefix(got[0].Reason, "not enabled above "+h.Mount) {
		t.Errorf("container: got %+v", got)
	}
}

func TestGroupNeverLeadsOut(t *testing.T) {
	h := &Hierarchy{Mount: "/sys/fs/cgroup", root: "/"}
	for path, want := range map[string]string{
		"":                         "/sys/fs/cgroup",
		"/":                        "/sys/fs/cgroup",
		"a/b":                      "/sys/fs/cgroup/a/b",
		"/a/b/":                    "/sys/fs/cgroup/a/b",
		"/sys/fs/cgroup":           "/sys/fs/cgroup",
		"/sys/fs/cgroup/a":         "/sys/fs/cgroup/a",
		"../../etc":                "/sys/fs/cgroup/etc",
		"/sys/fs/cgroup/../../etc": "/sys/fs/cgroup/sys/etc",
	} {
		if got := h.Group(path).Path(); got != want {
			t.Errorf("Group(%q) is %s, want %s", path, got, want)
		}
	}
	if h.Group("a") != h.Group("/sys/fs/cgroup/a") {
		t.Error("the same group is not equal")
	}
}

func TestAPathOfAnotherFileSystemIsNoGroup(t *testing.T) {
	h := &Hierarchy{Mount: "/sys/fs/cgroup/unified", root: "/"}
	for path, want := range map[string]string{
		"/sys/fs/cgroup/unified":     "",
		"/sys/fs/cgroup/unified/a/":  "/a",
		"/":                          "",
		"/pm-test-none":              "/pm-test-none",
		"/pm-test-none.slice/a/../b": "/pm-test-none.slice/b",
		"pm":                         "/pm",
		"tmp":                        "/tmp", // what is relative names no directory elsewhere
		"../a":                       "/a",
	} {
		if got, err := h.GroupAt(path); err != nil || got.Path() != h.Mount+want {
			t.Errorf("%s is %s, %v, want %s", path, got, err, h.Mount+want)
		}
	}
	dir := t.TempDir()
	for path, clean := range map[string]string{
		"/sys/fs/cgroup":                "/sys/fs/cgroup",
		"/sys/fs/cgroup/pm":             "/sys/fs/cgroup/pm",
		"/sys/fs/cgroup/cpu/x":          "/sys/fs/cgroup/cpu/x",
		"/sys/fs/cgroup/unified/../pm/": "/sys/fs/cgroup/pm",
		"/sys/fs/cgroup/unified2":       "/sys/fs/cgroup/unified2",
		"/tmp":                          "/tmp",
		"/dev/null":                     "/dev/null",
		dir:                             dir,
	} {
		want := clean + " is not below cgroup v2, which is mounted at /sys/fs/cgroup/unified"
		if got, err := h.GroupAt(path); err == nil || err.Error() != want {
			t.Errorf("%s is %s, %v, want %s", path, got, err, want)
		}
	}
	// What leads into the mount is in it.
	h.Mount = dir + "/mount"
	if err := os.MkdirAll(h.Mount+"/a", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(h.Mount+"/a", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if got, err := h.GroupAt(dir + "/link"); err != nil || got != h.Group("a") {
		t.Errorf("a link into the mount is %s, %v", got, err)
	}
}

func TestSelfOfOthers(t *testing.T) {
	g := newGroup(t)
	cmd := spawn(t, g, nil, "sleep", "1000")
	rel, err := g.h.Self(cmd.Process.Pid)
	if err != nil || g.h.Group(rel) != g {
		t.Errorf("got %q, %v, want %s", rel, err, g)
	}
	empty(t, g)
	cmd.Wait()
	if _, err := g.h.Self(cmd.Process.Pid); !gone(err) {
		t.Errorf("of a process that ended: %v", err)
	}
}

func TestGroupHoldsWhoIsInNestedOnesToo(t *testing.T) {
	g := newGroup(t)
	c, beside := makeChild(t, g, "c"), makeChild(t, g, "cc")
	cmd := spawn(t, c, nil, "sleep", "1000")
	pid := cmd.Process.Pid
	for group, want := range map[Group]bool{g: true, c: true, beside: false, g.h.Group("/"): true} {
		if is, err := group.Holds(pid); is != want || err != nil {
			t.Errorf("%s: %v, %v", group, is, err)
		}
	}
	if is, err := c.Holds(os.Getpid()); is || err != nil {
		t.Errorf("of us: %v, %v", is, err)
	}
	unix.Kill(pid, unix.SIGKILL)
	await(t, c, func(e Events) bool { return !e.Populated })
	if is, err := c.Holds(pid); !is || err != nil {
		t.Errorf("of a zombie: %v, %v", is, err)
	}
	cmd.Wait()
	if _, err := c.Holds(pid); !gone(err) {
		t.Errorf("of a process that ended: %v", err)
	}
}

func TestZombieOfARemovedGroupHasNone(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "c")
	cmd := spawn(t, c, nil, "true")
	await(t, c, func(e Events) bool { return !e.Populated })
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	if rel, err := g.h.Self(cmd.Process.Pid); !gone(err) {
		t.Errorf("got %q, %v", rel, err)
	}
}

// In a mount namespace of its own, with a /proc that shows no cgroup v2.
func TestFindOrMountMountsOnce(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount")
	}
	newGroup(t) // or skip
	playRole(t, "mount", &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}, "MOUNTPOINT="+t.TempDir()+"/a/b")
}

func init() {
	roles["mount"] = func() error {
		point := os.Getenv("MOUNTPOINT")
		h, err := FindOrMount("testdata/legacy", point)
		if err != nil {
			return err
		}
		if h.Kind != Private || h.Mount != point {
			return fmt.Errorf("got %s at %s", h.Kind, h.Mount)
		}
		if _, err := h.Controllers(); err != nil {
			return err
		}
		defer unix.Unmount(point, 0)
		// The next call finds it: /proc now shows a mount at this point.
		proc := filepath.Dir(point) + "/proc"
		if err := os.MkdirAll(proc+"/self", 0o755); err != nil {
			return err
		}
		line := "99 1 0:1 / " + point + " rw - cgroup2 cgroup2 rw\n"
		if err := os.WriteFile(proc+"/self/mountinfo", []byte(line), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(proc+"/self/cgroup", []byte("0::/\n"), 0o644); err != nil {
			return err
		}
		again, err := FindOrMount(proc, point+"/")
		if err != nil {
			return err
		}
		if again.Kind != Private || again.Mount != point {
			return fmt.Errorf("the second time: %s at %s", again.Kind, again.Mount)
		}
		return nil
	}
}
