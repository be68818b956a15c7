package integration

import (
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const bom = "\ufeff"

// What an editor puts before a script, and a join of such files inside of it, is accepted
// wherever scripts are.
func TestAByteOrderMarkIsAccepted(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	script := bom + "!!process.start name:NAME command:'exec sleep 1000'\r\n" + bom + "!!process.status name:NAME\r\n"
	file := d.dir + "/with-a-mark.hero"
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(script, "NAME", "file")), 0o600); err != nil {
		t.Fatal(err)
	}
	d.mustClient("run", file)
	if r := d.executeWith(strings.ReplaceAll(script, "NAME", "stdin"), "run", "-"); r.code != 0 {
		t.Errorf("from standard input: %d, %s", r.code, r.stderr)
	}
	if r := d.executeWith(bom+"!!process.list\n", "shell"); r.code != 0 {
		t.Errorf("from standard input: %d, %s", r.code, r.stderr)
	}
	w := d.session(t)
	w.send("\r\n" + strings.ReplaceAll(script, "NAME", "wire"))
	if _, got := w.answer(); !strings.Contains(got, "process 'wire' started") {
		t.Errorf("on the wire: %q", got)
	}
	w.send("\n")
	w.answer()
	if got := w.ask(bom + "!!help"); !strings.Contains(got, "!!process.list") {
		t.Errorf("!!help behind a mark: %q", got)
	}
	if got := w.ask(bom + "!!process.status format:json name:nobody x"); !strings.HasPrefix(got, `{"error":`) {
		t.Errorf("an error in the format that was asked for: %q", got)
	}
	if all := d.list(); len(all) != 3 {
		t.Errorf("there are %d processes", len(all))
	}
}

// A script that is no UTF-8 is refused in a word that says what it is.
func TestAScriptInUTF16IsNamed(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	var little, big []byte
	for _, c := range utf16.Encode([]rune("!!process.list\r\n")) {
		little, big = append(little, byte(c), byte(c>>8)), append(big, byte(c>>8), byte(c))
	}
	for what, script := range map[string]string{
		"little":  "\xff\xfe" + string(little),
		"big":     "\xfe\xff" + string(big),
		"no mark": string(little),
	} {
		file := d.dir + "/" + what
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := d.pmclient("run", file); r.code != 1 || !strings.Contains(r.stderr, "UTF-16: save the text as UTF-8") {
			t.Errorf("%s: %d, %s", what, r.code, r.stderr)
		}
		w := d.session(t)
		w.send(script + "\n\n")
		if got := w.rest(); !strings.Contains(got, "UTF-16: save the text as UTF-8") { // 0xFF 0xFE 0x21 is a telnet command too
			t.Errorf("%s on the wire: %q", what, got)
		}
	}
}

// A command arrives exactly as written. Where its lines end in CR LF and the shell fails,
// the error says that.
func TestACommandWithCRLFSaysSoWhenItFails(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for name, command := range map[string]string{
		"if":    "if true; then\r\n  echo yes\r\nfi\r\n",
		"word":  "nothing-of-this-name\r\n",
		"loop":  "for i in 1 2; do\r\necho $i\r\ndone\r\n",
		"error": "exit 3\r\n", // sh: Illegal number
	} {
		script := "!!process.start name:" + name + " command:'" + command + "'\r\n"
		if r := d.executeWith(script, "run", "-"); r.code != 0 {
			t.Errorf("%s: %d, %s", name, r.code, r.stderr)
		}
		s := d.rest(name)
		if s.State != process.Failed || !strings.Contains(s.Error, "CR LF") || s.Command != command {
			t.Errorf("%s is %v: %q, %q", name, s.State, s.Error, s.Command)
		}
		if r := d.pmclient("status", name); r.code != 3 || !strings.Contains(r.stdout, "CR LF") {
			t.Errorf("status does not say it: %+v", r)
		}
	}
	d.start(process.Spec{Name: "well", Command: "echo 'one\r\ntwo'\nexit 0"})
	if s := d.rest("well"); s.State != process.Completed || s.Error != "" {
		t.Errorf("what goes well has an error: %v, %q", s.State, s.Error)
	}
}
