package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The benchmarks stand beside the least that the kernel could be asked to do for
// the same thing, in one run, so that the ratio holds on any machine:
//
//	make bench
//
// They fail where a promise about cost does not hold. That takes a quiet machine.

// promised fails where a figure is above what was promised.
func promised(b *testing.B, what string, got, limit float64) {
	b.Helper()
	if got > limit {
		b.Errorf("%s: %.3g, the promise is at most %.3g", what, got, limit)
	}
}

// beside is promised of a sub-benchmark whose bare one took so long a turn. One turn,
// with which it begins, says too little; without the bare one (-bench) there is nothing.
func beside(b *testing.B, bare float64, what string, got func(turn float64) float64, limit float64) {
	b.Helper()
	if b.N > 1 && bare > 0 {
		promised(b, what, got(perOp(b)), limit)
	}
}

// perOp is the time of one turn until now.
func perOp(b *testing.B) float64 { return float64(b.Elapsed()) / float64(b.N) }

// bareGroup is a directory for bare loops, and a file for their syncs.
func bareGroup(b *testing.B) (group string, file *os.File) {
	group = newGroup(b)
	if err := os.Mkdir(group, 0o755); err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "sync"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		file.Close()
		removeGroup(group)
	})
	return group, file
}

// bareStart is what a start cannot do without: one sync, a group, a clone into it.
func bareStart(b *testing.B, group string, file *os.File, command string) *exec.Cmd {
	var page [4096]byte
	if _, err := file.WriteAt(page[:], 0); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(file.Fd())); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		b.Fatal(err)
	}
	dir, err := os.Open(group)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	c := exec.Command("/bin/sh", "-c", command)
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkStart is a request on the socket, the definition stored, the process
// running and, as nobody waits for it, its end as well: over one connection and
// over eight. The bare loop starts, waits and removes the group.
func BenchmarkStart(b *testing.B) {
	const command = ":"
	var bare float64
	b.Run("bare", func(b *testing.B) {
		group, file := bareGroup(b)
		for i := 0; b.Loop(); i++ {
			one := fmt.Sprintf("%s/%d", group, i)
			c := bareStart(b, one, file, command)
			c.Wait()
			if err := unix.Rmdir(one); err != nil {
				b.Fatal(err)
			}
		}
		bare = perOp(b)
	})
	for _, connections := range []int{1, 8} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			d := startDaemon(b, setup{})
			clients := make([]*client.Client, connections)
			for i := range clients {
				clients[i] = d.dial(b)
			}
			b.ResetTimer()
			var all sync.WaitGroup
			for k, pm := range clients {
				all.Go(func() {
					for i := k; i < b.N; i += connections {
						if _, err := pm.Start(b.Context(), process.Spec{Name: fmt.Sprintf("p%d", i), Command: command}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			beside(b, bare, "a start, in bare ones", func(turn float64) float64 { return turn / bare }, 2)
		})
	}
}

// BenchmarkKill ends a tree of 1,000: bare is a write to cgroup.kill and a wait for
// an empty group; the others are a stop over the socket, with the result stored
// and the group removed.
func BenchmarkKill(b *testing.B) {
	const size = 1000
	command := fmt.Sprintf("i=1; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; wait", size)
	full := func(group string) func() bool {
		return func() bool { return len(pidsIn(group)) >= size }
	}
	var bare float64
	b.Run("bare", func(b *testing.B) {
		group, file := bareGroup(b)
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			one := fmt.Sprintf("%s/%d", group, i)
			c := bareStart(b, one, file, command)
			eventually(b, "a tree of 1,000", full(one))
			events, err := os.Open(one + "/cgroup.events")
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if err := os.WriteFile(one+"/cgroup.kill", []byte("1"), 0); err != nil {
				b.Fatal(err)
			}
			awaitEmpty(b, events)
			b.StopTimer()
			c.Wait()
			events.Close()
			removeGroup(one)
			b.StartTimer()
		}
		bare = perOp(b)
	})
	for _, signal := range []process.Signal{process.KILL, process.TERM} {
		b.Run("stop="+signal.String(), func(b *testing.B) {
			d := startDaemon(b, setup{})
			pm := d.dial(b)
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				name := fmt.Sprintf("tree%d", i)
				d.start(process.Spec{Name: name, Command: command, Ending: process.Ending{StopSignal: signal}})
				eventually(b, "a tree of 1,000", full(d.group(name, 1)))
				b.StartTimer()
				if _, err := pm.Stop(b.Context(), name); err != nil {
					b.Fatal(err)
				}
			}
			beside(b, bare, "a stop, in bare kills", func(turn float64) float64 { return turn / bare }, 2)
		})
	}
}

// awaitEmpty waits until cgroup.events says populated 0.
func awaitEmpty(b *testing.B, events *os.File) {
	var buf [64]byte
	for {
		n, err := events.ReadAt(buf[:], 0)
		if n == 0 {
			b.Fatal(err)
		}
		if bytes.Contains(buf[:n], []byte("populated 0")) {
			return
		}
		unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, 1000)
	}
}

// BenchmarkGrowth is what it costs as the number of idle processes grows: a start,
// a status, a list, and the daemon itself (keeper and worker): its memory (PSS) per
// process and in all, and its CPU while nobody asks for anything.
func BenchmarkGrowth(b *testing.B) {
	at := map[int]map[string]float64{} // by size and figure
	for _, size := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("processes=%d", size), func(b *testing.B) {
			d := startDaemon(b, setup{})
			empty := d.pss(b)
			var mu sync.Mutex
			began, started := time.Now(), 0
			var all sync.WaitGroup
			for range 4 {
				pm := d.dial(b)
				all.Go(func() {
					for {
						mu.Lock()
						i := started
						started++
						mu.Unlock()
						if i >= size {
							return
						}
						if _, err := pm.Start(b.Context(), process.Spec{Name: fmt.Sprintf("p%d", i), Command: "exec sleep 100000"}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			startTime := time.Since(began)
			pm := d.dial(b)
			awaitQuiet(b, d)
			status := medianCall(b, 101, func(ctx context.Context, i int) error {
				_, err := pm.Status(ctx, fmt.Sprintf("p%d", i*7919%size))
				return err
			})
			list := d.listTime(b)
			time.Sleep(3 * time.Second) // what that took is given back after two
			awaitQuiet(b, d)
			idle, full := d.idlePercent(b, 5*time.Second), d.pss(b)
			figures := map[string]float64{
				"start-µs":   float64(startTime.Microseconds()) / float64(size),
				"status-µs":  status,
				"list-µs":    list,
				"daemon-MB":  full / 1024,
				"KB/process": (full - empty) / float64(size),
				"idle-%core": idle,
			}
			for unit, figure := range figures {
				b.ReportMetric(figure, unit)
			}
			b.ReportMetric(0, "ns/op") // the figures are the others; one pass takes seconds, so there is one
			at[size] = figures
		})
	}
	small, large := at[1000], at[10_000]
	if small == nil || large == nil {
		return // -bench has left them out
	}
	promised(b, "MB with 1,000 processes", small["daemon-MB"], 40)
	promised(b, "percent of a core with 1,000 processes", small["idle-%core"], 0.2)
	promised(b, "ms for a list of 1,000", small["list-µs"]/1000, 30)
	promised(b, "MB with 10,000 processes", large["daemon-MB"], 200)
	promised(b, "percent of a core with 10,000 processes", large["idle-%core"], 1)
	promised(b, "ms for a list of 10,000", large["list-µs"]/1000, 300)
	const noise = 1.5
	for _, each := range []string{"start-µs", "KB/process"} {
		promised(b, each+" with 10,000 processes, in those with 1,000", large[each]/small[each], noise)
	}
	// The first status of each: the kernel looks for a group among all sisters that
	// have run since theirs was read.
	for _, each := range []string{"status-µs", "list-µs"} {
		promised(b, each+" with 10,000 processes, in those with 1,000", large[each]/small[each], 10*noise)
	}
}

// medianCall is the median time of a call in µs.
func medianCall(b *testing.B, times int, call func(context.Context, int) error) float64 {
	var all []float64
	for i := range times {
		t := time.Now()
		if err := call(b.Context(), i); err != nil {
			b.Fatal(err)
		}
		all = append(all, float64(time.Since(t).Nanoseconds())/1000)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// listTime is the median time in µs of a list as it stands on the wire, JSON, to
// its last byte.
func (d *daemon) listTime(b *testing.B) float64 {
	w := d.session(b)
	var answer string
	took := medianCall(b, 11, func(context.Context, int) error {
		answer = w.ask("!!process.list format:json")
		return nil
	})
	if !json.Valid([]byte(answer)) {
		b.Fatalf("not JSON: %.100s", answer)
	}
	return took
}

// pss is the memory of keeper and worker in KiB.
func (d *daemon) pss(b *testing.B) (kib float64) {
	for _, pid := range []int{d.keeper(), d.worker()} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "\nPss:")
		n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if err != nil {
			b.Fatal(err)
		}
		kib += n
	}
	return kib
}

// cpuTicks is the CPU time of keeper and worker in clock ticks of 10 ms.
func (d *daemon) cpuTicks(b *testing.B) (ticks int) {
	for _, pid := range []int{d.keeper(), d.worker()} {
		ticks += cpuTicksOf(b, pid)
	}
	return ticks
}

// idlePercent is the CPU that the daemon uses of one core while nobody asks.
func (d *daemon) idlePercent(b *testing.B, window time.Duration) float64 {
	before := d.cpuTicks(b)
	time.Sleep(window)
	return float64(d.cpuTicks(b)-before) / window.Seconds() // ticks a second are percent
}

// awaitQuiet waits until the daemon has done what starting has left it to do.
func awaitQuiet(b *testing.B, d *daemon) {
	for before := -1; before != d.cpuTicks(b); {
		before = d.cpuTicks(b)
		time.Sleep(500 * time.Millisecond)
	}
}

// BenchmarkClient is pmclient as a whole process, beside /bin/true and a program in Go
// that prints one line: where a page fault is dear, that alone is more than 3 ms.
func BenchmarkClient(b *testing.B) {
	d := startDaemon(b, setup{})
	d.start(process.Spec{Name: "p", Command: "exec sleep 1000"})
	least := filepath.Join(b.TempDir(), "print")
	build := exec.Command("go", "build", "-o", least, "testdata/print.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	run := func(b *testing.B, command ...string) {
		for b.Loop() {
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	}
	var bare, print float64
	b.Run("true", func(b *testing.B) {
		run(b, "/bin/true")
		bare = perOp(b)
	})
	b.Run("print", func(b *testing.B) {
		run(b, least)
		print = perOp(b)
	})
	b.Run("status", func(b *testing.B) {
		run(b, programs.client, "-socket", d.socket, "-secret", theSecret, "status", "p")
		limit := max(3, 3*(print-bare)/1e6)
		beside(b, bare, "ms more than /bin/true", func(turn float64) float64 { return (turn - bare) / 1e6 }, limit)
	})
}

// BenchmarkApply is pmclient apply as a whole process: a folder of 1,000 definitions that
// all run, of which one is changed each time.
func BenchmarkApply(b *testing.B) {
	d := startDaemon(b, setup{})
	folder := d.thousand(1)
	d.mustClient("apply", "-f", folder)
	awaitQuiet(b, d)
	n := 1
	for b.Loop() {
		b.StopTimer()
		n++
		d.thousand(n)
		b.StartTimer()
		if out := d.mustClient("apply", "-f", folder); out != "NAME  WHAT     WHY\nn007  changed  deadline\n1 changed, 999 unchanged\n" {
			b.Fatal(out)
		}
	}
	if b.N > 1 {
		promised(b, "ms for 1,000 definitions, one changed", perOp(b)/1e6, 300)
	}
}
