package systemd

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/integration/host"
)

// The same is done by systemd-run and by pmclient, turn by turn in one guest, so that the
// ratio holds wherever the guest runs:
//
//	make bench-systemd
//
// Both are a client that is started, asks, and waits for the answer; both keep no output.

// side is one of the two: systemd, then ours.
type side struct {
	start func(b *testing.B, name, command string)
	stop  func(b *testing.B, name string)
}

var sides = []side{
	{
		func(b *testing.B, name, command string) {
			host.Root.Do(b, "systemd-run", "--quiet", "--collect", "--unit="+name, "-p", "StandardOutput=null", "/bin/sh", "-c", command)
		},
		func(b *testing.B, name string) { host.Root.Do(b, "systemctl", "stop", name) },
	},
	{
		func(b *testing.B, name, command string) { pm(b, "start", name, "-command", command) },
		func(b *testing.B, name string) { pm(b, "stop", name) },
	},
}

const (
	sleeps = "exec sleep 100000"

	// hundred is a tree of a hundred, and one that has started them.
	hundred = "i=0; while [ $i -lt 100 ]; do sleep 100000 & i=$((i+1)); done; touch /run/%s.up; wait"
)

// took is how long f takes, in milliseconds.
func took(f func()) float64 {
	begin := time.Now()
	f()
	return float64(time.Since(begin).Microseconds()) / 1000
}

// compare reports the figures of both sides and ours as a multiple of systemd's.
func compare(b *testing.B, unit string, theirs, ours float64) {
	b.ReportMetric(0, "ns/op") // a turn is both of them
	b.ReportMetric(theirs, "systemd-"+unit)
	b.ReportMetric(ours, "ours-"+unit)
	b.ReportMetric(ours/theirs, "ratio")
}

func BenchmarkStart(b *testing.B) {
	serve(b)
	var total [2]float64
	for turn := 0; b.Loop(); turn++ {
		for i, s := range sides {
			total[i] += took(func() { s.start(b, fmt.Sprintf("bench-%d", turn), sleeps) })
		}
	}
	compare(b, "ms", total[0]/float64(b.N), total[1]/float64(b.N))
	host.Root.Do(b, "systemctl", "stop", "bench-*")
}

func BenchmarkStopOfATreeOfAHundred(b *testing.B) {
	serve(b)
	var total [2]float64
	for turn := 0; b.Loop(); turn++ {
		for i, s := range sides {
			name := fmt.Sprintf("tree-%d-%d", i, turn)
			s.start(b, name, fmt.Sprintf(hundred, name))
			host.Eventually(b, "the tree is there", func() bool { return host.Exists("/run/" + name + ".up") })
			total[i] += took(func() { s.stop(b, name) })
		}
	}
	compare(b, "ms", total[0]/float64(b.N), total[1]/float64(b.N))
}

// Memory of whoever looks after processes while there are a hundred more of each side with
// every turn. systemd's is that of all it does; how it grows cannot be seen, because it has
// freed more than that since it booted the machine.
func BenchmarkMemory(b *testing.B) {
	serve(b)
	turns := 0
	for ; b.Loop(); turns++ {
		for _, s := range sides {
			for n := range 100 {
				s.start(b, fmt.Sprintf("many-%d-%d", turns, n), sleeps)
			}
		}
	}
	compare(b, "MiB", pss(b, 1)/1024, pss(b, ofSystem.keeper(b), worker(b), find("-hold"))/1024)
	b.ReportMetric(float64(100*turns), "processes")
	host.Root.Do(b, "systemctl", "stop", "many-*")
}

// pss is the memory of processes in KiB that no file holds, with their part of what they share.
func pss(b *testing.B, pids ...int) (sum float64) {
	b.Helper()
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			words := bytes.Fields(line)
			if len(words) == 3 && string(words[0]) == "Pss_Anon:" {
				n, err := strconv.ParseFloat(string(words[1]), 64)
				if err != nil {
					b.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}
