package run

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/proc"
)

// withoutDescriptors calls f while this process can open nothing.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestShortageOfDescriptorsIsNotTheEndOfALeader(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	id, err := proc.Identify("/proc", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	o := &orphan{procfs: "/proc", stop: make(chan struct{}), leader: func() (proc.ID, error) { return id, nil }}
	ended := make(chan struct{})
	withoutDescriptors(t, func() {
		if err := o.await(); !proc.Passing(err) {
			t.Errorf("without descriptors: %v", err)
		}
		if err := o.kill(); !proc.Passing(err) {
			t.Errorf("kill without descriptors: %v", err)
		}
		go o.watch(func() { close(ended) })
	})
	other := &orphan{procfs: "/proc", leader: func() (proc.ID, error) { return proc.ID{PID: id.PID, Start: id.Start + 1}, nil }}
	if err := other.await(); err != errEnded {
		t.Errorf("a pid that is another's by now: %v", err)
	}
	hidden := &orphan{procfs: t.TempDir(), leader: o.leader}
	if err := hidden.await(); err == nil || err == errEnded {
		t.Errorf("a /proc that does not show it: %v", err)
	}
	if err := o.kill(); err != nil { // and only now
		t.Fatal(err)
	}
	select { // a zombie has ended
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("its end was not seen")
	}
	cmd.Wait()
	if err := o.await(); err != errEnded {
		t.Errorf("when it is gone: %v", err)
	}
}

func TestGroupThatCannotBeReadIsNotEmpty(t *testing.T) {
	h, err := cgroup.Find("/proc")
	if err != nil {
		t.Fatal(err)
	}
	self, err := h.Self(0)
	if err != nil {
		t.Fatal(err)
	}
	g := h.Group(self).Child(fmt.Sprint("pm-test-empty-", os.Getpid()))
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	withoutDescriptors(t, func() {
		if empty, err := IsEmpty(g); empty || !proc.Passing(err) {
			t.Errorf("without descriptors: %v, %v", empty, err)
		}
	})
	if empty, err := IsEmpty(g); !empty || err != nil {
		t.Errorf("without processes: %v, %v", empty, err)
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	if empty, err := IsEmpty(g); !empty || err != nil {
		t.Errorf("when it is gone: %v, %v", empty, err)
	}
}
