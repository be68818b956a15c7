package integration

import (
	"os"
	"strconv"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// limited are the events that tell that a process has met a limit.
func (d *daemon) limited(name string, limit process.LimitName) (all []process.Event) {
	d.t.Helper()
	for _, e := range d.events(process.EventQuery{Name: process.Selection{name}}) {
		if e.Kind == process.EventLimited && e.Limit == limit {
			all = append(all, e)
		}
	}
	return all
}

// once waits until it is told that a process has met a limit, and fails the test if that is
// told more than once: within a minute it is not.
func (d *daemon) once(name string, limit process.LimitName) (e process.Event) {
	d.t.Helper()
	eventually(d.t, name+" has met "+string(limit), func() bool { return len(d.limited(name, limit)) > 0 })
	all := d.limited(name, limit)
	if e = all[0]; len(all) != 1 || e.Run != 1 || e.Times == 0 || e.PID == 0 {
		d.t.Errorf("%s: %+v", name, all)
	}
	return e
}

func TestForksThatAreRefusedAreTold(t *testing.T) {
	needController(t, "pids")
	t.Parallel()
	d := startDaemon(t, setup{})
	const refused = "for i in 1 2 3; do ( : ) ; ( true | true ); done 2>/dev/null"
	d.start(process.Spec{Name: "web", Command: "until [ -e go ]; do sleep 0.1; done\n( " + refused + " )\n( " + refused + " )\nexec sleep 1000", Limits: process.Limits{PidsMax: 2}})
	if s := d.status("web"); s.PidsRefused == nil || *s.PidsRefused != 0 {
		t.Errorf("before: %v", s.PidsRefused)
	}
	if err := os.WriteFile(d.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := d.once("web", process.LimitPids)
	s := d.await("web", "all of them", func(s process.Status) bool { return s.PidsRefused != nil && *s.PidsRefused >= 2 })
	if e.Times > *s.PidsRefused {
		t.Errorf("%d are told of, %d are counted", e.Times, *s.PidsRefused)
	}
	// The next worker does not tell it once more.
	d.killWorker()
	d.once("web", process.LimitPids)
	d.stop("web")
}

func TestMemoryTakenAboveMemoryHighIsTold(t *testing.T) {
	needController(t, "memory")
	t.Parallel()
	d := startDaemon(t, setup{})
	dir := diskDir(t)
	// Cache of a file is given back at once, and slows nobody for long.
	d.start(process.Spec{Name: "web", Command: "dd if=/dev/zero of=" + dir + "/data bs=1M count=48 2>/dev/null; exec sleep 1000", Limits: process.Limits{MemoryHigh: 16 * mib}})
	e := d.once("web", process.LimitMemoryHigh)
	if s := d.status("web"); s.MemoryHighEvents == nil || *s.MemoryHighEvents < e.Times {
		t.Errorf("%d are told of, counted are %v", e.Times, show(s.MemoryHighEvents))
	}
	d.stop("web")
}

func TestTimeThatATreeWaitsForIsTold(t *testing.T) {
	needController(t, "cpu")
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000", Limits: process.Limits{CPUMax: 400_000}}) // its own start takes some
	d.start(process.Spec{Name: "web", Command: "while :; do :; done", Limits: process.Limits{CPUMax: 10_000}})
	e := d.once("web", process.LimitCPU)
	s := d.status("web")
	// The kernel counts a wait when it begins, and its time when it is over.
	if s.CPUThrottled == nil || e.Times == 0 || e.Times > 1 && e.Waited <= 0 || int64(e.Waited*1e6) > *s.CPUThrottled || e.Times > *s.CPUThrottledPeriods {
		t.Errorf("%d times, %v s are told of, counted are %v, %v µs", e.Times, e.Waited, show(s.CPUThrottledPeriods), show(s.CPUThrottled))
	}
	d.stop("web")
	if all := d.limited("idle", process.LimitCPU); len(all) > 0 {
		t.Errorf("of one that does nothing: %+v", all)
	}
}

func TestWritesThatAreSlowedAreTold(t *testing.T) {
	needController(t, "io")
	t.Parallel()
	dir := diskDir(t)
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: roleCommand("disk", dir+"/data", strconv.Itoa(40)), Limits: process.Limits{IOMax: dir + " wbps=1M"}})
	e := d.once("web", process.LimitIO)
	s := d.status("web")
	if s.Pressure == nil || s.Pressure.IO == nil || e.Waited < 1 || int64(e.Waited*1e6) > s.Pressure.IO.Some.Total {
		t.Errorf("%v s are told of; counted: %+v", e.Waited, s.Pressure)
	}
	d.stop("web")
}
