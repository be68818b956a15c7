package integration

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// killWorker sends SIGKILL to the worker and waits until another is there.
func (d *daemon) killWorker() {
	d.t.Helper()
	old := d.worker()
	if old == 0 {
		d.t.Fatal("there is no worker")
	}
	if err := unix.Kill(old, unix.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	d.hangUp()
	eventually(d.t, "there is another worker", func() bool {
		now := d.worker()
		return now != 0 && now != old
	})
}

func TestWorkerThatIsKilledIsReplacedAndTreesLiveOn(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "tree", Command: "setsid sleep 1000 & exec sleep 1000"})
	d.start(process.Spec{Name: "seven", Logging: process.Logging{Log: true}, Command: "echo first; until [ -e enough ]; do sleep 0.05; done; echo last; exit 7"})
	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.said("seven", "first")
	eventually(t, "the tree is complete", func() bool { return len(pidsIn(d.group("tree", 1))) == 2 })
	pids := pidsIn(d.group("tree", 1))
	before := d.status("tree")
	for range 3 {
		d.killWorker()
		s := d.status("tree")
		if s.State != process.Running || s.PID != before.PID || s.Number != 1 || !s.Start.Equal(before.Start) {
			t.Errorf("was %+v\nis %+v", before, s)
		}
		for _, pid := range pids {
			if !alive(pid) {
				t.Errorf("pid %d has ended", pid)
			}
		}
	}
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("seven"); s.Cause != process.CauseExit || !same(s.ExitCode, new(7)) || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if got := d.logs("seven", 100); got != "first\nlast\n" {
		t.Errorf("its log is %q", got)
	}
	if s := d.status("timed"); s.State == process.Stopped || s.NextTime.IsZero() && s.State == process.Scheduled {
		t.Errorf("the schedule is lost: %+v", s)
	}
	d.stop("tree")
	d.nobodyLeft("tree", 1)
}

// The exit of a leader that ends while there is no worker is not lost.
func TestExitWithoutAWorkerIsNotLost(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"})
	d.said("x", "up")
	leader := d.status("x").PID
	d.stopWorker()
	if err := unix.Kill(leader, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader has ended", func() bool { return !alive(leader) })
	d.killWorker()
	if s := d.rest("x"); s.Cause != process.CauseExit || !same(s.ExitCode, new(9)) {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("x", 1)
}

func TestConnectionsAreMadeAgainAfterAWorkerWasKilled(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.dial(t)
	if err := unix.Kill(d.worker(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := pm.List(d.context()); err != nil { // it waits in the socket's queue
		t.Error(err)
	}
	if _, err := pm.Start(d.context(), process.Spec{Name: "x", Command: "true"}); err != nil {
		t.Error(err)
	}
}
