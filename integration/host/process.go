package host

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// Status is what pmclient says of a process.
type Status struct {
	Name   string    `json:"name"`
	Status string    `json:"status"`
	PID    int       `json:"pid"`
	Run    int       `json:"run"`
	Start  time.Time `json:"start_time"`
	Cause  string    `json:"cause"`
	Last   *Run      `json:"last_run"`
}

// Run is one that has ended.
type Run struct {
	Number int    `json:"run"`
	Cause  string `json:"cause"`
	Code   *int   `json:"exit_code"`
}

// Status is that of a process of the user's daemon.
func (u User) Status(t testing.TB, name string) (s Status) {
	t.Helper()
	out, err := u.Command("pmclient", "status", name, "-format", "json").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 3) { // 3: it is at rest
		t.Fatalf("status of %s: %v\n%s", name, err, Journal())
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("status of %s: %v: %s", name, err, out)
	}
	return s
}

// Running is the pid of a process that must run.
func (u User) Running(t testing.TB, name string) int {
	t.Helper()
	s := u.Status(t, name)
	if s.Status != "running" || s.PID == 0 {
		t.Fatalf("%s: %+v", name, s)
	}
	return s.PID
}

// Start starts a process and returns its pid.
func (u User) Start(t testing.TB, name, command string, more ...string) int {
	t.Helper()
	u.Do(t, "pmclient", append([]string{"start", "-name", name, "-command", command}, more...)...)
	return u.Running(t, name)
}

// Once runs a command to its end, which must have an exit code.
func (u User) Once(t testing.TB, command string, code int) {
	t.Helper()
	u.Try("pmclient", "start", "-name", "once", "-wait", "end", "-command", command)
	if s := u.Status(t, "once"); s.Last == nil || s.Last.Code == nil || *s.Last.Code != code {
		t.Errorf("%s: %+v", command, s)
	}
	u.Do(t, "pmclient", "delete", "once")
}
