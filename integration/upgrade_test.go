package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// otherProgram is a daemon whose keeper speaks another protocol.
func otherProgram(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PM_OTHER_BIN"); path != "" {
		return path
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no Go toolchain, and PM_OTHER_BIN is not set")
	}
	path := filepath.Join(t.TempDir(), "processmanager")
	const number = "github.com/freeflowuniverse/processmanager/supervisor/keeper.protocolNumber"
	args := []string{"build", "-ldflags", "-X " + number + "=200", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../cmd/processmanager")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// instead is the setup.Wrap that executes another program. The usual one is the first
// of the arguments.
func instead(path string) []string {
	return []string{"/bin/sh", "-c", `shift; exec "` + path + `" "$@"`, "sh"}
}

// ownProgram is a daemon that executes a copy of the program, which can be replaced.
func ownProgram(t *testing.T, s setup) (d *daemon, replace func(by string)) {
	t.Helper()
	dir := t.TempDir()
	path := dir + "/processmanager"
	replace = func(by string) {
		t.Helper()
		// Another process writes it: a descriptor of ours could be inherited by a
		// child of another test, and keep the file from being executed.
		err := exec.Command("cp", by, path+".new").Run()
		if err == nil {
			err = os.Chmod(path+".new", 0o755)
		}
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace(programs.daemon)
	s.Wrap, s.Session = instead(path), true // with a terminal, SIGHUP would end it
	return startDaemon(t, s), replace
}

// upgraded sends SIGHUP and waits until the daemon says that it was done.
func (d *daemon) upgraded() {
	d.t.Helper()
	from := d.log.len()
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
	if !d.log.await(from, "upgraded to what is now", d.ended) {
		d.t.Fatalf("no upgrade:\n%s", d.log.since(from))
	}
	d.hangUp() // connections were the old worker's
}

// TestUpgradesCostNothing upgrades while a hundred processes run, log and exit.
func TestUpgradesCostNothing(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	other := otherProgram(t)
	const count = 100
	name := func(i int) string { return fmt.Sprint("p", i) }
	for i := range count {
		d.start(process.Spec{Name: name(i), Logging: process.Logging{Log: true}, Command: fmt.Sprintf(
			`n=0; while [ ! -e go%d ]; do n=$((n+1)); echo line $n; sleep 1; done; echo last $n; exit %d`, i%4, i)})
	}
	leaders := map[string]int{}
	for _, s := range d.list() {
		leaders[s.Name] = s.PID
	}
	keeper := d.keeper()
	for i, program := range []string{programs.daemon, other, other, programs.daemon} {
		replace(program)
		touchFile(t, fmt.Sprintf("%s/go%d", d.dir, i)) // a quarter ends meanwhile
		d.upgraded()
		if d.keeper() != keeper {
			t.Error("another keeper")
		}
	}
	for i := range count {
		s := d.rest(name(i))
		if s.ExitCode == nil || *s.ExitCode != i || s.Number != 1 {
			t.Errorf("%s: exit code %v, run %d, cause %v", name(i), show(s.ExitCode), s.Number, s.Cause)
		}
		n := 0
		for line := range strings.Lines(d.logs(name(i), 100000)) {
			if n++; line != fmt.Sprintf("line %d\n", n) && line != fmt.Sprintf("last %d\n", n-1) {
				t.Fatalf("%s: line %d is %q", name(i), n, line)
			}
		}
		if n == 0 {
			t.Errorf("%s has no log", name(i))
		}
	}
	if s := d.finished("after", "exit 9"); s.ExitCode == nil || *s.ExitCode != 9 {
		t.Errorf("%+v", s)
	}
}

func touchFile(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedUpgradeChangesNothing(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.start(process.Spec{Name: "p", Command: "echo up; exec sleep 1000"})
	worker := d.worker()
	for _, program := range []string{"/bin/true", "/bin/false", "/bin/sleep"} {
		replace(program)
		from := d.log.len()
		d.cmd.Process.Signal(syscall.SIGHUP)
		if !d.log.await(from, "the upgrade was not done: ", d.ended) {
			t.Fatal(d.log.since(from))
		}
	}
	if d.worker() != worker || d.status("p").State != process.Running {
		t.Errorf("worker %d, before %d; %+v", d.worker(), worker, d.status("p"))
	}
}

// TestSecondSignalLeavesNobody: the first SIGTERM waits for a tree that takes its time.
func TestSecondSignalLeavesNobody(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	hour := time.Hour
	d.start(process.Spec{Name: "p", Ending: process.Ending{StopTimeout: &hour}, Command: `trap 'touch asked' TERM; (setsid sleep 1000 &); echo up; while :; do sleep 1000 & wait; done`})
	d.said("p", "up")
	d.hangUp()
	d.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "the tree is asked", func() bool { return !gone(d.dir + "/asked") })
	time.Sleep(notTheSame)
	if code := d.end(unix.SIGTERM); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if left := d.survivors("p", 1); len(left) > 0 {
		t.Errorf("survivors:%s", describe(left))
	}
	d.checkNothingLeft() // groups and FIFOs
}

// What a process without a log has said is handed on, even by way of a worker that
// is not ready.
func TestLastLinesOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.start(process.Spec{Name: "runs", Command: "echo one; until [ -e go ]; do sleep 0.02; done; echo two; exec sleep 1000"})
	d.said("runs", "one")
	if s := d.finished("ended", "echo last; exit 3"); s.Error != "exit code 3: last" {
		t.Errorf("%+v", s)
	}
	for _, program := range []string{programs.daemon, otherProgram(t)} {
		replace(program)
		d.upgraded()
		if runs, ended := d.logs("runs", 10), d.logs("ended", 10); runs != "one\n" || ended != "last\n" {
			t.Errorf("kept are %q and %q", runs, ended)
		}
	}
	replace("/bin/false")
	from := d.log.len()
	d.cmd.Process.Signal(syscall.SIGHUP)
	d.log.await(from, "the upgrade was not done", d.ended)
	touchFile(t, d.dir+"/go")
	d.said("runs", "two")
	if runs := d.logs("runs", 10); runs != "one\ntwo\n" {
		t.Errorf("kept is %q", runs)
	}
	if !gone(d.state + "/run/tails") {
		t.Error("what was handed over is still there")
	}
}

// stopWorker has the worker, whose pid it returns, do nothing any more.
func (d *daemon) stopWorker() int {
	d.t.Helper()
	worker := d.worker()
	if err := unix.Kill(worker, unix.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, "all threads of the worker stand still", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", worker))
		return len(threads) > 0 && !slices.ContainsFunc(threads, func(status string) bool {
			data, _ := os.ReadFile(status)
			return !strings.Contains(string(data), "State:\tT")
		})
	})
	return worker
}

// leaveWorkerStopped kills the keeper while the worker, whose pid it returns, does nothing.
func (d *daemon) leaveWorkerStopped() int {
	d.t.Helper()
	worker, keeper := d.stopWorker(), d.keeper() // else it may see the keeper's end
	d.hangUp()
	unix.Kill(keeper, unix.SIGKILL)
	eventually(d.t, "the keeper is dead", func() bool { return !running(keeper) })
	return worker
}

// TestStartWaitsForTheWorkerOfADeadKeeper has a worker that is still there, and holds
// the store, when the next daemon starts.
func TestStartWaitsForTheWorkerOfADeadKeeper(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "p", Command: "echo up; exec sleep 1000"})
	d.said("p", "up")
	before := d.status("p")
	worker := d.leaveWorkerStopped()
	time.AfterFunc(time.Second, func() { unix.Kill(worker, unix.SIGCONT) })
	d.launch()
	if s := d.status("p"); s.State != process.Running || s.PID != before.PID {
		t.Errorf("%+v", s)
	}
}

// A store that somebody else has locked is not damaged, and not moved away.
func TestStoreInUseIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	pid := d.status("p").PID
	d.crash()
	other, err := os.Open(d.state + "/processes.db")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"-reset-store"}} {
		if said := d.refuse(args...); !strings.Contains(said, "in use") || strings.Contains(said, "-reset-store") {
			t.Errorf("%q: it says %q", args, said)
		}
	}
	other.Close()
	d.launch()
	if s := d.status("p"); s.State != process.Running || s.PID != pid {
		t.Errorf("%+v", s)
	}
}

// pmclient upgrade answers when the new program does; a program that cannot be is
// refused with the reason, and everything goes on.
func TestUpgradeByCommand(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000"})
	pid, worker := d.status("web").PID, d.worker()
	replace(programs.daemon)
	if out := d.mustClient("upgrade"); !strings.Contains(out, "has taken over") {
		t.Errorf("pmclient upgrade said %q", out)
	}
	if d.worker() == worker {
		t.Error("it is the same worker")
	}
	if got := d.status("web").PID; got != pid {
		t.Errorf("the process has pid %d, not %d any more", got, pid)
	}
	replace("/bin/true")
	r := d.pmclient("upgrade")
	if r.code != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "nothing was changed") {
		t.Errorf("a program that is none: code %d, %q", r.code, r.stderr)
	}
	if got := d.status("web").PID; got != pid {
		t.Errorf("the process has pid %d, not %d any more", got, pid)
	}
}
