package systemd

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// Nothing is made in systemd's tree to find out what a daemon would get there.
func TestDoctorSaysThatSystemdMakesAScope(t *testing.T) {
	state := t.TempDir()
	out := host.Root.Do(t, "processmanager", "-check", "-state", state)
	for _, want := range []string{"systemd makes a scope", "runs have cpu, memory, pids, io and cpuset"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%q is not said: %s", want, out)
		}
	}
	serve(t)
	out = strings.Join(strings.Fields(pm(t, "doctor")), " ")
	for _, want := range []string{"groups can be made below " + scope(t), "runs have cpu, memory, pids, io and cpuset"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said: %s", want, out)
		}
	}
}
