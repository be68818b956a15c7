package systemd

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
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
	do(t, "chgrp", strconv.Itoa(member), "/etc/processmanager/secret")
	do(t, "chmod", "640", "/etc/processmanager/secret")
	ask := func(group int) (string, error) {
		return try("setpriv", "--reuid=20124", "--regid=20124", "--groups="+strconv.Itoa(group), "env", "PROCESSMANAGER_SOCKET=/run/processmanager/pm.sock", "pmclient", "list")
	}
	letsIn := func(when string) {
		t.Helper()
		eventually(t, "a member is answered "+when, func() bool { _, err := ask(member); return err == nil })
		if out, err := ask(member + 1); err == nil || !strings.Contains(out, "another user's") {
			t.Errorf("%s, somebody else: %s, %v", when, out, err)
		}
	}
	if out, err := ask(member); err == nil {
		t.Errorf("before the daemon knows of it: %s", out)
	}
	do(t, "systemctl", "restart", unit)
	letsIn("after a restart")
	do(t, "systemctl", "reload", unit)
	letsIn("after a reload")
	before := keeper(t)
	syscall.Kill(before, syscall.SIGKILL)
	eventually(t, "another keeper is there", func() bool {
		return property("MainPID", unit) != strconv.Itoa(before) && property("ActiveState", unit) == "active"
	})
	letsIn("after SIGKILL")
	if out := do(t, "processmanager", "-check"); !strings.Contains(out, file+":1") {
		t.Errorf("-check does not say where that comes from: %s", out)
	}
}
