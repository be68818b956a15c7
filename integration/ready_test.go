package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

func init() { roles["server"] = server }

// server says "spawned", and listens when there is a file "go". Over HTTP it answers 503
// while there is a file "sick".
func server(args []string) {
	network, address := args[0], args[1]
	fmt.Println("spawned")
	for gone("go") {
		time.Sleep(5 * time.Millisecond)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		panic(err)
	}
	fmt.Println("listening")
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !gone("sick") {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		}
	})))
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaited are servers that become ready, one for each kind of probe, when there is a file
// "go".
func (d *daemon) awaited(t *testing.T) map[string]process.Spec {
	tcp, web, path := freeAddress(t), freeAddress(t), d.dir+"/sock"
	const waits = "until [ -e go ]; do sleep 0.02; done; "
	specs := map[string]process.Spec{
		"tcp":  {Command: roleCommand("server", "tcp", tcp), Probing: process.Probing{Ready: "tcp:" + tcp}},
		"unix": {Command: roleCommand("server", "unix", path), Probing: process.Probing{Ready: "unix:" + path}},
		"http": {Command: roleCommand("server", "tcp", web), Probing: process.Probing{Ready: "http://" + web + "/health"}},
		"exec": {Command: "exec sleep 600", Probing: process.Probing{Ready: `exec:test "$PROCESSMANAGER_NAME" = exec && echo not yet && test -e go`}},
		"log": {Command: "echo not up yet; " + waits + "echo; echo up 1; : >up; exec sleep 600", Probing: process.Probing{Ready: "log:^up [0-9]$"},
			Logging: process.Logging{Log: true}},
	}
	for name, spec := range specs {
		spec.Name = name
		specs[name] = spec
	}
	return specs
}

func isReady(s process.Status) bool { return s.State == process.Running && same(s.Ready, new(true)) }

// A run is starting until its probe says that it is ready, and says why it is not.
func TestReadyByEachKindOfProbe(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	specs := d.awaited(t)
	for _, spec := range specs {
		if s := d.start(spec); s.State != process.Starting || s.PID == 0 || !same(s.Ready, new(false)) || !s.ReadyTime.IsZero() {
			t.Errorf("%s: %+v", spec.Name, s)
		}
	}
	for name, words := range map[string]string{"tcp": "connection refused", "unix": "no such file", "http": "connection refused",
		"exec": "exit code 1: not yet", "log": "no line matches"} {
		d.await(name, "says why it is not ready", func(s process.Status) bool {
			return strings.Contains(s.ReadyError, words) && s.State == process.Starting
		})
		if text := d.mustClient("status", name); !strings.Contains(text, "not yet: ") || !strings.Contains(text, words) {
			t.Errorf("status says\n%s", text)
		}
	}
	d.start(process.Spec{Name: "delay", Command: "exec sleep 600", Probing: process.Probing{Ready: "delay:500ms"}})
	d.touch("go")
	for name := range specs {
		s := d.await(name, "ready", isReady)
		if s.ReadyTime.Before(s.Start) || s.ReadyError != "" || s.Number != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		eventually(t, name+" is told to be ready", func() bool {
			return slices.Equal(d.kinds(name), []process.EventKind{process.EventDefined, process.EventStarting, process.EventStarted, process.EventReady})
		})
	}
	if s := d.await("delay", "ready", isReady); s.ReadyTime.Sub(s.Start) < 500*time.Millisecond {
		t.Errorf("ready after %v", s.ReadyTime.Sub(s.Start))
	}
	s := d.start(process.Spec{Name: "plain", Command: "exec sleep 600"})
	if s.State != process.Running || s.Ready != nil || !s.ReadyTime.IsZero() {
		t.Errorf("without a probe: %+v", s)
	}
}

// What is ready stays ready, and what is not becomes it, whoever dies; it is told once.
func TestReadinessSurvives(t *testing.T) {
	t.Parallel()
	for name, replace := range both {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			specs := d.awaited(t)
			for _, spec := range specs {
				d.start(spec)
			}
			replace(d)
			for name := range specs {
				if s := d.status(name); s.State != process.Starting || s.Number != 1 {
					t.Errorf("%s: it is %v, in run %d", name, s.State, s.Number)
				}
			}
			d.touch("go")
			since := map[string]time.Time{}
			for name := range specs {
				since[name] = d.await(name, "ready", isReady).ReadyTime
			}
			if err := os.Remove(d.dir + "/go"); err != nil { // a probe of exec would fail
				t.Fatal(err)
			}
			replace(d)
			for name := range specs {
				if s := d.status(name); !isReady(s) || !s.ReadyTime.Equal(since[name]) || s.Number != 1 {
					t.Errorf("%s: %+v", name, s)
				}
				told := func() (n int) {
					for _, kind := range d.kinds(name) {
						if kind == process.EventReady {
							n++
						}
					}
					return n
				}
				if eventually(t, name+" is told to be ready", func() bool { return told() > 0 }); told() != 1 {
					t.Errorf("%s: ready was told %d times", name, told())
				}
			}
		})
	}
}

// A line that was written while no worker was there to see it is found by the next one, and
// one that the worker saw that died before it could say so.
func TestALineOfALogIsReadBack(t *testing.T) {
	t.Parallel()
	d := startCrashing(t)
	spec := d.awaited(t)["log"]
	d.start(spec)
	d.said("log", "not up yet")
	d.stopWorker()
	d.touch("go")
	eventually(t, "the line is written", func() bool {
		_, err := os.Stat(d.dir + "/up")
		return err == nil
	})
	d.killWorker()
	d.await("log", "ready", isReady)
	d.stop("log")

	before := d.worker()
	d.arm(lives.PointReady)
	spec.Name = "again"
	d.client().Start(d.context(), spec)
	d.await("again", "ready", isReady)
	if !d.disarm() || d.worker() == before {
		t.Error("the worker has not died when it was ready")
	}
	eventually(t, "that it is ready is told", func() bool { return slices.Contains(d.kinds("again"), process.EventReady) })
}

// A run that is not ready in time fails, with the step and the probe's last words. Who waits
// for it is told; the time goes on while no worker is there.
func TestNotReadyInTime(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	address := freeAddress(t)
	r := d.pmclient("start", "web", "-command", "trap 'exit 0' TERM; while :; do sleep 0.02; done", "-ready", "tcp:"+address, "-ready_timeout", "300ms", "-wait", "ready")
	words := "not ready within 300ms: tcp " + address + ": connection refused"
	if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, words) {
		t.Errorf("code %d, %q, %s", r.code, r.stdout, r.stderr)
	}
	s := d.status("web")
	if s.State != process.Failed || s.Cause != process.CauseStart || s.Error != words || !same(s.ExitCode, new(0)) || s.Ready != nil {
		t.Errorf("%+v", s)
	}
	if got := d.kinds("web"); !slices.Equal(got[2:], []process.EventKind{process.EventStarted, process.EventStopping, process.EventEnded}) {
		t.Errorf("events %v", got)
	}
	if r := d.pmclient("start", "web", "-wait"); r.code != 125 || !strings.Contains(r.stdout, "run 2 ended: start") {
		t.Errorf("waiting for its end: code %d, %q, %s", r.code, r.stdout, r.stderr)
	}
	spec := service("again", "exec sleep 600")
	spec.Probing = process.Probing{Ready: "exec:false", ReadyTimeout: 200 * time.Millisecond}
	d.start(spec)
	if s := d.await("again", "in backoff", inBackoff); s.LastRun.Cause != process.CauseStart {
		t.Errorf("%+v", s.LastRun)
	}
	d.start(process.Spec{Name: "long", Command: "exec sleep 600", Probing: process.Probing{Ready: "exec:false", ReadyTimeout: 2 * time.Second}})
	d.stopWorker()
	time.Sleep(1500 * time.Millisecond)
	d.killWorker()
	if s := d.rest("long"); s.Uptime > 2+late.Seconds() || s.Uptime < 2 || !strings.Contains(s.Error, "not ready within 2s") {
		t.Errorf("it ended after %v: %s", s.Uptime, s.Error)
	}
	d.nobodyLeft("long", 1)
}

// What is not ready is stopped at once, and its own end is its own.
func TestTheEndOfWhatIsNotReady(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := process.Spec{Name: "web", Command: "exec sleep 600", Probing: process.Probing{Ready: "exec:exec sleep 600"}}
	waits := make(chan error, 1)
	pm := d.dial(t)
	go func() {
		_, err := pm.StartSpec(d.context(), spec, process.How{Wait: process.WaitReady})
		waits <- err
	}()
	eventually(t, "its probe runs", func() bool { return len(withEnviron(t, "TMPDIR="+d.dir, "PROCESSMANAGER_NAME=web")) == 2 })
	began := time.Now()
	if s := d.stop("web"); s.State != process.Stopped || s.Cause != process.CauseStop || time.Since(began) > patience/2 {
		t.Errorf("after %v: %+v", time.Since(began), s)
	}
	eventually(t, "nobody is left of it and its probe", func() bool { return len(withEnviron(t, "TMPDIR="+d.dir, "PROCESSMANAGER_NAME=web")) == 0 })
	if err := <-waits; !errors.Is(err, process.ErrSuperseded) {
		t.Errorf("who waits until it is ready is told %v", err)
	}

	r := d.pmclient("start", "gone", "-command", "echo no port; exit 3", "-ready", "exec:false", "-wait", "ready")
	if r.code != 1 || !strings.Contains(r.stderr, "process 'gone' is not ready: run 1 ended: exit code 3: no port") {
		t.Errorf("code %d, %s", r.code, r.stderr)
	}
	if s := d.rest("gone"); s.Cause != process.CauseExit || !same(s.ExitCode, new(3)) {
		t.Errorf("%+v", s)
	}
}

// A start is answered when it was spawned, when it is ready, or when it has ended, as it
// asks; hanging up cancels nothing.
func TestAStartCanBeWaitedFor(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	spec := d.awaited(t)["tcp"]
	type answer struct {
		s   process.Status
		err error
	}
	ask := func(do func(ctx context.Context) (process.Status, error)) chan answer {
		got := make(chan answer, 1)
		go func() {
			s, err := do(d.context())
			got <- answer{s, err}
		}()
		return got
	}
	pm := d.dial(t)
	ready := ask(func(ctx context.Context) (process.Status, error) {
		return pm.StartSpec(ctx, spec, process.How{Wait: process.WaitReady})
	})
	d.awaitState("tcp", process.Starting)
	d.said("tcp", "spawned")
	select {
	case a := <-ready:
		t.Fatalf("answered before it is ready: %+v, %v", a.s, a.err)
	default:
	}
	d.touch("go")
	if a := <-ready; a.err != nil || !isReady(a.s) || a.s.AlreadyRunning {
		t.Errorf("%+v, %v", a.s, a.err)
	}
	if out := d.mustClient("start", "tcp", "-wait", "ready"); !strings.Contains(out, "process 'tcp' is ready already: run 1, pid ") {
		t.Errorf("it says %s", out)
	}
	restarted := d.mustClient("restart", "tcp", "-wait=ready")
	if !strings.Contains(restarted, "process 'tcp' is ready: run 2, pid ") {
		t.Errorf("it says %s", restarted)
	}

	for command, code := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 137, "/no/such/program": 127} {
		r := d.pmclient("start", "job", "-command", command, "-replace", "-wait")
		if r.code != code || r.stderr != "" || !strings.Contains(r.stdout, "process 'job': run ") {
			t.Errorf("%s: code %d, %q, %s", command, r.code, r.stdout, r.stderr)
		}
	}
	if r := d.pmclient("start", "late", "-command", "exec sleep 600", "-deadline", "100ms", "-wait=end"); r.code != 124 {
		t.Errorf("deadline: code %d, %q, %s", r.code, r.stdout, r.stderr)
	}
	if r := d.pmclient("start", "forks", "-command", "setsid sleep 600 & exit 0", "-wait"); r.code != 0 || !strings.Contains(r.stdout, "left another one, which was ended: s") {
		t.Errorf("what forks away: code %d, %q, %s", r.code, r.stdout, r.stderr)
	}
	if r := d.pmclient("start", "timed", "-command", "true", "-cron", "@daily", "-wait"); r.code != 125 || !strings.Contains(r.stderr, "starts at its times") {
		t.Errorf("with a schedule: code %d, %q, %s", r.code, r.stdout, r.stderr)
	}

	ctx, cancel := context.WithCancel(d.context())
	hangsUp := d.dial(t)
	ended := ask(func(context.Context) (process.Status, error) {
		return hangsUp.StartSpec(ctx, process.Spec{Name: "left", Command: "until [ -e end ]; do sleep 0.02; done; exit 5"}, process.How{Wait: process.WaitEnd})
	})
	d.awaitState("left", process.Running)
	second := d.dial(t)
	other := ask(func(ctx context.Context) (process.Status, error) {
		list, err := second.Do(ctx, process.Selection{"left"}, process.StartAgain{Wait: process.WaitEnd})
		if err != nil || len(list) != 1 {
			return process.Status{}, errors.Join(err, fmt.Errorf("%d answers", len(list)))
		}
		return list[0].Status, list[0].Err
	})
	cancel()
	if a := <-ended; !errors.Is(a.err, context.Canceled) {
		t.Errorf("who hangs up: %v", a.err)
	}
	if s := d.status("left"); s.State != process.Running {
		t.Errorf("it is %v when somebody has hung up", s.State)
	}
	d.touch("end")
	if a := <-other; a.err != nil || a.s.Ended().Number != 1 || !same(a.s.Ended().ExitCode, new(5)) {
		t.Errorf("%+v, %v", a.s, a.err)
	}
}

// awaitState waits until there is a process in this state.
func (d *daemon) awaitState(name string, state process.State) {
	d.t.Helper()
	eventually(d.t, fmt.Sprint(name, " is ", state), func() bool {
		s, err := d.client().Status(d.context(), name)
		return err == nil && s.State == state
	})
}

// A run that is not well ends, with what its probe said last, and another one follows; or it
// is only shown, as it is asked for.
func TestUnhealthy(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.touch("go")
	address := freeAddress(t)
	spec := service("web", "rm -f sick; "+roleCommand("server", "tcp", address))
	spec.Probing = process.Probing{Ready: "tcp:" + address, Health: "http://" + address + "/", HealthPeriod: 100 * time.Millisecond, HealthFailures: 2}
	d.start(spec)
	healthy := func(s process.Status) bool {
		return s.State == process.Running && s.Health != nil && s.Health.State == process.HealthHealthy
	}
	d.await("web", "healthy", healthy)
	d.touch("sick")
	s := d.await("web", "healthy again", func(s process.Status) bool { return s.Number == 2 && healthy(s) })
	words := "http://" + address + "/: status 503 Service Unavailable"
	if l := s.LastRun; l == nil || l.Cause != process.CauseUnhealthy || l.Error != words {
		t.Errorf("the run before: %+v", l)
	}
	want := []process.EventKind{process.EventReady, process.EventUnhealthy, process.EventStopping, process.EventEnded}
	if got := d.kinds("web"); len(got) < 7 || !slices.Equal(got[3:7], want) {
		t.Errorf("events %v", got)
	}
	for _, e := range d.events(process.EventQuery{}) {
		if e.Kind == process.EventUnhealthy && e.Error != words || e.Kind == process.EventStopping && e.Cause != process.CauseUnhealthy {
			t.Errorf("told %+v", e)
		}
	}

	d.set("web", "health_action", "none", "health_failures", "1")
	d.touch("sick")
	s = d.await("web", "shown as unhealthy", func(s process.Status) bool { return s.Health != nil && s.Health.State == process.HealthUnhealthy })
	if s.State != process.Running || s.Number != 2 || s.Health.Error != words || len(s.WaitsForRestart) > 0 {
		t.Errorf("%+v", s)
	}
	if text := d.mustClient("list"); !strings.Contains(text, "unhealthy") {
		t.Errorf("list says\n%s", text)
	}
	if text := d.mustClient("status", "web"); !strings.Contains(text, "unhealthy, failed ") || !strings.Contains(text, words) {
		t.Errorf("status says\n%s", text)
	}
	d.killWorker() // the next one looks for itself
	d.await("web", "shown as unhealthy", func(s process.Status) bool { return s.Health != nil && s.Health.State == process.HealthUnhealthy })
	if err := os.Remove(d.dir + "/sick"); err != nil {
		t.Fatal(err)
	}
	d.await("web", "healthy", healthy)
	eventually(t, "that it is healthy again is told", func() bool { return slices.Contains(d.kinds("web"), process.EventHealthy) })
}

// Commands and Unix sockets tell how a run is as well.
func TestUnhealthyByOtherProbes(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.touch("go")
	path := d.dir + "/sock"
	probing := func(probe string) process.Probing {
		return process.Probing{Health: probe, HealthPeriod: 100 * time.Millisecond, HealthTimeout: 300 * time.Millisecond, HealthFailures: 2}
	}
	for name, spec := range map[string]process.Spec{
		"exec":  {Command: "exec sleep 600", Probing: probing("exec:test -e bad && echo worn out && exit 4; exit 0")},
		"hangs": {Command: "exec sleep 600", Probing: probing("exec:test -e bad && exec sleep 600; exit 0")},
		"unix":  {Command: roleCommand("server", "unix", path), Probing: probing("unix:" + path)},
	} {
		spec.Name = name
		spec.Ready = "exec:test -e go"
		d.start(spec)
	}
	for _, name := range []string{"exec", "hangs", "unix"} {
		d.await(name, "healthy", func(s process.Status) bool { return s.Health != nil && s.Health.State == process.HealthHealthy })
	}
	d.touch("bad")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]string{"exec": "exit code 4: worn out", "hangs": "it took too long", "unix": "no such file"} {
		if s := d.rest(name); s.State != process.Failed || s.Cause != process.CauseUnhealthy || !strings.Contains(s.Error, words) {
			t.Errorf("%s: %+v", name, s)
		}
		if left := withEnviron(t, "TMPDIR="+d.dir, "PROCESSMANAGER_NAME="+name); len(left) > 0 {
			t.Errorf("%s: processes are left:%s", name, describe(left))
		}
	}
}

// Health follows a change at once, when a run is ready from the next run on.
func TestProbesAreSet(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Command: "exec sleep 600", Restarting: process.Restarting{Restart: process.RestartOnFailure, RestartDelay: time.Hour}})
	s := d.set("web", "ready", "exec:false", "ready_timeout", "1h")
	if !slices.Equal(s.WaitsForRestart, []string{"ready", "ready_timeout"}) || s.State != process.Running || s.Ready != nil {
		t.Errorf("%+v", s)
	}
	s = d.set("web", "health", "exec:false", "health_period", "100ms", "health_failures", "1")
	if len(s.WaitsForRestart) != 2 {
		t.Errorf("%v wait for a restart", s.WaitsForRestart)
	}
	s = d.await("web", "in backoff", inBackoff)
	if s.LastRun.Cause != process.CauseUnhealthy {
		t.Errorf("%+v", s.LastRun)
	}
	if s := d.start(process.Spec{Name: "web"}); s.State != process.Starting || !same(s.Ready, new(false)) {
		t.Errorf("the next run: %+v", s)
	}
	for field, value := range map[string]string{"ready": "log:up", "health": "delay:2s", "health_period": "0.01", "ready_timeout": "-1"} {
		if r := d.pmclient("set", "web", "-"+field, value); r.code == 0 || !strings.Contains(r.stderr, field+": ") {
			t.Errorf("%s %s: code %d, %s", field, value, r.code, r.stderr)
		}
	}
}

// Whoever dies while runs are asked how they are, that is no run's failure.
func TestADeadWorkerOrKeeperIsNoFailureOfAProbe(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	address := freeAddress(t)
	d.touch("go")
	const count = 12
	for i := range count {
		d.start(process.Spec{Name: fmt.Sprintf("exec%d", i), Command: "exec sleep 600",
			Probing: process.Probing{Health: "exec:sleep 0.05", HealthPeriod: 100 * time.Millisecond, HealthTimeout: time.Minute, HealthFailures: 1}})
	}
	d.start(process.Spec{Name: "tcp", Command: roleCommand("server", "tcp", address),
		Probing: process.Probing{Ready: "tcp:" + address, Health: "tcp:" + address, HealthPeriod: 100 * time.Millisecond, HealthTimeout: time.Minute, HealthFailures: 1}})
	for i := range 12 {
		time.Sleep(time.Duration(100+37*i%100) * time.Millisecond)
		switch i % 3 {
		case 0:
			d.killWorker()
		case 1:
			d.crash()
			d.launch()
		case 2: // the worker ends by itself
			if err := d.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			d.wait()
			d.hangUp()
			d.launch()
		}
	}
	for _, s := range d.list() {
		if s.State != process.Running && s.State != process.Starting || s.Number != 1 {
			t.Errorf("%s is %v in run %d: %s", s.Name, s.State, s.Number, s.Error)
		}
	}
}
