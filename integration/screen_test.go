package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// evil is what a terminal acts on, in each way: it clears the screen, turns the
// direction of text, ends the line, is no text at all.
const evil = "\x1b[2J\x07\u202e\u2066\u2028\u0085\u009b2J\x7f\xff\ny\r"

// printed is evil as the shell's printf takes it.
const printed = `\033[2J\007\342\200\256\342\201\246\342\200\250\302\205\302\2332J\177\377\ny\r`

// harmless fails the test if a text holds anything that a terminal acts on, but line ends.
func harmless(t testing.TB, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\t' && r != '\r' && !unicode.IsGraphic(r) {
			t.Errorf("%s: a terminal is sent %q: %q", what, r, text)
			return
		}
	}
	if !utf8.ValidString(text) {
		t.Errorf("%s: a terminal is sent what is not UTF-8: %q", what, text)
	}
}

var colour = regexp.MustCompile(`\x1b\[[0-9]*m`)

// Whatever others have given, nothing in it is for the terminal: neither in what the
// client shows nor in its errors, which stay one line.
func TestNothingGivenByOthersActsOnTheTerminal(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "web", Logging: process.Logging{Log: true}, Command: "printf '" + printed + "'; printf '" + printed + "e: " + printed + "'; exit 3 # \x1b[2J\u202e\u2028\x7f"})
	d.start(process.Spec{Name: "quiet", Command: "printf '" + printed + "x\\342'; exit 4"})
	d.rest("web")
	d.rest("quiet")
	path := d.dir + "/" + evil
	if err := os.WriteFile(path, []byte("!!process.status name:nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line  []string
		error bool
		shows string // that it is not just left out
	}{
		{[]string{"logs", "web"}, false, `\x1b[2J\x07\u202e\u2066\u2028\u0085\u009b2J\x7f\xff`},
		{[]string{"logs", "quiet"}, false, `\u009b2J\x7f\xff`},
		{[]string{"logs", "web", "quiet"}, false, `\x1b[2J\x07\u202e`},
		{[]string{"logs", "-format", "json", "quiet"}, false, `"quiet"`},
		{[]string{"status", "web"}, false, ""},
		{[]string{"status", "-format", "json", "web"}, false, `\u202e`},
		{[]string{"list"}, false, "web"},
		{[]string{"list", "-format", "json"}, false, `\u007f`},
		{[]string{"run", path}, true, `\x1b[2J`},
		{[]string{"run", evil}, true, `\x1b[2J`},
		{[]string{evil}, true, `\x1b[2J`},
		{[]string{"help", evil}, true, `\x1b[2J`},
		{[]string{"list", "-" + evil}, true, `\x1b[2J`},
		{[]string{"list", evil}, true, `\x1b[2J`},
		{[]string{"start", evil}, true, `\x1b[2J`},
		{[]string{"start", "-command", "true", "-cron", evil, "x"}, true, `\x1b[2J`},
		{[]string{"start", "-command", "true", "-log", evil, "x"}, true, ""},
		{[]string{"start", "-command", "true", "-jobid", evil, "x"}, true, `\x1b[2J`},
		{[]string{"logs", "-grep", "(" + evil, "web"}, true, `\x1b[2J`},
		{[]string{"logs", "-since", evil, "web"}, true, `\x1b[2J`},
		{[]string{"-socket", evil, "list"}, true, `\x1b[2J`},
		{[]string{"-socket", path, "list"}, true, `\x1b[2J`},
		{[]string{"-secret-file", evil, "-secret", "", "list"}, true, ""},
		{[]string{"-secret-file", evil, "list"}, true, ""},
	} {
		what := strings.Join(test.line, " ")
		p := openTerminal(t, d.dir, append([]string{programs.client, "-socket", d.socket, "-secret", theSecret}, test.line...)...)
		code := p.ends()
		if test.line[0] == "status" && code == 3 { // it is shown, and does not run
			code = 0
		}
		text := colour.ReplaceAllString(strings.TrimSuffix(p.sees(endOfScreen), "\r\n"), "")
		harmless(t, what, text)
		if (code != 0) != test.error && test.line[0] != "-secret-file" {
			t.Errorf("%q ends with %d: %q", what, code, text)
		}
		if code != 0 && strings.Contains(text, "\n") {
			t.Errorf("%q: the error has several lines: %q", what, text)
		}
		if !strings.Contains(text, test.shows) {
			t.Errorf("%q does not show %q: %q", what, test.shows, text)
		}
	}
	if got := d.mustClient("logs", "web"); strings.Count(got, evil) != 3 { // through a pipe
		t.Errorf("not a terminal, and the log is %q", got)
	}
	w := d.session(t)
	if got := w.ask("!!process.log name:web"); !strings.Contains(got, evil) {
		t.Errorf("a program reads %q", got)
	}
	for _, ask := range []string{"!!process.status name:web", "!!process.list", "!!process.list format:json", "!!process.log name:web grep:'(\x1b'", "!!process.start name:'a\x1b\nb'", "!!\x1b[2J", "!!process.list \u202e:1"} {
		harmless(t, ask, w.ask(ask))
	}
	w.ask("!!interactive") // from here on it is a person
	if got := w.ask("!!process.log name:web"); !strings.Contains(got, `\x1b[2J\x07\u202e`) {
		t.Errorf("a person reads %q", got)
	} else {
		harmless(t, "a log in a session of lines", got)
	}
}

// The daemon's own lines, for a terminal or a journal: one each, whatever the paths are.
func TestTheDaemonsLinesAreLines(t *testing.T) {
	t.Parallel()
	const odd = "/a\x1b[2J\u202e\u2028\x7f\xff\nb"
	for what, start := range map[string]func(d *daemon){
		"a socket that is none": func(d *daemon) {
			d.socket = d.dir + odd
			os.MkdirAll(d.socket, 0o700)
			d.refuse()
		},
		"a state directory that is none": func(d *daemon) {
			d.state = d.dir + odd
			os.WriteFile(d.state, nil, 0o600)
			d.refuse()
		},
		"paths that are no text": func(d *daemon) { // they go from the keeper to the worker as JSON
			d.state = d.dir + odd
			if said := d.refuse(); !strings.Contains(said, "is not UTF-8") {
				t.Errorf("it says %q", said)
			}
		},
		"no secret file": func(d *daemon) { d.setup.NoSecret = true; d.refuse("-secret-file", d.dir+odd) },
		"no group":       func(d *daemon) { d.cgroup = d.dir + odd; d.refuse() },
		"no address":     func(d *daemon) { d.refuse("-listen", odd) },
		"no such flag":   func(d *daemon) { d.spawn("-" + odd); d.wait() },
		"no such word":   func(d *daemon) { d.spawn(odd); d.wait() },
		"all is well": func(d *daemon) {
			text := strings.ReplaceAll(odd, "\xff", "")
			d.state, d.socket = d.dir+text, d.dir+text+".sock"
			d.launch()
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, setup{})
			start(d)
			text := d.log.since(0)
			harmless(t, what, text)
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "processmanager: ") {
					t.Errorf("a line of its own: %q", line)
				}
			}
			if !strings.Contains(text, `\x1b[2J\u202e\u2028`) {
				t.Errorf("it does not say what it was given: %q", text)
			}
		})
	}
}
