package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

const (
	// base is what the Containerfile begins with, and image what it makes.
	base  = "docker.io/library/busybox:stable"
	image = "localhost/web"

	// busybox is of the package busybox-static.
	busybox = "/bin/busybox"

	tester = 1000 // the ordinary user
)

func TestMain(m *testing.M) {
	if _, err := exec.LookPath("podman"); err != nil || os.Getenv("GUEST") == "" {
		// Elsewhere there is nothing to test, and an engine to leave alone.
		return
	}
	os.Exit(m.Run())
}

// engine is the podman of a user.
type engine struct {
	t    *testing.T
	user int
}

// root is the podman of root, with the image.
func root(t *testing.T) engine {
	t.Helper()
	e := engine{t, 0}
	e.prepare()
	return e
}

// ordinary is the podman of an ordinary user whose service manager runs, with the image.
func ordinary(t *testing.T) engine {
	t.Helper()
	e := engine{t, tester}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		if err := os.WriteFile(file, []byte("tester:100000:65536\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic").CombinedOutput()
			t.Logf("%s", out)
		}
	})
	host.Root.Do(t, "loginctl", "enable-linger", "tester")
	host.Root.Do(t, "systemctl", "start", fmt.Sprintf("user@%d.service", tester)) // and waits for it
	e.prepare()
	return e
}

// preparing is held by who looks whether there is the image, and makes it.
var preparing sync.Mutex

// prepare makes the image once for each user.
func (e engine) prepare() {
	e.t.Helper()
	preparing.Lock()
	defer preparing.Unlock()
	if _, err := e.try("image", "exists", image); err == nil {
		return
	}
	dir := e.ownDir()
	host.Root.Do(e.t, "sh", "-ec", `
		mkdir -p "$1"/base/bin "$1"/base/etc "$1"/base/tmp "$1"/base/usr/bin "$1"/base/run "$1"/base/root
		chmod 1777 "$1"/base/tmp
		cp "$2" "$1"/base/bin/busybox
		for name in $("$2" --list); do [ "$name" = busybox ] || ln -s busybox "$1"/base/bin/$name; done
		echo root:x:0:0:root:/root:/bin/sh >"$1"/base/etc/passwd
		echo root:x:0: >"$1"/base/etc/group
		tar -C "$1"/base -cf "$1"/base.tar .
		mkdir "$1"/context
		cp /usr/bin/processmanager /usr/bin/pmclient testdata/* "$1"/context`, "sh", dir, busybox)
	e.do("import", dir+"/base.tar", base)
	e.do("build", "--pull=never", "--layers=false", "-t", image, dir+"/context")
}

// ownDir is a directory of the engine's user, for a test.
func (e engine) ownDir() string {
	e.t.Helper()
	dir := e.t.TempDir() // root's, in one that nobody else may enter
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, e.user, e.user)); err != nil {
		e.t.Fatal(err)
	}
	return dir
}

// command is podman with these arguments.
func (e engine) command(args []string) *exec.Cmd {
	line := append([]string{"podman", "--storage-driver", "vfs"}, args...)
	if e.user != 0 { // in the user's part of the cgroup tree
		run := fmt.Sprintf("/run/user/%d", e.user)
		line = append([]string{"setpriv", "--reuid=" + strconv.Itoa(e.user), "--regid=" + strconv.Itoa(e.user), "--clear-groups", "env",
			"HOME=/home/tester", "USER=tester", "XDG_RUNTIME_DIR=" + run, "DBUS_SESSION_BUS_ADDRESS=unix:path=" + run + "/bus",
			"systemd-run", "--user", "--pipe", "--wait", "--collect", "--quiet", "--property=KillMode=process", "--working-directory=/"}, line...)
	}
	return exec.Command(line[0], line[1:]...)
}

// try runs podman and returns what it and who it ran have written.
func (e engine) try(args ...string) (string, error) {
	out, err := e.command(args).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do is the standard output of podman, which must work.
func (e engine) do(args ...string) string {
	e.t.Helper()
	cmd := e.command(args)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("podman %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// container is one that a test has started.
type container struct {
	engine
	name string
}

// start starts a container and waits for the daemon in it. flags are the engine's, with blanks
// between them, args stand behind the image.
func (e engine) start(flags string, args ...string) container {
	e.t.Helper()
	c := e.create(flags, args...)
	c.ready()
	return c
}

// create is start without waiting for the daemon.
func (e engine) create(flags string, args ...string) container {
	e.t.Helper()
	c := container{e, "c" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	line := append([]string{"run", "-d", "--network=none", "--name", c.name}, strings.Fields(flags)...)
	c.do(append(append(line, image), args...)...)
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("%s said:\n%s", c.name, c.said())
		}
		c.try("rm", "-f", "-v", "-t", "0", c.name)
	})
	return c
}

// ready waits until the daemon answers.
func (c container) ready() {
	c.t.Helper()
	host.Eventually(c.t, "the daemon in "+c.name+" answers", func() bool {
		_, err := c.try("exec", c.name, "pmclient", "list")
		if err != nil && !c.running() {
			c.t.Fatalf("%s has ended:\n%s", c.name, c.said())
		}
		return err == nil
	})
}

// said is what the container has written.
func (c container) said() string {
	out, _ := c.try("logs", c.name)
	return out
}

func (c container) running() bool {
	return c.do("inspect", "--format", "{{.State.Running}}", c.name) == "true"
}

// code is the container's exit code, once it has ended.
func (c container) code() int {
	c.t.Helper()
	n, err := strconv.Atoi(c.do("wait", c.name))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// sh runs a shell script in the container.
func (c container) sh(script string) string {
	c.t.Helper()
	return c.do("exec", c.name, "sh", "-c", script)
}

// pm is pmclient of root in the container, without a flag.
func (c container) pm(args ...string) string {
	c.t.Helper()
	return c.do(append([]string{"exec", c.name, "pmclient"}, args...)...)
}

// status is that of all processes, by name.
func (c container) status() map[string]host.Status {
	c.t.Helper()
	var list []host.Status
	out := c.pm("list", "-format", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		c.t.Fatalf("list: %v: %s", err, out)
	}
	all := map[string]host.Status{}
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}
