package run

import (
	"context"
	"os"
	"regexp"
	"testing"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestOnlyAKillThatTheLeaderHasNotOutlivedIsItsOwn(t *testing.T) {
	killed, ended := &proc.Exit{Signal: 9}, &proc.Exit{Code: 137}
	for _, c := range []struct {
		exit            *proc.Exit
		kills, outlived uint64
		want            bool
	}{
		{killed, 0, 0, false}, // somebody else's SIGKILL
		{killed, 1, 0, true},
		{killed, 1, 1, false}, // a child's, and then somebody else's SIGKILL
		{killed, 3, 2, true},
		{ended, 1, 0, false},                  // a child's, which the shell passes on
		{&proc.Exit{Signal: 15}, 1, 0, false}, // SIGTERM
		{nil, 1, 0, false},
	} {
		if got := isOOM(c.exit, c.kills, c.outlived); got != c.want {
			t.Errorf("%v after %d kills, %d outlived: %v", c.exit, c.kills, c.outlived, got)
		}
	}
}

func TestKillsForLackOfMemoryAreSaid(t *testing.T) {
	o := silent{}
	run := func(cause process.Cause, code int) process.Run {
		r := process.Run{Number: 1, Cause: cause, Signal: 9}
		if code > 0 {
			r.ExitCode, r.Signal = &code, 0
		}
		return r
	}
	for _, c := range []struct {
		run   process.Run
		kills uint64
		want  string
	}{
		{run(process.CauseExit, 137), 0, "exit code 137"},
		{run(process.CauseExit, 137), 1, "exit code 137; one of its processes was killed for lack of memory"},
		{run(process.CauseExit, 1), 2, "exit code 1; 2 of its processes were killed for lack of memory"},
		{run(process.CauseSignal, 0), 1, "ended by SIGKILL; one of its processes was killed for lack of memory"},
		{run(process.CauseOOM, 0), 1, "ended by the kernel's out-of-memory killer"},
	} {
		c.run.OOMKills = &c.kills
		if got := explain(c.run, &process.Spec{}, o); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// silent is the output of runs that say nothing.
type silent struct{}

func (silent) Begin(uint64)                                        {}
func (silent) Move(uint64, *os.File) (Pump, error)                 { return nil, nil }
func (silent) LastLine(uint64) string                              { return "" }
func (silent) Await(context.Context, uint64, *regexp.Regexp) error { return nil }
