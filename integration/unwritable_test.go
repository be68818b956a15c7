package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// stateOn is a daemon whose state directory, with all that belongs to it, is what the
// script mounts on $0, in a mount namespace that outlives the daemon. view is how others
// see it.
func stateOn(t *testing.T, mount string) (d *daemon, view string) {
	t.Helper()
	d = newDaemon(t, setup{NoSecret: true})
	if err := os.Mkdir(d.state, 0o700); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("unshare", "-m", "sh", "-c", "{ "+mount+"; } >&2 && echo ready && exec cat", d.state)
	holder.Dir, holder.Stderr = d.dir, os.Stderr
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); holder.Wait() })
	var ready [6]byte
	if n, _ := stdout.Read(ready[:]); string(ready[:n]) != "ready\n" {
		unableToMount(t)
	}
	pid := fmt.Sprint(holder.Process.Pid)
	d.setup.Wrap = []string{"nsenter", "--mount=/proc/" + pid + "/ns/mnt", "--"}
	view = "/proc/" + pid + "/root" + d.state
	d.setup.Args = []string{"-socket", d.state + "/run/pm.sock"}
	d.socket = view + "/run/pm.sock"
	return d, view
}

// within runs a script in the mount namespace of the daemon.
func (d *daemon) within(script string) {
	d.t.Helper()
	cmd := exec.Command(d.setup.Wrap[0], append(d.setup.Wrap[1:], "sh", "-c", script, d.state)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// unableToMount skips a test that needs a mount namespace, where none must be there.
func unableToMount(t *testing.T) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("nothing can be mounted in a namespace")
	}
	t.Skip("nothing can be mounted in a namespace")
}

// fillWith makes files of this size until nothing more fits.
func fillWith(t *testing.T, dir string, size int) {
	t.Helper()
	for i := 0; ; i++ {
		err := os.WriteFile(fmt.Sprintf("%s/fill.%d", dir, i), make([]byte, size), 0o600)
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// spoiling is a way in which a state directory takes nothing new, and back.
type spoiling struct {
	options     string // of a tmpfs
	spoil, mend func(t *testing.T, d *daemon, view string)
}

// The ways in which a state directory takes nothing new, and back.
var unwritable = map[string]spoiling{
	"no space": {"size=1m", func(t *testing.T, d *daemon, view string) { fillWith(t, view, 4096) }, unfill},
	"no inode": {"nr_inodes=64", func(t *testing.T, d *daemon, view string) { fillWith(t, view, 0) }, unfill},
	"read-only": {"size=1m", func(t *testing.T, d *daemon, view string) { d.within(`mount -o remount,ro,bind "$0"`) },
		func(t *testing.T, d *daemon, view string) { d.within(`mount -o remount,rw,bind "$0"`) }},
}

func unfill(t *testing.T, d *daemon, view string) {
	t.Helper()
	entries, err := os.ReadDir(view)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "fill.") {
			err = errors.Join(err, os.Remove(view+"/"+e.Name()))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A state directory that takes nothing new costs nobody who lives in it already. What
// could not be made is there when it can be.
func TestADaemonComesBackWhereNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	for what, c := range unwritable {
		for _, lost := range []string{"nothing", "lock"} {
			t.Run(what+", without "+lost, func(t *testing.T) {
				t.Parallel()
				d, view := stateOn(t, `mount -t tmpfs -o mode=700,`+c.options+` tmpfs "$0"`)
				c.comesBack(t, d, view, lost)
			})
		}
	}
}

func (c spoiling) comesBack(t *testing.T, d *daemon, view, lost string) {
	d.launch()
	x := d.begin(process.Spec{Name: "x", Dir: "/", Command: "exec sleep 1000"})
	y := d.begin(process.Spec{Name: "y", Dir: "/", Command: "exec sleep 1000"})
	d.crash()
	if lost == "lock" {
		for _, name := range []string{"lock", "run/runtime.lock"} {
			if err := os.Remove(view + "/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.spoil(t, d, view)
	unix.Kill(y.PID, unix.SIGKILL)
	eventually(t, "y has ended", func() bool { return !running(y.PID) })
	before := d.files(view)
	d.launch()
	after := d.files(view)
	for name, is := range after {
		if was, ok := before[name]; ok && was != is && !strings.HasSuffix(name, ".sock") {
			t.Errorf("%s was %v, is %v, though nothing of it has changed", name, was, is)
		}
	}
	readOnly := strings.Contains(d.log.since(0), "read-only")
	if readOnly { // nobody can be given a socket there
		if !d.log.await(0, "nobody can connect to ", d.ended) {
			t.Fatalf("it does not say so: %s", d.log.since(0))
		}
		c.mend(t, d, view)
	}
	eventually(t, "it answers", func() bool {
		s, err := d.asked("x")
		if err == nil && (s.PID != x.PID || s.State != process.Running || s.Number != 1) {
			t.Fatalf("was %+v\nis %+v", x, s)
		}
		return err == nil
	})
	eventually(t, "y is lost", func() bool {
		s, err := d.asked("y")
		return err == nil && s.State == process.Failed && s.Cause == process.CauseLost
	})
	if !readOnly {
		c.mend(t, d, view)
	}
	if strings.Contains(d.log.since(0), "cannot be written to") && !d.log.await(0, "can be written to again", d.ended) {
		t.Fatal("it has ended")
	}
	was, err := d.asked("y")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "run/runtime.lock"} {
		eventually(t, name+" is there", func() bool { return !gone(view + "/" + name) })
	}
	d.crash()
	d.launch()
	if s, err := d.asked("x"); err != nil || s.PID != x.PID || s.Number != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := d.asked("y"); err != nil || !s.End.Equal(was.End) {
		t.Errorf("that it was lost was not stored: was %+v\nis %+v, %v", was, s, err)
	}
}

// written tells whether a file was written: another one, or later.
type written struct {
	inode uint64
	at    int64
}

// files are the small files of a daemon and when each was written.
func (d *daemon) files(view string) map[string]written {
	d.t.Helper()
	all := map[string]written{}
	for _, name := range []string{"instance.json", "run/pm.sock.secret"} {
		var st unix.Stat_t
		if err := unix.Stat(view+"/"+name, &st); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.t.Fatal(err)
		} else if err == nil {
			all[name] = written{st.Ino, st.Mtim.Nano()}
		}
	}
	return all
}

// After a power cut all is there that was answered as done, and the daemon finds it.
func TestAPowerCutLosesNothingThatWasAnswered(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip(err)
	}
	d, view := stateOn(t, `truncate -s 16M img && mkfs.ext4 -q img && mount -o loop img "$0" && chmod 700 "$0"`)
	d.socket = d.dir + "/run/pm.sock" // the FIFO of the process holds its file system
	d.setup.Args = []string{"-runtime", d.dir + "/run"}
	d.launch()
	x := d.begin(process.Spec{Name: "x", Dir: "/", Command: "exec sleep 1000"})
	for _, text := range []string{"one", "two"} {
		if err := files.Put(view+"/small", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	// What no sync has brought to the disk by now is lost (EXT4_IOC_SHUTDOWN, without
	// writing the journal).
	dir, err := os.Open(view)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(dir.Fd()), 0x8004587d, 2)
		dir.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.crash()
	d.within(`umount "$0" && mount -o loop "$0/../img" "$0"`)
	if got, err := os.ReadFile(view + "/small"); err != nil || string(got) != "two" {
		t.Errorf("a small file holds %q, %v", got, err)
	}
	d.launch()
	if s, err := d.asked("x"); err != nil || s.PID != x.PID || s.State != process.Running || s.Number != 1 {
		t.Errorf("was %+v\nis %+v, %v", x, s, err)
	}
}

// An identity that is torn, as a power cut of former versions left it, or lost, is that
// of the group whose runs the store knows.
func TestAnIdentityIsRecoveredFromTheLivingGroup(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	pid := d.status("x").PID
	// Another instance beside it, whose trees live on without a daemon, too.
	other := newDaemon(t, setup{})
	own := other.cgroup
	other.cgroup = d.cgroup
	defer func() { other.cgroup = own }()
	other.launch()
	other.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	other.start(process.Spec{Name: "y", Command: "exec sleep 1000"})
	theirs := other.status("y").PID
	other.crash()
	file := d.state + "/instance.json"
	for what, harm := range map[string]func() error{
		"empty":   func() error { return os.Truncate(file, 0) },
		"zeros":   func() error { return os.WriteFile(file, make([]byte, 80), 0o600) },
		"half":    func() error { return os.Truncate(file, 10) },
		"missing": func() error { return os.Remove(file) },
	} {
		d.crash()
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		from := d.log.len()
		d.launch()
		if s := d.status("x"); s.PID != pid || s.State != process.Running || s.Number != 1 {
			t.Errorf("%s: %+v", what, s)
		}
		if said := d.log.since(from); !strings.Contains(said, "taken from the group ") {
			t.Errorf("%s: it says %q", what, said)
		}
	}
	// Without the store nobody can tell whose they are.
	d.crash()
	store := d.state + "/processes.db"
	if err := errors.Join(os.Rename(store, store+".away"), os.Truncate(file, 0)); err != nil {
		t.Fatal(err)
	}
	if said := d.refuse(); !strings.Contains(said, file+" is damaged") || !strings.Contains(said, "remove the file if none does") {
		t.Errorf("it says %q", said)
	}
	if !running(pid) || !running(theirs) {
		t.Error("a tree was ended")
	}
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}
	d.launch()
	d.stop("x")
	if !running(theirs) {
		t.Error("the tree of another instance was ended")
	}
	// Nothing of it is alive: a torn identity stops nobody.
	d.crash()
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	d.launch()
	other.launch()
	if s := other.status("y"); s.PID != theirs || s.State != process.Running {
		t.Errorf("%+v", s)
	}
	other.end(unix.SIGTERM)
	d.end(unix.SIGTERM)
}
