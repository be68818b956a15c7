package integration

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A group of these tests, and a user who is in no other but their own.
const (
	theGroup = 20345
	theUser  = 20124
)

// another has another real user ask for something, who is in the groups given. They have
// the socket from the environment.
func (d *daemon) another(groups string, args ...string) result {
	d.t.Helper()
	line := []string{"setpriv", fmt.Sprint("--reuid=", theUser), fmt.Sprint("--regid=", theUser), "--clear-groups"}
	if groups != "" {
		line[3] = "--groups=" + groups
	}
	line = append(line, "env", "PROCESSMANAGER_SOCKET="+d.socket, d.dir+"/pmclient")
	return d.execute(append(line, args...)...)
}

// forOthers is a daemon whose directory others may enter, with a client that they can run.
func forOthers(t *testing.T, s setup) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	d := newDaemon(t, s)
	if out, err := exec.Command("cp", programs.client, d.dir+"/pmclient").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

// letsIn fails the test unless members of the group can do what the daemon can, with the
// secret alone, and others cannot connect.
func (d *daemon) letsIn(when string) {
	d.t.Helper()
	member := fmt.Sprint(theGroup)
	if r := d.another(member, "-secret", theSecret, "list", "-format", "json"); r.code != 0 || !strings.HasPrefix(r.stdout, "[") {
		d.t.Errorf("%s: a member: %+v", when, r)
	}
	if r := d.another(member, "-secret", "wrong", "list"); r.code != 77 || !strings.Contains(r.stderr, "refused the secret") {
		d.t.Errorf("%s: a member with another secret: %+v", when, r)
	}
	if r := d.another(member, "list"); r.code != 77 || !strings.Contains(r.stderr, "no secret") {
		d.t.Errorf("%s: a member without the secret: %+v", when, r)
	}
	if r := d.another("", "-secret", theSecret, "list"); r.code != 77 || !strings.Contains(r.stderr, "another user's") {
		d.t.Errorf("%s: somebody else: %+v", when, r)
	}
}

// hasMode fails the test unless the file has a mode and the group.
func hasMode(t *testing.T, path string, mode fs.FileMode, gid uint32) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != mode || got != gid {
		t.Errorf("%s has mode %v and group %d, want %v and %d", path, info.Mode().Perm(), got, mode, gid)
	}
}

// The group is let in for as long as the daemon lives: by a worker that follows another, after
// upgrades to either protocol, and at a socket that was made again.
func TestAGroupIsLetInAndNeedsTheSecret(t *testing.T) {
	t.Parallel()
	d := forOthers(t, setup{Args: []string{"-socket-group", fmt.Sprint(theGroup)}})
	dir := t.TempDir()
	replace := func(by string) {
		t.Helper()
		if out, err := exec.Command("/bin/sh", "-c", `cp "$1" "$2.new" && mv "$2.new" "$2"`, "sh", by, dir+"/processmanager").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	replace(programs.daemon)
	d.setup.Wrap, d.setup.Session = instead(dir+"/processmanager"), true
	d.launch()
	d.letsIn("at first")
	hasMode(t, d.socket, 0o660, theGroup)
	if said := d.log.since(0); !strings.Contains(said, fmt.Sprintf("group %d can connect to %s; whoever knows the secret can do there what this daemon's user can", theGroup, d.socket)) {
		t.Errorf("it does not say what that means: %s", said)
	}
	if text := d.mustClient("doctor"); !strings.Contains(strings.Join(strings.Fields(text), " "), fmt.Sprintf("root, and group %d with the secret, can connect", theGroup)) {
		t.Errorf("doctor: %s", text)
	}
	worker := d.worker()
	d.hangUp()
	unix.Kill(worker, unix.SIGKILL)
	eventually(t, "another worker", func() bool { w := d.worker(); return w != 0 && w != worker })
	d.letsIn("after the death of the worker")
	for _, program := range []string{otherProgram(t), programs.daemon} {
		replace(program)
		d.upgraded()
		d.letsIn("after an upgrade")
		d.removeAll(d.socket)
		eventually(t, "the socket is there again", func() bool { return !gone(d.socket) })
		d.letsIn("at a socket that was made again")
		hasMode(t, d.socket, 0o660, theGroup)
	}
}

// The directories of the daemon are opened as far as the socket takes, and what is in them
// stays closed.
func TestTheDirectoriesOfTheDaemonLetTheGroupPass(t *testing.T) {
	t.Parallel()
	d := forOthers(t, setup{Args: []string{"-socket-group", fmt.Sprint(theGroup)}})
	runtime := d.state + "/run" // where the socket of a daemon with -state is
	d.socket = runtime + "/pm.sock"
	d.launch()
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	d.letsIn("in the runtime directory")
	for _, dir := range []string{d.state, runtime} {
		hasMode(t, dir, 0o710, theGroup)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && e.Name() != "pm.sock" && e.Name() != "run" && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is open to others: %v", e.Name(), info.Mode())
			}
		}
	}
	if r := d.execute("setpriv", fmt.Sprint("--reuid=", theUser), fmt.Sprint("--regid=", theUser), fmt.Sprint("--groups=", theGroup), "ls", runtime); r.code == 0 {
		t.Errorf("a member can list it: %+v", r)
	}
}

// Whatever lets in nobody, or somebody else than was meant, is refused by a start, and by
// -check before it, in one line.
func TestAccessThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	d := forOthers(t, setup{})
	for flags, want := range map[string]string{
		"-socket-group no-such-group":           `there is no group "no-such-group": name one of /etc/group, or make it with groupadd`,
		"-socket-mode 0777":                     "0600 (the daemon's user and root), 0660 (and a group, see socket-group) or 0666",
		"-socket-mode 640":                      "is expected",
		"-socket-mode rw-rw----":                "is expected",
		"-socket-mode 0600 -socket-group 20345": "it lets in no group, so socket-group has no effect: say 0660, or leave one of them out",
	} {
		for _, check := range []bool{false, true} {
			args := strings.Fields(flags)
			if check {
				args = append(args, "-check")
			}
			from := d.log.len()
			d.spawn(args...)
			code := d.wait()
			if said := d.log.since(from); code != 2 || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
				t.Errorf("%s, -check %v: exit code %d, it says %q", flags, check, code, said)
			}
		}
	}
	if !gone(d.state) {
		t.Error("something was started")
	}
	if err := os.Chmod(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("group %d cannot reach %s through %s (mode 0700): chgrp %[1]d %[3]s && chmod g+x %[3]s, or give another path with -socket", theGroup, d.socket, d.dir)
	if said := d.refuse("-socket-group", fmt.Sprint(theGroup)); !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	r := d.execute(programs.daemon, "-check", "-state", d.state, "-socket", d.socket, "-cgroup", d.cgroup, "-socket-group", fmt.Sprint(theGroup))
	if r.code != 1 || !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), want) {
		t.Errorf("-check: %+v", r)
	}
	if info, err := os.Stat(d.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// An ordinary user lets in a group that they are in, and no other.
func TestAnOrdinaryUserLetsInAGroupOfTheirs(t *testing.T) {
	t.Parallel()
	d := newOrdinary(t)
	if said := d.refuse("-socket-group", fmt.Sprint(theGroup)); !strings.Contains(said, fmt.Sprintf("the socket cannot be given to group %d, of which this user is no member", theGroup)) {
		t.Errorf("it says %q", said)
	}
	if !gone(d.socket) {
		t.Error("the socket is left")
	}
	os.Chmod(d.dir, 0o755)
	d.setup.Wrap[2] = strings.ReplaceAll(d.setup.Wrap[2], "--clear-groups", fmt.Sprint("--groups=", theGroup))
	d.launch("-socket-group", fmt.Sprint(theGroup))
	hasMode(t, d.socket, 0o660, theGroup)
	// Who is no member of the daemon's trust sends it no secret.
	if r := d.another(fmt.Sprint(theGroup), "-secret", theSecret, "list"); r.code != 77 || !strings.Contains(r.stderr, "no secret was sent") {
		t.Errorf("a member: %+v", r)
	}
	if code := d.end(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	os.Remove(d.cgroup + "/starter")
}

// Where systemd hands over the socket its unit decides who may connect, and the daemon says
// so. It lets them come through its runtime directory.
func TestTheSocketUnitDecidesWhoMayConnect(t *testing.T) {
	t.Parallel()
	d := forOthers(t, setup{})
	runtime := d.dir + "/runtime"
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	d.socket = runtime + "/pm.sock"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	defer os.Remove(d.socket)
	defer file.Close()
	os.Chown(d.socket, -1, theGroup)
	os.Chmod(d.socket, 0o660)
	d.setup.Files = []*os.File{file}
	d.setup.Wrap = []string{"/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`}
	d.setup.Args = []string{"-runtime", runtime, "-socket-mode", "0600"}
	d.launch()
	d.letsIn("of systemd")
	hasMode(t, d.socket, 0o660, theGroup)
	hasMode(t, runtime, 0o710, theGroup)
	if said := d.log.since(0); !strings.Contains(said, "socket-mode and socket-group have no effect: systemd holds the socket, and SocketMode= and SocketGroup= of its unit decide") {
		t.Errorf("it does not say who decides: %s", said)
	}
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	os.Remove(d.socket) // systemd's, which the daemon leaves
}
