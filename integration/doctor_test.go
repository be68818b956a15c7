package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What doctor says must be what this host is.
func TestDoctorSaysWhatIsThere(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	var r process.Report
	if err := json.Unmarshal([]byte(d.mustClient("doctor", "-format", "json")), &r); err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Root != d.cgroup || !strings.HasPrefix(d.cgroup, r.Mount) {
		t.Errorf("problems, or another root than %s: %+v", d.cgroup, r)
	}
	for _, name := range []string{"cpu", "memory", "pids", "io", "cpuset"} {
		listed := strings.Contains(" "+strings.Join(r.Controllers, " ")+" ", " "+name+" ")
		if listed != hasController(t, name) {
			t.Errorf("controller %s: it says %v", name, listed)
		}
	}
	text := d.mustClient("doctor")
	for _, subject := range []string{"hierarchy", "delegated root", "kernel", "open files", "inotify", "socket"} {
		if !strings.Contains(text, subject) {
			t.Errorf("%s is not in it:\n%s", subject, text)
		}
	}
	if len(r.Missing) > 0 && !strings.Contains(text, "mend:") {
		t.Errorf("nothing mends what is missing:\n%s", text)
	}
}

// -check examines the same without a daemon, and leaves nothing behind.
func TestCheckNeedsNoDaemonAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := newGroup(t)
	out, err := exec.Command(programs.daemon, "-check", "-state", dir+"/state", "-cgroup", root).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no problem was found") {
		t.Errorf("%v\n%s", err, out)
	}
	left, _ := os.ReadDir(dir)
	if len(left) > 0 || !gone(root) {
		t.Errorf("it has left %v, or %s", left, root)
	}
}
