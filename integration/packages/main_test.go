package packages

import (
	"os"
	"strconv"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

const (
	unit    = "processmanager.service"
	secret  = "/etc/processmanager/secret"
	program = "/usr/bin/processmanager"
)

func TestMain(m *testing.M) {
	if os.Getenv("GUEST") == "" {
		// Elsewhere there is nothing to test, and a host to leave alone.
		return
	}
	// What dpkg writes need not survive a crash of the guest.
	if err := os.WriteFile("/etc/dpkg/dpkg.cfg.d/unsafe-io", []byte("force-unsafe-io\n"), 0o644); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// daemon is the pid of the unit's main process, which serves.
func daemon(t *testing.T) int {
	t.Helper()
	host.Root.Do(t, "systemctl", "is-active", unit)
	pid, err := strconv.Atoi(host.Property("MainPID", unit))
	if err != nil || pid == 0 {
		t.Fatalf("no main process: %v", err)
	}
	host.Root.Do(t, "pmclient", "list")
	return pid
}
