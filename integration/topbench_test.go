package integration

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkTop is what a look at 1,000 idle processes costs: the CPU of the daemon and of
// pmclient, in percent of a core, while somebody looks and when nobody does any more.
func BenchmarkTop(b *testing.B) {
	const size, window = 1000, 20 * time.Second
	d := startDaemon(b, setup{})
	pm := d.dial(b)
	for i := range size {
		if _, err := pm.Start(b.Context(), process.Spec{Name: fmt.Sprintf("p%03d", i), Command: "exec sleep 100000"}); err != nil {
			b.Fatal(err)
		}
	}
	awaitQuiet(b, d)
	p := d.top(b)
	p.showsText("1000 processes: 1000 running")
	time.Sleep(2 * time.Second) // the first look is at all
	client, sent := cpuTicksOf(b, p.cmd.Process.Pid), p.screen.len()
	daemon := d.idlePercent(b, window)
	looking := float64(cpuTicksOf(b, p.cmd.Process.Pid)-client) / window.Seconds()
	bytes := float64(p.screen.len()-sent) / window.Seconds()
	p.quits()
	awaitQuiet(b, d)
	alone := d.idlePercent(b, window/2)
	b.ReportMetric(daemon, "daemon-%core")
	b.ReportMetric(looking, "pmclient-%core")
	b.ReportMetric(bytes, "screen-B/s")
	b.ReportMetric(alone, "unseen-%core")
	b.ReportMetric(0, "ns/op")
	promised(b, "percent of a core for a look at 1,000 processes", daemon+looking, 5)
	promised(b, "percent of a core when nobody looks any more", alone, 0.2)
	promised(b, "bytes a second to the screen", bytes, 1000) // uptimes of less than a minute
}

// cpuTicksOf is the CPU time of a process in clock ticks of 10 ms.
func cpuTicksOf(b *testing.B, pid int) (ticks int) {
	b.Helper()
	for _, field := range procStat(pid)[11:13] { // utime and stime, counted from the state
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks
}
