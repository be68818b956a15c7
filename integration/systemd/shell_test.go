package systemd

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// A daemon that root starts from a shell asks for the same scope and moves into it.
func TestRootsShellGetsAScope(t *testing.T) {
	state := t.TempDir()
	launch := func() *exec.Cmd {
		cmd := exec.Command("processmanager", "-state", state, "-secret", "x")
		log, err := os.OpenFile(state+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	pm := func(args ...string) (string, error) {
		return host.Root.Try("pmclient", append([]string{"-socket", state + "/run/pm.sock", "-secret", "x"}, args...)...)
	}
	ready := func() {
		host.Eventually(t, "the daemon answers", func() bool { _, err := pm("list"); return err == nil })
	}
	said := func() string { data, _ := os.ReadFile(state + ".log"); return string(data) }
	cmd := launch()
	ready()
	top := scope(t)
	if n := strings.Count(said(), ".scope for all processes"); n != 1 {
		t.Errorf("said %d times: %s", n, said())
	}
	if in := group(t, cmd.Process.Pid); !strings.HasPrefix(in, top+"/") {
		t.Errorf("the keeper is in %s", in)
	}
	if out, err := pm("start", "-name", "web", "-command", "exec sleep 100000"); err != nil {
		t.Fatalf("%s: %s", out, said())
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	cmd = launch()
	ready()
	if out, err := pm("status", "web"); err != nil || scope(t) != top {
		t.Errorf("after SIGKILL: %v %s", err, out)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said())
	}
	nothingIsLeft(t)
}

// Where systemd gives no scope, the line that is said starts a daemon.
func TestWithoutDBusTheDaemonSaysHowToStartIt(t *testing.T) {
	state := t.TempDir()
	// What the daemon sees is a host whose sockets of systemd cannot be reached.
	hidden := exec.Command("unshare", "--mount", "sh", "-c",
		"mount -t tmpfs tmpfs /run/dbus && mount --bind /dev/null /run/systemd/private && exec processmanager -state "+state+" -secret x")
	out, err := hidden.CombinedOutput()
	if err == nil {
		t.Fatalf("it has started: %s", out)
	}
	const line = "systemd-run --scope -p Delegate=yes -p TasksMax=infinity processmanager"
	if !strings.Contains(string(out), line) || len(groups()) > 0 {
		t.Fatalf("said %s; groups %v", out, groups())
	}
	words := strings.Fields(line)
	cmd := exec.Command(words[0], append(words[1:], "-state", state, "-secret", "x")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	host.Eventually(t, "the daemon answers", func() bool {
		_, err := host.Root.Try("pmclient", "-socket", state+"/run/pm.sock", "-secret", "x", "start", "-name", "web", "-command", "exec sleep 100000")
		return err == nil
	})
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	nothingIsLeft(t)
}
