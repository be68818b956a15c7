package systemd

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// since is the end of the journal as it is now.
func since(t *testing.T) (cursor string) {
	t.Helper()
	out := host.Root.Do(t, "journalctl", "--no-pager", "-n", "1", "-o", "cat", "--show-cursor")
	_, cursor, ok := strings.Cut(out, "-- cursor: ")
	if !ok {
		t.Fatalf("no cursor in %q", out)
	}
	return cursor
}

var message = regexp.MustCompile(`processmanager\.service: Got notification message from PID (\d+) \((.*)\)`)

// systemd takes messages from the unit's main process, which is the keeper. What the worker
// has to say comes through that.
func TestAllThatSystemdIsToldComesFromTheKeeper(t *testing.T) {
	host.Root.Do(t, "systemd-analyze", "log-level", "debug")
	t.Cleanup(func() { host.Root.Do(t, "systemd-analyze", "log-level", "info") })
	begin := since(t)
	serve(t)
	start(t, "web")
	from := strconv.Itoa(ofSystem.keeper(t))
	var told []string
	hears := func(want string) {
		t.Helper()
		host.Eventually(t, "systemd is told "+want, func() bool {
			told = nil
			for line := range strings.Lines(host.Root.Do(t, "journalctl", "--no-pager", "-o", "cat", "--after-cursor", begin, "_PID=1")) {
				if strings.Contains(line, "reception only permitted") {
					t.Fatal(line)
				}
				if m := message.FindStringSubmatch(line); m != nil {
					told = append(told, m[2])
					if m[1] != from {
						t.Fatalf("%s told %s, and the keeper is %s", m[1], m[2], from)
					}
				}
			}
			return regexp.MustCompile(want).MatchString(strings.Join(told, "\n"))
		})
	}
	hears("READY=1")
	hears("WATCHDOG=1")
	hears("STATUS=1 process: 1 running")
	// An upgrade that systemd has not asked for is a reload all the same.
	begin = since(t)
	pm(t, "upgrade")
	hears(`(?s)RELOADING=1, MONOTONIC_USEC=\d+.*READY=1`)
	begin = since(t)
	host.Root.Do(t, "systemctl", "stop", unit)
	hears(`STOPPING=1, EXTEND_TIMEOUT_USEC=\d+`)
}

type entry struct {
	Message    string `json:"MESSAGE"`
	Priority   string `json:"PRIORITY"`
	Identifier string `json:"SYSLOG_IDENTIFIER"`
}

// said is what the daemon has written to the journal.
func said(t *testing.T, begin string, match ...string) (list []entry) {
	t.Helper()
	args := append([]string{"--no-pager", "-o", "json", "--after-cursor", begin, "SYSLOG_IDENTIFIER=processmanager"}, match...)
	for line := range strings.Lines(host.Root.Do(t, "journalctl", args...)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, e)
	}
	return list
}

// twice is what the journal knows by itself: the program, the priority, the time.
var twice = regexp.MustCompile(`^processmanager|^<\d>|\d\d:\d\d:\d\d`)

func TestJournalHasEachLineWithItsPriorityAndNothingTwice(t *testing.T) {
	begin := since(t)
	serve(t)
	has := func(text, priority string, match ...string) {
		t.Helper()
		host.Eventually(t, "the journal has "+text, func() bool {
			found := false
			for _, e := range said(t, begin, match...) {
				if twice.MatchString(e.Message) {
					t.Fatalf("%q", e.Message)
				}
				if strings.Contains(e.Message, text) {
					found = true
					if e.Priority != priority {
						t.Fatalf("%q has the priority %s", e.Message, e.Priority)
					}
				}
			}
			return found
		})
	}
	ofUnit := "_SYSTEMD_UNIT=" + unit
	has("listening on /run/processmanager/pm.sock", "6", ofUnit)
	kill(t, worker(t), syscall.SIGKILL)
	has("has ended (signal killed)", "4", ofUnit)
	pm(t, "upgrade")
	has("upgraded to what is now /usr/bin/processmanager", "6", ofUnit)
	// A second daemon says why it does not start.
	if out, err := host.Root.Try("systemd-run", "--wait", "--collect", "--unit=second", "processmanager"); err == nil {
		t.Errorf("it has started: %s", out)
	}
	has("is in use by the daemon with pid "+strconv.Itoa(ofSystem.keeper(t)), "3")
}

// Who looks at the host with systemd's own tools finds the processes there.
func TestStatusAndTreeShowTheProcesses(t *testing.T) {
	serve(t)
	web := start(t, "web")
	start(t, "db")
	pm(t, "stop", "db")
	host.Eventually(t, "the status line counts processes", func() bool {
		return host.Property("StatusText", unit) == "2 processes: 1 running, 1 stopped"
	})
	out := host.Root.Do(t, "systemctl", "--no-pager", "--full", "status", unit)
	for _, want := range []string{`Status: "2 processes: 1 running, 1 stopped"`, "Main PID: " + strconv.Itoa(ofSystem.keeper(t)), "listening on"} {
		if !strings.Contains(out, want) {
			t.Errorf("systemctl status does not show %q:\n%s", want, out)
		}
	}
	// The line with its pid stands below its group, which has its name and run. Between the two
	// some versions show attributes.
	out = host.Root.Do(t, "systemd-cgls", "--no-pager", "--full", "-u", filepath.Base(scope(t)))
	if !regexp.MustCompile(`─web\.1\b[^─]*─` + strconv.Itoa(web) + ` sleep 100000`).MatchString(out) {
		t.Errorf("systemd-cgls does not show web:\n%s", out)
	}
	if about := host.Property("Description", filepath.Base(scope(t))); about != "Processes of processmanager" {
		t.Errorf("the scope is described as %q", about)
	}
}
