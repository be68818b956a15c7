package verbs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Times for people are local; the golden files have those of UTC.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// running has every field that a process with a run can have, as the supervisor
// fills them in.
func running() process.Status {
	s := process.NewStatus(process.Spec{
		Name: "web", Command: "exec ./web \\\n  -port 80", Dir: "/srv", Logging: process.Logging{Log: true, LogMaxSize: 1 << 20, LogMaxFiles: 3, LogMaxAge: time.Hour, LogMaxTotal: 1 << 22, LogBlock: true}, Ending: process.Ending{Deadline: 90*time.Second + 1, StopSignal: 2, StopTimeout: new(1500 * time.Millisecond)},
		Environment: process.Environment{Env: "A=a secret\nB=another", EnvFile: "-/etc/web.env", User: "www-data", Group: "33", Umask: "0027", Nice: -5,
			OOMScoreAdj: 500, NoNewPrivileges: true, Rlimits: rlimits(), Stdin: "file:/srv/input"},
		Limits: process.Limits{MemoryMax: 2 << 30, MemoryHigh: 1 << 30, MemoryLow: 64 << 20, SwapMax: new(int64), CPUMax: 150_000, CPUWeight: 50, PidsMax: 100,
			IOWeight: 200, IOMax: "/dev/vda riops=100\n/srv rbps=1048576 wbps=2097152", CPUSet: "0-3,6", OOMKill: true},
		Schedule: process.Schedule{Cron: "0 3 * * *", TZ: "Europe/Brussels", Jitter: 5 * time.Minute, Overlapping: process.Overlapping{Overlap: process.OverlapAllow, OverlapMax: 3}, Catchup: process.CatchupAll, CatchupWindow: 24 * time.Hour},
		Restarting: process.Restarting{Restart: process.RestartOnFailure, RestartDelay: 2 * time.Second, RestartMaxDelay: 90 * time.Second,
			RestartLimit: 5, RestartWindow: 10 * time.Minute, SuccessCodes: "0,143", Autostart: true},
		Probing: process.Probing{Ready: "log:listening on [0-9]+", ReadyTimeout: 2 * time.Minute, Health: "http://127.0.0.1/health", HealthPeriod: 5 * time.Second,
			HealthTimeout: 2 * time.Second, HealthFailures: 5, HealthAction: process.HealthNone, Watchdog: 30 * time.Second},
		Ordering:  process.Ordering{Needs: "db,migrate:completed", After: "cache"},
		Retention: process.Retention{History: 500}, Telling: process.Telling{OnFailure: "mail -s \"$PROCESSMANAGER_NAME failed\" root"},
	}, process.Running)
	s.Condition.Ready, s.ReadyTime, s.ReadyError = new(true), noon.Add(2*time.Second), "log \"listening\": no line matches"
	s.Condition.Health = &process.Health{State: process.HealthUnhealthy, Failures: 7, Error: "http://127.0.0.1/health: status 503 \x1b[31m"}
	s.Source = "/etc/processmanager/web.hero"
	s.LogDropped, s.OutputError = 4096, "since 2026-03-01T11:59:00Z output is dropped until it can be written: no space left on device"
	s.Notified, s.StatusText = process.NotifiedReloading, "3 of 5 files \x1b[1m"
	s.NextAttempt, s.Restarts = noon.Add(8*time.Second), 5
	s.PID, s.NextTime, s.MissedTime = 4711, noon.Add(15*time.Hour), noon.Add(-9*time.Hour)
	s.SkipTime, s.ToCatchUp = noon.Add(-9*time.Hour), 3
	s.Run = process.Run{Number: 8, JobID: "e42", Start: noon.Add(123456 * time.Microsecond), Uptime: 61.5}
	s.CPU, s.CPUUser, s.CPUSystem, s.CPUSource = new(int64(1500000)), new(int64(1000000)), new(int64(500000)), process.SourceCgroup
	s.SetMemory(12<<20+1<<19, process.SourceProc)
	s.MemoryPeak, s.MemoryPeakSource = new(uint64(64<<20)), process.SourceCgroup
	s.CPUPeriods, s.CPUThrottledPeriods, s.CPUThrottled = new(uint64(615)), new(uint64(12)), new(int64(340000))
	s.MemoryAnon, s.MemoryFile, s.MemoryKernel, s.MemoryShmem = new(uint64(8<<20)), new(uint64(4<<20)), new(uint64(1<<19)), new(uint64(0))
	s.MemorySwap, s.MemorySwapPeak = new(uint64(1<<20)), new(uint64(3<<20))
	s.MemoryLowEvents, s.MemoryHighEvents, s.MemoryMaxEvents, s.OOMKills = new(uint64(0)), new(uint64(4)), new(uint64(2)), new(uint64(1))
	s.IORead, s.IOWrite, s.IOSource = new(uint64(0)), new(uint64(4096)), process.SourceProc
	s.IOReadOperations, s.IOWriteOperations = new(uint64(0)), new(uint64(1))
	s.IODevices = []process.DeviceIO{{Device: "8:0", Name: "sda", Write: 4096, WriteOperations: 1}, {Device: "253:7", Read: 1 << 30, ReadOperations: 40000}}
	s.Tasks, s.PidsPeak, s.PidsRefused = new(uint64(9)), new(uint64(12)), new(uint64(2))
	s.Pressure = &process.Pressures{
		CPU:    &process.Pressure{Some: stalled(12.34, 2500000)},
		Memory: &process.Pressure{Some: stalled(0, 0), Full: new(stalled(0, 0))},
		IO:     &process.Pressure{Some: stalled(0, 40000), Full: new(stalled(0, 30000))},
	}
	s.Frozen = new(int64(1_250_000))
	s.NeededBy = []string{"proxy", "site"}
	s.Runs = []process.RunUnderWay{{State: process.Running, PID: 4700, Run: process.Run{Number: 6, Start: noon.Add(-time.Hour), Uptime: 3661.5}}, {State: process.Running, PID: 4711, Run: s.Run}}
	s.Queued = &process.QueuedRun{Time: noon, Reason: "run 8 went on"}
	s.Pids, s.PidsSource = new(3), process.SourceCgroup
	s.CPUPercent, s.CPUPercentSinceStart = new(99.95), new(2.44)
	s.LastRun = new(failed().Run)
	s.LastRun.Number = 7
	return s
}

// used is a run that has ended, with all that is known of one.
func used() process.Run {
	s := running()
	r := *s.LastRun
	r.Usage = s.Usage
	r.Memory, r.MemoryMB, r.MemorySource, r.Pids, r.PidsSource, r.Tasks = nil, nil, 0, nil, 0, nil
	r.MemoryAnon, r.MemoryFile, r.MemoryKernel, r.MemoryShmem, r.MemorySwap = nil, nil, nil, nil, nil
	r.Pressure.EndAverages()
	return r
}

func stalled(avg10 float64, total int64) process.Stall {
	return process.Stall{StallAverages: &process.StallAverages{Avg10: avg10, Avg60: avg10 / 2}, Total: total}
}

// rlimits has one of each.
func rlimits() (all process.Rlimits) {
	for i := range all {
		all[i] = fmt.Sprintf("%d:unlimited", i)
	}
	return all
}

// failed is at rest, and has an end to tell of.
func failed() process.Status {
	s := process.NewStatus(process.Spec{Name: "job.1", Command: "sh job.sh", JobID: "e41"}, process.Failed)
	s.Run = process.Run{
		Number: 1, JobID: "e41", Asked: process.Asked{By: process.ByRequest, UID: new(0)}, Start: noon.Add(-time.Hour), End: noon.Add(-time.Minute), Uptime: 3540, Paused: 60, Stopping: .25,
		Cause: process.CauseExit, ExitCode: new(3), Error: "the leader exited with 3",
		LeftBehind: &process.LeftBehind{Count: 2, Names: []string{"sleep", "we\x1b[31mird\n"}},
	}
	s.CPU, s.CPUUser, s.CPUSystem, s.CPUSource = new(int64(0)), new(int64(0)), new(int64(0)), process.SourceCgroup
	return s
}

// killed was ended by a signal; nothing was measured.
func killed() process.Status {
	s := process.NewStatus(process.Spec{Name: "killed", Command: "sleep 1d"}, process.Failed)
	s.Run = process.Run{Number: 2, Start: noon, End: noon.Add(time.Second / 2), Uptime: .5, Cause: process.CauseOOM, Signal: 9,
		OOM: &process.OOM{Kills: 2, Victims: []process.Victim{{PID: 99, Name: "we\x1b[31mird"}, {PID: 98, Name: "sleep"}}, Limit: process.OOMRun, MaxBytes: 64 << 20, Tree: true}}
	s.LastRun = new(s.Run)
	return s
}

// scheduled waits for its second time.
func scheduled() process.Status {
	s := process.NewStatus(process.Spec{Name: "backup", Command: "./backup", Schedule: process.Schedule{Cron: "@daily"}}, process.Scheduled)
	s.NextTime = noon.Add(12 * time.Hour)
	s.Result = process.Completed
	s.LastRun = &process.Run{Number: 5, Start: noon.Add(-12 * time.Hour), End: noon.Add(-11 * time.Hour), Uptime: 3600,
		Cause: process.CauseExit, ExitCode: new(0), Usage: process.Usage{CPU: new(int64(2500))}}
	return s
}

// fresh was scheduled and has never run.
func fresh() process.Status {
	s := process.NewStatus(process.Spec{Name: "fresh", Command: strings.Repeat("x", 100), Schedule: process.Schedule{Cron: "@hourly"}, Ending: process.Ending{StopTimeout: new(time.Duration)}}, process.Scheduled)
	s.NextTime, s.SchedulePaused = noon.Add(time.Hour), true
	return s
}

// unstarted could not be started.
func unstarted() process.Status {
	s := process.NewStatus(process.Spec{Name: "unstarted", Command: "true"}, process.Failed)
	s.Run = process.Run{Number: 1, End: noon, Cause: process.CauseStart, Error: "chdir /gone:\nno such file"}
	s.LastRun = new(s.Run)
	return s
}

// held does not have what it needs.
func held() process.Status {
	s := process.NewStatus(process.Spec{Name: "site", Command: "./site", Ordering: process.Ordering{Needs: "db,job.1:completed"}}, process.Waiting)
	s.WaitsFor = []process.Awaited{{Name: "db", State: process.Starting}, {Name: "job.1", Completed: true, State: process.Failed, Error: "exit code 3"}}
	return s
}

func all() []process.Status {
	return []process.Status{scheduled(), fresh(), failed(), killed(), unstarted(), held(), running()}
}

// golden compares with a file of testdata; -update writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\ngot:\n%s", file, want, got)
	}
}

// answer is what script gives.
func answer(t *testing.T, m Manager, script string) string {
	t.Helper()
	var b strings.Builder
	if err := RunText(context.Background(), m, script).Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func indented(t *testing.T, data string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(data), "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJSONIsTheContract holds names, types and order of the JSON to the file.
func TestJSONIsTheContract(t *testing.T) {
	m := &recorder{status: running(), all: all()}
	golden(t, "status.json", indented(t, answer(t, m, "!!process.status name:web format:json")))
	golden(t, "list.json", indented(t, answer(t, m, "!!process.list format:json")))
	for _, verb := range []string{"start", "stop", "restart"} {
		if got := answer(t, m, "!!process."+verb+" name:web format:json"); got != answer(t, m, "!!process.status name:web format:json") {
			t.Errorf("the answer of %s is not a status: %s", verb, got)
		}
	}
	there := running()
	there.AlreadyRunning, there.ErrorCode, there.Signalled, there.WaitsForRestart = true, process.CodeStore, 3, []string{"command", "log"}
	golden(t, "start.json", indented(t, answer(t, &recorder{status: there}, "!!process.start name:web format:json")))
	if got := answer(t, m, "!!process.delete name:web format:json"); got != `{"name":"web","deleted":true}`+"\n" {
		t.Errorf("got %s", got)
	}
	if got := answer(t, &recorder{source: "/etc/web.hero"}, "!!process.delete name:web format:json"); got != `{"name":"web","deleted":true,"source":"/etc/web.hero"}`+"\n" {
		t.Errorf("got %s", got)
	}
	if got := answer(t, &recorder{}, "!!process.list format:json"); got != "[]\n" {
		t.Errorf("an empty list is %s", got)
	}
}

func TestEveryFieldOfTheContractIsInTheGoldenFile(t *testing.T) {
	var data []byte
	for _, file := range []string{"list.json", "start.json"} {
		one, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, one...)
	}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous {
				walk(f.Type)
			} else if name == "" || !strings.Contains(string(data), `"`+name+`":`) {
				t.Errorf("%v.%s: no %q in the file", typ, f.Name, name)
			}
		}
	}
	walk(reflect.TypeFor[process.Condition]())
	walk(reflect.TypeFor[process.Run]())
	for _, f := range process.Fields {
		if !strings.Contains(string(data), `"`+f.JSON+`":`) {
			t.Errorf("%s: no %q in the file", f.Name, f.JSON)
		}
	}
}

func TestStatusIsReadBackFromItsJSON(t *testing.T) {
	for _, want := range all() {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got process.Status
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", data, got, want)
		}
	}
}

func TestTextForPeople(t *testing.T) {
	var b strings.Builder
	for _, s := range all() {
		b.WriteString(answer(t, &recorder{status: s}, "!!process.status name:x") + "\n")
	}
	golden(t, "status.txt", b.String())
	golden(t, "list.txt", answer(t, &recorder{all: all()}, "!!process.list"))
	for script, want := range map[string]string{
		"!!process.start name:web":   "process 'web' started: run 8, pid 4711\n",
		"!!process.restart name:web": "process 'web' started: run 8, pid 4711\n",
		"!!process.delete name:web":  "process 'web' deleted\n",
	} {
		if got := answer(t, &recorder{status: running()}, script); got != want {
			t.Errorf("%s: %q", script, got)
		}
	}
	for want, s := range map[string]process.Logging{
		"last lines in memory":                            {},
		"in a file":                                       {Log: true},
		"in a file, at most 7 files":                      {Log: true, LogMaxFiles: 7},
		"in a file; a full disk blocks the writers":       {Log: true, LogBlock: true},
		"in a file, at most 1.50s each, 1.0 KiB together": {Log: true, LogMaxAge: 1500 * time.Millisecond, LogMaxTotal: 1024},
	} {
		if got := keptLog(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	inLine := running()
	if got := answer(t, &recorder{status: inLine}, "!!process.trigger name:web"); got != "process 'web' is queued: a run begins when run 8 has ended\n" {
		t.Errorf("got %q", got)
	}
	if inLine.Queued = nil; answer(t, &recorder{status: inLine}, "!!process.trigger name:web") != "process 'web' started: run 8, pid 4711\n" {
		t.Error("a trigger does not say that the run has started")
	}
	there, again := running(), running()
	there.AlreadyRunning, again.State = true, process.Starting
	if got := answer(t, &recorder{status: there}, "!!process.start name:web"); got != "process 'web' is running already: run 8, pid 4711\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{status: again}, "!!process.stop name:web"); got != "process 'web' was stopped, and is being started again\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{status: scheduled()}, "!!process.start name:backup"); got != "process 'backup' is scheduled, next run at 2030-05-02 00:00 UTC; trigger backup runs it now\n" {
		t.Errorf("got %q", got)
	}
	still := scheduled()
	still.SchedulePaused = true
	if got := answer(t, &recorder{status: still}, "!!process.start name:backup"); got != "process 'backup' is scheduled, and its schedule is paused: schedule_resume has it go on; trigger backup runs it now\n" {
		t.Errorf("got %q", got)
	}
	never := scheduled()
	never.NextTime = time.Time{}
	if got := answer(t, &recorder{status: never}, "!!process.start name:backup"); got != "process 'backup' is scheduled, and no time of its schedule comes within 40 years; trigger backup runs it now\n" {
		t.Errorf("got %q", got)
	}
	boots := never
	boots.Cron = "CRON_TZ=UTC @reboot"
	if got := answer(t, &recorder{status: boots}, "!!process.start name:backup"); got != "process 'backup' is scheduled, next run at the next start of the machine; trigger backup runs it now\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{status: failed()}, "!!process.stop name:job.1"); got != "process 'job.1' is failed, nobody is left\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{}, "!!process.list"); got != "no processes\n" {
		t.Errorf("got %q", got)
	}
}

// Several names give each result, in an array and a line each.
func TestSeveralAreToldEach(t *testing.T) {
	m := &recorder{all: []process.Status{running(), failed()}}
	var list []process.Outcome
	if err := json.Unmarshal([]byte(answer(t, m, "!!process.status name:'web,job*' format:json")), &list); err != nil || len(list) != 2 || !reflect.DeepEqual(list[1].Status, failed()) {
		t.Errorf("got %+v, %v", list, err)
	}
	slow := failed()
	slow.Stopping = 10.1
	if got := answer(t, &recorder{status: slow}, "!!process.stop name:job.1"); got != "process 'job.1' is failed, nobody is left; that took 10s\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, m, "!!process.stop name:'job*'"); got != "process 'job.1' is failed, nobody is left\n" {
		t.Errorf("got %q", got)
	}
	db, api := failed(), failed()
	db.Name, db.NeededBy, api.Name = "db", []string{"api", "web"}, "api"
	m.all = []process.Status{db, api}
	if got := answer(t, m, "!!process.stop name:db,api"); got != "process 'db' is failed, nobody is left; it is needed by web\nprocess 'api' is failed, nobody is left\n" {
		t.Errorf("got %q", got)
	}
	m.all[1] = running()
	m.all[1].Name = "api" // started again meanwhile
	if got := answer(t, m, "!!process.stop name:db,api"); !strings.HasPrefix(got, "process 'db' is failed, nobody is left; it is needed by api, web\n") {
		t.Errorf("got %q", got)
	}
	m.all = []process.Status{running(), failed()}
	if got := answer(t, m, "!!process.delete name:'*' format:json"); got != `[{"name":"job.1","deleted":true},{"name":"web","deleted":true}]`+"\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, m, "!!process.stop name:'x*' format:json"); got != `{"error":"no process matches 'x*'","code":"not_found"}`+"\n" {
		t.Errorf("got %q", got)
	}
	m.err = process.Errorf(process.CodeNotFound, "no process 'gone'")
	if got := answer(t, m, "!!process.restart name:gone,away format:json"); got != `[{"name":"gone","error":"no process 'gone'","code":"not_found"},{"name":"away","error":"no process 'gone'","code":"not_found"}]`+"\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, m, "!!process.restart name:gone,away"); got != "Error: no process 'gone'\nError: no process 'gone'\n" {
		t.Errorf("got %q", got)
	}
	m.err = nil
	if got := answer(t, m, "!!process.status name:web,job.1"); strings.Count(got, "\n\n") != 1 || !strings.Contains(got, "name:         job.1") {
		t.Errorf("got %q", got)
	}
}

func TestSignalAndSetSayWhatTheyDid(t *testing.T) {
	s := running()
	s.Signalled = 1
	if got := answer(t, &recorder{status: s}, "!!process.signal name:web signal:HUP"); got != "process 'web': SIGHUP sent to pid 4711\n" {
		t.Errorf("got %q", got)
	}
	s.Signalled, s.WaitsForRestart = 3, []string{"log"}
	if got := answer(t, &recorder{status: s}, "!!process.signal name:web signal:HUP tree:yes"); got != "process 'web': SIGHUP sent to 3 processes\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{status: s}, "!!process.set name:web log:true deadline:5"); got != "process 'web' changed: log, deadline; log from the next run on: restart web to have it now\n" {
		t.Errorf("got %q", got)
	}
}

func TestHistory(t *testing.T) {
	m := &recorder{
		runs: []process.RunRecord{{Name: "job.1", Run: failed().Run}, {Name: "web", Run: used()}},
		events: []process.Event{
			{Seq: 1, Time: noon, Name: "web", Kind: process.EventStarting, Run: 8, JobID: "e42"},
			{Seq: 2, Time: noon, Name: "web", Kind: process.EventStarted, Run: 8, PID: 4711},
			{Seq: 3, Time: noon.Add(time.Minute), Name: "job.1", Kind: process.EventEnded, Run: 1, Cause: process.CauseExit, ExitCode: new(3), Error: "exit code 3:\x1b[2J\nhi"},
			{Seq: 4, Time: noon.Add(time.Hour), Name: "web", Kind: process.EventChanged, Fields: []string{"log", "deadline"}},
			{Seq: 5, Time: noon.Add(time.Hour), Name: "web", Kind: process.EventLimited, Run: 8, PID: 4711, Limit: process.LimitPids, Times: 1},
			{Seq: 6, Time: noon.Add(time.Hour), Name: "web", Kind: process.EventLimited, Run: 8, PID: 4711, Limit: process.LimitCPU, Times: 12, Waited: 1.25},
			{Seq: 7, Time: noon.Add(time.Hour), Name: "web", Kind: process.EventOOM, Run: 8, PID: 4711, Times: 1, OOM: killed().OOM},
		},
	}
	text := answer(t, m, "!!process.runs name:job.1,web") + "\n" + answer(t, m, "!!process.runs name:job.1,web verbose:true") + "\n" + answer(t, m, "!!process.events")
	golden(t, "history.txt", text+"\n"+indented(t, answer(t, m, "!!process.runs name:job.1 format:json"))+"\n"+answer(t, m, "!!process.events format:json"))
	if got := answer(t, &recorder{}, "!!process.runs name:a format:json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
}

// What a managed process or its owner can choose must not reach the terminal as
// escape codes, nor break the lines of a table.
func TestTextHoldsNoControlBytes(t *testing.T) {
	nasty := "a\x1b[2J\tb\rc\u202e"
	s := running()
	s.Command, s.Dir, s.Cron, s.Error, s.LeftBehind = nasty, nasty, nasty, nasty, &process.LeftBehind{Count: 1, Names: []string{nasty}}
	s.OOM = &process.OOM{Kills: 1, Victims: []process.Victim{{PID: 7, Name: nasty}}}
	for _, script := range []string{"!!process.list", "!!process.status name:a"} {
		got := answer(t, &recorder{status: s, all: []process.Status{s}}, script)
		if strings.ContainsAny(got, "\x1b\t\r\u202e") {
			t.Errorf("%s: %q", script, got)
		}
	}
}

func TestLogsKeepEachByte(t *testing.T) {
	for _, data := range []string{"", "a\nb", "a\n\n", "<&>é\u2028\x00\x1b", "\xff\xfe", "half a rune \xe2\x82", "�"} {
		m := &recorder{output: []byte(data)}
		if got := answer(t, m, "!!process.log name:a"); got != data {
			t.Errorf("%q as text is %q", data, got)
		}
		var b Bytes
		if err := json.Unmarshal([]byte(answer(t, m, "!!process.log name:a format:json")), &b); err != nil {
			t.Fatal(err)
		}
		got, err := b.Decode()
		if err != nil || string(got) != data || b.Name != "a" {
			t.Errorf("%q is read as %q, %v", data, got, err)
		}
	}
	if got := answer(t, &recorder{output: []byte("\xff\n")}, "!!process.log name:a format:json"); got != `{"name":"a","data":"/wo=","encoding":"base64","next":2}`+"\n" {
		t.Errorf("got %s", got)
	}
	if got := answer(t, &recorder{output: []byte("<a>\n")}, "!!process.log name:a format:json"); got != `{"name":"a","data":"<a>\n","next":4}`+"\n" {
		t.Errorf("got %s", got)
	}
	if _, err := (Bytes{Data: "?", Encoding: "base64"}).Decode(); err == nil {
		t.Error("what is not base64 was decoded")
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	m := &recorder{err: fmt.Errorf("first\nsecond: %w", process.Errorf(process.CodeNotFound, "no process 'a'"))}
	for script, want := range map[string]string{
		"!!process.stop name:a":                      "Error: first; second: no process 'a'\n",
		"!!process.stop name:a format:json":          `{"error":"first\nsecond: no process 'a'","code":"not_found"}` + "\n",
		"!!process.stop format:json":                 `{"error":"line 1, column 1: process.stop needs the parameter name:NAME","code":"invalid"}` + "\n",
		"!!process.stpo name:a format:json":          `{"error":"line 1, column 1: no verb \"process.stpo\": did you mean process.stop?; !!help lists them","code":"invalid"}` + "\n",
		"!!process.stop format:json name:'a'b":       `{"error":"line 1, column 36: expected a blank after the closing quote, found \"b\"","code":"syntax"}` + "\n",
		"!!process.stop format:json name:\xff":       `{"error":"line 1, column 33: expected UTF-8, found the byte 0xff","code":"syntax"}` + "\n",
		"!!process.stop name:'a'b format:json":       "Error: line 1, column 24: expected a blank after the closing quote, found \"b\"\n",
		"!!process.list format:json\n!!process.list": "Error: 2 actions where one is expected\n",
	} {
		if got := answer(t, m, script); got != want {
			t.Errorf("%s:\ngot  %swant %s", script, got, want)
		}
	}
	m.err = errors.New("never seen before")
	if got := answer(t, m, "!!process.status name:a format:json"); got != `{"error":"never seen before","code":"internal"}`+"\n" {
		t.Errorf("got %s", got)
	}
}

func TestFailuresComeBackAsErrors(t *testing.T) {
	data, _ := json.Marshal(process.NewFailure(fmt.Errorf("stop: %w", process.ErrStuck)))
	var f process.Failure
	if err := json.Unmarshal(data, &f); err != nil || !errors.Is(f.Err(), process.ErrStuck) || f.Err().Error() != "stop: the tree could not be ended" {
		t.Errorf("%s is read as %v, %v", data, f, err)
	}
}

// TestRefusalsKeepWhatCanBeTold: the wire refuses scripts that nobody could read
// to their end.
func TestRefusalsKeepWhatCanBeTold(t *testing.T) {
	for script, want := range map[string]Answer{
		"!!process.list format:json jobid:j": {JSON: true, JobID: "j"},
		"!!process.list FORMAT:'json'":       {JSON: true},
		"!!process.list jobid:'a b'":         {},
		"!!process.list":                     {},
		"":                                   {},
		"!!process.start format:json jobid:j command:'never en": {JSON: true, JobID: "j"},
		"!!process.start jobid:é format:json x:'a\nb":           {JSON: true},
		"// é\n!!process.start jobid:j\n  é":                    {JobID: "j"},
		"!!process.start command:'a format:json ":               {},
		"!!process.start format:json command:'a\x00'":           {JSON: true},
		"!!process.start command:' format:json \xff'":           {},
		"!!process.start format:json command:'a\n\n\xe9'":       {JSON: true},
		"!!a format:json\n!!b format:json":                      {},
	} {
		got := Refuse(script, "too_long", "more than that")
		if got.JSON != want.JSON || got.JobID != want.JobID || !errors.Is(got.Err, process.ErrTooLong) || got.Err.Error() != "more than that" {
			t.Errorf("%q: got %+v", script, got)
		}
	}
}

func TestJobIDsAreEchoed(t *testing.T) {
	for script, want := range map[string]string{
		"!!process.list jobid:e42":               "e42",
		"!!process.list jobid:e42 format:yaml":   "e42",
		"!!process.list jobid:e42 nonsense":      "e42",
		"!!process.list jobid:'**ENDRESULT**\n'": "",
		"!!process.list":                         "",
	} {
		if got := RunText(context.Background(), &recorder{}, script); got.JobID != want {
			t.Errorf("%s: got %q", script, got.JobID)
		}
	}
}

func TestHelpComesFromTheTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(answer(t, nil, "!!help"))
	for _, v := range All() {
		b.WriteString("\n" + answer(t, nil, "!!help "+v.Name+"\n"))
		if answer(t, nil, "!!help "+v.Short()) != answer(t, nil, "!!help !!"+v.Name) {
			t.Errorf("%s has two helps", v.Name)
		}
	}
	golden(t, "help.txt", b.String())
}

func TestTheReportOfTheDoctor(t *testing.T) {
	r := process.Report{
		Kernel: "6.1.0-18-amd64", Hierarchy: process.HierarchyHybrid, Mount: "/sys/fs/cgroup/unified", Root: "/sys/fs/cgroup/unified/pm",
		Controllers: []string{"pids"}, Missing: []string{"cpu", "memory", "io"},
		Findings: []process.Finding{
			{Subject: "kernel", Level: process.LevelOK, Found: "6.1.0-18-amd64"},
			{Subject: "memory", Level: process.LevelNote, Found: strings.Repeat("many words that follow from it ", 5), Mend: "systemctl mend"},
			{Subject: "cpu", Level: process.LevelNote, Found: "not there", Mend: "systemctl mend"},
			{Subject: "state", Level: process.LevelProblem, Found: "it cannot be written"},
		},
	}
	b := answer(t, &recorder{report: r}, "!!doctor")
	r.Findings = r.Findings[:1]
	b += "\n" + answer(t, &recorder{report: r}, "!!doctor") + "\n" + indented(t, answer(t, &recorder{report: r}, "!!doctor format:json"))
	golden(t, "doctor.txt", b)
}

func TestLengthsOfTime(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0s", 0.004: "0.00s", 0.5: "0.50s", 1: "1s", 9.994: "9.99s", 10.9: "10s", 59.9: "59s", 60: "1m00s", 61.5: "1m01s", 3599: "59m59s", 3600: "1h00m", 86399: "23h59m",
		86400: "1d0h", 200000: "2d7h", 3153600000: "36500d0h",
	} {
		if got := Seconds(s); got != want {
			t.Errorf("%v: got %s, want %s", s, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 3 << 40: "3.0 TiB", 1 << 63: "8388608.0 TiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "a\nb": "a…", "\n a \n": "a", "abcdefgh": "abcdefgh", "abcdefghi": "abcdefg…", "ééééééééé": "ééééééé…", "a\tb": "a b", "a\x1bb": "a b", "a\xffb": "a�b",
	} {
		if got := firstLine(text, 8); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// An exec in JSON is one object a line: the run, pieces of its output, its end.
func TestExecTellsLineByLine(t *testing.T) {
	m := &recorder{status: process.Status{Condition: process.Condition{State: process.Failed}}}
	want := `{"name":"a","run":1}
{"name":"a","data":"hello","next":5}
{"name":"a","status":"failed","run":1,"cause":"exit","exit_code":3}
`
	if got := answer(t, m, "!!process.exec name:a command:b format:json"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	want = "hello\nprocess 'a': run 1 ended: exit, code 3\n"
	if got := answer(t, m, "!!process.exec name:a command:b"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
