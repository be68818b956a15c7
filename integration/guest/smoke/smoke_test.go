// Package smoke tests that a guest machine is what tests in it rely on.
package smoke

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	mount = "/sys/fs/cgroup"
	// From linux/magic.h.
	cgroup2Magic = 0x63677270
	ext4Magic    = 0xef53
)

func TestMain(m *testing.M) {
	if os.Getenv("GUEST") == "" {
		// Elsewhere there is nothing to test.
		return
	}
	os.Exit(m.Run())
}

func TestKernelIsTheOneNamed(t *testing.T) {
	if release := read(t, "/proc/sys/kernel/osrelease"); !strings.HasPrefix(release, os.Getenv("GUEST")+".") {
		t.Errorf("this is %s, not %s", release, os.Getenv("GUEST"))
	}
}

func TestHierarchyIsUnified(t *testing.T) {
	if got := fsType(t, mount); got != cgroup2Magic {
		t.Errorf("%s has magic %#x", mount, got)
	}
	if got := read(t, "/proc/self/cgroup"); got != "0::/" {
		t.Errorf("our group is %q", got)
	}
	mounts := read(t, "/proc/self/mounts")
	for _, option := range []string{"nsdelegate", "memory_recursiveprot"} {
		if !strings.Contains(mounts, option) {
			t.Errorf("not mounted with %s", option)
		}
	}
}

func TestGroupsHaveAllControllers(t *testing.T) {
	wanted := []string{"cpu", "cpuset", "io", "memory", "pids"}
	have := strings.Fields(read(t, filepath.Join(mount, "cgroup.controllers")))
	for _, c := range wanted {
		if !slices.Contains(have, c) {
			t.Fatalf("no controller %s among %q", c, have)
		}
	}
	group := newGroup(t, wanted)
	for _, file := range []string{
		"memory.current", "memory.peak", "memory.events", "pids.current", "pids.max", "io.stat", "cpu.max", "cpuset.cpus.effective",
		"cpu.pressure", "io.pressure", "memory.pressure",
	} {
		if _, err := os.ReadFile(filepath.Join(group, file)); err != nil {
			t.Error(err)
		}
	}
}

func TestWritesShowInTheGroupsIO(t *testing.T) {
	const size = 8 << 20
	group := newGroup(t, []string{"io", "memory"})
	if got := fsType(t, "/var/lib"); got != ext4Magic {
		t.Errorf("/var/lib has magic %#x", got)
	}
	file := filepath.Join("/var/lib", t.Name())
	t.Cleanup(func() { os.Remove(file) })
	runIn(t, group, "/bin/sh", "-c", "dd if=/dev/zero of="+file+" bs=1M count=8 conv=fsync")
	written := 0
	for field := range strings.FieldsSeq(read(t, filepath.Join(group, "io.stat"))) {
		if n, ok := strings.CutPrefix(field, "wbytes="); ok {
			w, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			written += w
		}
	}
	if written < size {
		t.Errorf("io.stat shows %d of %d bytes written", written, size)
	}
}

func TestUsualProgramsAreThere(t *testing.T) {
	for _, name := range []string{"sh", "setsid", "nohup", "sleep", "dd", "head", "nc", "su", "tar", "mount", "ps"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"/dev/ptmx", "/dev/stderr", "/dev/shm", "/tmp", "/run"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

func TestLoopbackIsUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestTesterIsAnOrdinaryUser(t *testing.T) {
	out, err := exec.Command("su", "-", "tester", "-c", "id -u; id -gn; pwd").CombinedOutput()
	if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"1000", "tester", "/home/tester"}) {
		t.Errorf("%v: %q", err, got)
	}
}

// newGroup makes a group with controllers below the root.
func newGroup(t *testing.T, controllers []string) string {
	t.Helper()
	enable := "+" + strings.Join(controllers, " +")
	if err := os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte(enable), 0); err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(mount, t.Name())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	return group
}

// runIn runs a program to its end in a group.
func runIn(t *testing.T, group, name string, args ...string) {
	t.Helper()
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func fsType(t *testing.T, path string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		t.Fatal(err)
	}
	return s.Type
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
