package verbs

import (
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
