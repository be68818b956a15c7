package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// configure writes the configuration file of the daemon's state directory, and is its path.
func (d *daemon) configure(lines ...string) string {
	d.t.Helper()
	file := d.state + "/processmanager.conf"
	err := os.MkdirAll(d.state, 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return file
}

// withoutFlags is the setup.Wrap of a daemon that is given its state directory, and neither
// socket nor cgroup.
var withoutFlags = []string{"/bin/sh", "-c", `p=$1 f=$2 s=$3; shift 7; exec "$p" "$f" "$s" "$@"`, "sh"}

// The socket comes from the environment, for the daemon, the client and the library; the
// group, from the file.
func TestSocketFromTheEnvironmentAndGroupFromTheFile(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Wrap: withoutFlags})
	d.setup.Env = []string{"PROCESSMANAGER_SOCKET=" + d.socket}
	d.configure("cgroup = "+d.cgroup, "socket = /of/the/file")
	d.launch() // the library has connected
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	d.isInGroup("x")
	if r := d.execute("env", "PROCESSMANAGER_SOCKET="+d.socket, programs.client, "-secret", theSecret, "status", "x"); r.code != 0 {
		t.Errorf("the client: %+v", r)
	}
	if r := d.execute("env", "PROCESSMANAGER_SOCKET=/none", programs.client, "-secret", theSecret, "-socket", d.socket, "status", "x"); r.code != 0 {
		t.Errorf("the client with a flag: %+v", r)
	}
	if r := d.execute("env", "PROCESSMANAGER_SOCKET=/none/s", programs.client, "-secret", theSecret, "status", "x"); r.code != 69 || !strings.Contains(r.stderr, "nobody listens on /none/s") {
		t.Errorf("the client without one: %+v", r)
	}
}

// isInGroup fails the test unless the run is below the group that the daemon was given.
func (d *daemon) isInGroup(name string) {
	d.t.Helper()
	if pids := pidsIn(d.group(name, 1)); len(pids) == 0 {
		d.t.Errorf("%s is not in %s", name, d.cgroup)
	}
}

func TestCheckShowsWhatHoldsAndWhereItComesFrom(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	file := d.configure("# mine", "idle = 2h", "listen = 127.0.0.1:0")
	r := d.execute("env", "PROCESSMANAGER_ALLOW_REMOTE=yes", "PROCESSMANAGER_SECRET=env-secret", programs.daemon, "-check", "-state", d.state, "-cgroup", d.cgroup, "-socket", d.socket)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	text := strings.Join(strings.Fields(r.stdout), " ")
	for _, want := range []string{
		"socket " + d.socket + " flag -socket", "idle 2h " + file + ":2", "listen 127.0.0.1:0 " + file + ":3",
		"allow-remote yes environment PROCESSMANAGER_ALLOW_REMOTE", "secret not shown environment PROCESSMANAGER_SECRET",
		"runtime " + d.state + "/run default", "config " + file + " default", "no problem was found",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, r.stdout)
		}
	}
	if strings.Contains(r.stdout, "env-secret") {
		t.Error("it shows the secret")
	}
}

// Each mistake is a line; neither a start nor -check starts or makes anything.
func TestMistakesInTheFileAreToldAndNothingIsStarted(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	file := d.configure("sokcet = /s", "idle = soon", "idle 3", "secret = hush")
	for _, check := range []string{"", "-check"} {
		from := d.log.len()
		d.spawn(strings.Fields(check)...)
		code := d.wait()
		said := d.log.since(from)
		lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
		if code != 2 || len(lines) != 4 || strings.Contains(said, "hush") {
			t.Fatalf("exit code %d, it says:\n%s", code, said)
		}
		for i, want := range []string{
			`there is no setting "sokcet": did you mean socket?`, `idle = "soon": a length of time is expected`,
			`NAME = VALUE is expected`, `secret does not belong into a file that others may read`,
		} {
			if !strings.HasPrefix(lines[i], fmt.Sprintf("processmanager: %s:%d: ", file, i+1)) || !strings.Contains(lines[i], want) {
				t.Errorf("line %d: %q, want %s", i, lines[i], want)
			}
		}
	}
	if left, _ := os.ReadDir(d.state); len(left) != 1 || !gone(d.socket) {
		t.Errorf("something was made: %v", left)
	}
	// Whatever it says, whoever asks which build this is gets an answer.
	if r := d.execute(programs.daemon, "-version", "-state", d.state); r.code != 0 || r.stderr != "" {
		t.Errorf("-version: %+v", r)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	from := d.log.len()
	d.spawn()
	if code := d.wait(); code != 2 || !strings.Contains(d.log.since(from), file+" can be written to by others (mode 0666): chmod go-w "+file) {
		t.Errorf("exit code %d, it says %q", code, d.log.since(from))
	}
}

// A worker that comes after another follows the file where it can, and says what it cannot.
func TestAnUpgradeFollowsTheFile(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{Session: true})
	folder := d.dir + "/other"
	err := os.Mkdir(folder, 0o700)
	if err == nil {
		err = os.WriteFile(folder+"/a.hero", []byte("!!process.define name:of_the_folder command:true\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := d.configure("idle = 1h", "# listen = 127.0.0.1:0")
	d.launch()
	if said := d.log.since(0); strings.Contains(said, file) {
		t.Errorf("nothing has changed: %s", said)
	}
	d.configure("idle = 2h", "listen = 127.0.0.1:0", "definitions = "+folder)
	d.upgraded()
	for _, want := range []string{
		file + ":1: idle = 2h holds from now on", file + ":3: definitions = " + folder + " holds from now on",
		file + ":2: listen = 127.0.0.1:0 takes a restart of the daemon",
	} {
		if !d.log.await(0, want, d.ended) { // it is the worker's, which may come after the keeper's
			t.Errorf("%q is not in:\n%s", want, d.log.since(0))
		}
	}
	d.mustClient("apply")
	if list := d.list(); len(list) != 1 || list[0].Name != "of_the_folder" {
		t.Errorf("the other folder was not read: %+v", list)
	}
	d.configure("idel = 2h")
	from, worker := d.log.len(), d.worker()
	d.hangUp()
	unix.Kill(worker, unix.SIGKILL)
	if !d.log.await(from, "the configuration stays as it was", d.ended) || !strings.Contains(d.log.since(from), file+`:1: there is no setting "idel"`) {
		t.Errorf("it says %s", d.log.since(from))
	}
	if text := strings.Join(strings.Fields(d.mustClient("doctor")), " "); !strings.Contains(text, `problem configuration `+file+`:1: there is no setting "idel"`) {
		t.Errorf("doctor: %s", text)
	}
	d.configure("listen = 127.0.0.1:0")
	if code := d.end(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	from = d.log.len()
	d.launch()
	if !d.log.await(from, "listening on 127.0.0.1:", d.ended) {
		t.Errorf("a restart does not follow: %s", d.log.since(from))
	}
}
