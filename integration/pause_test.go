package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

const busy = "(while :; do :; done) & setsid sh -c 'while :; do :; done' & while :; do :; done"

// replaced are the ways in which a daemon is replaced without an order.
var replaced = map[string]func(d *daemon){
	"worker": (*daemon).killWorker,
	"keeper": func(d *daemon) {
		d.end(unix.SIGKILL) // the worker ends with it
		d.hangUp()
		d.launch()
	},
	"both": both["daemon"],
}

func (d *daemon) pause(name string) process.Status {
	d.t.Helper()
	s, err := d.client().Pause(d.context(), name)
	if err != nil {
		d.t.Fatalf("pause %s: %v", name, err)
	}
	if !d.frozen(name, s.Number) || s.State != process.Paused {
		d.t.Fatalf("pause %s was answered, frozen %v: %+v", name, d.frozen(name, s.Number), s)
	}
	return s
}

func (d *daemon) resume(name string) process.Status {
	d.t.Helper()
	s, err := d.client().Resume(d.context(), name)
	if err != nil || s.State == process.Paused || d.frozen(name, s.Number) {
		d.t.Fatalf("resume %s was answered, frozen %v: %+v, %v", name, d.frozen(name, s.Number), s, err)
	}
	return s
}

// frozen reports whether the kernel says that the tree of a run stands still.
func (d *daemon) frozen(name string, run uint64) bool {
	d.t.Helper()
	return frozen(d.group(name, run))
}

// usage is what a run's tree has used of the CPU, in µs.
func (d *daemon) usage(name string, run uint64) (usec int) {
	d.t.Helper()
	data, err := os.ReadFile(d.group(name, run) + "/cpu.stat")
	if _, scanErr := fmt.Sscanf(string(data), "usage_usec %d", &usec); err != nil || scanErr != nil {
		d.t.Fatalf("%q, %v, %v", data, err, scanErr)
	}
	return usec
}

// A paused tree does nothing, is shown so, and goes on when that is asked for.
func TestAPausedTreeUsesNothing(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	start := d.start(process.Spec{Name: "web", Command: busy})
	eventually(t, "it works", func() bool { return d.usage("web", 1) > 20_000 })
	if out := d.mustClient("pause", "web"); out != "process 'web' is paused: run 1\n" {
		t.Errorf("%q", out)
	}
	if !d.frozen("web", 1) {
		t.Error("it was answered, and the tree does not stand still")
	}
	before := d.usage("web", 1)
	time.Sleep(10 * time.Second)
	if used := d.usage("web", 1) - before; used > 0 {
		t.Errorf("it has used %d µs in 10 s", used)
	}
	if r := d.pmclient("status", "web"); r.code != 0 || !strings.Contains(r.stdout, "paused") || !strings.Contains(r.stdout, " of that") {
		t.Errorf("%+v", r)
	}
	s := d.status("web")
	if s.State != process.Paused || s.PID != start.PID || s.Paused < 10 || s.Paused > s.Uptime {
		t.Errorf("%+v", s)
	}
	// The kernel's own account begins with the request and ends with the thaw.
	if s.Frozen != nil && (*s.Frozen < 10e6 || float64(*s.Frozen) > s.Uptime*1e6) {
		t.Errorf("frozen for %d µs, paused for %v s of %v s", *s.Frozen, s.Paused, s.Uptime)
	}
	if out := d.mustClient("list"); !strings.Contains(out, " paused ") {
		t.Errorf("%s", out)
	}
	if out := d.mustClient("pause", "web"); out != "process 'web' is paused: run 1\n" {
		t.Errorf("again: %q", out)
	}
	if out := d.mustClient("start", "web"); !strings.Contains(out, "is paused: run 1") || !strings.Contains(out, "pmclient resume") || !d.frozen("web", 1) {
		t.Errorf("a start of what is paused: %q", out)
	}
	if out := d.mustClient("resume", "web"); !strings.HasPrefix(out, "process 'web' goes on: run 1, paused for ") {
		t.Errorf("%q", out)
	}
	eventually(t, "it works again", func() bool { return d.usage("web", 1) > before+20_000 })
	if s := d.status("web"); s.State != process.Running || s.Paused < 2 {
		t.Errorf("%+v", s)
	}
	d.resume("web") // that is done
	d.stop("web")
	runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"web"}})
	if err != nil || len(runs) != 1 || runs[0].Paused < 2 || runs[0].Paused > runs[0].Uptime || runs[0].Stopping == 0 || runs[0].Stopping > 5 {
		t.Errorf("%+v, %v", runs, err)
	}
	for _, verb := range []string{"pause", "resume"} {
		if r := d.pmclient(verb, "web"); r.code != 1 || r.stderr != "pmclient: process 'web' is stopped: it has nothing running that could be paused or resumed\n" {
			t.Errorf("%s: %+v", verb, r)
		}
		if r := d.pmclient(verb, "nobody"); r.code != 1 || !strings.Contains(r.stderr, "nobody") {
			t.Errorf("%s: %+v", verb, r)
		}
	}
	var told []string
	for _, e := range d.events(process.EventQuery{}) {
		if e.Kind == process.EventPaused || e.Kind == process.EventResumed {
			told = append(told, fmt.Sprint(e.Kind, " ", e.Run))
		}
	}
	if got := strings.Join(told, ", "); got != "paused 1, resumed 1" {
		t.Errorf("told: %s", got)
	}
	if out := d.mustClient("events"); !strings.Contains(out, "web paused run 1") || !strings.Contains(out, "web resumed run 1") {
		t.Errorf("%s", out)
	}
}

// The deadline's clock stands still with the tree: as the kernel's own clock counts.
func TestDeadlineStandsStillWhileTheTreeIsPaused(t *testing.T) {
	t.Parallel()
	for who, replace := range replaced {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			before := proc.BootTime()
			d.start(process.Spec{Name: "job", Command: "exec sleep 1000", Ending: process.Ending{Deadline: 2 * time.Second}})
			started := proc.BootTime()
			time.Sleep(300 * time.Millisecond)
			asked := proc.BootTime()
			d.pause("job")
			paused := proc.BootTime()
			replace(d)
			if s := d.status("job"); s.State != process.Paused || s.Number != 1 || !d.frozen("job", 1) {
				t.Errorf("after the %s was killed: %+v", who, s)
			}
			time.Sleep(max(3*time.Second-(proc.BootTime()-paused), 0))
			stood := proc.BootTime() - paused
			d.resume("job")
			stoodMost := proc.BootTime() - asked
			group := d.group("job", 1) + "/cgroup.events"
			eventually(t, "it ends", func() bool {
				data, err := os.ReadFile(group)
				return errors.Is(err, os.ErrNotExist) || strings.Contains(string(data), "populated 0")
			})
			over := proc.BootTime()
			s := d.rest("job")
			slack := paced(5 * time.Second) // a busy machine; the tests of package run have it exactly
			if over-before < 2*time.Second+stood || over-started > 2*time.Second+stoodMost+slack {
				t.Errorf("it ended %v after its start, and stood still for %v", over-before, stood)
			}
			if s.Cause != process.CauseDeadline || s.Paused < stood.Seconds() || s.Paused > stoodMost.Seconds() || s.Stopping == 0 || s.Stopping > slack.Seconds() {
				t.Errorf("it stood still for %v: %+v", stood, s.Run)
			}
			if r := d.pmclient("status", "job"); r.code != 3 || !strings.Contains(r.stdout, "the deadline of 2s passed") || !strings.Contains(r.stdout, "took to end:") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A deadline can be changed while its run goes on, also where another worker has taken over.
func TestDeadlineIsChangedOfARunThatWasTakenOver(t *testing.T) {
	t.Parallel()
	for who, replace := range replaced {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			for _, name := range []string{"longer", "shorter", "none"} {
				d.start(process.Spec{Name: name, Command: "exec sleep 1000", Ending: process.Ending{Deadline: time.Hour}})
			}
			d.set("shorter", "deadline", "11s")
			d.set("none", "deadline", "10s")
			d.set("longer", "deadline", "10s")
			d.set("longer", "deadline", "2h")
			replace(d)
			d.set("none", "deadline", "")
			if s := d.rest("shorter"); s.Cause != process.CauseDeadline || s.Uptime < 11 || s.Uptime > 11+5*float64(slowdown()) || s.Number != 1 {
				t.Errorf("%+v", s)
			}
			for _, name := range []string{"longer", "none"} {
				if s := d.status(name); s.State != process.Running || s.Number != 1 {
					t.Errorf("%s: %+v", name, s)
				}
			}
			d.set("longer", "deadline", "10ms")
			if s := d.rest("longer"); s.Cause != process.CauseDeadline || s.Stopping == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A tree that is paused stays so whoever dies, and is told of once.
func TestAPauseOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	for who, replace := range replaced {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			s := d.start(process.Spec{Name: "web", Command: busy})
			d.start(process.Spec{Name: "other", Command: busy})
			d.pause("web")
			d.pause("other")
			d.resume("other")
			before := d.usage("web", 1)
			for range 2 {
				replace(d)
				if now := d.status("web"); now.State != process.Paused || now.PID != s.PID || !d.frozen("web", 1) {
					t.Errorf("%+v", now)
				}
				if now := d.status("other"); now.State != process.Running || d.frozen("other", 1) {
					t.Errorf("%+v", now)
				}
			}
			if used := d.usage("web", 1) - before; used > 0 {
				t.Errorf("it has used %d µs", used)
			}
			d.resume("web")
			eventually(t, "it works again", func() bool { return d.usage("web", 1) > before })
			d.pause("web")
			replace(d)
			if s := d.stop("web"); s.Cause != process.CauseStop || who == "worker" && s.Run.Signal != process.TERM { // else nobody sees how it ends
				t.Errorf("%+v", s)
			}
			d.nobodyLeft("web", 1)
			var told []string
			for _, e := range d.events(process.EventQuery{Name: process.Selection{"web"}}) {
				if e.Kind == process.EventPaused || e.Kind == process.EventResumed {
					told = append(told, string(e.Kind))
				}
			}
			if got := strings.Join(told, " "); got != "paused resumed paused" {
				t.Errorf("told: %s", got)
			}
		})
	}
}

// Whatever ends a run ends a paused one, and in the order that is always kept: the signal, then
// SIGKILL.
func TestAPausedTreeIsEnded(t *testing.T) {
	t.Parallel()
	const counts = "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.01; done"
	for name, c := range map[string]struct {
		end   func(d *daemon)
		cause process.Cause
	}{
		"stop": {func(d *daemon) { d.stop("x") }, process.CauseStop},
		"deadline": {func(d *daemon) {
			d.set("x", "deadline", "1ms")
			d.await("x", "at rest", func(s process.Status) bool { return s.State.AtRest() }) // its record is there before its group is gone
		}, process.CauseDeadline},
		"restart": {func(d *daemon) {
			if s, err := d.client().Restart(d.context(), "x", ""); err != nil || s.Number != 2 || s.State != process.Running {
				d.t.Errorf("%+v, %v", s, err)
			}
		}, process.CauseStop},
		"shutdown": {func(d *daemon) {
			d.end(unix.SIGTERM)
			d.launch()
		}, process.CauseShutdown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.start(process.Spec{Name: "x", Command: counts})
			d.said("x", "up")
			d.pause("x")
			c.end(d)
			var r process.RunRecord
			eventually(t, "it ends", func() bool {
				runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"x"}})
				if err == nil && len(runs) == 1 {
					r = runs[0]
				}
				return r.Number == 1
			})
			if r.Cause != c.cause || r.ExitCode == nil || *r.ExitCode != 5 {
				t.Errorf("%+v", r)
			}
			d.nobodyLeft("x", 1)
		})
	}
	t.Run("delete, and a signal", func(t *testing.T) {
		t.Parallel()
		d := startDaemon(t, setup{})
		for _, name := range []string{"x", "y"} {
			d.start(process.Spec{Name: name, Command: counts})
			d.said(name, "up")
			d.pause(name)
		}
		if err := d.client().Delete(d.context(), "x"); err != nil {
			t.Error(err)
		}
		d.nobodyLeft("x", 1)
		if out := d.mustClient("signal", "y", "-signal", "TERM"); !strings.Contains(out, "taken when it goes on") {
			t.Errorf("%q", out)
		}
		if s := d.status("y"); s.State != process.Paused {
			t.Errorf("%+v", s)
		}
		d.resume("y")
		if s := d.rest("y"); s.ExitCode == nil || *s.ExitCode != 5 {
			t.Errorf("%+v", s)
		}
		d.start(process.Spec{Name: "y"})
		d.said("y", "up")
		d.pause("y")
		d.mustClient("signal", "y", "-signal", "KILL")
		if s := d.rest("y"); s.Cause != process.CauseSignal || s.Run.Signal != process.KILL {
			t.Errorf("%+v", s)
		}
	})
}

// What a tree has frozen itself is not ours to thaw, until it is to end.
func TestAPauseLeavesAloneWhatTheTreeFroze(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: ownGroup(t) + `
		mkdir "$g/a"; sleep 1000 & echo $! > "$g/a/cgroup.procs"; echo 1 > "$g/a/cgroup.freeze"; echo up; exec sleep 1000`})
	d.said("x", "up")
	inner := d.group("x", 1) + "/a"
	eventually(t, "its own group stands still", func() bool { return frozen(inner) })
	d.pause("x")
	d.resume("x")
	d.killWorker()
	if s := d.status("x"); s.State != process.Running || !frozen(inner) || d.frozen("x", 1) {
		t.Errorf("its own group stands still: %v; %+v", frozen(inner), s)
	}
	d.stop("x")
	d.nobodyLeft("x", 1)
}

// Pauses, resumes, stops, starts, exits and dying workers at once: each request is answered,
// and what is shown is what the kernel says.
func TestPausesThatCross(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "x", Command: "sleep 1000 & exec sleep 1000"})
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		ops := []string{"pause", "resume", "stop", "start", "restart", "kill", "pause", "resume", "deadline"}
		done := make(chan error, 4)
		for range cap(done) {
			op, pm, pid := ops[r.IntN(len(ops))], d.dial(t), d.status("x").PID
			go func() {
				defer pm.Close()
				var err error
				switch op {
				case "pause":
					_, err = pm.Pause(d.context(), "x")
				case "resume":
					_, err = pm.Resume(d.context(), "x")
				case "stop":
					_, err = pm.Stop(d.context(), "x")
				case "start":
					_, err = pm.Start(d.context(), process.Spec{Name: "x"})
				case "restart":
					_, err = pm.Restart(d.context(), "x", "")
				case "kill":
					if pid != 0 {
						unix.Kill(pid, unix.SIGKILL)
					}
				case "deadline":
					_, err = pm.Set(d.context(), "x", process.Setting{Field: "deadline", Value: strconv.Itoa(1 + round%2*3600)})
				}
				if errors.Is(err, process.ErrSuperseded) || errors.Is(err, process.ErrNotRunning) || errors.Is(err, process.ErrStart) {
					err = nil
				}
				if err != nil {
					err = fmt.Errorf("%s: %w", op, err)
				}
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if round%10 == 9 {
			d.killWorker()
		}
		var s process.Status
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if s = d.status("x"); s.State != process.Starting && s.State != process.Stopping {
				if again := d.status("x"); s.State.AtRest() || d.frozen("x", s.Number) == (s.State == process.Paused) && again.State == s.State {
					break
				}
			}
			if time.Now().After(end) {
				t.Fatalf("round %d: the kernel says frozen %v, we say %+v", round, d.frozen("x", s.Number), s)
			}
		}
	}
	d.stop("x")
}

// Whichever step of a pause or a resume a worker dies in, the tree is as was asked for in the
// end, and that is told once.
func TestAWorkerDiesWhileItPauses(t *testing.T) {
	t.Parallel()
	for p, paused := range map[supervisor.Point]bool{lives.PointPausing: true, lives.PointPaused: true, lives.PointResuming: false} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			d.start(process.Spec{Name: "x", Command: busy})
			if !paused {
				d.pause("x")
			}
			d.arm(p)
			var err error
			if paused {
				_, err = d.client().Pause(d.context(), "x")
			} else {
				_, err = d.client().Resume(d.context(), "x")
			}
			d.lost(err)
			d.await("x", "as was asked for", func(s process.Status) bool {
				return (s.State == process.Paused) == paused && d.frozen("x", 1) == paused
			})
			if !d.disarm() {
				t.Error("the point was not reached")
			}
			told, want := "", "paused 1 "
			if !paused {
				want = "paused 1 resumed 1 "
			}
			eventually(t, "it is told", func() bool {
				told = ""
				for _, e := range d.events(process.EventQuery{}) {
					if e.Kind == process.EventPaused || e.Kind == process.EventResumed {
						told += fmt.Sprint(e.Kind, " ", e.Run, " ")
					}
				}
				return len(told) >= len(want)
			})
			if told != want {
				t.Errorf("told %q, want %q", told, want)
			}
			d.stop("x")
		})
	}
}
