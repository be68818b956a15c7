package doctor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// newGroup makes a group below our own.
func newGroup(t *testing.T) (*cgroup.Hierarchy, cgroup.Group) {
	t.Helper()
	cannot := t.Skip
	if os.Getenv("CI") == "true" {
		cannot = t.Fatal
	}
	h, err := cgroup.Find("/proc")
	if err != nil {
		cannot(err)
	}
	own, err := h.Self(0)
	if err != nil {
		cannot(err)
	}
	g := h.Group(own).Child(fmt.Sprintf("pm-test-doctor-%d", os.Getpid()))
	if err := g.Make(); err != nil {
		cannot(err)
	}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	return h, g
}

func find(r process.Report, subject string) process.Finding {
	for _, f := range r.Findings {
		if f.Subject == subject {
			return f
		}
	}
	return process.Finding{}
}

func TestThisHostIsDescribed(t *testing.T) {
	h, g := newGroup(t)
	r := Examine(Config{Proc: "/proc", Root: g.Path(), Socket: t.TempDir() + "/s", State: t.TempDir()})
	t.Logf("\n%s", text(r))
	travels(t, r)
	if r.Mount != h.Mount || r.Hierarchy.String() != h.Kind.String() || r.Root != g.Path() {
		t.Errorf("got %s at %s, root %s; want %s at %s, root %s", r.Hierarchy, r.Mount, r.Root, h.Kind, h.Mount, g.Path())
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil || r.Kernel != unix.ByteSliceToString(uts.Release[:]) {
		t.Errorf("kernel %q, %v", r.Kernel, err)
	}
	data, err := os.ReadFile(g.Path() + "/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uses {
		there := strings.Contains(" "+strings.TrimSpace(string(data))+" ", " "+u.controller+" ")
		if missing := slices.Contains(r.Missing, u.controller); missing == there {
			t.Errorf("%s: missing %t, there %t", u.controller, missing, there)
		}
	}
	if f := find(r, "delegated root"); f.Level != process.LevelOK {
		t.Errorf("got %+v", f)
	}
	_, noKill := os.Stat(g.Path() + "/cgroup.kill")
	if f := find(r, "cgroup.kill"); (f.Level == process.LevelOK) != (noKill == nil) {
		t.Errorf("got %+v, and the file: %v", f, noKill)
	}
	children, err := g.Children()
	if err != nil || len(children) > 0 {
		t.Errorf("left behind: %v, %v", children, err)
	}
}

// An independent reader of the mounts must name the same places.
func TestV1MountsAreNamed(t *testing.T) {
	_, g := newGroup(t)
	r := Examine(Config{Proc: "/proc", Root: g.Path()})
	mounts, err := procfs.GetMounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if m.FSType != "cgroup" {
			continue
		}
		for option := range m.SuperOptions {
			name := strings.Replace(option, "blkio", "io", 1)
			for _, u := range uses {
				if u.controller != name {
					continue
				}
				f := find(r, name+" controller")
				if !strings.Contains(f.Found, "at "+m.MountPoint+";") || f.Mend != mendHybrid || f.Level != process.LevelNote {
					t.Errorf("%s is held at %s: got %+v", name, m.MountPoint, f)
				}
			}
		}
	}
}

// At a first start the root may have yet to be made.
func TestRootMayBeMade(t *testing.T) {
	_, g := newGroup(t)
	r := Examine(Config{Proc: "/proc", Root: g.Child("a").Child("b").Path()})
	if f := find(r, "delegated root"); f.Level != process.LevelOK {
		t.Errorf("got %+v", f)
	}
	if children, err := g.Children(); err != nil || len(children) > 0 {
		t.Errorf("left behind: %v, %v", children, err)
	}
}

func TestSocketSaysWhoMayConnect(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	me := owner(uint32(os.Geteuid()))
	check := func(what, path string, level process.Level, found string) {
		t.Helper()
		e := &exam{Config: Config{Socket: path}}
		f := e.socket()[0]
		if f.Level != level || !strings.Contains(f.Found, found) || (f.Mend == "") != (level == process.LevelOK) {
			t.Errorf("%s: got %+v", what, f)
		}
	}
	check("not there", path, process.LevelOK, me+" will be able")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for mode, level := range map[os.FileMode]process.Level{0o600: process.LevelOK, 0o660: process.LevelNote, 0o777: process.LevelNote} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		check(mode.String(), path, level, me)
	}
	check("a directory", dir, process.LevelProblem, "not a socket")
	check("long", "/"+strings.Repeat("x", telnet.MaxSocketPath), process.LevelProblem, "108 bytes")
}

func TestSpaceIsThatOfTheDirectoryToBe(t *testing.T) {
	if f := space("state", "-state", t.TempDir()+"/a/b", stateRoom)[0]; f.Level == process.LevelProblem {
		t.Errorf("got %+v", f)
	}
	if f := space("state", "-state", "/proc/none/such", stateRoom)[0]; f.Level != process.LevelProblem || f.Mend == "" {
		t.Errorf("no room in /proc: got %+v", f)
	}
}

func TestListenerSaysWhoMayConnect(t *testing.T) {
	for address, want := range map[string]process.Level{
		"127.0.0.1:2323": process.LevelOK, "127.8.0.1:1": process.LevelOK, "[::1]:2323": process.LevelOK, "localhost:2323": process.LevelOK,
		":2323": process.LevelNote, "0.0.0.0:2323": process.LevelNote, "host.example:2323": process.LevelNote,
		"2323": process.LevelProblem,
	} {
		e := &exam{Config: Config{Listen: address}}
		if f := e.listener()[0]; f.Level != want {
			t.Errorf("%s: got %+v", address, f)
		}
	}
}
