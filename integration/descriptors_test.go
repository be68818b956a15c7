package integration

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// withLimit starts a daemon that may open n files, and cannot raise that.
func withLimit(n int) []string {
	return []string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, n)}
}

// startMany starts n processes of the same definition: x0, x1 …
func (d *daemon) startMany(n int, spec process.Spec) {
	d.t.Helper()
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			pm := d.dial(d.t)
			for i := w; i < n; i += 4 {
				spec := spec
				spec.Name = fmt.Sprint("x", i)
				if _, err := pm.Start(d.context(), spec); err != nil {
					d.t.Errorf("start %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
}

// pids are those of all processes, which must run for the first time.
func (d *daemon) pids() map[string]int {
	d.t.Helper()
	pids := map[string]int{}
	for _, s := range d.list() {
		if s.State != process.Running || s.Number != 1 || s.PID == 0 {
			d.t.Errorf("%+v", s)
		}
		pids[s.Name] = s.PID
	}
	return pids
}

// A daemon that cannot look after all runs that are alive says so at once, and which
// limit it is. The runs are not touched, and the next daemon has them all.
func TestMoreRunsThanDescriptorsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ runs, limit int }{{300, 256}, {220, 256}, {60, 64}} {
		t.Run(fmt.Sprintf("%d runs with %d descriptors", c.runs, c.limit), func(t *testing.T) {
			d := startDaemon(t, setup{})
			d.startMany(c.runs, process.Spec{Command: "exec sleep 1000"})
			before := d.pids()
			for _, signal := range []unix.Signal{unix.SIGKILL, 0} { // 0: after a start that was refused
				if signal != 0 {
					d.crash()
				}
				d.setup.Wrap = withLimit(c.limit)
				begin := time.Now()
				said := d.refuse()
				if took := time.Since(begin); took > 2*time.Second*time.Duration(slowdown()) {
					t.Errorf("it took %v", took)
				}
				for _, want := range []string{fmt.Sprint(c.runs, " runs"), fmt.Sprint("limit of ", c.limit), "ulimit -n"} {
					if !strings.Contains(said, want) {
						t.Errorf("it says %q, without %q", said, want)
					}
				}
			}
			d.setup.Wrap = nil
			d.launch()
			for name, pid := range d.pids() {
				if before[name] != pid {
					t.Errorf("process %s has pid %d, was %d", name, pid, before[name])
				}
			}
		})
	}
}

// Whatever fits is taken over at once, and a worker that is short of descriptors takes
// no running process for one that has ended.
func TestRunsThatFitAreTakenOver(t *testing.T) {
	t.Parallel()
	const limit = 256
	d := startDaemon(t, setup{Wrap: withLimit(limit)})
	d.start(process.Spec{Name: "tree", Command: "sleep 1000 & exec sleep 1000"})
	started := 0
	for ; ; started++ {
		_, err := d.client().Start(d.context(), process.Spec{Name: fmt.Sprint("x", started), Command: "exec sleep 1000"})
		if err == nil {
			continue
		}
		if !isCode(err, process.CodeStart) || !strings.Contains(err.Error(), fmt.Sprint("limit of ", limit)) {
			t.Fatalf("start %d: %v", started, err)
		}
		break
	}
	if started < limit/2 {
		t.Errorf("%d were started", started)
	}
	refused := fmt.Sprint("x", started)
	if !gone(d.group(refused, 1)) {
		t.Error("the refused run has a group")
	}
	if err := d.client().Delete(d.context(), refused); err != nil {
		t.Fatal(err)
	}
	before := d.pids()
	for range 2 {
		d.killWorker()
		d.pids()
	}
	for range 2 {
		d.crash()
		begin := time.Now()
		d.launch()
		if took := time.Since(begin); took > 2*time.Second*time.Duration(slowdown()) {
			t.Errorf("it took %v", took)
		}
		for name, pid := range d.pids() {
			if before[name] != pid {
				t.Errorf("process %s has pid %d, was %d", name, pid, before[name])
			}
		}
	}
	// The end of a leader that no keeper can wait for is seen, though others of its tree go on.
	for _, name := range []string{"tree", fmt.Sprint("x", started-1)} {
		if err := unix.Kill(before[name], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if s := d.rest(name); s.Cause != process.CauseLost {
			t.Errorf("%+v", s)
		}
	}
}

// Logs keep their files open only where that costs neither a run nor a client anything.
func TestLogsLeaveDescriptorsForRuns(t *testing.T) {
	t.Parallel()
	const limit, runs = 256, 150 // each with a FIFO, and a file and an index that are written to
	d := startDaemon(t, setup{Wrap: withLimit(limit)})
	d.startMany(runs, process.Spec{Logging: process.Logging{Log: true}, Command: "i=0; until [ -e enough ]; do i=$((i+1)); echo $i; sleep 0.2; done; echo last"})
	for i := range runs {
		d.said(fmt.Sprint("x", i), "3\n")
	}
	if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.worker())); err != nil || len(open) > limit*7/8 {
		t.Errorf("%d files are open, of %d: %v", len(open), limit, err)
	}
	d.pids()
	touchFile(t, d.dir+"/enough")
	for i := range runs {
		name := fmt.Sprint("x", i)
		if s := d.rest(name); s.Cause != process.CauseExit || s.LogDropped != 0 {
			t.Errorf("%+v", s)
		}
		if got := d.logs(name, 1); got != "last\n" {
			t.Errorf("the log of %s ends in %q", name, got)
		}
	}
}

// SIGKILL that could not be sent, because there was no descriptor, is sent as soon as
// there is one, without another request.
func TestTreeIsKilledWhenThereAreDescriptorsAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "trap '' TERM; echo up; while :; do sleep 1000; done", Ending: process.Ending{StopTimeout: new(100 * time.Millisecond)}})
	d.said("x", "up")
	pid, worker := d.status("x").PID, d.worker()
	var before unix.Rlimit
	if err := unix.Prlimit(worker, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 5, Max: 20000}, &before); err != nil {
		t.Fatal(err)
	}
	from := d.log.len()
	answer := make(chan error, 1)
	go func() {
		_, err := d.client().Stop(d.context(), "x")
		answer <- err
	}()
	if !d.log.await(from, "cgroup.kill: too many open files", d.ended) {
		t.Errorf("it does not say that it cannot be killed: %s", d.log.since(from))
	}
	if err := <-answer; !isCode(err, process.CodeStuck) {
		t.Errorf("stop: %v", err)
	}
	if !running(pid) {
		t.Fatal("it was killed without a descriptor")
	}
	if err := unix.Prlimit(worker, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	d.rest("x")
	d.nobodyLeft("x", 1)
}
