package reboot

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

const (
	unit = "processmanager.service"

	// kept is the directory that the second boot finds as the first has left it.
	kept = "/var/lib/reboot-test"

	// again has the guest boot anew and go on with this test; without it, a boot is its end.
	again = "/tests/reboot"

	// patience is how long a test waits for what must come. A guest is slow.
	patience = 3 * time.Minute

	// bootFactor is how much longer processes may take to come up with the machine, which has
	// other things to do then, than by pmclient start, one after the other.
	bootFactor = 1.5
)

var processes = flag.Int("processes", 40, "how many are started with the machine")

func TestMain(m *testing.M) {
	if _, err := os.Stat("/run/systemd/system"); os.Getenv("GUEST") == "" || err != nil {
		// Elsewhere there is nothing to test, and a host to leave alone.
		return
	}
	os.Exit(m.Run())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list is all processes, by name; nil as long as nobody answers.
func list() map[string]host.Status {
	out, err := exec.Command("pmclient", "status", "*", "-format", "json").Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 3) {
		return nil
	}
	var all []host.Status
	if json.Unmarshal(out, &all) != nil {
		return nil
	}
	named := make(map[string]host.Status, len(all))
	for _, s := range all {
		named[s.Name] = s
	}
	return named
}

// crowd is the name of one of those that only have to be there.
func crowd(i int) string { return fmt.Sprintf("crowd-%03d", i) }

// Each of these needs the one before it.
var (
	inOrder = []string{"db", "web", "front"}
	needs   = map[string]string{"web": "db", "front": "web"}
)

// A process that writes down when it begins, when it is asked to end, and when it has.
const writes = `say() { echo "$PROCESSMANAGER_NAME $1" >>` + kept + `/said; }
say begins
trap 'say asked; sleep 1; say ends; exit 0' TERM
while :; do sleep 0.1; done`

// TestMachineThatIsRestarted has the machine shut down while processes run. They end in the
// order of their needs, with their time, before systemd sends anything to the scope; and what is
// to run comes up with the machine, no later than it should.
func TestMachineThatIsRestarted(t *testing.T) {
	if _, err := os.Stat(kept + "/boot-id"); err != nil {
		beforeTheRestart(t)
	}
	if host.Read(t, kept+"/boot-id") == host.Read(t, "/proc/sys/kernel/random/boot_id") {
		t.Fatal("this is the same boot")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(host.Root.Do(t, "journalctl", "--no-pager", "-b", "-1", "-n", "60", "-o", "short-monotonic"))
			t.Log(host.Root.Do(t, "journalctl", "--no-pager", "-b", "-u", unit, "-o", "short-monotonic"))
		}
	})
	t.Run("EndsTreesInOrder", endedInOrder)
	t.Run("StartsWhatShouldRun", cameUp)
}

// beforeTheRestart starts the processes, has the machine restarted, and never returns.
func beforeTheRestart(t *testing.T) {
	write(t, "/etc/processmanager/secret", "a secret of this guest\n")
	if err := os.MkdirAll("/var/log/journal", 0o755); err != nil {
		t.Fatal(err)
	}
	host.Root.Do(t, "journalctl", "--flush")
	host.Root.Do(t, "systemctl", "add-wants", "guest.target", unit)
	host.Root.Do(t, "systemctl", "start", unit)

	begin := time.Now()
	for i := range *processes {
		host.Root.Do(t, "pmclient", "start", crowd(i), "-autostart", "-command", "exec sleep 100000")
	}
	write(t, kept+"/by-start", time.Since(begin).String())

	write(t, kept+"/said", "")
	for _, name := range inOrder {
		host.Root.Do(t, "pmclient", "start", name, "-autostart", "-needs", needs[name], "-stop_timeout", "30s", "-command", writes)
	}
	host.Root.Do(t, "pmclient", "start", "by-hand", "-command", "exec sleep 100000")
	host.Root.Do(t, "pmclient", "start", "stopped", "-autostart", "-command", "exec sleep 100000")
	host.Root.Do(t, "pmclient", "stop", "stopped")
	waitUntil(t, "all have said that they begin", func() bool { return strings.Count(host.Read(t, kept+"/said"), "begins") == len(inOrder) })

	write(t, kept+"/boot-id", host.Read(t, "/proc/sys/kernel/random/boot_id"))
	write(t, kept+"/began", fmt.Sprintf("@%d", time.Now().Unix()))
	write(t, again, "")
	unix.Sync()
	host.Root.Do(t, "systemctl", "reboot")
	time.Sleep(patience)
	t.Fatal("the machine has not ended")
}

func waitUntil(t *testing.T, what string, cond func() bool) {
	t.Helper()
	// Seldom: a guest has better things to do while it boots.
	for limit := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Second) {
		if time.Now().After(limit) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

func endedInOrder(t *testing.T) {
	var want []string
	for _, name := range inOrder {
		want = append(want, name+" begins")
	}
	for _, name := range slices.Backward(inOrder) {
		want = append(want, name+" asked", name+" ends")
	}
	// By the second boot they may have begun again.
	said := strings.Split(host.Read(t, kept+"/said"), "\n")
	if !slices.Equal(said[:min(len(want), len(said))], want) {
		t.Errorf("they have said %q, not %q", said, want)
	}
	all := up(t)
	for _, name := range inOrder {
		if last := all[name].Last; last == nil || last.Cause != "shutdown" || last.Code == nil || *last.Code != 0 {
			t.Errorf("%s: %+v, %+v", name, all[name], last)
		}
	}
	if last := all[crowd(0)].Last; last == nil || last.Cause != "shutdown" {
		t.Errorf("%s: %+v", crowd(0), last)
	}
	shutdown := host.Root.Do(t, "journalctl", "--no-pager", "-b", "-1", "-o", "cat", "--since", host.Read(t, kept+"/began"))
	if !strings.Contains(shutdown, "Stopped "+unit) {
		t.Errorf("the journal of the first boot does not say that the unit has stopped: %s", shutdown)
	}
	for line := range strings.Lines(shutdown) {
		if strings.HasPrefix(line, "processmanager") && (strings.Contains(line, "Killing") || strings.Contains(line, "timed out") || strings.Contains(line, "Failed with")) {
			t.Errorf("systemd had to use force: %s", line)
		}
	}
}

// up is all processes, as soon as those that should run do.
func up(t *testing.T) (all map[string]host.Status) {
	waitUntil(t, "all processes are up", func() bool {
		all = list()
		running := 0
		for _, s := range all {
			if s.Status == "running" {
				running++
			}
		}
		return running >= *processes+len(inOrder)
	})
	return all
}

func cameUp(t *testing.T) {
	all := up(t)
	var first, last time.Time
	for i := range *processes {
		s := all[crowd(i)]
		if s.Run != 2 {
			t.Errorf("%s: %+v", s.Name, s)
		}
		if first.IsZero() || s.Start.Before(first) {
			first = s.Start
		}
		if s.Start.After(last) {
			last = s.Start
		}
	}
	for i, name := range inOrder {
		if i > 0 && all[name].Start.Before(all[inOrder[i-1]].Start) {
			t.Errorf("%s was started before %s, which it needs", name, inOrder[i-1])
		}
	}
	for name, want := range map[string]string{"by-hand": "stopped", "stopped": "stopped"} {
		if s := all[name]; s.Status != want || s.Run != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	began := entered(t, "ExecMainStartTimestampMonotonic")
	served := entered(t, "ActiveEnterTimestampMonotonic")
	if first.Before(served) {
		served = first
	}
	took := last.Sub(served)
	byStart, err := time.ParseDuration(host.Read(t, kept+"/by-start"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d processes: started by hand in %v, with the machine in %v (%.2f), %v after the daemon itself", *processes,
		byStart.Round(time.Millisecond), took.Round(time.Millisecond), float64(took)/float64(byStart), served.Sub(began).Round(time.Millisecond))
	if took > time.Duration(bootFactor*float64(byStart)) {
		t.Errorf("that is more than %v times as long", bootFactor)
	}
}

// entered is when the unit came to a state, from a property in microseconds of the monotonic clock.
func entered(t *testing.T, name string) time.Time {
	t.Helper()
	usec, err := strconv.ParseInt(host.Root.Do(t, "systemctl", "show", "--value", "-p", name, unit), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(-time.Duration(now.Nano() - usec*1000))
}
