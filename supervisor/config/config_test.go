package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// write makes a configuration file in a state directory of its own, and is that and the
// file.
func write(t *testing.T, text string) (state, file string) {
	t.Helper()
	state = t.TempDir()
	file = filepath.Join(state, fileName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return state, file
}

// environment is a getenv.
func environment(list ...string) func(string) string {
	return func(name string) string {
		for _, e := range list {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func line(args ...string) []string { return append([]string{"processmanager"}, args...) }

func read(t *testing.T, getenv func(string) string, args ...string) *Config {
	t.Helper()
	c, err := Read(line(args...), getenv)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return c
}

// One that has a value from each of the three loses them one by one.
func TestTheCommandLineCountsMoreThanTheEnvironmentAndThatMoreThanTheFile(t *testing.T) {
	state, file := write(t, "# idle = 1s\n\nidle = 1h # of a meeting\n")
	with := environment("PROCESSMANAGER_IDLE=2h", "PROCESSMANAGER_SOCKET=")
	for _, c := range []struct {
		getenv func(string) string
		args   []string
		idle   time.Duration
		from   string
	}{
		{with, []string{"-state", state, "-idle", "3h"}, 3 * time.Hour, "flag -idle"},
		{with, []string{"-state", state}, 2 * time.Hour, "environment PROCESSMANAGER_IDLE"},
		{environment(), []string{"-state", state}, time.Hour, file + ":3"},
		{environment("PROCESSMANAGER_STATE=" + state), nil, time.Hour, file + ":3"},
		{environment("PROCESSMANAGER_CONFIG=" + file), nil, time.Hour, file + ":3"},
		{environment(), []string{"-config", file}, time.Hour, file + ":3"},
		{environment(), []string{"-state", t.TempDir()}, 0, "default"},
	} {
		got := read(t, c.getenv, c.args...)
		if from := got.Origin("idle").String(); got.Idle != c.idle || from != c.from {
			t.Errorf("%q: %v from %s, want %v from %s", c.args, got.Idle, from, c.idle, c.from)
		}
		if from := got.Origin("socket").String(); from != "default" { // an empty variable is as none
			t.Errorf("socket: %s", from)
		}
	}
}

// Whatever may be given a value anywhere is given its example by each of the three, and they
// mean the same.
func TestEveryFlagCanBeGivenByAllThree(t *testing.T) {
	for i := range Flags {
		f := &Flags[i]
		if f.Where != Anywhere {
			continue
		}
		example := f.Example
		if f.Name == "socket-group" {
			example = "0" // one that is there
		}
		state, file := write(t, f.Name+" = "+example+"\n")
		ofLine := read(t, environment(), "-config", file, "-"+f.Name+"="+example)
		ofEnv := read(t, environment(f.Env()+"="+example), "-config", file)
		ofFile := read(t, environment(), "-config", file)
		if ofLine.Options != ofEnv.Options || ofLine.Options != ofFile.Options || ofFile.Options == (Options{Config: file}) {
			t.Errorf("%s: %+v, %+v, %+v", f.Name, ofLine.Options, ofEnv.Options, ofFile.Options)
		}
		if from := ofFile.Origin(f.Name).String(); from != file+":1" {
			t.Errorf("%s: from %s", f.Name, from)
		}
		_ = state
	}
}

// Limits add up where they are given, and the first of the three that gives any decides.
func TestLimitsOfAllAddUp(t *testing.T) {
	state, _ := write(t, "limit = memory_max=1G\nlimit = pids_max=10 io_max=/srv rbps=1M wbps=2M\n")
	for _, c := range []struct {
		getenv func(string) string
		args   []string
		want   process.Limits
	}{
		{environment(), nil, process.Limits{MemoryMax: 1 << 30, PidsMax: 10, IOMax: "/srv rbps=1048576 wbps=2097152"}},
		{environment("PROCESSMANAGER_LIMIT=cpu_max=1.5  swap_max=0"), nil, process.Limits{CPUMax: 150_000, SwapMax: new(int64)}},
		{environment("PROCESSMANAGER_LIMIT=cpu_max=1.5"), []string{"-limit", "memory_max=2G", "-limit", "io_max=/a b rbps=1", "-limit", "io_max=/c wbps=2"},
			process.Limits{MemoryMax: 2 << 30, IOMax: "/a b rbps=1\n/c wbps=2"}},
	} {
		got := read(t, c.getenv, append([]string{"-state", state}, c.args...)...).Limits
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %+v, want %+v", c.args, got, c.want)
		}
	}
	for given, want := range map[string]string{
		"limit = memory_max=1G\nlimit = memory_max=2G\n": "memory_max is given twice",
		"limit = oom=kill\n":                             "oom is of one process",
		"limit = 4G\n":                                   "is no limit: NAME=VALUE, such as memory_max=4G, with one of memory_max, memory_high, memory_low, swap_max, cpu_max, cpu_weight, pids_max, io_weight, io_max, cpuset_cpus",
		"limit = command=true\n":                         "is no limit: NAME=VALUE",
		"limit = memory_max=\n":                          "memory_max has no value",
		"limit = memory_max=lots\n":                      "memory_max: \"lots\" is not a size",
		"limit = memory_max=1G memory_high=2G\n":         "memory_high: ",
	} {
		state, file := write(t, given)
		_, err := Read(line("-state", state), environment())
		if wrong, ok := errors.AsType[Mistakes](err); !ok || len(wrong) != 1 || !strings.HasPrefix(wrong[0], file+":") || !strings.Contains(wrong[0], want) {
			t.Errorf("%q: got %v, want %s", given, err, want)
		}
	}
}

func TestASecretAndItsFileAreOneChoice(t *testing.T) {
	_, file := write(t, "secret-file = /of/the/file\n")
	for _, c := range []struct {
		getenv       func(string) string
		args         []string
		secret, file string
	}{
		{environment(), nil, "", "/of/the/file"},
		{environment("PROCESSMANAGER_SECRET=env"), nil, "env", ""},
		{environment("PROCESSMANAGER_SECRET_FILE=/env"), nil, "", "/env"},
		{environment("PROCESSMANAGER_SECRET=env", "PROCESSMANAGER_SECRET_FILE=/env"), nil, "env", ""},
		{environment("PROCESSMANAGER_SECRET=env"), []string{"-secret-file", "/line"}, "", "/line"},
		{environment("PROCESSMANAGER_SECRET=env"), []string{"-secret", "line"}, "line", ""},
		{environment(), []string{"-secret", "line", "-secret-file", "/line"}, "line", ""},
	} {
		got := read(t, c.getenv, append(c.args, "-config", file)...)
		if got.Secret != c.secret || got.SecretFile != c.file {
			t.Errorf("%q: %q, %q", c.args, got.Secret, got.SecretFile)
		}
	}
}

func TestEachMistakeIsOneLineThatSaysWhereAndWhatWouldBeRight(t *testing.T) {
	for text, want := range map[string]string{
		"idel = 2h":                        `:1: there is no setting "idel": did you mean idle?`,
		"\n\nidle 2h":                      `:3: "idle 2h": NAME = VALUE is expected`,
		"= 2h":                             `:1: "= 2h": NAME = VALUE is expected`,
		"idle = soon":                      `:1: idle = "soon": a length of time is expected, such as 90s or 2h`,
		"idle =":                           `:1: "idle" has no value: leave the line out for the default`,
		"idle = # none":                    `:1: "idle" has no value`,
		"idle = 1h\nidle = 2h":             `:2: idle stands in line 1 already`,
		"allow-remote = perhaps":           `:1: allow-remote = "perhaps": "perhaps" is neither true nor false`,
		"socket = pm.sock":                 `:1: socket = "pm.sock": in a file an absolute path is expected`,
		"listen = 2323":                    `:1: listen = "2323": HOST:PORT is expected`,
		"socket-mode = 0777":               `:1: socket-mode = "0777": 0600 (the daemon's user and root), 0660`,
		"socket-mode = rw":                 `0666 (every user of this machine who knows the secret) is expected`,
		"socket-mode = 0640":               `:1: socket-mode = "0640": 0600 `,
		"socket-group = no-such!":          `:1: socket-group = "no-such!": there is no group "no-such!": name one of /etc/group`,
		"socket = '/a":                     `:1: "socket": the quote ' is not closed`,
		"socket = '/a' b":                  `:1: "socket": nothing but a # and a comment is expected`,
		"secret = hush":                    `:1: secret does not belong into a file that others may read`,
		"secret hush":                      `:1: "secret"…: NAME = VALUE is expected`,
		"Secret: hu=hush":                  `:1: there is no setting "Secret"…`,
		"secret hush=":                     `:1: "secret"… has no value`,
		"secret hush = '":                  `:1: "secret"…: the quote ' is not closed`,
		"secret hush = '' b":               `:1: "secret"…: nothing but a # and a comment is expected`,
		"reset-store = yes":                `:1: reset-store cannot stand in the file`,
		"config = /a":                      `:1: config cannot stand in the file`,
		"idle = \x001h":                    ` is no text: UTF-8 without NUL is expected`,
		"idle = \xff":                      ` is no text`,
		"socket-group=0\nsocket-mode=0600": `:2: socket-mode = 0600: it lets in no group`,
	} {
		_, file := write(t, text)
		c, err := Read(line("-config", file), environment())
		wrong, ok := errors.AsType[Mistakes](err)
		if !ok || len(wrong) != 1 || !strings.HasPrefix(wrong[0], file) || !strings.Contains(wrong[0], want) || strings.Contains(wrong[0], "\n") {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("it shows a secret: %v", err)
		}
		if c == nil {
			t.Errorf("%q: nothing was understood", text)
		}
	}
	_, file := write(t, "idel = 1\nidle = x\nlisten = [::1]:1\nsokcet = /s\n")
	c, err := Read(line("-config", file), environment("PROCESSMANAGER_SOCKET_MODE=9"))
	wrong, _ := errors.AsType[Mistakes](err)
	if len(wrong) != 4 || !strings.HasPrefix(wrong[0], "environment PROCESSMANAGER_SOCKET_MODE: socket-mode = \"9\": ") || !strings.HasSuffix(wrong[3], "did you mean socket?") {
		t.Errorf("got %q", wrong)
	}
	if c.Listen != "[::1]:1" {
		t.Errorf("what is right is lost: %+v", c.Options)
	}
	// A unit that is stopped for good leaves nobody, whatever the file says.
	if c, err := Read(line("-unit-stopped", "-config", file), environment()); err == nil || !c.UnitStopped {
		t.Errorf("-unit-stopped: %+v, %v", c, err)
	}
}

// A value that another takes the place of is checked all the same.
func TestAMistakeShowsThoughItDoesNotCount(t *testing.T) {
	_, file := write(t, "idle = soon\n")
	if _, err := Read(line("-config", file, "-idle", "1h"), environment()); err == nil {
		t.Error("it was not seen")
	}
}

func TestValuesInTheFile(t *testing.T) {
	_, file := write(t, "\ufeff  state=/a b/c#d   # comment\r\nruntime = '/r # s'\ndefinitions = \"/d's\" # comment\n\tallow-remote = on\nidle = 0\nsocket-mode = 0o660\n")
	got := read(t, environment(), "-config", file).Options
	want := Options{
		Places: Places{State: "/a b/c#d", Runtime: "/r # s", Definitions: "/d's"}, AllowRemote: true, Idle: telnet.NoIdle, SocketMode: 0o660, Config: file,
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

func TestAFileThatOthersCanChangeIsRefused(t *testing.T) {
	_, file := write(t, "idle = 1h\n")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(line("-config", file), environment()); err == nil || !strings.Contains(err.Error(), file+" can be written to by others (mode 0666): chmod go-w "+file) {
		t.Errorf("got %v", err)
	}
	os.Chmod(file, 0o644) // others may read it
	read(t, environment(), "-config", file)
	for what, path := range map[string]string{"one that is not there": file + ".none", "a directory": filepath.Dir(file)} {
		if _, err := Read(line("-config", path), environment()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(line("-config", file), environment()); err == nil || !strings.Contains(err.Error(), "belongs to user nobody") {
		t.Errorf("got %v", err)
	}
}

// What is shown names each setting with its origin, and no secret.
func TestWhatHoldsIsShownWithItsOrigin(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, file := write(t, "idle = 2h\nstate = /srv/pm\n")
	c := read(t, environment("PROCESSMANAGER_LISTEN=127.0.0.1:1"), "-config", file, "-secret", "hush", "-socket-group", "0")
	var out strings.Builder
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for row := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(row, " ")
		rows[name] = strings.Join(strings.Fields(rest), " ")
	}
	for name, want := range map[string]string{
		"idle": "2h " + file + ":1", "state": "/srv/pm " + file + ":2", "runtime": "/srv/pm/run default", "socket": "/srv/pm/run/pm.sock default",
		"definitions": "/srv/pm/definitions default", "listen": "127.0.0.1:1 environment PROCESSMANAGER_LISTEN", "secret": "not shown flag -secret",
		"socket-mode": "0660 default", "socket-group": "0 flag -socket-group", "config": file + " flag -config", "allow-remote": "false default",
	} {
		if rows[name] != want {
			t.Errorf("%s: %q, want %q", name, rows[name], want)
		}
	}
	for i := range Flags {
		if _, ok := rows[Flags[i].Name]; ok != (Flags[i].Where != OnCommandLine) {
			t.Errorf("%s: shown %v", Flags[i].Name, ok)
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Error("it shows the secret")
	}
}

// Every flag has what its documentation is made of, and names are as they are typed.
func TestTheTableIsComplete(t *testing.T) {
	var names []string
	for i := range Flags {
		f := &Flags[i]
		names = append(names, f.Name)
		if f.Help == "" || f.Default == "" || f.set == nil || f.Where == Anywhere && f.Example == "" {
			t.Errorf("%s is not complete", f.Name)
		}
		if err := f.check(f.Example, true); f.Example != "" && f.Name != "socket-group" && err != nil {
			t.Errorf("the example: %v", err)
		}
		if f.Follows {
			if err := f.set(new(Options), f.initial); err != nil {
				t.Errorf("the default of %s: %v", f.Name, err)
			}
		}
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %q", names)
	}
	if _, err := Read(line("-help"), environment()); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}

func TestAWorkerFollowsTheFileWhereItCan(t *testing.T) {
	_, file := write(t, "idle = 1h\nlisten = 127.0.0.1:1\ndefinitions = /d\n")
	c := read(t, environment("PROCESSMANAGER_SECRET=hush"), "-config", file, "-socket-mode", "0600")
	held := c.Held()
	reread := func(text string) (o Options, said string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o = c.Options
		lines, err := held.Reread(&o)
		if err != nil {
			lines = append(lines, err.Error())
		}
		return o, strings.Join(lines, "\n")
	}
	if o, said := reread("definitions = /d # the same\nidle = 1h\nlisten = 127.0.0.1:1\n"); said != "" || o != c.Options {
		t.Errorf("nothing has changed: %q, %+v", said, o)
	}
	o, said := reread("# first\nidle = 2h\nlisten = 127.0.0.1:2\nsocket-mode = 0660\nsecret-file = /f\ndefinitions = /d\n")
	if o.Idle != 2*time.Hour || o.Listen != "127.0.0.1:1" || o.SocketMode != 0o600 {
		t.Errorf("%+v", o)
	}
	// What the command line or the environment says is not the file's.
	if want := file + ":3: listen = 127.0.0.1:2 takes a restart of the daemon\n" + file + ":2: idle = 2h holds from now on"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	o, said = reread("")
	if o.Idle != telnet.DefaultIdle || o.Definitions != "" || !strings.Contains(said, file+": idle is no longer there holds") || !strings.Contains(said, "listen is no longer there takes a restart") {
		t.Errorf("%+v, %q", o, said)
	}
	o, said = reread("idle = 3h\nidel = 3h\n")
	if o != c.Options || !strings.Contains(said, file+":2: there is no setting") {
		t.Errorf("%+v, %q", o, said)
	}
	os.Remove(file) // it was named
	o = c.Options
	if said, err := held.Reread(&o); o != c.Options || said != nil || err == nil {
		t.Errorf("%+v, %q, %v", o, said, err)
	}
	if said, err := (Held{}).Reread(&o); said != nil || err != nil { // of a keeper of a former version
		t.Errorf("%q, %v", said, err)
	}
}

// A file is right or wrong together with what the command line and the environment say, as at
// the next start.
func TestAFileThatIsReadAgainIsJudgedWithTheRest(t *testing.T) {
	_, file := write(t, "")
	for _, c := range []struct {
		line, env []string
		text      string
		wrong     string
	}{
		{[]string{"-socket-group", "0"}, nil, "socket-mode = 0600\n", file + ":1: socket-mode = 0600: it lets in no group"},
		{nil, []string{"PROCESSMANAGER_SOCKET_MODE=0600"}, "socket-group = 0\n", "environment PROCESSMANAGER_SOCKET_MODE: socket-mode = 0600: it lets in no group"},
		{[]string{"-socket-mode", "0660"}, nil, "socket-mode = 0600\nsocket-group = 0\n", ""}, // the flag counts
		{[]string{"-secret", "hush"}, nil, "socket-mode = 0600\n", ""},
	} {
		held := read(t, environment(c.env...), append([]string{"-config", file}, c.line...)...).Held()
		data, err := json.Marshal(held) // as it comes to the worker
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "hush") {
			t.Errorf("the secret is in %s", data)
		}
		held = Held{}
		if err := json.Unmarshal(data, &held); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = held.Reread(new(Options))
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), c.wrong)) {
			t.Errorf("%+v: %v", c, err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Its file need not be there, at the start or later.
func TestAFileThatNobodyHasNamedMayBeMissing(t *testing.T) {
	state := t.TempDir()
	c := read(t, environment(), "-state", state, "-idle", "1h")
	if said, err := c.Held().Reread(&c.Options); said != nil || err != nil || c.Idle != time.Hour {
		t.Errorf("%q, %v", said, err)
	}
}

// A shell hands over what it has made up, <(…), as a descriptor, which is read once.
func TestAFileMayBeADescriptor(t *testing.T) {
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/", fmt.Sprintf("/proc/%d/fd/", os.Getpid())} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.WriteString("idle = 1h\n")
		w.Close()
		c := read(t, environment(), "-config", dir+strconv.Itoa(int(r.Fd())))
		r.Close()
		if c.Idle != time.Hour {
			t.Errorf("%s: %+v", dir, c.Options)
		}
		if held := c.Held(); held.Path != "" {
			t.Errorf("it is read again: %+v", held)
		}
	}
}

// Who says that no version is asked for gets the daemon, with all that it was told.
func TestAVersionThatIsNotAskedForChangesNothing(t *testing.T) {
	_, file := write(t, "idle = 1h\n")
	if c := read(t, environment(), "-config", file, "-version=false"); c.Version || c.Idle != time.Hour {
		t.Errorf("%+v", c.Options)
	}
	_, broken := write(t, "idle = soon\n")
	if c := read(t, environment(), "-config", broken, "-version"); !c.Version {
		t.Errorf("%+v", c.Options)
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{Sample(), "idle = 1h\n", "socket='/a'#b", "=", "a=\"", "\ufeff#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, wrong := parseFile("/f", text)
		for name, value := range values {
			if flag := lookup(name); flag == nil || flag.Where != Anywhere || value.Text == "" || value.From.Line < 1 {
				t.Errorf("%q = %+v", name, value)
			}
		}
		for _, w := range wrong {
			if strings.Contains(w, "\n") || !strings.HasPrefix(w, "/f") {
				t.Errorf("%q", w)
			}
		}
	})
}
