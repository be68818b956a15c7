package integration

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
)

func init() { roles["notify"] = playService }

// playService is a service that speaks to its manager, a datagram for each argument. Others:
//
//	await:FILE    wait until there is one
//	make:FILE     make it
//	barrier:FILE  make it when the manager has dealt with all before
//	to:PATH       send to another socket from now on
//	every:TIME    send WATCHDOG=1 so often, until the end
//	flood         send for ever
//	stay          do nothing any more
func playService(args []string) {
	to := os.Getenv("NOTIFY_SOCKET")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	send := func(text string, fds ...int) {
		var oob []byte
		if len(fds) > 0 {
			oob = unix.UnixRights(fds...)
		}
		if err := unix.Sendmsg(fd, []byte(text), oob, &unix.SockaddrUnix{Name: to}, 0); err != nil {
			exitWith(fmt.Errorf("send %q to %s: %w", text, to, err))
		}
	}
	if err != nil {
		exitWith(err)
	}
	for _, arg := range args {
		what, value, _ := strings.Cut(arg, ":")
		switch what {
		case "await":
			for gone(value) {
				time.Sleep(time.Millisecond)
			}
		case "barrier":
			var ends [2]int
			if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
				exitWith(err)
			}
			send("BARRIER=1", ends[1])
			unix.Close(ends[1])
			unix.Read(ends[0], make([]byte, 1)) // until nobody has the other end
			os.WriteFile(value, nil, 0o600)
		case "make":
			os.WriteFile(value, nil, 0o600)
		case "to":
			to = value
		case "every":
			every, err := time.ParseDuration(value)
			if err != nil {
				exitWith(err)
			}
			for ; ; time.Sleep(every) {
				send("WATCHDOG=1")
			}
		case "flood":
			for {
				send("STATUS=" + strconv.FormatInt(time.Now().UnixNano(), 10))
			}
		case "stay":
			time.Sleep(time.Hour)
		default:
			send(strings.ReplaceAll(arg, `\n`, "\n"))
		}
	}
}

// speaker is the command of a process that plays one.
func speaker(args ...string) string {
	line := programs.self + " role notify"
	for _, arg := range args {
		line += " '" + arg + "'"
	}
	return "exec " + line
}

// notifying is a process that says when it is ready.
func notifying(name string, args ...string) process.Spec {
	return process.Spec{Name: name, Command: speaker(args...), Probing: process.Probing{Ready: "notify"}}
}

func (d *daemon) touch(name string) {
	d.t.Helper()
	if err := os.WriteFile(d.dir+"/"+name, nil, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) isIn(name string, state process.State) process.Status {
	d.t.Helper()
	return d.await(name, state.String(), func(s process.Status) bool { return s.State == state })
}

// says waits until a run has said this of itself.
func (d *daemon) says(name string, state process.NotifiedState, text string) process.Status {
	d.t.Helper()
	return d.await(name, fmt.Sprintf("%q %q", state, text), func(s process.Status) bool { return s.Notified == state && s.StatusText == text })
}

func TestRunIsReadyWhenItSaysSo(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(notifying("web", "STATUS=warming up", "barrier:"+d.dir+"/warm", "await:"+d.dir+"/go",
		`READY=1\nSTATUS=serving \u001b[1m\nMAINPID=1`, "MAINPID=2", "barrier:"+d.dir+"/ready", "await:"+d.dir+"/reload",
		`RELOADING=1\nMONOTONIC_USEC=1`, "await:"+d.dir+"/reloaded", "READY=1", "await:"+d.dir+"/end", `STOPPING=1\nSTATUS=`, "stay"))
	eventually(t, "the status is dealt with", func() bool { return !gone(d.dir + "/warm") })
	if s := d.status("web"); s.State != process.Starting || s.StatusText != "warming up" {
		t.Errorf("before READY: %v, %q", s.State, s.StatusText)
	}
	d.touch("go")
	d.isIn("web", process.Running)
	eventually(t, "the barrier is passed", func() bool { return !gone(d.dir + "/ready") })
	eventually(t, "the log has the refusal", func() bool { return strings.Contains(d.log.since(0), "MAINPID") })
	from := d.log.len()
	d.touch("reload")
	if s := d.says("web", process.NotifiedReloading, `serving \u001b[1m`); s.State != process.Running {
		t.Errorf("while it reloads: %v", s.State)
	}
	if text := d.mustClient("status", "web"); !strings.Contains(text, "reloading, serving") {
		t.Errorf("status:\n%s", text)
	}
	d.touch("reloaded")
	d.says("web", "", `serving \u001b[1m`)
	d.touch("end")
	d.says("web", process.NotifiedStopping, "")
	if n := strings.Count(d.log.since(0), "refused"); n != 1 || strings.Contains(d.log.since(from), "MAINPID") {
		t.Errorf("that MAINPID is refused is said %d times:\n%s", n, d.log.since(0))
	}
	d.stop("web")
	d.nobodyLeft("web", 1)
}

func TestSocketOfARunIsItsUsersAlone(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(notifying("web", "READY=1", "stay"))
	d.isIn("web", process.Running)
	if s := d.finished("plain", "test -z \"$NOTIFY_SOCKET$WATCHDOG_USEC\""); s.State != process.Completed {
		t.Errorf("a run that asks for none: %v %s", s.State, s.Error)
	}
	dir, err := os.Stat(d.state + "/run/n")
	if err != nil || dir.Mode().Perm() != 0o711 {
		t.Fatalf("%v, %v", dir, err)
	}
	socket, err := os.Stat(d.state + "/run/n/1")
	if err != nil || socket.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("%v, %v", socket, err)
	}
	d.stop("web")
	if !gone(d.state + "/run/n/1") {
		t.Error("the socket is left")
	}
}

// What is sent while the worker is dead waits in the socket, and what a worker has seen and
// not dealt with is seen by the next.
func TestReadyIsNotLostWithTheWorker(t *testing.T) {
	t.Parallel()
	t.Run("sent while it stands still", func(t *testing.T) {
		t.Parallel()
		d := startDaemon(t, setup{})
		d.start(notifying("web", "await:"+d.dir+"/go", `READY=1\nSTATUS=here`, "make:"+d.dir+"/sent", "barrier:"+d.dir+"/dealt", "stay"))
		worker := d.stopWorker()
		d.touch("go")
		eventually(t, "it is sent", func() bool { return !gone(d.dir + "/sent") })
		if !gone(d.dir + "/dealt") {
			t.Error("the barrier was passed while nobody could deal with it")
		}
		d.hangUp()
		unix.Kill(worker, unix.SIGKILL)
		d.isIn("web", process.Running)
		d.says("web", "", "here")
		eventually(t, "the barrier is passed", func() bool { return !gone(d.dir + "/dealt") })
		d.stop("web")
	})
	for _, p := range []supervisor.Point{supervisor.Point(lives.PointHeard), supervisor.Point(lives.PointReady)} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			d.start(notifying("web", "await:"+d.dir+"/go", `READY=1\nSTATUS=here`, "barrier:"+d.dir+"/dealt", "stay"))
			worker := d.worker()
			d.arm(p)
			d.hangUp()
			d.touch("go")
			eventually(t, "the worker dies", func() bool { return !running(worker) })
			d.isIn("web", process.Running)
			d.says("web", "", "here")
			eventually(t, "the barrier is passed", func() bool { return !gone(d.dir + "/dealt") })
			if s := d.status("web"); s.Number != 1 {
				t.Errorf("run %d", s.Number)
			}
			d.stop("web")
		})
	}
}

// What a run has said outlives the worker, and an upgrade that replaces the keeper's program
// too: so does the socket.
func TestSocketOutlivesWorkers(t *testing.T) {
	t.Parallel()
	d, replace := ownProgram(t, setup{})
	d.start(notifying("web", `READY=1\nSTATUS=one`, "await:"+d.dir+"/go", `RELOADING=1\nSTATUS=two`, "stay"))
	d.says("web", "", "one")
	for range 2 {
		worker := d.worker()
		d.hangUp()
		unix.Kill(worker, unix.SIGKILL)
		d.says("web", "", "one")
		if s := d.status("web"); s.State != process.Running {
			t.Errorf("%v", s.State)
		}
	}
	replace(otherProgram(t))
	d.hangUp()
	d.upgraded()
	d.says("web", "", "one")
	d.touch("go")
	d.says("web", process.NotifiedReloading, "two")
	d.stop("web")
}

// The keeper holds what was sent. When it dies too, the socket is made again in its place,
// for the run knows no other.
func TestSocketIsMadeAgainWhenTheKeeperDied(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(notifying("web", "await:"+d.dir+"/go", `READY=1\nSTATUS=again`, "stay"))
	before := d.status("web")
	d.hangUp()
	unix.Kill(d.keeper(), unix.SIGKILL)
	d.wait()
	d.launch()
	d.touch("go")
	d.isIn("web", process.Running)
	if s := d.says("web", "", "again"); s.PID != before.PID {
		t.Errorf("pid %d, before %d", s.PID, before.PID)
	}
	worker := d.worker()
	d.hangUp()
	unix.Kill(worker, unix.SIGKILL) // the new keeper holds the new one
	d.says("web", "", "again")
	d.stop("web")
}

// A run knows no other socket than the one that it was given. What others delete is made
// again in its place, with all that was sent before.
func TestSocketThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(d *daemon) error{
		"socket":            func(d *daemon) error { return os.Remove(d.state + "/run/n/1") },
		"its directory":     func(d *daemon) error { return os.RemoveAll(d.state + "/run/n") },
		"runtime directory": func(d *daemon) error { return os.RemoveAll(d.state + "/run") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			d.start(notifying("web", "STATUS=waits", "await:"+d.dir+"/go", `READY=1\nSTATUS=up`, "stay"))
			d.says("web", "", "waits")
			if err := remove(d); err != nil {
				t.Fatal(err)
			}
			if !d.log.await(0, "was not there any more: it was made again", d.ended) {
				t.Fatal(d.log.since(0))
			}
			eventually(t, "the socket is there", func() bool { return !gone(d.state + "/run/n/1") })
			d.hangUp()
			unix.Kill(d.worker(), unix.SIGKILL) // the keeper holds the new one
			d.touch("go")
			d.isIn("web", process.Running)
			d.says("web", "", "up")
			d.stop("web")
		})
	}
}

// Processes of the same user that are not of the run's tree, and root outside, are not heard.
func TestOnlyTheRunsOwnTreeIsHeard(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(notifying("web", "await:"+d.dir+"/go", "READY=1", "stay"))
	socket := d.state + "/run/n/1"
	d.start(process.Spec{Name: "other", Command: speaker("to:"+socket, "READY=1", "barrier:"+d.dir+"/other", "stay")})
	eventually(t, "the other's message is dealt with", func() bool { return !gone(d.dir + "/other") })
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, text := range []string{"READY=1", "STATUS=lies", strings.Repeat("x", 5000), "READY=1\x00"} {
		if err := unix.Sendto(fd, []byte(text), 0, &unix.SockaddrUnix{Name: socket}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "ours is dealt with", func() bool {
		var n int32
		n, err := unixOutq(fd)
		return err == nil && n == 0
	})
	if s := d.status("web"); s.State != process.Starting || s.StatusText != "" {
		t.Errorf("%v, %q", s.State, s.StatusText)
	}
	if n := strings.Count(d.log.since(0), "is none of its processes"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, d.log.since(0))
	}
	d.touch("go")
	d.isIn("web", process.Running)
	d.stop("web")
	d.stop("other")
}

// unixOutq is how many bytes that were sent are not received yet.
func unixOutq(fd int) (int32, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	return int32(n), err
}

func TestUnfedWatchdogEndsTheRun(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	fed := func(name string, every time.Duration, args ...string) {
		spec := notifying(name, args...)
		spec.Watchdog = every
		d.start(spec)
	}
	fed("starves", 300*time.Millisecond, "READY=1", "WATCHDOG=1", "stay")
	fed("triggers", time.Hour, "READY=1", "WATCHDOG=trigger", "stay")
	fed("changes", time.Hour, "READY=1", "WATCHDOG_USEC=200000", "stay")
	fed("lives", 5*time.Second, `READY=1\nSTATUS=fed`, "every:50ms")
	d.says("lives", "", "fed")
	for name, want := range map[string]string{
		"starves":  "watchdog: not fed for 300ms",
		"triggers": "watchdog: it asked to be ended (WATCHDOG=trigger)",
		"changes":  "watchdog: not fed for 200ms",
	} {
		if s := d.rest(name); s.State != process.Failed || s.Cause != process.CauseUnhealthy || s.Error != want {
			t.Errorf("%s: %v, %v, %q", name, s.State, s.Cause, s.Error)
		}
	}
	// That no worker is there to be told is not the service's fault: it feeds the next.
	for range 3 {
		worker := d.worker()
		d.hangUp()
		unix.Kill(worker, unix.SIGKILL)
		d.says("lives", "", "fed")
	}
	if s := d.status("lives"); s.State != process.Running || s.Number != 1 {
		t.Errorf("%v, run %d", s.State, s.Number)
	}
	if out := d.finished("told", "test \"$WATCHDOG_USEC\" = ''"); out.State != process.Completed {
		t.Errorf("%v", out.State)
	}
	d.stop("lives")
}

// A run that sends without end waits itself: neither the worker's CPU nor its memory is the
// price, and others are answered meanwhile.
func TestFloodOfMessagesIsBounded(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	d.launch()
	spec := notifying("flood", "READY=1", "flood")
	d.start(spec)
	d.isIn("flood", process.Running)
	worker := d.worker()
	cpu := func() time.Duration {
		stat := procStat(worker)
		user, _ := strconv.Atoi(stat[11])
		system, _ := strconv.Atoi(stat[12])
		return time.Duration(user+system) * time.Second / 100
	}
	before, began := cpu(), time.Now()
	d.finished("another", "true")
	time.Sleep(3 * time.Second) // what is measured is what happens meanwhile
	used, passed := cpu()-before, time.Since(began)
	t.Logf("%v CPU in %v", used, passed)
	if share := float64(used) / float64(passed); share > 0.1*float64(slowdown()) {
		t.Errorf("the worker uses %.0f%% of a core", 100*share)
	}
	d.stop("flood")
}

// A run of another user has a socket that is that user's, also after the keeper's death.
func TestRunOfAnotherUserIsHeard(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("it takes root to become another user")
	}
	const nobody = 65534
	open, err := os.MkdirTemp("", "pm-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	program, err := os.ReadFile(programs.self)
	if err = errors.Join(err, os.Chmod(open, 0o755), os.WriteFile(open+"/speaker", program, 0o755), os.Chmod(open+"/speaker", 0o755)); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, setup{})
	d.launch()
	spec := notifying("web", `READY=1\nSTATUS=first`, "await:"+open+"/go", "STATUS=second", "stay")
	spec.Command = strings.Replace(spec.Command, programs.self, open+"/speaker", 1)
	spec.Environment.User, spec.Dir = strconv.Itoa(nobody), "/"
	spec.Health, spec.HealthPeriod = fmt.Sprintf("exec:test $(id -u) = %d && ! test $NOTIFY_SOCKET", nobody), 100*time.Millisecond
	_, err = d.client().Start(d.context(), spec)
	if err == nil || !strings.Contains(err.Error(), "cannot reach the socket") || !strings.Contains(err.Error(), "chmod a+x "+d.state) {
		t.Errorf("in a directory that it cannot pass: %v", err)
	}
	d.end(syscall.SIGTERM)

	runtime := open + "/run"
	d.launch("-runtime", runtime)
	if s := d.start(spec); s.State != process.Running && s.State != process.Starting {
		t.Errorf("%v", s.State)
	}
	check := func(status string) {
		t.Helper()
		if s := d.says("web", "", status); s.State != process.Running {
			t.Errorf("%v", s.State)
		}
		info, err := os.Stat(runtime + "/n/1")
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody || info.Mode().Perm() != 0o600 {
			t.Fatalf("%+v, %v", info, err)
		}
	}
	check("first")
	d.await("web", "healthy", func(s process.Status) bool { return s.Health != nil && s.Health.State == process.HealthHealthy })
	d.hangUp()
	unix.Kill(d.keeper(), unix.SIGKILL)
	d.wait()
	d.launch("-runtime", runtime)
	if err := os.WriteFile(open+"/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check("second")
	d.stop("web")
}

func TestNotifySocketThatCannotBeIsSaid(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	long := d.dir + "/" + strings.Repeat("x", 100)
	d.setup.Args = []string{"-runtime", long}
	d.launch()
	_, err := d.client().Start(d.context(), notifying("web", "READY=1", "stay"))
	if err == nil || !strings.Contains(err.Error(), "at most 107 bytes") || !strings.Contains(err.Error(), "-runtime") {
		t.Errorf("%v", err)
	}
	if s := d.finished("plain", "true"); s.State != process.Completed {
		t.Errorf("%v", s.State)
	}
	d.end(syscall.SIGTERM)
}
