package integration

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Whoever starts it on a hybrid host must not have to find out by a limit that is refused.
func TestTheStartSaysWhatRunsLack(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	var lines []string
	for line := range strings.Lines(d.log.since(0)) {
		if strings.Contains(line, "runs have no ") {
			lines = append(lines, line)
		}
	}
	var missing []string
	for _, name := range []string{"cpu", "memory", "pids", "io", "cpuset"} {
		if !hasController(t, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		if len(lines) > 0 {
			t.Errorf("runs have all, and it says %q", lines)
		}
		return
	}
	if len(lines) != 1 {
		t.Fatalf("lacks are %v, and it says %q", missing, lines)
	}
	said, _, _ := strings.Cut(lines[0], " controller (")
	_, said, _ = strings.Cut(said, "runs have no ")
	if got := regexp.MustCompile(`, | or `).Split(said, -1); !slices.Equal(got, missing) {
		t.Errorf("lacks are %v, and it says %q", missing, lines)
	}
}

func init() { roles["unmounted"] = unmounted }

// unmounted executes a command where cgroup v2 is mounted nowhere, but for what the shell
// does first, and with or without the right to mount it. It must be in a mount namespace of
// its own.
func unmounted(args []string) {
	first, mayMount, command := args[0], args[1] == "may mount", args[2:]
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	data, err := os.ReadFile("/proc/self/mountinfo")
	check(err)
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		if strings.HasPrefix(after, "cgroup2 ") {
			check(unix.Unmount(strings.Fields(before)[4], 0))
		}
	}
	out, err := exec.Command("/bin/sh", "-c", first).CombinedOutput()
	if err != nil {
		panic(string(out) + err.Error())
	}
	runtime.LockOSThread()
	if !mayMount {
		check(unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0))
	}
	check(syscall.Exec(command[0], command, os.Environ()))
}

// inNoHierarchy is a daemon that finds cgroup v2 mounted nowhere. Its group is below that
// of other tests, wherever it is mounted then.
func inNoHierarchy(t *testing.T) (d *daemon, wrap func(first, right string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	mount, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	d = newDaemon(t, setup{Private: true})
	d.setup.Args = []string{"-cgroup", strings.TrimPrefix(d.cgroup, strings.TrimSuffix(mount, "/"))}
	return d, func(first, right string) {
		d.setup.Wrap = []string{programs.self, "role", "unmounted", first, right}
	}
}

// The one line must mend it when its command is carried out.
func TestNoHierarchyIsALineThatSaysHowToMount(t *testing.T) {
	t.Parallel()
	d, wrap := inNoHierarchy(t)
	wrap("true", "may not mount")
	said := d.refuse()
	line := strings.TrimSuffix(said, "\n")
	if strings.Contains(line, "\n") || !strings.HasPrefix(line, "processmanager: no cgroup v2 hierarchy is mounted, and mounting one on "+d.state) || !strings.Contains(line, "-cgroup") {
		t.Errorf("it says %q", said)
	}
	command := regexp.MustCompile(`as root: (.* && mount -t cgroup2 none \S+);`).FindStringSubmatch(line)
	if command == nil {
		t.Fatalf("no command in %q", said)
	}
	wrap(command[1], "may not mount")
	d.launch()
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	if pid := d.status("p").PID; !slices.Contains(pidsIn(d.cgroup), pid) {
		t.Errorf("%d is not in %s", pid, d.cgroup)
	}
}

func TestWhereNobodyHasMountedItTheDaemonDoesAndSaysSo(t *testing.T) {
	t.Parallel()
	d, wrap := inNoHierarchy(t)
	wrap("true", "may mount")
	d.launch()
	if want := "nobody else has mounted cgroup v2: it is mounted on " + d.state + "/run/cgroup\n"; !d.log.await(0, want, d.ended) {
		t.Errorf("it does not say %q: %s", want, d.log.since(0))
	}
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	pid := d.status("p").PID
	if !slices.Contains(pidsIn(d.cgroup), pid) {
		t.Errorf("%d is not in %s", pid, d.cgroup)
	}
	d.stop("p")
	eventually(t, "its tree has ended", func() bool { return !alive(pid) })
}
