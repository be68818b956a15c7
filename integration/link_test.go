package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A link that was switched leads an upgrade to the new program.
func TestUpgradeFollowsTheLinkThatTheDaemonWasStartedBy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	point := func(version string) {
		t.Helper()
		err := os.Symlink(version, dir+"/new")
		if err == nil {
			err = os.Rename(dir+"/new", dir+"/cur")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"v1", "v2"} {
		if out, err := exec.Command("install", "-D", programs.daemon, dir+"/"+version+"/processmanager").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	point("v1")
	d := startDaemon(t, setup{Wrap: instead(dir + "/cur/processmanager")})
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	pid := d.status("p").PID
	for _, version := range []string{"v2", "v1"} {
		point(version)
		if out := d.mustClient("upgrade"); !strings.Contains(out, "has taken over") {
			t.Errorf("pmclient upgrade said %q", out)
		}
		d.hangUp()
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", d.worker()))
		if want := dir + "/" + version + "/processmanager"; exe != want || err != nil {
			t.Errorf("the worker is %s, %v, want %s", exe, err, want)
		}
		if s := d.status("p"); s.State != process.Running || s.PID != pid {
			t.Errorf("%+v", s)
		}
	}
}
