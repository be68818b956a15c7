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

func (d *daemon) parrot(spec process.Spec) parrot {
	d.t.Helper()
	path := d.dir + "/" + spec.Name + ".in"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		d.t.Fatal(err)
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { in.Close() })
	spec.Log, spec.Command = true, "exec cat "+spec.Name+".in"
	d.start(spec)
	return parrot{d, in}
}

func (p parrot) say(text string) {
	p.d.t.Helper()
	if _, err := p.in.WriteString(text); err != nil {
		p.d.t.Fatal(err)
	}
}

// count has it write the numbers from from on, before to.
func (p parrot) count(from, to int) {
	for i := from; i < to; i += 1000 {
		var b strings.Builder
		for j := i; j < min(i+1000, to); j++ {
			fmt.Fprintf(&b, "%d\n", j)
		}
		if _, err := p.in.WriteString(b.String()); err != nil {
			p.d.t.Error(err)
			return
		}
	}
}

// Over the bare wire a log is followed in its frame, which ends when the process is
// deleted: as text line by line, in JSON in pieces that say where to go on.
func TestALogIsFollowedOverTheWire(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	p := d.parrot(process.Spec{Name: "p"})
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
	a, web := d.parrot(process.Spec{Name: "a"}), d.parrot(process.Spec{Name: "web"})
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

// Over the wire several logs are followed as well, by a pattern too. Who is deleted ends that,
// and is told.
func TestSeveralLogsAreFollowedOverTheWire(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	a, web := d.parrot(process.Spec{Name: "a"}), d.parrot(process.Spec{Name: "web-1"})
	a.say("one\n")
	web.say("1\n")
	d.said("a", "one\n")
	d.said("web-1", "1\n")
	w := d.session(t)
	if got, want := w.ask("!!process.log name:web-*,a"), "web-1 | 1\na     | one\n"; got != want {
		t.Errorf("%q", got)
	}
	if got, want := w.ask("!!process.log name:'a,web-*' format:json limit:1"), "{\"name\":\"a\",\"data\":\"one\\n\",\"next\":4}\n{\"name\":\"web-1\",\"data\":\"1\\n\",\"next\":2}\n"; got != want {
		t.Errorf("%q", got)
	}
	if got, want := d.mustClient("logs", "web-*,a"), "web-1 | 1\na     | one\n"; got != want {
		t.Errorf("%q", got)
	}
	w.send("!!process.log name:a,web-* follow:true limit:1 jobid:j\n\n")
	w.expect("**RESULT** j")
	first, second := w.line(), w.line()
	if first > second {
		first, second = second, first
	}
	if first != "a     | one" || second != "web-1 | 1" {
		t.Errorf("%q, %q", first, second)
	}
	web.say("half ")
	a.say("two\n")
	w.expect("a     | two")
	web.say("line\n")
	w.expect("web-1 | half line")
	if err := d.client().Delete(d.context(), "a"); err != nil {
		t.Fatal(err)
	}
	w.expect("Error: process 'a' was deleted")
	w.expect("**ENDRESULT**")
	if got := w.ask("!!process.log name:a,web-1 follow:true"); got != "Error: no process 'a'\n" {
		t.Errorf("%q", got)
	}
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
	const lines = 300_000 // 2 MB, more than lies in sockets and pipes
	p := d.parrot(process.Spec{Name: "p"})
	p.say("0\n")
	release := make(chan struct{})
	slow, quick := &stalled{release: release}, &lineCount{}
	follower := d.dial(t)
	go follower.Log(d.context(), "p", process.LogQuery{Follow: true}, slow)
	go follower.Log(d.context(), "p", process.LogQuery{Follow: true}, quick)
	eventually(t, "the first line", func() bool { return slow.endsWith("0\n") && quick.endsWith("0\n") })
	go p.count(1, lines)
	last := fmt.Sprintf("\n%d\n", lines-1)
	eventually(t, "the one who reads has all", func() bool { return quick.endsWith(last) })
	if n := len(slow.lines()); n > lines/2 {
		t.Fatalf("the other one has %d lines by then", n)
	}
	close(release)
	eventually(t, "the other one has all too", func() bool { return slow.endsWith(last) })
	for _, c := range []*lineCount{quick, &slow.lineCount} {
		for i, line := range c.lines() {
			if line != fmt.Sprint(i) {
				t.Fatalf("line %d is %q", i, line)
			}
		}
	}
}

// What was removed before a slow follower came to it is counted, where it is missing.
func TestAFollowerIsToldWhatItWasTooSlowFor(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const lines = 300_000
	p := d.parrot(process.Spec{Name: "p", Logging: process.Logging{LogMaxSize: 64 << 10, LogMaxFiles: 2}})
	p.say("0\n")
	release := make(chan struct{})
	slow := &stalled{release: release}
	go d.dial(t).Log(d.context(), "p", process.LogQuery{Follow: true}, slow)
	eventually(t, "the first line", func() bool { return slow.endsWith("0\n") })
	p.count(1, lines)
	last := fmt.Sprintf("\n%d\n", lines-1)
	d.said("p", last)
	close(release)
	eventually(t, "the last line", func() bool { return slow.endsWith(last) })
	next, missing, notices := 0, 0, 0
	for _, line := range slow.lines() {
		var n, number int
		if _, err := fmt.Sscanf(line, "processmanager: %d bytes of output are missing here: ", &n); err == nil {
			missing += n
			notices++
			continue
		}
		if _, err := fmt.Sscan(line, &number); err != nil || number < next {
			t.Fatalf("%q where %d is next", line, next)
		}
		for ; next < number; next++ {
			missing -= len(fmt.Sprintln(next))
		}
		next++
	}
	if missing != 0 || notices == 0 {
		t.Errorf("%d bytes more were said to be missing than were, in %d notices", missing, notices)
	}
}

// Whoever follows when the daemon ends is told so, within the frame.
func TestAFollowerIsToldOfTheShutdown(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.parrot(process.Spec{Name: "p"}).say("one\n")
	d.said("p", "one\n")
	text, pieces := d.session(t), d.session(t)
	text.send("!!process.log name:p follow:true\n\n")
	pieces.send("!!process.log name:p follow:true format:json\n\n")
	for _, line := range []string{"**RESULT** ", "one"} {
		text.expect(line)
	}
	for _, line := range []string{"**RESULT** ", `{"name":"p","data":"one\n","next":4}`} {
		pieces.expect(line)
	}
	follower := openTerminal(t, d.dir, programs.client, "-socket", d.socket, "-secret", theSecret, "logs", "-f", "p")
	follower.sees("one\r\n")
	if code := d.end(unix.SIGTERM); code != 0 {
		t.Errorf("the daemon ended with code %d", code)
	}
	text.expect("Error: the daemon is shutting down")
	text.expect("**ENDRESULT**")
	pieces.expect(`{"error":"the daemon is shutting down","code":"shutting_down"}`)
	pieces.expect("**ENDRESULT**")
	if code := follower.ends(); code != 69 {
		t.Errorf("pmclient ended with code %d", code)
	}
	follower.sees("pmclient: no daemon there: ")
}
