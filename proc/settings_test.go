package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// settledRun begins c, and is what it wrote and how it ended, or why it could not start.
func settledRun(t *testing.T, c Command) (said string, exit Exit, err error) {
	t.Helper()
	out, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.Output = out
	s, err := Begin(c)
	if err != nil {
		t.Fatal(err)
	}
	before := s.ID
	err = s.Wait()
	if again, idErr := Identify("/proc", s.PID); idErr != nil || again != before {
		t.Errorf("it was %v before the exec and is %v, %v", before, again, idErr)
	}
	exit = end(t, s.ID)
	data, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(data), exit, err
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// asRoot skips a test that needs to be root, but not where it must not be left out.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can")
	}
}

func TestSettingsAreMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/input", []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	limit := func(name string, soft, hard uint64) Settings {
		return Settings{Limits: []Rlimit{{name, soft, hard}}}
	}
	for _, test := range []struct {
		name, script, want string
		settings           Settings
	}{
		{"umask", "umask", "0027\n", Settings{Umask: new(0o027)}},
		{"no umask", "umask", "0077\n", Settings{Umask: new(0o077), Nice: new(1)}},
		{"nice", "nice", "7\n", Settings{Nice: new(7)}},
		{"score", "cat /proc/self/oom_score_adj", "321\n", Settings{OOMScoreAdj: new(321)}},
		{"no privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n", Settings{NoNewPrivileges: true}},
		{"privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0\n", Settings{Nice: new(1)}},
		{"input", "cat", "a line\n", Settings{Input: dir + "/input"}},
		{"input in blocking mode", "sed -n 's/^flags:.*\\(.\\)...$/\\1/p' /proc/$$/fdinfo/0", "0\n", Settings{Input: dir + "/input"}},
		{"open files", "ulimit -Sn; ulimit -Hn", "50\n60\n", limit("nofile", 50, 60)},
		{"as few files as a shell needs", "echo yes", "yes\n", Settings{Input: dir + "/input", Limits: []Rlimit{{"nofile", 4, 4}}}},
		{"core", "ulimit -c", "0\n", limit("core", 0, 0)},
		{"CPU", "ulimit -t", "1000\n", limit("cpu", 1000, 1000)},
		{"address space", "ulimit -v", "100000\n", limit("as", 100000<<10, 100000<<10)},
		{"data", "ulimit -d", "50000\n", limit("data", 50000<<10, 50000<<10)},
		{"stack", "ulimit -s", "1024\n", limit("stack", 1<<20, 1<<20)},
		{"soft one alone", "ulimit -Sf; ulimit -Hf", "4\nunlimited\n", limit("fsize", 2048, Unlimited)},
	} {
		t.Run(test.name, func(t *testing.T) {
			said, exit, err := settledRun(t, Command{Argv: shell(test.script), Env: []string{"PATH=/usr/bin:/bin"}, Settings: &test.settings})
			if said != test.want || exit.Code != 0 || exit.Signal != 0 || err != nil {
				t.Errorf("%q, %v, %v, want %q", said, exit, err, test.want)
			}
		})
	}
}

// Each limit is the one of its name: /proc says what the kernel has.
func TestEveryLimitIsTheOneOfItsName(t *testing.T) {
	titles := map[string]string{
		"as": "Max address space", "core": "Max core file size", "cpu": "Max cpu time", "data": "Max data size",
		"fsize": "Max file size", "locks": "Max file locks", "memlock": "Max locked memory", "msgqueue": "Max msgqueue size",
		"nice": "Max nice priority", "nofile": "Max open files", "nproc": "Max processes", "rss": "Max resident set",
		"rtprio": "Max realtime priority", "rttime": "Max realtime timeout", "sigpending": "Max pending signals", "stack": "Max stack size",
	}
	for name, number := range resources {
		var now unix.Rlimit
		if err := unix.Getrlimit(number, &now); err != nil {
			t.Fatal(err)
		}
		soft := min(now.Max, 1<<30-1) // enough for cat
		said, _, err := settledRun(t, Command{Argv: []string{"/bin/cat", "/proc/self/limits"}, Settings: &Settings{Limits: []Rlimit{{name, soft, now.Max}}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, after, _ := strings.Cut(said, titles[name])
		if got := strings.Fields(after); len(got) == 0 || got[0] != fmt.Sprint(soft) {
			t.Errorf("%s is %.20q, want %d", name, after, soft)
		}
	}
	if len(titles) != len(resources) {
		t.Errorf("%d limits are tested of %d", len(titles), len(resources))
	}
}

func TestSettingsMakeAnotherUser(t *testing.T) {
	asRoot(t)
	script := "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status | tr -s '\\t ' ' '"
	for _, test := range []struct {
		settings Settings
		want     string
	}{
		{Settings{User: new(uint32(12345)), Group: new(uint32(23456)), Groups: []uint32{7, 8}},
			"Uid: 12345 12345 12345 12345\nGid: 23456 23456 23456 23456\nGroups: 7 8 \nCapEff: 0000000000000000\n"},
		{Settings{User: new(uint32(12345)), Group: new(uint32(23456)), Groups: []uint32{}, Limits: []Rlimit{{"nproc", 9, 9}}},
			"Uid: 12345 12345 12345 12345\nGid: 23456 23456 23456 23456\nGroups: \nCapEff: 0000000000000000\n"},
	} {
		said, _, err := settledRun(t, Command{Argv: shell(script), Env: []string{"PATH=/usr/bin:/bin"}, Settings: &test.settings})
		if said != test.want || err != nil {
			t.Errorf("%q, %v, want %q", said, err, test.want)
		}
	}
	// One process of a user is one, whoever has made its settings.
	said, exit, err := settledRun(t, Command{Argv: []string{"/bin/echo", "alone"}, Settings: &Settings{
		User: new(uint32(12346)), Group: new(uint32(12346)), Groups: []uint32{}, Limits: []Rlimit{{"nproc", 1, 1}}}})
	if said != "alone\n" || exit.Code != 0 || err != nil {
		t.Errorf("%q, %v, %v", said, exit, err)
	}
}

func TestGroupAlone(t *testing.T) {
	asRoot(t)
	said, _, err := settledRun(t, Command{Argv: shell("id -u; id -g"), Env: []string{"PATH=/usr/bin:/bin"}, Settings: &Settings{Group: new(uint32(23456))}})
	if said != "0\n23456\n" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
}

// What the child is given at its birth it has after its settings too, and nothing of what
// has made them.
func TestSettingsLeaveTheRestAsItIs(t *testing.T) {
	script := `grep -E '^(SigBlk|SigIgn|Umask|Threads)' /proc/self/status; ls -m /proc/$$/fd; ulimit -Sn; ulimit -Hn; tr '\0' '\n' </proc/$$/environ
read _ comm _ _ pgrp session tty _ </proc/$$/stat; test $pgrp = $$ && test $session = $$ && echo leader $comm $tty; readlink /proc/$$/fd/0; nice`
	for _, prefix := range []string{
		`exec`,
		`umask 077; exec 7</dev/zero; trap '' HUP INT PIPE TSTP TTIN CHLD USR1; ulimit -Sn 200; exec`,
		`exec env --block-signal --ignore-signal`,
	} {
		want := play(t, "spawn", prefix, shell(script)...)
		if !strings.Contains(want, "leader (sh)") || !strings.Contains(want, "A=\xff\n") || !strings.Contains(want, "\n0, 1, 2\n") {
			t.Fatalf("%q", want)
		}
		if got := play(t, "settle", prefix, shell(script)...); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", prefix, got, want)
		}
	}
}

func TestSettingsSayTheStepThatFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := &Settings{}
	for _, test := range []struct {
		command Command
		want    string
		err     error
	}{
		{Command{Argv: []string{"/missing"}, Settings: none}, "exec /missing: no such file or directory", unix.ENOENT},
		{Command{Argv: []string{dir + "/file"}, Settings: none}, "exec " + dir + "/file: permission denied", unix.EACCES},
		{Command{Argv: []string{"/bin/sh", strings.Repeat("x", 128<<10)}, Settings: none}, "exec /bin/sh: argument list too long", unix.E2BIG},
		{Command{Argv: shell("true"), Dir: dir + "/missing", Settings: none}, "chdir " + dir + "/missing: no such file or directory", unix.ENOENT},
		{Command{Argv: shell("true"), Settings: &Settings{Input: dir + "/missing"}}, "stdin " + dir + "/missing: no such file or directory", unix.ENOENT},
		{Command{Argv: shell("true"), Settings: &Settings{Input: dir}}, "stdin " + dir + ": is a directory", unix.EISDIR},
		{Command{Argv: shell("true"), Settings: &Settings{OOMScoreAdj: new(2000)}}, "oom_score_adj: invalid argument", unix.EINVAL},
		{Command{Argv: shell("true"), Settings: &Settings{Limits: []Rlimit{{"nofile", 2, 1}}}}, "rlimit_nofile: invalid argument", unix.EINVAL},
		{Command{Argv: shell("true"), Settings: &Settings{Limits: []Rlimit{{"nofile", 1, Unlimited}}}}, "rlimit_nofile: operation not permitted (needs CAP_SYS_RESOURCE)", unix.EPERM},
	} {
		said, exit, err := settledRun(t, test.command)
		if failed, ok := errors.AsType[*SpawnError](err); !ok || err.Error() != test.want || !errors.Is(failed, test.err) {
			t.Errorf("%v, want %s", err, test.want)
		}
		if said != "" || exit.Code == 0 && exit.Signal == 0 {
			t.Errorf("%s: it said %q and ended with %v", test.want, said, exit)
		}
	}
}

// The user's own directory and input are reached as the user.
func TestTheUserReachesOnlyWhatIsTheirs(t *testing.T) {
	asRoot(t)
	secret := t.TempDir() // 0700 below a directory that others may enter
	if err := os.WriteFile(secret+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(secret, 0o711)
	for dir := secret; dir != "/tmp" && dir != "/"; dir = dir[:strings.LastIndexByte(dir, '/')] {
		os.Chmod(dir, 0o711)
	}
	who := Settings{User: new(uint32(12345)), Group: new(uint32(12345)), Groups: []uint32{}}
	withInput := who
	withInput.Input = secret + "/file"
	if _, _, err := settledRun(t, Command{Argv: shell("true"), Settings: &withInput}); fmt.Sprint(err) != "stdin "+secret+"/file: permission denied" {
		t.Error(err)
	}
	os.Chmod(secret, 0o700)
	if _, _, err := settledRun(t, Command{Argv: shell("true"), Dir: secret, Settings: &who}); fmt.Sprint(err) != "chdir "+secret+": permission denied" {
		t.Error(err)
	}
}

// A FIFO without a writer does not make a start wait.
func TestAFIFOAsInputDoesNotMakeTheStartWait(t *testing.T) {
	path := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, exit, err := settledRun(t, Command{Argv: []string{"/bin/cat"}, Settings: &Settings{Input: path}}); said != "" || exit.Code != 0 || err != nil {
		t.Errorf("%q, %v, %v", said, exit, err)
	}
}

// A child that is killed before its exec has not been started.
func TestAChildThatIsKilledBeforeItsExecWasNotStarted(t *testing.T) {
	for range 100 { // it may be faster
		s, err := Begin(Command{Argv: shell("exec sleep 1000"), Settings: &Settings{}})
		if err != nil {
			t.Fatal(err)
		}
		unix.Kill(s.PID, unix.SIGKILL)
		err = s.Wait()
		exit := end(t, s.ID)
		if exit.Signal != unix.SIGKILL {
			t.Fatalf("ended by %v", exit)
		}
		if failed, ok := errors.AsType[*SpawnError](err); ok && failed.Step == StepPrepare && failed.Err == errUnsettled {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("it counts as started whenever it is killed")
}

func TestWhatAChildSaysOfItsSettings(t *testing.T) {
	s := &Starting{command: Command{Argv: []string{"/bin/sh"}, Dir: "/d", Settings: &Settings{Input: "/i"}}}
	for said, want := range map[string]string{
		".":               "",
		"":                "prepare: " + errUnsettled.Error(),
		".exec 2":         "exec /bin/sh: no such file or directory",
		"chdir 13":        "chdir /d: permission denied",
		"stdin 21":        "stdin /i: is a directory",
		"rlimit_nproc 1":  "rlimit_nproc: operation not permitted (needs CAP_SYS_RESOURCE)",
		"user 1":          "user: operation not permitted (needs CAP_SETUID)",
		"user 11":         "user: resource temporarily unavailable",
		"group 1":         "group: operation not permitted (needs CAP_SETGID)",
		"nice 13":         "nice: permission denied (needs CAP_SYS_NICE)",
		"oom_score_adj 1": "oom_score_adj: operation not permitted (needs CAP_SYS_RESOURCE)",
		StepGroups.said(): "supplementary groups: operation not permitted (needs CAP_SETGID)",
	} {
		got := ""
		if err := s.failure(said); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func (s Step) said() string { return string(s) + " 1" }

// What this process may not do it knows before a clone; root may all of it, but for
// limits, where it has not the capability.
func TestPermittedKnowsWhatTheKernelWouldRefuse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root plays the ordinary user")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := t.TempDir() + "/program"
	if out, err := exec.Command("cp", exe, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for dir := program[:strings.LastIndexByte(program, '/')]; dir != "/tmp" && dir != "/"; dir = dir[:strings.LastIndexByte(dir, '/')] {
		os.Chmod(dir, 0o755)
	}
	cmd := exec.Command(program, "-test.run=^TestPermittedOfAnOrdinaryUser$", "-test.v")
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestPermittedOfAnOrdinaryUser") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPermittedOfAnOrdinaryUser(t *testing.T) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if uid == 0 {
		t.Skip("this is root: TestPermittedKnowsWhatTheKernelWouldRefuse plays another")
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Settings{
		"user: operation not permitted (needs CAP_SETUID)":                 {User: new(uid + 1)},
		"group: operation not permitted (needs CAP_SETGID)":                {Group: new(gid + 1)},
		"supplementary groups: operation not permitted (needs CAP_SETGID)": {Groups: []uint32{1}},
		"nice: permission denied (needs CAP_SYS_NICE)":                     {Nice: new(-5)},
		"rlimit_nofile: operation not permitted (needs CAP_SYS_RESOURCE)":  {Limits: []Rlimit{{"nofile", 1, files.Max + 1}}},
		"rlimit_nonsense: invalid argument":                                {Limits: []Rlimit{{"nonsense", 1, 1}}},
	} {
		if err := s.Permitted(); fmt.Sprint(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	own := Settings{User: &uid, Group: &gid, Nice: new(5), Umask: new(0), NoNewPrivileges: true, Limits: []Rlimit{{"nofile", 10, files.Max}}}
	if err := own.Permitted(); err != nil {
		t.Error(err)
	}
	if said, _, err := settledRun(t, Command{Argv: shell("id -u; nice"), Env: []string{"PATH=/usr/bin:/bin"}, Settings: &own}); said != fmt.Sprintf("%d\n5\n", uid) || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	// What is not known before is told by the child, with its step.
	if _, _, err := settledRun(t, Command{Argv: shell("true"), Settings: &Settings{OOMScoreAdj: new(-1000)}}); fmt.Sprint(err) != "oom_score_adj: permission denied (needs CAP_SYS_RESOURCE)" {
		t.Error(err)
	}
	if _, _, err := settledRun(t, Command{Argv: shell("true"), Settings: &Settings{User: new(uid + 1)}}); fmt.Sprint(err) != "user: operation not permitted (needs CAP_SETUID)" {
		t.Error(err)
	}
}

func TestSettingsLeaveNoDescriptor(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	run := func(argv ...string) {
		s, err := Begin(Command{Argv: argv, Settings: &Settings{}})
		if err != nil {
			t.Fatal(err)
		}
		s.Wait()
		end(t, s.ID)
	}
	run("/bin/true")
	before := count()
	for range 3 {
		run("/bin/true")
		run("/missing")
	}
	if _, err := Begin(Command{Argv: []string{"/bin/true"}, Settings: &Settings{}, Group: os.Stdin}); err == nil {
		t.Error("it was cloned into what is no group")
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestSpawnIsForPlainCommands(t *testing.T) {
	if _, err := Spawn(Command{Argv: []string{"/bin/true"}, Settings: &Settings{}}); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	if _, err := Begin(Command{Argv: []string{"/bin/true"}}); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
}

// A plain start executes one program. One with settings executes this one first, and costs
// the page faults of its start besides: that figure tells how many there were.
func TestPlainStartsExecuteNothingElse(t *testing.T) {
	faults := func(c Command) (total int) {
		c.Argv = []string{"/bin/sleep", "1000"}
		var id ID
		var err error
		if c.Settings == nil {
			id, err = Spawn(c)
		} else {
			var s *Starting
			if s, err = Begin(c); err == nil {
				id, err = s.ID, s.Wait()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			unix.Kill(id.PID, unix.SIGKILL)
			end(t, id)
		}()
		stat := ""
		for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(time.Millisecond) {
			data, err := os.ReadFile(pidFile("/proc", id.PID, "stat"))
			if err != nil {
				t.Fatal(err)
			}
			if stat = string(data); strings.Contains(stat, "(sleep) S") {
				break
			}
		}
		_, after, _ := strings.Cut(stat, ") ")
		fmt.Sscan(strings.Fields(after)[7], &total) // minflt
		return total
	}
	var plain, made []int
	for range 3 {
		plain, made = append(plain, faults(Command{})), append(made, faults(Command{Settings: &Settings{}}))
	}
	t.Logf("page faults: %v plain, %v with settings", plain, made)
	if 2*slices.Max(plain) > slices.Min(made) {
		t.Errorf("plain starts take %v page faults, with settings %v", plain, made)
	}
}

func BenchmarkSpawnWithSettings(b *testing.B) {
	for b.Loop() {
		s, err := Begin(Command{Argv: []string{"/bin/true"}, Settings: &Settings{Nice: new(1)}})
		if err == nil {
			err = s.Wait()
		}
		if err != nil {
			b.Fatal(err)
		}
		waitFor(s.PID)
	}
}
