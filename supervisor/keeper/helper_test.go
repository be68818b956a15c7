package keeper

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

func helper(script string) request {
	return request{Op: "help", Argv: []string{"/bin/sh", "-c", script}}
}

func TestHelperIsAnsweredWhenItEnds(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	for range 2 { // the serial is another one
		if a := c.must(helper("exit 3")); a.Exit.Exit.Code != 3 {
			t.Errorf("%+v", a.Exit)
		}
	}
	if a := c.must(helper("kill -ABRT $$")); a.Exit.Exit.Signal != unix.SIGABRT {
		t.Errorf("%+v", a.Exit)
	}
	if a := c.do(request{Op: "help", Argv: []string{"/nowhere"}}); a.Step != proc.StepExec || a.Errno != unix.ENOENT {
		t.Errorf("start of /nowhere: %+v", a)
	}
	if _, hello = k.killWorker(hello.PID); len(hello.Held) != 0 {
		t.Errorf("helpers are held: %+v", hello.Held)
	}
}

// A helper can have settings as a run has.
func TestHelperWithSettings(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	open := k.descriptors()
	r := helper("exit $((0$(umask)))")
	r.Settings = &proc.Settings{Umask: new(0o27)}
	if a := c.must(r); a.Exit.Exit.Code != 0o27 {
		t.Errorf("%+v", a.Exit)
	}
	r.Argv = []string{"/nowhere"}
	if a := c.do(r); a.Step != proc.StepExec || a.Errno != unix.ENOENT {
		t.Errorf("start of /nowhere: %+v", a)
	}
	release := k.hang()
	defer release()
	r = helper("true")
	r.Settings = &proc.Settings{}
	k.aside(r)
	pid := k.starting()
	c, hello = k.killWorker(hello.PID) // which waits for runs alone
	unix.Kill(pid, unix.SIGKILL)
	release()
	r.Argv[2] = "exit 6"
	if a := c.must(r); a.Exit.Exit.Code != 6 || len(hello.Held) != 0 {
		t.Errorf("%+v", a.Exit)
	}
	eventually(t, "nothing is left open", func() bool { return k.descriptors() <= open })
}

// A helper whose worker is dead is nobody's: its end is told to nobody, least of all to who
// waits for a helper of the same serial.
func TestHelperOfADeadWorkerIsForgotten(t *testing.T) {
	t.Parallel()
	for _, number := range []int{0, otherProtocol} {
		k := startKeeper(t, behaviour{})
		c, hello := k.hello(0)
		open := k.descriptors()
		script := helper("printf $$ > " + k.dir + "/first; while test ! -e " + k.dir + "/go; do sleep 0.01; done; exit 1")
		script.N = 1 // gives up at once
		if a := c.do(script); a.Err != "context deadline exceeded" {
			t.Errorf("%+v", a)
		}
		eventually(t, "the helper runs", func() bool { return pidIn(k.dir+"/first") != 0 })
		if number == 0 {
			c, _ = k.killWorker(hello.PID)
		} else {
			k.install(programNotes{Name: "next", Protocol: number})
			c, _, _ = k.upgrade(c, hello)
		}
		second := helper("touch " + k.dir + "/go; while test -e /proc/$(cat " + k.dir + "/first); do sleep 0.01; done; exit 2")
		if a := c.must(second); a.Exit.Exit.Code != 2 {
			t.Errorf("%+v", a.Exit)
		}
		if living, zombies := childrenOf(t, k.cmd.Process.Pid); living != 1 || zombies != 0 {
			t.Errorf("%d children, %d zombies", living, zombies)
		}
		if n := k.descriptors(); n != open && number == 0 {
			t.Errorf("%d descriptors, before %d", n, open)
		}
	}
}

func TestNotifySocketIsHeldUntilDrop(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	first, second := k.dir+"/one", k.dir+"/two"
	for _, name := range []string{first, second} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := sh(1, "exec sleep 1000")
	r.Notify = first
	c.must(r)
	c.must(request{Op: "keep", Run: RunID{"nobody", 1}, Notify: second})
	if c, hello = k.killWorker(hello.PID); len(hello.Held) != 1 || hello.Held[0].Notify != first {
		t.Fatalf("%+v", hello.Held)
	}
	c.must(request{Op: "keep", Run: r.Run, Notify: second})
	if c, hello = k.killWorker(hello.PID); len(hello.Held) != 1 || hello.Held[0].Notify != second {
		t.Fatalf("%+v", hello.Held)
	}
	open := k.descriptors()
	c.must(request{Op: "kill", Run: r.Run})
	c.must(request{Op: "exit"})
	c.must(request{Op: "drop", Run: r.Run})
	c.must(helper("true")) // the drop has been handled
	if n := k.descriptors(); n != open-1 {
		t.Errorf("%d descriptors, before %d", n, open)
	}
}

// What a keeper of protocol 2 wrote down for its successor knows no notify sockets.
func TestStateOfAnOlderKeeperIsTakenUp(t *testing.T) {
	var s state
	err := json.Unmarshal([]byte(`{"Path":"L3A=","Runs":[{"Name":"d2Vi","Run":7,"ID":{"pid":5,"start":9},"Output":0}]}`), &s)
	if err != nil || len(s.Runs) != 1 {
		t.Fatal(err)
	}
	if r := s.Runs[0].run(); r.notify != nil || r.output != nil || r.RunID != (RunID{"web", 7}) {
		t.Errorf("%+v", r)
	}
	if data, err := json.Marshal((&run{RunID: RunID{"web", 7}}).state()); err != nil || string(data) != `{"Name":"d2Vi","Run":7,"ID":{"pid":0,"start":0},"Output":0}` {
		t.Errorf("an older keeper would read %s, %v", data, err)
	}
}

func TestHelpWithoutAKeeper(t *testing.T) {
	l := &Link{}
	if _, err := l.Help(t.Context(), proc.Command{}); !errors.Is(err, ErrKeeperGone) {
		t.Error(err)
	}
}
