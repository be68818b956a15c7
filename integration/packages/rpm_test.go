package packages

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// rpm runs rpm with a package or its name. This host is a Debian, whose packages rpm does not know.
func rpm(t *testing.T, args ...string) string {
	t.Helper()
	return host.Root.Do(t, "rpm", append([]string{"--force-debian", "--nodeps"}, args...)...)
}

const givenRPM = "/packages/processmanager.rpm"

// The scripts of the RPM under systemd. Distributions say in presets whether a daemon is enabled
// at its installation; it is never started there.
func TestRPMUpgradesUnderLivingTreesAndEndsThemAtItsRemoval(t *testing.T) {
	before := everything(t)
	t.Cleanup(func() {
		host.Root.Try("rpm", "-e", "--nodeps", "processmanager")
		host.Root.Try("rm", "-rf", "/etc/processmanager", "/var/lib/processmanager", "/run/processmanager")
		host.Root.Try("groupdel", "processmanager")
	})
	rpm(t, "-i", givenRPM)
	if state := host.Property("ActiveState", unit); state != "inactive" {
		t.Errorf("the unit is %s after the installation", state)
	}
	host.Root.Do(t, "systemctl", "start", unit)
	worker := host.Root.Do(t, "pgrep", "-f", workerLine)
	throughout(t, func() { rpm(t, "-U", "--force", givenRPM) })
	if now := host.Root.Do(t, "pgrep", "-f", workerLine); now == worker {
		t.Error("the upgrade has not replaced the daemon that runs")
	}
	runsWhatIsInstalled(t)
	pid := host.Root.Start(t, "web", "exec sleep 100000")
	rpm(t, "-e", "processmanager")
	if host.Alive(pid) {
		t.Error("a process lives on after the removal")
	}
	if !host.Exists(secret) || !host.Exists("/var/lib/processmanager/processes.db") {
		t.Error("the removal has taken the secret or the state along")
	}
	// What docs/packages.md says for a host that is to have nothing left. (Directories that rpm
	// makes for files of several packages stay.)
	host.Root.Do(t, "sh", "-ec", "rm -rf /var/lib/processmanager /run/processmanager /etc/processmanager/secret; rmdir /etc/processmanager; groupdel processmanager")
	for _, path := range everything(t) {
		if name := filepath.Base(path); !slices.Contains(before, path) && (strings.Contains(name, "processmanager") || strings.Contains(name, "pmclient")) {
			t.Errorf("left over: %s", path)
		}
	}
}
