package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestOutputAndErrorsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "both", Logging: process.Logging{Log: true}, Command: `
		i=0; while [ $i -lt 500 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done
		echo "by name" > /dev/stderr; echo "the end"`})
	d.rest("both")
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	want.WriteString("by name\nthe end\n")
	if got := d.logs("both", 10000); got != want.String() {
		t.Errorf("%d bytes, want %d: …%s", len(got), want.Len(), got[max(0, len(got)-200):])
	}
	file := d.state + "/logs/both/current"
	if data, err := os.ReadFile(file); err != nil || string(data) != want.String() {
		t.Errorf("%s: %d bytes, %v", file, len(data), err)
	}
	for path, mode := range map[string]os.FileMode{file: 0o600, d.state + "/logs/both": 0o700, d.state: 0o700, d.state + "/processes.db": 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestLogGivesTheLastLines(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.session(t)
	for _, kept := range []string{"true", "false"} {
		name := "log-" + kept
		w.ask("!!process.start name:" + name + " log:" + kept + " command:'i=1; while [ $i -le 300 ]; do echo $i; i=$((i+1)); done; printf end'")
		d.rest(name)
		if got := w.ask("!!process.log name:'" + name + "' limit:3"); got != "299\n300\nend\n" {
			t.Errorf("%s: limit 3 gave %q", name, got)
		}
		if got := w.ask("!!process.log name:" + name); strings.Count(got, "\n") != 100 || !strings.HasPrefix(got, "202\n") {
			t.Errorf("%s: without a limit: %q", name, got)
		}
		if got := d.mustClient("logs", "-limit", "100000", name); strings.Count(got, "\n") != 300 || !strings.HasSuffix(got, "\nend") {
			t.Errorf("%s: all of it: %q", name, got)
		}
		for _, limit := range []string{"0", "-1", "many", "1.5"} {
			if got := w.ask("!!process.log name:" + name + " limit:" + limit); !strings.HasPrefix(got, "Error: ") {
				t.Errorf("limit %s: %q", limit, got)
			}
		}
	}
}

func TestWithoutLogTheLast64KiBOfARunAreKept(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.finished("chatty", "seq 1 100000")
	got := d.logs("chatty", 1<<20)
	if len(got) > 64<<10 || len(got) < 63<<10 || !strings.HasSuffix(got, "\n99999\n100000\n") || !strings.HasPrefix(got, "8") {
		t.Errorf("%d bytes: %q … %q", len(got), got[:20], got[len(got)-20:])
	}
	if !gone(d.state + "/logs/chatty") {
		t.Error("there is a file of it")
	}
}

// All of them together keep 16 MiB: what was quiet longest is forgotten.
func TestOutputInMemoryIsLimitedOverAll(t *testing.T) {
	t.Parallel()
	const processes, each, all = 280, 64 << 10, 16 << 20
	d := startDaemon(t, setup{})
	before := anonymous(t, d.worker())
	for i := range processes {
		d.start(process.Spec{Name: fmt.Sprintf("p%03d", i), Command: "yes 'a line of some length' | head -c 100000"})
	}
	for i := range processes {
		d.rest(fmt.Sprintf("p%03d", i))
	}
	total, kept := 0, 0
	for i := range processes {
		if n := len(d.logs(fmt.Sprintf("p%03d", i), 1<<20)); n > 0 {
			total, kept = total+n, kept+1
			if n > each || n < each-100 {
				t.Errorf("%d bytes of p%03d", n, i)
			}
		}
	}
	if total > all || total < all*3/4 {
		t.Errorf("%d bytes of %d are kept, of %d processes", total, all, kept)
	}
	grown := anonymous(t, d.worker()) - before
	t.Logf("%d bytes of %d processes are kept, the worker has grown by %d", total, kept, grown)
	if grown > 4*all && !raceEnabled { // twice for the garbage collector, and what it knows of the processes
		t.Errorf("the worker has grown by %d bytes", grown)
	}
}

// anonymous is how many bytes of memory a pid has that are no file's.
func anonymous(t testing.TB, pid int) (bytes int) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			fmt.Sscan(rest, &bytes)
			return bytes << 10
		}
	}
	t.Fatalf("no RssAnon in %s", data)
	return 0
}

func TestLogIsKeptOverRunsAndForgottenByDelete(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "echo run $PROCESSMANAGER_RUN"})
	d.rest("x")
	if _, err := d.client().Restart(d.context(), "x", ""); err != nil {
		t.Fatal(err)
	}
	d.rest("x")
	if got := d.logs("x", 0); got != "run 1\nrun 2\n" {
		t.Errorf("%q", got)
	}
	if err := d.client().Delete(d.context(), "x"); err != nil {
		t.Fatal(err)
	}
	if !gone(d.state + "/logs/x") {
		t.Error("its log is left")
	}
	d.start(process.Spec{Name: "x", Logging: process.Logging{Log: true}, Command: "exec sleep 1000"})
	if got := d.logs("x", 0); got != "" {
		t.Errorf("a new process begins with %q", got)
	}
}

// A tree that writes more than a pipe holds is not held up by anybody.
func TestOutputOfManyWritersIsWhole(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "many", Logging: process.Logging{Log: true}, Command: `
		for w in 1 2 3 4; do ( i=0; while [ $i -lt 2000 ]; do echo "writer $w line $i"; i=$((i+1)); done ) & done; wait`})
	if s := d.rest("many"); s.State != process.Completed {
		t.Fatalf("%+v", s)
	}
	next := map[string]int{}
	for line := range strings.Lines(d.logs("many", 100000)) {
		var w string
		var i int
		if _, err := fmt.Sscanf(line, "writer %s line %d\n", &w, &i); err != nil || next[w] != i {
			t.Fatalf("%q where line %d of writer %s is next", line, next[w], w)
		}
		next[w]++
	}
	for _, w := range []string{"1", "2", "3", "4"} {
		if next[w] != 2000 {
			t.Errorf("writer %s: %d lines", w, next[w])
		}
	}
}

// What explains a failure is what that run wrote, not an earlier one.
func TestAFailureIsExplainedByItsOwnRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, log := range []bool{true, false} {
		name := fmt.Sprintf("log-%v", log)
		d.start(process.Spec{Name: name, Logging: process.Logging{Log: log}, Command: `
			[ $PROCESSMANAGER_RUN != 1 ] || { echo begin; printf '\377 no such file %0300d' 0 >&2; }; exit 3`})
		if s := d.rest(name); !strings.HasPrefix(s.Error, "exit code 3: \ufffd no such file 000") || len(s.Error) > 220 {
			t.Errorf("%s: run 1: %q", name, s.Error)
		}
		if _, err := d.client().Restart(d.context(), name, ""); err != nil {
			t.Fatal(err)
		}
		if s := d.rest(name); s.Error != "exit code 3" {
			t.Errorf("%s: run 2: %q", name, s.Error)
		}
	}
	if got := d.logs("log-false", 0); got != "" {
		t.Errorf("in memory the last run has %q", got)
	}
}

// What a process without a log has just said is told at once.
func TestOutputInMemoryIsUpToDate(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "echo first; : >told; exec sleep 1000"})
	eventually(t, "it has said it", func() bool { return !gone(d.dir + "/told") })
	if got := d.logs("x", 10); got != "first\n" {
		t.Errorf("%q", got)
	}
}
