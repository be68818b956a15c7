package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The exit code of who waits is that of the run, as a shell would have it.
func TestWaitExitsAsTheRunDid(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	os.WriteFile(d.dir+"/plain", []byte("no program"), 0o600)
	stop := func() { d.stop("job") }
	trapped := func() {
		eventually(t, "a trap", func() bool { _, err := os.Stat(d.dir + "/trapped"); return err == nil })
		stop()
	}
	for i, c := range []struct {
		command string
		more    []string // of its start
		then    func()
		wait    []string
		code    int
		says    string
	}{
		{"exit 0", nil, nil, nil, 0, "ended: exit, code 0"},
		{"exit 3", nil, nil, nil, 3, "code 3"},
		{"kill -9 $$", nil, nil, nil, 137, "SIGKILL"},
		{"exec sleep 600", nil, stop, nil, 143, "stop, SIGTERM"},
		{"trap 'exit 0' TERM; : >trapped; while :; do sleep 0.01; done", nil, trapped, nil, 0, "stop, code 0"},
		{"exec nothing-of-that-name", nil, nil, nil, 127, "code 127"},
		{"exec ./plain", nil, nil, nil, 126, "code 126"},
		{"exec sleep 600", []string{"-deadline", "50ms"}, nil, nil, 124, "deadline"},
		{"exec sleep 600", nil, nil, []string{"-timeout", "50ms"}, 124, "has not ended after 50ms"},
		{"exec sleep 600", nil, nil, []string{"-for", "ready"}, 0, "is ready: run 1, pid"},
		{"exec sleep 600", nil, nil, []string{"-for", "healthy"}, 125, "no health probe"},
		{"exec sleep 600", []string{"-health", "exec:true", "-health_period", "100ms"}, nil, []string{"-for", "healthy"}, 0, "is healthy: run 1"},
		{"exit 4", []string{"-ready", "exec:false"}, nil, []string{"-for", "ready"}, 1, "not ready: run 1 ended"},
		{"exit 5", []string{"-restart", "on-failure"}, nil, []string{"-for", "end", "-run", "1"}, 5, "run 1 ended"},
		{"exit 5", []string{"-restart", "on-failure", "-restart_delay", "1s", "-restart_limit", "1"}, nil, []string{"-for", "stopped"}, 5, "is failed: run 2 ended"},
		{"exit 0", []string{"-cron", "@hourly"}, nil, []string{"-timeout", "50ms"}, 124, "has not ended"},
	} {
		what := fmt.Sprintf("%d: %s, %v", i, c.command, c.more)
		if r := d.pmclient(append([]string{"start", "job", "-command", c.command}, c.more...)...); r.code != 0 && !strings.Contains(strings.Join(c.wait, ""), "ready") {
			t.Errorf("%s: start: %s", what, r.stderr)
		}
		waiting := d.background(append([]string{"wait", "job"}, c.wait...)...)
		if c.then != nil {
			c.then()
		}
		if r := waiting(); r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.says) {
			t.Errorf("%s: code %d, %q, %q; want %d, %q", what, r.code, r.stdout, r.stderr, c.code, c.says)
		}
		d.mustClient("delete", "job")
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"wait", "nobody"}, 125, "no process 'nobody'"},
		{[]string{"wait"}, 125, "needs the name"},
		{[]string{"wait", "job", "-for", "christmas"}, 125, "end, ready, stopped, healthy"},
		{[]string{"wait", "job", "-timeout", "soon"}, 125, "length of time"},
	} {
		if r := d.pmclient(c.args...); r.code != c.code || !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: code %d, %q", c.args, r.code, r.stderr)
		}
	}
	if r := d.execute(programs.client, "-socket", d.dir+"/none", "-secret", theSecret, "wait", "job"); r.code != 125 || !strings.Contains(r.stderr, "no daemon there") {
		t.Errorf("without a daemon: code %d, %q", r.code, r.stderr)
	}
}

// background runs the client beside the test.
func (d *daemon) background(args ...string) (wait func() result) {
	d.t.Helper()
	done := make(chan result, 1)
	go func() { done <- d.pmclient(args...) }()
	return func() result { return <-done }
}

// At rest after a run that result is there at once; who never ran is waited for.
func TestWaitIsForTheRunUnderWay(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	if _, err := pm.Define(d.context(), process.Spec{Name: "job", Command: "exit 7"}); err != nil {
		t.Fatal(err)
	}
	first := make(chan process.Run, 1)
	go func() {
		r, err := d.dial(t).Wait(d.context(), "job", 0)
		if err != nil {
			t.Error(err)
		}
		first <- r
	}()
	d.mustClient("start", "job")
	if r := <-first; r.Number != 1 || *r.ExitCode != 7 {
		t.Errorf("%+v", r)
	}
	for range 3 {
		if r, err := pm.Wait(d.context(), "job", 0); err != nil || r.Number != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	d.mustClient("start", "job")
	d.rest("job")
	if r, err := pm.Wait(d.context(), "job", 1); err != nil || r.Number != 1 { // the history has it
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := pm.Wait(d.context(), "job", 0); err != nil || r.Number != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	var w process.Waited
	if err := json.Unmarshal([]byte(d.mustJSON("!!process.wait name:job format:json")), &w); err != nil || w.Name != "job" || w.State != process.Failed || *w.ExitCode != 7 || w.Cause != process.CauseExit {
		t.Errorf("%+v, %v", w, err)
	}
}

// Of runs side by side the newest is the one under way; each of them can be named.
func TestWaitTellsRunsSideBySideApart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := process.Spec{Name: "job", Command: "until [ -e go$PROCESSMANAGER_RUN ]; do sleep 0.02; done; exit $PROCESSMANAGER_RUN"}
	spec.Cron, spec.Overlap, spec.OverlapMax = "@yearly", process.OverlapAllow, 3
	d.start(spec)
	d.mustClient("trigger", "job")
	d.mustClient("trigger", "job")
	newest, first := d.background("wait", "job"), d.background("wait", "job", "-run", "1")
	d.waiters(5)
	for number, waits := range map[int]func() result{2: newest, 1: first} {
		os.WriteFile(fmt.Sprintf("%s/go%d", d.dir, number), nil, 0o600)
		if r := waits(); r.code != number || !strings.Contains(r.stdout, fmt.Sprintf("run %d ended", number)) {
			t.Errorf("run %d: code %d, %q, %q", number, r.code, r.stdout, r.stderr)
		}
	}
}

// mustJSON is the payload of the answer to an action.
func (d *daemon) mustJSON(action string) string {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "script")
	os.WriteFile(file, []byte(action), 0o600)
	return d.pmclient("run", file).stdout
}

// Several are waited for side by side; all must do well.
func TestWaitForSeveralTellsEach(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for name, command := range map[string]string{"a": "exit 0", "b": "exec sleep 600", "batch-1": "exit 3", "batch-2": "exit 0"} {
		d.start(process.Spec{Name: name, Command: command})
	}
	r := d.pmclient("wait", "a", "b", "batch-*", "-timeout", "200ms")
	if r.code != 124 || strings.Count(r.stdout, "\n") != 5 || !strings.Contains(r.stdout, "time_over") || !strings.Contains(r.stdout, "exit, code 3") {
		t.Errorf("code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if r := d.pmclient("wait", "a", "batch-*"); r.code != 3 {
		t.Errorf("code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if r := d.pmclient("wait", "a", "batch-2"); r.code != 0 || r.stderr != "" {
		t.Errorf("code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if r := d.pmclient("wait", "a", "b", "-run", "1"); r.code != 125 || !strings.Contains(r.stderr, "run: 1 given for 2 processes: give a number for each") {
		t.Errorf("code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	began := time.Now()
	for _, args := range [][]string{{"wait", "b", "end2"}, {"restart", "b", "-wait", "end2"}, {"start", "b", "end2", "-wait"}} {
		if r := d.pmclient(args...); r.code != 125 || !strings.Contains(r.stderr, "no process 'end2'") {
			t.Errorf("%q: code %d, %q, %q", args, r.code, r.stdout, r.stderr)
		}
	}
	if s := d.status("b"); s.Number != 1 || time.Since(began) > patience {
		t.Errorf("a name that nobody has was found after the others were waited for: %+v", s)
	}
}

// A wait is not lost with the daemon: the next one goes on with it, for the same run.
func TestWaitsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*daemon){"upgrade": (*daemon).upgraded}
	for name, kill := range both {
		ways[name] = kill
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			go1 := filepath.Join(d.dir, "go")
			d.start(process.Spec{Name: "job", Command: "until [ -e go ]; do sleep 0.02; done; exit 9", Restarting: process.Restarting{Restart: process.RestartOnFailure}})
			d.start(process.Spec{Name: "two", Command: "until [ -e go ]; do sleep 0.02; done"})
			pm := d.dial(t)
			one, several := d.background("wait", "job"), d.background("wait", "job", "two")
			want, cause := 9, process.CauseExit
			if name == "daemon" { // the next keeper is not the leader's parent
				want, cause = 125, process.CauseLost
			}
			api := make(chan error, 1)
			go func() {
				r, err := pm.Wait(d.context(), "job", 1)
				if _, known := r.Code(); err == nil && (r.Exit() != want || known != (want == 9) || r.Number != 1 || r.Cause != cause) {
					err = fmt.Errorf("%+v", r)
				}
				api <- err
			}()
			d.waiters(7) // a client has one of its own for what it waits for
			for range 2 {
				way(d)
			}
			os.WriteFile(go1, nil, 0o600)
			if r := one(); r.code != want || !strings.Contains(r.stdout, "run 1 ended") {
				t.Errorf("code %d, %q, %q", r.code, r.stdout, r.stderr)
			}
			if r := several(); r.code != want {
				t.Errorf("several: code %d, %q, %q", r.code, r.stdout, r.stderr)
			}
			if err := <-api; err != nil {
				t.Error(err)
			}
			d.stop("job")
		})
	}
}

// connections is how many clients the daemon has a connection to.
func (d *daemon) connections() (n int) {
	d.t.Helper()
	data, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Count(string(data), " "+d.socket+"\n") - 1 // the one that listens
}

// waiters waits until there are so many connections, that of the test included. Those of
// clients that have ended may last a moment.
func (d *daemon) waiters(n int) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d connections", n), func() bool { return d.connections() == n })
}

// Who hangs up waits no longer, and nothing is left of the wait.
func TestWhoHangsUpWaitsNoLonger(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "job", Command: "exec sleep 600"})
	pm := d.dial(t)
	done := make(chan error, 1)
	go func() {
		_, err := pm.Wait(d.context(), "job", 0)
		done <- err
	}()
	cmd := exec.Command(programs.client, "-socket", d.socket, "-secret", theSecret, "wait", "job")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.waiters(5)
	cmd.Process.Signal(unix.SIGINT)
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("interrupted: code %d", cmd.ProcessState.ExitCode())
	}
	pm.Close()
	if err := <-done; err == nil {
		t.Error("a wait ends well that was given up")
	}
	if s := d.status("job"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
	d.mustClient("delete", "job")
	if _, err := d.client().Wait(d.context(), "job", 0); !errors.Is(err, process.ErrNotFound) || errors.Is(err, client.ErrConnectionLost) {
		t.Errorf("%v", err)
	}
}
