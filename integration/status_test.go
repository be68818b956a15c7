package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// jsonTypes are the names that programs read, with the JSON type of each.
var jsonTypes = map[string]string{
	"name": "string", "command": "string", "pid": "int", "status": "string", "cpu_percent": "number", "memory_mb": "number",
	"start_time": "time", "log_enabled": "bool", "cron": "string", "job_id": "string", "deadline": "int", "deadline_seconds": "number",
	"error": "string", "run": "int", "cause": "string", "exit_code": "int", "signal": "string", "end_time": "time",
	"uptime_seconds": "number", "next_time": "time", "cpu_usec": "int", "cpu_user_usec": "int", "cpu_system_usec": "int",
	"memory_bytes": "int", "memory_peak_bytes": "int", "memory_source": "source", "pids": "int", "pids_source": "source", "cpu_source": "source",
	"last_run": "object",
}

func jsonType(v any) string {
	switch v := v.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil && strings.HasSuffix(v, "Z") {
			return "time"
		}
		if v == "cgroup" || v == "proc" {
			return "source"
		}
		return "string"
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return "int"
		}
		return "number"
	case bool:
		return "bool"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

// statusJSON is the answer of process.status, with the type of each name checked,
// and with all of want and none of without.
func statusJSON(t *testing.T, d *daemon, name string, want, without []string) map[string]any {
	t.Helper()
	text := d.session(t).ask("!!process.status format:json name:" + name)
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var s map[string]any
	if err := dec.Decode(&s); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	for key, value := range s {
		if want, known := jsonTypes[key]; known && jsonType(value) != want && !(want == "number" && jsonType(value) == "int") {
			t.Errorf("%s of %s is %v, a %s; want a %s", key, name, value, jsonType(value), want)
		}
	}
	for _, key := range want {
		if _, ok := s[key]; !ok {
			t.Errorf("%s has no %s: %s", name, key, text)
		}
	}
	for _, key := range without {
		if v, ok := s[key]; ok {
			t.Errorf("%s has %s: %v", name, key, v)
		}
	}
	return s
}

func TestStatusHasTheNamesAndTypesThatProgramsRead(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	always := []string{"name", "command", "pid", "status", "log_enabled"}
	usage := []string{"cpu_usec", "cpu_user_usec", "cpu_system_usec", "cpu_source"}
	ended := []string{"run", "start_time", "end_time", "uptime_seconds", "cause", "last_run"}
	live := []string{"run", "start_time", "uptime_seconds", "cpu_percent", "memory_mb", "memory_bytes", "memory_source", "pids", "pids_source"}

	d.mustClient("start", "live", "-command", "sleep 1000 & exec sleep 1000", "-log", "-deadline", "1000.25", "-jobid", "e42")
	s := statusJSON(t, d, "live", append(append(append(always, usage...), live...), "deadline", "deadline_seconds", "job_id"),
		[]string{"cause", "exit_code", "signal", "end_time", "error", "cron", "next_time", "last_run"})
	pid, _ := s["pid"].(json.Number).Int64()
	if stat := procStat(int(pid)); len(stat) < 2 || stat[1] != strconv.Itoa(d.keeper()) {
		t.Errorf("pid %d is not a child of the keeper %d", pid, d.keeper())
	}
	for key, want := range map[string]string{
		"name": "live", "status": "running", "log_enabled": "true", "deadline": "1001", "deadline_seconds": "1000.25", "job_id": "e42",
		"run": "1", "command": "sleep 1000 & exec sleep 1000",
	} {
		if got := fmt.Sprint(s[key]); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	bytes, _ := s["memory_bytes"].(json.Number).Float64()
	mb, _ := s["memory_mb"].(json.Number).Float64()
	if diff := bytes/(1<<20) - mb; bytes == 0 || diff > 0.001 || diff < -0.001 {
		t.Errorf("memory_bytes %v, memory_mb %v", bytes, mb)
	}

	d.finished("done", "exit 3")
	s = statusJSON(t, d, "done", append(append(append(always, usage...), ended...), "exit_code", "error"),
		[]string{"signal", "cpu_percent", "memory_bytes", "memory_mb", "job_id", "deadline", "next_time"})
	if fmt.Sprintf("%v %v %v %v", s["pid"], s["status"], s["cause"], s["exit_code"]) != "0 failed exit 3" {
		t.Errorf("%v", s)
	}

	d.finished("killed", "kill -KILL $$")
	s = statusJSON(t, d, "killed", append(append(append(always, usage...), ended...), "signal", "error"), []string{"exit_code"})
	if fmt.Sprintf("%v %v", s["signal"], s["cause"]) != "KILL signal" {
		t.Errorf("%v", s)
	}

	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "0 0 1 1 *"}})
	s = statusJSON(t, d, "timed", append(always, "cron", "next_time"), []string{"run", "last_run", "start_time", "cause"})
	if fmt.Sprintf("%v %v", s["status"], s["cron"]) != "scheduled 0 0 1 1 *" {
		t.Errorf("%v", s)
	}
}

func TestListIsOneJSONArraySortedByName(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	if got := d.session(t).ask("!!process.list format:json"); got != "[]\n" {
		t.Errorf("an empty list is %q", got)
	}
	for _, name := range []string{"b", "a.2", "B", "_x", "a", "a-1", "1"} {
		d.start(process.Spec{Name: name, Command: "true"})
	}
	var all []struct{ Name string }
	text := d.mustClient("list", "-format", "json")
	if err := json.Unmarshal([]byte(text), &all); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatalf("%v in %q", err, text)
	}
	if got, want := fmt.Sprint(all), "[{1} {B} {_x} {a} {a-1} {a.2} {b}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestListForPeopleIsAnAlignedTable(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "short", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "a-much-longer-name-than-the-other", Command: "exec sleep 1000\n# and more"})
	lines := strings.Split(strings.TrimSuffix(d.mustClient("list"), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	for column := range strings.FieldsSeq("STATUS RUN PID COMMAND") {
		at := strings.Index(lines[0], column)
		for _, line := range lines[1:] {
			if at < 1 || len(line) <= at || line[at-1] != ' ' || line[at] == ' ' {
				t.Errorf("%s is not aligned in\n%s", column, strings.Join(lines, "\n"))
			}
		}
	}
	for _, want := range []string{"running", "sleep 1000"} {
		if !strings.Contains(lines[1], want) || !strings.Contains(lines[2], want) {
			t.Errorf("no %s in %q", want, lines)
		}
	}
}

// shellTimes is the CPU time that the last "times" of a process has printed: of
// the shell, and of the children that it has waited for.
func shellTimes(t *testing.T, output string) (sum time.Duration) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(\d+)m(\d+[.,]\d+)s`).FindAllStringSubmatch(output, -1) {
		d, err := time.ParseDuration(m[1] + "m" + strings.ReplaceAll(m[2], ",", ".") + "s")
		if err != nil {
			t.Fatal(err)
		}
		sum += d
	}
	if sum == 0 {
		t.Fatalf("no times in %q", output)
	}
	return sum
}

func TestCPUCountsChildrenThatHaveDied(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "burn", Command: fmt.Sprintf(`
		i=0; while [ $i -lt 40 ]; do sh -c 'j=0; while [ $j -lt %d ]; do j=$((j+1)); done'; i=$((i+1)); done
		times; echo burnt; exec sleep 1000`, 15000/slowdown())})
	d.said("burn", "burnt")
	own := shellTimes(t, d.logs("burn", 0))
	check := func(when string, s process.Status) {
		t.Helper()
		if s.CPU == nil || s.CPUUser == nil || s.CPUSystem == nil || s.CPUSource != process.SourceCgroup {
			t.Fatalf("%s: no CPU time from the group: %+v", when, s)
		}
		// The shell has not counted the exec before its times and the one after it.
		cpu := time.Duration(*s.CPU) * time.Microsecond
		if cpu < own-20*time.Millisecond || cpu > own+own/5+100*time.Millisecond {
			t.Errorf("%s: cpu %v, the shell counts %v", when, cpu, own)
		}
		if sum := *s.CPUUser + *s.CPUSystem; sum < *s.CPU-2 || sum > *s.CPU+2 {
			t.Errorf("%s: user %d + system %d is not %d", when, *s.CPUUser, *s.CPUSystem, *s.CPU)
		}
	}
	check("running", d.status("burn"))
	check("stopped", d.stop("burn"))
	check("later", d.status("burn"))
	if s := d.status("burn"); s.LastRun == nil || s.LastRun.CPU == nil || *s.LastRun.CPU != *s.CPU {
		t.Errorf("the last run has other totals: %+v", s)
	}
}

func TestCPUPercentIsThatOfTheTree(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "idle", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "busy", Command: "while :; do :; done & while :; do :; done"})
	s := d.await("busy", "seen to be busy", func(s process.Status) bool {
		return s.CPUPercent != nil && s.Uptime > 1 && *s.CPUPercent > 10
	})
	if most := float64(100*min(2, runtime.NumCPU())) + 20; *s.CPUPercent > most {
		t.Errorf("two busy pids use %v %%", *s.CPUPercent)
	}
	if s := d.status("idle"); s.CPUPercent == nil || *s.CPUPercent > 10 {
		t.Errorf("an idle tree uses %v %%", *s.CPUPercent)
	}
}

func TestMemoryIsWhatTheTreeHolds(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const size = 50 << 20
	d.start(process.Spec{Name: "fat", Command: roleCommand("touch", strconv.Itoa(size))})
	d.said("fat", "touched")
	s := d.await("fat", "seen to be fat", func(s process.Status) bool { return s.Memory != nil && *s.Memory >= size })
	if *s.Memory > size+64<<20 {
		t.Errorf("%d bytes, it has touched %d", *s.Memory, size)
	}
	want := process.SourceProc
	if hasController(t, "memory") {
		want = process.SourceCgroup
		if s.MemoryPeak == nil || *s.MemoryPeak < size {
			if _, err := os.Stat(d.group("fat", 1) + "/memory.peak"); err == nil {
				t.Errorf("the peak is %v", s.MemoryPeak)
			}
		}
	}
	if s.MemorySource != want {
		t.Errorf("source %v, want %v", s.MemorySource, want)
	}
}

func TestPidsAreThoseOfTheWholeTree(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "three", Command: "setsid sleep 1000 & (sleep 1000 &) ; exec sleep 1000"})
	d.await("three", "a tree of three", func(s process.Status) bool {
		return s.Pids != nil && *s.Pids == 3 && s.PidsSource == process.SourceCgroup
	})
}
