package integration

import (
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// telnetClient is one of those that people have. Each is a Debian package.
type telnetClient struct {
	pkg     string
	command []string // host and port follow
	resizes bool     // tells when its window changes, and not only what it was at first
}

var telnetClients = []telnetClient{
	{"inetutils-telnet", []string{"inetutils-telnet"}, true},
	{"telnet-ssl", []string{"telnet-ssl"}, true}, // netkit's
	{"busybox-static", []string{"busybox", "telnet"}, false},
}

// needs skips a test without a program, or fails it where CI says that everything
// is there: but guest machines are small.
func needs(t testing.TB, pkg, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err == nil {
		return
	}
	if os.Getenv("CI") == "true" && os.Getenv("GUEST") == "" {
		t.Fatalf("%s is not here: install the package %s", command, pkg)
	}
	cannot(t, "%s is not here: it is in the package %s", command, pkg)
}

// startTelnet is a daemon that listens on TCP as well, on 127.0.0.1 unless an
// address is given.
func startTelnet(t testing.TB, args ...string) (d *daemon, port string) {
	t.Helper()
	if len(args) == 0 {
		args = []string{"-listen", "127.0.0.1:0"}
	}
	d = newDaemon(t, setup{})
	d.spawn(args...)
	return d, d.awaitPort()
}

// awaitPort is the TCP port of a daemon that answers.
func (d *daemon) awaitPort() string {
	d.t.Helper()
	if !d.log.await(0, "listening on "+d.socket, d.ended) {
		d.t.Fatalf("the daemon does not listen:\n%s", d.log.since(0))
	}
	d.client() // it answers
	found := regexp.MustCompile(`listening on \S+:(\d+)\n`).FindStringSubmatch(d.log.since(0))
	if found == nil {
		d.t.Fatalf("no TCP port:\n%s", d.log.since(0))
	}
	return found[1]
}

// dialIn starts a client in a terminal and waits until it is asked for the secret.
func (c telnetClient) dialIn(t testing.TB, dir, port string) *terminal {
	t.Helper()
	needs(t, c.pkg, c.command[0])
	p := openTerminal(t, dir, append(c.command[:len(c.command):len(c.command)], "127.0.0.1", port)...)
	p.sees("provide secret.")
	p.hidden()
	return p
}

func (p *terminal) logIn() {
	p.t.Helper()
	p.types(theSecret, enter)
	p.sees(bannerOK)
	p.sees(prompt)
}

func TestTelnetClients(t *testing.T) {
	t.Parallel()
	for _, c := range telnetClients {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			d, port := startTelnet(t)
			p := c.dialIn(t, d.dir, port)
			p.types("wrong", enter)
			p.sees(bannerWrong)
			p.types("mysex", del, "xx", bs, bs, "cretkey", enter)
			p.sees(bannerOK)
			p.sees("!!help lists")
			p.sees(prompt)
			for _, hidden := range []string{"wrong", "mysex", "cretkey", "secretkey"} {
				if strings.Contains(p.screen.since(0), hidden) {
					t.Errorf("%q is shown: %q", hidden, p.screen.since(0))
				}
			}
			p.fits(100)
			if c.resizes {
				p.resize(60, 24) // the kernel sends it SIGWINCH
				p.fits(60)
				p.resize(100, 40)
				p.fits(100)
			}
			p.edit(d)
			p.types(ctrlD)
			p.ends()
			p.restored()
			if all := p.screen.since(0); strings.Contains(all, "RESULT**") || strings.Contains(all, "\xff") {
				t.Errorf("a frame or a telnet command is shown: %q", all)
			}
		})
	}
}

func TestTelnetSessionsEndAsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range telnetClients {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			d, port := startTelnet(t)
			for _, end := range []string{"!!quit", "!!exit", "exit"} {
				p := c.dialIn(t, d.dir, port)
				p.logIn()
				p.types(end, enter)
				p.sees(" ** Goodbye.")
				p.ends()
				p.restored()
			}
		})
	}
}

// The two that know a line mode tell of Ctrl-C by a command there, and show nothing
// until its timing mark is answered.
func TestTelnetClientsInLineMode(t *testing.T) {
	t.Parallel()
	for _, c := range telnetClients[:2] {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			d, port := startTelnet(t)
			d.start(process.Spec{Name: "talks", Logging: process.Logging{Log: true}, Command: "echo up; until [ -e next ]; do sleep 0.02; done; echo again; exec sleep 1000"})
			p := c.dialIn(t, d.dir, port)
			p.types("\x1d") // the escape character
			p.sees("telnet")
			p.types("mode line", enter)
			p.sees("\n")
			eventually(t, "it is in line mode", func() bool { return p.modes().Lflag&unix.ICANON != 0 && p.modes().Lflag&unix.ECHO != 0 })
			p.types(theSecret, enter)
			p.sees(bannerOK)

			p.types("!!process.log name:talks follow:true", enter, enter)
			p.sees("**RESULT**")
			p.sees("up")
			if err := os.WriteFile(d.dir+"/next", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.sees("again")
			p.types(ctrlC)
			p.sees("^C")
			p.sees("**ENDRESULT**")

			if c.pkg == "inetutils-telnet" { // netkit's ends itself when keys come while it handles Ctrl-C
				p.types("!!process.start name:dropped command:'never", enter)
				p.sees("never")
				p.types(ctrlC)
				p.sees("^C")
			}
			p.types("!!process.list jobid:e42", enter, enter)
			p.sees("**RESULT** e42")
			if all := p.sees("**ENDRESULT**"); strings.Contains(all, "dropped") || !strings.Contains(all, "talks") {
				t.Errorf("%q", all)
			}
			p.types("!!process.delete name:talks", enter)
			p.types(ctrlD) // ends the input, which ends an action
			p.sees("deleted")
			p.ends()
			p.restored()
		})
	}
}

func TestTelnetClientIsGivenUpBeforeTheSecret(t *testing.T) {
	t.Parallel()
	_, port := startTelnet(t)
	for _, c := range telnetClients {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{ctrlC, ctrlD} {
				p := c.dialIn(t, t.TempDir(), port)
				p.types("half a sec", key)
				if key == ctrlD { // behind text it sends only that
					p.types(key)
				}
				p.ends()
				p.restored()
			}
		})
	}
}

// Busybox tells of its window once. A person who makes it narrower must not lose more
// than the folding.
func TestTelnetClientThatTellsItsWindowOnce(t *testing.T) {
	t.Parallel()
	once := telnetClients[2]
	d, port := startTelnet(t)
	names := d.ofAllKinds()
	p := once.dialIn(t, d.dir, port)
	p.logIn()
	p.lists(100, names)
	p.resize(60, 24)
	p.fits(100)
	p.lists(100, names)
	// A line that is longer than either window is edited in its middle all the same.
	p.types("!!process.start name:edited cron:'@yearly' command:'echo ", strings.Repeat("word ", 20), "ed'")
	p.types(strings.Repeat(left, len("ed'")), "add", strings.Repeat(left, 60), del, "X", enter)
	p.sees("is scheduled")
	want := []byte("echo " + strings.Repeat("word ", 20) + "added")
	want[len(want)-len("ed")-60-1] = 'X'
	if got := d.status("edited").Command; got != string(want) {
		t.Errorf("the command is %q, want %q", got, want)
	}
	d.mustClient("delete", "edited")
	p.types(ctrlD)
	p.ends()
	p.restored()

	p = openTerminal(t, d.dir, "/bin/sh", "-c", `stty cols 60; exec "$0" "$@"`, once.command[0], once.command[1], "127.0.0.1", port)
	p.sees("provide secret.")
	p.hidden()
	p.logIn()
	p.lists(60, names)
	p.types("exit", enter)
	p.ends()
}

func TestTelnetClientIsCutOffWhenNothingIsTyped(t *testing.T) {
	t.Parallel()
	for _, c := range telnetClients {
		t.Run(c.pkg, func(t *testing.T) {
			t.Parallel()
			d, port := startTelnet(t, "-listen", "127.0.0.1:0", "-idle", "100ms")
			p := c.dialIn(t, d.dir, port)
			p.types(theSecret, enter)
			p.sees("Nothing was typed for 100ms. Goodbye.")
			p.ends()
			p.restored()
		})
	}
}

// nc does not negotiate, unless it is told to, and then it refuses everything.
func TestNetcatOverTCPGetsFrames(t *testing.T) {
	t.Parallel()
	needs(t, "netcat-openbsd", "nc")
	d, port := startTelnet(t)
	for _, args := range [][]string{{"nc"}, {"nc", "-t"}} {
		p := openTerminal(t, d.dir, append(args, "127.0.0.1", port)...)
		p.sees(bannerAsk)
		p.types(theSecret, "\n")
		p.sees(bannerOK)
		p.types("!!process.list jobid:e42\n\n")
		p.sees("**RESULT** e42\r\r\n") // the terminal adds a CR
		p.sees("no processes\r\r\n")
		p.sees("**ENDRESULT**\r\r\n")
		p.types("!!help\n")
		p.sees("!!process.start")
		p.sees("**ENDRESULT**")
		p.types("!!quit\n")
		p.sees(" ** Goodbye.")
		p.types(ctrlD) // nc waits for it
		p.ends()
	}
}

func TestUnixSocketSpeaksPlainLines(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	const script = theSecret + "\n!!process.list jobid:e42\n\n!!process.start name:a cron:'@yearly' command:'printf \"\xc3\xbc\"' format:json\n!!process.lisst\n\n!!quit\n"
	for _, c := range []struct {
		pkg     string
		command []string
	}{
		{"netcat-openbsd", []string{"nc", "-U", "-N", d.socket}},
		{"socat", []string{"socat", "-t30", "-", "UNIX-CONNECT:" + d.socket}},
	} {
		t.Run(c.pkg, func(t *testing.T) {
			needs(t, c.pkg, c.command[0])
			cmd := exec.CommandContext(d.context(), c.command[0], c.command[1:]...)
			cmd.Stdin = strings.NewReader(script)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %q", err, out)
			}
			text := string(out)
			lines := strings.Split(text, "\n")
			want := []string{
				bannerAsk, bannerOK,
				"**RESULT** e42", "no processes", "**ENDRESULT**",
				"**RESULT** ", `{"name":"a"`, "**ENDRESULT**",
				"**RESULT** ", "Error: line 1, column 1: ", "**ENDRESULT**",
				" ** Goodbye.", "",
			}
			if len(lines) != len(want) {
				t.Fatalf("%d lines of %d: %q", len(lines), len(want), text)
			}
			for i, line := range lines {
				if len(want[i]) > 8 && line != want[i] && !strings.HasPrefix(line, want[i]) || len(want[i]) <= 8 && line != want[i] {
					t.Errorf("line %d is %q, want %q", i+1, line, want[i])
				}
			}
			for _, c := range []string{"\xff", "\r", "\x1b", "\x00"} {
				if strings.Contains(text, c) {
					t.Errorf("%q is in it: %q", c, text)
				}
			}
			d.mustClient("delete", "a")
		})
	}
}

func TestNonsenseNegotiated(t *testing.T) {
	t.Parallel()
	d, port := startTelnet(t)
	const (
		se, sb               = "\xff\xf0", "\xff\xfa"
		will, wont, do, dont = "\xff\xfb", "\xff\xfc", "\xff\xfd", "\xff\xfe"
	)
	var everything strings.Builder
	for option := range 256 {
		for _, c := range []string{will, do, wont, dont} {
			everything.WriteString(c + string([]byte{byte(option)}))
		}
	}
	for name, nonsense := range map[string]string{
		"every option":        everything.String(),
		"the same again":      strings.Repeat(do+"\x01"+dont+"\x01"+will+"\x1f"+wont+"\x1f", 1000),
		"window of no size":   will + "\x1f" + sb + "\x1f\x00\x00\x00\x00" + se + sb + "\x1f" + se + sb + se,
		"endless negotiation": sb + "\x18" + strings.Repeat("x", 40_000) + se,
		"marks":               strings.Repeat(do+"\x06\xff\xf6\xff\xf1\xff\xf9", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			if six, err := net.Dial("tcp", "[::1]:"+port); err == nil {
				six.Close()
				t.Error("0.0.0.0 listens on IPv6 too")
			}
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			sent := nonsense + dont + "\x01" + theSecret + "\r\n" + nonsense + "!!process.list\r\n\r\n!!quit\r\n"
			go io.WriteString(conn, sent)
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(all), "no processes\r\n**ENDRESULT**\r\n") {
				t.Errorf("no answer in %.500q", all)
			}
			if len(all) > 2*len(sent)+1000 { // ends that answer answers do it for ever
				t.Errorf("%d bytes are answered by %d", len(sent), len(all))
			}
		})
	}
	if all := d.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestListenRefusesWhatOthersCanReach(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		d := newDaemon(t, setup{})
		if said := d.refuse("-listen", address); !strings.Contains(said, "-allow-remote") || !strings.Contains(said, "clear text") {
			t.Errorf("-listen %s: %s", address, said)
		}
	}
	d, port := startTelnet(t, "-listen", "0.0.0.0:0", "-allow-remote")
	if said := d.log.since(0); !strings.Contains(said, "clear text") {
		t.Errorf("-allow-remote says nothing of clear text: %s", said)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
