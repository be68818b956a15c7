package process

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestValidateHoldsEachLimit tries every limit on both of its sides.
func TestValidateHoldsEachLimit(t *testing.T) {
	good := Spec{Name: "web", Command: "true"}
	for _, c := range []struct {
		what   string
		change func(*Spec)
		want   string // in the error; empty: valid
	}{
		{"a plain spec", func(s *Spec) {}, ""},
		{"the longest name", func(s *Spec) { s.Name = strings.Repeat("n", MaxName) }, ""},
		{"a longer name", func(s *Spec) { s.Name = strings.Repeat("n", MaxName+1) }, "has 129 bytes"},
		{"no name", func(s *Spec) { s.Name = "" }, "name: is empty"},
		{"no command", func(s *Spec) { s.Command = "" }, "command: is empty"},
		{"a blank command", func(s *Spec) { s.Command = " \n\t" }, "command: is empty"},
		{"the longest command", func(s *Spec) { s.Command = strings.Repeat("c", MaxCommand) }, ""},
		{"a longer command", func(s *Spec) { s.Command = strings.Repeat("c", MaxCommand+1) }, "put it in a file"},
		{"a NUL in the command", func(s *Spec) { s.Command = "ab\x00" }, "NUL byte at 3"},
		{"a command that is not UTF-8", func(s *Spec) { s.Command = "echo \xff" }, "not UTF-8"},
		{"a command of several lines", func(s *Spec) { s.Command = "echo a\r\n\techo 'b'\n" }, ""},
		{"the longest job id", func(s *Spec) { s.JobID = strings.Repeat("j", MaxJobID) }, ""},
		{"a longer job id", func(s *Spec) { s.JobID = strings.Repeat("j", MaxJobID+1) }, "jobid: has 129 bytes"},
		{"a job id of all kinds", func(s *Spec) { s.JobID = "aZ09._:-" }, ""},
		{"a blank in the job id", func(s *Spec) { s.JobID = "a b" }, "jobid: "},
		{"a line end in the job id", func(s *Spec) { s.JobID = "a\n" }, "jobid: "},
		{"the least deadline", func(s *Spec) { s.Deadline = 1 }, ""},
		{"a negative deadline", func(s *Spec) { s.Deadline = -1 }, "deadline: -1ns"},
		{"the longest deadline", func(s *Spec) { s.Deadline = MaxTime }, ""},
		{"a longer deadline", func(s *Spec) { s.Deadline = MaxTime + 1 }, "deadline: "},
		{"no grace", func(s *Spec) { s.StopTimeout = new(time.Duration) }, ""},
		{"a negative grace", func(s *Spec) { s.StopTimeout = new(-time.Second) }, "stop_timeout: -1s"},
		{"the longest grace", func(s *Spec) { s.StopTimeout = new(MaxTime) }, ""},
		{"a longer grace", func(s *Spec) { s.StopTimeout = new(MaxTime + 1) }, "stop_timeout: "},
		{"limits of a log", func(s *Spec) {
			s.Log, s.LogMaxSize, s.LogMaxFiles, s.LogMaxAge, s.LogMaxTotal, s.LogBlock = true, MinLogSize, 1, MinLogAge, MinLogTotal, true
		}, ""},
		{"the most log files", func(s *Spec) { s.Log, s.LogMaxFiles = true, MaxLogFiles }, ""},
		{"more log files", func(s *Spec) { s.Log, s.LogMaxFiles = true, MaxLogFiles+1 }, "log_max_files: 10001"},
		{"a log file of a line", func(s *Spec) { s.Log, s.LogMaxSize = true, 10 }, "log_max_size: 10 bytes are too few: at least 4096 (4K); 10M are megabytes"},
		{"a log file too small", func(s *Spec) { s.Log, s.LogMaxSize = true, MinLogSize-1 }, "log_max_size: "},
		{"log files too small", func(s *Spec) { s.Log, s.LogMaxTotal = true, MinLogTotal-1 }, "log_max_total: "},
		{"log files for a moment", func(s *Spec) { s.Log, s.LogMaxAge = true, MinLogAge-1 }, "log_max_age: "},
		{"a size of no log", func(s *Spec) { s.LogMaxSize = MinLogSize }, "give log:true"},
		{"a number of no log", func(s *Spec) { s.LogMaxFiles = 1 }, "give log:true"},
		{"an age of no log", func(s *Spec) { s.LogMaxAge = MinLogAge }, "give log:true"},
		{"a total of no log", func(s *Spec) { s.LogMaxTotal = MinLogTotal }, "give log:true"},
		{"a full disk and no log", func(s *Spec) { s.LogBlock = true }, "give log:true"},
		{"a longest delay below the first", func(s *Spec) { s.RestartDelay, s.RestartMaxDelay = 10*time.Second, 5*time.Second }, "restart_max_delay: 5s is less than restart_delay, which is 10s"},
		{"a longest delay as the first", func(s *Spec) { s.RestartDelay, s.RestartMaxDelay = 10*time.Second, 10*time.Second }, ""},
		{"a longest delay below the default of the first", func(s *Spec) { s.RestartMaxDelay = time.Millisecond }, ""}, // both count as 1s
		{"a first delay above the default of the longest", func(s *Spec) { s.RestartDelay = time.Hour }, ""},
		{"a window of no limit", func(s *Spec) { s.RestartWindow = time.Minute }, "restart_window: there is no restart_limit"},
		{"a limit in a window", func(s *Spec) { s.RestartLimit, s.RestartWindow = 5, time.Minute }, ""},
		{"a window in which the limit is never reached", func(s *Spec) { s.RestartLimit, s.RestartWindow = 5, 20*time.Second }, "restart_window: 5 restarts never come within 20s"},
		{"such a window, and short delays", func(s *Spec) { s.RestartLimit, s.RestartWindow, s.RestartMaxDelay = 5, 20*time.Second, time.Second }, ""},
		{"the highest limit", func(s *Spec) { s.RestartLimit, s.RestartWindow = MaxRestartLimit, MaxTime }, ""},
		{"a limit that is too high", func(s *Spec) { s.RestartLimit = MaxRestartLimit + 1 }, "restart_limit: 1001"},
		{"another policy", func(s *Spec) { s.Restart = "sometimes" }, "restart: "},
		{"codes that are none", func(s *Spec) { s.SuccessCodes = "0,300" }, "success_codes: \"300\" is not an exit code"},
		{"delays of a hundred years", func(s *Spec) { s.RestartDelay, s.RestartMaxDelay = MaxTime, MaxTime }, ""},
		{"the first signal", func(s *Spec) { s.StopSignal = 1 }, ""},
		{"the last signal", func(s *Spec) { s.StopSignal = 64 }, ""},
		{"a signal too high", func(s *Spec) { s.StopSignal = 65 }, "stop_signal: "},
		{"a signal too low", func(s *Spec) { s.StopSignal = -1 }, "stop_signal: "},
	} {
		t.Run(c.what, func(t *testing.T) {
			spec := good
			c.change(&spec)
			err := spec.Validate()
			switch {
			case c.want == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want):
				t.Errorf("got %v, want code invalid and %q", err, c.want)
			case strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 400:
				t.Errorf("the error is not one short line: %q", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "Z", "0", "_", "a.b", "a..", "web@1", "x:y-z", "_-", "0.0"} {
		if err := ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", ".a", "-a", "@a", ":a", "a/b", "a b", "a\n", "a\x00", "é", "aé", "a\xff", "a'b", "../a"} {
		if err := ValidateName(name); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want code invalid", name, err)
		} else if strings.ContainsAny(err.Error(), "\n\x00") || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: the error holds it unquoted: %q", name, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	var s Spec
	if s.EndSignal() != TERM || s.Grace() != 10*time.Second {
		t.Errorf("got %v and %v", s.EndSignal(), s.Grace())
	}
	s = Spec{Ending: Ending{StopSignal: 2, StopTimeout: new(time.Duration)}}
	if s.EndSignal() != 2 || s.Grace() != 0 {
		t.Errorf("got %v and %v", s.EndSignal(), s.Grace())
	}
}

func TestStatusRoundsTheDeadlineUp(t *testing.T) {
	for deadline, want := range map[time.Duration]string{1: `"deadline":1,`, time.Second: `"deadline":1,`, 1500 * time.Millisecond: `"deadline":2,`, MaxTime: `"deadline":3153600000,`} {
		data, err := json.Marshal(NewStatus(Spec{Name: "a", Ending: Ending{Deadline: deadline}}, Running))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%v: got %s, %v", deadline, data, err)
		}
	}
}

func TestPrintableIsOneShortLine(t *testing.T) {
	for _, text := range []string{"", "a\nb\x1b[31m", strings.Repeat("é", 1000), "\xff\x00"} {
		got := Printable(text)
		if strings.ContainsAny(got, "\n\x1b\x00") || !utf8.ValidString(got) || len(got) > 300 {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

// Delays are doubled up to the longest; the first is a second at least.
func TestDelaysDouble(t *testing.T) {
	for _, c := range []struct {
		r    Restarting
		want []time.Duration
	}{
		{Restarting{}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}},
		{Restarting{RestartDelay: time.Millisecond, RestartMaxDelay: 3 * time.Second}, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}},
		{Restarting{RestartDelay: time.Hour}, []time.Duration{time.Hour, time.Hour}},
		{Restarting{RestartDelay: MaxTime, RestartMaxDelay: MaxTime}, []time.Duration{MaxTime, MaxTime}},
		{Restarting{RestartMaxDelay: time.Millisecond}, []time.Duration{time.Second, time.Second}},
	} {
		for row, want := range c.want {
			if got := c.r.DelayAfter(row); got != want {
				t.Errorf("%+v: the delay after %d restarts is %v, want %v", c.r, row, got, want)
			}
		}
		if got := c.r.DelayAfter(1 << 30); got != c.want[len(c.want)-1] {
			t.Errorf("%+v: the delay does not stay: %v", c.r, got)
		}
	}
}

func TestExitCodesThatCountAsSuccess(t *testing.T) {
	var s Spec
	if !s.Succeeds(0) || s.Succeeds(1) || s.Succeeds(143) {
		t.Error("without success_codes 0 alone is one")
	}
	if err := FieldNamed("success_codes").Set(&s, "143, 0,143,00"); err != nil || s.SuccessCodes != "0,143" {
		t.Errorf("got %q, %v", s.SuccessCodes, err)
	}
	if !s.Succeeds(0) || !s.Succeeds(143) || s.Succeeds(14) || s.Succeeds(43) {
		t.Error("0 and 143 are those that were given")
	}
}
