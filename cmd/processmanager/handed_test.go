package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Only what lets in nobody but this user and a group is listened on.
func TestSocketThatIsHandedOverIsLookedAt(t *testing.T) {
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for mode, wrong := range map[os.FileMode]string{0o600: "", 0o660: "", 0o666: "everybody can connect to " + path, 0o606: "everybody can connect"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, err := socketPath(int(f.Fd()))
		if wrong == "" && (err != nil || got != path) || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("mode %v: %q, %v", mode, got, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, 1, -1)); err != nil {
			t.Fatal(err)
		}
		const wrong = " is user 1's, and this daemon is user 0's"
		if _, err := socketPath(int(f.Fd())); err == nil || err.Error() != path+wrong {
			t.Errorf("of another user: %v", err)
		}
	}
	for wrong, kind := range map[string][2]int{
		"not a Unix socket":   {unix.AF_INET, unix.SOCK_STREAM},
		"not a stream socket": {unix.AF_UNIX, unix.SOCK_DGRAM},
		"nobody listens":      {unix.AF_UNIX, unix.SOCK_STREAM},
	} {
		fd, err := unix.Socket(kind[0], kind[1]|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := socketPath(fd); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
		unix.Close(fd)
	}
	if f, _, err := handedSocket(func(string) string { return "" }); f != nil || err != nil {
		t.Errorf("nothing was handed over: %v, %v", f, err)
	}
}
