package doctor

import (
	"testing"

	"github.com/freeflowuniverse/processmanager/cgroup"
)

func TestLacksAreOneLine(t *testing.T) {
	bound := func(name string) cgroup.Missing {
		return cgroup.Missing{Name: name, Reason: "bound to the v1 hierarchy at /sys/fs/cgroup/" + name, InV1: true}
	}
	io := cgroup.Missing{Name: "io", Reason: "not enabled in /a/cgroup.subtree_control"}
	for _, c := range []struct {
		missing []cgroup.Missing
		want    string
	}{
		{nil, ""},
		{[]cgroup.Missing{bound("cpu"), bound("memory"), bound("pids"), bound("io")},
			"runs have no cpu, memory, pids or io controller (bound to cgroup v1), so no CPU limits, memory limits, memory peaks, process limits, I/O limits or I/O figures; pmclient doctor says what mends it"},
		{[]cgroup.Missing{io},
			"runs have no io controller (not enabled in /a/cgroup.subtree_control), so no I/O limits or I/O figures; pmclient doctor says what mends it"},
		{[]cgroup.Missing{bound("pids"), io},
			"runs have no pids or io controller (bound to cgroup v1; not enabled in /a/cgroup.subtree_control), so no process limits, I/O limits or I/O figures; pmclient doctor says what mends it"},
	} {
		if got := Lacks(c.missing); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
