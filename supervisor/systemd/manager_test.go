package systemd

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestSystemdRunsWhereItHasMadeItsDirectory(t *testing.T) {
	m := Manager{Run: t.TempDir()}
	if m.Runs() || m.Booted() {
		t.Error("it runs without its directory")
	}
	if err := os.MkdirAll(m.Run+"/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	if !m.Runs() || !m.Booted() {
		t.Error("it does not run")
	}
}

// Where systemd runs there may yet be no instance of a user.
func TestInstanceOfAUserRunsWhereItHasASocket(t *testing.T) {
	m := Manager{t.TempDir(), "1000"}
	if err := os.MkdirAll(m.Run+"/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	if m.Runs() || !m.Booted() {
		t.Error("it runs for a user without a session")
	}
	if err := os.MkdirAll(m.Run+"/user/1000/systemd/private", 0o755); err != nil {
		t.Fatal(err)
	}
	if !m.Runs() {
		t.Error("it does not run")
	}
}

// Every way to it is named when none works.
func TestUnreachableSystemdIsTold(t *testing.T) {
	dir := t.TempDir()
	for m, sockets := range map[Manager][]string{
		{Run: dir}:               {dir + "/systemd/private", dir + "/dbus/system_bus_socket"},
		{Run: dir, User: "1000"}: {dir + "/user/1000/systemd/private", dir + "/user/1000/bus"},
	} {
		_, err := m.Job(context.Background(), "x.service")
		for what, err := range map[string]error{
			"scope":  m.StartScope(context.Background(), Scope{Name: "x.scope", PID: os.Getpid()}),
			"attach": m.Attach(context.Background(), "x.scope", "/x", os.Getpid()),
			"stop":   m.StopUnit(context.Background(), "x.scope"),
			"job":    err,
		} {
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), sockets[0]) || !strings.Contains(err.Error(), sockets[1]) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}
