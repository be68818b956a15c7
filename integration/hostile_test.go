package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestHostileNamesAreRefused(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.session(t)
	for _, name := range []string{
		"", " ", "../x", "a/b", "/", ".", "..", ".hidden", "a\nb", "\n", "a\tb", "a b", "-x", "@x", ":x", "x\x00y", "\x00", "ž", "a\u202eb", "x\x1b[31m", "\x7f",
		strings.Repeat("n", 129), strings.Repeat("n", 100_000), "$(id)", "a'", `a"`, `a\`, "*", "a\xff",
	} {
		what := fmt.Sprintf("%.40q", name)
		escaped := strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), `'`, `\'`)
		for _, verb := range []string{"start", "stop", "status", "restart", "delete", "log"} {
			action := "!!process." + verb + " format:json name:'" + escaped + "'"
			if verb == "start" {
				action += " command:'touch started'"
			}
			got := w.ask(action)
			var failure struct{ Error, Code string }
			if err := json.Unmarshal([]byte(got), &failure); err != nil {
				// What cannot even be read has an answer in text.
				failure.Error, _ = strings.CutPrefix(got, "Error: ")
			}
			if failure.Error == "" || failure.Error == got || strings.Count(got, "\n") != 1 || len(got) > 1000 {
				t.Errorf("%s %s: %.200q", verb, what, got)
			}
		}
		if _, err := d.client().Start(d.context(), process.Spec{Name: name, Command: "touch started"}); err == nil {
			t.Errorf("%s was started by the library", what)
		}
		if !strings.Contains(name, "\x00") {
			if r := d.pmclient("start", "-name", name, "-command", "touch started"); r.code != 2 && r.code != 1 || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("pmclient with %s: %+v", what, r)
			}
		}
	}
	if all := d.list(); len(all) != 0 || !gone(d.dir+"/started") {
		t.Errorf("registered: %+v", all)
	}
	for _, name := range []string{"a", "_", "7", "A.b@c:d-e_f", strings.Repeat("n", 128), "x.1", "x.", "x.."} {
		if s := d.finished(name, "true"); s.State != process.Completed {
			t.Errorf("%q: %+v", name, s)
		}
		if got, err := d.client().Status(d.context(), name); err != nil || got.Name != name {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}

// In the name of a group the last dot separates the run, so these are neighbours.
func TestNamesThatLookLikeGroupsAreKeptApart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	names := []string{"x", "x.1", "x.1.1", "x.2"}
	for _, name := range names {
		d.start(process.Spec{Name: name, Command: "exec sleep 1000"})
	}
	d.killWorker()
	d.stop("x")
	for _, name := range names[1:] {
		if s := d.status(name); s.State != process.Running || s.Number != 1 {
			t.Errorf("%+v", s)
		}
	}
	d.nobodyLeft("x", 1)
}

func TestErrorsOnTheWireSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.session(t)
	for action, want := range map[string][]string{
		"!!process.strat name:x":                             {"line 1, column 1:", "process.start"},
		"!!process.start nam:x command:true":                 {"line 1, column 17:", "name"},
		"!!process.start name:x\n  comand:true":              {"line 2, column 3:", "command"},
		"!!process.start name:x name:y command:true":         {"line 1, column 24:", "twice"},
		"!!process.stop":                                     {"line 1, column 1:", "name"},
		"!!process.start name:x command:true deadline:soon":  {"line 1, column 46:", "soon"},
		"!!process.start name:x command:true log:perhaps":    {"line 1, column 41:", "perhaps"},
		"!!process.start name:x command:true deadline:-1":    {"line 1, column 46:", "-1"},
		"!!process.start name:x command:true deadline:NaN":   {"line 1, column 46:", "NaN"},
		"!!process.start name:x command:true deadline:1e400": {"line 1, column 46:"},
		"!!process.start name:x command:true jobid:'a b'":    {"line 1, column 43:", "jobid"},
		"!!process.start name:x command:''":                  {"line 1, column 32:", "command"},
		"!!process.start name:x command:'a'b":                {"line 1, column"},
		"!!process.start name:x command:tr'ue":               {"line 1, column"},
		"!!process.start name:x command:true format:yaml":    {"line 1, column 44:", "yaml"},
		"stray text":                                          {"line 1, column 1:"},
		"!!process.start name:x deadline:5":                   {"command"},
		"!!process.start name:x command":                      {"line 1, column 24:", "command"},
		"!!process.start name:x command:true stop_signal:FOO": {"line 1, column 49:", "FOO"},
	} {
		got := w.ask(action)
		if !strings.HasPrefix(got, "Error: ") || strings.Count(got, "\n") != 1 {
			t.Errorf("%q: %q", action, got)
		}
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%q: %q, want %q in it", action, got, part)
			}
		}
	}
	if all := d.list(); len(all) != 0 {
		t.Errorf("registered: %+v", all)
	}
}

func TestInputThatEndsInAQuoteOrIsTooLongIsAnError(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.session(t)
	w.send("!!process.start name:x\n  command:'true\n\n!!process.list\n")
	if got := w.rest(); !strings.Contains(got, "line 2, column 11") || strings.Count(got, "**ENDRESULT**") != 1 {
		t.Errorf("an open quote: %q", got)
	}
	w = d.session(t)
	go io.WriteString(w.conn, "!!process.start format:json name:x command:'"+strings.Repeat("x", 1<<20))
	if _, got := w.answer(); !strings.Contains(got, "1048576 bytes") {
		t.Errorf("over 1 MiB: %q", got)
	}
	if n, _ := io.Copy(io.Discard, w.r); n != 0 {
		t.Errorf("%d bytes more", n)
	}
	if all := d.list(); len(all) != 0 {
		t.Errorf("registered: %+v", all)
	}
}

func TestManyClientsOfWhichHalfHangUpInTheMiddleOfALine(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "there", Command: "exec sleep 1000"})
	d.hangUp()
	descriptors := func() int {
		names, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.worker()))
		return len(names)
	}
	before := descriptors()
	const n = 200
	var ready, done sync.WaitGroup
	ready.Add(n)
	talk := func(i int) error {
		conn, err := net.Dial("unix", d.socket)
		ready.Done()
		if err != nil {
			return err
		}
		defer conn.Close()
		ready.Wait() // all of them at once
		if i%2 == 0 {
			_, err := io.WriteString(conn, theSecret+fmt.Sprintf("\n!!process.start name:half%d command:'exec sle", i))
			return err
		}
		if _, err := io.WriteString(conn, theSecret+fmt.Sprintf("\n!!process.start name:whole%d command:'exit %d'\n\n!!process.status name:there\n", i, i%100)); err != nil {
			return err
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			return err
		}
		got, err := io.ReadAll(conn)
		if err == nil && (strings.Count(string(got), "**ENDRESULT**") != 2 || !strings.Contains(string(got), "running")) {
			err = fmt.Errorf("client %d got %q", i, got)
		}
		return err
	}
	for i := range n {
		done.Go(func() {
			if err := talk(i); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	for i := 1; i < n; i += 2 {
		if s := d.rest(fmt.Sprint("whole", i)); !same(s.ExitCode, new(i%100)) {
			t.Errorf("%+v", s)
		}
	}
	if all := d.list(); len(all) != n/2+1 {
		t.Errorf("%d processes, want %d", len(all), n/2+1)
	}
	d.hangUp()
	eventually(t, fmt.Sprintf("the worker has %d descriptors again", before), func() bool { return descriptors() <= before })
}

func TestSocketPathsThatCannotBe(t *testing.T) {
	t.Parallel()
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		d := newDaemon(t, setup{})
		d.socket = d.dir + "/" + strings.Repeat("s", 108-len(d.dir)-1)
		if said := d.refuse(); !strings.Contains(said, d.socket) || !strings.Contains(said, "107") {
			t.Errorf("it says %q", said)
		}
		d.socket = d.socket[:107]
		d.launch()
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		d := newDaemon(t, setup{})
		if err := os.WriteFile(d.socket, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := d.refuse(); !strings.Contains(said, d.socket) || !strings.Contains(said, "not a socket") {
			t.Errorf("it says %q", said)
		}
		if data, err := os.ReadFile(d.socket); err != nil || string(data) != "precious" {
			t.Errorf("the file is %q, %v", data, err)
		}
	})
	t.Run("taken", func(t *testing.T) {
		t.Parallel()
		d := startDaemon(t, setup{})
		other := newDaemon(t, setup{})
		other.socket = d.socket
		if said := other.refuse(); !strings.Contains(said, d.socket) || !strings.Contains(said, "listens") {
			t.Errorf("it says %q", said)
		}
		d.start(process.Spec{Name: "x", Command: "true"})
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		d := newDaemon(t, setup{})
		leaveSocket(t, d.socket)
		d.launch()
	})
	t.Run("in a directory that is not there", func(t *testing.T) {
		t.Parallel()
		d := newDaemon(t, setup{})
		d.socket = d.dir + "/a/b/pm.sock"
		d.launch()
		if info, err := os.Stat(d.dir + "/a/b"); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("its directory: %v, %v", info, err)
		}
	})
}

func TestFullDiskIsAnErrorAndLosesNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Private: true, Wrap: []string{"/bin/sh", "-c",
		`mkdir "$TMPDIR/state" && mount -t tmpfs -o size=2m,mode=700 tmpfs "$TMPDIR/state" && exec "$0" "$@"`}})
	state := fmt.Sprintf("/proc/%d/root%s", d.keeper(), d.state) // in its mount namespace
	d.start(process.Spec{Name: "before", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "writer", Logging: process.Logging{Log: true}, Command: `
		until [ -e full ]; do sleep 0.05; done
		head -c 1000000 /dev/zero | tr '\0' '\n'; echo written; exit 3`})
	fill := fillUp(t, state+"/fill")
	if err := os.WriteFile(d.dir+"/full", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.client().Start(d.context(), process.Spec{Name: "new", Command: "touch started # " + strings.Repeat("x", 100_000)})
	if !isCode(err, process.CodeStore) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("start on a full disk: %v", err)
	}
	_, err = d.client().Start(d.context(), process.Spec{Name: "daily", Schedule: process.Schedule{Cron: "@daily"}, Command: "true # " + strings.Repeat("x", 100_000)})
	if !isCode(err, process.CodeStore) {
		t.Errorf("a schedule on a full disk: %v", err)
	}
	if !gone(d.dir + "/started") {
		t.Error("it was started all the same")
	}
	// Output that has no place does not hold the writer up.
	if s := d.rest("writer"); s.Cause != process.CauseExit || !same(s.ExitCode, new(3)) {
		t.Errorf("%+v", s)
	}
	if s := d.status("before"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
	if !d.log.await(0, "no space left", d.ended) {
		t.Errorf("it does not say so: %s", d.log.since(0))
	}
	if err := fill.Truncate(0); err != nil {
		t.Fatal(err)
	}
	d.mustClient("start", "after", "-command", "exec sleep 1000")
	if s := d.stop("before"); s.State != process.Stopped {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("before", 1)
	for _, name := range []string{"new", "daily"} {
		if _, err := d.client().Status(d.context(), name); !isCode(err, process.CodeNotFound) {
			t.Errorf("the process '%s' that could not be stored: %v", name, err)
		}
	}
}

func TestReadOnlyCgroupFileSystemIsAClearError(t *testing.T) {
	t.Parallel()
	parent, err := cgroupParent()
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, setup{Private: true, Wrap: []string{"/bin/sh", "-c",
		`mount --bind ` + quoted(parent) + ` ` + quoted(parent) + ` && mount -o remount,ro,bind ` + quoted(parent) + ` && exec "$0" "$@"`}})
	said := d.refuse()
	if !strings.Contains(said, "read-only") || !strings.Contains(said, parent) || strings.Count(said, "\n") != 1 {
		t.Errorf("it says %q", said)
	}
	if !gone(d.state) || !gone(d.socket) {
		t.Error("it has left something behind")
	}
}

// Without pids left a start fails, is explained, and the daemon is well.
func TestNoPidsLeftIsAClearError(t *testing.T) {
	needController(t, "pids")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "first", Command: "exec sleep 1000"})
	limit := d.runs() + "/pids.max"
	if err := os.WriteFile(limit, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := d.client().Start(d.context(), process.Spec{Name: "second", Command: "exec sleep 1000"})
	if !isCode(err, process.CodeStart) || !strings.Contains(err.Error(), syscall.EAGAIN.Error()) {
		t.Errorf("start: %v", err)
	}
	if s := d.status("second"); s.State != process.Failed || s.Cause != process.CauseStart || !strings.Contains(s.Error, "clone") {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("second", 1)
	if s := d.status("first"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
	if err := os.WriteFile(limit, []byte("max"), 0); err != nil {
		t.Fatal(err)
	}
	if s, err := d.client().Start(d.context(), process.Spec{Name: "second"}); err != nil || s.State != process.Running {
		t.Errorf("with pids again: %+v, %v", s, err)
	}
}

// Bad command lines of the daemon are told from places that it cannot have.
func TestUsageOfTheDaemonIsExitCode2(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	for _, args := range [][]string{{"-nonsense"}, {"stray"}, {"-socket"}} {
		d.spawn(args...)
		if code := d.wait(); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	if made, _ := filepath.Glob(d.state + "/*"); len(made) != 0 {
		t.Errorf("it has made %q", made)
	}
}
