package keeper

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

func TestExitsAreExact(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	for i, want := range []struct {
		script string
		code   int
		signal unix.Signal
	}{
		{"exit 0", 0, 0},
		{"exit 3", 3, 0},
		{"exit 255", 255, 0},
		{"kill -TERM $$", 0, unix.SIGTERM},
		{"kill -KILL $$", 0, unix.SIGKILL},
		{"no-such-command-here", 127, 0},
	} {
		before := proc.BootTime()
		r := sh(uint64(i), want.script)
		c.must(r)
		e := c.must(request{Op: "exit"}).Exit
		if e.Run != r.Run || e.Exit.Code != want.code || e.Exit.Signal != want.signal {
			t.Errorf("%q: %v ended by %v", want.script, e.Run, e.Exit)
		}
		if e.Exit.Time < before || e.Exit.Time > proc.BootTime() {
			t.Errorf("%q: ended at %v", want.script, e.Exit.Time)
		}
		c.must(request{Op: "drop", Run: r.Run})
	}
	k.signal(unix.SIGTERM)
	k.waitEnd()
	k.waitOutput("ended\n", 1)
}

func TestRunsOutliveTheWorker(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	out := k.dir + "/fifo"
	if err := unix.Mkfifo(out, 0o600); err != nil {
		t.Fatal(err)
	}
	living := sh(1, "exec sleep 1000")
	living.Output = out
	id := c.must(living).ID
	ended := sh(2, "exit 42")
	c.must(ended)
	c.must(request{Op: "exit"})
	failed := request{Op: "spawn", Run: RunID{"test", 3}, Argv: []string{"/nowhere"}}
	if a := c.do(failed); a.Step != proc.StepExec || a.Errno != unix.ENOENT {
		t.Errorf("start of /nowhere: %+v", a)
	}

	c, hello = k.killWorker(hello.PID)
	held := make(map[uint64]heldReply)
	for _, h := range hello.Held {
		held[h.Run.Run] = h
	}
	if len(held) != 3 {
		t.Fatalf("held: %+v", hello.Held)
	}
	if h := held[1]; h.ID != id || h.Exit != nil || h.Output != out {
		t.Errorf("living: %+v", h)
	}
	if h := held[2]; h.Exit == nil || h.Exit.Code != 42 {
		t.Errorf("ended: %+v", h)
	}
	if h := held[3]; !strings.Contains(h.Err, "exec /nowhere: no such file") {
		t.Errorf("failed: %+v", h)
	}
	for _, r := range []request{living, ended, failed} {
		if a := c.do(r); a.Err != ErrHeld.Error() {
			t.Errorf("second start of %v: %+v", r.Run, a)
		}
	}

	// The next worker hears of the end of what an earlier one started.
	c.must(request{Op: "kill", Run: living.Run})
	if e := c.must(request{Op: "exit"}).Exit; e.Run != living.Run || e.Exit.Signal != unix.SIGKILL {
		t.Errorf("%+v", e)
	}
	for _, r := range []request{living, ended, failed} {
		c.must(request{Op: "drop", Run: r.Run})
	}
	if _, hello = k.killWorker(hello.PID); len(hello.Held) != 0 {
		t.Errorf("held after drop: %+v", hello.Held)
	}
}

// TestNothingIsLostInAStorm kills the worker at random moments while 200 runs
// start and end.
func TestNothingIsLostInAStorm(t *testing.T) {
	const runs = 200
	k := startKeeper(t, behaviour{Storm: runs})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills, killed := 0, 0
	eventually(t, "all runs end", func() bool {
		if exists(k.dir + "/done") {
			return true
		}
		if pid := workerPID(k.dir); pid != 0 && pid != killed && kills < 30 {
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
			unix.Kill(pid, unix.SIGKILL)
			kills, killed = kills+1, pid
		}
		return false
	})
	t.Logf("%d kills", kills)

	k.checkStorm(runs)
	eventually(t, "orphans are reaped", func() bool {
		living, zombies := childrenOf(t, k.cmd.Process.Pid)
		return living == 1 && zombies == 0
	})
	k.signal(unix.SIGTERM)
	k.waitEnd()
}

// checkStorm fails the test where a run of a storm was not started once, or its end
// is not the right one.
func (k *keeperProcess) checkStorm(runs int) {
	t := k.t
	t.Helper()
	starts := make(map[string]int)
	for line := range strings.Lines(read(t, k.dir+"/starts")) {
		starts[strings.TrimSpace(line)]++
	}
	ends := make(map[RunID]proc.Exit)
	for lines := bufio.NewScanner(strings.NewReader(read(t, k.dir+"/ends"))); lines.Scan(); {
		var e ExitEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // half a line: its run was not dropped, and has another one
		}
		if was, ok := ends[e.Run]; ok && was != e.Exit {
			t.Errorf("%v ended by %v and by %v", e.Run, was, e.Exit)
		}
		ends[e.Run] = e.Exit
	}
	for i := range runs {
		if n := starts[fmt.Sprint(i)]; n != 1 {
			t.Errorf("run %d was started %d times", i, n)
		}
		code, signal := stormExit(i)
		if e, ok := ends[RunID{"storm", uint64(i)}]; !ok || e.Code != code || e.Signal != signal {
			t.Errorf("run %d: %v, want exit %d signal %d", i, e, code, signal)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	r := sh(1, "for i in 1 2 3 4 5; do (setsid sleep 0.01 &) ; done")
	c.must(r)
	c.must(request{Op: "exit"})
	eventually(t, "only the worker is left", func() bool {
		living, zombies := childrenOf(t, k.cmd.Process.Pid)
		return living == 1 && zombies == 0
	})
}

func TestDroppedLeaderIsReaped(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	id := c.must(sh(1, "exec sleep 1000")).ID
	c.must(request{Op: "drop", Run: RunID{"test", 1}})
	c.must(sh(2, "exit 0")) // the drop has been handled
	c.must(request{Op: "exit"})
	unix.Kill(id.PID, unix.SIGKILL)
	eventually(t, "only the worker is left", func() bool {
		living, zombies := childrenOf(t, k.cmd.Process.Pid)
		return living == 1 && zombies == 0
	})
}

func TestKeepersDeathIsToldAndTreesLiveOn(t *testing.T) {
	group := testGroup(t)
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	r := sh(1, "exec sleep 1000")
	r.Group = group
	id := c.must(r).ID
	k.signal(unix.SIGKILL)
	eventually(t, "the worker sees EOF", func() bool { return exists(k.dir + "/orphaned") })
	if !alive(id) {
		t.Error("the tree died with the keeper")
	}
}

func TestSecondSignalKillsAtOnce(t *testing.T) {
	k := startKeeper(t, behaviour{StayInTheEnd: true})
	_, hello := k.hello(0)
	worker, err := proc.Identify("/proc", hello.PID)
	if err != nil {
		t.Fatal(err)
	}
	k.signal(unix.SIGTERM)
	eventually(t, "shutdown is passed on", func() bool { return exists(k.dir + "/asked") })
	k.signal(unix.SIGINT)
	k.waitEnd()
	eventually(t, "the worker is gone", func() bool { return !alive(worker) })
	k.waitOutput("ended: "+ErrKilled.Error(), 1)
}

// timeout(1) tells its child twice that its time is over.
func TestSignalThatIsToldTwiceIsOne(t *testing.T) {
	k := startKeeper(t, behaviour{})
	k.hello(0)
	k.signal(unix.SIGTERM)
	k.signal(unix.SIGTERM)
	k.waitEnd()
	k.waitOutput("ended\n", 1)
}

func TestShutdownIsFinishedByTheNextWorker(t *testing.T) {
	k := startKeeper(t, behaviour{DieInTheEnd: true})
	k.hello(0)
	k.signal(unix.SIGTERM)
	k.waitEnd()
	k.waitOutput("has ended (exit 1)", 1)
	k.waitOutput("ended\n", 1)
}

func TestFailedBeforeReadyEndsTheKeeper(t *testing.T) {
	k := startKeeper(t, behaviour{Fail: "the store is broken"})
	k.waitEnd()
	k.waitOutput("ended: the store is broken", 1)
}

func TestDeathBeforeReadyIsRetriedSlower(t *testing.T) {
	k := startKeeper(t, behaviour{DieUnready: true})
	for _, delay := range []string{"100ms", "200ms", "400ms"} {
		k.waitOutput("has ended (exit 7), the next one starts in "+delay, 1)
	}
	k.signal(unix.SIGTERM)
	k.signal(unix.SIGINT)
	k.waitEnd()
}

func TestStatusZeroWithoutShutdownIsADeath(t *testing.T) {
	k := startKeeper(t, behaviour{DieAtOnce: true})
	k.waitOutput("has ended (exit 0)", 3)
	k.signal(unix.SIGTERM)
	k.waitEnd()
}

// TestRunInheritsNothing starts the keeper in the worst of company: signals
// blocked and ignored, a stray descriptor, a narrow umask, a high oom_score_adj.
func TestRunInheritsNothing(t *testing.T) {
	group := testGroup(t)
	stray, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	k := startKeeper(t, behaviour{}, func(c *exec.Cmd) {
		c.Env = append(c.Env, "NOTIFY_SOCKET=/secret")
		c.ExtraFiles = append(c.ExtraFiles, stray)
		c.Args = []string{"sh", "-c", `trap '' HUP INT PIPE TSTP TTOU USR1 CHLD; umask 077; ulimit -S -n 512; exec "$@"`,
			"sh", "env", "--block-signal=TERM,USR2", "/proc/self/exe"}
		c.Path = "/bin/sh"
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c.Args[len(c.Args)-1] = exe
	})
	c, _ := k.hello(0)
	out := k.dir + "/out"
	os.WriteFile(out, nil, 0o600)
	r := sh(1, `grep -E '^(Sig(Blk|Ign)|Umask)' /proc/self/status
ls /proc/$$/fd; readlink /proc/$$/fd/0; ulimit -S -n; pwd; cat /proc/self/cgroup; tr '\0' '\n' </proc/$$/environ
read _ _ _ _ pgrp session _ </proc/$$/stat; test $session = $$ && echo leader`)
	r.Output, r.Group, r.Dir, r.Env = out, group, k.dir, []string{"A=b"}
	c.must(r)
	if e := c.must(request{Op: "exit"}).Exit.Exit; e.Code != 0 {
		t.Errorf("ended by %v", e)
	}
	got := strings.Fields(read(t, out))
	_, groupName, _ := strings.Cut(group, "pm-test-")
	want := strings.Fields("Umask: 0022 SigBlk: 0000000000000000 SigIgn: 0000000000000000 " +
		"0 1 2 /dev/null 512 " + k.dir + " A=b leader")
	text := strings.Join(got, " ")
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q", w)
		}
	}
	if !strings.Contains(text, "0::/") || !strings.Contains(text, groupName) || strings.Contains(text, "secret") ||
		!strings.Contains(text, "0000000000000000 0 1 2 /dev/null") {
		t.Errorf("the run says:\n%s", read(t, out))
	}
}

func TestLongCommandArrivesWhole(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	script := ": '" + strings.Repeat("x", 128<<10-1-len(": ''\nexit 9")) + "'\nexit 9"
	r := sh(1, script)
	for i := range 10 {
		r.Env = append(r.Env, fmt.Sprintf("V%d=%s", i, strings.Repeat("y", 100<<10)))
	}
	c.must(r)
	if e := c.must(request{Op: "exit"}).Exit.Exit; e.Code != 9 {
		t.Errorf("ended by %v", e)
	}
	r = sh(2, script+" ")
	if a := c.do(r); a.Errno != unix.E2BIG || a.Step != proc.StepExec {
		t.Errorf("one byte too long: %+v", a)
	}
}

func TestErrorsKeepStepAndErrno(t *testing.T) {
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	r := sh(1, "exit 0")
	r.Dir = k.dir + "/missing"
	if a := c.do(r); a.Step != proc.StepChdir || a.Errno != unix.ENOENT {
		t.Errorf("missing directory: %+v", a)
	}
	r = request{Op: "spawn", Run: RunID{"test", 2}, Argv: []string{k.dir}}
	if a := c.do(r); a.Step != proc.StepExec || a.Errno != unix.EACCES {
		t.Errorf("a directory as program: %+v", a)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
