package verbs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// What is asked of a log is the same behind the wire; the zero value is all of it.
func TestLogQueriesCrossTheWire(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	for _, q := range []process.LogQuery{
		{}, {Follow: true}, {Times: true}, {Lines: 7}, {Lines: 100, Follow: true}, {From: 5}, {From: 5, Lines: 3, Follow: true},
		{Since: at}, {Until: at}, {Since: at, Until: at.Add(1), Run: 3, Grep: "a'\n\"\\b", Times: true, Lines: 1},
	} {
		script, err := heroscript.Parse(heroscript.Format(heroscript.Script{LogAction("a", q)}))
		if err != nil {
			t.Fatal(err)
		}
		got, json, err := LogQuery(script[0])
		got.Since, got.Until = got.Since.UTC(), got.Until.UTC()
		if got != q || json || err != nil {
			t.Errorf("%+v is read as %+v, %v", q, got, err)
		}
	}
}

func TestAnEmptyTimeIsRefused(t *testing.T) {
	for script, want := range map[string]string{
		"since:2026-01-31T15:00:00Z until:2026-01-31T14:00:00Z": "line 1, column 1: since is not before until, so there is nothing between them: 2026-01-31T15:00:00Z and 2026-01-31T14:00:00Z",
		"until:2026-01-31T15:00:00Z since:2026-01-31T15:00:00Z": "line 1, column 1: since is not before until, so there is nothing between them: 2026-01-31T15:00:00Z and 2026-01-31T15:00:00Z",
		"until:5m follow:true": "line 1, column 1: until and follow exclude each other",
	} {
		a := RunText(context.Background(), &recorder{}, "!!process.log name:a "+script)
		if !errors.Is(a.Err, process.ErrInvalid) || a.Err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", script, a.Err, want)
		}
	}
	for script, good := range map[string]bool{"since:5m until:10m": false, "since:5m until:5m": false, "until:5m since:5m": false, "since:10m until:5m": true, "since:10m": true, "until:10m": true} {
		m := &recorder{}
		m.status.Log = true
		if a := RunText(context.Background(), m, "!!process.log name:a "+script); (a.Err == nil) != good {
			t.Errorf("%s: %v", script, a.Err)
		}
	}
}

func TestARunThatHasNotBeenIsRefused(t *testing.T) {
	log := func(s process.Status, params string) error {
		s.Name, s.Log = "a", true
		return RunText(context.Background(), &recorder{status: s}, "!!process.log name:a "+params).Err
	}
	waits := process.Status{Condition: process.Condition{LastRun: &process.Run{Number: 7}}}
	for _, c := range []struct {
		status process.Status
		params string
		want   string // empty: it is read
	}{
		{running(), "run:8", ""},
		{running(), "run:9", "process 'a' has had no run 9: 8 was the last one"},
		{running(), "run:9 follow:true", ""},
		{failed(), "run:1", ""},
		{failed(), "run:2", "process 'a' has had no run 2: 1 was the last one"},
		{waits, "run:7", ""},
		{waits, "run:8", "process 'a' has had no run 8: 7 was the last one"},
		{fresh(), "run:1", "process 'a' has had no run yet"},
		{fresh(), "", ""},
	} {
		err := log(c.status, c.params)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, process.ErrInvalid) || err.Error() != c.want) {
			t.Errorf("%s: got %v, want %s", c.params, err, c.want)
		}
	}
}
