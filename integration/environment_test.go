package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// with is a spec with fields by their names, two words each.
func with(t *testing.T, name, command string, fields ...string) process.Spec {
	t.Helper()
	spec := process.Spec{Name: name, Command: command}
	for i := 0; i+1 < len(fields); i += 2 {
		f := process.FieldNamed(fields[i])
		if f == nil {
			t.Fatalf("no field %s", fields[i])
		}
		if err := f.Set(&spec, fields[i+1]); err != nil {
			t.Fatalf("%s: %v", fields[i], err)
		}
	}
	return spec
}

// outputOf runs a spec to its end and is what it wrote.
func (d *daemon) outputOf(spec process.Spec) string {
	d.t.Helper()
	d.start(spec)
	if s := d.rest(spec.Name); s.Cause != process.CauseExit || !same(s.ExitCode, new(0)) {
		d.t.Errorf("%s: %+v", spec.Name, s)
	}
	return d.logs(spec.Name, 1000)
}

// Each line: what a definition says, what asks the kernel for it, and its answer.
func TestARunGetsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if err := os.WriteFile(d.dir+"/input", []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.dir+"/variables", []byte("# for a test\nA=file\nB='file too'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		fields        []string
		command, want string
	}{
		{[]string{"umask", "027"}, "umask", "0027\n"},
		{[]string{"nice", "5"}, "nice", "5\n"},
		{[]string{"oom_score_adj", "700"}, "cat /proc/self/oom_score_adj", "700\n"},
		{[]string{"no_new_privileges", "true"}, "grep NoNewPrivs /proc/$$/status", "NoNewPrivs:\t1\n"},
		{[]string{"rlimit_nofile", "100:200"}, "ulimit -Sn; ulimit -Hn", "100\n200\n"},
		{[]string{"rlimit_core", "0"}, "ulimit -c", "0\n"},
		{[]string{"rlimit_as", "512M", "rlimit_cpu", "10m"}, "ulimit -v; ulimit -t", "524288\n600\n"},
		{[]string{"rlimit_fsize", "1M:2M"}, "ulimit -Sf; ulimit -Hf", "2048\n4096\n"},
		{[]string{"stdin", "file:" + d.dir + "/input"}, "cat", "from the file\n"},
		{[]string{"stdin", "null"}, "readlink /proc/self/fd/0", "/dev/null\n"},
		{[]string{"env", "A=1\nB=two words\nC="}, `echo "$A,$B,${C-none}"`, "1,two words,\n"},
		{[]string{"env_file", d.dir + "/variables"}, `echo "$A,$B"`, "file,file too\n"},
		{[]string{"env_file", d.dir + "/variables", "env", "A=env"}, `echo "$A,$B"`, "env,file too\n"},
		{[]string{"env_file", "-" + d.dir + "/missing", "env", "A=env"}, `echo "$A"`, "env\n"},
		{[]string{"env", "PATH=/nowhere\nHOME=/h"}, `echo "$PATH,$HOME,$PROCESSMANAGER_RUN"`, "/nowhere,/h,1\n"},
		{[]string{"dir", "/usr", "nice", "1"}, "pwd", "/usr\n"},
		// With all of them the rest is as in a plain run.
		{[]string{"umask", "022", "nice", "1", "env", "A=1"}, "umask; ls -m /proc/$$/fd; grep -E 'SigBlk|SigIgn' /proc/$$/status; cut -d' ' -f5,6 /proc/$$/stat | tr ' ' '\n' | grep -c $$",
			"0022\n0, 1, 2\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n2\n"},
	} {
		name := fmt.Sprintf("p%d", i)
		if got := d.outputOf(with(t, name, c.command, c.fields...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.fields, got, c.want)
		}
		d.nobodyLeft(name, 1)
	}
}

// A run that asks for none of these is executed at once; one that does has our own program
// executed before, and the page faults of its start on its account.
func TestPlainRunsPayNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	faults := func(name string, fields ...string) int {
		d.start(with(t, name, "exec sleep 1000", fields...))
		pid := d.status(name).PID
		eventually(t, "the shell has become its sleep", func() bool { return cmdline(pid) == "sleep 1000" && procStat(pid)[0] == "S" })
		n, err := strconv.Atoi(procStat(pid)[7])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plain, made := faults("plain", "env", "A=1"), faults("made", "umask", "027")
	t.Logf("page faults: %d plain, %d with settings", plain, made)
	if plain > made-150 {
		t.Errorf("%d page faults, with settings %d", plain, made)
	}
}

func TestARunAsAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can start somebody else's processes")
	}
	d := startDaemon(t, setup{Env: []string{"USER=root", "LOGNAME=root", "SHELL=/bin/sh"}})
	for i, c := range []struct {
		fields        []string
		command, want string
	}{
		{[]string{"user", "nobody"}, "id -un; id -ru; echo $HOME $USER $LOGNAME $SHELL", "nobody\n65534\n/nonexistent nobody nobody /usr/sbin/nologin\n"},
		{[]string{"user", "65534"}, "id -un; echo $USER", "nobody\nnobody\n"},
		{[]string{"user", "nobody", "group", "daemon"}, "id -g; id -G", "1\n1\n"},
		{[]string{"group", "daemon"}, "id -u; id -g", "0\n1\n"},
		{[]string{"user", "12345", "group", "12345"}, "id -u; id -G; echo ${USER-none} ${HOME-none}", "12345\n12345\nnone none\n"},
		{[]string{"user", "nobody", "env", "HOME=/mine"}, "echo $HOME", "/mine\n"},
		{[]string{"user", "nobody", "rlimit_nofile", "50"}, "ulimit -Hn; grep -E 'CapEff|CapPrm' /proc/self/status", "50\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"},
		// The everyday idioms, although the pipe was made by root.
		{[]string{"user", "nobody"}, "echo a >/dev/stderr; echo b >>/dev/stdout; echo c >/proc/self/fd/2", "a\nb\nc\n"},
	} {
		if got := d.outputOf(with(t, fmt.Sprintf("p%d", i), c.command, append(c.fields, "dir", "/")...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.fields, got, c.want)
		}
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		cannot(t, "no setpriv: %v", err)
	}
	// A file that belongs to a user and is executable with its owner's rights gives them,
	// unless that is forbidden.
	suid := t.TempDir() + "/id"
	for dir := suid; dir != "/tmp" && dir != "/"; dir = dir[:strings.LastIndexByte(dir, '/')] {
		os.Chmod(dir, 0o755)
	}
	if out, err := exec.Command("cp", "/usr/bin/id", suid).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(suid, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for want, forbidden := range map[string]string{"0\n": "false", "65534\n": "true"} {
		if got := d.outputOf(with(t, "suid-"+forbidden, suid+" -u", "user", "nobody", "dir", "/", "no_new_privileges", forbidden)); got != want {
			t.Errorf("no_new_privileges:%s: %q, want %q", forbidden, got, want)
		}
	}
	// Stop and its signals reach it as any other.
	d.start(with(t, "stop", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done", "user", "nobody", "dir", "/"))
	d.said("stop", "up")
	if s := d.stop("stop"); s.Cause != process.CauseStop || !same(s.ExitCode, new(0)) {
		t.Errorf("%+v", s)
	}
}

// A start that fails says at which step, with errno and path; the run is recorded with that.
func TestStartsThatFailSayTheStep(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if err := os.WriteFile(d.dir+"/bad", []byte("A=1\nhunter2 x=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	most, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		t.Fatal(err)
	}
	open, err := strconv.Atoi(strings.TrimSpace(string(most)))
	if err != nil {
		t.Fatal(err)
	}
	type failing struct {
		fields []string
		want   string // empty: it does not fail
	}
	cases := []failing{
		{[]string{"rlimit_nofile", fmt.Sprint(open + 1)}, fmt.Sprintf("rlimit_nofile: %d is above fs.nr_open, which is %d", open+1, open)},
		{[]string{"user", "no-such-user"}, "user: no such user 'no-such-user' in /etc/passwd"},
		{[]string{"user", "54321"}, "user: no user in /etc/passwd has the number 54321: give group too"},
		{[]string{"group", "no-such-group"}, "group: no such group 'no-such-group' in /etc/group"},
		{[]string{"nice", "1", "dir", "/nope"}, "chdir /nope: no such file or directory"},
		{[]string{"dir", "/nope"}, "chdir /nope: no such file or directory"},
		{[]string{"stdin", "file:/nope"}, "stdin /nope: no such file or directory"},
		{[]string{"stdin", "file:/"}, "stdin /: is a directory"},
		{[]string{"env_file", "/nope"}, "env_file /nope: no such file or directory"},
		{[]string{"env_file", d.dir + "/bad"}, "env_file " + d.dir + "/bad: line 2: no name of a variable"},
		{[]string{"env_file", "/dev/zero"}, "env_file /dev/zero: it is no regular file"},
		{[]string{"env", "A=" + strings.Repeat("x", 100<<10), "env_file", ""}, ""},
		{[]string{"rlimit_stack", "8M", "env", "A=" + strings.Repeat("x", 127<<10)}, ""},
	}
	if os.Geteuid() == 0 {
		cases = append(cases, []failing{
			{[]string{"user", "nobody", "dir", d.dir}, "chdir " + d.dir + ": permission denied"},
			{[]string{"user", "nobody", "dir", "/", "stdin", "file:" + d.dir + "/bad"}, "stdin " + d.dir + "/bad: permission denied"},
		}...)
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	if effective, err := strconv.ParseUint(statusField(os.Getpid(), "CapEff"), 16, 64); err != nil {
		t.Fatal(err)
	} else if effective&(1<<unix.CAP_SYS_RESOURCE) == 0 && now.Max < uint64(open) {
		cases = append(cases, failing{[]string{"rlimit_nofile", fmt.Sprint(now.Max + 1)}, "rlimit_nofile: operation not permitted (needs CAP_SYS_RESOURCE)"})
	}
	for i, c := range cases {
		name := fmt.Sprintf("p%d", i)
		_, err := d.client().Start(d.context(), with(t, name, "true", c.fields...))
		if c.want == "" {
			if err != nil {
				t.Errorf("%.80q: %v", c.fields, err)
			}
			continue
		}
		if !isCode(err, process.CodeStart) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.80q: %v, want %s", c.fields, err, c.want)
		}
		s := d.status(name)
		if s.State != process.Failed || s.Cause != process.CauseStart || !strings.Contains(s.Error, c.want) || s.Number != 1 || s.PID != 0 {
			t.Errorf("%.80q: %+v", c.fields, s)
		}
		d.nobodyLeft(name, 1)
	}
}

// An ordinary user's daemon says what it may not before it tries.
func TestAnOrdinaryDaemonSaysWhatItMayNot(t *testing.T) {
	t.Parallel()
	d := newOrdinary(t)
	d.launch()
	for i, c := range []struct {
		flags []string
		want  string // empty: it may
	}{
		{[]string{"-user", "root"}, "user: operation not permitted (needs CAP_SETUID)"},
		{[]string{"-group", "0"}, "group: operation not permitted (needs CAP_SETGID)"},
		{[]string{"-nice", "-5"}, "nice: permission denied (needs CAP_SYS_NICE)"},
		{[]string{"-oom_score_adj", "-500"}, "oom_score_adj: permission denied (needs CAP_SYS_RESOURCE)"},
		{[]string{"-rlimit_nofile", "unlimited"}, "rlimit_nofile: operation not permitted (needs CAP_SYS_RESOURCE)"},
		{[]string{"-user", "nobody"}, ""},
		{[]string{"-user", "65534", "-group", "65534"}, ""},
		{[]string{"-nice", "5", "-umask", "077", "-no_new_privileges", "-rlimit_nofile", "40:50", "-oom_score_adj", "10"}, ""},
	} {
		name := fmt.Sprintf("p%d", i)
		r := d.asks(append([]string{"start", name, "-command", "id -u; umask", "-dir", "/"}, c.flags...)...)
		switch {
		case c.want != "":
			if r.code != 1 || !strings.Contains(r.stderr, c.want) {
				t.Errorf("%q: %+v, want %s", c.flags, r, c.want)
			}
		case r.code != 0:
			t.Errorf("%q: %+v", c.flags, r)
		default:
			eventually(t, "it has said who it is", func() bool { return strings.HasPrefix(d.asks("logs", name).stdout, "65534\n") })
		}
	}
	d.end(unix.SIGTERM)
	os.Remove(d.cgroup + "/starter")
}

// What a variable holds is shown by no verb, in no format, and stands in no log of the
// daemon: the names alone.
func TestWhatVariablesHoldIsShownByNobody(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	d := startDaemon(t, setup{})
	d.mustClient("start", "web", "-command", "exec sleep 1000", "-env", "TOKEN="+secret, "-env", "B="+secret+" more", "-log")
	d.mustClient("start", "job", "-command", "exit 3", "-env", "TOKEN="+secret)
	d.rest("job")
	d.mustClient("set", "web", "-env", "TOKEN=other"+secret, "-umask", "027")
	said := []string{}
	ask := func(args ...string) string {
		r := d.pmclient(args...)
		said = append(said, r.stdout, r.stderr)
		return r.stdout + r.stderr
	}
	for _, v := range verbs.All() {
		for _, format := range []string{"text", "json"} {
			switch v.Short() {
			case "export": // which is for that
				continue
			case "upgrade", "delete":
				continue
			case "signal":
				ask("signal", "web", "-signal", "CONT", "-format", format)
			case "set":
				ask("set", "web", "-nice", "3", "-format", format)
				ask("set", "web", "-env", "A="+secret+"\n"+secret, "-format", format) // no '='
				ask("set", "web", "-env", "A="+secret+"\nA="+secret, "-format", format)
				ask("set", "web", "-env", "A="+secret+"\xff", "-format", format)
				ask("set", "web", "-env", secret+"-"+secret+"=1", "-format", format)
			case "start":
				ask("start", "web", "-command", "exec sleep 1000", "-env", "TOKEN=x"+secret, "-format", format) // another definition
				ask("start", "web", "-command", "exec sleep 1000", "-env", "TOKEN=x"+secret, "-replace", "-format", format)
				ask("start", "failing", "-command", "true", "-env", "TOKEN="+secret, "-dir", "/nope", "-replace", "-format", format)
				ask("start", "failing", "-command", "true", "-env", "TOKEN="+secret, "-nice", "1", "-stdin", "file:/nope", "-replace", "-format", format)
			default:
				args := []string{v.Short()}
				if v.Takes("name") {
					args = append(args, "web,job")
				}
				if v.Takes("follow") {
					args = append(args, "-follow=false")
				}
				if v.Takes("timeout") { // web does not end
					args = append(args, "-timeout", "0.1")
				}
				ask(append(args, "-format", format)...)
			}
		}
	}
	status := ask("status", "web", "-format", "json")
	if !strings.Contains(status, `"env":["TOKEN"]`) {
		t.Errorf("the names are not shown: %s", status)
	}
	if text := ask("status", "job"); !strings.Contains(text, "TOKEN") {
		t.Errorf("the names are not shown: %s", text)
	}
	events := ask("events", "-format", "json")
	if !strings.Contains(events, `"fields":["env"`) {
		t.Errorf("no event tells of the change: %s", events)
	}
	for _, text := range append(said, d.log.since(0)) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("it is shown: %s", text)
		}
	}
	// It is kept, for the next daemon.
	d.end(unix.SIGTERM)
	d.launch()
	if err := d.client().Delete(d.context(), "failing"); err != nil {
		t.Error(err)
	}
	d.mustClient("set", "web", "-command", `echo "$TOKEN"`)
	d.mustClient("start", "web")
	d.rest("web")
	if got := d.logs("web", 1); got != "x"+secret+"\n" {
		t.Errorf("%q", got)
	}
	for _, path := range []string{d.state} {
		out, err := exec.Command("find", path, "-type", "f", "-perm", "/077").CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("files that others may read: %s, %v", out, err)
		}
	}
}

// Nothing of it can be changed on a tree that runs; it holds from the next run on, and that
// is said.
func TestChangesOfTheEnvironmentWaitForARestart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	show := `umask; echo $A; exec sleep 1000`
	d.start(with(t, "x", show, "env", "A=1", "umask", "027"))
	d.said("x", "0027\n1\n")
	text := d.mustClient("set", "x", "-env", "A=2", "-umask", "077", "-nice", "4", "-rlimit_core", "0")
	for _, name := range []string{"env", "umask", "nice", "rlimit_core"} {
		if _, after, _ := strings.Cut(text, "; "); !strings.Contains(after, name) || !strings.Contains(after, "restart x to have it now") {
			t.Errorf("%s: %s", name, text)
		}
	}
	s := d.status("x")
	if want := []string{"env", "umask", "nice", "rlimit_core"}; !slices.Equal(s.WaitsForRestart, want) {
		t.Errorf("%q wait, want %q", s.WaitsForRestart, want)
	}
	if n := niceOf(t, s.PID); n != 0 {
		t.Errorf("the tree that runs has nice %d", n)
	}
	// The next worker knows what the run was started with.
	d.killWorker()
	if s := d.status("x"); len(s.WaitsForRestart) != 4 {
		t.Errorf("%+v", s)
	}
	d.mustClient("restart", "x")
	d.said("x", "0077\n2\n")
	if s := d.status("x"); len(s.WaitsForRestart) != 0 || niceOf(t, s.PID) != 4 {
		t.Errorf("%+v", s)
	}
	d.mustClient("set", "x", "-env", "", "-umask", "", "-nice", "")
	d.mustClient("restart", "x")
	d.said("x", "0022\n\n")
	if n := niceOf(t, d.status("x").PID); n != 0 && os.Geteuid() == 0 {
		t.Errorf("nice is %d", n)
	}
}

// A file of variables is read at each start.
func TestAFileOfVariablesIsReadAtEachStart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	file := d.dir + "/variables"
	for i, value := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte("A="+value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d.start(with(t, "x", "echo $A", "env_file", file))
		if d.rest("x"); d.logs("x", 1) != value+"\n" {
			t.Errorf("run %d says %q", i+1, d.logs("x", 1))
		}
	}
}

// The trees of runs with settings live on while worker and program are replaced.
func TestRunsWithSettingsOutliveWorkersAndUpgrades(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.start(with(t, "x", "umask; exec sleep 1000", "umask", "027", "nice", "2"))
	pid := d.status("x").PID
	d.killWorker()
	for _, program := range []string{otherProgram(t), programs.daemon} {
		replace(program)
		d.upgraded()
		if s := d.status("x"); s.PID != pid || s.State != process.Running || s.Umask != "0027" {
			t.Errorf("%+v", s)
		}
		// The program that is there now makes settings as well.
		if got := d.outputOf(with(t, "y", "umask; nice", "umask", "007", "nice", "3")); !strings.HasSuffix(got, "0007\n3\n") {
			t.Errorf("%q", got)
		}
	}
	if s := d.stop("x"); s.Signal != process.TERM {
		t.Errorf("%+v", s)
	}
}

// A command as words arrives as it is, and its program is the main process.
func TestACommandOfWordsIsTheMainProcess(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "web", "--", "sleep", "1000")
	pid := d.status("web").PID
	eventually(t, "the program runs", func() bool { return cmdline(pid) == "sleep 1000" })
	words := []string{"it's", "", "a b", "$HOME", "a\nb", "-name", "--", `\`, "*", "é"}
	d.mustClient(append([]string{"start", "words", "--", "printf", `<%s>`}, words...)...)
	d.rest("words")
	if got, want := d.logs("words", 100), "<"+strings.Join(words, "><")+">"; strings.TrimSuffix(got, "\n") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if r := d.pmclient("start", "bad", "--", "echo", "\xff"); r.code != 2 || !strings.Contains(r.stderr, "word 2 of the command") {
		t.Errorf("%+v", r)
	}
	var s process.Status
	if err := json.Unmarshal([]byte(d.mustClient("status", "web", "-format", "json")), &s); err != nil || s.Command != "exec sleep 1000" {
		t.Errorf("%+v, %v", s, err)
	}
}

// However many start at once, each has its own.
func TestManyStartsWithSettings(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const many = 40
	failed := make(chan error, many)
	for i := range many {
		pm := d.dial(t)
		go func(pm *client.Client) {
			spec := process.Spec{Name: fmt.Sprint("p", i), Command: "umask"}
			spec.Umask = fmt.Sprintf("%04o", i)
			_, err := pm.Start(context.Background(), spec)
			failed <- err
		}(pm)
	}
	for range many {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	for i := range many {
		name := fmt.Sprint("p", i)
		if d.rest(name); d.logs(name, 1) != fmt.Sprintf("%04o\n", i) {
			t.Errorf("%s says %q", name, d.logs(name, 1))
		}
	}
}

// A probe's command is run as the run is: by its user, with its environment and limits.
func TestAProbeIsRunAsItsRunIs(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can start somebody else's processes")
	}
	d := startDaemon(t, setup{})
	probe := `test "$(id -u)" = 65534 && test "$A" = 1 && test "$(ulimit -n)" = 77 && test "$(umask)" = 0027 && echo said >/dev/stderr`
	d.mustClient("start", "x", "-command", "exec sleep 1000", "-user", "nobody", "-dir", "/", "-env", "A=1", "-rlimit_nofile", "77", "-umask", "027",
		"-ready", "exec:"+probe, "-ready_timeout", "20", "-wait", "ready")
	if s := d.status("x"); s.State != process.Running {
		t.Errorf("%+v", s)
	}
}

// Nobody reads in /proc what variables the client was given, however long it waits.
func TestVariablesAreNotSeenInTheArguments(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	cmd := exec.Command(programs.client, "-socket", d.socket, "-secret", theSecret, "start", "x", "-env", "TOKEN=hunter2", "-command", "exec sleep 1000", "-wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs", func() bool {
		all := d.list()
		return len(all) == 1 && all[0].State == process.Running
	})
	if line := cmdline(cmd.Process.Pid); strings.Contains(line, "hunter2") || !strings.Contains(line, "-wait") {
		t.Errorf("%q", line)
	}
	d.stop("x")
	cmd.Wait()
}
