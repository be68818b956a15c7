package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// An ordinary user of these tests.
const ordinary = 65534

// newOrdinary is a daemon of an ordinary user, in a group that root has delegated.
func newOrdinary(t *testing.T) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user, and delegate a group")
	}
	d := newDaemon(t, setup{NoSecret: true, Args: []string{"-secret", theSecret}})
	d.setup.Env = []string{"DELEGATED=" + d.cgroup, "LOGNAME=nobody"}
	d.setup.Wrap = []string{"/bin/sh", "-ec", `
		mkdir -p "$DELEGATED/starter"
		chown 65534 "$DELEGATED" "$DELEGATED/cgroup.procs" "$DELEGATED/cgroup.subtree_control" "$DELEGATED/starter" "$DELEGATED/starter/cgroup.procs"
		echo $$ >"$DELEGATED/starter/cgroup.procs"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$TMPDIR/processmanager" "$@"`}
	for from, to := range map[string]string{programs.daemon: "/processmanager", programs.client: "/pmclient", "/usr/bin/setpriv": "/setuid"} {
		if out, err := exec.Command("cp", from, d.dir+to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	err := os.Chmod(d.dir+"/setuid", 0o755|os.ModeSetuid)
	if err == nil {
		err = os.Chown(d.dir, ordinary, ordinary)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// asks has the daemon's user ask for something: nobody else's client gives it the secret.
func (d *daemon) asks(args ...string) result {
	d.t.Helper()
	return d.execute(append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", d.dir + "/pmclient", "-socket", d.socket, "-secret", theSecret}, args...)...)
}

// stateOf is the status that the daemon's user is given.
func (d *daemon) stateOf(name string) (s process.Status) {
	d.t.Helper()
	r := d.asks("status", name, "-format", "json")
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		d.t.Fatalf("status %s: %v: %+v", name, err, r)
	}
	return s
}

// away is the command of a leader that goes to another group and cannot be signalled by
// the daemon's user. It ends when it is killed.
func (d *daemon) away() string {
	d.t.Helper()
	group := d.cgroup + "-away"
	if err := os.MkdirAll(group, 0o755); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { removeGroup(group) })
	return "exec ./setuid --reuid=0 --regid=0 --clear-groups /bin/sh -c 'echo $$ >" + group + "/cgroup.procs; trap : TERM; echo up; while :; do sleep 0.1; done'"
}

// A leader that has left its group and cannot be signalled makes its process stuck, within
// the bound, whoever asks. When it has ended all goes on.
func TestLeaderThatCannotBeSignalledIsStuck(t *testing.T) {
	t.Parallel()
	d := newOrdinary(t)
	d.launch()
	pids := map[string]int{}
	for _, name := range []string{"stop", "restart", "delete", "shutdown"} {
		if r := d.asks("start", name, "-command", d.away()); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		if eventually(t, name+" has said something", func() bool { return d.asks("logs", name).stdout != "" }); d.asks("logs", name).stdout != "up\n" {
			t.Fatalf("%s says %q", name, d.asks("logs", name).stdout)
		}
		pids[name] = d.stateOf(name).PID
	}
	var all sync.WaitGroup
	for _, verb := range []string{"stop", "restart", "delete"} {
		all.Go(func() {
			began := time.Now()
			r := d.asks(verb, verb)
			if r.code != 1 || !strings.Contains(r.stderr, "is stuck") || !strings.Contains(r.stderr, "operation not permitted") {
				t.Errorf("%s: %+v", verb, r)
			}
			if took, limit := time.Since(began), process.DefaultStopTimeout+paced(5*time.Second); took > limit {
				t.Errorf("%s was answered after %v", verb, took)
			}
		})
	}
	all.Wait()
	for name := range pids {
		if s := d.stateOf(name); s.State != process.Stopping || s.PID != pids[name] {
			t.Errorf("%+v", s)
		}
	}
	for _, verb := range []string{"start", "stop"} { // once more
		if r := d.asks(verb, "stop"); r.code != 1 || !strings.Contains(r.stderr, "is stuck") {
			t.Errorf("%s again: %+v", verb, r)
		}
	}
	unix.Kill(pids["stop"], unix.SIGKILL)
	eventually(t, "it is stopped", func() bool { return d.stateOf("stop").State == process.Stopped })
	if s := d.stateOf("stop"); s.Cause != process.CauseStop || s.Signal != process.KILL {
		t.Errorf("%+v", s)
	}
	if code := d.end(unix.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := os.Remove(d.cgroup + "/starter"); err != nil {
		t.Error(err)
	}
	if said := d.log.since(0); !strings.Contains(said, "process 'shutdown' is stuck") {
		t.Errorf("it does not say who is left: %s", said)
	}
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGKILL)
	}
	d.removeAll(d.state + "/run/fifo") // of those that were not seen to end
	eventually(t, "nobody is left", func() bool { return len(withEnviron(t, "TMPDIR="+d.dir)) == 0 })
}
