package keeper

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTreesAreUntouchedWhileWorkersDie has a worker that dies at once, again and
// again, while a run of an earlier one goes on.
func TestTreesAreUntouchedWhileWorkersDie(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	check := heldRuns(t, k, c)
	if err := os.WriteFile(k.dir+"/die", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unix.Kill(hello.PID, unix.SIGKILL)
	for _, delay := range []string{"100ms", "200ms", "400ms", "800ms", "1.6s"} {
		k.waitOutput("has ended (exit 7), the next one starts in "+delay, 1)
	}
	os.Remove(k.dir + "/die")
	c, hello = k.hello(hello.PID)
	check(c, hello)
}

func TestExitAfterTheLinkIsClosedIsSeen(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	c.try(request{Op: "close link", Dir: k.dir})
	k.hello(hello.PID)
	k.waitOutput("has ended (exit 9)", 1)
}

func TestWorkerWithoutItsLinkIsKilled(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	go c.try(request{Op: "close link", Dir: k.dir, N: 1})
	eventually(t, "the link is closed", func() bool { return exists(k.dir + "/closed") })
	k.waitOutput("has closed its link and not ended in time; killing it", 1)
	k.hello(hello.PID)
}

// TestTooFewDescriptors lets the keeper have so few that it cannot hold what it is
// asked to: a start fails with the errno, and works again when there are some.
func TestTooFewDescriptors(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{}, limited("48"))
	c, hello := k.hello(0)
	out := k.dir + "/out"
	os.WriteFile(out, nil, 0o600)
	started := uint64(0)
	for run := uint64(1); run < 64; run++ {
		r := sh(run, "exit 3")
		r.Output = out
		a := c.do(r)
		if a.Err == "" {
			started++
			c.must(request{Op: "exit"})
		} else if a.Errno != unix.EMFILE {
			t.Fatalf("run %d: %+v", run, a)
		}
	}
	if started == 0 || started == 63 {
		t.Fatalf("%d starts", started)
	}
	// The next worker knows all of them, with or without their descriptors.
	c, hello = k.killWorker(hello.PID)
	if len(hello.Held) != 63 {
		t.Errorf("%d held", len(hello.Held))
	}
	for run := uint64(1); run < 64; run++ {
		c.must(request{Op: "drop", Run: RunID{"test", run}})
	}
	r := sh(100, "exit 4")
	r.Output = out
	c.must(r)
	if e := c.must(request{Op: "exit"}).Exit.Exit; e.Code != 4 {
		t.Errorf("%+v", e)
	}
	k.signal(unix.SIGTERM)
	k.waitEnd()
	k.waitOutput("ended\n", 1)
}

// TestWorkerIsToldHowManyDescriptorsItLacks has a worker that may open less than the
// keeper holds.
func TestWorkerIsToldHowManyDescriptorsItLacks(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	out := k.dir + "/out"
	os.WriteFile(out, nil, 0o600)
	const runs = 150
	for run := range uint64(runs) {
		r := sh(run, "exit 3")
		r.Output = out
		c.must(r)
		c.must(request{Op: "exit"})
	}
	k.install(programNotes{Files: 64})
	c, hello, _ = k.upgrade(c, hello)
	if len(hello.Held) != runs || hello.Lost < runs-64 || hello.Upgrade.Err != "" {
		t.Errorf("%d held, %d lost, %+v", len(hello.Held), hello.Lost, hello.Upgrade)
	}
	k.install(programNotes{})
	if _, hello, _ = k.upgrade(c, hello); len(hello.Held) != runs || hello.Lost != 0 {
		t.Errorf("%d held, %d lost", len(hello.Held), hello.Lost)
	}
}

// limited starts the keeper with a limit of open files.
func limited(n string) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		exe, _ := os.Executable()
		c.Path = "/bin/sh"
		c.Args = []string{"sh", "-c", "ulimit -n " + n + `; exec "$0"`, exe}
	}
}

// TestTenThousandExitsAreHeld has more exits than a socket takes at once.
func TestTenThousandExitsAreHeld(t *testing.T) {
	runs := 10_000
	if raceDetector || testing.Short() {
		runs = 500
	}
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	c.must(request{Op: "spawn many", N: runs, Argv: []string{"/bin/true"}})
	c, hello = k.killWorker(hello.PID)
	seen := make(map[RunID]bool)
	for _, h := range hello.Held {
		if h.Exit == nil || h.Exit.Code != 0 {
			t.Fatalf("%+v", h)
		}
		seen[h.Run] = true
	}
	if len(seen) != runs {
		t.Errorf("%d held", len(seen))
	}
	k.install(programNotes{Name: "next", Protocol: otherProtocol})
	_, hello, _ = k.upgrade(c, hello)
	if len(hello.Held) != runs || hello.Program != "next" {
		t.Errorf("%d held by %q", len(hello.Held), hello.Program)
	}
	k.signal(unix.SIGTERM)
	k.waitEnd()
	if out := k.output(); strings.Count(out, "worker") > 3 {
		t.Errorf("it has much to say:\n%s", out)
	}
}
