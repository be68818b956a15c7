package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const ctrlBackslash = "\x1c"

// byHand is a daemon that a person starts in the shell of a terminal: the command has DAEMON
// where that stands. A process of it leaves a file behind if it is asked to end, and takes
// no notice of what a terminal sends; one that is stubborn takes none of being asked either.
// keeper is the daemon's pid.
func byHand(t *testing.T, command string, stubborn bool) (d *daemon, p *terminal, keeper int) {
	t.Helper()
	d = newDaemon(t, setup{})
	p = openTerminal(t, d.dir, "/bin/bash", "--norc", "--noprofile", "-i")
	line := fmt.Sprintf("env TMPDIR='%s' '%s' -state '%s' -socket '%s' -cgroup '%s' -secret %s", d.dir, programs.daemon, d.state, d.socket, d.cgroup, theSecret)
	p.types(strings.ReplaceAll(command, "DAEMON", line), enter)
	eventually(t, "the daemon answers", func() bool { return d.pmclient("list").code == 0 })
	spec := process.Spec{Name: "x", Command: `trap 'echo >asked; exit 0' TERM; trap '' HUP INT QUIT; echo up; while :; do sleep 0.05; done`, Dir: d.dir}
	if stubborn {
		timeout := 2 * patience
		spec.Ending.StopTimeout = &timeout
		spec.Command = strings.Replace(spec.Command, "; exit 0", "", 1)
	}
	d.start(spec)
	d.said("x", "up")
	d.hangUp()
	pid, err := os.ReadFile(d.state + "/lock")
	if err == nil {
		keeper, err = strconv.Atoi(strings.TrimSpace(string(pid)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d, p, keeper
}

// hangUp is what a person does who closes the window.
func (p *terminal) hangUp() {
	p.t.Helper()
	if err := p.master.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// wasAsked reports whether the process was asked to end.
func (d *daemon) wasAsked() bool { return !gone(d.dir + "/asked") }

// A daemon that was started by hand says what ends it, and ends with its terminal, with
// all processes in order: in front or in the background, which the shell hands SIGHUP to.
func TestClosingTheTerminalEndsTheDaemonInOrder(t *testing.T) {
	for _, command := range []string{"DAEMON", "DAEMON &", "exec DAEMON"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			d, p, keeper := byHand(t, command, false)
			p.sees("started from a terminal: closing that, or Ctrl-C, ends all processes in order, Ctrl-\\ kills them at once; for a daemon that stays, put nohup or setsid before it")
			p.hangUp()
			eventually(t, "the daemon has ended", func() bool { return !running(keeper) })
			if !d.wasAsked() {
				t.Error("the process was not asked to end")
			}
			if !gone(d.socket) {
				t.Error("the socket is left")
			}
			d.checkNothingLeft()
		})
	}
}

// nohup and setsid are respected: the daemon goes on, with its processes, and is told to
// upgrade by what is a hangup no more.
func TestADaemonThatIsToStayOutlivesItsTerminal(t *testing.T) {
	for command, upgrades := range map[string]bool{"nohup DAEMON &": false, "setsid DAEMON &": true} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			d, p, keeper := byHand(t, command, false)
			if upgrades {
				p.sees("listening on ")
				if strings.Contains(p.screen.since(0), "started from a terminal") {
					t.Error("it was not")
				}
			} else if said, err := os.ReadFile(d.dir + "/nohup.out"); err != nil || !strings.Contains(string(said), "started from a terminal, and goes on when that is closed") {
				t.Errorf("it says %q, %v", said, err)
			}
			p.hangUp()
			<-p.ended // the shell, which has passed it on before
			unix.Kill(keeper, unix.SIGHUP)
			if r := d.pmclient("status", "x"); r.code != 0 || d.wasAsked() {
				t.Errorf("%+v", r)
			}
			if upgrades {
				eventually(t, "the hangup has upgraded", func() bool { return d.pmclient("upgrade", "-result", "1").code == 0 })
			} else if r := d.pmclient("upgrade"); r.code != 0 { // behind the hangup
				t.Errorf("%+v", r)
			}
			if r := d.pmclient("upgrade", "-result", "2"); r.code == 0 {
				t.Errorf("there were two: %+v", r)
			}
			unix.Kill(keeper, unix.SIGTERM)
			eventually(t, "the daemon has ended", func() bool { return !running(keeper) })
			if !d.wasAsked() {
				t.Error("the process was not asked to end")
			}
		})
	}
}

// Ctrl-C ends all in order, and a second time at once, as Ctrl-\ does; neither reaches a
// process, and the shell has its terminal back.
func TestKeysOfATerminalEndTheDaemon(t *testing.T) {
	for what, c := range map[string]struct {
		keys     []string
		stubborn bool
		asked    bool
		code     int
	}{
		"Ctrl-C":                {[]string{ctrlC}, false, true, 0},
		"Ctrl-C twice":          {[]string{ctrlC, ctrlC}, true, true, 1},
		`Ctrl-\`:                {[]string{ctrlBackslash}, false, false, 1},
		`Ctrl-C, then Ctrl-\`:   {[]string{ctrlC, ctrlBackslash}, true, true, 1},
		"Ctrl-C, then a hangup": {[]string{ctrlC, ""}, false, true, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d, p, keeper := byHand(t, `DAEMON; echo "the code is [$?]"`, c.stubborn)
			for i, key := range c.keys {
				if i > 0 && c.stubborn {
					eventually(t, "the process was asked to end", d.wasAsked)
					time.Sleep(notTheSame)
				}
				if key == "" {
					p.hangUp()
				} else {
					p.types(key)
				}
			}
			eventually(t, "the daemon has ended", func() bool { return !running(keeper) })
			if d.wasAsked() != c.asked {
				t.Errorf("the process was asked to end: %v", d.wasAsked())
			}
			if c.keys[len(c.keys)-1] != "" {
				p.sees(fmt.Sprintf("the code is [%d]", c.code))
				if strings.Contains(p.screen.since(0), "goroutine ") {
					t.Error("it ends with a stack")
				}
			}
			d.checkNothingLeft()
		})
	}
}
