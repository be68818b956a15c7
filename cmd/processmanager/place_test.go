package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/telnet"
)

func TestDefaultPlaces(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/me")
	t.Setenv("XDG_STATE_HOME", "/home/me/state")
	t.Setenv("XDG_CONFIG_HOME", "/home/me/config")
	run, state, folder := "/run/user/me/processmanager", "/home/me/state/processmanager", "/home/me/config/processmanager"
	if os.Geteuid() == 0 {
		run, state, folder = "/run/processmanager", "/var/lib/processmanager", "/etc/processmanager"
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ given, want places }{
		{places{}, places{Socket: run + "/pm.sock", Runtime: run, State: state, Definitions: folder}},
		{places{Socket: "/s"}, places{Socket: "/s", Runtime: run, State: state, Definitions: folder}},
		{places{Runtime: "/r"}, places{Socket: "/r/pm.sock", Runtime: "/r", State: state, Definitions: folder}},
		{places{State: "/st"}, places{Socket: "/st/run/pm.sock", Runtime: "/st/run", State: "/st", Definitions: "/st/definitions"}},
		{places{State: "/st", Runtime: "/r"}, places{Socket: "/r/pm.sock", Runtime: "/r", State: "/st", Definitions: "/st/definitions"}},
		{places{State: "st", Socket: "s"}, places{Socket: cwd + "/s", Runtime: cwd + "/st/run", State: cwd + "/st", Definitions: cwd + "/st/definitions"}},
		{places{State: "/st", Definitions: "d"}, places{Socket: "/st/run/pm.sock", Runtime: "/st/run", State: "/st", Definitions: cwd + "/d"}},
		{places{State: state}, places{Socket: state + "/run/pm.sock", Runtime: state + "/run", State: state, Definitions: folder}},
		{places{Cgroup: "a/b"}, places{Socket: run + "/pm.sock", Runtime: run, State: state, Cgroup: "a/b", Definitions: folder}},
	} {
		got := c.given
		if err := got.Fill(); err != nil || got != c.want {
			t.Errorf("%+v: got %+v, %v, want %+v", c.given, got, err, c.want)
		}
	}
}

func TestTheSecondDaemonIsToldWhoHoldsTheState(t *testing.T) {
	dir := t.TempDir()
	first, err := stateKind.lockIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stateKind.lockIn(dir)
	if err == nil {
		t.Fatal("both have it")
	}
	for _, want := range []string{dir, fmt.Sprintf("pid %d;", os.Getpid()), "-state"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	first.Close()
	again, err := stateKind.lockIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if data, _ := os.ReadFile(dir + "/lock"); string(data) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("the file holds %q", data)
	}
	if info, _ := again.Stat(); info.Mode().Perm() != 0o600 {
		t.Errorf("got %v", info.Mode())
	}
}

// Of two that start at once in a directory that is not there yet, one makes it and the
// other may lock it. A start that fails removes no lock that somebody holds.
func TestAFailedStartLeavesTheLockOfAnother(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	for held, end := 0, time.Now().Add(time.Minute); held < 5; {
		if time.Now().After(end) {
			t.Fatalf("somebody else had the lock in %d rounds of a minute", held)
		}
		dir := t.TempDir() + "/state"
		over := make(chan struct{})
		holder := make(chan *os.File)
		go func() {
			for {
				f, err := stateKind.lockIn(dir)
				select {
				case <-over:
					holder <- f
					return
				default:
				}
				if err == nil {
					holder <- f
					return
				}
			}
		}()
		o := options{Places: places{State: dir, Cgroup: "/none/" + strings.Repeat("x", unix.PathMax)}, ResetStore: true}
		if _, err := openPlace(o, quiet); err == nil {
			t.Fatal("it has started")
		}
		close(over)
		f := <-holder
		if f == nil {
			continue
		}
		held++
		locked, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if there, err := os.Stat(dir + "/lock"); !os.SameFile(locked, there) {
			t.Fatalf("the lock is not the one that is held: %v", err)
		}
		f.Close()
	}
}

func TestAStateKeepsItsInstance(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadInstance(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	in := newInstance()
	if len(in.ID) != 12 || in.ID != strings.ToLower(in.ID) {
		t.Fatalf("got %+v", in)
	}
	if newInstance().ID == in.ID {
		t.Error("two of the same id")
	}
	in.Root = "/a/b"
	if err := in.save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := loadInstance(dir); err != nil || got != in {
		t.Errorf("got %+v, %v", got, err)
	}
	if names, _ := filepath.Glob(dir + "/*"); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
}

// The path of a root means nothing in another cgroup namespace, nor in a container of an
// earlier boot.
func TestARecordedRootIsTakenUpInTheSameViewOnly(t *testing.T) {
	h, err := cgroup.Find("/proc")
	if err != nil {
		unable(t, err)
	}
	root := ground(t)
	host := view{cgroup.View{Namespace: 0xEFFFFFFB, Top: "/"}, ""}
	inside := view{cgroup.View{Namespace: 0xF0000001, Top: "/"}, "this boot"}
	before, part := inside, host
	before.Boot, part.Top = "another boot", "/docker"
	for _, c := range []struct {
		root      string
		from, now view
		want      bool
	}{
		{root, host, host, true},
		{root, inside, inside, true},
		{root, inside, host, false},
		{root, host, inside, false},
		{root, before, inside, false},
		{root, part, host, false},
		{root, view{}, host, true}, // of a former version
		{h.Mount, view{}, host, false},
		{h.Mount, host, host, true},
		{root + "/none", host, host, false},
		{"", host, host, false},
	} {
		in := instance{ID: "known", Root: c.root, From: c.from}
		if got, ok, err := in.root(h, c.now); ok != c.want || err != nil || ok && got.Path() != c.root {
			t.Errorf("%s from %v in %v: %v, %v, %v", c.root, c.from, c.now, got, ok, err)
		}
	}
	// Nobody else has a group of this name.
	own := h.Group(root).Child(instancePrefix + "known")
	if err := own.Make(); err != nil {
		t.Fatal(err)
	}
	defer own.Remove()
	in := instance{ID: "known", Root: root, From: before}
	if got, ok, err := in.root(h, host); !ok || err != nil || got.Path() != root {
		t.Errorf("with its own group: %v, %v, %v", got, ok, err)
	}

	now, err := viewOf(h)
	if err != nil || now.Namespace == 0 || now.IsHost() != (now.Boot == "") {
		t.Errorf("got %+v, %v", now, err)
	}
	in.From = now
	dir := t.TempDir()
	if err := in.save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := loadInstance(dir); err != nil || got != in {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestADamagedInstanceIsNotReplaced(t *testing.T) {
	for _, data := range []string{"", "{", "{}", "null", `{"ID":""}`, `{"ID":7}`, "\x00\x00"} {
		dir := t.TempDir()
		os.WriteFile(dir+"/instance.json", []byte(data), 0o600)
		in, err := loadInstance(dir)
		if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), dir+"/instance.json is damaged") || strings.Contains(err.Error(), "nil") || in != (instance{}) {
			t.Errorf("%q: got %+v, %v", data, in, err)
		}
		if got, _ := os.ReadFile(dir + "/instance.json"); string(got) != data {
			t.Errorf("%q became %q", data, got)
		}
	}
}

func TestBoundSocketsAreForThisUserOnly(t *testing.T) {
	path := t.TempDir() + "/a/b/pm.sock"
	f, _, err := bindUnix("socket", path, access{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	// Nobody can have come in yet.
	if _, err := net.Dial("unix", path); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

func TestTheSocketPathMayBeAsLongAsTheKernelTakes(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pm")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	longest := dir + "/" + strings.Repeat("s", telnet.MaxSocketPath-len(dir)-1)
	f, _, err := bindUnix("socket", longest, access{})
	if err != nil {
		t.Fatalf("%d bytes: %v", len(longest), err)
	}
	f.Close()
	if _, _, err := bindUnix("socket", longest+"s", access{}); err == nil || !strings.Contains(err.Error(), "has 108 bytes, the kernel takes 107: give a shorter one with -socket") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyADeadDaemonsSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := clearStale("socket", dir+"/none"); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	os.WriteFile(dir+"/file", []byte("precious"), 0o600)
	if err := clearStale("socket", dir+"/file"); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
	os.Symlink(dir+"/file", dir+"/link")
	if err := clearStale("socket", dir+"/link"); err == nil {
		t.Error("a link was taken for a socket")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/pm.sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := clearStale("socket", dir+"/pm.sock"); err == nil || !strings.Contains(err.Error(), "somebody listens on "+dir+"/pm.sock already") {
		t.Errorf("a living daemon: %v", err)
	}
	if _, err := os.Stat(dir + "/pm.sock"); err != nil {
		t.Errorf("a living daemon's socket: %v", err)
	}
	l.Close()
	if err := clearStale("socket", dir+"/pm.sock"); err != nil {
		t.Errorf("a dead daemon: %v", err)
	}
	for name, want := range map[string]bool{"file": true, "link": true, "pm.sock": false} {
		if _, err := os.Lstat(dir + "/" + name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTelnetIsClearTextAndStaysHome(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		f, err := telnetDoor.listen(address, false, quiet)
		if err != nil {
			if strings.HasPrefix(address, "[::1]") && errors.Is(err, unix.EADDRNOTAVAIL) {
				continue // no IPv6 here
			}
			t.Errorf("%s: %v", address, err)
			continue
		}
		f.Close()
	}
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		if _, err := telnetDoor.listen(address, false, quiet); err == nil || !strings.Contains(err.Error(), "-allow-remote") {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if _, err := telnetDoor.listen("127.0.0.1", false, quiet); err == nil || !strings.Contains(err.Error(), "HOST:PORT is expected") {
		t.Errorf("without a port: got %v", err)
	}
	var said strings.Builder
	f, err := telnetDoor.listen("0.0.0.0:0", true, log.New(&said, "", 0))
	if err != nil || !strings.Contains(said.String(), "clear text") {
		t.Errorf("%v, said %q", err, said.String())
	}
	if err == nil {
		f.Close()
	}
}

func TestResetMovesTheStoreAside(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/processes.db", []byte("damaged"), 0o600)
	o := options{Places: places{State: dir}}
	var said strings.Builder
	if err := prepareStore(&o, log.New(&said, "", 0)); err == nil || !strings.Contains(err.Error(), "-reset-store") {
		t.Errorf("a damaged store: got %v", err)
	}
	o.ResetStore = true
	if err := prepareStore(&o, log.New(&said, "", 0)); err != nil {
		t.Fatal(err)
	}
	moved, _ := filepath.Glob(dir + "/processes.db.broken-*")
	if len(moved) != 1 || said.String() != "moved aside to "+moved[0]+"\n" {
		t.Errorf("moved %q, said %q", moved, said.String())
	}
	if data, _ := os.ReadFile(moved[0]); string(data) != "damaged" {
		t.Errorf("got %q", data)
	}
	o.ResetStore = false
	if err := prepareStore(&o, log.New(&said, "", 0)); err != nil {
		t.Errorf("a new store: %v", err)
	}
}

// ground is a cgroup of this test's own, in which a daemon can be at home.
func ground(t *testing.T) string {
	t.Helper()
	h, err := cgroup.Find("/proc")
	if err != nil {
		unable(t, err)
	}
	g := h.Group(os.Getenv("PM_CGROUP")).Child(fmt.Sprintf("pm-test-processmanager-%d", os.Getpid()))
	if err := g.Make(); err != nil {
		unable(t, err)
	}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	return g.Path()
}

// unable skips a test that needs a cgroup, where none must be there.
func unable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func TestAPlaceIsTakenAndLeft(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	o := options{Places: places{State: t.TempDir(), Cgroup: ground(t)}}
	var said strings.Builder
	p, err := openPlace(o, log.New(&said, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	if want := "the secret was made: " + client.SecretBeside(p.Socket) + "\n"; strings.Count(said.String(), want) != 1 {
		t.Errorf("said %q", said.String())
	}
	if found, err := client.FindSecret(p.Socket); err != nil || string(found) != string(p.secret) {
		t.Errorf("a client finds %q, %v", found, err)
	}
	if conn, err := net.Dial("unix", p.Socket); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	pids, err := p.groups.daemon().Pids()
	if err != nil || len(pids) != 1 || pids[0] != os.Getpid() {
		t.Errorf("in our group are %v, %v", pids, err)
	}

	// The state is in use, and so is the group when the state was copied.
	if _, err := openPlace(o, quiet); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d;", os.Getpid())) {
		t.Errorf("the same state: %v", err)
	}
	copied := options{Places: places{State: t.TempDir(), Cgroup: o.Cgroup}}
	data, _ := os.ReadFile(p.State + "/instance.json")
	os.WriteFile(copied.State+"/instance.json", data, 0o600)
	_, err = openPlace(copied, quiet)
	if err == nil || !strings.Contains(err.Error(), "remove instance.json") || !strings.Contains(err.Error(), fmt.Sprint(pids)) {
		t.Errorf("a copied state: %v", err)
	}
	if _, err := os.Stat(p.groups.runs().Path()); err != nil {
		t.Errorf("the refused one has removed our group: %v", err)
	}

	if err := p.leave(true); err != nil {
		t.Error(err)
	}
	for _, path := range []string{p.Socket, client.SecretBeside(p.Socket), p.groups.instance.Path()} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}

	// The next start finds its place again, without being told.
	o.Cgroup = ""
	if p, err = openPlace(o, quiet); err != nil {
		t.Fatal(err)
	}
	if p.Cgroup != copied.Cgroup {
		t.Errorf("the root is %s, was %s", p.Cgroup, copied.Cgroup)
	}
	// Files that somebody else has removed are no failure.
	os.Remove(p.Socket)
	os.Remove(client.SecretBeside(p.Socket))
	if err := p.leave(true); err != nil {
		t.Error(err)
	}
}

func TestAPlaceThatCannotBeTakenIsAnError(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	root := ground(t)
	_, err := openPlace(options{Places: places{State: t.TempDir(), Cgroup: root + "/" + strings.Repeat("x", unix.PathMax)}}, quiet)
	if err == nil || !strings.Contains(err.Error(), "give a directory of cgroup v2 that belongs to you with -cgroup") {
		t.Errorf("a group with a long name: %v", err)
	}
	dir := t.TempDir()
	if _, err := openPlace(options{Places: places{State: dir, Cgroup: dir}}, quiet); err == nil || !strings.HasPrefix(err.Error(), "-cgroup "+dir+" is not below cgroup v2, which is mounted at /") {
		t.Errorf("a directory of another file system for a group: %v", err)
	}
	os.WriteFile(dir+"/file", nil, 0o600)
	if _, err := openPlace(options{Places: places{State: dir, Cgroup: root, Socket: dir + "/file"}}, quiet); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file for a socket: %v", err)
	}
	if _, err := os.Stat(dir + "/file"); err != nil {
		t.Errorf("the file: %v", err)
	}
	if _, err := openPlace(options{Places: places{State: dir + "/file", Cgroup: root}}, quiet); err == nil {
		t.Error("a file for a directory")
	}
	if _, err := openPlace(options{Places: places{State: dir, Cgroup: root}, SecretFile: dir + "/none"}, quiet); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no secret file: %v", err)
	}
	if _, err := os.Stat(dir + "/run/pm.sock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket of a failed start is still there: %v", err)
	}
}
