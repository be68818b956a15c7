package systemd

import (
	"os"
	"slices"
	"strconv"
	"testing"
)

func TestUnitOfAGroup(t *testing.T) {
	for group, want := range map[string]string{
		"/": "", "/pm": "", "/system.slice": "",
		"/system.slice/processmanager.service":                                      "processmanager.service",
		"/system.slice/processmanager-x.scope/processmanager-x/p/web.1":             "processmanager-x.scope",
		"/user.slice/user-0.slice/session-1.scope":                                  "session-1.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/x.service/payload": "user@1000.service",
	} {
		if got := UnitOf(group); got != want {
			t.Errorf("%s: %q, want %q", group, got, want)
		}
		if got := InTree(group); got != (group != "/" && group != "/pm") {
			t.Errorf("%s: in systemd's tree: %v", group, got)
		}
	}
}

func TestMainProcessOfAServiceIsTold(t *testing.T) {
	const service = "/system.slice/processmanager.service"
	for _, c := range []struct {
		group, exec, want string
	}{
		{service, "77", "processmanager.service"},
		{service, "76", ""}, // it was started by a script that is
		{service, "", ""},
		{"/user.slice/user-0.slice/session-1.scope", "77", ""},
	} {
		getenv := func(name string) string { return map[string]string{"SYSTEMD_EXEC_PID": c.exec}[name] }
		if got := MainOf(c.group, 77, getenv); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestWatchdogIsForTheProcessThatItNames(t *testing.T) {
	for _, c := range []struct {
		pid, usec string
		want      string
	}{
		{"", "3000000", "3s"}, {"77", "3000000", "3s"}, {"76", "3000000", "0s"},
		{"77", "", "0s"}, {"77", "0", "0s"}, {"77", "-1", "0s"}, {"77", "x", "0s"}, {"77", "18446744073709551615", "0s"},
	} {
		getenv := func(name string) string {
			return map[string]string{"WATCHDOG_PID": c.pid, "WATCHDOG_USEC": c.usec}[name]
		}
		if got := Watchdog(77, getenv).String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestWhatIsForThisProcessAloneIsNotHandedDown(t *testing.T) {
	given := []string{"PATH=/bin", "NOTIFY_SOCKET=/run/systemd/notify", "WATCHDOG_USEC=1", "WATCHDOG_PID=" + strconv.Itoa(os.Getpid()),
		"LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x", "SYSTEMD_EXEC_PID=1", "NOTIFY_SOCKETS=x"}
	if got, want := WithoutOwn(given), []string{"PATH=/bin", "NOTIFY_SOCKETS=x"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestJobsThatStopInOrderToStart(t *testing.T) {
	for job, want := range map[string]bool{
		"restart": true, "try-restart": true, "stop": false, "start": false, "reload": false, "verify-active": false, "": false,
	} {
		if StartsAgain(job) != want {
			t.Errorf("%q: %v", job, !want)
		}
	}
}
