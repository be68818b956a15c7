package process

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full is a spec in which no field is as by default.
func full() Spec {
	return Spec{
		Name: "web", Command: "echo 'a' > \"b\" && c", Dir: "/srv",
		Schedule: Schedule{Cron: "@daily"},
		Restarting: Restarting{Restart: RestartOnFailure, RestartDelay: 2 * time.Second, RestartMaxDelay: 90 * time.Second,
			RestartLimit: 5, RestartWindow: 10 * time.Minute, SuccessCodes: "0,143", Autostart: true},
		Probing: Probing{Ready: "log:up", ReadyTimeout: time.Minute + time.Second, Health: "tcp:[::1]:80", HealthPeriod: time.Second,
			HealthTimeout: 2 * time.Second, HealthFailures: 5, HealthAction: HealthNone, Watchdog: 30 * time.Second},
		Ordering: Ordering{Needs: "db,migrate:completed", After: "cache"},
		Ending:   Ending{Deadline: 1500 * time.Millisecond, StopSignal: 2, StopTimeout: new(time.Duration)},
		Logging:  Logging{Log: true, LogMaxSize: 1 << 20, LogMaxFiles: 3, LogMaxAge: time.Hour, LogMaxTotal: 1 << 30, LogBlock: true},
	}
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
	for _, group := range []any{Schedule{}, Probing{}, Restarting{}, Ordering{}, Ending{}, Logging{}} {
		count += reflect.TypeOf(group).NumField()
	}
	if count += 2; count != len(Fields) { // Command, Dir
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
	want := `{"name":"web","command":"echo 'a' > \"b\" && c","dir":"/srv","cron":"@daily","ready_probe":"log:up","ready_timeout_seconds":61,"health_probe":"tcp:[::1]:80","health_period_seconds":1,"health_timeout_seconds":2,"health_failures":5,"health_action":"none","watchdog_seconds":30,` +
		`"needs":"db,migrate:completed","after":"cache",` +
		`"restart":"on-failure","restart_delay_seconds":2,"restart_max_delay_seconds":90,"restart_limit":5,"restart_window_seconds":600,"success_codes":"0,143","autostart":true,` +
		`"deadline_seconds":1.5,"stop_signal":"INT",` +
		`"stop_timeout_seconds":0,"log_enabled":true,"log_max_size":1048576,"log_max_files":3,"log_max_age":3600,"log_max_total":1073741824,"log_full":"block"}`
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
