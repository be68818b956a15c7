package verbs

import (
	"context"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestTreeDrawsWhatProcessesNeed(t *testing.T) {
	of := func(name, needs, after string, state process.State) process.Status {
		spec := process.Spec{Name: name, Command: "true", Ordering: process.Ordering{Needs: needs, After: after}}
		return process.NewStatus(spec, state)
	}
	m := &recorder{all: []process.Status{
		of("alone", "", "", process.Stopped),
		of("cache", "db", "", process.Starting),
		of("db", "", "", process.Running),
		of("web", "db,cache,migrate:completed", "log,gone", process.Waiting),
		of("migrate", "cache", "", process.Completed),
		of("log", "", "", process.Failed),
	}}
	var b strings.Builder
	answer := RunText(context.Background(), m, "!!process.tree needs")
	if err := answer.Write(&b); err != nil || answer.Err != nil {
		t.Fatal(err, answer.Err)
	}
	want := `alone                   stopped
web                     waiting
├─ db                   running
├─ cache                starting
│  └─ db                running
├─ migrate (completed)  completed
│  └─ cache             starting, see above
├─ log (after)          failed
└─ gone (after)         not defined
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	answer = RunText(context.Background(), m, "!!process.tree name:cache needs format:json")
	if err := answer.Write(&b); err != nil || answer.Err != nil {
		t.Fatal(err, answer.Err)
	}
	if got, want := b.String(), `[{"name":"cache","status":"starting","before":[{"name":"db","status":"running","how":"needed"}]}]`; strings.TrimSpace(got) != want {
		t.Errorf("got  %swant %s", got, want)
	}
	for script, says := range map[string]string{
		"!!process.tree":                 "whose kernel processes?",
		"!!process.tree needs name:nope": "no process 'nope'",
	} {
		if answer := RunText(context.Background(), m, script); answer.Err == nil || !strings.Contains(answer.Err.Error(), says) {
			t.Errorf("%s: got %v", script, answer.Err)
		}
	}
}
