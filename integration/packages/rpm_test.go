package packages

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rpm runs rpm with a package or its name. This host is a Debian, whose packages rpm does not know.
func rpm(t *testing.T, args ...string) string {
	t.Helper()
	return do(t, "rpm", append([]string{"--force-debian", "--nodeps"}, args...)...)
}

const givenRPM = "/packages/processmanager.rpm"

// The scripts of the RPM under systemd. Distributions say in presets whether a daemon is enabled
// at its installation; it is never started there.
func TestRPMUpgradesUnderLivingTreesAndEndsThemAtItsRemoval(t *testing.T) {
	before := everything(t)
	t.Cleanup(func() {
		try("rpm", "-e", "--nodeps", "processmanager")
		try("rm", "-rf", "/etc/processmanager", "/var/lib/processmanager", "/run/processmanager")
		try("groupdel", "processmanager")
	})
	rpm(t, "-i", givenRPM)
	if state := property("ActiveState", unit); state != "inactive" {
		t.Errorf("the unit is %s after the installation", state)
	}
	do(t, "systemctl", "start", unit)
	worker := do(t, "pgrep", "-f", workerLine)
	throughout(t, func() { rpm(t, "-U", "--force", givenRPM) })
	if now := do(t, "pgrep", "-f", workerLine); now == worker {
		t.Error("the upgrade has not replaced the daemon that runs")
	}
	runsWhatIsInstalled(t)
	pid := start(t, "web", "exec sleep 100000")
	rpm(t, "-e", "processmanager")
	if alive(pid) {
		t.Error("a process lives on after the removal")
	}
	if !is(secret) || !is("/var/lib/processmanager/processes.db") {
		t.Error("the removal has taken the secret or the state along")
	}
	// What docs/packages.md says for a host that is to have nothing left. (Directories that rpm
	// makes for files of several packages stay.)
	do(t, "sh", "-ec", "rm -rf /var/lib/processmanager /run/processmanager /etc/processmanager/secret; rmdir /etc/processmanager; groupdel processmanager")
	for _, path := range everything(t) {
		if name := filepath.Base(path); !slices.Contains(before, path) && (strings.Contains(name, "processmanager") || strings.Contains(name, "pmclient")) {
			t.Errorf("left over: %s", path)
		}
	}
}
