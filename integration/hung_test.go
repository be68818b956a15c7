package integration

import (
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// A worker that hangs does not see that its keeper is gone, and holds the store.
func TestDaemonComesBackAfterAWorkerThatHangs(t *testing.T) {
	d := startDaemon(t, setup{})
	before := d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	hung := d.worker()
	if err := syscall.Kill(hung, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(hung, syscall.SIGKILL)
	d.hangUp()
	keeper := d.keeper()
	syscall.Kill(keeper, syscall.SIGKILL)
	eventually(t, "the keeper is gone", func() bool { return len(procStat(keeper)) == 0 })
	d.launch() // the end of the first is not waited for: its worker has the log open
	if s := d.status("web"); s.PID != before.PID {
		t.Errorf("web was %d and is %+v", before.PID, s)
	}
	if now := d.worker(); now == hung {
		t.Error("the worker that hung is there still")
	}
}
