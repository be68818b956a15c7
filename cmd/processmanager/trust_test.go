package main

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
)

// asRoot skips what takes a file that belongs to somebody else.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
}

// prepared is a directory that another user made.
func prepared(t *testing.T) string {
	t.Helper()
	asRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writable is a directory that others can write to.
func writable(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPlacesThatOthersCanChangeAreRefused(t *testing.T) {
	forgetSecrets(t)
	root := ground(t)
	quiet := log.New(io.Discard, "", 0)
	foreign := filepath.Join(root, "foreign")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(foreign)
	const chown = "belongs to user nobody"
	for what, c := range map[string]struct {
		o    func(t *testing.T, o *options)
		want []string
	}{
		"state of another":          {func(t *testing.T, o *options) { o.State = prepared(t) }, []string{"the state directory", chown, "chown -R 0 ", "-state"}},
		"state below another's":     {func(t *testing.T, o *options) { o.State = prepared(t) + "/st" }, []string{"the state directory", chown, "-state"}},
		"state for all":             {func(t *testing.T, o *options) { o.State = writable(t, 0o777) }, []string{"the state directory", "(mode 0777)", "chmod go-w ", "-state"}},
		"state for a group":         {func(t *testing.T, o *options) { o.State = writable(t, 0o770) }, []string{"(mode 0770)", "chmod go-w "}},
		"state, sticky":             {func(t *testing.T, o *options) { o.State = writable(t, 0o777|fs.ModeSticky) }, []string{"(mode 0777)"}},
		"runtime of another":        {func(t *testing.T, o *options) { o.Runtime = prepared(t) }, []string{"the runtime directory", chown, "-runtime"}},
		"runtime for all":           {func(t *testing.T, o *options) { o.Runtime = writable(t, 0o777) }, []string{"the runtime directory", "chmod go-w ", "-runtime"}},
		"socket in another's":       {func(t *testing.T, o *options) { o.Socket = prepared(t) + "/s" }, []string{"the directory of the socket", chown, "-socket"}},
		"socket where all write":    {func(t *testing.T, o *options) { o.Socket = writable(t, 0o777) + "/s" }, []string{"the directory of the socket", "chmod go-w ", "-socket"}},
		"socket below such a place": {func(t *testing.T, o *options) { o.Socket = writable(t, 0o777) + "/a/s" }, []string{"the directory of the socket", "chmod go-w "}},
		"secret of another": {func(t *testing.T, o *options) {
			asRoot(t)
			o.Secret, o.SecretFile = "", t.TempDir()+"/secret"
			os.WriteFile(o.SecretFile, []byte("hush\n"), 0o600)
			os.Chown(o.SecretFile, nobody, nobody)
		}, []string{"/secret " + chown, "chown 0 "}},
		"secret that all write": {func(t *testing.T, o *options) {
			o.Secret, o.SecretFile = "", t.TempDir()+"/secret"
			os.WriteFile(o.SecretFile, []byte("hush\n"), 0o600)
			os.Chmod(o.SecretFile, 0o622)
		}, []string{"/secret can be written to by others", "chmod go-w "}},
		"group of another": {func(t *testing.T, o *options) {
			asRoot(t)
			os.Chown(foreign, nobody, nobody)
			o.Cgroup = foreign
		}, []string{"the group of -cgroup", chown, "chown 0 " + foreign}},
		"group below another's": {func(t *testing.T, o *options) {
			asRoot(t)
			os.Chown(foreign, nobody, nobody)
			o.Cgroup = foreign + "/below"
		}, []string{"the group of -cgroup", chown}},
		"instance's group of another": {func(t *testing.T, o *options) {
			asRoot(t)
			os.WriteFile(o.State+"/instance.json", []byte(`{"ID":"known"}`), 0o600)
			group := root + "/processmanager-known"
			os.Mkdir(group, 0o755)
			os.Chown(group, nobody, nobody)
			t.Cleanup(func() { os.Remove(group) })
		}, []string{"processmanager-known " + chown}},
		"lock that is a link":     {linkTo("lock"), []string{"/lock is a link"}},
		"store that is a link":    {linkTo("processes.db"), []string{"/processes.db is a link"}},
		"instance that is a link": {linkTo("instance.json"), []string{"/instance.json is a link"}},
		"store of another": {func(t *testing.T, o *options) {
			asRoot(t)
			os.WriteFile(o.State+"/processes.db", []byte("planted"), 0o600)
			os.Chown(o.State+"/processes.db", nobody, nobody)
		}, []string{"/processes.db " + chown, "-reset-store"}},
	} {
		t.Run(what, func(t *testing.T) {
			o := options{Places: places{State: t.TempDir(), Cgroup: root}, Secret: "x"}
			c.o(t, &o)
			p, err := openPlace(o, quiet)
			if err == nil {
				p.leave(true)
				t.Fatal("it has started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			os.Chown(foreign, os.Geteuid(), os.Getegid())
		})
	}
}

// linkTo has a name in the state directory lead to a precious file.
func linkTo(name string) func(t *testing.T, o *options) {
	return func(t *testing.T, o *options) {
		precious := t.TempDir() + "/precious"
		os.WriteFile(precious, []byte("precious"), 0o600)
		os.Symlink(precious, o.State+"/"+name)
		t.Cleanup(func() {
			if data, _ := os.ReadFile(precious); string(data) != "precious" {
				t.Errorf("it became %q", data)
			}
		})
	}
}

func TestAStoreOfAnotherCanBeMovedAside(t *testing.T) {
	asRoot(t)
	o := options{Places: places{State: t.TempDir()}, ResetStore: true}
	os.WriteFile(o.State+"/processes.db", []byte("planted"), 0o600)
	os.Chown(o.State+"/processes.db", nobody, nobody)
	if err := prepareStore(&o, log.New(io.Discard, "", 0)); err != nil {
		t.Fatal(err)
	}
	if moved, _ := filepath.Glob(o.State + "/processes.db.broken-*"); len(moved) != 1 {
		t.Errorf("moved to %q", moved)
	}
}

func TestTwoDaemonsDoNotShareARuntimeDirectory(t *testing.T) {
	forgetSecrets(t)
	quiet := log.New(io.Discard, "", 0)
	root, shared := ground(t), t.TempDir()
	first, err := openPlace(options{Places: places{State: t.TempDir(), Runtime: shared, Cgroup: root}, Secret: "x"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	second := options{Places: places{State: t.TempDir(), Runtime: shared, Socket: t.TempDir() + "/s", Cgroup: root}, Secret: "x"}
	_, err = openPlace(second, quiet)
	if err == nil || !strings.Contains(err.Error(), "the runtime directory "+shared+" is in use by the daemon with pid ") || !strings.Contains(err.Error(), "-runtime") {
		t.Errorf("got %v", err)
	}
	if err := first.leave(true); err != nil {
		t.Error(err)
	}
	// State and runtime may be one directory.
	p, err := openPlace(options{Places: places{State: shared, Runtime: shared, Cgroup: root}, Secret: "x"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.leave(true); err != nil {
		t.Error(err)
	}
}

// In /tmp everybody can take the names that a daemon wants.
func TestWhatAnotherUserHasPutAtTheSocketIsMovedAside(t *testing.T) {
	asRoot(t)
	forgetSecrets(t)
	for what, squat := range map[string]func(path string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("theirs"), 0o600) },
		"a directory": func(path string) error { return os.MkdirAll(path+"/below", 0o700) },
		"a FIFO":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
		"a socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
	} {
		tmp := writable(t, 0o777|fs.ModeSticky)
		o := options{Places: places{Socket: tmp + "/pm.sock"}}
		for _, path := range []string{o.Socket, client.SecretBeside(o.Socket), client.SecretBeside(o.Socket) + ".new"} {
			if err := squat(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		f, _, err := bindUnix("socket", o.Socket, access{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		f.Close()
		if _, _, err := findSecret(o); err != nil {
			t.Errorf("%s, the secret: %v", what, err)
		}
		if secret, err := client.FindSecret(o.Socket); err != nil || len(secret) == 0 {
			t.Errorf("%s: a client finds %q, %v", what, secret, err)
		}
		aside, _ := filepath.Glob(tmp + "/*.moved-aside-*")
		if want := 3; len(aside) != want && what != "a socket" {
			t.Errorf("%s: moved aside: %q", what, aside)
		}
	}
}

func TestALivingSocketOfAnotherUserIsMovedAside(t *testing.T) {
	asRoot(t)
	tmp := openToAll(t)
	if err := os.Chmod(tmp, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp + "/s", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	// It is ours whatever the owner of the file: somebody may have given it away.
	os.Chown(tmp+"/s", nobody, nobody)
	if err := clearStale("socket", tmp+"/s"); err == nil || !strings.Contains(err.Error(), "somebody listens on ") {
		t.Errorf("ours: %v", err)
	}
	listenAs(t, nobody, tmp+"/theirs")
	if err := clearStale("socket", tmp+"/theirs"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(tmp + "/theirs"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// A group that another user owns is taken only where it is the daemon's own.
func TestADaemonInAGroupOfAnotherSaysSo(t *testing.T) {
	asRoot(t)
	forgetSecrets(t)
	root := ground(t)
	h, err := cgroup.Find("/proc")
	if err != nil {
		t.Fatal(err)
	}
	own, err := h.Self(0)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Group(own).Enter(0)
	if err := h.Group(root).Enter(0); err != nil {
		t.Fatal(err)
	}
	os.Chown(root, nobody, nobody)
	var said strings.Builder
	p, err := openPlace(options{Places: places{State: t.TempDir()}, Secret: "x"}, log.New(&said, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	if want := root + " belongs to user nobody"; !strings.Contains(said.String(), want) || !strings.Contains(said.String(), "-cgroup") {
		t.Errorf("said %q", said.String())
	}
	if err := p.leave(true); err != nil {
		t.Error(err)
	}
}
