package integration

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// named are the names that stand in an answer in JSON, an object or an array, with the
// codes of those that failed behind them.
func named(t *testing.T, text string) (names []string) {
	t.Helper()
	type one struct{ Name, Code string }
	var all []one
	if strings.HasPrefix(text, "{") {
		all = make([]one, 1)
		if err := json.Unmarshal([]byte(text), &all[0]); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	} else if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Errorf("%v in %s", err, text)
	}
	for _, o := range all {
		names = append(names, strings.TrimSpace(o.Name+" "+o.Code))
	}
	return names
}

// What cannot be done about one of several is told beside what was done about the others.
func TestVerbsTakeNamesAndPatterns(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range []string{"batch-1", "batch-2", "db", "web"} {
		d.start(process.Spec{Name: name, Command: "trap : HUP; while :; do sleep 0.02; done"})
	}
	const given = "web,nope,batch-*,x-*,web"
	want := []string{"web", "nope not_found", "batch-1", "batch-2", "x-* not_found"}
	w := d.session(t)
	for _, action := range []string{"restart", "list", "status", "signal signal:HUP", "set deadline:1h", "stop", "start", "stop", "runs limit:1", "delete"} {
		verb, rest, _ := strings.Cut(action, " ")
		line := "!!process." + verb + " " + rest + " name:" + given
		if got := named(t, w.ask(line+" format:json")); !slices.Equal(got, want) {
			t.Errorf("%s: %q", line, got)
		}
		if verb == "delete" {
			break
		}
		args := []string{verb, "web", "nope", "batch-*", "x-*"}
		if rest != "" {
			field, value, _ := strings.Cut(rest, ":")
			args = append(args, "-"+field, value)
		}
		r := d.pmclient(args...)
		code := 1
		if verb == "status" {
			code = 4
		}
		if r.code != code || strings.Contains(r.stdout, "nope") || !strings.Contains(r.stdout, "web") || !strings.Contains(r.stdout, "batch-2") || strings.Contains(r.stdout, "'db'") ||
			r.stderr != "pmclient: no process 'nope'; no process matches 'x-*'; 'pmclient list' shows the names\n" {
			t.Errorf("%s: %+v", action, r)
		}
		if text := w.ask(line); !strings.Contains(text, "Error: no process 'nope'\n") || !strings.Contains(text, "Error: no process matches 'x-*'\n") || !strings.Contains(text, "batch-1") {
			t.Errorf("%s: %s", action, text)
		}
	}
	if all := d.list(); len(all) != 1 || all[0].Name != "db" || all[0].State != process.Running || all[0].Number != 1 || all[0].Deadline != 0 {
		t.Errorf("the one that was not named: %+v", all)
	}
}

// Where nothing is selected the request fails. One plain name gives an object, else there
// is an array.
func TestSelectionOfNothingOrOne(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "trap : HUP; while :; do sleep 0.02; done"})
	w := d.session(t)
	for _, action := range []string{"status", "start", "restart", "signal signal:HUP", "set deadline:1h", "stop", "runs", "list", "delete"} {
		verb, rest, _ := strings.Cut(action, " ")
		ask := func(name string) string {
			return strings.TrimSuffix(w.ask("!!process."+verb+" "+rest+" format:json name:"+name), "\n")
		}
		code := 1
		if verb == "status" {
			code = 4
		}
		for name, message := range map[string]string{"nope": "no process 'nope'", "no*": "no process matches 'no*'"} {
			args := []string{verb, name}
			if rest != "" {
				field, value, _ := strings.Cut(rest, ":")
				args = append(args, "-"+field, value)
			}
			if r := d.pmclient(args...); r.code != code || r.stdout != "" || r.stderr != "pmclient: "+message+"; 'pmclient list' shows the names\n" && verb+name != "startnope" {
				t.Errorf("%s %s: %+v", verb, name, r)
			}
			if got := ask(name); verb != "list" && got != `{"error":"`+message+`","code":"not_found"}` {
				t.Errorf("%s %s: %s", verb, name, got)
			}
		}
		for _, bad := range []string{"'a b'", "'a,'", "','", "'a/b'", "'../x'", "'[a'", "-a", "'a\n'", "a" + strings.Repeat("b", 200), "''", "'\x1b[2J'", "'é'", strings.Repeat("a,", 40000) + "a"} {
			if got := ask(bad); !strings.Contains(got, `"code":"invalid"`) || !strings.Contains(got, "name: ") || len(got) > 500 {
				t.Errorf("%s %.20q: %.600s", verb, bad, got)
			}
		}
		object := byte('{')
		if verb == "runs" || verb == "list" {
			object = '['
		}
		if verb != "delete" {
			if got := ask("web"); got[0] != object {
				t.Errorf("%s web: %s", verb, got)
			}
		}
		if got := ask("w*"); got[0] != '[' {
			t.Errorf("%s w*: %s", verb, got)
		}
	}
}

// The Go client has what failed in its place.
func TestGoClientTakesNamesAndPatterns(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, name := range []string{"a1", "a2"} {
		d.finished(name, "exit 3")
	}
	pm := d.client()
	runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"a2", "nope", "a*"}})
	if err != nil || len(runs) != 3 || runs[0].Name != "a2" || *runs[0].ExitCode != 3 || runs[1].Name != "nope" || !errors.Is(runs[1].Err, process.ErrNotFound) || runs[2].Name != "a1" || runs[2].Err != nil {
		t.Errorf("%+v, %v", runs, err)
	}
	if runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"nope"}}); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%+v, %v", runs, err)
	}
	for _, ask := range []func() ([]process.Outcome, error){
		func() ([]process.Outcome, error) {
			return pm.Show(d.context(), process.Selection{"nope", "a*"}, process.Full)
		},
		func() ([]process.Outcome, error) {
			return pm.Do(d.context(), process.Selection{"nope", "a*"}, process.Stop{})
		},
	} {
		list, err := ask()
		if err != nil || len(list) != 3 || !errors.Is(list[0].Err, process.ErrNotFound) || list[0].Name != "nope" || list[1].Name != "a1" || list[2].Err != nil || list[2].Status.State != process.Failed {
			t.Errorf("%+v, %v", list, err)
		}
	}
	if list, err := pm.Do(d.context(), process.Selection{"b*"}, process.Stop{}); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%+v, %v", list, err)
	}
}

// The exit code is that of the worst, in text and in JSON.
func TestExitCodeOfSeveral(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "up", Command: "exec sleep 1000"})
	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@daily"}})
	d.finished("done", "true")
	d.finished("failed", "false")
	for line, code := range map[string]int{
		"status up timed": 0, "status up done": 3, "status failed": 3, "status done up": 3, "status *": 3, "status up nope": 4, "status nope done": 4, "status no*": 4, "status up no*": 4,
		"list": 0, "list up": 0, "list up nope": 1, "list no*": 1, "runs up": 0, "runs done nope": 1, "stop done nope": 1, "stop done done": 0, "start up": 0, "signal done -signal HUP": 1,
		"signal up done -signal CONT": 1, "set up": 2, "set up -deadline x": 2, "set up -cron=CRON_TZ=Mars/X_0_3_*_*_*": 2, "signal up": 2, "events -since x": 2, "events up": 0, "runs": 2, "stop a,,b": 2,
		"start a b -command true": 2, "start a* -command true": 2, "start up -deadline 1": 2, "start up -replace": 2, "frobnicate": 2,
	} {
		for _, format := range [][]string{nil, {"-format", "json"}} {
			args := append(strings.Fields(line), format...)
			r := d.pmclient(args...)
			silent := code == 0 || code == 3
			if r.code != code || (r.stderr == "") != silent || strings.Count(r.stderr, "\n") > 1 {
				t.Errorf("%s %s: %+v, want %d", line, format, r, code)
			}
		}
	}
	args := func(socket, secret string) []string {
		return []string{programs.client, "-socket", socket, "-secret", secret, "status", "up"}
	}
	for code, args := range map[int][]string{69: args(d.dir+"/none", theSecret), 77: args(d.socket, "wrong")} {
		if r := d.execute(args...); r.code != code || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%+v, want %d", r, code)
		}
	}
}
