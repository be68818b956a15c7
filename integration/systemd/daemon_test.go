package systemd

import (
	"strconv"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// daemon is the one that the unit of a user runs, or, root's, that of the system.
type daemon struct{ host.User }

var (
	ofSystem = daemon{host.Root}
	ofUser   = daemon{host.Tester}
)

// instance are words for systemctl that name the daemon's systemd.
func (d daemon) instance(args ...string) []string {
	if d.User == host.Root {
		return args
	}
	return append([]string{"--user"}, args...)
}

func (d daemon) systemctl(t testing.TB, args ...string) string {
	t.Helper()
	return d.Do(t, "systemctl", d.instance(args...)...)
}

// property is one of a unit of the daemon's systemd.
func (d daemon) property(name, of string) string {
	out, _ := d.Try("systemctl", d.instance("show", "--value", "-p", name, of)...)
	return out
}

// pm is its client, without a flag.
func (d daemon) pm(t testing.TB, args ...string) string {
	t.Helper()
	return d.Do(t, "pmclient", args...)
}

// keeper is the unit's main process.
func (d daemon) keeper(t testing.TB) int {
	t.Helper()
	pid, err := strconv.Atoi(d.property("MainPID", unit))
	if err != nil || pid == 0 {
		t.Fatalf("no main process: %v\n%s", err, host.Journal())
	}
	return pid
}

// answers waits until another keeper than the one with that pid serves.
func (d daemon) answers(t testing.TB, former int) {
	t.Helper()
	host.Eventually(t, "the next daemon answers", func() bool {
		if d.property("MainPID", unit) == strconv.Itoa(former) || d.property("ActiveState", unit) != "active" {
			return false
		}
		_, err := d.Try("pmclient", "list")
		return err == nil
	})
}
