package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// receiver is the other end, at a path or with an abstract name.
func receiver(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestMessagesArriveTogether(t *testing.T) {
	for _, path := range []string{t.TempDir() + "/notify", fmt.Sprintf("@processmanager-test-%d", os.Getpid())} {
		conn := receiver(t, path)
		if err := (Notifier{path}).Send(Ready, Status("3 processes:\n3 running"), ExtendTimeout(2*time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if want := "READY=1\nSTATUS=3 processes: 3 running\nEXTEND_TIMEOUT_USEC=2000000"; err != nil || string(buf[:n]) != want {
			t.Errorf("%s: %q, %v", path, buf[:n], err)
		}
	}
}

func TestReloadingTellsTheMonotonicTime(t *testing.T) {
	now := func() int64 {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		return ts.Nano() / 1000
	}
	before := now()
	var at int64
	if n, err := fmt.Sscanf(Reloading(), "RELOADING=1\nMONOTONIC_USEC=%d", &at); n != 1 || err != nil || at < before || at > now() {
		t.Errorf("%q: %v", Reloading(), err)
	}
}

func TestNobodyToNotifyIsNoError(t *testing.T) {
	if err := (Notifier{}).Send(Ready); err != nil {
		t.Error(err)
	}
	gone := t.TempDir() + "/gone"
	if err := (Notifier{gone}).Send(Ready); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("a socket that is not there: %v", err)
	}
}
