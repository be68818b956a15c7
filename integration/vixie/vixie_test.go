// Package vixie holds schedules against a real Vixie cron: that of Debian, under faketime.
package vixie

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/schedule"
)

// delay is by how much of cron's time a run may be late on a busy machine.
const delay = 9 * time.Minute

// fast is how much faster than real the time of the cron is that these tests run. At first a
// minute is a tenth of a second. On a busy machine cron comes too late for a minute, and leaves
// out what it would have run then: so where it differs it has more time to show that it does.
var fast = []time.Duration{600, 300, 150}

// TestRunsAsDebiansCron has Debian's cron, which is Vixie cron, run a table of expressions
// around changes of the clocks, and holds ours against what it ran.
//
// One difference is ours: several times of one schedule in one gap are one, where cron runs
// them one behind the other.
func TestRunsAsDebiansCron(t *testing.T) {
	for _, c := range []struct {
		zone, from string // by the clocks there
		hours      float64
		exprs      []string
	}{
		// 2021-03-28 03:00 is 04:00, and 2021-10-31 04:00 is 03:00.
		{"Europe/Riga", "2021-03-28 01:52", 1.7, rigas},
		{"Europe/Riga", "2021-10-31 02:22", 2.8, rigas},
		// 02:45 is 03:45, and 03:45 is 02:45.
		{"Pacific/Chatham", "2026-09-27 01:52", 1.7, chathams},
		{"Pacific/Chatham", "2026-04-05 02:22", 2.7, chathams},
		// 02:00 is 02:30, and 02:00 is 01:30.
		{"Australia/Lord_Howe", "2026-10-04 01:22", 1.2, []string{"15 2 * * *", "45 1 * * *", "0 2 * * *", "15 * * * *", "*/15 * * * *", "30 2 * * *"}},
		{"Australia/Lord_Howe", "2026-04-05 01:07", 1.7, []string{"45 1 * * *", "30 1 * * *", "45 * * * *", "*/15 * * * *", "0 2 * * *"}},
	} {
		t.Run(c.zone+" "+c.from, func(t *testing.T) {
			t.Parallel()
			besideCron(t, c.zone, c.from, time.Duration(c.hours*float64(time.Hour)), delay, c.exprs)
		})
	}
}

var rigas = []string{
	"0 2 * * *", "0 3 * * *", "15 3 * * *", "0 4 * * *", "0,30 3,4 * * *", "30 1,2,3,4,5 * * *", "0 1,3,5,7 * * *", "0 1-5 * * *",
	"0 * * * *", "30 * * * *", "0 */3 * * *", "*/15 * * * *", "*/30 3 * * *", "0-59/30 3 * * *", "@hourly", "30 3 * * 0", "30 3 28-31 * *", "30 3 1 * *",
}

var chathams = []string{"0 3 * * *", "50 2 * * *", "15 * * * *", "30 3 * * *", "*/30 * * * *", "0 4 * * *"}

// TestDaysAsDebiansCron: which days the two day fields name together.
func TestDaysAsDebiansCron(t *testing.T) {
	var exprs []string
	for _, day := range []string{"*", "*/2", "1-7", "15", "1-31", "*/100,1-7", "1,*", "*/10"} {
		for _, weekday := range []string{"*", "*/2", "mon", "1-5", "5-7", "7", "*/7", "0-7/2"} {
			exprs = append(exprs, fmt.Sprintf("0 0 %s * %s", day, weekday))
		}
	}
	exprs = append(exprs, "0 0 * feb mon", "0 0 1 */2 *", "@weekly", "@monthly", "@daily", "@yearly")
	for date := time.Date(2025, 1, 31, 23, 56, 0, 0, time.UTC); date.Month() != time.March; date = date.AddDate(0, 0, 3) {
		t.Run(date.Format(time.DateOnly), func(t *testing.T) {
			t.Parallel()
			besideCron(t, "UTC", date.Format("2006-01-02 15:04"), 5*time.Minute, 25*time.Minute, exprs)
		})
	}
}

// besideCron runs cron from a time on for so long, and compares. A run may be so late.
func besideCron(t *testing.T, zone, from string, span, delay time.Duration, exprs []string) {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	if err != nil {
		t.Fatal(err)
	}
	for i, fast := range fast {
		differ := compare(t, start, span, delay, exprs, runCron(t, start, span+delay-time.Minute, fast, exprs))
		switch {
		case differ == "":
			return
		case i == 0:
			t.Logf("once more, slower:%s", differ)
		case i == 2:
			t.Error(differ)
		}
	}
}

// compare says where what cron ran is not what we run.
func compare(t *testing.T, start time.Time, span, delay time.Duration, exprs []string, ran [][]time.Time) (differ string) {
	t.Helper()
	for i, expr := range exprs {
		s, err := schedule.Parse(expr, start.Location().String(), start)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []time.Time
		for next := s.Next(start); next.Before(start.Add(span)); next = s.Next(next) {
			want = append(want, next)
		}
		for _, at := range ran[i] {
			if len(got) >= len(want) && !at.Before(start.Add(span)) { // of later times
				break
			}
			if last := len(got) - 1; last < 0 || at.Sub(got[last]) > delay { // the others are of one gap
				got = append(got, at.In(start.Location()))
			}
		}
		same := len(got) == len(want)
		for j := 0; same && j < len(got); j++ {
			late := got[j].Sub(want[j])
			same = late >= 0 && late < delay
		}
		if !same {
			differ += fmt.Sprintf("\n%q: cron ran it at\n%s, and we do at\n%s", expr, clocks(got), clocks(want))
		}
	}
	return differ
}

func clocks(times []time.Time) (text string) {
	for _, t := range times {
		text += t.Format(" 02T15:04:05-0700")
	}
	return text
}

// runCron runs cron with a clock of its own, below mounts of its own, and says when it ran
// each of the expressions.
func runCron(t *testing.T, start time.Time, span, fast time.Duration, exprs []string) [][]time.Time {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") == "true" && os.Getenv("GUEST") == "" {
		skip = t.Fatalf
	}
	library, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(library) == 0 || os.Getuid() != 0 {
		skip("there is no faketime, or no root: apt-get install cron faketime")
	}
	for _, program := range []string{"/usr/sbin/cron", "/usr/bin/faketime", "/usr/bin/unshare"} {
		if _, err := os.Stat(program); err != nil {
			skip("%v: apt-get install cron faketime", err)
		}
	}
	dir, zone := t.TempDir(), start.Location().String()
	table := "TZ=" + zone + "\nSHELL=/bin/bash\nPATH=/usr/bin:/bin\nFAKETIME_DONT_RESET=1\nLD_PRELOAD=" + library[0] + "\nFAKETIME=$FAKETIME\nFAKETIME_SHARED=$FAKETIME_SHARED\n"
	for i, expr := range exprs {
		table += fmt.Sprintf("%s root echo %d \\$EPOCHSECONDS >> %s/ran\n", expr, i, dir)
	}
	script := fmt.Sprintf(`set -e
for dir in /run /etc/cron.d /var/spool/cron; do mount -t tmpfs none $dir; done
mkdir /var/spool/cron/crontabs
cat > %[1]s/crontab <<END
%[2]sEND
chmod 644 %[1]s/crontab
mount --bind %[1]s/crontab /etc/crontab
exec cron -f`, dir, table)
	cron := exec.Command("/usr/bin/unshare", "-m", "--propagation", "private",
		"faketime", "-f", start.Format("@2006-01-02 15:04:05 x")+strconv.Itoa(int(fast)), "/bin/sh", "-c", script)
	cron.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=" + zone, "FAKETIME_DONT_RESET=1"}
	cron.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var said strings.Builder
	cron.Stdout, cron.Stderr = &said, &said
	cron.WaitDelay = 10 * time.Second
	if err := cron.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(span / fast)                          // its time: there is nothing to wait for
	syscall.Kill(-cron.Process.Pid, syscall.SIGKILL) // faketime and, below it, cron
	cron.Wait()
	for _, left := range []string{"faketime_shm_", "sem.faketime_sem_"} {
		os.Remove(fmt.Sprint("/dev/shm/", left, cron.Process.Pid))
	}
	if said.Len() > 0 {
		t.Fatalf("cron says: %s", &said)
	}
	ran := make([][]time.Time, len(exprs))
	data, err := os.ReadFile(dir + "/ran")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var i int
		var at int64
		if _, err := fmt.Sscan(line, &i, &at); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		ran[i] = append(ran[i], time.Unix(at, 0))
	}
	return ran
}
