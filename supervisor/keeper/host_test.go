package keeper

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
)

// phases are those that a keeper has told so far.
func (k *keeperProcess) phases() (list []string) {
	for line := range strings.Lines(k.output()) {
		if phase, ok := strings.CutPrefix(line, "told: "); ok {
			list = append(list, strings.TrimSpace(phase))
		}
	}
	return list
}

func TestHostIsToldOfEachPhase(t *testing.T) {
	k := startKeeper(t, behaviour{Host: true})
	c, hello := k.hello(0)
	k.waitOutput("told: ready", 1)
	k.waitOutput(fmt.Sprintf("answered: %d", hello.PID), 3) // asked again and again
	k.install(programNotes{Name: "next"})
	if _, next, _ := k.upgrade(c, hello); next.Upgrade.Err != "" {
		t.Fatalf("%+v", next.Upgrade)
	}
	k.waitOutput("told: ready", 2)
	k.installBytes([]byte("no program"), 0o700)
	k.signal(unix.SIGHUP)
	k.waitOutput("told: ready", 3) // a reload that changed nothing is over too
	k.signal(unix.SIGTERM)
	k.waitEnd()
	if got, want := strings.Join(k.phases(), " "), "ready reloading ready reloading ready stopping"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// Who watches the keeper hears nothing while the worker hangs.
func TestWorkerThatIsSilentIsNotAnsweredFor(t *testing.T) {
	k := startKeeper(t, behaviour{Host: true, Silent: true})
	_, hello := k.hello(0)
	k.killWorker(hello.PID)
	k.waitOutput("told: ready", 2)
	if strings.Contains(k.output(), "answered") {
		t.Error(k.output())
	}
}

// Where the host stops the keeper only to start it again, trees live on.
func TestKeeperThatIsToStayLeavesItsTrees(t *testing.T) {
	k := startKeeper(t, behaviour{Host: true})
	c, hello := k.hello(0)
	living := sh(1, "exec sleep 1000")
	id := c.must(living).ID
	defer unix.Kill(id.PID, unix.SIGKILL)
	os.WriteFile(k.dir+"/stays", nil, 0o600)
	k.signal(unix.SIGTERM)
	k.waitEnd()
	if !alive(id) {
		t.Error("the tree has ended")
	}
	if worker, err := proc.Identify("/proc", hello.PID); err == nil && alive(worker) {
		t.Error("the worker lives on")
	}
	if exists(k.dir + "/orphaned") {
		t.Error("the worker was not asked to hand over")
	}
	k.waitOutput("ended: "+ErrLeft.Error(), 1)
}

func TestSIGINTEndsTreesWhateverTheHostDoes(t *testing.T) {
	k := startKeeper(t, behaviour{Host: true})
	k.hello(0)
	os.WriteFile(k.dir+"/stays", nil, 0o600)
	k.signal(unix.SIGINT)
	k.waitEnd()
	if strings.Contains(k.output(), ErrLeft.Error()) {
		t.Error(k.output())
	}
}

// The keeper may be where no run can be.
func TestWorkersAreStartedInTheirGroup(t *testing.T) {
	group := testGroup(t)
	k := startKeeper(t, behaviour{Group: group})
	_, hello := k.hello(0)
	in := func(pid int) string {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		return string(data)
	}
	if own, worker := in(k.cmd.Process.Pid), in(hello.PID); own == worker || !strings.Contains(worker, group[strings.LastIndex(group, "/"):]) {
		t.Errorf("the keeper is in %s, the worker in %s", own, worker)
	}
}

func TestWorkerWhoseGroupIsGoneWorksElsewhere(t *testing.T) {
	group := testGroup(t) + "/gone"
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	k := startKeeper(t, behaviour{Group: group, DieAtOnce: true})
	k.waitOutput("has ended", 1)
	eventually(t, "the group is removed between two workers", func() bool { return unix.Rmdir(group) == nil })
	n := strings.Count(k.output(), "has ended")
	k.waitOutput("has ended", n+2)
	if strings.Contains(k.output(), "could not be started") {
		t.Error(k.output())
	}
}
