package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// hostile is text that has a meaning to something on its way.
var hostile = map[string]string{
	"single quotes":  `it's ''twice'' and 'more'`,
	"double quotes":  `say "hello", ""`,
	"both quotes":    `'"'"'"`,
	"backslashes":    `\ \\ \\\ \' \" \n \t \`,
	"frame":          "**ENDRESULT**\n**RESULT** x\n **ENDRESULT**\n  ** two\n*",
	"heroscript":     "!!process.delete name:'x'\n# comment\n// comment\nkey:value",
	"blank lines":    "a\n\n\n\nb\n",
	"leading blanks": "  a\n\tb\n   \n",
	"utf-8":          "žluťoučký 漢字 🐧 \u202e \u0301",
	"control":        "\x01\x02\x1b[31m\x7f",
	"carriage":       "a\r\nb\rc\n\r",
	"shell":          "$HOME `id` $(id) ; & | > /x * ?",
	"iac":            "\u00ff ÿ",
}

// The text is passed on by a here-document, in which the shell changes nothing.
func printCommand(text string) string {
	return "head -c -1 <<'END OF TEXT'\n" + text + "\nEND OF TEXT\n"
}

// ways are the ways in which a command reaches the daemon.
var ways = map[string]func(t *testing.T, d *daemon, name, command string){
	"pmclient": func(t *testing.T, d *daemon, name, command string) {
		d.mustClient("start", "-name", name, "-command", command)
	},
	"library": func(t *testing.T, d *daemon, name, command string) {
		if _, err := d.dial(t).Start(d.context(), process.Spec{Name: name, Command: command}); err != nil {
			t.Fatal(err)
		}
	},
	"single-quoted": func(t *testing.T, d *daemon, name, command string) {
		escaped := strings.ReplaceAll(strings.ReplaceAll(command, `\`, `\\`), `'`, `\'`)
		if got := d.session(t).ask("!!process.start name:'" + name + "' command:'" + escaped + "'"); strings.Contains(got, "Error") {
			t.Fatal(got)
		}
	},
	"double-quoted": func(t *testing.T, d *daemon, name, command string) {
		escaped := strings.ReplaceAll(strings.ReplaceAll(command, `\`, `\\`), `"`, `\"`)
		if got := d.session(t).ask("!!process.start\n  name:\"" + name + "\"\n  command:\n  \"" + escaped + "\""); strings.Contains(got, "Error") {
			t.Fatal(got)
		}
	},
	"formatted": func(t *testing.T, d *daemon, name, command string) {
		script := heroscript.Format(heroscript.Script{verbs.StartAction(process.Spec{Name: name, Command: command}, process.How{})})
		if got := d.session(t).ask(script); strings.Contains(got, "Error") {
			t.Fatal(got)
		}
	},
}

func TestCommandsArriveByteForByte(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	n := 0
	for way, send := range ways {
		for what, text := range hostile {
			n++
			name := fmt.Sprint("bytes", n)
			command := printCommand(text)
			send(t, d, name, command)
			s := d.rest(name)
			if s.Command != command {
				t.Errorf("%s, %s: the command became %q, want %q", way, what, s.Command, command)
			}
			if got := d.logs(name, 1000); got != text {
				t.Errorf("%s, %s: it printed %q, want %q", way, what, got, text)
			}
		}
	}
}

func TestWhatIsPrintedComesBackByteForByte(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for what, text := range hostile {
		name := strings.ReplaceAll(what, " ", "-")
		d.finished(name, printCommand(text))
		if got := d.mustClient("logs", "-limit", "1000", name); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(text, "\n") {
			t.Errorf("%s: pmclient logs gave %q, want %q", what, got, text)
		}
		var b verbs.Bytes
		answer := d.session(t).ask("!!process.log format:json limit:1000 name:" + name)
		if err := json.Unmarshal([]byte(answer), &b); err != nil {
			t.Fatalf("%s: %v in %q", what, err, answer)
		}
		if data, err := b.Decode(); err != nil || string(data) != text {
			t.Errorf("%s: process.log gave %q, %v", what, data, err)
		}
	}
	d.finished("latin", `printf 'a\377\200b'`)
	if got := d.logs("latin", 1); got != "a\xff\x80b" {
		t.Errorf("bytes that are not UTF-8 became %q", got)
	}
}

func TestScriptOf100KiBArrives(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	var script strings.Builder
	script.WriteString("x() { :; }\n")
	for i := 0; script.Len() < 100<<10; i++ {
		fmt.Fprintf(&script, "x %d 'it''s' \"**ENDRESULT**\" \\\\ ž\n", i)
	}
	// sh reads -c from its arguments: the sum of those is the script that arrived.
	script.WriteString("tr '\\000' '\\n' < /proc/$$/cmdline | tail -n +3 | sha256sum\n")
	command := script.String()
	sum := sha256.Sum256([]byte(command + "\n"))
	n := 0
	for way, send := range ways {
		n++
		name := fmt.Sprint("long", n)
		send(t, d, name, command)
		s := d.rest(name)
		if s.Command != command {
			t.Errorf("%s: %d bytes became %d", way, len(command), len(s.Command))
		}
		if got := d.logs(name, 0); !strings.HasPrefix(got, hex.EncodeToString(sum[:])) {
			t.Errorf("%s: its sum is %q, want %x; error %q", way, got, sum, s.Error)
		}
	}
}

func TestCommandTheKernelCannotPassIsRefused(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	_, err := d.client().Start(d.context(), process.Spec{Name: "x", Command: strings.Repeat(":\n", 70<<10)})
	if !isCode(err, process.CodeInvalid) {
		t.Errorf("got %v", err)
	}
	if len(d.list()) != 0 {
		t.Error("it was registered")
	}
	if _, err := os.Stat(d.state); err != nil {
		t.Error(err)
	}
}

// What a run said last stands in its error: cut between characters, with a sign.
func TestTheErrorOfARunIsText(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, log := range []bool{true, false} {
		for i, char := range []string{"é", "漢", "🙂", "e\u0301"} {
			name := fmt.Sprintf("%v-%d", log, i)
			d.start(process.Spec{Name: name, Logging: process.Logging{Log: log}, Command: `i=0; printf x; while [ $i -lt 300 ]; do printf '` + char + `'; i=$((i+1)); done; exit 3`})
			s := d.rest(name)
			text, cut := strings.CutSuffix(s.Error, "…")
			if !cut || !utf8.ValidString(text) || strings.Contains(text, "�") || !strings.HasPrefix(text, "exit code 3: x"+char+char) || len(text) > 1000 {
				t.Errorf("%s: %q", name, s.Error)
			}
		}
	}
}
