package integration

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// state is a condition of a process.
func state(want process.State) func(process.Status) bool {
	return func(s process.Status) bool { return s.State == want }
}

// A start waits until what is needed is ready, and not only there.
func TestStartWaitsUntilWhatIsNeededIsReady(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "db", "-command", "until [ -e go ]; do sleep 0.02; done; date +%s%N >db.ready; echo up; exec sleep 1000", "-ready", "log:up", "-log", "-dir", d.dir)
	answer := make(chan result, 1)
	go func() {
		answer <- d.pmclient("start", "web", "-command", "date +%s%N >web.started; exec sleep 1000", "-needs", "db", "-dir", d.dir)
	}()
	eventually(t, "web is there", func() bool { _, err := d.client().Status(d.context(), "web"); return err == nil })
	s := d.await("web", "waits", state(process.Waiting))
	if len(s.WaitsFor) != 1 || s.WaitsFor[0].Name != "db" || s.WaitsFor[0].State != process.Starting || s.PID != 0 {
		t.Errorf("it waits for %+v, pid %d", s.WaitsFor, s.PID)
	}
	if r := d.pmclient("status", "web"); r.code != 0 || !strings.Contains(r.stdout, "waits for:") || !strings.Contains(r.stdout, "db (starting)") {
		t.Errorf("status: %d\n%s", r.code, r.stdout)
	}
	if err := os.WriteFile(d.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-answer; r.code != 0 {
		t.Fatalf("start: %d, %s", r.code, r.stderr)
	}
	ready, err := os.ReadFile(d.dir + "/db.ready")
	var started []byte
	eventually(t, "web tells that it runs", func() bool { started, _ = os.ReadFile(d.dir + "/web.started"); return len(started) > 1 })
	if err != nil || string(ready) > string(started) {
		t.Errorf("db was ready at %s, and web started at %s; %v", ready, started, err)
	}
	if got, want := d.mustClient("tree", "-needs"), "web    running\n└─ db  running\n"; got != want {
		t.Errorf("tree:\n%swant\n%s", got, want)
	}
}

// Who waits goes on waiting when worker, keeper or both are killed, and starts when what it
// needs is there: once.
func TestWhoWaitsOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "job", "-command", "exit 3")
	d.rest("job")
	r := d.pmclient("start", "web", "-command", "echo $PROCESSMANAGER_RUN >>runs; exec sleep 1000", "-needs", "job:completed", "-dir", d.dir)
	if r.code != 1 || !strings.Contains(r.stderr, "job (failed: exit code 3)") {
		t.Fatalf("start: %d, %s", r.code, r.stderr)
	}
	d.await("web", "waits", state(process.Waiting))
	syscall.Kill(d.worker(), syscall.SIGKILL)
	d.await("web", "waits", state(process.Waiting))
	d.end(syscall.SIGKILL)
	d.launch()
	s := d.await("web", "waits", state(process.Waiting))
	if s.Number != 0 || len(s.WaitsFor) != 1 {
		t.Errorf("run %d, waits for %+v", s.Number, s.WaitsFor)
	}
	d.mustClient("set", "job", "-command", "exit 0")
	d.mustClient("start", "job")
	s = d.await("web", "runs", state(process.Running))
	syscall.Kill(d.worker(), syscall.SIGKILL)
	d.await("web", "runs", state(process.Running))
	if runs, _ := os.ReadFile(d.dir + "/runs"); strings.TrimSpace(string(runs)) != "1" || s.Number != 1 {
		t.Errorf("it has run as %q, shown is run %d", runs, s.Number)
	}
}

// What crashes comes back when what it needs is there again, and starts nobody who was
// stopped.
func TestACrashWaitsForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "db", "-command", "exec sleep 1000")
	d.mustClient("start", "web", "-command", "exec sleep 1000", "-needs", "db", "-restart", "always")
	if out := d.mustClient("stop", "db"); !strings.Contains(out, "needed by web") {
		t.Errorf("stop says: %s", out)
	}
	s := d.status("web")
	if s.State != process.Running {
		t.Fatalf("a stop of db has made web %v", s.State)
	}
	syscall.Kill(s.PID, syscall.SIGKILL)
	d.await("web", "waits for db", state(process.Waiting))
	if s := d.status("db"); s.State != process.Stopped {
		t.Errorf("db was stopped, and is %v", s.State)
	}
	d.mustClient("start", "db")
	if s := d.await("web", "runs again", state(process.Running)); s.Number != 2 || s.Restarts != 1 {
		t.Errorf("run %d, %d restarts", s.Number, s.Restarts)
	}
	if r := d.pmclient("delete", "db"); r.code != 1 || !strings.Contains(r.stderr, "needed by web") {
		t.Errorf("delete: %d, %s", r.code, r.stderr)
	}
	d.mustClient("delete", "db,web")
}

// Several end in the reverse order, by request and with the daemon.
func TestTheEndComesInTheReverseOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	define := func() {
		// What is asked to end takes a while, so that one that ends at once would show.
		const slow = "trap 'sleep 0.3; echo %s >>ended; exit' TERM; echo %s >>trapped; while :; do sleep 0.02; done"
		for _, one := range [][2]string{{"db", ""}, {"cache", "db"}, {"web", "cache"}} {
			d.mustClient("start", one[0], "-command", strings.ReplaceAll(slow, "%s", one[0]), "-needs", one[1], "-dir", d.dir)
		}
	}
	trapped := func() {
		t.Helper()
		eventually(t, "all have set their traps", func() bool {
			told, _ := os.ReadFile(d.dir + "/trapped")
			return len(strings.Fields(string(told))) == 3
		})
		os.Remove(d.dir + "/trapped")
	}
	check := func(by string) {
		t.Helper()
		told, _ := os.ReadFile(d.dir + "/ended")
		if got, want := strings.Fields(string(told)), []string{"web", "cache", "db"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", by, got, want)
		}
		os.Remove(d.dir + "/ended")
	}
	define()
	trapped()
	d.mustClient("stop", "*")
	check("stop")
	define()
	trapped()
	if code := d.end(syscall.SIGTERM); code != 0 {
		t.Errorf("the daemon ends with %d", code)
	}
	check("the daemon's end")
}

// The order of a script does not matter for what its processes need, and a name that is
// nowhere is refused when the whole script is read.
func TestAScriptMayNeedWhatComesLater(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	script := d.dir + "/services.hero"
	write := func(text string) {
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`!!process.start name:'web' command:'exec sleep 1000' needs:'cache,job:completed'
!!process.start name:'job' command:'true' jobid:'j1'
!!process.start name:'cache' command:'exec sleep 1000' needs:'db'
!!process.start name:'db' command:'exec sleep 1000'
`)
	d.mustClient("run", script)
	for _, name := range []string{"web", "cache", "db"} {
		if s := d.status(name); s.State != process.Running || s.Number != 1 {
			t.Errorf("%s is %v, run %d", name, s.State, s.Number)
		}
	}
	write("!!process.start name:'one' command:'true'\n!!process.start name:'two' command:'true' needs:'one,nowhere'\n")
	if r := d.pmclient("run", script); r.code != 1 || !strings.Contains(r.stderr, "line 2, column 1: needs: there is no process 'nowhere'") || !strings.Contains(r.stderr, "nothing was carried out") {
		t.Errorf("%d %s", r.code, r.stderr)
	}
	if r := d.pmclient("status", "one"); r.code != 4 {
		t.Errorf("something was carried out: %d %s", r.code, r.stdout)
	}
	write(`!!process.define name:'one' command:'true' needs:'two,three'
!!process.define name:'two' command:'true'
!!process.define name:'three' command:'true' after:'four'
!!process.define name:'four' command:'true' needs:'one'
`)
	if r := d.pmclient("run", script); r.code != 1 || !strings.Contains(r.stderr, "line 1, column 1: needs: a cycle, in which each comes behind the next: one -> three -> four -> one; nothing was carried out") {
		t.Errorf("%d %s", r.code, r.stderr)
	}
	if r := d.pmclient("status", "two"); r.code != 4 {
		t.Errorf("something was carried out: %d %s", r.code, r.stdout)
	}
}
