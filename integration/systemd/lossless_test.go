package systemd

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// nothingIsLost holds for a daemon: whatever ends it but stop, the same processes live, with
// their limits, and the next daemon looks after them. It leaves the process web, and returns its
// pid.
func nothingIsLost(t *testing.T, d daemon) int {
	d.pm(t, "start", "-name", "web", "-command", "exec sleep 100000")
	web := d.Running(t, "web")
	limit(t, web)
	limited := group(t, web) + "/memory.max"
	d.pm(t, "start", "-name", "talks", "-log", "-command", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done")
	talks := d.Running(t, "talks")
	for _, c := range []struct {
		name string
		do   func(t *testing.T)
		same bool // the keeper
	}{
		{name: "the keeper is killed", do: func(t *testing.T) { kill(t, d.keeper(t), syscall.SIGKILL) }},
		{name: "the worker is killed", same: true, do: func(t *testing.T) { kill(t, worker(t), syscall.SIGKILL) }},
		{name: "both are killed", do: func(t *testing.T) {
			keeper, worker := d.keeper(t), worker(t)
			kill(t, keeper, syscall.SIGKILL)
			syscall.Kill(worker, syscall.SIGKILL) // it may have seen the end of the keeper
		}},
		{name: "all of the unit is killed", do: func(t *testing.T) { d.systemctl(t, "kill", "-s", "KILL", unit) }},
		{name: "the unit is restarted", do: func(t *testing.T) { d.systemctl(t, "restart", unit) }},
		{name: "the unit is reloaded", same: true, do: func(t *testing.T) { d.systemctl(t, "reload", unit) }},
		{name: "systemd is reloaded", same: true, do: func(t *testing.T) { d.systemctl(t, "daemon-reload") }},
		{name: "systemd is executed anew", same: true, do: func(t *testing.T) { d.systemctl(t, "daemon-reexec") }},
		{name: "the keeper is killed again", do: func(t *testing.T) { kill(t, d.keeper(t), syscall.SIGKILL) }},
	} {
		ok := t.Run(c.name, func(t *testing.T) {
			before := d.keeper(t)
			c.do(t)
			if c.same {
				d.answers(t, 0)
				if now := d.keeper(t); now != before {
					t.Errorf("the keeper was %d and is %d", before, now)
				}
			} else {
				d.answers(t, before)
			}
			if now := d.Running(t, "web"); now != web {
				t.Errorf("web was %d and is %d", web, now)
			}
			if now := d.Running(t, "talks"); now != talks {
				t.Errorf("talks was %d and is %d", talks, now)
			}
			if now := strings.TrimSpace(host.Read(t, limited)); now != strconv.Itoa(64<<20) {
				t.Errorf("memory.max is %s", now)
			}
			// Everything works: a process can be started, and its exit is seen.
			d.Once(t, "exit 7", 7)
		})
		if !ok {
			t.Fatal(host.Journal())
		}
	}
	// What was written meanwhile is there, each line once.
	lines := strings.Fields(d.pm(t, "logs", "talks", "-run", "1"))
	for i, line := range lines {
		if line != strconv.Itoa(i+1) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
	if len(lines) < 10 {
		t.Errorf("%d lines", len(lines))
	}
	return web
}
