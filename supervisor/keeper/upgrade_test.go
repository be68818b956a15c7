package keeper

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

const otherProtocol = 200

// heldRuns starts one of each kind of run, and returns what checks that they are
// still known to a later worker. The living one is ended by it.
func heldRuns(t *testing.T, k *keeperProcess, c *client) (check func(c *client, hello reply)) {
	t.Helper()
	out := k.dir + "/fifo"
	if err := unix.Mkfifo(out, 0o600); err != nil {
		t.Fatal(err)
	}
	living := sh(1, "echo up; while ! read x < "+k.dir+"/go; do sleep 0.01; done; exit 77")
	living.Output, living.Notify = out, k.dir+"/lock" // any file will do
	id := c.must(living).ID
	c.must(sh(2, "exit 42"))
	c.must(request{Op: "exit"})
	if a := c.do(request{Op: "spawn", Run: RunID{"test", 3}, Argv: []string{"/nowhere"}}); a.Errno != unix.ENOENT {
		t.Fatalf("start of /nowhere: %+v", a)
	}
	return func(c *client, hello reply) {
		t.Helper()
		held := make(map[uint64]heldReply)
		for _, h := range hello.Held {
			held[h.Run.Run] = h
		}
		if len(held) != 3 {
			t.Fatalf("held: %+v", hello.Held)
		}
		if h := held[1]; h.ID != id || h.Exit != nil || h.Output != out || h.Notify != k.dir+"/lock" || !alive(id) {
			t.Errorf("living: %+v", h)
		}
		if h := held[2]; h.Exit == nil || h.Exit.Code != 42 {
			t.Errorf("ended: %+v", h)
		}
		if h := held[3]; !strings.Contains(h.Err, "exec /nowhere: no such file") {
			t.Errorf("failed: %+v", h)
		}
		os.WriteFile(k.dir+"/go", []byte("\n"), 0o600)
		if e := c.must(request{Op: "exit"}).Exit; e.Run != living.Run || e.Exit.Code != 77 {
			t.Errorf("%+v", e)
		}
	}
}

// upgrade asks for one that must be begun, and returns the next worker that answers.
func (k *keeperProcess) upgrade(c *client, from reply) (*client, reply, uint64) {
	k.t.Helper()
	number := c.must(request{Op: "upgrade"}).Number
	next, hello := k.hello(from.PID)
	if hello.Upgrade.Number != number {
		k.t.Errorf("upgrade %d was asked for, %+v is told", number, hello.Upgrade)
	}
	return next, hello, number
}

func (k *keeperProcess) descriptors() int {
	k.t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", k.cmd.Process.Pid))
	if err != nil {
		k.t.Fatal(err)
	}
	return len(names)
}

// locked reports whether the keeper has its lock.
func (k *keeperProcess) locked() bool {
	k.t.Helper()
	f, err := os.Open(k.dir + "/lock")
	if err != nil {
		k.t.Fatal(err)
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func TestUpgradeBringsInTheProgramOnDisk(t *testing.T) {
	t.Parallel()
	for _, number := range []int{0, otherProtocol} {
		t.Run(fmt.Sprint("protocol ", number), func(t *testing.T) {
			t.Parallel()
			k := startKeeper(t, behaviour{})
			c, hello := k.hello(0)
			check := heldRuns(t, k, c)
			k.install(programNotes{Name: "second", Protocol: number})
			c, hello, _ = k.upgrade(c, hello)
			if hello.Program != "second" || hello.Upgrade != (Upgrade{Number: 1}) {
				t.Errorf("%+v", hello)
			}
			check(c, hello)

			// The runs of the one are the runs of the other.
			c.must(request{Op: "drop", Run: RunID{"test", 2}})
			if a := c.do(sh(1, "true")); a.Err != ErrHeld.Error() {
				t.Errorf("second start: %+v", a)
			}
			c.must(sh(4, "exit 5"))
			if e := c.must(request{Op: "exit"}).Exit.Exit; e.Code != 5 {
				t.Errorf("%+v", e)
			}

			// It stays the program of later workers, and there can be a next one.
			c, hello = k.killWorker(hello.PID)
			if hello.Program != "second" || hello.Upgrade != (Upgrade{Number: 1}) || len(hello.Held) != 3 {
				t.Errorf("%+v", hello)
			}
			open := 0
			for i := 2; i < 6; i++ {
				k.install(programNotes{Name: fmt.Sprint(i)})
				c, hello, _ = k.upgrade(c, hello)
				if hello.Program != fmt.Sprint(i) || hello.Upgrade != (Upgrade{Number: uint64(i)}) || len(hello.Held) != 3 {
					t.Errorf("%+v", hello)
				}
				c.must(sh(10+uint64(i), "exit 0"))
				c.must(request{Op: "exit"})
				c.must(request{Op: "drop", Run: RunID{"test", 10 + uint64(i)}})
				c.must(sh(10+uint64(i), "exit 0")) // the drop has been handled
				c.must(request{Op: "exit"})
				c.must(request{Op: "drop", Run: RunID{"test", 10 + uint64(i)}})
				c.do(request{Op: "spawn", Run: RunID{"test", 3}, Argv: []string{"/nowhere"}})
				if n := k.descriptors(); open == 0 {
					open = n
				} else if n > open {
					t.Errorf("%d descriptors after upgrade %d, before %d", n, i, open)
				}
			}
			if !k.locked() {
				t.Error("the lock is gone")
			}
			if comm := read(t, fmt.Sprintf("/proc/%d/comm", k.cmd.Process.Pid)); number != 0 && comm != "processmanager\n" {
				t.Errorf("the keeper goes by the name of %q", comm)
			}
			if living, zombies := childrenOf(t, k.cmd.Process.Pid); living != 1 || zombies != 0 {
				t.Errorf("%d children, %d zombies", living, zombies)
			}
			k.signal(unix.SIGTERM)
			k.waitEnd()
			k.waitOutput("ended\n", 1)
		})
	}
}

func TestRefusedProgramChangesNothing(t *testing.T) {
	t.Parallel()
	whole := func(n programNotes) func(k *keeperProcess) {
		return func(k *keeperProcess) { k.install(n) }
	}
	for name, test := range map[string]struct {
		install func(k *keeperProcess)
		want    string
	}{
		"missing":           {func(k *keeperProcess) {}, "no such file"},
		"not executable":    {func(k *keeperProcess) { k.installBytes(selfProgram(t), 0o600) }, "permission denied"},
		"empty":             {func(k *keeperProcess) { k.installBytes(nil, 0o700) }, "exec format error"},
		"truncated":         {func(k *keeperProcess) { k.installBytes(selfProgram(t)[:5000], 0o700) }, "protocol"},
		"cut in its header": {func(k *keeperProcess) { k.installBytes(selfProgram(t)[:40], 0o700) }, "exec format error"},
		"directory":         {func(k *keeperProcess) { os.Mkdir(k.dir+"/program", 0o700) }, "is not a program"},
		"FIFO":              {func(k *keeperProcess) { unix.Mkfifo(k.dir+"/program", 0o700) }, "is not a program"},
		"exits at once":     {whole(programNotes{Check: "exit"}), "ended with exit 3"},
		"says garbage":      {whole(programNotes{Check: "garbage"}), `protocol 1.5\n" and not "processmanager keeper protocol N\n"`},
		"hangs":             {whole(programNotes{Check: "hang"}), "took longer than 5s"},
		"another program": {func(k *keeperProcess) {
			data, err := os.ReadFile("/bin/true")
			if err != nil {
				t.Error(err)
			}
			k.installBytes(data, 0o700)
		}, `said "" and not`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := startKeeper(t, behaviour{})
			c, hello := k.hello(0)
			check := heldRuns(t, k, c)
			test.install(k)
			a := c.do(request{Op: "upgrade"})
			if name == "truncated" { // the kernel may find out, or the program's first steps
				if a.Err == "" {
					t.Error("accepted")
				}
			} else if !strings.Contains(a.Err, test.want) {
				t.Errorf("it says %q, want %q", a.Err, test.want)
			}
			now := c.must(request{Op: "hello"})
			if now.PID != hello.PID {
				t.Error("another worker")
			}
			now.Held = []heldReply{}
			c, hello = k.killWorker(now.PID)
			check(c, hello)
			if hello.Upgrade.Number != 1 || hello.Upgrade.Err == "" {
				t.Errorf("%+v", hello.Upgrade)
			}
			if living, zombies := childrenOf(t, k.cmd.Process.Pid); living != 1 || zombies != 0 {
				t.Errorf("%d children, %d zombies", living, zombies)
			}
		})
	}
}

// TestUnreadyProgramIsTakenBack has the check passed and the worker fail.
func TestUnreadyProgramIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, number := range []int{0, otherProtocol} {
		for how, want := range map[string]string{"die": "exit 7", "fail": "it does not like the store", "hang": "signal killed"} {
			t.Run(fmt.Sprintf("protocol %d, %s", number, how), func(t *testing.T) {
				t.Parallel()
				k := startKeeper(t, behaviour{})
				c, hello := k.hello(0)
				check := heldRuns(t, k, c)
				k.install(programNotes{Name: "bad", Protocol: number, Worker: how})
				c, hello, _ = k.upgrade(c, hello)
				if hello.Program != "" || !strings.Contains(hello.Upgrade.Err, want) {
					t.Errorf("it says %q, want %q: %+v", hello.Upgrade.Err, want, hello)
				}
				check(c, hello)
				if !k.locked() {
					t.Error("the lock is gone")
				}
				k.install(programNotes{Name: "good", Protocol: number})
				_, hello, _ = k.upgrade(c, hello)
				if hello.Program != "good" || hello.Upgrade != (Upgrade{Number: 2}) || len(hello.Held) != 3 {
					t.Errorf("%+v", hello)
				}
				k.signal(unix.SIGTERM)
				k.waitEnd()
				k.waitOutput("ended\n", 1)
			})
		}
	}
}

func TestHangupUpgrades(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	_, hello := k.hello(0)
	k.signal(unix.SIGHUP)
	k.waitOutput("the upgrade was not done: open "+k.dir+"/program: no such file", 1)
	k.install(programNotes{Name: "second", Protocol: otherProtocol})
	k.signal(unix.SIGHUP)
	if _, hello = k.hello(hello.PID); hello.Program != "second" || hello.Upgrade != (Upgrade{Number: 2}) {
		t.Errorf("%+v", hello)
	}
}

// TestWorkerThatKeepsItsHandsIsKilled: a worker that does not hand over cannot
// prevent the upgrade.
func TestWorkerThatKeepsItsHandsIsKilled(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{KeepHands: true})
	c, hello := k.hello(0)
	k.install(programNotes{Name: "second"})
	_, hello, _ = k.upgrade(c, hello)
	if hello.Program != "second" || hello.Upgrade.Err != "" {
		t.Errorf("%+v", hello)
	}
	k.waitOutput("has not handed over in time; killing it", 1)
}

func TestOneUpgradeAtATime(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	checked := k.dir + "/checked"
	k.install(programNotes{Check: "hang", Checked: checked})
	eventually(t, "an upgrade is refused while another one hangs", func() bool { // for 5 s
		os.Remove(checked)
		k.signal(unix.SIGHUP)
		eventually(t, "the check runs", func() bool { return exists(checked) })
		return c.do(request{Op: "upgrade"}).Err == errUpgrade.Error()
	})
	// The worker's death changes nothing for the upgrade.
	k.install(programNotes{Name: "later"})
	_, hello = k.killWorker(hello.PID)
	k.waitOutput("took longer than 5s", 1)
	if _, now := k.hello(0); now.PID != hello.PID {
		t.Error("another worker")
	}
}

func TestShutdownAtEachStageOfAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		b       behaviour
		n       programNotes
		reached func(k *keeperProcess) bool
	}{
		"check":         {behaviour{}, programNotes{Check: "hang"}, func(k *keeperProcess) bool { return exists(k.dir + "/checked") }},
		"handing over":  {behaviour{KeepHands: true}, programNotes{}, func(k *keeperProcess) bool { return exists(k.dir + "/asked") }},
		"trial":         {behaviour{}, programNotes{Worker: "hang"}, isGone},
		"foreign trial": {behaviour{}, programNotes{Worker: "hang", Protocol: otherProtocol}, isGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := startKeeper(t, test.b)
			k.hello(0)
			test.n.Checked = k.dir + "/checked"
			k.install(test.n)
			k.signal(unix.SIGHUP)
			eventually(t, "it is reached", func() bool { return test.reached(k) })
			k.signal(unix.SIGTERM)
			k.waitEnd()
			k.waitOutput("ended\n", 1)
		})
	}
}

// TestHangupNeverKills sends SIGHUP all the time while the keeper replaces itself.
func TestHangupNeverKills(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	_, hello := k.hello(0)
	k.install(programNotes{Name: "next", Protocol: otherProtocol})
	for range 3 {
		eventually(t, "the next worker", func() bool {
			k.signal(unix.SIGHUP)
			c := k.connect()
			defer c.conn.Close()
			now, err := c.try(request{Op: "hello"})
			if err != nil || now.PID == hello.PID {
				return false
			}
			hello = now
			return true
		})
	}
	k.signal(unix.SIGTERM)
	k.waitEnd()
}

// isGone reports whether the first worker has ended, and another one runs.
func isGone(k *keeperProcess) bool {
	worker := workerPID(k.dir)
	if _, err := proc.Identify("/proc", worker); err == nil {
		return false
	}
	living, _ := childrenOf(k.t.(*testing.T), k.cmd.Process.Pid)
	return living == 1
}

// TestNothingIsLostInUpgrades replaces the worker, and the keeper, again and again
// while runs start and end. TestHangupNeverKills asks at any time; this asks when no
// upgrade is under way, and each of its signals must begin one.
func TestNothingIsLostInUpgrades(t *testing.T) {
	t.Parallel()
	const runs, most = 300, 20 // a busy machine starts few runs between two upgrades
	k := startKeeper(t, behaviour{Storm: runs})
	upgrades, last := 0, 0
	begin := func() {
		k.install(programNotes{Name: "next", Protocol: otherProtocol + upgrades%2})
		k.signal(unix.SIGHUP)
		upgrades++
	}
	idle := func() bool { // the last upgrade is over, and the keeper has done with it
		pid := pidIn(k.dir + "/accepted")
		if pid == 0 || pid == last {
			return false
		}
		last = pid
		return true
	}
	eventually(t, "all runs end", func() bool {
		if upgrades < most && idle() {
			begin()
		}
		return exists(k.dir + "/done")
	})
	ended := func() int { return len(upgradeEnd.FindAllString(k.output(), -1)) }
	eventually(t, "the last upgrade is over", func() bool { // become says what a SIGTERM does in the middle of it
		refused := strings.Contains(k.output(), " is not accepted: ") // took too long, on a busy machine
		return idle() || refused && ended() == upgrades
	})
	t.Logf("%d upgrades", upgrades)
	if n := ended(); n != upgrades {
		t.Errorf("%d upgrades have ended, of %d", n, upgrades)
	}
	k.checkStorm(runs)
	k.signal(unix.SIGTERM)
	k.waitEnd()
	k.waitOutput("ended\n", 1)
}

// upgradeEnd is what the keeper says when one is over.
var upgradeEnd = regexp.MustCompile(`upgraded to what is now|the upgrade was not done`)

// TestSignalsTakenAreDelivered: a signal whose handler has run is in the channel, so
// that a keeper which replaces itself cannot overlook it.
func TestSignalsTakenAreDelivered(t *testing.T) {
	signals := Listen(false, Terminal{})
	defer signal.Stop(signals)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range 1000 {
		// Sent to this thread, it is taken before the call returns.
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		deliver()
		if len(signals) != 1 {
			t.Fatalf("signal %d: %d are in the channel", i, len(signals))
		}
		<-signals
	}
}

// TestNoUpgradeOnTheWayBack: until the former program is back the failed upgrade is
// under way, and another is refused with a word, not forgotten.
func TestNoUpgradeOnTheWayBack(t *testing.T) {
	said := ""
	k := &keeper{away: true, Config: Config{Log: func(format string, args ...any) { said += fmt.Sprintf(format, args...) }}}
	k.beginUpgrade(nil)
	if k.upgrade != nil || k.last.Number != 0 || said != "no upgrade: another upgrade is under way" {
		t.Errorf("%+v, it says %q", k.last, said)
	}
}
