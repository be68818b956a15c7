package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestExitCodesAndCausesAreExact(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	code := func(n int) *int { return &n }
	for i, c := range []struct {
		command string
		state   process.State
		cause   process.Cause
		code    *int
		signal  process.Signal
		error   string // stands in the error
	}{
		{"true", process.Completed, process.CauseExit, code(0), 0, ""},
		{"exit 7", process.Failed, process.CauseExit, code(7), 0, "7"},
		{"exit 255", process.Failed, process.CauseExit, code(255), 0, "255"},
		{"/dev/null", process.Failed, process.CauseExit, code(126), 0, "cannot be executed"},
		{"no-such-command-anywhere", process.Failed, process.CauseExit, code(127), 0, "not found"},
		{"echo why it failed >&2; exit 3", process.Failed, process.CauseExit, code(3), 0, "why it failed"},
		{"ulimit -c 0; kill -SEGV $$", process.Failed, process.CauseSignal, nil, 11, "SIGSEGV"},
		{"kill -KILL $$", process.Failed, process.CauseSignal, nil, 9, "SIGKILL"},
		{"kill -TERM $$", process.Failed, process.CauseSignal, nil, 15, "SIGTERM"},
		{"kill -HUP $$", process.Failed, process.CauseSignal, nil, 1, "SIGHUP"},
		{"exit 137", process.Failed, process.CauseExit, code(137), 0, "137"},
	} {
		name := fmt.Sprint("exit", i)
		s := d.finished(name, c.command)
		if s.State != c.state || s.Cause != c.cause || s.Signal != c.signal || !same(s.ExitCode, c.code) {
			t.Errorf("%s: state %v, cause %v, signal %v, exit code %v", c.command, s.State, s.Cause, s.Signal, show(s.ExitCode))
		}
		if !strings.Contains(s.Error, c.error) || (c.error == "") != (s.Error == "") {
			t.Errorf("%s: the error is %q, want %q in it", c.command, s.Error, c.error)
		}
		if s.PID != 0 || s.Number != 1 || s.End.Before(s.Start) || s.LeftBehind != nil {
			t.Errorf("%s: %+v", c.command, s)
		}
		d.nobodyLeft(name, 1)
	}
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func show[T any](p *T) any {
	if p == nil {
		return "none"
	}
	return *p
}

func TestStopIsRecordedWithHowTheLeaderEnded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	short := 200 * time.Millisecond
	none := time.Duration(0)
	for i, c := range []struct {
		spec   process.Spec
		code   *int
		signal process.Signal
	}{
		{spec: process.Spec{Command: "echo up; exec sleep 1000"}, signal: process.TERM},
		{spec: process.Spec{Command: "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"}, code: new(5)},
		{spec: process.Spec{Command: "trap 'exit 0' INT; trap '' TERM; echo up; while :; do sleep 0.05; done", Ending: process.Ending{StopSignal: 2}}, code: new(0)},
		{spec: process.Spec{Command: "echo up; exec sleep 1000", Ending: process.Ending{StopSignal: 10}}, signal: 10},
		{spec: process.Spec{Command: "trap '' TERM; echo up; while :; do sleep 0.05; done", Ending: process.Ending{StopTimeout: &short}}, signal: process.KILL},
		{spec: process.Spec{Command: "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done", Ending: process.Ending{StopTimeout: &none}}, signal: process.KILL},
		{spec: process.Spec{Command: "trap '' TERM; echo up; while :; do sleep 0.05; done", Ending: process.Ending{StopSignal: process.KILL}}, signal: process.KILL},
	} {
		c.spec.Name = fmt.Sprint("stop", i)
		d.start(c.spec)
		d.said(c.spec.Name, "up")
		began := time.Now()
		s := d.stop(c.spec.Name)
		took := time.Since(began)
		if s.State != process.Stopped || s.Cause != process.CauseStop || s.Signal != c.signal || !same(s.ExitCode, c.code) {
			t.Errorf("%q: state %v, cause %v, signal %v, exit code %v", c.spec.Command, s.State, s.Cause, s.Signal, show(s.ExitCode))
		}
		if c.spec.StopTimeout != nil && took < *c.spec.StopTimeout {
			t.Errorf("%q: it was killed after %v, before its grace was over", c.spec.Command, took)
		}
		d.nobodyLeft(c.spec.Name, 1)
	}
}

// The grace period is one of the whole tree, and ends as soon as the tree has.
func TestStopAnswersWhenTheLastOfTheTreeHasEnded(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "slow", Command: `
		sh -c 'trap "touch terminated; sleep 0.5; touch cleaned; exit" TERM; echo up; while :; do sleep 0.05; done' &
		exec sleep 1000`})
	d.said("slow", "up")
	s := d.stop("slow")
	for _, file := range []string{"/terminated", "/cleaned"} {
		if gone(d.dir + file) {
			t.Errorf("stop has answered, and there is no %s", file)
		}
	}
	if s.State != process.Stopped {
		t.Errorf("%+v", s)
	}
	d.nobodyLeft("slow", 1)
}

// is runs a script that sets $a and $b, and goes on when both are pids of a sleep.
func is(script string) string {
	return script + "\nis() { read -r name < /proc/$1/comm; [ $name = sleep ]; }; until is $a && is $b; do :; done\n"
}

func TestWhatTheLeaderLeavesBehindIsEndedAndNamed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for i, c := range []struct {
		command string
		state   process.State
		code    int
		count   int
		names   []string
	}{
		{is("sleep 1000 & a=$!; setsid sleep 1000 & b=$!") + "exit 0", process.Completed, 0, 2, []string{"sleep"}},
		{is("sleep 1000 & a=$!; sh -c 'sleep 1000 & echo $! > b; wait' & until [ -s b ]; do :; done; read -r b < b") + "exit 9", process.Failed, 9, 3, []string{"sh", "sleep"}},
	} {
		name := fmt.Sprint("left", i)
		s := d.finished(name, c.command)
		if s.State != c.state || s.Cause != process.CauseExit || s.ExitCode == nil || *s.ExitCode != c.code {
			t.Errorf("%s: state %v, cause %v, exit code %v, error %q", c.command, s.State, s.Cause, show(s.ExitCode), s.Error)
		}
		if l := s.LeftBehind; l == nil || l.Count != c.count || fmt.Sprint(l.Names) != fmt.Sprint(c.names) {
			t.Errorf("%s: left behind: %+v, want %d %v", c.command, l, c.count, c.names)
		}
		d.nobodyLeft(name, 1)
	}
}

// With the leader gone the state is stopping until the last has ended.
func TestLeftoversAreStoppingAndCanBeStopped(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	long := 600 * time.Second
	d.start(process.Spec{Name: "x", Ending: process.Ending{StopTimeout: &long}, Command: `
		sh -c 'trap "" TERM; touch deaf; while [ ! -e enough ]; do sleep 0.05; done' &
		until [ -e deaf ]; do :; done; exit 4`})
	s := d.await("x", "stopping, and what is left is named", func(s process.Status) bool {
		return s.State == process.Stopping && s.LeftBehind != nil
	})
	if s.PID != 0 {
		t.Errorf("pid %d without a leader", s.PID)
	}
	if s.LastRun != nil {
		t.Errorf("a run that has not ended is the last: %+v", s.LastRun)
	}
	if r := d.execute("touch", d.dir+"/enough"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if s = d.rest("x"); s.State != process.Failed || s.Cause != process.CauseExit || !same(s.ExitCode, new(4)) || s.LeftBehind == nil {
		t.Errorf("%+v", s)
	}
}

func TestRequestsInEachStateDoAsTheTableSays(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	pm := d.client()
	sleep := process.Spec{Name: "x", Command: "exec sleep 1000"}
	first := d.start(sleep)
	other := process.Spec{Name: "x", Command: "exec sleep 1001"}
	if _, err := pm.Start(d.context(), other); !isCode(err, process.CodeExists) {
		t.Errorf("start of a name that is taken: %v", err)
	}
	if s, err := pm.Start(d.context(), process.Spec{Name: "x"}); err != nil || s.PID != first.PID || s.Number != 1 {
		t.Errorf("start by name while it runs: %+v, %v", s, err)
	}
	if s := d.stop("x"); s.State != process.Stopped || s.Number != 1 {
		t.Errorf("stop: %+v", s)
	}
	if s := d.stop("x"); s.State != process.Stopped || s.Number != 1 {
		t.Errorf("stop at rest: %+v", s)
	}
	if _, err := pm.Start(d.context(), other); !isCode(err, process.CodeExists) {
		t.Errorf("start of a name that is taken, at rest: %v", err)
	}
	if s, err := pm.Start(d.context(), process.Spec{Name: "x"}); err != nil || s.State != process.Running || s.Number != 2 {
		t.Errorf("start by name: %+v, %v", s, err)
	}
	if s, err := pm.Restart(d.context(), "x", "job-3"); err != nil || s.State != process.Running || s.Number != 3 || s.Run.JobID != "job-3" {
		t.Errorf("restart: %+v, %v", s, err)
	}
	d.stop("x")
	if s, err := pm.Restart(d.context(), "x", ""); err != nil || s.State != process.Running || s.Number != 4 || s.Run.JobID != "" {
		t.Errorf("restart at rest: %+v, %v", s, err)
	}
	if err := pm.Delete(d.context(), "x"); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"delete":  pm.Delete(d.context(), "x"),
		"stop":    second(pm.Stop(d.context(), "x")),
		"restart": second(pm.Restart(d.context(), "x", "")),
		"status":  second(pm.Status(d.context(), "x")),
		"start":   second(pm.Start(d.context(), process.Spec{Name: "x"})),
		"log":     second(pm.LogLines(d.context(), "x", 1)),
	} {
		if !isCode(err, process.CodeNotFound) {
			t.Errorf("%s of a name that nobody has: %v", what, err)
		}
	}
	if s := d.start(sleep); s.Number != 1 {
		t.Errorf("the name is new, the run is %d", s.Number)
	}
}

func second[T any](_ T, err error) error { return err }

// Of requests that meet a tree on its way out, a start is queued and a later stop
// takes its place.
func TestRequestsWhileStopping(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	long := 600 * time.Second
	d.start(process.Spec{Name: "x", Ending: process.Ending{StopTimeout: &long}, Command: `
		trap 'touch asked' TERM; echo up
		until [ -e enough ]; do sleep 0.05; done`})
	d.said("x", "up")
	type answer struct {
		status process.Status
		err    error
	}
	ask := func(what func() (process.Status, error)) chan answer {
		c := make(chan answer, 1)
		go func() {
			s, err := what()
			c <- answer{s, err}
		}()
		return c
	}
	a, b, c := d.dial(t), d.dial(t), d.dial(t)
	stop := ask(func() (process.Status, error) { return a.Stop(d.context(), "x") })
	d.await("x", "stopping", func(s process.Status) bool { return s.State == process.Stopping })
	start := ask(func() (process.Status, error) { return b.Start(d.context(), process.Spec{Name: "x"}) })
	// The start has no visible effect yet; a stop that drops it may come first, and
	// then the start is queued behind it.
	stop2 := ask(func() (process.Status, error) { return c.Stop(d.context(), "x") })
	select {
	case got := <-start:
		if !isCode(got.err, process.CodeSuperseded) {
			t.Errorf("the start: %+v, %v", got.status, got.err)
		}
	case <-time.After(500 * time.Millisecond): // the stop came first: drop it now
		last := d.dial(t)
		go last.Stop(d.context(), "x")
		if got := <-start; !isCode(got.err, process.CodeSuperseded) {
			t.Errorf("the start: %+v, %v", got.status, got.err)
		}
	}
	if r := d.execute("touch", d.dir+"/enough"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for _, c := range []chan answer{stop, stop2} {
		if got := <-c; got.err != nil || got.status.State != process.Stopped {
			t.Errorf("a stop: %+v, %v", got.status, got.err)
		}
	}
}
