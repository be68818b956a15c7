package container

import (
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// kept is a container whose state is on a volume.
func kept(t *testing.T, flags string) container {
	t.Helper()
	e := root(t)
	volume := e.do("volume", "create")
	t.Cleanup(func() { e.try("volume", "rm", "-f", volume) })
	c := e.start(flags+" -v "+volume+":/var/lib/processmanager", without...)
	c.sh(`start() { pmclient start -command 'exec sleep 1000' "$@" || exit; }
		start always -restart always
		start auto -autostart
		start once
		start stopped -restart always -autostart
		pmclient stop stopped`)
	return c
}

// comesBack checks what a daemon makes of what the one before has left in its state: each run
// is recorded with its end, and what is to be up is.
func (c container) comesBack(cause string) {
	c.t.Helper()
	c.ready()
	var all map[string]host.Status
	host.Eventually(c.t, "what is to be up is back", func() bool {
		all = c.status()
		return all["always"].Status == "running" && all["auto"].Status == "running"
	})
	for _, name := range []string{"always", "auto"} {
		s := all[name]
		if s.Run != 2 || s.Last == nil || s.Last.Number != 1 || s.Last.Cause != cause {
			c.t.Errorf("%s: %+v", name, s)
		}
	}
	if s := all["once"]; s.PID != 0 || s.Run != 1 || s.Cause != cause {
		c.t.Errorf("once: %+v", s)
	}
	if s := all["stopped"]; s.PID != 0 || s.Run != 1 || s.Status != "stopped" {
		c.t.Errorf("stopped: %+v", s)
	}
}

func TestARestartedContainerGoesOn(t *testing.T) {
	t.Parallel()
	for name, flags := range places {
		t.Run(name, func(t *testing.T) {
			c := kept(t, flags)
			c.do("restart", "-t", "30", c.name)
			c.comesBack("shutdown")
		})
		t.Run("killed, "+name, func(t *testing.T) {
			c := kept(t, flags)
			c.do("kill", "-s", "KILL", c.name)
			c.code()
			c.do("start", c.name)
			c.comesBack("lost")
		})
	}
	t.Run("another container", func(t *testing.T) {
		c := kept(t, "--privileged")
		volume := c.do("inspect", "--format", "{{(index .Mounts 0).Name}}", c.name)
		flags := "--privileged -v " + volume + ":/var/lib/processmanager"
		if said := c.refused(flags); !strings.Contains(said, "/var/lib/processmanager is in use by a daemon of another container") {
			t.Errorf("said %s", said)
		}
		c.do("rm", "-f", "-t", "0", c.name)
		next := c.engine.create(flags, without...)
		next.comesBack("lost")
	})
}
