package container

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// without are arguments for a daemon that leaves the definitions of the image alone.
var without = []string{"-definitions", "/run/none"}

// ordered starts three processes that need one another, take a while to end, and note when they
// have.
func (c container) ordered() {
	c.t.Helper()
	c.sh(`rm -f /run/db /run/cache /run/web
		start() {
			pmclient start "$1" -needs "$2" -command "trap 'sleep 0.5; echo $1 >>/var/lib/processmanager/ended; exit' TERM; touch /run/$1; while :; do sleep 0.05; done"
		}
		start db && start cache db && start web cache || exit
		until [ -e /run/db ] && [ -e /run/cache ] && [ -e /run/web ]; do sleep 0.1; done`)
}

// inOrder checks how they ended, in the volume of a container that has.
func (c container) inOrder() {
	c.t.Helper()
	dir := c.ownDir()
	c.do("cp", c.name+":/var/lib/processmanager/ended", dir+"/ended")
	if got := strings.Join(strings.Fields(host.Root.Do(c.t, "cat", dir+"/ended")), " "); got != "web cache db" {
		c.t.Errorf("they ended in the order %q", got)
	}
}

// stop is podman stop, which must not come to SIGKILL.
func (c container) stop() {
	c.t.Helper()
	c.do("stop", "-t", "60", c.name)
	if c.code() == 137 {
		c.t.Error("the engine had to kill it")
	}
}

// places are the cgroup namespaces that a container can have.
var places = map[string]string{
	"private namespace": "--privileged --cgroupns=private",
	"host's namespace":  "--privileged --cgroupns=host",
}

// As the first process of a container the daemon has a group with all controllers, whatever its
// namespace, reaps what others leave, and ends all in order when the engine stops it.
func TestTheFirstProcess(t *testing.T) {
	t.Parallel()
	for name, flags := range places {
		t.Run(name, func(t *testing.T) {
			c := root(t).start(flags, without...)
			if first := c.sh("tr '\\0' ' ' </proc/1/cmdline"); !strings.HasPrefix(first, "/usr/bin/processmanager") {
				t.Fatalf("the first process is %s", first)
			}
			c.controllers()
			// The orphans of a run, and of nobody that the daemon knows.
			c.sh(`pmclient start orphans -wait -command 'for i in 1 2 3 4 5; do (sleep 0.2 & exec sleep 0.1) & done; wait'
				for i in 1 2 3 4 5; do (sleep 0.$i &) ; done`)
			host.Eventually(t, "nobody waits to be reaped", func() bool {
				return c.sh("sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status || true; pidof sleep || true") == ""
			})
			c.ordered()
			c.stop()
			if code := c.code(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			c.inOrder()
		})
	}
}

// controllers checks that runs have the controllers that there are.
func (c container) controllers() {
	c.t.Helper()
	out := strings.Join(strings.Fields(c.sh("pmclient start sleeper -command 'exec sleep 1000' && pmclient status sleeper && pmclient delete sleeper && pmclient doctor")), " ")
	for _, controller := range []string{"cpu", "memory", "pids"} {
		if strings.Contains(out, controller+" controller missing") {
			c.t.Errorf("runs do not have %s: %s", controller, out)
		}
	}
	if !strings.Contains(out, "B [cgroup]") {
		c.t.Errorf("the kernel does not count memory: %s", out)
	}
}

// Behind the engine's own first process, or a shell, the same holds.
func TestNotTheFirstProcess(t *testing.T) {
	t.Parallel()
	for name, flags := range places {
		t.Run("init, "+name, func(t *testing.T) {
			c := root(t).start(flags+" --init", without...)
			c.controllers()
			c.ordered()
			c.stop()
			if code := c.code(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			c.inOrder()
		})
		t.Run("shell, "+name, func(t *testing.T) {
			c := root(t).start(flags+" --entrypoint=sh", "-c", "processmanager -definitions /run/none & daemon=$!; trap 'kill $daemon' TERM; wait; wait $daemon; echo code $?")
			c.controllers()
			c.ordered()
			c.stop()
			c.inOrder()
			if out := c.said(); !strings.HasSuffix(out, "code 0") {
				t.Errorf("the daemon ended so: %s", out)
			}
		})
	}
}

// The container ends with its process, and as that does.
func TestTheContainerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	e := root(t)
	args := append([]string{"-exit-with", "main"}, without...)
	for then, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": 137} {
		c := e.start("--privileged", args...)
		c.ordered()
		c.pm("start", "main", "-command", "sleep 3; "+then)
		if code := c.code(); code != want {
			t.Errorf("%s: exit code %d, want %d", then, code, want)
		}
		c.inOrder()
	}
	c := e.start("--privileged", args...)
	c.pm("start", "main", "-log", "-command", "trap 'echo usr1; touch /run/usr1' USR1; trap 'exit 9' TERM; touch /run/main; while :; do sleep 0.05; done")
	c.sh("until [ -e /run/main ]; do sleep 0.1; done")
	c.do("kill", "-s", "USR1", c.name)
	c.sh("for i in $(seq 100); do [ -e /run/usr1 ] && exit; sleep 0.1; done; exit 1") // it is passed on
	c.stop()
	if code := c.code(); code != 9 {
		t.Errorf("exit code %d after a stop", code)
	}
}

// The example of the documentation works as it stands there.
func TestTheExample(t *testing.T) {
	t.Parallel()
	c := root(t).start("--privileged")
	host.Eventually(t, "web answers", func() bool {
		_, err := c.try("exec", c.name, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/web.hero")
		return err == nil
	})
	c.pm("signal", "db", "-signal", "KILL")
	host.Eventually(t, "db is back", func() bool { s := c.status()["db"]; return s.Status == "running" && s.Run == 2 })
	c.stop()
	if code := c.code(); code != 143 {
		t.Errorf("exit code %d, want that of web", code)
	}
}
