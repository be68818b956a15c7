package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/packaging/completions"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// interactive is how each shell is started, what it is told first, so that it completes, and
// with which keys it shows what a word could become. %s is the directory of its completions.
var interactive = map[string]struct {
	start       []string
	setUp, list string
}{
	"bash": {[]string{"bash", "--norc", "--noprofile", "-i"}, "bind 'set show-all-if-ambiguous on'; PS1='> '; . %s/pmclient; . %s/processmanager", tab},
	"zsh":  {[]string{"zsh", "-f", "-i"}, "PS1='> '; fpath=(%s $fpath); autoload -Uz compinit && compinit -u -D; unsetopt beep list_ambiguous", tab},
	"fish": {[]string{"fish", "--no-config", "--private", "-i"}, "function fish_prompt; echo '> '; end; . %s/pmclient.fish; . %s/processmanager.fish", tab},
}

// person is somebody at a shell, who has the client and its completion.
type person struct {
	*terminal
	client string // how a line begins that talks to the daemon
	list   string // keys that show what a word could become
}

const ctrlU = "\x15"

func completing(t *testing.T, d *daemon, name string) *person {
	t.Helper()
	how := interactive[name]
	if _, err := exec.LookPath(how.start[0]); err != nil {
		cannot(t, "%s is not here (apt-get install %s): %v", name, name, err)
	}
	dir := t.TempDir()
	for path, text := range completions.Files() {
		if shell, file := filepath.Split(path); shell == name+"/" {
			if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	bin := t.TempDir()
	for _, program := range []string{"pmclient", "processmanager", onlyProgram} {
		target := programs.client
		if program == "processmanager" {
			target = programs.daemon
		}
		if err := os.Symlink(target, bin+"/"+program); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"env", "PATH=" + bin + ":" + os.Getenv("PATH"), "PROCESSMANAGER_SECRET=" + theSecret, "LC_ALL=C.UTF-8"}
	p := &person{openTerminal(t, d.dir, append(env, how.start...)...), "pmclient -socket " + d.socket + " ", how.list}
	p.resize(200, 40)
	p.types(strings.ReplaceAll(how.setUp, "%s", dir), "; echo rea''dy", enter)
	p.sees("ready")
	return p
}

// shows waits until all words are shown, in any order, behind what was seen before.
func (p *person) shows(words ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q are shown", words), func() bool {
		screen := p.screen.since(p.seen)
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(screen, word) })
	})
	p.seen = p.screen.len()
}

// until types a line until it has had its effect: a daemon that is busy may not give the names
// of its processes in time, and what is typed then is no name.
func (p *person) until(what string, done func() bool, keys ...string) {
	p.t.Helper()
	var typed time.Time
	eventually(p.t, what, func() bool {
		if time.Since(typed) > 10*time.Second {
			p.types(ctrlU, p.client, strings.Join(keys, ""), enter)
			typed = time.Now()
		}
		return done()
	})
}

// onlyProgram is one whose name no other begins like.
const onlyProgram = "pm-tried-completion"

// Each line is typed as a person does it, with Tab for what the shell knows, and carried
// out: what the daemon is asked for then shows what the shell has made of it.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	for name := range interactive {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, setup{})
			for _, odd := range []string{"web:1", "batch@x.y-z", "batch@x.y:2", "quoted:a", "last"} {
				d.start(process.Spec{Name: odd, Command: "exec sleep 1000"})
			}
			if err := os.WriteFile(d.dir+"/a script.hero", []byte("!!process.define name:scripted command:true\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := completing(t, d, name)
			stops := func(name string, keys ...string) {
				t.Helper()
				p.until(name+" is stopped", func() bool { return d.status(name).State == process.Stopped }, keys...)
			}
			defined := func(name string) process.Status {
				t.Helper()
				p.awaits(d, name)
				return d.status(name)
			}

			// Commands, flags, choices, and names with what shells take words apart at.
			p.types(p.client, "defi", tab, "new -comm", tab, "true -restart on", tab, "-stop_sig", tab, "USR2", tab, enter)
			if s := defined("new"); s.Restart != process.RestartOnFailure || s.StopSignal.String() != "USR2" || s.Command != "true" {
				t.Errorf("defined with Tab: %+v", s.Spec)
			}
			p.types(p.client, "set new -restart=al", tab, enter)
			d.await("new", "always restarted", func(s process.Status) bool { return s.Restart == process.RestartAlways })
			stops("web:1", "sto", tab, "web", tab)
			stops("batch@x.y-z", "stop batch@x.y-", tab)
			stops("batch@x.y:2", "stop batch@x.y:", tab)
			stops("quoted:a", "stop \"quoted:", tab)
			p.until("follows is defined", func() bool {
				_, err := d.client().Status(d.context(), "follows")
				return err == nil
			}, "define follows -command true -needs new,la", tab)
			if s := d.status("follows"); s.Needs != "last,new" && s.Needs != "new,last" {
				t.Errorf("needs %q", s.Needs)
			}

			// What could be is shown.
			p.types(p.client, "st", p.list)
			p.shows("start", "status", "stop")
			p.types(ctrlU, p.client, "signal last -signal US", p.list)
			p.shows("USR1", "USR2")
			p.types(ctrlU, p.client, "start last -wait ", p.list)
			p.shows("ready", "end")

			// Files, programs, users: the shell's own.
			p.types(ctrlU, p.client, "run a\\ scr", tab, enter)
			defined("scripted")
			p.types("pmclient -socket pm.s", tab, "define short -command true", enter)
			defined("short")
			p.types(p.client, "start worded -- pm-tri", tab, "-version", enter)
			if s := defined("worded"); s.Command != "exec "+onlyProgram+" -version" {
				t.Errorf("the command is %q", s.Command)
			}
			p.types(p.client, "define mine -command true -dir /pro", tab, " -user daemo", tab, enter)
			if s := defined("mine"); s.User != "daemon" || strings.TrimSuffix(s.Dir, "/") != "/proc" {
				t.Errorf("user %q, dir %q", s.User, s.Dir)
			}

			// The flags of the daemon.
			if err := os.Mkdir(d.dir+"/other", 0o700); err != nil {
				t.Fatal(err)
			}
			p.types("processmanager -stat", tab, d.dir, "/oth", tab, " -socket-gr", tab, "daemo", tab, " -che", tab, enter)
			p.sees("SETTING")
			p.shows("socket-group", d.dir+"/other")

			// What is wrong, dangerous or answered by nobody changes nothing.
			p.types(p.client, "status $(touch touched) `touch touched` ;w", tab, ctrlU)
			p.types(p.client, "nonsense \"x ", tab, tab, ctrlU)
			if d.end(syscall.SIGTERM) != 0 {
				t.Error("the daemon has not ended well")
			}
			p.types(p.client, "status we", tab, ctrlU, "echo ali''ve", enter)
			p.sees("alive")
			if _, err := os.Stat(d.dir + "/touched"); err == nil {
				t.Error("completing a word carries it out")
			}
		})
	}
}

// A daemon that does not answer keeps nobody from typing.
func TestCompletionWaitsForNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("unix", dir+"/mute.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, words := range [][]string{
		{"-socket", dir + "/mute.sock", "-secret", "x", "status", "w"},
		{"-socket", dir + "/nobody.sock", "status", "w"},
		{"-socket", dir, "-secret-file", "/dev/tty", "status", "w"},
		{"-socket", strings.Repeat("x", 200), "status", "w"},
		{"nonsense", ""},
		{},
	} {
		from := time.Now()
		out, err := exec.Command(programs.client, append([]string{"complete", "--"}, words...)...).CombinedOutput()
		if took := time.Since(from); took > 10*time.Second { // a command waits for a minute
			t.Errorf("%q: took %v", words, took)
		}
		if err != nil || strings.Contains(string(out), "pmclient:") || len(words) > 2 && len(out) > 0 {
			t.Errorf("%q: %v, %q", words, err, out)
		}
	}
}
