package integration

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A disk that hangs, made by freezing a file system: every write to it waits.

// newFreezing is a daemon whose state directory, with the FIFOs in it, is a disk of its own.
func newFreezing(t *testing.T) *daemon {
	return newDaemon(t, setup{Private: true, Wrap: []string{"/bin/sh", "-ec",
		`[ -e image ] || { truncate -s 32M image; mkfs.ext4 -q image; mkdir -p -m 700 state; }; mount -o loop image state; chmod 700 state; exec "$0" "$@"`}})
}

// soon fails the test if f takes longer than a request that waits for nobody may.
func (d *daemon) soon(what string, f func() error) {
	d.t.Helper()
	began := time.Now()
	if err := f(); err != nil {
		d.t.Errorf("%s: %v", what, err)
	}
	if took := time.Since(began); took > paced(3*time.Second) {
		d.t.Errorf("%s took %v", what, took)
	}
}

const hangs = "does not answer"

// Signals are sent, and what can be known is told, while the disk hangs. What was asked
// is answered within bounds, and done when the disk comes back.
func TestDiskThatHangsHoldsUpNoSignalAndNoList(t *testing.T) {
	t.Parallel()
	d := newFreezing(t)
	d.launch()
	sleep := "trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait; done"
	for _, name := range []string{"stop", "restart", "delete", "rest"} {
		d.start(process.Spec{Name: name, Logging: process.Logging{Log: true}, Command: sleep})
		d.said(name, "up")
	}
	if s := d.stop("rest"); s.State != process.Stopped {
		t.Fatalf("%+v", s)
	}
	d.start(process.Spec{Name: "deaf", Ending: process.Ending{StopTimeout: new(200 * time.Millisecond)}, Command: "trap '' TERM; echo up; while :; do sleep 1000; done"})
	d.said("deaf", "up")
	d.start(process.Spec{Name: "limited", Ending: process.Ending{Deadline: paced(2 * time.Second)}, Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "chatty", Logging: process.Logging{Log: true}, Command: "while :; do echo line; sleep 0.01; done"})
	d.said("chatty", "line")
	d.start(process.Spec{Name: "silent", Command: "until [ -e go ]; do sleep 0.05; done; i=0; while [ $i -lt 100000 ]; do echo $i; i=$((i+1)); done; touch done; exec sleep 1000"})
	d.start(process.Spec{Name: "ends", Logging: process.Logging{Log: true}, Command: "until [ -e go ]; do sleep 0.05; done; echo last; exit 7"})
	d.start(process.Spec{Name: "timed", Schedule: process.Schedule{Cron: "@every 1s"}, Command: "true"})
	d.await("timed", "run", func(s process.Status) bool { return s.LastRun != nil })

	thaw := d.freezeDisk("state")
	pm := d.dial(t)
	type told struct {
		name string
		err  error
		took time.Duration
	}
	answers := make(chan told)
	asked := 0
	ask := func(name string, f func() error) {
		asked++
		go func() {
			began := time.Now()
			answers <- told{name, f(), time.Since(began)}
		}()
	}
	for _, name := range []string{"stop", "deaf", "chatty"} {
		pm := d.dial(t)
		ask(name, func() error { return second(pm.Stop(d.context(), name)) })
	}
	again, remove, deleteRest, fresh, start, upgrade := d.dial(t), d.dial(t), d.dial(t), d.dial(t), d.dial(t), d.dial(t)
	ask("restart", func() error { return second(again.Restart(d.context(), "restart", "")) })
	ask("delete", func() error { return remove.Delete(d.context(), "delete") })
	ask("delete at rest", func() error { return deleteRest.Delete(d.context(), "rest") })
	ask("new", func() error {
		return second(fresh.Start(d.context(), process.Spec{Name: "new", Command: "echo made; exec sleep 1000"}))
	})
	eventually(t, "the trees have ended", func() bool {
		for _, name := range []string{"stop", "restart", "delete", "deaf", "limited", "chatty"} {
			if len(d.survivors(name, 1)) > 0 {
				return false
			}
		}
		return true
	})
	touchFile(t, d.dir+"/go")
	eventually(t, "what goes to no file is taken", func() bool { return !gone(d.dir + "/done") })
	for range 3 {
		d.soon("list", func() error { return second(pm.List(d.context())) })
		for _, name := range []string{"stop", "chatty", "silent", "ends", "timed", "new"} {
			d.soon("status "+name, func() error { return second(pm.Status(d.context(), name)) })
			d.soon("log "+name, func() error { return second(pm.LogLines(d.context(), name, 1)) })
		}
		d.soon("doctor", func() error { return second(pm.Doctor(d.context())) })
	}
	for range asked {
		a := <-answers
		if !isCode(a.err, process.CodeStore) || !strings.Contains(a.err.Error(), hangs) {
			t.Errorf("%s: %v", a.name, a.err)
		}
		if limit := paced(8 * time.Second); a.took > limit {
			t.Errorf("%s was answered after %v", a.name, a.took)
		}
	}
	// Now that it is known to hang nobody waits for it again.
	d.soon("stop again", func() error {
		if err := second(pm.Stop(d.context(), "stop")); !isCode(err, process.CodeStore) {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	ask("start", func() error { return second(start.Start(d.context(), process.Spec{Name: "stop"})) })
	if a := <-answers; !isCode(a.err, process.CodeStore) {
		t.Errorf("start of one that has ended: %v", a.err)
	}
	if _, err := upgrade.Upgrade(d.context(), 0); !isCode(err, process.CodeUpgrade) || !strings.Contains(err.Error(), hangs) {
		t.Errorf("upgrade: %v", err)
	}

	thaw()
	for name, state := range map[string]process.State{"stop": process.Running, "deaf": process.Stopped, "chatty": process.Stopped,
		"restart": process.Running, "limited": process.Failed, "ends": process.Failed, "new": process.Running} {
		s := d.await(name, state.String(), func(s process.Status) bool { return s.State == state })
		if s.LastRun == nil && name != "new" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	eventually(t, "what was to be deleted is gone", func() bool {
		_, err := pm.Status(d.context(), "delete")
		_, err2 := pm.Status(d.context(), "rest")
		return errors.Is(err, process.ErrNotFound) && errors.Is(err2, process.ErrNotFound)
	})
	if got := d.logs("ends", 1); got != "last\n" {
		t.Errorf("its log ends with %q", got)
	}
	if s := d.status("ends"); s.Cause != process.CauseExit || !same(s.ExitCode, new(7)) {
		t.Errorf("%+v", s)
	}
	runs := d.status("timed").Number
	d.await("timed", "run again", func(s process.Status) bool { return s.Number > runs })
	for _, name := range []string{"delete", "rest"} {
		if left, _ := os.Stat(fmt.Sprintf("/proc/%d/root%s/logs/%s", d.keeper(), d.state, name)); left != nil {
			t.Errorf("the log of %s is left", name)
		}
	}
	d.killWorker()
	for name, state := range map[string]process.State{"stop": process.Running, "deaf": process.Stopped, "restart": process.Running, "limited": process.Failed, "ends": process.Failed} {
		if s := d.status(name); s.State != state {
			t.Errorf("after the worker's death: %+v", s)
		}
	}
}

// The end of the daemon ends every tree, and comes, though the disk hangs.
func TestShutdownWithADiskThatHangs(t *testing.T) {
	t.Parallel()
	d := newFreezing(t)
	d.launch()
	d.start(process.Spec{Name: "polite", Logging: process.Logging{Log: true}, Command: "trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait; done"})
	d.start(process.Spec{Name: "chatty", Logging: process.Logging{Log: true}, Command: "while :; do echo line; sleep 0.01; done"})
	d.said("polite", "up")
	d.said("chatty", "line")
	thaw := d.freezeDisk("state")
	d.hangUp()
	if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trees have ended", func() bool {
		return len(d.survivors("polite", 1)) == 0 && len(d.survivors("chatty", 1)) == 0
	})
	eventually(t, "the keeper has ended", func() bool { return gone(fmt.Sprint("/proc/", d.keeper())) })
	thaw() // the worker ends too, and nobody holds stderr any more
	if code := d.wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := d.log.since(0); !strings.Contains(said, hangs) {
		t.Errorf("it does not say why: %s", said)
	}
	d.launch() // the groups have kept what could not be written
	for _, name := range []string{"polite", "chatty"} {
		if s := d.rest(name); s.State != process.Stopped || s.Cause != process.CauseShutdown || s.Number != 1 {
			t.Errorf("the next daemon knows of it: %+v", s)
		}
	}
}
