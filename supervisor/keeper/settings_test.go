package keeper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// settledSh is a run with settings.
func settledSh(run uint64, script string) request {
	r := sh(run, script)
	r.Settings = &proc.Settings{Umask: new(0o27)}
	return r
}

// hang makes starts with settings hang until the test lets them go.
func (k *keeperProcess) hang() (release func()) {
	k.t.Helper()
	path := k.dir + "/" + hangFile
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		k.t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// aside asks over a connection of its own, and gives the answer later.
func (k *keeperProcess) aside(r request) (answer func() reply) {
	c := k.connect()
	got := make(chan reply, 1)
	go func() {
		a, err := c.try(r)
		if err != nil {
			a.Err = "no answer: " + err.Error()
		}
		got <- a
	}()
	return func() reply {
		k.t.Helper()
		select {
		case a := <-got:
			return a
		case <-time.After(patience):
			k.t.Fatal("no answer")
			return reply{}
		}
	}
}

// starting is the pid of the child of the keeper that makes settings.
func (k *keeperProcess) starting() (pid int) {
	k.t.Helper()
	eventually(k.t, "settings are being made", func() bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			line, _ := os.ReadFile(path)
			cwd, _ := os.Readlink(filepath.Dir(path) + "/cwd")
			if cwd == k.dir && strings.HasSuffix(string(line), "\x00"+proc.SettingsArg+"\x00") {
				pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
				return true
			}
		}
		return false
	})
	return pid
}

func TestStartWithSettings(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	out := k.dir + "/out"
	os.WriteFile(out, nil, 0o600)
	r := settledSh(1, "umask; ls -m /proc/$$/fd; exit 42")
	r.Output, r.Group = out, testGroup(t)
	id := c.must(r).ID
	if e := c.must(request{Op: "exit"}).Exit; e.Run != r.Run || e.Exit.Code != 42 {
		t.Errorf("%+v", e)
	}
	if said := read(t, out); said != "0027\n0, 1, 2\n" || id.PID == 0 || id.Start == 0 {
		t.Errorf("%v said %q", id, said)
	}
	r = settledSh(2, "true")
	r.Argv = []string{"/nowhere"}
	if a := c.do(r); a.Step != proc.StepExec || a.Errno != unix.ENOENT || a.Err != "exec /nowhere: no such file or directory" {
		t.Errorf("%+v", a)
	}
	r = settledSh(3, "true")
	r.Settings.Limits = []proc.Rlimit{{Resource: "core", Soft: 2, Hard: 1}}
	if a := c.do(r); a.Step != "rlimit_core" || a.Errno != unix.EINVAL {
		t.Errorf("%+v", a)
	}
	if living, zombies := childrenOf(t, k.cmd.Process.Pid); living != 1 || zombies != 0 {
		t.Errorf("%d children, %d zombies", living, zombies)
	}
	// What failed is held and has no exit; the next worker knows why.
	_, hello := k.killWorker(workerPID(k.dir))
	for _, h := range hello.Held {
		if h.Run.Run == 3 && (h.Err != "rlimit_core: invalid argument" || h.Exit != nil) || h.Run.Run == 1 && (h.ID != id || h.Exit == nil) {
			t.Errorf("%+v", h)
		}
	}
	if len(hello.Held) != 3 {
		t.Errorf("%+v", hello.Held)
	}
}

// However long settings take, the keeper goes on.
func TestTheKeeperDoesNotWaitForSettings(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	release := k.hang()
	answer := k.aside(settledSh(1, "exit 7"))
	k.starting()
	before := k.descriptors()
	c.must(sh(2, "exit 8"))
	if e := c.must(request{Op: "exit"}).Exit; e.Run.Run != 2 || e.Exit.Code != 8 {
		t.Errorf("%+v", e)
	}
	release()
	if a := answer(); a.Err != "" || a.ID.PID == 0 {
		t.Errorf("%+v", a)
	}
	if e := c.must(request{Op: "exit"}).Exit; e.Run.Run != 1 || e.Exit.Code != 7 {
		t.Errorf("%+v", e)
	}
	if after := k.descriptors(); after != before-2 {
		t.Errorf("%d descriptors, %d while it started", after, before)
	}
}

// A start under way when the worker dies is decided before the next one is told of it.
func TestTheNextWorkerIsToldHowAStartWent(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"executed": "", "killed": "prepare: "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := startKeeper(t, behaviour{})
			_, hello := k.hello(0)
			release := k.hang()
			defer release()
			k.aside(settledSh(1, "exec sleep 1000"))
			pid := k.starting()
			unix.Kill(hello.PID, unix.SIGKILL)
			k.waitOutput("the next one starts in", 1)
			if name == "killed" {
				unix.Kill(pid, unix.SIGKILL)
			} else {
				release()
			}
			c, hello := k.hello(hello.PID)
			if len(hello.Held) != 1 || !strings.HasPrefix(hello.Held[0].Err, want) || (want == "") != (hello.Held[0].Err == "") || hello.Held[0].Exit != nil {
				t.Fatalf("%+v", hello.Held)
			}
			if want != "" {
				return
			}
			if id := hello.Held[0].ID; id.PID != pid || !alive(id) {
				t.Errorf("%+v", hello.Held)
			}
			c.must(request{Op: "kill", Run: RunID{"test", 1}})
			if e := c.must(request{Op: "exit"}).Exit; e.Exit.Signal != unix.SIGKILL {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Nor does another program take over before.
func TestAnUpgradeWaitsForStarts(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, hello := k.hello(0)
	release := k.hang()
	answer := k.aside(settledSh(1, "exec sleep 1000"))
	pid := k.starting()
	k.install(programNotes{Name: "second", Protocol: otherProtocol})
	c.must(request{Op: "upgrade"})
	release()
	if a := answer(); a.Err != "" && !strings.HasPrefix(a.Err, "no answer") {
		t.Errorf("%+v", a)
	}
	c, hello = k.hello(hello.PID)
	if hello.Program != "second" || len(hello.Held) != 1 || hello.Held[0].ID.PID != pid || hello.Held[0].Err != "" {
		t.Errorf("%+v", hello)
	}
	c.must(settledSh(2, "exit 5")) // the other program makes settings too
	if e := c.must(request{Op: "exit"}).Exit; e.Exit.Code != 5 {
		t.Errorf("%+v", e)
	}
	c.must(request{Op: "kill", Run: RunID{"test", 1}})
	c.must(request{Op: "exit"})
}

func TestStartsUnderWayDoNotKeepTheKeeper(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{StayInTheEnd: true})
	k.hello(0)
	release := k.hang()
	defer release()
	k.aside(settledSh(1, "exit 1"))
	pid := k.starting()
	defer unix.Kill(pid, unix.SIGKILL)
	k.signal(unix.SIGTERM)
	eventually(t, "shutdown is passed on", func() bool { return exists(k.dir + "/asked") })
	began := time.Now()
	k.signal(unix.SIGINT)
	k.waitEnd()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Settings that take for ever are a start that failed.
func TestSettingsHaveALimit(t *testing.T) {
	t.Parallel()
	k := startKeeper(t, behaviour{})
	c, _ := k.hello(0)
	defer k.hang()()
	if a := c.do(settledSh(1, "exit 0")); a.Step != proc.StepPrepare || a.Errno != unix.ETIMEDOUT {
		t.Errorf("%+v", a)
	}
	if living, zombies := childrenOf(t, k.cmd.Process.Pid); living != 1 || zombies != 0 {
		t.Errorf("%d children, %d zombies", living, zombies)
	}
}
