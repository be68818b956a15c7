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

// A user's daemon asks his own instance of systemd; root's asks the system's, from wherever it
// was started, unless his own instance has started it.
func TestEachDaemonAsksTheSystemdThatAnswersForIt(t *testing.T) {
	const (
		session = "/user.slice/user-1000.slice/session-3.scope"
		service = "/user.slice/user-1000.slice/user@1000.service/app.slice/processmanager.service"
	)
	for _, c := range []struct {
		uid         int
		group       string
		user, unit  string
		holdsGroups bool // of its units
	}{
		{1000, session, "1000", "", false},
		{1000, service, "1000", "processmanager.service", true},
		{1000, "/sys/fs/cgroup" + service, "1000", "processmanager.service", true},
		{1000, "/system.slice/cron.service", "1000", "", false},
		{100, service, "100", "", false}, // su
		{0, session, "", "session-3.scope", true},
		{0, "/system.slice/processmanager.service", "", "processmanager.service", true},
		{0, "/user.slice/user-0.slice/user@0.service/app.slice/x.service", "0", "x.service", true},
		{0, "/user.slice/user-0.slice/user@0.service/app.slice/tmux.scope", "", "user@0.service", true},
	} {
		m := For("/run", c.uid, c.group)
		if m.User != c.user || m.UnitOf(c.group) != c.unit || m.Holds(c.group) != c.holdsGroups {
			t.Errorf("%+v: %+v, unit %q, holds it: %v", c, m, m.UnitOf(c.group), m.Holds(c.group))
		}
	}
}

func TestMainProcessOfAServiceIsTold(t *testing.T) {
	const (
		service = "/system.slice/processmanager.service"
		users   = "/user.slice/user-1000.slice/user@1000.service/app.slice/processmanager.service"
	)
	for _, c := range []struct {
		uid               int
		group, exec, want string
	}{
		{0, service, "77", "processmanager.service"},
		{0, service, "76", ""}, // it was started by a script that is
		{0, service, "", ""},
		{0, "/user.slice/user-0.slice/session-1.scope", "77", ""},
		{1000, users, "77", "processmanager.service"},
		{1000, users, "76", ""},
		{1000, service, "77", ""}, // the system's instance has started it
		{1000, "/user.slice/user-1000.slice/session-1.scope", "77", ""},
		{0, "/user.slice/user-0.slice/user@0.service/app.slice/processmanager.service", "77", "processmanager.service"},
	} {
		getenv := func(name string) string { return map[string]string{"SYSTEMD_EXEC_PID": c.exec}[name] }
		if got := For("/run", c.uid, c.group).MainOf(c.group, 77, getenv); got != c.want {
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
