package verbs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Each file has its own lines at the other end of the wire, however it ends.
func TestFilesArriveAsTheyWereSent(t *testing.T) {
	for _, a := range []process.Application{
		{},
		{Prune: true, DryRun: true, Restart: true},
		{Path: "-", Files: []process.File{{Path: "-", Text: "!!process.define name:a command:b\n"}}},
		{Path: "/d", Files: nil, Prune: true},
		{Path: "/d", Files: []process.File{{Path: "/d/a b.hero", Text: ""}, {Path: "/d/b.hero", Text: "\n"}, {Path: "/d/c.hero", Text: "x 'y\r\n\\' \" **é\n\n"}}, Restart: true},
	} {
		text := heroscript.Format(heroscript.Script{ApplyAction(a)})
		m := &recorder{}
		if err := RunText(context.Background(), m, text).Err; err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !reflect.DeepEqual(m.application, a) {
			t.Errorf("sent %+v\ngot  %+v", a, m.application)
		}
	}
	// A last line without an end gets one: the next file begins behind it.
	m := &recorder{}
	a := process.Application{Path: "/d", Files: []process.File{{Path: "/d/a", Text: "a"}, {Path: "/d/b", Text: "b"}}}
	if err := Run(context.Background(), m, ApplyAction(a)).Err; err != nil || m.application.Files[0].Text != "a\n" || m.application.Files[1].Text != "b\n" {
		t.Errorf("%+v, %v", m.application, err)
	}
}

func TestWhatIsTypedIsOfStandardInput(t *testing.T) {
	m := &recorder{}
	if err := RunText(context.Background(), m, "!!process.apply definitions:'a'").Err; err != nil || m.application.Path != "-" || m.application.Files[0].Path != "-" {
		t.Errorf("%+v, %v", m.application, err)
	}
}

func TestAnApplyTellsWhatItDid(t *testing.T) {
	rows := []process.Applied{
		{Name: "db", Action: process.ApplyWaits, Fields: []string{"command"}, WaitsForRestart: []string{"command"}, TakenFrom: process.SourceCommand},
		{Name: "job", Action: process.ApplyNew, State: process.Scheduled},
		{Name: "lost", Action: process.ApplyChanged, Err: process.Errorf(process.CodeStore, "process 'lost': no disk")},
		{Name: "old", Action: process.ApplyDeleted, TakenFrom: "/d/old.hero"},
		{Name: "same", Action: process.ApplyUnchanged},
		{Name: "taken", Action: process.ApplyTaken, TakenFrom: StandardInput},
		{Name: "web", Action: process.ApplyNew, State: process.Running, Run: 1, PID: 42},
		{Name: "web2", Action: process.ApplyRestarted, Fields: []string{"dir"}, WaitsForRestart: []string{"dir"}, Run: 2, PID: 43},
	}
	m := &recorder{applied: rows}
	want := `NAME   WHAT                 WHY
db     waits for a restart  command; a command had defined it; its tree does not follow command: apply with restart, or restart db
job    new                  scheduled
old    deleted              not in /d/old.hero any more
same   unchanged            -
taken  taken over           standard input of apply had defined it
web    new                  run 1, pid 42
web2   restarted            dir; run 2, pid 43
Error: process 'lost': no disk
2 new, 1 restarted, 1 waits for a restart, 1 taken over, 1 deleted, 1 unchanged, 1 failed
`
	if got := answer(t, m, "!!process.apply"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var b strings.Builder
	failed, err := RunText(context.Background(), m, "!!process.apply").Tell(&b)
	if b.String() != strings.Replace(want, "Error: process 'lost': no disk\n", "", 1) || !errors.Is(failed, process.ErrStore) || err != nil {
		t.Errorf("got\n%s, %v, %v", b.String(), failed, err)
	}
	for range 20 {
		rows = append(rows, process.Applied{Name: "z", Action: process.ApplyUnchanged})
	}
	got := answer(t, &recorder{applied: rows}, "!!process.apply dry_run")
	if strings.Contains(got, "same") || !strings.Contains(got, "\ndry run, nothing was changed: 2 new, ") || !strings.Contains(got, "21 unchanged") || strings.Contains(got, "pid 42") {
		t.Errorf("got\n%s", got)
	}
	if got := answer(t, &recorder{}, "!!process.apply"); got != "no definitions, nothing to do\n" {
		t.Error(got)
	}
	got = answer(t, &recorder{applied: rows[:3]}, "!!process.apply format:json")
	if want := `[{"name":"db","action":"waits","fields":["command"],"waits_for_restart":["command"],"taken_from":"command"},` +
		`{"name":"job","action":"new","status":"scheduled"},` +
		`{"name":"lost","action":"changed","error":"process 'lost': no disk","code":"store"}]` + "\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Somebody keeps an export in a file: no byte of it may be another one.
func TestAnExportIsWrittenByteForByte(t *testing.T) {
	text := "!!process.define name:a command:'\x1b[31m\r\n\u202e\x7f'\n"
	m := &recorder{exported: []process.Exported{{Name: "a", Text: text}, {Name: "b", Err: process.NotFound("b")}, {Name: "c", Text: text}}}
	if got, want := answer(t, m, "!!process.export name:a,b,c"), text+"\n"+text+"Error: no process 'b'\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	var b strings.Builder
	failed, err := RunText(context.Background(), m, "!!process.export").Tell(&b)
	if b.String() != text+"\n"+text || !errors.Is(failed, process.ErrNotFound) || err != nil {
		t.Errorf("got %q, %v, %v", b.String(), failed, err)
	}
	if got := answer(t, m, "!!process.export format:json"); !strings.HasSuffix(got, `{"name":"b","error":"no process 'b'","code":"not_found"},`+
		`{"name":"c","definition":"!!process.define name:a command:'\u001b[31m\r\n\u202e\u007f'\n"}]`+"\n") {
		t.Error(got)
	}
}

func TestDeleteSaysThatAFileDefinesIt(t *testing.T) {
	if got := answer(t, &recorder{source: "/etc/web.hero"}, "!!process.delete name:web"); got != "process 'web' deleted; /etc/web.hero defines it: it comes back when that is loaded again, unless it is taken out there\n" {
		t.Error(got)
	}
}

func TestReadDefinitionsTakesNothingElse(t *testing.T) {
	several, err := heroscript.Parse("!!process.define name:a command:x log cron:@daily jobid:j\n!!process.define name:b command:y\n")
	if err != nil {
		t.Fatal(err)
	}
	specs, err := ReadDefinitions(several)
	if b := (process.Spec{Name: "b", Command: "y"}); err != nil || len(specs) != 2 || specs[1] != b || specs[0].JobID != "j" {
		t.Errorf("nothing of one may be in the next: %+v, %v", specs, err)
	}
	for text, want := range map[string]string{
		"!!process.start name:a command:b":                      `line 1, column 1: "!!process.start" does not belong here: a file of definitions holds !!process.define alone`,
		"!!process.define name:a command:b jobid:j":             "",
		"!!process.define name:a command:b jobid:j cron:@daily": "j",
		"!!process.define name:a command:b id:7":                "",
		"!!process.define name:a command:b dedline:7":           `line 1, column 35: process.define has no parameter "dedline": did you mean deadline?`,
	} {
		script, err := heroscript.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		specs, err := ReadDefinitions(script)
		got := fmt.Sprint(err)
		if err == nil {
			got = specs[0].JobID
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
