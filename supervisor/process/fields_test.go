package process

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full is a spec in which no field is as by default.
func full() Spec {
	return Spec{
		Name: "web", Command: "echo 'a' > \"b\" && c", Dir: "/srv",
		Environment: Environment{Env: "A=1\nB=x=y ", EnvFile: "-/etc/web.env", User: "www-data", Group: "33", Umask: "0027", Nice: -5,
			OOMScoreAdj: -1000, NoNewPrivileges: true, Rlimits: allRlimits(), Stdin: "file:/srv/input"},
		Limits: Limits{MemoryMax: 2 << 30, MemoryHigh: 1 << 30, MemoryLow: 1 << 20, SwapMax: new(int64), CPUMax: 150_500, CPUWeight: 50, PidsMax: 100,
			IOWeight: 200, IOMax: "/srv rbps=1048576 wiops=100", CPUSet: "0-3,6", OOMKill: true},
		Schedule: Schedule{Cron: "@daily", TZ: "Europe/Brussels", Jitter: 5 * time.Minute, Overlapping: Overlapping{Overlap: OverlapAllow, OverlapMax: 3}, Catchup: CatchupLatest, CatchupWindow: time.Hour},
		Restarting: Restarting{Restart: RestartOnFailure, RestartDelay: 2 * time.Second, RestartMaxDelay: 90 * time.Second,
			RestartLimit: 5, RestartWindow: 10 * time.Minute, SuccessCodes: "0,143", Autostart: true},
		Probing: Probing{Ready: "log:up", ReadyTimeout: time.Minute + time.Second, Health: "tcp:[::1]:80", HealthPeriod: time.Second,
			HealthTimeout: 2 * time.Second, HealthFailures: 5, HealthAction: HealthNone, Watchdog: 30 * time.Second},
		Ordering:  Ordering{Needs: "db,migrate:completed", After: "cache"},
		Ending:    Ending{Deadline: 1500 * time.Millisecond, StopSignal: 2, StopTimeout: new(time.Duration)},
		Logging:   Logging{Log: true, LogMaxSize: 1 << 20, LogMaxFiles: 3, LogMaxAge: time.Hour, LogMaxTotal: 1 << 30, LogBlock: true},
		Retention: Retention{History: 7}, Telling: Telling{OnFailure: "mail -s 'it failed' root"},
	}
}

// allRlimits has a limit of each resource.
func allRlimits() (all Rlimits) {
	for i := range all {
		all[i] = fmt.Sprintf("%d:unlimited", i)
	}
	return all
}

// Every field of Spec but its name and job id has one row, with a name of its own, and
// its default is what it is documented to be.
func TestTheTableHasEveryField(t *testing.T) {
	s := full()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	seen := map[any]string{}
	for i := range Fields {
		f := &Fields[i]
		if f.Text(s) == "" {
			t.Errorf("%s: a spec in which every field is set has none", f.Name)
		}
		if f.Text(Spec{}) != "" {
			t.Errorf("%s: an empty spec has %s", f.Name, f.Text(Spec{}))
		}
		if at := f.in(&s); seen[at] != "" {
			t.Errorf("%s and %s are the same field", f.Name, seen[at])
		} else {
			seen[at] = f.Name
		}
		if f.Default != "" {
			if err := f.Set(&Spec{}, f.Default); err != nil {
				t.Errorf("%s: its default: %v", f.Name, err)
			}
		}
		if f.Help == "" || strings.HasSuffix(f.Help, ".") || f.Group == "" {
			t.Errorf("%s: no group, or its help is not one line without a stop: %s", f.Name, f.Help)
		}
	}
	count := 0
	for _, group := range []any{Environment{}, Limits{}, Schedule{}, Overlapping{}, Probing{}, Restarting{}, Ordering{}, Ending{}, Logging{}, Retention{}, Telling{}} {
		for i := range reflect.TypeOf(group).NumField() {
			if field := reflect.TypeOf(group).Field(i).Type; field.Kind() == reflect.Array {
				count += field.Len()
			} else {
				count++
			}
		}
	}
	if count += 1; count != len(Fields) { // Command, Dir, and Overlapping is none
		t.Errorf("%d rows for %d fields", len(Fields), count)
	}
}

// What Text gives, Set takes; and JSON gives back what it was given.
func TestFieldsAreReadBack(t *testing.T) {
	for _, s := range []Spec{{Name: "a", Command: "true"}, full()} {
		var back Spec
		for i := range Fields {
			if err := Fields[i].Set(&back, Fields[i].Text(s)); err != nil {
				t.Errorf("%s: %v", Fields[i].Name, err)
			}
		}
		if back.Name = s.Name; !reflect.DeepEqual(back, s) {
			t.Errorf("got %+v\nwant %+v", back, s)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again Spec
		if err := json.Unmarshal(data, &again); err != nil || len(Differences(again, s)) > 0 || again.Name != s.Name {
			t.Errorf("%s: got %+v, %v\nwant %+v", data, again, err, s)
		}
	}
}

func TestJSONHasUnitsAndTheNamesThatClientsRead(t *testing.T) {
	data, err := full().MarshalJSON()
	want := `{"name":"web","command":"echo 'a' > \"b\" && c","dir":"/srv","env":"A=1\nB=x=y ","env_file":"-/etc/web.env","user":"www-data","group":"33",` +
		`"umask":"0027","nice":-5,"oom_score_adj":-1000,"no_new_privileges":true,"stdin":"file:/srv/input",` +
		`"rlimit_as":"0:unlimited","rlimit_core":"1:unlimited","rlimit_cpu":"2:unlimited","rlimit_data":"3:unlimited",` +
		`"rlimit_fsize":"4:unlimited","rlimit_locks":"5:unlimited","rlimit_memlock":"6:unlimited","rlimit_msgqueue":"7:unlimited",` +
		`"rlimit_nice":"8:unlimited","rlimit_nofile":"9:unlimited","rlimit_nproc":"10:unlimited","rlimit_rss":"11:unlimited",` +
		`"rlimit_rtprio":"12:unlimited","rlimit_rttime":"13:unlimited","rlimit_sigpending":"14:unlimited","rlimit_stack":"15:unlimited",` +
		`"memory_max_bytes":2147483648,"memory_high_bytes":1073741824,"memory_low_bytes":1048576,"swap_max_bytes":0,"cpu_max_percent":150.5,"cpu_weight":50,"pids_max":100,` +
		`"io_weight":200,"io_max":"/srv rbps=1048576 wiops=100","cpuset_cpus":"0-3,6","oom_policy":"kill","cron":"@daily","tz":"Europe/Brussels","jitter_seconds":300,"overlap":"allow","overlap_max":3,"catchup":"latest","catchup_window_seconds":3600,` +
		`"ready_probe":"log:up","ready_timeout_seconds":61,"health_probe":"tcp:[::1]:80","health_period_seconds":1,"health_timeout_seconds":2,"health_failures":5,"health_action":"none","watchdog_seconds":30,"needs":"db,migrate:completed","after":"cache",` +
		`"restart":"on-failure","restart_delay_seconds":2,"restart_max_delay_seconds":90,"restart_limit":5,"restart_window_seconds":600,"success_codes":"0,143","autostart":true,` +
		`"deadline_seconds":1.5,"stop_signal":"INT",` +
		`"stop_timeout_seconds":0,"log_enabled":true,"log_max_size":1048576,"log_max_files":3,"log_max_age":3600,"log_max_total":1073741824,"log_full":"block","history":7,"on_failure":"mail -s 'it failed' root"}`
	if string(data) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", data, err, want)
	}
	data, err = json.Marshal(Spec{Name: "a", Command: "b"})
	want = `{"name":"a","command":"b","log_enabled":false}`
	if string(data) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", data, err, want)
	}
}

func TestStatusIsOneJSONObject(t *testing.T) {
	s := NewStatus(full(), Running)
	s.PID, s.Number, s.Run.JobID, s.LastRun = 7, 3, "e42", &Run{Number: 2, Cause: CauseExit}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"name":"web"`, `"status":"running"`, `"pid":7`, `"run":3`, `"job_id":"e42"`, `"deadline":2`, `"last_run":{"run":2`} {
		if strings.Count(string(data), part) != 1 {
			t.Errorf("%s is not there once: %s", part, data)
		}
	}
	if strings.Contains(string(data), "x=y") || !strings.Contains(string(data), `"env":["A","B"]`) {
		t.Errorf("it shows what a variable holds, or not its name: %s", data)
	}
	var back Status
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("got %+v, %v\nwant %+v", back, err, s)
	}
}

// What is given as the default is the same spec as one in which it is not given.
func TestDifferences(t *testing.T) {
	a := Spec{Name: "a", Command: "true"}
	b := a
	b.StopSignal, b.StopTimeout = TERM, new(DefaultStopTimeout)
	if d := Differences(a, b); len(d) > 0 {
		t.Errorf("%s differs", d[0].Name)
	}
	b.Deadline, b.Log = time.Second, true
	var names []string
	for _, f := range Differences(a, b) {
		names = append(names, f.Name)
	}
	if !reflect.DeepEqual(names, []string{"deadline", "log"}) {
		t.Errorf("got %v", names)
	}
}

func TestSetSaysWhatIsWrong(t *testing.T) {
	for name, texts := range map[string][]string{
		"command":           {" ", "a\x00", strings.Repeat("x", MaxCommand+1)},
		"dir":               {"srv", "a\x00", "/" + strings.Repeat("x", 4096)},
		"deadline":          {"x", "-1", "101y", "36501d"},
		"stop_signal":       {"NOPE", "0", "65", "-1"},
		"stop_timeout":      {"x", "-1s"},
		"log":               {"maybe"},
		"log_max_size":      {"10", "4K ", "-1", "1X", "3K"},
		"log_max_files":     {"-1", "x", "1.5", "10001"},
		"log_max_total":     {"15K"},
		"log_full":          {"true", "Block"},
		"restart":           {"yes", "On-failure", "on_failure", "1"},
		"restart_delay":     {"x", "-1", "101y", "1e99"},
		"restart_max_delay": {"x", "-1s", "36501d"},
		"restart_limit":     {"-1", "x", "1.5", "1001", "99999999999999999999"},
		"restart_window":    {"x", "-1"},
		"success_codes":     {"256", "-1", "0 143", "0;143", ",", "0,", "TERM", "99999999999999999999", strings.Repeat("0,", 2000) + "0"},
		"autostart":         {"maybe", "2"},
		"env":               {"A", "A=1\nB", "=1", "1A=1", "A B=1", "A-B=1", "A=1\nA=2", "A=\x00", "A=\xff", "PROCESSMANAGER_RUN=7", "\xff=1", "A=" + strings.Repeat("x", MaxEnv)},
		"env_file":          {"etc/x", "-", "--/x", "/x\x00", "-x"},
		"user":              {"a b", "a:b", "-1", "4294967295", "99999999999999999999", "a\n", "\xff", "a/b", strings.Repeat("u", MaxAccount+1), " "},
		"group":             {"a,b", "+7", "4294967295"},
		"umask":             {"8", "1000", "0o27", "-1", "00022", "rwx", "0x1"},
		"nice":              {"-21", "20", "x", "1.5", "99999999999999999999"},
		"oom_score_adj":     {"-1001", "1001", "-", "-9223372036854775809"},
		"no_new_privileges": {"maybe"},
		"stdin":             {"file:", "file:x", "/x", "Null", "file:/a\x00"},
		"rlimit_nofile":     {"x", "-1", "1:", ":1", "1:2:3", "2:1", "unlimited:1", "1K", "1.5", "99999999999999999999", "Unlimited", " 1", "+1"},
		"rlimit_as":         {"x", "-1", "1X", "2M:1M", "9223372036854775808"},
		"rlimit_cpu":        {"1.5", "x", "-1s", "101y"},
		"rlimit_rttime":     {"0.0000001", "x"},
		"rlimit_nice":       {"41", "-1"},
		"memory_max":        {"x", "-1", "0", "64", "1X", "max"},
		"memory_high":       {"0", "100", "10%"},
		"memory_low":        {"x", "-1"},
		"swap_max":          {"x", "-1", "1.5M"},
		"cpu_max":           {"x", "-1", "0", "0%", "0.5%", "0.001", "10001", "1,5", "150 %", "1e3", ".5", "5.", "99999999999"},
		"cpu_weight":        {"0", "10001", "-1", "x", "1.5"},
		"pids_max":          {"0", "-1", "x", "4194305", "max"},
		"io_weight":         {"0", "10001", "x"},
		"io_max":            {"/srv", "rbps=1M", "srv rbps=1M", "/srv rbps=0", "/srv rbps=x", "/srv rbps=1M rbps=2M", "/srv bps=1", "/srv wiops=1K", "/srv wiops=4294967296", "/a rbps=1\n/a wbps=1", "/\x00 rbps=1", "/" + strings.Repeat("x", 4096) + " rbps=1", "/srv rbps=1M x"},
		"cpuset_cpus":       {"x", "-1", "1-", "3-1", "8192", "0,,1", "0:1", "all", "0 1", "99999999999999999999", strings.Repeat("0-8191,", 1000) + "0"},
		"oom":               {"yes", "Kill", "true"},
		"rlimit_rtprio":     {"100", "1:100"},
	} {
		f := FieldNamed(name)
		if f == nil {
			t.Fatalf("no field %s", name)
		}
		for _, text := range texts {
			if err := f.Set(&Spec{}, text); err == nil {
				t.Errorf("%s takes %.40q", name, text)
			} else if strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 400 {
				t.Errorf("%s: %.40q: the error is not one short line: %v", name, text, err)
			}
		}
	}
	for i := range Fields {
		s := full()
		if Fields[i].Name == "command" {
			continue // which has no default
		}
		if err := Fields[i].Set(&s, ""); err != nil || Fields[i].Text(s) != "" {
			t.Errorf("%s: empty is not its default: %v", Fields[i].Name, err)
		}
	}
}

// What means the same is kept the same way, so that it is no difference.
func TestTextsOfTheEnvironmentAreKeptInOneWay(t *testing.T) {
	for _, c := range []struct{ field, given, kept string }{
		{"env", "B=2\n\n  A= 1 \n\tC=\n", "A= 1 \nB=2\nC="},
		{"env", "A=b=c", "A=b=c"},
		{"umask", "27", "0027"},
		{"umask", "0", "0000"},
		{"rlimit_nofile", "1024:1024", "1024"},
		{"rlimit_nofile", "0010:infinity", "10:unlimited"},
		{"rlimit_nofile", "unlimited", "unlimited"},
		{"rlimit_nofile", "0", "0"},
		{"rlimit_as", "64K:1M", "65536:1048576"},
		{"rlimit_cpu", "10m:1h", "600:3600"},
		{"rlimit_rttime", "200ms:1.5", "0.2:1.5"},
		{"rlimit_nice", "40", "40"},
		{"memory_max", "64M", "67108864"},
		{"swap_max", "0", "0"},
		{"cpu_max", "1.5", "150%"},
		{"cpu_max", "150%", "150%"},
		{"cpu_max", "0.015", "1.5%"},
		{"cpu_max", "33.3333%", "33.333%"},
		{"cpu_max", "10000", "1000000%"},
		{"cpuset_cpus", "3, 1,0 ,2,7,5-6", "0-3,5-7"},
		{"cpuset_cpus", "1-1", "1"},
		{"io_max", " /srv  wiops=7 rbps=1M \n\n/a b rbps=10", "/a b rbps=10\n/srv rbps=1048576 wiops=7"},
		{"io_max", "/dev/vda rbps=1 wbps=2 riops=3 wiops=4", "/dev/vda rbps=1 wbps=2 riops=3 wiops=4"},
		{"io_max", "/x=1 y rbps=1", "/x=1 y rbps=1"},
	} {
		var s Spec
		f := FieldNamed(c.field)
		if err := f.Set(&s, c.given); err != nil || f.Text(s) != c.kept {
			t.Errorf("%s: %q is kept as %q, %v", c.field, c.given, f.Text(s), err)
		}
	}
}

func TestLimitsAreInTheUnitOfSetrlimit(t *testing.T) {
	var s Spec
	for name, text := range map[string]string{"rlimit_core": "0", "rlimit_cpu": "10m:unlimited", "rlimit_rttime": "0.5", "rlimit_stack": "8M", "rlimit_nofile": "10:20"} {
		if err := FieldNamed(name).Set(&s, text); err != nil {
			t.Fatal(err)
		}
	}
	want := []Rlimit{{"core", 0, 0}, {"cpu", 600, Unlimited}, {"nofile", 10, 20}, {"rttime", 500000, 500000}, {"stack", 8 << 20, 8 << 20}}
	if got := s.ResourceLimits(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// Neither an error nor a status tells what a variable holds.
func TestWhatAVariableHoldsIsNotTold(t *testing.T) {
	for _, text := range []string{"hunter2", "A=1\nhunter2", "A=hunter2\nA=hunter2", "A=hunter2\x00", "A=hunter2\xff", "hunter2 =x", "PROCESSMANAGER_NAME=hunter2", "A=" + strings.Repeat("hunter2", MaxEnv)} {
		err := FieldNamed("env").Set(&Spec{}, text)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	s := NewStatus(Spec{Name: "a", Command: "true", Environment: Environment{Env: "A=hunter2\nB=hunter2"}}, Running)
	if text := fmt.Sprintf("%+v", s); strings.Contains(text, "hunter2") || s.Env != "A\nB" {
		t.Errorf("%s", text)
	}
	if got := FieldNamed("env").Shown(Spec{Environment: Environment{Env: "A=hunter2\nB=hunter2"}}); got != "A, B" {
		t.Errorf("%q", got)
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add("A=1\n B=2", "10:20", "027")
	f.Fuzz(func(t *testing.T, env, limit, umask string) {
		for name, text := range map[string]string{"env": env, "rlimit_as": limit, "rlimit_cpu": limit, "rlimit_nofile": limit, "umask": umask} {
			var s, again Spec
			f := FieldNamed(name)
			if f.Set(&s, text) != nil {
				continue
			}
			if err := f.Set(&again, f.Text(s)); err != nil || again != s {
				t.Errorf("%s: %q is kept as %q, and that as %q, %v", name, text, f.Text(s), f.Text(again), err)
			}
			s.ResourceLimits()
			s.Mask()
		}
	})
}

// Limits that cannot hold side by side are refused in one line that says which.
func TestLimitsThatContradictEachOther(t *testing.T) {
	for want, l := range map[string]Limits{
		"":              {MemoryMax: 1 << 20, MemoryHigh: 1 << 20, MemoryLow: 1 << 20},
		"memory_high: ": {MemoryMax: 1 << 20, MemoryHigh: 1<<20 + 1},
		"memory_low: ":  {MemoryMax: 1 << 20, MemoryLow: 1<<20 + 1},
	} {
		s := Spec{Name: "a", Command: "true", Limits: l}
		switch err := s.Validate(); {
		case (err == nil) != (want == ""):
			t.Errorf("%+v: %v", l, err)
		case err != nil && (!strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "more than memory_max (1M) lets it use")):
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add("/srv rbps=1M", "0-3,6", "150%")
	f.Fuzz(func(t *testing.T, devices, cpus, share string) {
		for name, text := range map[string]string{"io_max": devices, "cpuset_cpus": cpus, "cpu_max": share} {
			var s, again Spec
			f := FieldNamed(name)
			if f.Set(&s, text) != nil {
				continue
			}
			if err := f.Set(&again, f.Text(s)); err != nil || again != s {
				t.Errorf("%s: %q is kept as %q, and that as %q, %v", name, text, f.Text(s), f.Text(again), err)
			}
			if n := len(s.Devices()); s.IOMax != "" && n != strings.Count(s.IOMax, "\n")+1 {
				t.Errorf("%q: %d devices", s.IOMax, n)
			}
		}
	})
}

func TestAWordThatIsNoChoiceIsToldTheChoices(t *testing.T) {
	for field, want := range map[string]string{
		"restart":       `"often" is not one of no, on-failure, always`,
		"health_action": `"often" is neither restart nor none`,
		"log_full":      `"often" is neither drop nor block`,
	} {
		if err := FieldNamed(field).Set(&Spec{}, "often"); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", field, err, want)
		}
	}
}
