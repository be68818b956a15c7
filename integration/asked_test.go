package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
	lives "github.com/freeflowuniverse/processmanager/supervisor/run"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// asked is who asked for a run, on a line.
func asked(a process.Asked) string {
	text := string(a.By)
	if a.UID != nil {
		text += fmt.Sprint(" uid ", *a.UID)
	}
	if a.Over != "" {
		text += " over " + a.Over
	}
	if a.Count != 0 {
		text += fmt.Sprint(" ", a.Count)
	}
	if a.Name != "" {
		text += " of " + a.Name
	}
	if !a.Time.IsZero() {
		text += " of a time"
	}
	return text
}

// Who asked for a run stands in its status, its record and the event of its start, whoever
// died since.
func TestARunSaysWhoAskedForIt(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	us := fmt.Sprint("request uid ", os.Getuid())
	if _, err := d.client().Define(d.context(), process.Spec{Name: "db", Command: "exec sleep 1000"}); err != nil {
		t.Fatal(err)
	}
	d.start(process.Spec{Name: "web", Command: "exec sleep 1000", Ordering: process.Ordering{Needs: "db"}, Restarting: process.Restarting{Restart: "always", Autostart: true}, JobID: "e42"})
	d.start(process.Spec{Name: "timed", Command: "true", Schedule: process.Schedule{Cron: "@every 1s"}})
	d.await("timed", "past a run", func(s process.Status) bool { return s.LastRun != nil })
	is := func(name, want string) {
		t.Helper()
		if s := d.status(name); asked(s.Asked) != want {
			t.Errorf("%s, run %d: asked for by %q, want %q", name, s.Number, asked(s.Asked), want)
		}
	}
	is("web", us)
	is("db", "need of web")
	if s := d.status("timed"); asked(s.LastRun.Asked) != "schedule of a time" || s.LastRun.Start.Before(s.LastRun.Asked.Time) {
		t.Errorf("timed: %+v", s.LastRun)
	}
	if text := d.mustClient("status", "web"); !strings.Contains(strings.Join(strings.Fields(text), " "), fmt.Sprint(" asked by: uid ", os.Getuid())) {
		t.Error(text)
	}
	d.killWorker()
	is("web", us)
	is("db", "need of web")
	d.crash()
	d.launch()
	is("web", us)
	is("db", "need of web")
	if err := syscall.Kill(d.status("web").PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.await("web", "started again", func(s process.Status) bool { return s.Number == 2 && s.State == process.Running })
	is("web", "restart 1")
	d.end(unix.SIGTERM)
	d.launch()
	d.await("web", "up again", func(s process.Status) bool { return s.Number == 3 && s.State == process.Running })
	is("web", "boot")

	runs, err := d.runsOf(process.RunQuery{Name: process.Selection{"web"}})
	if err != nil || len(runs) != 2 || asked(runs[0].Asked) != us || asked(runs[1].Asked) != "restart 1" {
		t.Errorf("%+v, %v", runs, err)
	}
	var told []string
	for _, e := range d.events(process.EventQuery{Name: process.Selection{"web"}}) {
		if e.Kind == process.EventStarting {
			told = append(told, asked(e.Asked))
		}
	}
	if got := strings.Join(told, ", "); got != us+", restart 1, boot" {
		t.Errorf("the starts were asked for by %s", got)
	}
}

// Over TCP nobody knows the user, and the run says that.
func TestARunAskedForOverTCPSaysSo(t *testing.T) {
	t.Parallel()
	d, port := startTelnet(t)
	conn, err := d.dialTCP(port)()
	if err != nil {
		t.Fatal(err)
	}
	c := telnet.NewClient(conn)
	defer c.Close()
	if err := c.Authenticate(d.context(), []byte(theSecret)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Do(d.context(), "!!process.start name:web command:'exec sleep 1000'"); err != nil {
		t.Fatal(err)
	}
	if s := d.status("web"); asked(s.Asked) != "request over tcp" {
		t.Errorf("asked for by %q", asked(s.Asked))
	}
	if text := d.mustClient("status", "web"); !strings.Contains(strings.Join(strings.Fields(text), " "), " asked by: somebody over TCP ") {
		t.Error(text)
	}
}

// Who asked for a restart is known though a worker dies on the way.
func TestWhoAskedOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	for _, p := range []supervisor.Point{lives.PointAsked, lives.PointMarked, lives.PointSpawned} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			d := startCrashing(t)
			d.start(process.Spec{Name: "x", Command: "exec sleep 1000"})
			d.arm(p)
			_, err := d.client().Restart(d.context(), "x", "second")
			d.lost(err)
			s := d.await("x", "running again", func(s process.Status) bool { return s.State == process.Running && s.Number >= 2 })
			if want := fmt.Sprint("request uid ", os.Getuid()); asked(s.Asked) != want || asked(s.LastRun.Asked) != want {
				t.Errorf("%+v\nlast: %+v", s.Run, s.LastRun)
			}
		})
	}
}
