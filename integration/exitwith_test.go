package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

// standsForMain is a daemon that ends with the process main.
var standsForMain = setup{Args: []string{"-exit-with", "main"}}

// goes is a command that waits for the file go in the daemon's directory, and does something.
func (d *daemon) goes(then string) string {
	return fmt.Sprintf("until [ -e '%s/go' ]; do sleep 0.01; done; %s", d.dir, then)
}

// letGo has main do what it waits for, and is the daemon's exit code.
func (d *daemon) letGo() int {
	d.t.Helper()
	d.hangUp()
	touchFile(d.t, d.dir+"/go")
	return d.wait()
}

func TestTheDaemonEndsAsTheProcessThatItStandsFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then string
		spec process.Spec
		code int
	}{
		"success":  {then: "exit 0"},
		"failure":  {then: "exit 7", code: 7},
		"signal":   {then: "kill -KILL $$", code: 128 + 9},
		"deadline": {then: "sleep 1000", spec: process.Spec{Ending: process.Ending{Deadline: time.Second}}, code: 124},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, standsForMain)
			c.spec.Name, c.spec.Command = "main", d.goes(c.then)
			d.start(c.spec)
			d.start(process.Spec{Name: "other", Command: "sleep 1000 & sleep 1000"})
			if code := d.letGo(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if _, _, last := d.stored("other"); !strings.Contains(last, `"shutdown"`) {
				t.Errorf("the end of the other: %s", last)
			}
		})
	}
}

// What the daemon stands for is the first to end, and the others follow in their order.
func TestTheOthersFollowInOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	const slow = "trap 'sleep 0.3; echo %s >>ended; exit' TERM; echo >>trapped; while :; do sleep 0.02; done"
	d.mustClient("start", "db", "-command", strings.ReplaceAll(slow, "%s", "db"), "-dir", d.dir)
	d.mustClient("start", "cache", "-command", strings.ReplaceAll(slow, "%s", "cache"), "-needs", "db", "-dir", d.dir)
	d.mustClient("start", "main", "-command", d.goes("echo main >>ended; exit 3"), "-needs", "cache", "-dir", d.dir)
	eventually(t, "they have set their traps", func() bool {
		told, _ := os.ReadFile(d.dir + "/trapped")
		return len(told) == 2
	})
	if code := d.letGo(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if told, _ := os.ReadFile(d.dir + "/ended"); string(told) != "main\ncache\ndb\n" {
		t.Errorf("they ended so: %q", told)
	}
}

// A run that is followed by another is not the end, whoever has it follow.
func TestRestartsAreNotTheEnd(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	d.start(process.Spec{Name: "main", Command: d.goes("exit 3"),
		Restarting: process.Restarting{Restart: process.RestartOnFailure, RestartLimit: 1}})
	d.mustClient("restart", "main")
	if s := d.status("main"); s.Number != 2 || s.State != process.Running {
		t.Fatalf("%+v", s)
	}
	if code := d.letGo(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if _, _, last := d.stored("main"); !strings.Contains(last, `"run":3`) && !strings.Contains(last, `"Number":3`) {
		t.Errorf("the last run: %s", last)
	}
}

// Who stops it, in a run or between two, or deletes it, has the daemon end.
func TestAStopIsTheEnd(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	d.start(process.Spec{Name: "main", Command: "trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done"})
	d.said("main", "up") // the shell has set its trap
	d.mustClient("stop", "main")
	if code := d.wait(); code != 5 {
		t.Errorf("exit code %d", code)
	}
	for _, end := range []string{"stop", "delete"} {
		d.launch()
		d.mustClient("start", "main", "-command", "exit 6", "-restart", "always", "-restart_delay", "1h", "-replace")
		d.await("main", "in backoff", state(process.Backoff))
		d.mustClient(end, "main")
		if code := d.wait(); code != 6 {
			t.Errorf("%s: exit code %d", end, code)
		}
	}
}

// A signal that ends the daemon gives the code of what it stands for, if that ran.
func TestASignalEndsBoth(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, standsForMain)
	for command, want := range map[string]int{
		"trap 'exit 5' TERM; touch up; while :; do sleep 0.02; done": 5,
		"touch up; exec sleep 1000":                                  128 + 15,
	} {
		d.launch()
		d.mustClient("start", "main", "-command", command, "-dir", d.dir, "-replace")
		eventually(t, "main is up", func() bool { return !gone(d.dir + "/up") })
		os.Remove(d.dir + "/up")
		if code := d.end(syscall.SIGTERM); code != want {
			t.Errorf("%s: exit code %d, want %d", command, code, want)
		}
	}
	d.launch() // and ends with 0: main does not run
}

// Whichever moment a worker dies at, the end of the process is neither missed nor another.
func TestTheEndIsNotMissedWhenTheWorkerDies(t *testing.T) {
	t.Parallel()
	for _, p := range []supervisor.Point{lives.PointExited, lives.PointDrained, supervisor.PointStored, lives.PointRemoved} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, standsForMain)
			file := d.dir + "/crash"
			d.setup.Env = []string{"PROCESSMANAGER_CRASH_FILE=" + file}
			d.launch()
			d.start(process.Spec{Name: "main", Command: d.goes("exit 7")})
			crashing{d, file}.arm(p)
			if code := d.letGo(); code != 7 {
				t.Errorf("exit code %d", code)
			}
			if gone(file) == false {
				t.Error("the worker did not die")
			}
		})
	}
}

// What stood at its end before the daemon began does not end it again, nor what is lost.
func TestWhatWasOverBeforeIsNotTheEnd(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	d.start(process.Spec{Name: "main", Command: "exec sleep 1000"})
	main := d.status("main").PID
	d.crash()
	unix.Kill(main, unix.SIGKILL)
	eventually(t, "main has ended", func() bool { return !alive(main) })
	d.launch()
	d.await("main", "lost", func(s process.Status) bool { return s.Cause == process.CauseLost })
	d.killWorker()
	if s := d.status("main"); s.State != process.Failed {
		t.Errorf("%+v", s)
	}
	d.mustClient("start", "main")
	d.crash() // now it lives on, and its end is seen
	d.launch()
	d.mustClient("signal", "main", "-signal", "KILL")
	if code := d.wait(); code != 125 {
		t.Errorf("exit code %d of a run whose end nobody could see", code)
	}
}

// A run of an earlier daemon that has no FIFO any more: the keeper knows it all the same, and its
// end is not missed though no worker lives just then.
func TestTheEndOfARunWithoutAFIFOIsNotMissed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	d.start(process.Spec{Name: "main", Command: "exec sleep 1000 >/dev/null 2>&1"})
	main := d.status("main").PID
	d.crash()
	if err := os.Remove(d.state + "/run/fifo/main.1"); err != nil {
		t.Fatal(err)
	}
	d.launch()
	worker := d.stopWorker()
	d.hangUp()
	unix.Kill(main, unix.SIGKILL)
	eventually(t, "main has ended", func() bool { return !alive(main) })
	unix.Kill(worker, unix.SIGKILL)
	if code := d.wait(); code != 125 {
		t.Errorf("exit code %d of a run whose end nobody could see", code)
	}
}

// What the keeper has no use for is sent to the process that it stands for. SIGHUP is no
// upgrade then.
func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, standsForMain)
	pass := func(s syscall.Signal) {
		t.Helper()
		if err := d.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if !d.log.await(0, "no process 'main' is defined yet", d.ended) {
		t.Errorf("nobody has the name, and it is not said: %s", d.log.since(0))
	}
	from := d.log.len()
	pass(syscall.SIGWINCH)
	pass(syscall.SIGUSR1)
	if !d.log.await(from, "SIGUSR1 is passed on to nobody: main", d.ended) {
		t.Errorf("%s", d.log.since(from))
	}
	if text := d.log.since(from); strings.Contains(text, "WINCH") {
		t.Errorf("of the size of a terminal it says: %s", text)
	}
	names := []string{"HUP", "QUIT", "USR1", "USR2", "ALRM", "WINCH"}
	var traps string
	for _, name := range names {
		traps += fmt.Sprintf("trap 'echo %s' %s; ", name, name)
	}
	d.start(process.Spec{Name: "main", Logging: process.Logging{Log: true}, Command: traps + "echo up; while :; do sleep 0.02; done"})
	d.said("main", "up")
	for _, name := range names {
		pass(unix.SignalNum("SIG" + name))
		d.said("main", name)
	}
	if text := d.log.since(from); strings.Contains(text, "upgrade") {
		t.Errorf("an upgrade has begun: %s", text)
	}
	d.stop("main")
	d.hangUp()
	d.wait()
}

// Another program of the daemon stands for the same process.
func TestItIsStoodForAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, standsForMain)
	d.start(process.Spec{Name: "main", Command: d.goes("exit 9")})
	keeper := d.keeper()
	replace(otherProgram(t))
	d.mustClient("upgrade")
	d.hangUp()
	if d.keeper() != keeper {
		t.Error("another keeper")
	}
	if code := d.letGo(); code != 9 {
		t.Errorf("exit code %d", code)
	}
}

// An end as it was ordered is no warning, in systemd's journal or elsewhere.
func TestTheEndThatWasOrderedIsNoWarning(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, standsForMain)
	d.setup.Wrap = append(d.setup.Wrap, "sh", "-c", `JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/2) exec "$0" "$@"`)
	d.launch()
	d.start(process.Spec{Name: "main", Command: d.goes("exit 3")})
	d.letGo()
	for _, want := range []string{"\n<6>no process 'main' is defined yet", "\n<6>process 'main' has ended for good"} {
		if !strings.Contains("\n"+d.log.since(0), want) {
			t.Errorf("no %q in\n%s", want[1:], d.log.since(0))
		}
	}
}

func TestANameThatNobodyCanHaveIsRefused(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	d.spawn("-exit-with", "a b")
	if code := d.wait(); code != 2 || !strings.Contains(d.log.since(0), "-exit-with") {
		t.Errorf("exit code %d: %s", code, d.log.since(0))
	}
	d.cmd = nil
}
