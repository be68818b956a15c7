package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// parrot is a process that writes what say gives it.
type parrot struct {
	d  *daemon
	in *os.File
}

func (d *daemon) parrot(name string) parrot {
	d.t.Helper()
	path := d.dir + "/" + name + ".in"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		d.t.Fatal(err)
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { in.Close() })
	d.start(process.Spec{Name: name, Log: true, Command: "exec cat " + name + ".in"})
	return parrot{d, in}
}

func (p parrot) say(text string) {
	p.d.t.Helper()
	if _, err := p.in.WriteString(text); err != nil {
		p.d.t.Fatal(err)
	}
}

// Over the bare wire a log is followed in its frame, which ends when the process is
// deleted: as text line by line, in JSON in pieces that say where to go on.
func TestALogIsFollowedOverTheWire(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	p := d.parrot("p")
	p.say("one\ntwo\n")
	d.said("p", "two\n")

	text := d.session(t)
	text.send("!!process.log name:p follow:true limit:1 jobid:j\n\n")
	text.expect("**RESULT** j")
	text.expect("two")
	pieces := d.session(t)
	pieces.send("!!process.log name:p follow:true limit:1 format:json\n\n")
	pieces.expect("**RESULT** ")
	var got strings.Builder
	until := func(end string) (next int64) {
		t.Helper()
		for !strings.HasSuffix(got.String(), end) {
			var b verbs.Bytes
			if err := json.Unmarshal([]byte(pieces.line()), &b); err != nil {
				t.Fatal(err)
			}
			data, err := b.Decode()
			if err != nil || b.Name != "p" {
				t.Fatalf("%+v, %v", b, err)
			}
			got.Write(data)
			next = b.Next
		}
		return next
	}
	if next := until("two\n"); got.String() != "two\n" || next != 8 {
		t.Errorf("%q, to %d", got.String(), next)
	}

	p.say("three\n")
	text.expect("three")
	until("three\n")
	p.say("**ENDRESULT**\n")
	text.expect(" **ENDRESULT**") // a payload never ends its own frame
	if next := until("ENDRESULT**\n"); got.String() != "two\nthree\n**ENDRESULT**\n" || next != int64(len("one\n")+got.Len()) {
		t.Errorf("%q, to %d", got.String(), next)
	}

	if err := d.client().Delete(d.context(), "p"); err != nil {
		t.Fatal(err)
	}
	text.expect("Error: process 'p' was deleted")
	text.expect("**ENDRESULT**")
	pieces.expect(`{"error":"process 'p' was deleted","code":"not_found"}`)
	pieces.expect("**ENDRESULT**")
	if got := text.ask("!!process.list"); got != "no processes\n" {
		t.Errorf("the session goes on with %q", got)
	}
}

// Several logs at once have their names in front, in colours on a terminal; each
// line is whole.
func TestSeveralLogsAreToldApart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	a, web := d.parrot("a"), d.parrot("web")
	a.say("old\none\n")
	web.say("1\n")
	d.said("a", "one\n")
	d.said("web", "1\n")
	got := d.mustClient("logs", "-n", "1", "web", "a")
	if want := map[string]bool{"web | 1\na   | one\n": true, "a   | one\nweb | 1\n": true}; !want[got] {
		t.Errorf("%q", got)
	}

	logs := []string{programs.client, "-socket", d.socket, "-secret", theSecret, "logs"}
	p := openTerminal(t, d.dir, append(logs, "-f", "-n", "1", "a", "web")...)
	p.sees("a   | \x1b[0mone\r\n")
	if screen := p.screen.since(0); !strings.Contains(screen, "\x1b[31ma   | \x1b[0mone\r\n") || strings.Contains(screen, "old") {
		t.Errorf("%q", screen)
	}
	web.say("half ")
	a.say("two\n")
	p.sees("\x1b[31ma   | \x1b[0mtwo\r\n")
	web.say("line\n")
	p.sees("\x1b[32mweb | \x1b[0mhalf line\r\n")
	p.types(ctrlC)
	if code := p.ends(); code != 0 {
		t.Errorf("Ctrl-C gives exit code %d", code)
	}

	for _, args := range [][]string{{"-f", "a", "nobody"}, {"nobody", "a"}} {
		r := d.pmclient(append([]string{"logs"}, args...)...)
		if r.code != 1 || r.stderr != "pmclient: no process 'nobody'; 'pmclient list' shows the names\n" {
			t.Errorf("%v: code %d, %q", args, r.code, r.stderr)
		}
	}
	// For programs it comes at once too.
	p = openTerminal(t, d.dir, append(logs, "-f", "-format=json", "-n", "1", "a")...)
	p.sees(`{"name":"a","data":"two\n","next":12}`)
	a.say("three\n")
	p.sees(`{"name":"a","data":"three\n","next":18}`)
}

// stalled takes its first bytes, then nothing until it is released.
type stalled struct {
	lineCount
	release <-chan struct{}
}

func (s *stalled) Write(p []byte) (int, error) {
	n, err := s.lineCount.Write(p)
	<-s.release
	return n, err
}

// Somebody who follows and takes nothing for a while holds up neither the process
// nor those who follow it too, and then gets every line.
func TestASlowFollowerLosesNothingAndSlowsNobody(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const lines = 1_000_000 // 7 MB, more than lies in sockets and pipes
	p := d.parrot("p")
	p.say("0\n")
	release := make(chan struct{})
	slow, quick := &stalled{release: release}, &lineCount{}
	follower := d.dial(t)
	for _, w := range []interface {
		Write([]byte) (int, error)
		lines() []string
	}{slow, quick} {
		go follower.Log(d.context(), "p", process.LogQuery{Follow: true}, w)
		eventually(t, "the first line", func() bool { return w.lines()[0] == "0" })
	}
	go func() {
		for i := 1; i < lines; i += 1000 {
			var b strings.Builder
			for j := i; j < min(i+1000, lines); j++ {
				fmt.Fprintf(&b, "%d\n", j)
			}
			if _, err := p.in.WriteString(b.String()); err != nil {
				t.Error(err)
			}
		}
	}()
	whole := func(c interface{ lines() []string }) func() bool {
		last := fmt.Sprint(lines - 1)
		return func() bool { l := c.lines(); return l[len(l)-1] == last }
	}
	eventually(t, "the one who reads has all", whole(quick))
	if n := len(slow.lines()); n > lines/2 {
		t.Fatalf("the other one has %d lines by then", n)
	}
	close(release)
	eventually(t, "the other one has all too", whole(slow))
	for _, c := range []interface{ lines() []string }{quick, slow} {
		for i, line := range c.lines() {
			if line != fmt.Sprint(i) {
				t.Fatalf("line %d is %q", i, line)
			}
		}
	}
}
