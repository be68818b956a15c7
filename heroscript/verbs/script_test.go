package verbs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestScriptsAreCarriedOutInOrder(t *testing.T) {
	m := &recorder{all: []process.Status{}}
	var out strings.Builder
	err := RunScript(context.Background(), m, "# all of them\n!!process.delete name:a\n\n!!process.list\n!!process.delete name:b format:json\n", &out, 0)
	if want := []string{"process.Delete {} of a", "show ", "process.Delete {} of b"}; err != nil || !slices.Equal(m.asked, want) {
		t.Errorf("asked %q, %v", m.asked, err)
	}
	if want := "process 'a' deleted\nno processes\n{\"name\":\"b\",\"deleted\":true}\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestScriptsWithAFaultDoNothing(t *testing.T) {
	for script, want := range map[string]string{
		"!!process.list\n!!help":                                       `line 2, column 1: no verb "help"; 'pmclient help' lists them; nothing was carried out`,
		"!!process.lst":                                                `line 1, column 1: no verb "process.lst": did you mean process.list?; 'pmclient help' lists them; nothing was carried out`,
		"!!process.list\n!!process.list x":                             `line 2, column 16: process.list has no parameter "x"; nothing was carried out`,
		"!!process.list\n!!process.start name:a log":                   "line 2, column 1: process.start without a command starts a process that is there, and takes no other parameter: give command:COMMAND, or the name alone; nothing was carried out",
		"!!process.list\n!!process.start name:a command:b cron:@often": `line 2, column 39: cron: "@often" is not a schedule: @every and a length of time, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, @reboot; nothing was carried out`,
		"!!process.list\nprocess.list":                                 `line 2, column 1: expected an action, a comment or an indented parameter, found "p"; nothing was carried out`,
		"!!process.list\n!!process.start name:a command:'b\n":          "line 2, column 32: quote opened here is never closed; nothing was carried out",
	} {
		m := &recorder{}
		err := RunScript(context.Background(), m, script, new(strings.Builder), 0)
		if err == nil || err.Error() != want || len(m.asked) > 0 {
			t.Errorf("%q: asked %q\ngot  %v\nwant %s", script, m.asked, err, want)
		}
	}
}

// What the daemon would refuse is seen before the first line is carried out.
func TestScriptsWithABadScheduleDoNothing(t *testing.T) {
	for _, expr := range []string{
		"60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "* * * *", "often", "@often",
		"@every 0s", "@every 1ms", "@every -5s", "0 0 31 2 *", "0 0 30 feb ?", "CRON_TZ=UTC", "TZ= @daily", "CRON_TZ=UTC 60 * * * *",
	} {
		if err := Check(NewAction("process.start", "name", "a", "command", "b", "cron", expr)); !errors.Is(err, process.ErrInvalid) {
			t.Errorf("%q: %v", expr, err)
		}
		m := &recorder{}
		err := RunScript(context.Background(), m, "!!process.list\n!!process.start name:a command:b cron:'"+expr+"'", new(strings.Builder), 0)
		if !errors.Is(err, process.ErrInvalid) || !strings.HasPrefix(err.Error(), "line 2, column 39: cron: ") || len(m.asked) > 0 {
			t.Errorf("%q: asked %q, %v", expr, m.asked, err)
		}
	}
}

func TestScriptsStopAtTheFirstFailure(t *testing.T) {
	m := &recorder{err: process.ErrNotFound}
	err := RunScript(context.Background(), m, "\n!!process.stop name:a\n!!process.stop name:b", new(strings.Builder), 0)
	if !errors.Is(err, process.ErrNotFound) || err.Error() != "line 2: process.stop: no such process; 0 of 2 actions were carried out" {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(m.asked, []string{"process.Stop {} of a"}) {
		t.Errorf("asked %q", m.asked)
	}
}

// A log is read when it is written: what fails then is a failure of the action too.
func TestScriptsStopAtALogThatCannotBeRead(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		m := &recorder{output: []byte("half\n"), logErr: process.Errorf(process.CodeInternal, "it is damaged")}
		var out strings.Builder
		err := RunScript(context.Background(), m, "!!process.list\n!!process.log name:a format:"+format+"\n!!process.stop name:a", &out, 0)
		if !errors.Is(err, process.ErrInternal) || err.Error() != "line 2: process.log: it is damaged; 1 of 3 actions were carried out" {
			t.Errorf("%s: got %v", format, err)
		}
		if want := []string{"show ", "show a", "log a 100"}; !slices.Equal(m.asked, want) || strings.Contains(out.String(), "damaged") {
			t.Errorf("%s: asked %q, wrote %q", format, m.asked, out.String())
		}
	}
}

func TestAScriptGoesOnBehindALog(t *testing.T) {
	m := &recorder{output: []byte("all\n")}
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	if err := RunScript(ctx, m, "!!process.log name:a\n!!process.delete name:a", &out, 0); err != nil || out.String() != "all\nprocess 'a' deleted\n" {
		t.Errorf("%v, wrote %q", err, out.String())
	}
	// Ctrl-C is how one that is followed ends, and cuts another short.
	m.status.Log, m.logErr = true, context.Canceled
	cancel()
	if err := RunScript(ctx, m, "!!process.log name:a follow:true", &out, 0); err != nil {
		t.Errorf("followed: %v", err)
	}
	if err := RunScript(ctx, m, "!!process.log name:a", &out, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
}

// The words that Complete gives replace the one before the cursor.
func TestComplete(t *testing.T) {
	names := func() []string { return []string{"web", "job.1"} }
	every := []string{"!!exit ", "!!help ", "!!interactive ", "!!quit ", "!!top "} // what a session has besides
	for _, v := range All() {
		every = append(every, "!!"+v.Name+" ")
	}
	slices.Sort(every)
	for line, want := range map[string]string{
		"":                                 strings.Join(every, "|"),
		"!!process.st":                     "!!process.start |!!process.status |!!process.stop ",
		"sta":                              "!!process.start |!!process.status ",
		"process.sto":                      "!!process.stop ",
		"up":                               "!!upgrade ",
		"!!sta":                            "",
		"zfs":                              "",
		"!!zfs":                            "",
		"!!zfs ":                           "",
		"!!process.list ":                  "format:|jobid:|name:",
		"!!process.log name:a ":            "follow:|format:|from:|grep:|jobid:|limit:|run:|since:|times:|until:",
		"!!process.log NAME:a l":           "limit:",
		"!!process.stop name:":             "name:job.1 |name:web ",
		"!!process.stop name:w":            "name:web ",
		"!!process.list format:":           "format:json |format:text ",
		"!!process.start log:":             "log:false |log:true ",
		"!!process.start nonsense:":        "",
		"!!process.start restart:":         "restart:always |restart:no |restart:on-failure ",
		"!!process.set log_full:b":         "log_full:block ",
		"!!process.set health_action:":     "health_action:none |health_action:restart ",
		"!!process.start wait:":            "wait:end |wait:ready ",
		"!!process.start needs:web,":       "needs:web,job.1 ",
		"!!process.start name:a stop_sig":  "stop_signal:",
		"!!process.start stop_signal:US":   "stop_signal:USR1 |stop_signal:USR2 ",
		"!!process.signal signal:WI":       "signal:WINCH ",
		"!!process.status name:web,j":      "name:web,job.1 ",
		"!!help process.sto":               "process.stop",
		"!!process.stop name:web format:j": "format:json ",
	} {
		if got := strings.Join(Complete(line, len(line), names), "|"); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", line, got, want)
		}
	}
	ofProcesses := 0
	for _, v := range All() {
		if strings.HasPrefix(v.Name, "process.") {
			ofProcesses++
		}
	}
	if got := Complete("!!process.stop name:", 9, names); len(got) != ofProcesses {
		t.Errorf("in the middle of a line: got %q", got)
	}
}
