package schedule

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestJitterIsStableAndSpreadsProcessesAndHosts(t *testing.T) {
	const most = 5 * time.Minute
	if got, want := Jitter(most, "backup", "c0ffee"), 229789*time.Millisecond; got.Truncate(time.Millisecond) != want {
		t.Errorf("%v, want %v: an upgrade must not move the times of those that are there", got, want)
	}
	if Jitter(0, "backup", "c0ffee") != 0 {
		t.Error("there is a jitter without one")
	}
	var parts [10]int
	for host := range 10 {
		for i := range 1000 {
			j := Jitter(most, fmt.Sprint("job-", i), fmt.Sprint("host-", host))
			if j < 0 || j >= most {
				t.Fatal(j)
			}
			parts[j/(most/10)]++
		}
	}
	for i, n := range parts {
		if n < 850 || n > 1150 {
			t.Errorf("part %d has %d of 10000", i, n)
		}
	}
}

func TestJitterIsNotLongerThanTheTimeBetweenTwoTimes(t *testing.T) {
	for expr, closest := range map[string]time.Duration{
		"* * * * *": time.Minute, "*/10 * * * * *": 10 * time.Second, "0,59 * * * *": time.Minute, "0 * * * *": time.Hour,
		"0 0,23 * * *": time.Hour, "0 9,17 * * *": 8 * time.Hour, "@daily": 24 * time.Hour, "@yearly": 24 * time.Hour, "0 0 29 2 *": 24 * time.Hour,
		"@every 90s": 90 * time.Second, "@every 100h": 24 * time.Hour, "@reboot": 24 * time.Hour, "59 23 0,23 * * *": time.Hour,
	} {
		s := mustParse(t, expr)
		if err := s.CheckJitter(closest); err != nil {
			t.Error(expr, err)
		}
		if err := s.CheckJitter(closest + 1); !errors.Is(err, process.ErrInvalid) {
			t.Error(expr, "has a longer jitter")
		}
	}
	const want = "jitter: 5m is longer than the 1m between two times of the schedule"
	if err := mustParse(t, "* * * * *").CheckJitter(5 * time.Minute); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
