package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// logFiles are the files that hold a process's output, and the size of all that
// stands beside each other in its directory.
func (d *daemon) logFiles(name string) (files []string, total int64) {
	d.t.Helper()
	entries, err := os.ReadDir(d.state + "/logs/" + name)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() { // compressed by now, and removed
			continue
		}
		total += info.Size()
		if ext := filepath.Ext(e.Name()); ext == ".log" || ext == ".zst" {
			files = append(files, e.Name())
		}
	}
	return files, total
}

// How much is kept is what was asked for with each of the parameters.
func TestNoMoreOfALogIsKeptThanAskedFor(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	number := d.parrot(process.Spec{Name: "number", Logging: process.Logging{LogMaxSize: 10_000, LogMaxFiles: 3}})
	total := d.parrot(process.Spec{Name: "total", Logging: process.Logging{LogMaxFiles: 1000, LogMaxTotal: 50_000}})
	age := d.parrot(process.Spec{Name: "age", Logging: process.Logging{LogMaxAge: 100 * time.Millisecond}})
	for i := range 20 {
		number.count(i*1000, (i+1)*1000)
		total.count(i*1000, (i+1)*1000)
		d.said("number", fmt.Sprintf("\n%d\n", (i+1)*1000-1))
		d.said("total", fmt.Sprintf("\n%d\n", (i+1)*1000-1))
		if files, _ := d.logFiles("number"); len(files) > 3 {
			t.Fatalf("of 3 files: %v", files)
		}
		if files, n := d.logFiles("total"); n > 50_000+1000 { // the rest of a line, an entry of the index, the file compressed just now
			t.Fatalf("of 50,000 bytes: %d in %v", n, files)
		}
	}
	if files, _ := d.logFiles("number"); len(files) < 3 {
		t.Errorf("of 3 files: %v", files)
	}
	age.say("line\n")
	d.said("age", "line\n")
	eventually(t, "the next file is begun", func() bool {
		age.say("line\n")
		files, _ := d.logFiles("age")
		return len(files) > 2
	})
}

// For lines of many writers, while the worker is killed at random: the files hold
// every line once, those of each writer in order.
func TestLinesAreExactWhileTheWorkerIsKilled(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const writers, lines = 8, 3000
	d.start(process.Spec{Name: "many", Logging: process.Logging{Log: true, LogMaxSize: 20_000, LogMaxFiles: 1000}, Command: fmt.Sprintf(`
		w=0; while [ $w -lt %d ]; do
			( i=0; while [ $i -lt %d ]; do echo "$w $i"; i=$((i+1)); [ $((i %% 100)) != 0 ] || sleep 0.05; done ) &
			w=$((w+1))
		done; wait`, writers, lines)})
	kills := 0
	for d.status("many").State == process.Running {
		d.killWorker()
		kills++
		until := time.Now().Add(time.Duration(rand.IntN(100)) * time.Millisecond)
		eventually(t, "the next kill is due", func() bool { return time.Now().After(until) })
	}
	if s := d.rest("many"); s.State != process.Completed {
		t.Fatalf("%+v", s)
	}
	next := [writers]int{}
	for _, line := range strings.Split(strings.TrimSuffix(d.logs("many", 0), "\n"), "\n") {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil || i != next[w] {
			t.Fatalf("%q where line %d of writer %d is next", line, next[w], w)
		}
		next[w]++
	}
	for w, n := range next {
		if n != lines {
			t.Errorf("writer %d: %d lines", w, n)
		}
	}
	files, _ := d.logFiles("many")
	t.Logf("%d kills, %d files", kills, len(files))
}

// A disk that is full costs what is written meanwhile, which is counted in the log
// and in status, or the writers wait; both as asked for.
func TestOutputOnAFullDiskIsCountedOrWaits(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{Private: true, Wrap: []string{"/bin/sh", "-c",
		`mkdir "$TMPDIR/state" && mount -t tmpfs -o size=4m,mode=700 tmpfs "$TMPDIR/state" && exec "$0" "$@"`}})
	drop, block := d.parrot(process.Spec{Name: "drop"}), d.parrot(process.Spec{Name: "block", Logging: process.Logging{LogBlock: true}})
	d.start(process.Spec{Name: "endless", Logging: process.Logging{Log: true, LogBlock: true, LogMaxSize: 10_000, LogMaxFiles: 1},
		Command: "until [ -e full ]; do sleep 0.05; done; exec yes"})
	drop.say("begin\n")
	block.say("0\n")
	d.said("drop", "begin\n")
	d.said("block", "0\n")
	fill := fillUp(t, fmt.Sprintf("/proc/%d/root%s/fill", d.keeper(), d.state)) // in its mount namespace
	if err := os.WriteFile(d.dir+"/full", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const lines = 100_000 // more than lies in two pipes
	waited := make(chan struct{})
	go func() { block.count(1, lines); close(waited) }()
	drop.count(0, lines) // waits for nobody
	s := d.await("drop", "dropping", func(s process.Status) bool { return s.LogDropped > 0 })
	if got := d.mustClient("status", "drop"); !strings.Contains(got, "could not be written") {
		t.Errorf("status says nothing of it: %s", got)
	}
	select {
	case <-waited:
		t.Error("nobody waited for the disk")
	default:
	}
	eventually(t, "it is said who waits", func() bool {
		return strings.Contains(d.log.since(0), "process 'endless': the process waits until its output can be written: ")
	})
	if s := d.status("endless"); !strings.Contains(s.OutputError, "the process waits until its output can be written: ") {
		t.Errorf("status does not say that it waits: %+v", s)
	}
	if s := d.stop("endless"); s.State != process.Stopped || s.LogDropped == 0 { // what it had left is counted
		t.Errorf("stopped while it waited: %+v", s)
	}
	if err := fill.Truncate(0); err != nil {
		t.Fatal(err)
	}
	<-waited
	d.said("block", fmt.Sprintf("\n%d\n", lines-1))
	for i, line := range strings.Split(strings.TrimSuffix(d.logs("block", 0), "\n"), "\n") {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d of the one who waited is %q", i, line)
		}
	}
	if s := d.status("block"); s.LogDropped != 0 {
		t.Errorf("%d bytes of it were dropped", s.LogDropped)
	}
	eventually(t, "the log says it", func() bool {
		drop.say("end\n")
		return strings.HasSuffix(d.logs("drop", 1), "end\n")
	})
	s = d.status("drop")
	if got, want := d.logs("drop", 0), fmt.Sprintf("processmanager: %d bytes of output are missing here: ", s.LogDropped); strings.Count(got, want) != 1 {
		t.Errorf("%q is not in %.300q", want, got)
	}
}
