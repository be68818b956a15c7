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
	for _, socket := range []string{"/systemd/private", "/bus"} {
		m := Manager{t.TempDir(), "1000"}
		for _, dir := range []string{"/systemd/system", "/user/1000/systemd", "/user/1001/systemd/private"} {
			if err := os.MkdirAll(m.Run+dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if m.Runs() || !m.Booted() {
			t.Error("it runs for a user without a session")
		}
		if err := os.WriteFile(m.Run+"/user/1000"+socket, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !m.Runs() {
			t.Errorf("it does not run with %s", socket)
		}
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
