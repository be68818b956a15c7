package integration

import (
	"encoding/json"
	"os"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// namespaced are the daemon's ways into a group: as it is, and as the root of a cgroup
// namespace of its own, as in a container.
type namespaced struct {
	*daemon
	mount         string
	host, private string // groups
}

func newNamespaced(t *testing.T) namespaced {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a cgroup namespace")
	}
	h, err := cgroup.Find("/proc")
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, setup{Args: []string{"-cgroup", ""}})
	n := namespaced{d, h.Mount, d.cgroup + "/host", d.cgroup + "/private"}
	for _, group := range []string{d.cgroup, n.host, n.private} {
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { removeGroup(d.cgroup) })
	return n
}

func (n namespaced) inHost() {
	n.setup.Wrap = []string{"sh", "-c", `echo $$ >"$1"/cgroup.procs && shift && exec "$@"`, "sh", n.host}
}

func (n namespaced) inPrivate() {
	n.setup.Wrap = []string{"sh", "-c", `echo $$ >"$1"/cgroup.procs && shift &&
		exec unshare -C -m --propagation private sh -c 'umount "$0" && mount -t cgroup2 cgroup2 "$0" && exec "$@"' "$@"`, "sh", n.private, n.mount}
}

// worksIn fails the test unless the daemon's groups are below one group and nowhere else.
func (n namespaced) worksIn(group string) {
	n.t.Helper()
	id := n.instance()["ID"].(string)
	for _, top := range []string{n.mount, n.host, n.private} {
		path := top + "/processmanager-" + id
		pids := pidsIn(path)
		if (len(pids) > 0) != (top == group) {
			n.t.Errorf("in %s are the processes %v", path, pids)
		}
		if top == n.mount && !gone(path) {
			n.t.Errorf("%s was made", path)
			removeGroup(path)
		}
	}
}

func (n namespaced) instance() (in map[string]any) {
	n.t.Helper()
	data, err := os.ReadFile(n.state + "/instance.json")
	if err == nil {
		err = json.Unmarshal(data, &in)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return in
}

// endAll kills the daemon and all trees, as the end of a container does.
func (n namespaced) endAll() {
	n.t.Helper()
	n.hangUp()
	if err := os.WriteFile(n.cgroup+"/cgroup.kill", []byte("1"), 0); err != nil {
		n.t.Fatal(err)
	}
	n.wait()
	eventually(n.t, "nobody is left", func() bool { return len(pidsIn(n.cgroup)) == 0 })
}

// The root of a container's namespace is called as that of the host.
func TestAPlaceOfAnotherCgroupNamespaceIsNotTakenUp(t *testing.T) {
	t.Parallel()
	n := newNamespaced(t)
	n.inPrivate()
	n.launch()
	n.worksIn(n.private)
	if root := n.instance()["Root"]; root != n.mount {
		t.Errorf("recorded is %v", root)
	}
	n.endAll()

	n.inHost()
	n.launch()
	n.worksIn(n.host)
	n.endAll()

	// From the host's namespace to that of a container.
	n.inPrivate()
	n.launch()
	n.worksIn(n.private)
	n.endAll()

	// A former version did not record the namespace.
	in := n.instance()
	delete(in, "From")
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.state+"/instance.json", data, 0o600); err != nil {
		t.Fatal(err)
	}
	n.inHost()
	n.launch()
	n.worksIn(n.host)
	if code := n.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// In the same namespace, trees are found again, also those of a former version.
func TestAPlaceOfTheSameCgroupNamespaceIsTakenUp(t *testing.T) {
	t.Parallel()
	for _, former := range []bool{false, true} {
		n := newNamespaced(t)
		n.inHost()
		n.launch()
		n.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
		pid := n.status("p").PID
		n.crash()
		if former {
			in := n.instance()
			delete(in, "From")
			data, _ := json.Marshal(in)
			if err := os.WriteFile(n.state+"/instance.json", data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n.setup.Wrap = nil // from another group
		n.launch()
		n.worksIn(n.host)
		if s := n.status("p"); s.State != process.Running || s.PID != pid {
			t.Errorf("former %v: %+v", former, s)
		}
		n.end(syscall.SIGTERM)
	}
}
