package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// namesVictims reports whether the kernel's log can be read here, and has our pids in it.
func namesVictims(t *testing.T) bool {
	t.Helper()
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.Read(fd, make([]byte, 8192))
	var pids, groups unix.Stat_t
	return err == nil && unix.Stat("/proc/self/ns/pid", &pids) == nil && pids.Ino == 0xEFFFFFFC &&
		unix.Stat("/proc/self/ns/cgroup", &groups) == nil && groups.Ino == 0xEFFFFFFB
}

// greedy is a command that touches so much memory, and calls itself so.
func greedy(bytes int, name string) string {
	return quoted(programs.self) + " role greedy " + strconv.Itoa(bytes) + " " + quoted(name)
}

func init() { roles["greedy"] = beGreedy }

// beGreedy says its pid and touches memory piece by piece: no single piece is too much for the
// machine to promise.
func beGreedy(args []string) {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile("/proc/self/comm", []byte(args[1]), 0); err != nil {
		panic(err)
	}
	fmt.Printf("victim %d\n", os.Getpid())
	for ; size > 0; size -= mib {
		piece, err := unix.Mmap(-1, 0, mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			panic(err)
		}
		for at := 0; at < len(piece); at += os.Getpagesize() {
			piece[at] = 1
		}
	}
	fmt.Println("sated")
	time.Sleep(time.Hour)
}

// victims are the pids that greedy ones of a process have said.
func (d *daemon) victims(name string) (pids []int) {
	d.t.Helper()
	for line := range strings.Lines(d.logs(name, 1000)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "victim "); ok {
			pid, err := strconv.Atoi(text)
			if err != nil {
				d.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// isOOM fails the test unless this is told of kills.
func isOOM(t *testing.T, what string, got *process.OOM, kills uint64, limit process.OOMLimit, bytes uint64, victims ...process.Victim) {
	t.Helper()
	switch {
	case got == nil:
		t.Errorf("%s: nothing is told", what)
	case got.Kills != kills, got.Limit != limit, got.MaxBytes != bytes:
		t.Errorf("%s: %+v, want %d kills, limit %s of %d", what, got, kills, limit, bytes)
	case len(victims) > 0 && namesVictims(t) && !slices.Equal(got.Victims, victims):
		t.Errorf("%s: victims %v, want %v", what, got.Victims, victims)
	}
}

// described is when tests ended that have caused kills, for each kill. The kernel's log describes
// 10 in 5 s at most, so these tests do not run side by side.
var described []time.Time

// describes waits until the log has room for so many kills, which the test causes.
func describes(t *testing.T, kills int) {
	const most, within = 10, 5 * time.Second
	for {
		now := time.Now()
		described = slices.DeleteFunc(described, func(at time.Time) bool { return now.Sub(at) > within })
		if len(described)+kills <= most {
			break
		}
		time.Sleep(described[0].Add(within).Sub(now))
	}
	t.Cleanup(func() { described = append(described, slices.Repeat([]time.Time{time.Now()}, kills)...) })
}

const smallLimit = 32 * mib

var noSwap = new(int64)

func TestOutOfMemoryNamesTheVictimAndWhoseLimitItWas(t *testing.T) {
	needController(t, "memory")
	describes(t, 4)
	d := startDaemon(t, setup{})
	own := process.Limits{MemoryMax: smallLimit, SwapMax: noSwap}
	killed := own
	killed.OOMKill = true
	const name = "a,pid=1,uid=0"
	// A grandchild, which the leader outlives, and then is stopped.
	d.start(process.Spec{Name: "child", Command: "( " + greedy(4*smallLimit, name) + " ); while :; do sleep 1; done", Limits: own})
	// The leader itself.
	d.start(process.Spec{Name: "leader", Command: "exec " + greedy(4*smallLimit, "leader"), Limits: own})
	// The leader sees the kill and ends itself with the same signal at once: it was not meant.
	d.start(process.Spec{Name: "moved", Command: greedy(4*smallLimit, "child") + "\nkill -KILL $$", Limits: own})
	// All of a tree, though the leader was not chosen.
	d.start(process.Spec{Name: "tree", Command: "sleep 1000 & " + greedy(4*smallLimit, "chosen") + "; exit 0", Limits: killed})

	s := d.await("child", "a kill", func(s process.Status) bool { return s.OOM != nil })
	isOOM(t, "child", s.OOM, 1, process.OOMRun, smallLimit, process.Victim{PID: d.victims("child")[0], Name: name})
	if s.State != process.Running {
		t.Errorf("child: %v", s.State)
	}
	if s = d.stop("child"); s.Cause != process.CauseStop || s.OOM == nil || s.OOM.Kills != 1 {
		t.Errorf("child, after its end: %v %+v", s.Cause, s.OOM)
	}

	s = d.rest("leader")
	isOOM(t, "leader", s.OOM, 1, process.OOMRun, smallLimit, process.Victim{PID: d.victims("leader")[0], Name: "leader"})
	if want := "killed for lack of memory: its own memory_max of 32M"; s.Cause != process.CauseOOM || s.Error != want {
		t.Errorf("leader: cause %v, error %q, want %q", s.Cause, s.Error, want)
	}

	s = d.rest("moved")
	isOOM(t, "moved", s.OOM, 1, process.OOMRun, smallLimit, process.Victim{PID: d.victims("moved")[0], Name: "child"})
	if want := process.CauseSignal; namesVictims(t) && s.Cause != want {
		t.Errorf("moved: cause %v, want %v (%s)", s.Cause, want, s.Error)
	}

	s = d.rest("tree")
	if s.Cause != process.CauseOOM || s.OOM == nil || !s.OOM.Tree || s.OOM.Limit != process.OOMRun || s.OOM.Kills < 3 {
		t.Errorf("tree: cause %v, %+v", s.Cause, s.OOM)
	} else if victim := (process.Victim{PID: d.victims("tree")[0], Name: "chosen"}); namesVictims(t) && (!slices.Contains(s.OOM.Victims, victim) || len(s.OOM.Victims) < 3) {
		t.Errorf("tree: victims %v, want %v in it", s.OOM.Victims, victim)
	}
	if want := "killed for lack of memory with all its processes: its own memory_max of 32M"; s.Error != want {
		t.Errorf("tree: error %q, want %q", s.Error, want)
	}

	// It is kept with the run, and told once.
	for name, kills := range map[string]uint64{"child": 1, "leader": 1, "moved": 1, "tree": s.OOM.Kills} {
		records, err := d.runsOf(process.RunQuery{Name: process.Selection{name}})
		if err != nil || len(records) != 1 || records[0].OOM == nil || records[0].OOM.Kills != kills {
			t.Errorf("%s: %v %+v", name, err, records)
		}
		var told uint64
		for _, e := range d.events(process.EventQuery{Name: process.Selection{name}}) {
			if e.Kind == process.EventOOM {
				told += e.Times
			}
		}
		if told != kills {
			t.Errorf("%s: %d kills are told of, want %d", name, told, kills)
		}
	}
}

// What the kernel did while there was no worker, or no daemon at all, is told by the next.
func TestOutOfMemoryIsToldByTheNextWorkerAndDaemon(t *testing.T) {
	needController(t, "memory")
	describes(t, 2)
	d := startDaemon(t, setup{})
	limits := process.Limits{MemoryMax: smallLimit, SwapMax: noSwap}
	for _, name := range []string{"before", "between"} {
		wait := ""
		if name == "between" {
			wait = "until [ -e go ]; do sleep 0.05; done\n"
		}
		d.start(process.Spec{Name: name, Command: wait + greedy(4*smallLimit, "first") + "\necho past\nwhile :; do sleep 1; done", Limits: limits})
	}
	s := d.await("before", "a kill", func(s process.Status) bool { return s.OOM != nil })
	first := process.Victim{PID: d.victims("before")[0], Name: "first"}
	isOOM(t, "before", s.OOM, 1, process.OOMRun, smallLimit, first)

	syscall.Kill(d.worker(), syscall.SIGSTOP) // the next one is to find it
	keeper, worker := d.keeper(), d.worker()
	if err := os.WriteFile(d.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	events := d.group("between", 1) + "/memory.events"
	eventually(t, "a kill that nobody sees", func() bool {
		data, err := os.ReadFile(events)
		return err == nil && strings.Contains(string(data), "oom_kill 1\n")
	})
	syscall.Kill(worker, syscall.SIGKILL)
	s = d.await("between", "a kill while no worker was there", func(s process.Status) bool { return s.OOM != nil })
	isOOM(t, "between", s.OOM, 1, process.OOMRun, smallLimit, process.Victim{PID: d.victims("between")[0], Name: "first"})
	isOOM(t, "before, next worker", d.status("before").OOM, 1, process.OOMRun, smallLimit, first)

	// Keeper and worker die. The end, too, comes while nobody is there.
	syscall.Kill(d.worker(), syscall.SIGSTOP)
	worker = d.worker()
	syscall.Kill(keeper, syscall.SIGKILL)
	syscall.Kill(worker, syscall.SIGKILL)
	d.wait()
	leader := s.PID
	syscall.Kill(leader, syscall.SIGKILL)
	d.launch()
	isOOM(t, "before, next daemon", d.status("before").OOM, 1, process.OOMRun, smallLimit, first)
	s = d.rest("between")
	if s.Cause == process.CauseOOM || s.OOM == nil || s.OOM.Kills != 1 {
		t.Errorf("between: cause %v, %+v", s.Cause, s.OOM)
	}
	for _, name := range []string{"before", "between"} {
		n := 0
		for _, e := range d.events(process.EventQuery{Name: process.Selection{name}}) {
			if e.Kind == process.EventOOM {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: it was told of %d times", name, n)
		}
	}
	d.stop("before")
}

// withoutLog is a daemon that finds no kernel's log.
var withoutLog = setup{Private: true, Wrap: []string{"/bin/sh", "-ec", `mount --make-rprivate / && mount --bind /dev/null /dev/kmsg; exec "$0" "$@"`}}

// Without the log counters say whose limit it was, and no victim is named.
func TestOutOfMemoryByALimitAboveIsNotTheRunsOwn(t *testing.T) {
	needController(t, "memory")
	for how, of := range map[string]setup{"log": {}, "counters": withoutLog} {
		for limit, error := range map[process.OOMLimit]string{
			process.OOMRun:   "killed for lack of memory: its own memory_max of 64M",
			process.OOMAll:   "killed for lack of memory: memory_max of all processes together, 64M",
			process.OOMAbove: "killed for lack of memory: the limit of a group above the daemon's",
		} {
			t.Run(how+" "+string(limit), func(t *testing.T) {
				describes(t, 1)
				d := startDaemon(t, of)
				group, bytes := "", uint64(2*smallLimit)
				switch limit {
				case process.OOMRun:
					group = d.group("web", 1)
				case process.OOMAll:
					group = d.runs()
				case process.OOMAbove:
					group, bytes = d.cgroup, 0
				}
				// Whoever has the most is chosen, and the daemon may be one of them.
				d.start(process.Spec{Name: "web", Command: "until [ -e go ]; do sleep 0.05; done; echo 1000 >/proc/self/oom_score_adj; exec " + greedy(8*smallLimit, "web")})
				setLimit(t, group, "memory.max", strconv.Itoa(2*smallLimit))
				if _, err := os.Stat(group + "/memory.swap.max"); err == nil {
					setLimit(t, group, "memory.swap.max", "0")
				}
				if err := os.WriteFile(d.dir+"/go", nil, 0o600); err != nil {
					t.Fatal(err)
				}
				s := d.rest("web")
				isOOM(t, how, s.OOM, 1, limit, bytes)
				if s.Cause != process.CauseOOM || s.Error != error {
					t.Errorf("cause %v, error %q, want %q", s.Cause, s.Error, error)
				}
				var want []process.Victim
				if how == "log" && namesVictims(t) {
					want = []process.Victim{{PID: d.victims("web")[0], Name: "web"}}
				}
				if s.OOM != nil && !slices.Equal(s.OOM.Victims, want) {
					t.Errorf("victims %v, want %v", s.OOM.Victims, want)
				}
			})
		}
	}
}

// It is the last of its file, for it takes all the memory that a guest has.
func TestOutOfMemoryOfTheMachineIsNobodysLimit(t *testing.T) {
	needController(t, "memory")
	if os.Getenv("GUEST") == "" {
		t.Skip("this takes all the memory of the machine: in a guest alone")
	}
	describes(t, 1)
	d := startDaemon(t, setup{})
	s := d.finished("web", "echo 1000 >/proc/self/oom_score_adj; exec "+greedy(64<<30, "web"))
	isOOM(t, "web", s.OOM, 1, process.OOMMachine, 0, process.Victim{PID: d.victims("web")[0], Name: "web"})
	if want := "killed for lack of memory: the machine had no more"; s.Cause != process.CauseOOM || s.Error != want {
		t.Errorf("cause %v, error %q, want %q", s.Cause, s.Error, want)
	}
}
