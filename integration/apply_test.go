package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const sleeps = "exec sleep 1000"

// defines writes a file of definitions below the daemon's directory, and is its path.
func (d *daemon) defines(name, text string) string {
	d.t.Helper()
	path := d.dir + "/" + name
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// definition writes a file of the daemon's own folder.
func (d *daemon) definition(name, text string) string {
	return d.defines("state/definitions/"+name, text)
}

// apply is what pmclient apply did, by name, which must succeed.
func (d *daemon) apply(args ...string) map[string]process.Applied {
	d.t.Helper()
	var rows []process.Applied
	if err := json.Unmarshal([]byte(d.mustClient(append([]string{"apply", "-format", "json"}, args...)...)), &rows); err != nil {
		d.t.Fatal(err)
	}
	all := map[string]process.Applied{}
	for _, row := range rows {
		all[row.Name] = row
	}
	return all
}

// actions are those of rows, by name.
func actions(rows map[string]process.Applied) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, name+":"+string(rows[name].Action))
	}
	return strings.Join(all, " ")
}

func (d *daemon) applied(want string, args ...string) map[string]process.Applied {
	d.t.Helper()
	rows := d.apply(args...)
	if got := actions(rows); got != want {
		d.t.Errorf("apply %q: got %s, want %s", args, got, want)
	}
	return rows
}

func define(name, command string, fields ...string) string {
	return fmt.Sprintf("!!process.define name:%s command:'%s' %s\n", name, command, strings.Join(fields, " "))
}

func (d *daemon) names() string {
	d.t.Helper()
	var names []string
	for _, s := range d.list() {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

func TestDefineStartsNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if out := d.mustClient("define", "x", "-command", sleeps, "-deadline", "90s"); out != "process 'x' is defined: stopped\n" {
		t.Error(out)
	}
	d.mustClient("define", "timed", "-command", "true", "-cron", "@every 1s", "-jobid", "j")
	d.mustClient("define", "auto", "-command", sleeps, "-autostart")
	d.mustClient("define", "x", "-command", sleeps, "-deadline", "1.5m", "-stop_signal", "TERM") // means the same
	if r := d.pmclient("define", "x", "-command", "true", "-log"); r.code != 1 || !strings.Contains(r.stderr, "(command, deadline, log)") ||
		!strings.Contains(r.stderr, "pmclient set") || !strings.Contains(r.stderr, "pmclient apply") {
		t.Errorf("%+v", r)
	}
	check := func(auto process.State) {
		t.Helper()
		if s := d.status("x"); s.State != process.Stopped || s.Number != 0 || s.Deadline != 90*time.Second || s.Source != process.SourceCommand {
			t.Errorf("%+v", s)
		}
		if s := d.status("timed"); s.State != process.Stopped || s.Number != 0 || !s.NextTime.IsZero() {
			t.Errorf("%+v", s)
		}
		if s := d.await("auto", string("settled"), func(s process.Status) bool { return s.State != process.Starting }); s.State != auto {
			t.Errorf("%+v", s)
		}
	}
	check(process.Stopped)
	d.killWorker()
	check(process.Stopped)
	d.end(unix.SIGTERM)
	d.launch()
	d.await("auto", "running", func(s process.Status) bool { return s.State == process.Running })
	check(process.Running)
	if s := d.start(process.Spec{Name: "x"}); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	if out := d.mustClient("define", "x", "-command", sleeps, "-deadline", "90s"); out != "process 'x' is defined: running\n" {
		t.Error(out)
	}
	if s, err := d.client().Start(d.context(), process.Spec{Name: "timed", JobID: "k"}); err != nil || s.State != process.Scheduled {
		t.Errorf("%+v, %v", s, err)
	}
	d.await("timed", "run", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.JobID == "j" })
}

// What is as it is to be is not touched, what can change changes where it runs, what
// cannot waits; nothing of it costs a tree.
func TestApplyIsADifference(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	folder := d.dir + "/d"
	text := define("same", sleeps, "autostart") + define("live", sleeps, "autostart", "deadline:1h") + define("waits", "echo one; "+sleeps, "autostart") +
		define("rest", "true") + define("timed", "true", "cron:@every\\ 1s")
	text = strings.Replace(text, `cron:@every\ 1s`, "cron:'@every 1s'", 1)
	d.defines("d/a.hero", text)
	rows := d.applied("live:new rest:new same:new timed:new waits:new", "-f", folder)
	for _, name := range []string{"live", "same", "waits"} {
		if row, s := rows[name], d.status(name); s.State != process.Running || row.PID != s.PID || row.Run != 1 || row.State != process.Running || s.Source != folder+"/a.hero" {
			t.Errorf("%+v, %+v", row, s)
		}
	}
	if s := d.status("rest"); s.State != process.Stopped || s.Number != 0 {
		t.Errorf("%+v", s)
	}
	if s := d.status("timed"); s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
	if out := d.mustClient("status", "same"); !strings.Contains(joined(out), "defined by: "+folder+"/a.hero") {
		t.Error(out)
	}
	before := map[string]int{}
	for name, row := range rows {
		before[name] = row.PID
	}
	untouched := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if s := d.status(name); s.PID != before[name] || s.Number != 1 {
				t.Errorf("its tree was touched: %+v", s)
			}
		}
	}
	changes := func() (n int) {
		for _, e := range d.events(process.EventQuery{}) {
			if e.Kind == process.EventChanged {
				n++
			}
		}
		return n
	}
	d.applied("live:unchanged rest:unchanged same:unchanged timed:unchanged waits:unchanged", "-f", folder)
	if n := changes(); n != 0 {
		t.Errorf("an apply that changes nothing tells of %d changes", n)
	}
	d.defines("d/a.hero", strings.NewReplacer("deadline:1h", "deadline:2h stop_timeout:1", "echo one", "echo two", "'true' \n", "'exit 3'\n", "@every 1s", "@daily").Replace(text))
	const plan = "live:changed rest:changed same:unchanged timed:changed waits:waits"
	dry := d.applied(plan, "-f", folder, "-dry-run")
	d.applied(strings.Replace(plan, "waits:waits", "waits:restarted", 1), "-f", folder, "-dry-run", "-restart")
	if s := d.status("live"); s.Deadline != time.Hour || !slices.Equal(dry["live"].Fields, []string{"deadline", "stop_timeout"}) {
		t.Errorf("a dry run changes nothing: %+v, %+v", s, dry["live"])
	}
	out := d.mustClient("apply", "-f", folder)
	if !strings.Contains(out, "3 changed, 1 waits for a restart, 1 unchanged\n") || !strings.Contains(out, "command; its tree does not follow command: apply with restart, or restart waits") {
		t.Error(out)
	}
	untouched("same", "live", "waits")
	if n := changes(); n != 4 {
		t.Errorf("%d changes were told, of 4", n)
	}
	if s := d.status("live"); s.Deadline != 2*time.Hour || s.Grace() != time.Second || len(s.WaitsForRestart) > 0 {
		t.Errorf("%+v", s)
	}
	if s := d.status("timed"); time.Until(s.NextTime) < time.Minute {
		t.Errorf("%+v", s)
	}
	d.killWorker()
	d.applied("live:unchanged rest:unchanged same:unchanged timed:unchanged waits:waits", "-f", folder) // it is still to be done
	untouched("same", "live", "waits")
	if s := d.applied("live:unchanged rest:unchanged same:unchanged timed:unchanged waits:restarted", "-f", folder, "-restart")["waits"]; s.Run != 2 || s.PID == before["waits"] {
		t.Errorf("%+v", s)
	}
	d.said("waits", "two")
	untouched("same", "live")
	d.applied("live:unchanged rest:unchanged same:unchanged timed:unchanged waits:unchanged", "-f", folder, "-restart")

	// A stop holds, of a schedule too.
	d.mustClient("stop", "same,timed")
	d.defines("d/a.hero", strings.NewReplacer("@every 1s", "@hourly", "name:same", "name:same deadline:5").Replace(text))
	d.apply("-f", folder, "-restart")
	for _, name := range []string{"same", "timed"} {
		if s := d.status(name); s.State != process.Stopped || !s.NextTime.IsZero() {
			t.Errorf("a stop holds: %+v", s)
		}
	}
}

// A name that somebody else had defined is the file's from then on, and what was done to it
// since is undone.
func TestApplyTakesOver(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	path := d.defines("a.hero", define("x", sleeps, "deadline:1h"))
	pid := d.start(process.Spec{Name: "x", Command: sleeps, Ending: process.Ending{Deadline: time.Hour}}).PID
	if row := d.applied("x:taken", "-f", path)["x"]; row.TakenFrom != process.SourceCommand || row.Source != path {
		t.Errorf("%+v", row)
	}
	if out := d.mustClient("apply", "-f", path); out != "NAME  WHAT       WHY\nx     unchanged  -\n1 unchanged\n" {
		t.Error(out)
	}
	d.set("x", "deadline", "2h", "stop_timeout", "3")
	d.killWorker()
	if row := d.applied("x:changed", "-f", path)["x"]; !slices.Equal(row.Fields, []string{"deadline", "stop_timeout"}) || row.TakenFrom != "" {
		t.Errorf("%+v", row)
	}
	if s := d.status("x"); s.Deadline != time.Hour || s.Grace() != process.DefaultStopTimeout || s.PID != pid || s.Source != path {
		t.Errorf("%+v", s)
	}
	d.mustClient("start", "x", "-command", "echo other; "+sleeps, "-replace")
	if s := d.status("x"); s.Source != path || s.Number != 2 {
		t.Errorf("it is still the file's: %+v", s)
	}
	d.applied("x:restarted", "-f", path, "-restart")
	if s := d.status("x"); s.Command != sleeps || s.Number != 3 {
		t.Errorf("%+v", s)
	}
	other := d.defines("b.hero", define("x", sleeps, "deadline:1h"))
	if out := d.mustClient("apply", "-f", other); !strings.Contains(out, "x     taken over  "+path+" had defined it\n") {
		t.Error(out)
	}
	r := d.execute("sh", "-c", "printf %s "+quoted(define("x", sleeps))+" | "+quoted(programs.client)+" -socket "+quoted(d.socket)+" -secret "+theSecret+" apply -f -")
	if s := d.status("x"); r.code != 0 || s.Source != "-" || s.Deadline != 0 || s.Number != 3 {
		t.Errorf("%+v, %+v", r, s)
	}
	if out := d.mustClient("status", "x"); !strings.Contains(joined(out), "defined by: standard input of apply") {
		t.Error(out)
	}
}

// Prune deletes what the path had defined, tree and all, and nothing else.
func TestPruneDeletesWhatThePathHadDefined(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.defines("d/a.hero", define("a1", sleeps, "autostart")+define("a2", sleeps, "autostart"))
	d.defines("d/b.hero", define("b1", sleeps, "autostart"))
	other := d.defines("e/a.hero", define("e1", sleeps))
	d.start(process.Spec{Name: "mine", Command: sleeps})
	d.applied("e1:new", "-f", other)
	d.applied("a1:new a2:new b1:new", "-f", d.dir+"/d")
	d.defines("d/a.hero", define("a1", sleeps, "autostart"))
	os.Remove(d.dir + "/d/b.hero")
	d.applied("a1:unchanged", "-f", d.dir+"/d")
	if names := d.names(); names != "a1 a2 b1 e1 mine" {
		t.Error(names)
	}
	d.applied("a1:unchanged a2:deleted", "-f", d.dir+"/d/a.hero", "-prune", "-dry-run")
	d.applied("a1:unchanged a2:deleted", "-f", d.dir+"/d/a.hero", "-prune")
	d.nobodyLeft("a2", 1)
	out := d.mustClient("apply", "-f", d.dir+"/d", "-prune")
	if want := "NAME  WHAT       WHY\na1    unchanged  -\nb1    deleted    not in " + d.dir + "/d/b.hero any more\n1 deleted, 1 unchanged\n"; out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	d.nobodyLeft("b1", 1)
	if names := d.names(); names != "a1 e1 mine" {
		t.Error(names)
	}
	// One that others need stays, and with it everything.
	d.defines("d/a.hero", define("db", sleeps))
	d.applied("db:new", "-f", d.dir+"/d")
	d.mustClient("define", "web", "-command", sleeps, "-needs", "db")
	d.defines("d/a.hero", define("new", sleeps))
	if r := d.pmclient("apply", "-f", d.dir+"/d", "-prune"); r.code != 1 || !strings.Contains(r.stderr, "process 'web' needs 'db'") {
		t.Errorf("%+v", r)
	}
	if names := d.names(); names != "a1 db e1 mine web" {
		t.Error(names)
	}
	// What a file defines comes back, and the answer to a delete says so.
	if out := d.mustClient("delete", "e1"); !strings.Contains(out, "; "+other+" defines it: it comes back ") {
		t.Error(out)
	}
	d.applied("e1:new", "-f", other)
	if out := d.mustClient("delete", "mine"); out != "process 'mine' deleted\n" {
		t.Error(out)
	}
}

// A fault anywhere is told with its place, and changes nothing.
func TestAFaultInAFileChangesNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	a := d.defines("d/a.hero", define("x", sleeps))
	b := d.dir + "/d/b.hero"
	d.applied("x:new", "-f", d.dir+"/d")
	d.defines("d/a.hero", define("x", sleeps, "deadline:5")+define("y", "true"))
	events := len(d.events(process.EventQuery{}))
	for text, want := range map[string]string{
		"// fine\n" + define("z", "true") + "oops":                      b + ": line 3, column 1: ",
		define("z", "true", "dedline:5"):                                b + ": line 1, column 40: process.define has no parameter \"dedline\": did you mean deadline?",
		define("z", "true", "deadline:5x"):                              b + ": line 1, column 49: deadline: ",
		define("z", "true", "cron:'CRON_TZ=Mars/X 0 3 * * *'"):          b + ": line 1, column 1: cron: ",
		"\n" + define("y", "true"):                                      b + ": line 2, column 1: process 'y' is defined already at " + a + ": line 2, column 1",
		define("z", "true", "needs:nobody"):                             b + ": line 1, column 1: needs: process 'z' needs 'nobody'",
		define("z", "true", "needs:w") + define("w", "true", "needs:z"): b + ": line ",
		"!!process.start name:z command:true\n":                         b + ": line 1, column 1: \"!!process.start\" does not belong here",
		define("z", "true") + "!!process.delete name:x\n":               b + ": line 2, column 1: \"!!process.delete\" does not belong here",
		define("z", "'"): b + ": line 1, column ",
		define("z", strings.Repeat("x", process.MaxCommand+1)): b + ": line 1, column 33: command: has ",
		define("z", "true", "log_max_size:1M"):                 b + ": line 1, column 40: log_max_size: it is of a log in a file: give log:true too",
		"\xff\xfe!\x00!\x00":                                   b + ": line 1, column 1: expected UTF-8",
	} {
		d.defines("d/b.hero", text)
		for _, args := range [][]string{{"-f", d.dir + "/d"}, {"-f", d.dir + "/d", "-dry-run"}, {"-f", d.dir + "/d", "-prune", "-restart"}} {
			r := d.pmclient(append([]string{"apply"}, args...)...)
			if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, "pmclient: "+want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%.100q:\ngot  %+v\nwant %s", text, r, want)
			}
		}
	}
	if names, s := d.names(), d.status("x"); names != "x" || s.Deadline != 0 || len(d.events(process.EventQuery{})) != events {
		t.Errorf("%s, %+v", names, s)
	}
	if r := d.pmclient("apply", "-f", d.dir+"/none"); r.code != 2 || !strings.Contains(r.stderr, "no such file") {
		t.Errorf("%+v", r)
	}
	if r := d.pmclient("apply"); r.code != 1 || !strings.Contains(r.stderr, "there is no folder "+d.state+"/definitions: make it") {
		t.Errorf("%+v", r)
	}
}

// The daemon's own folder is loaded when it starts, not when a worker follows another.
func TestTheDaemonLoadsItsFolderAtItsStart(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	if err := os.Mkdir(d.state, 0o700); err != nil {
		t.Fatal(err)
	}
	path := d.definition("a.hero", define("auto", "echo one; "+sleeps, "autostart")+define("rest", sleeps)+define("timed", "true", "cron:@daily"))
	d.definition("b.hero", define("web", sleeps, "autostart", "needs:auto"))
	d.launch()
	here := func(name string, state process.State, number uint64) process.Status {
		t.Helper()
		eventually(t, name+" is there", func() bool { return strings.Contains(" "+d.names()+" ", " "+name+" ") })
		s := d.await(name, "settled", func(s process.Status) bool { return s.State == state })
		if s.Number != number && state != process.Scheduled {
			t.Errorf("%+v", s)
		}
		return s
	}
	if s := here("auto", process.Running, 1); s.Source != path {
		t.Errorf("%+v", s)
	}
	here("rest", process.Stopped, 0)
	here("timed", process.Scheduled, 0)
	here("web", process.Running, 1)
	d.set("auto", "deadline", "1h")
	d.definition("a.hero", define("auto", "echo two; "+sleeps, "autostart")+define("rest", sleeps, "autostart")+define("late", "true"))
	d.killWorker()
	d.killWorker()
	if s := d.status("auto"); s.Deadline != time.Hour || s.Number != 1 || strings.Contains(d.names(), "late") {
		t.Errorf("a worker loads nothing: %+v", s)
	}
	if out := joined(d.mustClient("doctor")); !strings.Contains(out, d.state+"/definitions defines 4 processes, of which 3 are not as it says") {
		t.Error(out)
	}
	d.end(unix.SIGTERM)
	d.launch()
	here("late", process.Stopped, 0)
	if s := here("auto", process.Running, 2); s.Deadline != 0 || len(s.WaitsForRestart) > 0 {
		t.Errorf("it follows what the file says: %+v", s)
	}
	d.said("auto", "two")
	here("rest", process.Running, 1)    // it has autostart now
	here("timed", process.Scheduled, 0) // nothing is pruned
	if out := d.mustClient("apply", "-prune"); !strings.Contains(out, "1 deleted, 4 unchanged") {
		t.Error(out)
	}
	// With trees alive: nothing is restarted.
	d.crash()
	d.definition("a.hero", define("auto", "echo three; "+sleeps, "autostart")+define("rest", sleeps, "autostart")+define("late", "true", "deadline:5"))
	d.launch()
	d.await("late", "changed", func(s process.Status) bool { return s.Deadline == 5*time.Second })
	if s := d.status("auto"); s.Number != 2 || !slices.Equal(s.WaitsForRestart, []string{"command"}) {
		t.Errorf("%+v", s)
	}
}

// A folder that is broken at the start is not loaded, and the daemon goes on; so is one
// that others could have written.
func TestAFolderThatIsBrokenAtTheStart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.definition("a.hero", define("x", sleeps, "autostart"))
	d.applied("x:new")
	folder := d.state + "/definitions"
	file := folder + "/a.hero"
	for _, c := range []struct {
		what string
		do   func() error
		want string
	}{
		{"a fault", func() error {
			return os.WriteFile(file, []byte(define("x", sleeps)+define("y", "true")+"\n oops'\n"), 0o600)
		}, file + ": line 4, column 6: "},
		{"a file that others write", func() error {
			return errors.Join(os.WriteFile(file, []byte(define("y", sleeps)), 0o600), os.Chmod(file, 0o666))
		}, file + " can be written to by others (mode 0666): chmod go-w " + file},
		{"a folder that others write", func() error { return errors.Join(os.Chmod(file, 0o644), os.Chmod(folder, 0o777)) }, folder + " can be written to by others (mode 0777): chmod go-w " + folder},
		{"a link", func() error {
			return errors.Join(os.Chmod(folder, 0o755), os.Rename(file, d.dir+"/real.hero"), os.Symlink(d.dir+"/real.hero", file))
		}, file + " is a link"},
		{"a FIFO", func() error { return errors.Join(os.Remove(file), unix.Mkfifo(file, 0o600)) }, file + " is no file"},
		{"a file of another user", func() error {
			err := errors.Join(os.Remove(file), os.WriteFile(file, []byte(define("y", sleeps)), 0o600))
			if os.Geteuid() != 0 {
				return errors.Join(err, os.Chmod(file, 0o622)) // nobody can give files away
			}
			return errors.Join(err, os.Chown(file, 65534, 65534))
		}, file + " "},
		{"a file that is too large", func() error {
			return errors.Join(os.Remove(file), os.WriteFile(file, []byte(strings.Repeat("// x\n", 1<<18)), 0o600))
		}, file + " has more than 1048576 bytes"},
	} {
		d.end(unix.SIGTERM)
		if err := c.do(); err != nil {
			t.Fatal(c.what, err)
		}
		from := d.log.len()
		d.launch()
		if !d.log.await(from, "the definitions in "+folder+" are not loaded, what is stored goes on: "+c.want, d.ended) {
			t.Errorf("%s: log %s", c.what, d.log.since(from))
		}
		d.await("x", "running", func(s process.Status) bool { return s.State == process.Running })
		if r := d.pmclient("apply"); r.code != 1 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %+v", c.what, r)
		}
		if r := d.pmclient("doctor"); r.code != 0 || !strings.Contains(strings.ReplaceAll(joined(r.stdout), " ", ""), strings.ReplaceAll("nothing in "+folder+" is loaded: "+c.want, " ", "")) || !strings.Contains(r.stdout, "pmclient apply") {
			t.Errorf("%s: %+v", c.what, r)
		}
		if names := d.names(); names != "x" {
			t.Errorf("%s: %s", c.what, names)
		}
	}
	os.Remove(file)
	d.definition("a.hero", define("x", sleeps, "autostart"))
	if out := joined(d.mustClient("doctor")); !strings.Contains(out, folder+" defines 1 process") {
		t.Error(out)
	}
	d.applied("x:unchanged")
}

// Another folder is another one.
func TestTheFlagDefinitions(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	d.defines("here/a.hero", define("x", sleeps, "autostart"))
	d.setup.Args = []string{"-definitions", "here"}
	d.launch()
	eventually(t, "it is loaded", func() bool { return d.names() == "x" })
	d.await("x", "running", func(s process.Status) bool { return s.State == process.Running })
	if s := d.status("x"); s.Source != d.dir+"/here/a.hero" {
		t.Errorf("%+v", s)
	}
	d.applied("x:unchanged")
}

// An apply whose worker dies in the middle leaves each process as it was or as it is to be;
// the same apply does the rest, and nothing runs twice.
func TestAnApplyThatIsCutOffIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	for _, p := range []supervisor.Point{supervisor.PointNumbered, "marked", "spawned", "recorded", supervisor.PointCondemned} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			path := d.defines("a.hero", define("old", sleeps)+define("same", sleeps, "autostart"))
			d.apply("-f", path)
			same := d.status("same").PID
			var text strings.Builder
			text.WriteString(define("same", sleeps, "autostart", "deadline:1h"))
			for i := range 20 {
				text.WriteString(define(fmt.Sprintf("n%02d", i), "echo $PROCESSMANAGER_RUN >>$TMPDIR/$PROCESSMANAGER_NAME; "+sleeps, "autostart"))
			}
			d.defines("a.hero", text.String())
			d.arm(p)
			r := d.pmclient("apply", "-f", path, "-prune")
			if !d.disarm() || r.code == 0 {
				t.Fatalf("it did not die: %+v", r)
			}
			d.hangUp()
			eventually(t, "there is a worker", func() bool { return d.pmclient("list").code == 0 })
			rows := d.apply("-f", path, "-prune")
			for name, row := range rows {
				if row.Err != nil {
					t.Errorf("%s: %v", name, row.Err)
				}
			}
			if all := actions(d.apply("-f", path, "-prune")); strings.Count(all, ":unchanged") != 21 || strings.Contains(all, "old") {
				t.Errorf("%s, then %s", actions(rows), all)
			}
			for i := range 20 {
				name := fmt.Sprintf("n%02d", i)
				s := d.await(name, "running", func(s process.Status) bool { return s.State == process.Running })
				eventually(t, name+" tells", func() bool { return len(d.told(name)) > 0 && d.told(name)[0] != "" })
				if told := d.told(name); len(told) != 1 || told[0] != fmt.Sprint(s.Number) {
					t.Errorf("%s ran %q; %+v", name, told, s)
				}
			}
			if s := d.status("same"); s.PID != same || s.Deadline != time.Hour {
				t.Errorf("%+v", s)
			}
		})
	}
}

// One that cannot be started is told in its row; the others are there.
func TestWhatCannotBeStartedIsToldInItsRow(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	path := d.defines("a.hero", define("bad", "true", "autostart", "dir:/nowhere")+define("good", sleeps, "autostart"))
	r := d.pmclient("apply", "-f", path)
	if r.code != 1 || !strings.Contains(r.stdout, "1 new, 1 failed\n") || !strings.Contains(r.stderr, "process 'bad'") || !strings.Contains(r.stderr, "/nowhere") {
		t.Errorf("%+v", r)
	}
	if s := d.status("good"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
	if s := d.status("bad"); s.State != process.Failed || s.Source != path {
		t.Errorf("%+v", s)
	}
}

// Export, delete, apply: the same definitions, whatever is in them.
func TestExportDeleteApplyGivesTheSameDefinitions(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	commands := []string{
		"true", "echo 'it''s' \"so\" \\ \\\\ \\' # no comment // neither", " leads", "trails \t", "two\nlines\n", "\r\n", "a\r\nb\rc", "\x1b[31m\x01\x7f", "é 日本 \u202e \ufeff",
		"!!process.delete name:c00\n\n# x\n**ENDRESULT**\n", strings.Repeat("'\\\"\n", 10_000),
	}
	for i, command := range commands {
		spec := process.Spec{Name: fmt.Sprintf("c%02d", i), Command: command}
		if process.ValidateCommand(command) != nil {
			continue
		}
		if i%2 == 0 {
			spec.Dir, spec.Deadline, spec.StopTimeout, spec.StopSignal = "/tmp/a 'b'\n", 90*time.Minute+1, new(time.Duration(0)), process.KILL
			spec.Log, spec.LogBlock, spec.LogMaxSize, spec.LogMaxFiles, spec.LogMaxAge, spec.LogMaxTotal = true, true, 64<<10, 7, time.Hour, 1<<30
		}
		if i%3 == 0 {
			spec.Cron, spec.JobID = "CRON_TZ=Europe/Brussels 0 3 * * 1-5", "j:"+fmt.Sprint(i)
		}
		if i > 1 {
			spec.Needs, spec.After = "c00,c01:completed", "c01"
		}
		if _, err := pm.Define(d.context(), spec); err != nil {
			t.Fatalf("%q: %v", command, err)
		}
	}
	before := d.mustClient("export")
	if strings.Contains(before, d.state) || strings.Contains(before, "source") || !strings.HasPrefix(before, "!!process.define name:c00\n    command:true\n") {
		t.Errorf("%.300s", before)
	}
	path := d.defines("all.hero", before)
	d.mustClient("delete", "*")
	d.apply("-f", path)
	if after := d.mustClient("export"); after != before {
		t.Errorf("got\n%.2000q\nwant\n%.2000q", after, before)
	}
	for _, row := range d.apply("-f", path) {
		if row.Action != process.ApplyUnchanged {
			t.Errorf("%+v", row)
		}
	}
	// Some of them, and one that is not there.
	if out := d.mustClient("export", "c01", "c0[4]"); strings.Count(out, "!!process.define") != 2 || !strings.Contains(out, "name:c04") {
		t.Errorf("%.300s", out)
	}
	if r := d.pmclient("export", "c01,nope"); r.code != 1 || strings.Count(r.stdout, "!!process.define") != 1 || !strings.Contains(r.stderr, "no process 'nope'") {
		t.Errorf("%+v", r)
	}
	if r := d.pmclient("export", "nope"); r.code != 1 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
}

// thousand writes a folder with 1,000 definitions of services, and is its path. They
// differ by the deadline of one.
func (d *daemon) thousand(deadline int) string {
	var text strings.Builder
	for i := range 1000 {
		fields := []string{"dir:/srv", "autostart", "log", "restart:on-failure", "stop_timeout:5", "env:'A=1\nB=2 3'"}
		if i == 7 {
			fields = append(fields, fmt.Sprintf("deadline:%dh", deadline))
		}
		text.WriteString("// of the customer\n" + define(fmt.Sprintf("n%03d", i), "exec sleep 1000 # and some more words, as commands have them: --listen 127.0.0.1:8080 --root /srv", fields...))
		if i%100 == 99 {
			d.defines(fmt.Sprintf("thousand/%d.hero", i/100), text.String())
			text.Reset()
		}
	}
	return d.dir + "/thousand"
}

// A thousand definitions fit into one request, and one that changed among them is found
// soon. BenchmarkApply has the figure.
func TestApplyOfAThousandDefinitions(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	folder := d.thousand(1)
	for i := range 10 { // at rest they cost the test less
		path := fmt.Sprintf("%s/%d.hero", folder, i)
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.ReplaceAll(string(data), " autostart ", " ")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out := d.mustClient("apply", "-f", folder); !strings.HasSuffix(out, "\n1000 new\n") {
		t.Errorf("%.300s", out)
	}
	path := folder + "/0.hero"
	best := time.Hour
	for i := range 5 {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(data), fmt.Sprintf("deadline:%dh", 1+i), fmt.Sprintf("deadline:%dh", 2+i), 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if out := d.mustClient("apply", "-f", folder); out != "NAME  WHAT     WHY\nn007  changed  deadline\n1 changed, 999 unchanged\n" {
			t.Fatalf("%.300s", out)
		}
		best = min(best, time.Since(begin))
	}
	if limit := 3 * time.Second; best > limit { // ten times what was promised: other tests run beside it
		t.Errorf("it took %v, at most %v", best, limit)
	}
	t.Log(best)
}

// What needs what may be said in any order, and turned round: it counts when all is read.
func TestApplyOfWhatNeedsEachOther(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	path := d.defines("a.hero", define("web", sleeps, "autostart", "needs:db")+define("db", sleeps, "autostart", "needs:disk")+define("disk", sleeps))
	d.applied("db:new disk:new web:new", "-f", path)
	pids := map[string]int{}
	for _, name := range []string{"disk", "db", "web"} {
		s := d.status(name) // what is needed is started too
		if pids[name] = s.PID; s.State != process.Running {
			t.Errorf("%+v", s)
		}
	}
	if disk, db, web := d.status("disk").Start, d.status("db").Start, d.status("web").Start; disk.After(db) || db.After(web) {
		t.Errorf("disk at %v, db at %v, web at %v", disk, db, web)
	}
	d.defines("a.hero", define("disk", sleeps, "needs:db")+define("db", sleeps, "autostart", "needs:web")+define("web", sleeps, "autostart"))
	for name, row := range d.apply("-f", path) {
		if row.Action != process.ApplyChanged || row.Err != nil || d.status(name).PID != pids[name] {
			t.Errorf("%+v", row)
		}
	}
	d.defines("a.hero", define("disk", sleeps, "needs:db")+define("db", sleeps, "needs:web")+define("web", sleeps, "needs:disk"))
	if r := d.pmclient("apply", "-f", path); r.code != 1 || !strings.Contains(r.stderr, "a.hero: line ") || !strings.Contains(r.stderr, "cycle") {
		t.Errorf("%+v", r)
	}
	d.defines("a.hero", "// nothing any more\n")
	d.applied("db:deleted disk:deleted web:deleted", "-f", path, "-prune")
	if names := d.names(); names != "" {
		t.Error(names)
	}
	// Who deletes what needs nobody else goes first.
	var order []string
	for _, e := range d.events(process.EventQuery{}) {
		if e.Kind == process.EventDeleted {
			order = append(order, e.Name)
		}
	}
	if !slices.Equal(order, []string{"disk", "db", "web"}) {
		t.Errorf("deleted in this order: %v", order)
	}
}

// Values of variables are kept and given back by export alone.
func TestVariablesOfAFileAreShownByExportAlone(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	path := d.defines("a.hero", define("x", "echo $A; "+sleeps, "autostart", "env:'A=hunter2\nB=hunter2'"))
	said := d.mustClient("apply", "-f", path) + d.mustClient("apply", "-f", path, "-format", "json")
	d.said("x", "hunter2")
	d.defines("a.hero", define("x", "echo $A; "+sleeps, "autostart", "env:'A=hunter3\nB=hunter2'"))
	said += d.mustClient("apply", "-f", path, "-dry-run") + d.mustClient("apply", "-f", path) + d.mustClient("apply", "-f", path, "-format", "json", "-dry-run")
	said += d.pmclient("define", "x", "-command", "true").stderr + d.mustClient("events") + d.mustClient("events", "-format", "json") + d.mustClient("status", "x", "-format", "json")
	d.defines("a.hero", define("x", "true", "env:'A=hunter3\nhunter2'"))
	said += d.pmclient("apply", "-f", path).stderr
	if strings.Contains(said, "hunter") || !strings.Contains(said, "env") {
		t.Error(said)
	}
	if out := d.mustClient("export", "x"); !strings.Contains(out, "env:'A=hunter3\nB=hunter2'") {
		t.Error(out)
	}
	if s := d.apply("-f", d.defines("b.hero", d.mustClient("export")), "-restart")["x"]; s.Action != process.ApplyRestarted {
		t.Errorf("%+v", s)
	}
	d.said("x", "hunter3")
}
