package verbs

import (
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestFiguresAreATableOrAnArrayALine(t *testing.T) {
	m := &recorder{figures: [][]process.Figures{
		{
			{Name: "idle", State: process.Stopped, Command: "true"},
			{Name: "web", State: process.Running, PID: 7, Run: 3, CPUPercent: new(12.5), Memory: new(uint64(3 << 20)), Pids: new(2), Uptime: 75, Restarts: 4, Command: "exec web\x1b[2J"},
		},
		{},
		{{Name: "web", Gone: true}},
	}}
	golden(t, "figures.txt", answer(t, m, "!!process.figures follow")+"\n"+answer(t, m, "!!process.figures follow format:json"))
	if got := answer(t, &recorder{figures: [][]process.Figures{nil}}, "!!process.figures"); got != "no processes\n" {
		t.Errorf("of none it says %q", got)
	}
}
