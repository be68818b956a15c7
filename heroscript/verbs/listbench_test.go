package verbs

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// BenchmarkListJSON is a list of 1,000 idle processes as the daemon writes it.
func BenchmarkListJSON(b *testing.B) {
	var all []process.Outcome
	for i := range 1000 {
		s := process.NewStatus(process.Spec{Name: fmt.Sprint("p", i), Command: "exec sleep 100000", Dir: "/srv/data"}, process.Running)
		s.PID, s.Source, s.CPUPercent, s.CPUPercentSinceStart = 4000+i, process.SourceCommand, new(0.0), new(0.01)
		s.Run = process.Run{Number: 1, Start: time.Unix(1e9, 123456789).UTC(), Uptime: 1234.567, Asked: process.Asked{By: process.ByRequest, UID: new(0)},
			Usage: process.Usage{CPU: new(int64(1234)), CPUUser: new(int64(1000)), CPUSystem: new(int64(234)), CPUSource: process.SourceCgroup, Pids: new(1), PidsSource: process.SourceCgroup}}
		s.SetMemory(500_000, process.SourceProc)
		all = append(all, process.Outcome{Name: s.Name, Status: s})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := writeArray(io.Discard, all); err != nil {
			b.Fatal(err)
		}
	}
}
