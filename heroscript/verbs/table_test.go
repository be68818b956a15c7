package verbs

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

// TestTheTableRefuses holds the errors to testdata/errors.hero, and makes sure
// that the manager was never asked.
func TestTheTableRefuses(t *testing.T) {
	data, err := os.ReadFile("testdata/errors.hero")
	if err != nil {
		t.Fatal(err)
	}
	var script []string
	cases := 0
	for i, line := range strings.Split(string(data), "\n") {
		if text, ok := strings.CutPrefix(line, "|"); ok {
			script = append(script, strings.TrimPrefix(text, " "))
			continue
		}
		want, ok := strings.CutPrefix(line, "\t")
		if !ok {
			continue
		}
		cases++
		m := &recorder{}
		answer := RunText(context.Background(), m, strings.Join(script, "\n"))
		var failed *process.Error
		if !errors.As(answer.Err, &failed) {
			t.Errorf("line %d: got %v, want an Error", i+1, answer.Err)
		} else if got := string(failed.Code) + ": " + failed.Message; got != want {
			t.Errorf("line %d:\ngot  %s\nwant %s", i+1, got, want)
		}
		if len(m.asked) > 0 {
			t.Errorf("line %d: the manager was asked: %q", i+1, m.asked)
		}
		script = nil
	}
	if cases < 30 {
		t.Errorf("only %d cases were found", cases)
	}
}

func TestVerbsAskTheManager(t *testing.T) {
	for script, want := range map[string]string{
		"!!process.list":                                          "show ",
		"!!process.list format:json jobid:e42":                    "show ",
		"!!process.list name:'a,b'":                               "show a,b",
		"!!process.status name:a":                                 "show a",
		"!!process.status name:a id:7":                            "show a",
		"!!process.stop name:'a'":                                 "process.Stop {} of a",
		"!!process.stop name:a,b":                                 "process.Stop {} of a,b",
		"!!process.restart name:a":                                "process.Restart {JobID: Wait:} of a",
		"!!process.restart name:a jobid:e42":                      "process.Restart {JobID:e42 Wait:} of a",
		"!!process.trigger name:a":                                "process.Trigger {JobID: Wait:} of a",
		"!!process.trigger name:a wait jobid:j":                   "process.Trigger {JobID:j Wait:end} of a",
		"!!process.delete name:a":                                 "process.Delete {} of a",
		"!!process.signal name:a signal:hup":                      "process.SendSignal {Signal:HUP Tree:false} of a",
		"!!process.signal name:a signal:9 tree":                   "process.SendSignal {Signal:KILL Tree:true} of a",
		"!!process.set name:a log:no stop_timeout:'' deadline:2m": "process.Set {Settings:[{Field:log Value:no} {Field:stop_timeout Value:} {Field:deadline Value:2m}]} of a",
		"!!process.ledger name:a,b*":                              "ledger a,b* since 0001-01-01T00:00:00Z",
		"!!process.ledger name:a since:2026-01-31":                "ledger a since 2026-01-31T00:00:00Z",
		"!!process.schedule_pause name:a":                         "process.SchedulePause {} of a",
		"!!process.schedule_resume name:a,b":                      "process.ScheduleResume {} of a,b",
		"!!process.skip_next name:a":                              "process.SkipNext {} of a",
		"!!process.next":                                          "next  1",
		"!!process.next name:a":                                   "next a 5",
		"!!process.next name:a,b":                                 "next a,b 1",
		"!!process.next name:a limit:1000":                        "next a 1000",
		"!!process.exec name:a command:b rm":                      `exec a "b" rm:true run:0 from:0`,
		"!!process.exec name:a run:3 from:17":                     `exec a "" rm:false run:3 from:17`,
		"!!process.wait name:a":                                   "await a {Until:end Runs:[] Timeout:0s}",
		"!!process.wait name:a,b* for:stopped timeout:2m run:3,0": "await a,b* {Until:stopped Runs:[3 0] Timeout:2m0s}",
		"!!process.runs name:a limit:3":                           "!!process.runs name:a limit:3",
		"!!process.runs all failed cause:oom job:n1 jobid:x since:2026-01-31T12:00:00+01:00 until:2026-02-01T00:00:00Z": "!!process.runs all:true since:2026-01-31T11:00:00Z until:2026-02-01T00:00:00Z cause:oom failed:true job:n1",
		"!!process.events":                                          "!!process.events since:0",
		"!!process.events since:7 name:a* follow":                   "!!process.events since:7 name:a* follow:true",
		"!!process.events since:'2026-01-31 12:00' failed limit:20": "!!process.events since:2026-01-31T12:00:00Z failed:true limit:20",
		"!!process.figures":                                         "!!process.figures",
		"!!process.figures follow":                                  "!!process.figures follow:true",
		"!!doctor":                                                  "doctor",
		"!!process.log name:a":                                      "show a, log a 100",
		"!!process.logs name:a lines:7":                             "show a, log a 7",
		"!!process.log name:a from:0":                               "show a, log a 0",
		"!!process.start name:a":                                    "process.StartAgain {JobID: Wait:} of a",
		"!!process.start name:a,b jobid:j":                          "process.StartAgain {JobID:j Wait:} of a,b",
		"!!process.start NAME:a command:'b\n c'":                    "start " + spec("command:b\n c"),
		"!!process.start name:a command:b log":                      "start " + spec("command:b", "log:true"),
		"!!process.start name:a command:b job_id:j":                 "start " + spec("command:b", "jobid:j"),
		"!!process.start name:a command:b log:off deadline:0 cron:'' format:table":       "start " + spec("command:b"),
		"!!process.start name:a command:b replace":                                       "start " + spec("command:b") + ", replace",
		"!!process.start name:a command:b deadline:0.5 cron:'0 0 * * *' stop_signal:int": "start " + spec("command:b", "cron:0 0 * * *", "deadline:0.5", "stop_signal:INT"),
		"!!process.start name:a wait":                                                    "process.StartAgain {JobID: Wait:end} of a",
		"!!process.start name:a wait:ready":                                              "process.StartAgain {JobID: Wait:ready} of a",
		"!!process.start name:a wait:end":                                                "process.StartAgain {JobID: Wait:end} of a",
		"!!process.restart name:a wait:ready jobid:j":                                    "process.Restart {JobID:j Wait:ready} of a",
		"!!process.start name:a command:b wait:ready":                                    "start " + spec("command:b") + ", wait ready",
	} {
		m := &recorder{}
		answer := RunText(context.Background(), m, script)
		if err := cmp.Or(answer.Err, answer.Write(io.Discard)); err != nil { // a log is read when it is written
			t.Errorf("%s: %v", script, err)
		}
		if strings.Join(m.asked, ", ") != want {
			t.Errorf("%s:\ngot  %q\nwant %q", script, m.asked, want)
		}
	}
}

// spec is what a recorder notes of a spec of a with these settings.
func spec(settings ...string) string {
	return "{" + strings.Join(append([]string{"name:a"}, settings...), " ") + "}"
}

// An action that was not read from a text has no place in one.
func TestErrorsOfBuiltActionsNameNoPlace(t *testing.T) {
	for _, a := range []heroscript.Action{
		NewAction("process.strt"),
		NewAction("process.stop"),
		NewAction("process.stop", "name", "a", "name", "b"),
		NewAction("process.stop", "nam", "a"),
		NewAction("process.stop", "name", "-"),
	} {
		err := Check(a)
		if !errors.Is(err, process.ErrInvalid) || strings.Contains(err.Error(), "line") {
			t.Errorf("%v: got %v", a, err)
		}
	}
	if err := Check(NewAction("process.stop", "name", "a")); err != nil {
		t.Error(err)
	}
}

func TestLookupTakesTheShortName(t *testing.T) {
	for _, v := range All() {
		for _, name := range []string{v.Name, v.Short()} {
			if got, ok := Lookup(name); !ok || got.Name != v.Name {
				t.Errorf("%s: got %v", name, got)
			}
		}
		if !v.Takes("format") || !v.Takes("jobid") {
			t.Errorf("%s does not take what every verb takes", v.Name)
		}
		if strings.HasSuffix(v.Help, " ") || !strings.HasSuffix(v.Help, ".") || strings.Contains(v.Help, "\n") {
			t.Errorf("%s: the help is not one sentence: %q", v.Name, v.Help)
		}
	}
	for _, name := range []string{"", "process", "process.", ".start", "START"} {
		if v, ok := Lookup(name); ok {
			t.Errorf("%q: got %s", name, v.Name)
		}
	}
}

// Two verbs share the table's rows; neither may see the other's.
func TestAllParamsIsACopy(t *testing.T) {
	v, _ := Lookup("start")
	first := v.AllParams()
	first[len(first)-1].Name = "changed"
	if !v.Takes("jobid") || v.AllParams()[len(first)-1].Name != "jobid" {
		t.Error("the table was changed")
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"cron", "corn", 1}, {"stauts", "start", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := Nearest("stauts").Short(); got != "status" {
		t.Errorf("stauts: %s", got)
	}
	if got := nearest("zzzz", []string{"name", "log"}); got != "" {
		t.Errorf("nothing is near, got %q", got)
	}
}
