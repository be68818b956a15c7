package keeper

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRequestWaitsForDescriptorsUnderWay: the kernel lets an ordinary user have as many
// descriptors under way, in all sockets together, as one process may open. That others
// have used them up for a moment does not fail a start.
func TestRequestWaitsForDescriptorsUnderWay(t *testing.T) {
	const again = "PM_TEST_SHORTAGE"
	if os.Getenv(again) == "" {
		child := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), again+"=1")
		child.Dir = "/"
		if os.Getuid() == 0 {
			child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 20124, Gid: 20124}} // nobody's
		}
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	pair := func() [2]int {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fds
	}
	others := pair()
	for err := error(nil); err != unix.ETOOMANYREFS; {
		if err = unix.Sendmsg(others[0], []byte("x"), unix.UnixRights(2), nil, unix.MSG_DONTWAIT); err != nil && err != unix.ETOOMANYREFS {
			t.Fatal(err)
		}
	}
	c, err := newConn(pair()[0])
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{conn: c}
	p := packet{kind: kindSpawn, files: []*os.File{os.Stderr}}
	if err := c.trySend(p); err != unix.ETOOMANYREFS {
		t.Fatal("there is no shortage: ", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { unix.Close(others[0]); unix.Close(others[1]) })
	if err := l.send(p); err != nil {
		t.Error(err)
	}
}
