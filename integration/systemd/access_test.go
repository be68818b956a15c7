package systemd

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// Whoever the configuration file lets in is in after a start, and after all that has systemd
// set up the runtime directory anew; with the secret that they may read, and no flag.
func TestAGroupThatIsLetInStaysSo(t *testing.T) {
	const file, member = "/etc/processmanager/processmanager.conf", 20345
	serve(t)
	if err := os.WriteFile(file, []byte("socket-group = "+strconv.Itoa(member)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
	host.Root.Do(t, "chgrp", strconv.Itoa(member), "/etc/processmanager/secret")
	host.Root.Do(t, "chmod", "640", "/etc/processmanager/secret")
	ask := func(group int) (string, error) {
		return host.Root.Try("setpriv", "--reuid=20124", "--regid=20124", "--groups="+strconv.Itoa(group), "env", "PROCESSMANAGER_SOCKET=/run/processmanager/pm.sock", "pmclient", "list")
	}
	letsIn := func(when string) {
		t.Helper()
		host.Eventually(t, "a member is answered "+when, func() bool { _, err := ask(member); return err == nil })
		if out, err := ask(member + 1); err == nil || !strings.Contains(out, "another user's") {
			t.Errorf("%s, somebody else: %s, %v", when, out, err)
		}
	}
	if out, err := ask(member); err == nil {
		t.Errorf("before the daemon knows of it: %s", out)
	}
	host.Root.Do(t, "systemctl", "restart", unit)
	letsIn("after a restart")
	host.Root.Do(t, "systemctl", "reload", unit)
	letsIn("after a reload")
	before := ofSystem.keeper(t)
	syscall.Kill(before, syscall.SIGKILL)
	host.Eventually(t, "another keeper is there", func() bool {
		return host.Property("MainPID", unit) != strconv.Itoa(before) && host.Property("ActiveState", unit) == "active"
	})
	letsIn("after SIGKILL")
	if out := host.Root.Do(t, "processmanager", "-check"); !strings.Contains(out, file+":1") {
		t.Errorf("-check does not say where that comes from: %s", out)
	}
}
