package systemd

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestSystemdRunsWhereItHasMadeItsDirectory(t *testing.T) {
	m := Manager{t.TempDir()}
	if m.Runs() {
		t.Error("it runs without its directory")
	}
	if err := os.MkdirAll(m.Run+"/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	if !m.Runs() {
		t.Error("it does not run")
	}
}

// Every way to it is named when none works.
func TestUnreachableSystemdIsTold(t *testing.T) {
	m := Manager{t.TempDir()}
	for what, err := range map[string]error{
		"scope": m.StartScope(context.Background(), Scope{Name: "x.scope", PID: os.Getpid()}),
		"stop":  m.StopUnit(context.Background(), "x.scope"),
	} {
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "/systemd/private") || !strings.Contains(err.Error(), "/dbus/system_bus_socket") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := m.Job(context.Background(), "x.service"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("job: %v", err)
	}
}
