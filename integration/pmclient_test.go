package integration

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestExitCodesOfPmclient(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "there", Command: "exec sleep 1000"})
	to := []string{"-socket", d.socket, "-secret", theSecret}
	for _, c := range []struct {
		args  []string
		code  int
		error string // stands in the line
	}{
		{append(to, "list"), 0, ""},
		{append(to, "status", "there"), 0, ""},
		{append(to, "help"), 0, ""},
		{append(to, "help", "start"), 0, ""},
		{append(to, "-h"), 0, ""},
		{append(to, "start", "-h"), 0, ""},

		{append(to, "status", "nobody"), 4, "pmclient list"},
		{append(to, "stop", "nobody"), 1, "nobody"},
		{append(to, "start", "there", "-command", "true"), 1, "another definition (command)"},

		{to, 2, "command"},
		{append(to, "destroy"), 2, "destroy"},
		{append(to, "list", "-colour"), 2, "colour"},
		{append(to, "doctor", "name"), 2, "name"},
		{append(to, "stop"), 2, "name"},
		{append(to, "stop", "a", "b"), 1, "no process 'a'; no process 'b'"},
		{append(to, "stop", "-name", "a", "b"), 2, "name"},
		{append(to, "start", "x", "-command", "true", "-deadline", "soon"), 2, "deadline"},
		{append(to, "start", "x", "-command", "true", "-deadline", "-1"), 2, "deadline"},
		{append(to, "start", "x", "-command", "true", "-cron", "often"), 2, "cron"},
		{append(to, "start", "x", "-command", "true", "-cron", "61 * * * *"), 2, "cron"},
		{append(to, "start", "x", "-command", "true", "-stop_signal", "NONE"), 2, "stop_signal"},
		{append(to, "start", "x", "-command", ""), 2, "command"},
		{append(to, "start", "../x", "-command", "true"), 2, "name"},
		{append(to, "list", "-format", "yaml"), 2, "format"},
		{append(to, "log", "there", "-limit", "0"), 2, "limit"},
		{[]string{"-nonsense", "list"}, 2, "nonsense"},

		{[]string{"-socket", d.dir + "/none.sock", "-secret", theSecret, "list"}, 69, "processmanager"},

		{[]string{"-socket", d.socket, "-secret", "wrong", "list"}, 77, "secret"},
		{[]string{"-socket", d.socket, "list"}, 77, "secret"},
		{[]string{"-socket", d.socket, "-secret-file", d.dir + "/none", "list"}, 77, "none"},
	} {
		r := d.execute(append([]string{programs.client}, c.args...)...)
		what := strings.Join(c.args, " ")
		if r.code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", what, r.code, c.code, r.stderr)
		}
		if c.code == 0 {
			if r.stdout == "" || r.stderr != "" {
				t.Errorf("%s: stdout %q, stderr %q", what, r.stdout, r.stderr)
			}
			continue
		}
		if r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "pmclient: ") || !strings.Contains(r.stderr, c.error) {
			t.Errorf("%s: stdout %q, stderr %q, want one line with %q", what, r.stdout, r.stderr, c.error)
		}
	}
	if all := d.list(); len(all) != 1 {
		t.Errorf("something was registered: %+v", all)
	}
}

// A socket file on which nobody listens is no daemon either.
func TestStaleSocketIsNoDaemon(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	leaveSocket(t, d.socket)
	if r := d.pmclient("list"); r.code != 69 {
		t.Errorf("%+v", r)
	}
	os.Remove(d.socket)
}

// leaveSocket makes what a daemon leaves that was killed.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestErrorsOfTheLibraryAreTyped(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
	for _, c := range []struct {
		want error
		got  error
	}{
		{process.ErrNotFound, second(pm.Status(d.context(), "y"))},
		{process.ErrExists, second(pm.Start(d.context(), process.Spec{Name: "x", Command: "true"}))},
		{process.ErrInvalid, second(pm.Start(d.context(), process.Spec{Name: "a/b", Command: "true"}))},
		{process.ErrInvalid, second(pm.Start(d.context(), process.Spec{Name: "y", Command: "true", Schedule: process.Schedule{Cron: "x"}}))},
		{client.ErrNoDaemon, second(client.Dial(d.context(), client.Config{Socket: d.dir + "/none", Secret: []byte("x")}))},
		{client.ErrNotAuthenticated, second(client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte("wrong")}))},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	var e *process.Error
	if err := second(pm.Status(d.context(), "y")); !errors.As(err, &e) || e.Code != process.CodeNotFound || !strings.Contains(e.Message, "y") {
		t.Errorf("%v", err)
	}
}

func TestContextOfACallEndsTheWaitAndNotTheAction(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	long := 600 * time.Second
	d.start(process.Spec{Name: "slow", Ending: process.Ending{StopTimeout: &long}, Command: "trap '' TERM; echo up; until [ -e enough ]; do sleep 0.05; done"})
	d.said("slow", "up")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := pm.Stop(ctx, "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	// The same client goes on.
	d.await("slow", "stopping", func(s process.Status) bool { return s.State == process.Stopping })
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := pm.List(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("slow"); s.State != process.Stopped {
		t.Errorf("%+v", s)
	}
	if _, err := client.Dial(cancelled, client.Config{Socket: d.socket, Secret: []byte(theSecret)}); !errors.Is(err, context.Canceled) {
		t.Errorf("dial: %v", err)
	}
}

func TestHangingUpCancelsNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	long := 600 * time.Second
	d.start(process.Spec{Name: "slow", Ending: process.Ending{StopTimeout: &long}, Command: "trap '' TERM; echo up; until [ -e enough ]; do sleep 0.05; done"})
	d.said("slow", "up")
	w := d.session(t)
	w.send("!!process.stop name:slow\n\n!!process.start name:next command:'exec sleep 1000'\n\n")
	d.await("slow", "stopping", func(s process.Status) bool { return s.State == process.Stopping })
	w.conn.Close()
	if err := os.WriteFile(d.dir+"/enough", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := d.rest("slow"); s.State != process.Stopped {
		t.Errorf("%+v", s)
	}
}
