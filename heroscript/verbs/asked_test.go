package verbs

import (
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestAskerSaysWho(t *testing.T) {
	night := time.Date(2026, 11, 28, 2, 0, 0, 0, time.Local)
	for _, c := range []struct {
		asked process.Asked
		want  string
	}{
		{process.Asked{}, ""},
		{process.Asked{By: process.ByRequest, UID: new(0)}, "uid 0"},
		{process.Asked{By: process.ByRequest, Over: process.OverTCP}, "somebody over TCP"},
		{process.Asked{By: process.ByApply, UID: new(1000)}, "apply by uid 1000"},
		{process.Asked{By: process.ByApply}, "apply by the daemon"},
		{process.Asked{By: process.ByTrigger, UID: new(7)}, "trigger by uid 7"},
		{process.Asked{By: process.BySchedule, Time: night.UTC()}, "schedule 02:00"},
		{process.Asked{By: process.BySchedule, Time: night.Add(time.Second)}, "schedule 02:00:01"},
		{process.Asked{By: process.ByCatchUp, Time: night}, "catch-up of 2026-11-28 02:00"},
		{process.Asked{By: process.ByRestart, Count: 3}, "restart 3"},
		{process.Asked{By: process.ByNeed, Name: "web"}, "need of web"},
		{process.Asked{By: process.ByBoot}, "boot"},
	} {
		if got := asker(c.asked); got != c.want {
			t.Errorf("%+v: %q, want %q", c.asked, got, c.want)
		}
	}
}
