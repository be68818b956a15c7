package integration

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// TestJitterMovesTheStartAndNotTheTime: each run begins the same part of a second after its
// time, and that is the part that process and host give.
func TestJitterMovesTheStartAndNotTheTime(t *testing.T) {
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		t.Skip("this host has no machine id:", err)
	}
	const most = time.Second
	name, offset := "", time.Duration(0)
	for i := 0; offset < most*4/10 || offset > most*6/10; i++ {
		name = "job-" + strings.Repeat("x", i)
		offset = schedule.Jitter(most, name, strings.TrimSpace(string(machine)))
	}
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: name, Command: "exit 0", Schedule: process.Schedule{Cron: "* * * * * *", Jitter: most}})
	closest := most
	for run := uint64(1); run <= 5; run++ {
		s := d.await(name, "has run again", func(s process.Status) bool { return s.LastRun != nil && s.LastRun.Number >= run })
		if s.NextTime.Nanosecond() != 0 {
			t.Errorf("the next time is %v: it is moved itself", s.NextTime)
		}
		late := s.LastRun.Start.Sub(s.LastRun.Start.Add(-offset).Truncate(time.Second)) - offset
		closest = min(closest, late)
	}
	if closest > most*3/10 { // without jitter: more than 4/10
		t.Errorf("it begins %v later than %v after its time", closest, offset)
	}
	d.set(name, "jitter", "0")
	if s := d.status(name); s.Jitter != 0 || s.NextTime.IsZero() {
		t.Errorf("%+v", s)
	}
}
