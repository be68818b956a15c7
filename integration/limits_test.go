package integration

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func init() { roles["spin"] = spin }

// spin uses all the CPU time that it gets, on one core.
func spin([]string) {
	for i := 0; ; i++ {
	}
}

// limitFile is a limit, as it is given and as its file says it, and another one.
type limitFile struct {
	field, controller, file string
	value, says             string
	other, saysOther        string
	none                    string // what the file says without it
}

var limitFiles = []limitFile{
	{"memory_max", "memory", "memory.max", "256M", "268435456", "512M", "536870912", "max"},
	{"memory_high", "memory", "memory.high", "128M", "134217728", "192M", "201326592", "max"},
	{"memory_low", "memory", "memory.low", "16M", "16777216", "8M", "8388608", "0"},
	{"swap_max", "memory", "memory.swap.max", "0", "0", "64M", "67108864", "max"},
	{"oom", "memory", "memory.oom.group", "kill", "1", "continue", "0", "0"},
	{"cpu_max", "cpu", "cpu.max", "150%", "150000 100000", "0.5", "50000 100000", "max 100000"},
	{"cpu_weight", "cpu", "cpu.weight", "50", "50", "10000", "10000", "100"},
	{"pids_max", "pids", "pids.max", "100", "100", "50", "50", "max"},
	{"io_weight", "io", "io.weight", "200", "default 200", "1", "default 1", "default 100"},
	{"cpuset_cpus", "cpuset", "cpuset.cpus", "0", "0", "0-1", "0-1", ""},
}

// says is what a file of a group says.
func says(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// kernelKnows reports whether this kernel has the file of a limit.
func kernelKnows(d *daemon, file string) bool {
	_, err := os.Stat(d.runs() + "/" + file)
	return err == nil
}

// Each limit stands in its file before the first instruction, follows each change at once, in
// all trees that are named, and is gone from it when it is unset. A worker that is killed
// changes nothing.
func TestEachLimitIsInTheKernelsFile(t *testing.T) {
	for _, c := range []string{"cpu", "memory", "pids", "io", "cpuset"} {
		needController(t, c)
	}
	t.Parallel()
	d := startDaemon(t, setup{})
	var all, asked []string
	for _, l := range limitFiles {
		if !kernelKnows(d, l.file) {
			t.Logf("this kernel has no %s", l.file)
			if r := d.pmclient("start", "refused", "-command", "true", "-"+l.field, l.value); r.code != 1 || !strings.Contains(r.stderr, l.field+": this kernel has no ") {
				t.Errorf("%s: code %d, %q", l.field, r.code, r.stderr)
			}
			continue
		}
		all = append(all, "-"+l.field, l.value)
		asked = append(asked, "$g/"+l.file)
	}
	for _, name := range []string{"a", "b"} {
		d.mustClient(append([]string{"start", name, "-command", ownGroup(t) + "head " + strings.Join(asked, " ") + "; echo up; exec sleep 1000"}, all...)...)
		d.said(name, "up")
	}
	first := d.logs("a", 0)
	check := func(when string, what func(l limitFile) string) {
		t.Helper()
		for _, l := range limitFiles {
			for _, name := range []string{"a", "b"} {
				if l.file == "cpuset.cpus" && what(l) == "" { // the kernel empties no list of a group with processes
					if got, all := says(t, d.group(name, 1)+"/"+l.file), says(t, d.runs()+"/cpuset.cpus.effective"); got != "" && got != all {
						t.Errorf("%s: %s of %s says %q, want all: %q", when, l.file, name, got, all)
					}
					continue
				}
				if path := d.group(name, 1) + "/" + l.file; kernelKnows(d, l.file) && says(t, path) != what(l) {
					t.Errorf("%s: %s of %s says %q, want %q", when, l.file, name, says(t, path), what(l))
				}
			}
		}
	}
	for _, l := range limitFiles {
		if kernelKnows(d, l.file) && !strings.Contains(first, "/"+l.file+" <==\n"+l.says+"\n") {
			t.Errorf("when it began %s did not say %s:\n%s", l.file, l.says, first)
		}
	}
	check("at the start", func(l limitFile) string { return l.says })
	for _, l := range limitFiles {
		if kernelKnows(d, l.file) {
			d.mustClient("set", "a,b", "-"+l.field, l.other)
		}
	}
	check("changed", func(l limitFile) string { return l.saysOther })
	d.killWorker()
	check("with the next worker", func(l limitFile) string { return l.saysOther })
	for _, l := range limitFiles {
		if kernelKnows(d, l.file) {
			d.mustClient("set", "a,b", "-"+l.field, "")
		}
	}
	check("unset", func(l limitFile) string { return l.none })
	if s := d.status("a"); s.Number != 1 || s.State != process.Running || s.Limits != (process.Limits{}) || len(s.WaitsForRestart) > 0 {
		t.Errorf("%v, run %d, %+v, waits %q", s.State, s.Number, s.Limits, s.WaitsForRestart)
	}
}

// What a host cannot enforce is refused by name, with what mends it: nothing is started,
// nothing is kept, and nothing of it is ignored.
func TestLimitsThatThisHostCannotEnforceAreRefused(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "web", "-command", sleeps)
	pid, none := d.status("web").PID, true
	for _, l := range append(limitFiles, limitFile{field: "io_max", controller: "io", value: "/var/lib rbps=1M"}) {
		if hasController(t, l.controller) {
			continue
		}
		none = false
		file := d.defines("limited.hero", fmt.Sprintf("!!process.define name:limited command:true %s:'%s'\n", l.field, l.value))
		for _, args := range [][]string{
			{"start", "limited", "-command", "true", "-" + l.field, l.value},
			{"define", "limited", "-command", "true", "-" + l.field, l.value},
			{"exec", "-command", "true", "-" + l.field, l.value},
			{"apply", "-f", file},
			{"set", "web", "-" + l.field, l.value},
		} {
			r := d.pmclient(args...)
			text := r.stdout + r.stderr
			if (r.code != 1 && !(args[0] == "exec" && r.code == 125)) || !strings.Contains(text, l.field+": this host cannot enforce it: runs have no "+l.controller+" controller (") {
				t.Errorf("%q: code %d, %s", args, r.code, text)
			}
		}
		spec := process.Spec{Name: "limited", Command: "true"}
		if err := process.FieldNamed(l.field).Set(&spec, l.value); err != nil {
			t.Fatal(err)
		}
		if _, err := d.client().Start(d.context(), spec); !errors.Is(err, process.ErrLimit) || !strings.Contains(err.Error(), "); ") {
			t.Errorf("%s: the code is %s, or nothing mends it: %v", l.field, process.CodeOf(err), err)
		}
	}
	if none {
		t.Skip("groups have all controllers here")
	}
	if all := d.list(); len(all) != 1 || all[0].PID != pid || all[0].Limits != (process.Limits{}) {
		t.Errorf("%d processes, %+v", len(all), all[len(all)-1].Limits)
	}
	if s := d.set("web", "cpu_weight", "", "oom", ""); s.State != process.Running { // what is not there can be unset
		t.Errorf("%+v", s)
	}
	d.end(syscall.SIGTERM)
	for _, l := range limitFiles {
		if l.field != "oom" && !hasController(t, l.controller) {
			if said := d.refuse("-limit", l.field+"="+l.value); !strings.Contains(said, "-limit: "+l.field+": this host cannot enforce it: runs have no "+l.controller+" controller (") {
				t.Errorf("-limit %s: %s", l.field, said)
			}
		}
	}
}

// A definition from a time when the host could still enforce it is kept, and its start says
// why it fails; without the limit it starts.
func TestAStoredLimitThatCannotBeEnforcedFailsTheStart(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	d := newDaemon(t, setup{})
	above := d.cgroup
	if err := os.Mkdir(above, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeGroup(above) })
	setLimit(t, above, "cgroup.subtree_control", "+memory")
	d.cgroup = above + "/root"
	d.launch()
	d.mustClient("define", "web", "-command", sleeps, "-memory_max", "64M")
	d.end(syscall.SIGTERM)
	setLimit(t, above, "cgroup.subtree_control", "-memory")
	d.launch()
	r := d.pmclient("start", "web")
	if want := "memory_max: this host cannot enforce it: runs have no memory controller (not enabled in " + above + "/cgroup.subtree_control)"; r.code != 1 || !strings.Contains(r.stderr, want) {
		t.Errorf("code %d, %q", r.code, r.stderr)
	}
	if s := d.status("web"); s.State != process.Failed || s.MemoryMax != 64*mib {
		t.Errorf("%v, %d", s.State, s.MemoryMax)
	}
	d.set("web", "restart", "on-failure") // that is another matter
	d.set("web", "memory_max", "", "restart", "")
	d.mustClient("start", "web")
	d.stop("web")
	d.end(syscall.SIGTERM) // before the group above goes, with all that is in it
}

// A grandchild that wants more than memory_max ends, and its tree with it where that is asked
// for; the daemon and its other trees are as they were.
func TestMemoryMaxEndsAGrandchild(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	d := startDaemon(t, setup{})
	worker := d.worker()
	d.start(process.Spec{Name: "other", Command: sleeps})
	other := d.status("other").PID
	swap := "-swap_max"
	limits := []string{"-memory_max", "32M"}
	if kernelKnows(d, "memory.swap.max") {
		limits = append(limits, swap, "0")
	}
	greedy := "(sh -c '" + strings.ReplaceAll(quoted(programs.self), "'", `'\''`) + " role touch " + strconv.Itoa(128*mib) + "; echo ended $?'); echo lives; exec sleep 1000"
	d.mustClient(append([]string{"start", "goes-on", "-command", greedy}, limits...)...)
	d.said("goes-on", "lives")
	if log := d.logs("goes-on", 0); !strings.Contains(log, "ended 137") {
		t.Errorf("the grandchild was not ended:\n%s", log)
	}
	if s := d.status("goes-on"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%+v", s)
	}
	d.mustClient(append([]string{"start", "ends", "-command", greedy, "-oom", "kill"}, limits...)...)
	s := d.rest("ends")
	if s.State != process.Failed || s.Cause != process.CauseOOM || s.Run.Signal != process.KILL {
		t.Errorf("%v, %v, %v", s.State, s.Cause, s.Run.Signal)
	}
	if log := d.logs("ends", 0); strings.Contains(log, "ended") || strings.Contains(log, "lives") {
		t.Errorf("a part of the tree went on:\n%s", log)
	}
	d.nobodyLeft("ends", 1)
	if d.worker() != worker || d.status("other").PID != other {
		t.Error("the daemon or another tree was harmed")
	}
}

// What is used above a memory_max that is lowered is ended, and who sets it is answered.
func TestMemoryMaxBelowWhatIsUsed(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	d := startDaemon(t, setup{})
	if !kernelKnows(d, "memory.swap.max") {
		t.Skip("this kernel has no memory.swap.max")
	}
	d.start(process.Spec{Name: "fat", Command: roleCommand("touch", strconv.Itoa(64*mib)), Limits: process.Limits{SwapMax: new(int64)}})
	d.said("fat", "touched")
	if r := d.pmclient("set", "fat", "-memory_max", "16M"); r.code != 0 {
		t.Errorf("code %d, %s", r.code, r.stderr)
	}
	if s := d.rest("fat"); s.Cause != process.CauseOOM || s.MemoryMax != 16*mib {
		t.Errorf("%v, %d", s.Cause, s.MemoryMax)
	}
}

// cpuUsed is the share of a core that a tree uses, over 5 s: by the periods of its limit, where
// it has one. bounded is the share of these in which it was held back: where others take the
// machine, it does not come to its limit.
func cpuUsed(t *testing.T, group string) (used, bounded float64) {
	t.Helper()
	read := func() (s struct{ cpu, periods, throttled float64 }) {
		for line := range strings.Lines(says(t, group+"/cpu.stat")) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			for of, at := range map[string]*float64{"usage_usec": &s.cpu, "nr_periods": &s.periods, "nr_throttled": &s.throttled} {
				var err error
				if name == of {
					if *at, err = strconv.ParseFloat(text, 64); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		return s
	}
	began := time.Now()
	before := read()
	time.Sleep(5 * time.Second) // the figure is one of time
	after := read()
	periods := after.periods - before.periods
	if periods == 0 {
		return (after.cpu - before.cpu) / float64(time.Since(began).Microseconds()), 0
	}
	return (after.cpu - before.cpu) / (periods * 100_000), (after.throttled - before.throttled) / periods
}

func TestCPUMaxHolds(t *testing.T) {
	needController(t, "cpu") // alone on the machine: not parallel
	d := startDaemon(t, setup{})
	d.mustClient("start", "busy", "-command", roleCommand("spin"), "-cpu_max", "20%")
	group := d.group("busy", 1)
	for _, c := range []struct {
		value string
		want  float64
	}{{"20%", 0.2}, {"0.4", 0.4}} {
		d.set("busy", "cpu_max", c.value)
		for try := 1; ; try++ {
			got, bounded := cpuUsed(t, group)
			if got > 1.1*c.want || bounded > 0.95 && got < 0.9*c.want {
				t.Errorf("cpu_max %s: it gets %.3f of a core", c.value, got)
			}
			if bounded > 0.95 {
				break
			}
			if t.Logf("it was held back in %.2f of the periods alone, with %.3f of a core", bounded, got); try == 5 {
				t.Errorf("cpu_max %s: it never came to its limit", c.value)
				break
			}
		}
	}
	d.set("busy", "cpu_max", "")
	if got, bounded := cpuUsed(t, group); got < 0.45 || bounded > 0 {
		t.Errorf("without cpu_max it gets %.3f of a core", got)
	}
	d.stop("busy")
}

// A tree that forks without end has no more processes than it may; the daemon answers, starts
// others, and ends it.
func TestPidsMaxStopsAForkBomb(t *testing.T) {
	needController(t, "pids")
	needController(t, "cpu")
	t.Parallel()
	d := startDaemon(t, setup{})
	worker := d.worker()
	d.mustClient("start", "bomb", "-command", "bomb() { bomb | bomb & sleep 0.1; }; trap '' TERM; while :; do bomb 2>/dev/null; done", "-pids_max", "40", "-cpu_max", "30%", "-stop_timeout", "100ms") // other tests go on beside it
	group := d.group("bomb", 1)
	refused := func() string {
		_, text, _ := strings.Cut(says(t, group+"/pids.events"), "max ")
		return text
	}
	eventually(t, "forks are refused", func() bool { return refused() != "0" })
	if n := readNumber(t, group+"/pids.current"); n > 40 {
		t.Errorf("%d processes", n)
	}
	d.start(process.Spec{Name: "other", Command: sleeps})
	d.stop("other")
	d.stop("bomb")
	d.nobodyLeft("bomb", 1)
	if d.worker() != worker {
		t.Error("the daemon was harmed")
	}
}

// The CPUs of a tree follow cpuset_cpus; those that are not there are refused, for the kernel
// would leave them out.
func TestCPUSetHolds(t *testing.T) {
	needController(t, "cpuset")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.mustClient("start", "web", "-command", sleeps, "-cpuset_cpus", "0")
	pid := d.status("web").PID
	cpus := func() string {
		for line := range strings.Lines(says(t, fmt.Sprintf("/proc/%d/status", pid))) {
			if text, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				return strings.TrimSpace(text)
			}
		}
		return ""
	}
	if got := cpus(); got != "0" {
		t.Errorf("it may run on %s", got)
	}
	d.set("web", "cpuset_cpus", "1")
	if got := cpus(); got != "1" {
		t.Errorf("it may run on %s", got)
	}
	r := d.pmclient("set", "web", "-cpuset_cpus", "0-1,77")
	if r.code != 1 || !strings.Contains(r.stderr, "cpuset_cpus: runs cannot have CPU 77 here: they can have ") {
		t.Errorf("code %d, %q", r.code, r.stderr)
	}
	all := says(t, d.runs()+"/cpuset.cpus.effective")
	d.set("web", "cpuset_cpus", "")
	if got := cpus(); got != all {
		t.Errorf("it may run on %s, not on %s", got, all)
	}
	d.stop("web")
}

// A disk that is named by its device or by a directory is limited as a whole; that changes at
// once, and without the limit it is as fast as it was.
func TestIOMaxHolds(t *testing.T) {
	needController(t, "io")
	t.Parallel()
	dir := diskDir(t)
	d := startDaemon(t, setup{})
	if !kernelKnows(d, "io.max") {
		t.Skip("this kernel has no io.max")
	}
	disk, err := cgroup.DiskOf("/proc", "/sys", dir)
	if err != nil {
		t.Skip(err)
	}
	// rate is how many bytes a second a tree writes, between its second MiB and its 10th.
	rate := func(name string, limit ...string) float64 {
		d.mustClient(append([]string{"start", name, "-command", roleCommand("disk", dir+"/"+name, "12")}, limit...)...)
		after := func(bytes uint64) (written uint64, at time.Time) {
			eventually(t, fmt.Sprintf("%s has written %d bytes", name, bytes), func() bool {
				s := d.status(name)
				if at = time.Now(); s.IOWrite != nil {
					written = *s.IOWrite
				}
				return written >= bytes
			})
			return written, at
		}
		first, began := after(mib)
		last, ended := after(10 * mib)
		if first == last { // it was done at the first look
			return math.Inf(1)
		}
		return float64(last-first) / ended.Sub(began).Seconds()
	}
	slow := rate("slow", "-io_max", dir+" wbps=1M")
	if free := rate("free"); slow > 1.2*mib || slow < 0.5*mib || free < 1.5*slow {
		t.Errorf("at most 1 MiB/s is %.0f bytes/s, and without a limit it is %.0f", slow, free)
	}
	file := d.group("slow", 1) + "/io.max"
	if got, want := says(t, file), disk.String()+" rbps=max wbps=1048576 riops=max wiops=max"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	device, err := filepath.EvalSymlinks("/dev/block/" + disk.String())
	if err != nil { // without udev
		device = d.dir + "/device"
		if err := unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(disk.Major, disk.Minor))); err != nil {
			t.Fatal(err)
		}
	}
	d.set("slow", "io_max", device+" riops=7 rbps=1M")
	if got, want := says(t, file), disk.String()+" rbps=1048576 wbps=max riops=7 wiops=max"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	d.set("slow", "io_max", "")
	if got := says(t, file); got != "" {
		t.Errorf("it says %q", got)
	}
	for value, want := range map[string]string{"/proc rbps=1": "io_max: /proc is on a file system of type proc", d.dir + "/nothing rbps=1": "no such file"} {
		if r := d.pmclient("set", "slow", "-io_max", value); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: code %d, %q", value, r.code, r.stderr)
		}
	}
}

// All trees together use no more than the daemon was told to let them, and without that again
// as much as they like.
func TestLimitOfAllTreesTogether(t *testing.T) {
	needController(t, "memory")
	needController(t, "pids")
	t.Parallel()
	d := newDaemon(t, setup{})
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		t.Fatal(err)
	}
	config := d.state + "/processmanager.conf"
	if err := os.WriteFile(config, []byte("limit = memory_max=64M # together\nlimit = pids_max=500 memory_low=16M\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.launch()
	all := d.runs()
	if says(t, all+"/memory.max") != "67108864" || says(t, all+"/pids.max") != "500" {
		t.Errorf("memory %s, pids %s", says(t, all+"/memory.max"), says(t, all+"/pids.max"))
	}
	for _, group := range []string{all, filepath.Dir(all)} { // else the one above would protect nothing
		if got := says(t, group+"/memory.low"); got != "16777216" {
			t.Errorf("memory.low of %s says %s", group, got)
		}
	}
	if _, err := os.Stat(all + "/memory.swap.max"); err == nil {
		setLimit(t, all, "memory.swap.max", "0")
	}
	d.start(process.Spec{Name: "a", Command: roleCommand("touch", strconv.Itoa(40*mib))})
	d.said("a", "touched")
	d.start(process.Spec{Name: "b", Command: roleCommand("touch", strconv.Itoa(40*mib))})
	eventually(t, "one of them is ended", func() bool {
		return d.status("a").State == process.Failed || d.status("b").State == process.Failed
	})
	// The file is read again by the next worker.
	if err := os.WriteFile(config, []byte("limit = memory_max=96M\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.killWorker()
	eventually(t, "what stands in the file holds", func() bool { return says(t, all+"/memory.max") == "100663296" && says(t, all+"/pids.max") == "max" })
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	d.start(process.Spec{Name: "stays", Command: sleeps})
	d.cmd.Process.Kill()
	d.wait()
	d.hangUp()
	d.launch()
	if now := d.runs(); now != all || says(t, all+"/memory.max") != "max" {
		t.Errorf("memory %s in %s, it was in %s", says(t, now+"/memory.max"), now, all)
	}
	d.end(syscall.SIGTERM)
	d.launch("-limit", "memory_max=128M", "-limit", "cpu_weight=200 pids_max=77")
	together := func() {
		t.Helper()
		if all = d.runs(); says(t, all+"/memory.max") != "134217728" || says(t, all+"/pids.max") != "77" {
			t.Errorf("memory %s, pids %s", says(t, all+"/memory.max"), says(t, all+"/pids.max"))
		}
	}
	together()
	if err := os.Remove(all); err != nil {
		t.Fatal(err)
	}
	d.mustClient("start", "limited", "-command", sleeps, "-memory_max", "32M") // which makes the group again
	together()
	if got := says(t, d.group("limited", 1)+"/memory.max"); got != "33554432" {
		t.Errorf("memory of the run: %s", got)
	}
}
