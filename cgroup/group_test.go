package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMakeAndRemove(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "job.7")
	if err := c.Make(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made again: %v", err)
	}
	if err := g.Child("no").Child("parent").Make(); !gone(err) {
		t.Errorf("made without a parent: %v", err)
	}
	children, err := g.Children()
	if err != nil || !slices.Equal(children, []Group{c}) || c.Name() != "job.7" {
		t.Errorf("children %v, %v", children, err)
	}
	for range 2 { // the second time it is gone already
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{
		c.Kill(), c.Freeze(), c.Thaw(), c.Enter(0), c.Enable("memory"), c.SetAttr("a", nil),
		second(c.Pids()), second(c.Events()), second(c.Usage(0)), second(c.Usage(AllFigures)), second(c.Devices()), second(c.Children()), second(c.Dir()),
		second(c.Lock()), second(c.Attr("a")), second(c.Attrs()), second(c.Signal(unix.SIGTERM)), second(c.Controllers()),
	} {
		if !gone(err) {
			t.Errorf("on a removed group: %v", err)
		}
	}
	if err := (Group{}).Remove(); err != nil {
		t.Errorf("the zero group: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNamesThatAreNoElementReachNoGroup(t *testing.T) {
	g := newGroup(t)
	inner := makeChild(t, g, "inner")
	cmd := spawn(t, g, nil, "sleep", "1000")
	for _, name := range []string{"", ".", "..", "../inner", "a/b", "/", "nul\x00"} {
		for _, err := range []error{inner.Child(name).Kill(), inner.Child(name).Remove(), inner.Child(name).Make()} {
			if !errors.Is(err, unix.EINVAL) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if pids, err := g.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("pids %v, %v", pids, err)
	}
}

func TestOddNames(t *testing.T) {
	g := newGroup(t)
	for _, name := range []string{"a b", `back\slash`, "é\t:@", "x (deleted)", strings.Repeat("n", 200)} {
		c := makeChild(t, g, name)
		cmd := spawn(t, c, nil, "sleep", "1000")
		if rel, err := g.h.Self(cmd.Process.Pid); err != nil || g.h.Group(rel) != c {
			t.Errorf("%q: own group %q, %v", name, rel, err)
		}
		empty(t, c)
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenFilesOfARemovedGroupSayGone(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "c")
	f, err := os.Open(c.file("cpu.stat"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	_, err = f.Read(make([]byte, 100))
	if !errors.Is(err, unix.ENODEV) || !gone(asError("read", f.Name(), err)) {
		t.Errorf("got %v", err)
	}
}

func TestAbsentFileIsNotAGoneGroup(t *testing.T) {
	h := &Hierarchy{Mount: t.TempDir()}
	for _, err := range []error{h.Group("/").Kill(), second(h.Group("/").Events())} {
		if !errors.Is(err, errors.ErrUnsupported) || gone(err) {
			t.Errorf("got %v", err)
		}
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	g := newGroup(t)
	held, err := g.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if open, err := g.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	} else {
		open.Close()
	}
	held.Close()
	again, err := g.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// Everybody can open the directory of a group, and so lock it.
func TestLockIsNotThatOfTheDirectory(t *testing.T) {
	g := newGroup(t)
	dir, err := g.LockDir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if open, err := g.LockDir(); !errors.Is(err, ErrLocked) || open == nil {
		t.Errorf("the directory, twice: %v, %v", open, err)
	} else {
		open.Close()
	}
	lock, err := g.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if info, err := lock.Stat(); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can open what is locked: %v, %v", info.Mode(), err)
	}
}

func TestRemoveTakesNestedGroupsToo(t *testing.T) {
	g := newGroup(t)
	top := makeChild(t, g, "top")
	for i := range 5 {
		c := makeChild(t, top, fmt.Sprint("c", i))
		for j := range 5 {
			makeChild(t, c, fmt.Sprint("d", j))
		}
	}
	busy := top.Child("c3").Child("d3")
	cmd := spawn(t, busy, nil, "sleep", "1000")
	if err := top.Remove(); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("with a process in it: %v", err)
	}
	if pids, err := top.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("pids %v, %v", pids, err)
	}
	empty(t, top)
	if err := top.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(top.Path()); !gone(err) {
		t.Errorf("still there: %v", err)
	}
}

// A tree that may make groups can nest them deeper than any path may be long.
func TestGroupsDeeperThanAPath(t *testing.T) {
	g := newGroup(t)
	top := makeChild(t, g, "top")
	name := strings.Repeat("n", 200)
	dir, err := top.Dir()
	if err != nil {
		t.Fatal(err)
	}
	for range 30 { // 6,000 bytes; a path has 4,096
		if err := unix.Mkdirat(int(dir.Fd()), name, 0o755); err != nil {
			t.Fatal(err)
		}
		fd, err := openAt(int(dir.Fd()), name, unix.O_DIRECTORY)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close()
		dir = os.NewFile(uintptr(fd), name)
	}
	cmd := spawnAt(t, dir, nil, "sleep", "1000")
	dir.Close()
	if pids, err := top.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("pids %v, %v", pids, err)
	}
	if sent, err := top.Signal(unix.SIGTERM); sent != 1 || err != nil {
		t.Errorf("%d were sent the signal, %v", sent, err)
	}
	await(t, top, func(e Events) bool { return !e.Populated })
	if err := top.Remove(); err != nil {
		t.Error(err)
	}
}

func TestThreadedGroupsDoNotHideProcesses(t *testing.T) {
	g := newGroup(t)
	c := makeChild(t, g, "threaded")
	if err := c.write("cgroup.type", "threaded"); err != nil {
		t.Fatal(err)
	}
	cmd := spawn(t, g, nil, "sleep", "1000")
	if err := c.write("cgroup.threads", fmt.Sprint(cmd.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	if pids, err := g.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("pids %v, %v", pids, err)
	}
	if pids, err := c.Pids(); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("of the threaded group itself: %v, %v", pids, err)
	}
}

func TestEnterMoves(t *testing.T) {
	g := newGroup(t)
	a, b := makeChild(t, g, "a"), makeChild(t, g, "b")
	cmd := spawn(t, a, nil, "sleep", "1000")
	if err := b.Enter(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if pids, err := b.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("pids %v, %v", pids, err)
	}
	if e, err := a.Events(); err != nil || e.Populated {
		t.Errorf("it was left: %+v, %v", e, err)
	}
	empty(t, b)
	cmd.Wait()
	if err := b.Enter(cmd.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a process that ended: %v", err)
	}
}

func TestEnableNeedsAnEmptyGroup(t *testing.T) {
	g := newGroup(t)
	available, err := g.Controllers()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Enable("no-such-controller"); err != nil {
		t.Errorf("a controller that is not there: %v", err)
	}
	i := slices.IndexFunc(available, func(c string) bool { return c == "memory" || c == "io" || c == "hugetlb" })
	if i < 0 {
		t.Skipf("the groups here have no controllers: %q", available)
	}
	cmd := spawn(t, g, nil, "sleep", "1000")
	if err := g.Enable(available[i]); !errors.Is(err, ErrInternalProcesses) {
		t.Errorf("with a process: %v", err)
	}
	empty(t, g)
	cmd.Wait()
	for range 2 { // the second time there is nothing to do
		if err := g.Enable(available[i]); err != nil {
			t.Fatal(err)
		}
	}
	if enabled, err := g.Enabled(); err != nil || !slices.Contains(enabled, available[i]) {
		t.Errorf("enabled %v, %v", enabled, err)
	}
	if err := g.Enter(os.Getpid()); !errors.Is(err, ErrInternalProcesses) {
		t.Errorf("entered: %v", err)
	}
}

func TestAttrsLiveWithTheGroup(t *testing.T) {
	g := newGroup(t)
	if _, err := g.Attr("run"); !errors.Is(err, ErrNoAttr) || gone(err) {
		t.Errorf("before it is set: %v", err)
	}
	for _, value := range [][]byte{{}, []byte("a\x00b"), bytes.Repeat([]byte{'x'}, 512), bytes.Repeat([]byte{'y'}, 513), bytes.Repeat([]byte{'z'}, 64<<10)} {
		if err := g.SetAttr("run", value); err != nil {
			t.Fatal(err)
		}
		if got, err := g.Attr("run"); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes came back as %d, %v", len(value), len(got), err)
		}
	}
	if err := g.SetAttr("run", make([]byte, 64<<10+1)); !errors.Is(err, unix.E2BIG) {
		t.Errorf("over 64 KiB: %v", err)
	}
	if err := g.SetAttr("other", make([]byte, 64<<10)); err != nil {
		t.Errorf("128 KiB in all: %v", err)
	}
	if err := g.SetAttr("third", []byte("x")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("over 128 KiB in all: %v", err)
	}
	if names, err := g.Attrs(); err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), []string{"other", "run"}) {
		t.Errorf("they are listed as %q, %v", names, err)
	}
}

func TestAllAttrsAreListed(t *testing.T) {
	g := newGroup(t)
	if names, err := g.Attrs(); len(names) > 0 || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	for i := range 100 {
		if err := g.SetAttr(fmt.Sprintf("processmanager.%03d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := g.Attrs(); len(names) != 100 || err != nil || slices.Min(names) != "processmanager.000" || slices.Max(names) != "processmanager.099" {
		t.Errorf("%q, %v", names, err)
	}
}

// An ordinary user to whom a group is delegated can do all of this in it.
func TestOwnerNeedsNoRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	const nobody = 65534
	g := newGroup(t)
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(g.Path(), name), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := g.Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	playRole(t, "owner", &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		UseCgroupFD: true, CgroupFD: int(dir.Fd()),
	}, "GROUP="+g.Path())
}

func init() {
	roles["owner"] = func() error {
		h, err := Find("/proc")
		if err != nil {
			return err
		}
		g := h.Group(os.Getenv("GROUP"))
		daemon, run := g.Child("daemon"), g.Child("run")
		err = errors.Join(daemon.Make(), daemon.Enter(0), run.Make(),
			run.SetAttr("leader", []byte("7")), run.Freeze(), run.Thaw(), run.Kill(), second(run.Attr("leader")))
		if err != nil {
			return err
		}
		lock, err := run.Lock()
		if err != nil {
			return err
		}
		lock.Close()
		if self, err := h.Self(0); err != nil || h.Group(self) != daemon {
			return fmt.Errorf("own group %q, %v", self, err)
		}
		if err := h.Group("/").SetAttr("no", nil); !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("attribute of another's group: %v", err)
		}
		return run.Remove()
	}
}
