package host

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// User is who runs commands.
type User struct {
	Name string
	ID   int
	Home string
}

// The users of a guest.
var (
	Root   = User{} // with the environment and the directory of the tests
	Tester = User{"tester", 1000, "/home/tester"}
)

// Command is a command of the user's, in no session of his. It reaches his systemd.
func (u User) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	if u == Root {
		return cmd
	}
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name, "SHELL=/bin/sh",
		fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", u.ID),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.ID), Gid: uint32(u.ID)}}
	return cmd
}

// Try runs a command and returns what it has written.
func (u User) Try(name string, args ...string) (string, error) {
	out, err := u.Command(name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Do is Try for a command that must work.
func (u User) Do(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := u.Try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, Journal())
	}
	return out
}
