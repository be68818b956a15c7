package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays a program that calls Prepare and Spawn, because they concern
// a whole process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == SettingsArg {
		Settle()
	}
	switch os.Getenv("PM_TEST_ROLE") {
	case "spawn", "settle":
		if err := Prepare(); err != nil {
			fmt.Println("prepare:", err)
			os.Exit(1)
		}
		c := Command{Argv: os.Args[1:], Env: []string{"B=1", "A=\xff", "GOMEMLIMIT=nonsense", "GOMAXPROCS=x", "GODEBUG=x"}, Output: os.Stdout}
		var id ID
		var err error
		if os.Getenv("PM_TEST_ROLE") == "spawn" {
			id, err = Spawn(c)
		} else {
			c.Settings = &Settings{}
			var s *Starting
			if s, err = Begin(c); err == nil {
				id, err = s.ID, s.Wait()
			}
		}
		if err != nil {
			fmt.Println("spawn:", err)
			os.Exit(1)
		}
		waitFor(id.PID)
		if len(os.Args) == 3 && os.Args[2] == oomScoreAdj {
			ours, _ := os.ReadFile(oomScoreAdj)
			fmt.Printf("%s", ours)
		}
	default:
		os.Exit(m.Run())
	}
}

// play runs the test binary in a role, started by a shell that runs prefix first.
func play(t *testing.T, role, prefix string, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", prefix + ` "$@"`, "sh", exe}, args...)...)
	cmd.Env = append(os.Environ(), "PM_TEST_ROLE="+role)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// end waits for a child.
func end(t *testing.T, id ID) Exit {
	t.Helper()
	var status unix.WaitStatus
	var usage unix.Rusage
	if _, err := retry(func() (int, error) { return unix.Wait4(id.PID, &status, 0, &usage) }); err != nil {
		t.Fatal(err)
	}
	return DecodeExit(status, &usage, BootTime())
}

func TestChildInheritsNoSignalsAndDescriptors(t *testing.T) {
	script := `grep -E '^(SigBlk|SigIgn|Umask)' /proc/self/status; ls -m /proc/$$/fd`
	for _, prefix := range []string{
		`exec`,
		`umask 077; exec 7</dev/zero; trap '' HUP INT PIPE TSTP TTIN CHLD USR1; exec`,
		`exec env --block-signal=TERM,HUP,USR2`,
		`exec env --block-signal --ignore-signal`,
	} {
		got := play(t, "spawn", prefix, "/bin/sh", "-c", script)
		want := "Umask:\t0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0, 1, 2\n"
		if got != want {
			t.Errorf("%s\ngot  %q\nwant %q", prefix, got, want)
		}
	}
}

func TestChildIsNotProtectedFromOOM(t *testing.T) {
	got := play(t, "spawn", "echo 300 > /proc/self/oom_score_adj; exec", "/bin/cat", oomScoreAdj)
	if got != "0\n300\n" { // raising, and lowering to 0 again, takes no privilege
		t.Errorf("the child and then its parent have %q", got)
	}
}

func TestSpawnErrorsNameStepAndErrno(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/file"
	if err := os.WriteFile(file, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	notGroup, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer notGroup.Close()
	for _, test := range []struct {
		command Command
		step    Step
		err     error
	}{
		{Command{}, StepPrepare, unix.EINVAL},
		{Command{Argv: []string{"/bin/echo", "a\x00b"}}, StepPrepare, unix.EINVAL},
		{Command{Argv: []string{"/bin/true"}, Group: notGroup}, StepClone, unix.EBADF},
		{Command{Argv: []string{"/bin/true"}, Dir: dir + "/missing"}, StepChdir, unix.ENOENT},
		{Command{Argv: []string{"/bin/true"}, Dir: file}, StepChdir, unix.ENOTDIR},
		{Command{Argv: []string{"/missing"}, Dir: dir}, StepExec, unix.ENOENT},
		{Command{Argv: []string{"/missing"}}, StepExec, unix.ENOENT},
		{Command{Argv: []string{file}}, StepExec, unix.EACCES},
		{Command{Argv: []string{"/bin/sh", strings.Repeat("x", 128<<10)}}, StepExec, unix.E2BIG},
	} {
		_, err := Spawn(test.command)
		var failed *SpawnError
		if !errors.As(err, &failed) || failed.Step != test.step || !errors.Is(err, test.err) {
			t.Errorf("%.60q in %q: %v, want %s, %v", test.command.Argv, test.command.Dir, err, test.step, test.err)
		}
	}
}

func TestExitTellsCodeFromSignal(t *testing.T) {
	for script, want := range map[string]Exit{
		"exit 0":        {},
		"exit 200":      {Code: 200},
		"kill -TERM $$": {Signal: unix.SIGTERM},
	} {
		id, err := Spawn(Command{Argv: []string{"/bin/sh", "-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		if got := end(t, id); got.Code != want.Code || got.Signal != want.Signal || got.Core {
			t.Errorf("%s: %v", script, got)
		}
	}
}

func TestZombieHasItsIdentityAndIsNotAlive(t *testing.T) {
	id, err := Spawn(Command{Argv: []string{"/bin/sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	known := func(id ID) bool {
		t.Helper()
		alive, err := id.Alive("/proc")
		if err != nil {
			t.Error(err)
		}
		return alive
	}
	if !known(id) || known(ID{id.PID, id.Start + 1}) {
		t.Error("alive is not what has this pid and start time")
	}
	// A /proc that does not show it says nothing.
	if alive, err := id.Alive(t.TempDir()); err == nil {
		t.Errorf("without /proc: alive %v, and no error", alive)
	}
	unix.Kill(id.PID, unix.SIGKILL)
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, id.PID, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if again, err := Identify("/proc", id.PID); err != nil || again != id || known(id) {
		t.Errorf("zombie: %v, %v, alive %v", again, err, known(id))
	}
	if e := end(t, id); e.Signal != unix.SIGKILL {
		t.Error(e)
	}
	if _, err := Identify("/proc", id.PID); !Gone(err) || known(id) {
		t.Errorf("gone: %v", err)
	}
	if alive, err := id.Alive(t.TempDir()); alive || err != nil {
		t.Errorf("gone, without /proc: alive %v, %v", alive, err)
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200 18446744073709551615"
	for name, want := range map[string]bool{"sh": true, "a) S (b": true, "": true} {
		s, err := parseStat([]byte("42 (" + name + ")" + tail))
		if (err == nil) != want || s.id != (ID{42, 98765}) || s.state != 'S' {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
	for _, bad := range []string{"", "42", "42 (sh", "42 (sh)", "42 (sh) S 1 2", "x (sh)" + tail, ")(", strings.Replace("42 (sh)"+tail, "98765", "x", 1)} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

// A process that is exiting, or has SIGKILL on its way, has not outlived what killed it.
func TestDoomed(t *testing.T) {
	const stat = "42 (sh) S 1 2 3 0 -1 FLAGS 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200 18446744073709551615 1 1 0 0 0 PENDING 0 0 0"
	for _, c := range []struct {
		flags, pending string
		doomed         bool
	}{
		{"4194560", "0", false},
		{"4194564", "0", true},
		{"4194560", "256", true},
		{"4194560", "16384", false}, // SIGTERM
	} {
		s, err := parseStat([]byte(strings.NewReplacer("FLAGS", c.flags, "PENDING", c.pending).Replace(stat)))
		if err != nil || s.doomed != c.doomed {
			t.Errorf("%+v: %+v, %v", c, s, err)
		}
	}
	self, err := Identify("/proc", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if doomed, err := self.Doomed("/proc"); doomed || err != nil {
		t.Errorf("this process: %v, %v", doomed, err)
	}
	gone := ID{PID: self.PID, Start: self.Start - 1}
	if doomed, err := gone.Doomed("/proc"); !doomed || err != nil {
		t.Errorf("one that had this pid before: %v, %v", doomed, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("42 (sh) S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000"))
	f.Add([]byte("1-2 ---p 0 00:00 0 [rollup]\nRss: 1 kB\nPss: 12 kB\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseStat(data)
		parsePSS(data)
		parseRSS(data)
	})
}

func TestMemoryCountsWhatCanBeRead(t *testing.T) {
	root := t.TempDir()
	write := func(path, data string) {
		t.Helper()
		os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700)
		if err := os.WriteFile(filepath.Join(root, path), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rollup = "55d0c8c5b000-7ffd8d1f3000 ---p 00000000 00:00 0    [rollup]\nRss:    900 kB\nPss:    100 kB\nPss_Dirty:   7 kB\n"
	write("1/smaps_rollup", rollup)
	write("2/statm", "500 3 1 1 0 1 0\n")
	write("4/smaps_rollup", rollup)
	want := uint64(200<<10 + 3*os.Getpagesize())
	if got, err := Memory(root, []int{1, 2, 3, 4}); got != want || err != nil {
		t.Errorf("%d, %v, want %d", got, err, want)
	}
	write("5/smaps_rollup", "nonsense")
	if _, err := Memory(root, []int{5}); err == nil {
		t.Error("nonsense was understood")
	}
	if got, err := Memory("/proc", []int{os.Getpid()}); err != nil || got < 1<<20 {
		t.Errorf("this test holds %d bytes, %v", got, err)
	}
}

func TestNamesAreInOrderAndSkipTheGone(t *testing.T) {
	root := t.TempDir()
	for pid, name := range map[string]string{"7": "nginx\n", "3": "a b\n"} {
		os.Mkdir(root+"/"+pid, 0o700)
		os.WriteFile(root+"/"+pid+"/comm", []byte(name), 0o600)
	}
	if got := Names(root, []int{7, 5, 3}); !slices.Equal(got, []string{"nginx", "a b"}) {
		t.Errorf("%q", got)
	}
}

func TestEnvironmentHoldsNoSecret(t *testing.T) {
	got := Environment([]string{
		"PATH=/bin", "PROCESSMANAGER_SECRET=x", "NOTIFY_SOCKET=/run/x", "LC_ALL=C", "HOME=", "LANGUAGE=de",
		"CREDENTIALS_DIRECTORY=/c", "LANG=C", "TZ=UTC", "LISTEN_FDS=1", "PATHX=1", "nonsense",
	}, "PROCESSMANAGER_NAME=n")
	want := []string{"PATH=/bin", "LC_ALL=C", "HOME=", "LANG=C", "TZ=UTC", "PROCESSMANAGER_NAME=n"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestBootTimeGoesOn(t *testing.T) {
	before := BootTime()
	if after := BootTime(); before <= 0 || after < before || after > before+time.Minute {
		t.Errorf("%v, then %v", before, after)
	}
	if id, err := BootID("/proc"); err != nil || len(id) != 36 {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := BootID(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
